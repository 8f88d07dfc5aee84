//! Says what a file is while its bytes go by, before a job exists.
//!
//! The sniffer is pushed every byte of an upload. It keeps the first megabyte of the expanded file, which holds the header,
//! and of the rest only what decides the encoding. An archive that is damaged further on is not its business: the header
//! could be read, the job is accepted, and reading the records says what is wrong before anything is written.

pub use super::source::{Format, Source};

use super::compression::{Compression, Expanded};
use super::csv::Parser;
use super::dialect::{detect_delimiter, detect_json, is_delimiter, is_zip, refuse_binary, refuse_markup, sep_line};
use super::encoding::{Encoding, Guess, Transcoder};
use super::formula::{self, ESCAPED_COLUMN};
use super::records::Record;
use super::{Limits, ReadError};
use crate::{Code, Error};
use std::io::{self, BufRead, Read};

/// Most expanded bytes that are kept; the header must end within them.
const HEAD_BYTES: usize = 1 << 20;

/// Expanded bytes looked at in one go.
const CHUNK_BYTES: usize = 64 << 10;

/// What the sender says about the file. What is not said is detected.
#[derive(Clone, Debug, Default)]
pub struct SniffOptions {
    /// The character between cells.
    pub delimiter: Option<u8>,
    /// The encoding, from an option or from the `charset` of the content type. A byte order mark beats it.
    pub encoding: Option<Encoding>,
    /// The format that the content type or the name of the file stands for. It decides only where the content could be both.
    pub hint: Option<Format>,
    /// What the file may cost to read.
    pub limits: Limits,
}

/// Watches the bytes of a file.
pub struct Sniffer {
    options: SniffOptions,
    /// The first bytes, until there are enough to know a compression by.
    magic: Option<Vec<u8>>,
    raw_bytes: u64,
    compression: Option<Compression>,
    archive: Option<Archive>,
    view: View,
}

/// A compressed file, as far as it was expanded.
struct Archive {
    expanded: Expanded<Queue>,
    chunk: Vec<u8>,
    fault: Option<Error>,
}

/// The expanded file, as far as anybody needs to see it.
struct View {
    head: Vec<u8>,
    /// The file goes on after the head.
    more: bool,
    guess: Guess,
    /// The encoding is known without a guess.
    told: bool,
}

impl Sniffer {
    /// A sniffer that has seen nothing.
    pub fn new(options: SniffOptions) -> Self {
        let told = options.encoding.is_some();
        Self {
            options,
            magic: Some(Vec::new()),
            raw_bytes: 0,
            compression: None,
            archive: None,
            view: View { head: Vec::new(), more: false, guess: Guess::new(), told },
        }
    }

    /// Says again what the sender says, where a part of it came after the file. What was said before may not be taken back.
    pub fn tell(&mut self, options: SniffOptions) {
        self.options = options;
    }

    /// The next bytes of the file as it is sent. Never fails: what is wrong is said at the end.
    pub fn push(&mut self, raw: &[u8]) {
        self.raw_bytes += raw.len() as u64;
        match &mut self.magic {
            None => self.look(raw),
            Some(magic) => {
                magic.extend_from_slice(raw);
                if magic.len() >= Compression::MAGIC_BYTES {
                    self.start();
                }
            }
        }
    }

    /// The file is complete. Errors: `empty_file`, `missing_header`, `too_many_columns`, `unsupported_format`, `unclosed_quote`,
    /// `corrupt_archive` and `archive_too_large` where the header could not be read for it, and `invalid_option` for a
    /// delimiter that cannot be one.
    pub fn finish(mut self) -> Result<Source, Error> {
        self.start();
        if let Some(archive) = &mut self.archive {
            archive.expanded.source_mut().ended = true;
            archive.expand(&mut self.view);
        }
        let fault = self.archive.and_then(|archive| archive.fault);
        let View { head, more, guess, .. } = self.view;
        if self.raw_bytes == 0 || (head.is_empty() && fault.is_none()) {
            return Err(Error::new(Code::EmptyFile, "The file has no bytes."));
        }
        let source = Source { compression: self.compression, ..Source::default() };
        if is_zip(&head) {
            return Ok(Source { format: Format::Xlsx, ..source });
        }
        refuse_binary(&head)?;
        let (encoding, bom_bytes) =
            Encoding::from_bom(&head).unwrap_or_else(|| (self.options.encoding.unwrap_or_else(|| guess.encoding()), 0));
        let mut text = Vec::with_capacity(head.len());
        Transcoder::new(encoding).push(&head[bom_bytes.into()..], !more, &mut text);
        refuse_markup(&text)?;
        // What could not be expanded may have been anything.
        let json =
            if text.trim_ascii().is_empty() && fault.is_some() { None } else { detect_json(&text, self.options.hint) };
        if let Some(format) = json {
            // Nobody writes JSON in Windows-1252: what is not UTF-8 fails its row.
            let guessed = bom_bytes == 0 && self.options.encoding.is_none();
            let encoding = if guessed { Encoding::Utf8 } else { encoding };
            return Ok(Source { format, encoding, bom_bytes, ..source });
        }
        read_header(&self.options, &text, more, fault, Source { encoding, bom_bytes, ..source })
    }

    /// Enough bytes are there to know what the file is compressed with.
    fn start(&mut self) {
        let Some(first) = self.magic.take() else { return };
        self.compression = Compression::detect(&first);
        if self.compression.is_some() {
            let expanded = Expanded::new(Queue::default(), self.compression, self.options.limits);
            self.archive = Some(Archive { expanded, chunk: vec![0; CHUNK_BYTES], fault: None });
        }
        self.look(&first);
    }

    fn look(&mut self, raw: &[u8]) {
        match &mut self.archive {
            None => self.view.push(raw),
            Some(archive) => {
                archive.expanded.source_mut().push(raw);
                archive.expand(&mut self.view);
            }
        }
    }
}

impl Archive {
    /// Shows the view what the bytes at hand expand to, unless it has seen enough.
    fn expand(&mut self, view: &mut View) {
        while self.fault.is_none() && !view.is_settled() {
            match self.expanded.read(&mut self.chunk) {
                Ok(0) => return,
                Ok(read) => view.push(&self.chunk[..read]),
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(ReadError::Fault(error)) => self.fault = Some(error),
                Err(ReadError::Io(_)) => {
                    self.fault = Some(Error::new(Code::CorruptArchive, "The archive cannot be expanded."));
                }
            }
        }
        // Nobody will ask for the rest.
        self.expanded.source_mut().clear();
    }
}

impl View {
    fn push(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(HEAD_BYTES - self.head.len());
        self.head.extend_from_slice(&bytes[..kept]);
        self.more |= kept < bytes.len();
        if !self.told {
            self.guess.push(bytes);
        }
    }

    /// Whether nothing that follows can change the answer.
    fn is_settled(&self) -> bool {
        self.more && (self.told || self.guess.is_final() || Encoding::from_bom(&self.head).is_some())
    }
}

/// Bytes that were pushed, for a decoder that pulls.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Queue {
    fn push(&mut self, bytes: &[u8]) {
        if self.at == self.bytes.len() {
            self.clear();
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.at = 0;
    }
}

impl Read for Queue {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Queue {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() && !self.ended { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(rest) }
    }

    fn consume(&mut self, bytes: usize) {
        self.at += bytes;
    }
}

/// Reads records from the head of a file.
struct HeaderReader<'a> {
    parser: Parser,
    text: &'a [u8],
    more: bool,
    fault: Option<Error>,
}

impl HeaderReader<'_> {
    fn next(&mut self) -> Result<Record, Error> {
        let (used, complete) = self.parser.feed(self.text);
        self.text = &self.text[used..];
        if !complete {
            if let Some(fault) = self.fault.take() {
                return Err(fault);
            }
            if self.more && self.parser.is_quoted() {
                return Err(self.parser.unclosed_quote());
            }
            if self.more {
                let detail = "The file begins with a line that is too long for a header.";
                return Err(Error::new(Code::MissingHeader, detail));
            }
            if !self.parser.finish()? {
                return Err(Error::new(Code::MissingHeader, "The file has no line that names the columns."));
            }
        }
        let mut record = Record::new();
        record.take(&mut self.parser.record, 0);
        Ok(record)
    }
}

/// Reads the header of a CSV file.
fn read_header(
    options: &SniffOptions,
    text: &[u8],
    more: bool,
    fault: Option<Error>,
    source: Source,
) -> Result<Source, Error> {
    let sep_line = sep_line(text);
    let delimiter = match options.delimiter.or(sep_line) {
        Some(delimiter) if is_delimiter(delimiter) => delimiter,
        Some(_) => {
            let detail = "The delimiter must be one ASCII character that is no letter, digit, quote or line break.";
            return Err(Error::new(Code::InvalidOption, detail));
        }
        None => detect_delimiter(text),
    };
    let mut reader = HeaderReader { parser: Parser::new(delimiter, options.limits), text, more, fault };
    if sep_line.is_some() {
        reader.next()?;
    }
    let header = check_header(&reader.next()?, options.limits)?;
    Ok(Source { delimiter: Some(delimiter.into()), header, sep_line: sep_line.is_some(), ..source })
}

pub(super) fn check_header(header: &Record, limits: Limits) -> Result<Vec<String>, Error> {
    let (columns, line) = (header.len(), header.line());
    if header.cells().any(|cell| cell.contains('\0')) {
        let detail = "The header has NUL characters: this is no text, or UTF-16 without a byte order mark, which must be \
                      sent with encoding=utf-16le or encoding=utf-16be.";
        return Err(Error::new(Code::UnsupportedFormat, detail));
    }
    if columns > limits.columns {
        let detail = format!("The header on line {line} has {columns} columns; {} are allowed.", limits.columns);
        return Err(Error::new(Code::TooManyColumns, detail));
    }
    if header.cells().all(|cell| cell.trim().is_empty()) {
        return Err(Error::new(Code::MissingHeader, format!("Line {line} must name the columns, and is empty.")));
    }
    if let Some(defect @ super::records::Defect::CellTooLong { .. }) = header.defect() {
        let column = defect.column() + 1;
        let detail = format!("Column {column} of line {line} is too long for the name of a column.");
        return Err(Error::new(Code::MissingHeader, detail));
    }
    let escaped = header.cells().any(|name| name.trim() == ESCAPED_COLUMN);
    Ok(header.cells().map(|name| if escaped { formula::restore(name) } else { name }.to_owned()).collect())
}
