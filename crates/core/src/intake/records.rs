//! Reads the records of a file, one after the other, in memory that does not grow with the file.
//!
//! A record that cannot be used still comes, in its place and with its number: [`Record::defect`] says what is wrong
//! with it, so that its row fails and the others go on. Only what hides the records that follow is an error of reading.

use super::compression::Expanded;
use super::csv::{Parser, Raw};
use super::encoding::Transcoder;
use super::sniff::Source;
use super::{Limits, ReadError};
use crate::Error;
use std::io::{BufReader, Read};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// The data records of a file: what follows the header.
pub struct Records<R: Read> {
    text: Text<R>,
    /// How much of the text in hand is used.
    at: usize,
    parser: Parser,
    /// Records before the first that counts.
    skip: u8,
    number: u64,
    state: State,
}

enum State {
    Reading,
    Ended,
    /// What was said is said again: the decoders call the end of a damaged archive a regular one when asked twice.
    Failed(Error),
}

impl<R: Read> Records<R> {
    /// Reads the bytes as they were staged, from the first, as `source` says.
    pub fn new(reader: R, source: &Source, limits: Limits) -> Self {
        let delimiter = u8::try_from(source.delimiter).unwrap_or(b',');
        Self {
            text: Text::new(reader, source, limits),
            at: 0,
            parser: Parser::new(delimiter, limits),
            skip: 1 + u8::from(source.sep_line),
            number: 0,
            state: State::Reading,
        }
    }

    /// Puts the next record into `record`; `false` at the end of the file. After [`ReadError::Io`] the call can be repeated,
    /// after a fault it answers the same fault again.
    pub fn read(&mut self, record: &mut Record) -> Result<bool, ReadError> {
        while self.skip > 0 {
            if !self.advance()? {
                return Ok(false);
            }
            self.skip -= 1;
        }
        if !self.advance()? {
            return Ok(false);
        }
        self.number += 1;
        record.take(&mut self.parser.record, self.number);
        Ok(true)
    }

    /// Bytes read of the staged file, to show progress: compressed ones where it is compressed, and a buffer ahead.
    pub fn bytes_read(&self) -> u64 {
        self.text.bytes.bytes_read()
    }

    /// Brings the parser to the end of the next record.
    fn advance(&mut self) -> Result<bool, ReadError> {
        match &self.state {
            State::Reading => {}
            State::Ended => return Ok(false),
            State::Failed(error) => return Err(error.clone().into()),
        }
        let result = self.parse();
        match &result {
            Ok(true) | Err(ReadError::Io(_)) => {}
            Ok(false) => self.state = State::Ended,
            Err(ReadError::Fault(error)) => self.state = State::Failed(error.clone()),
        }
        result
    }

    fn parse(&mut self) -> Result<bool, ReadError> {
        loop {
            let (used, complete) = self.parser.feed(&self.text.chunk()[self.at..]);
            self.at += used;
            if complete {
                return Ok(true);
            }
            self.at = 0;
            if !self.text.advance()? {
                return Ok(self.parser.finish()?);
            }
        }
    }
}

/// The text of a file, chunk by chunk.
struct Text<R: Read> {
    bytes: Expanded<BufReader<R>>,
    transcoder: Transcoder,
    raw: Vec<u8>,
    /// The part of `raw` that was read, without a byte order mark.
    filled: std::ops::Range<usize>,
    decoded: Vec<u8>,
    bom_bytes: usize,
    ended: bool,
}

impl<R: Read> Text<R> {
    fn new(reader: R, source: &Source, limits: Limits) -> Self {
        let reader = BufReader::with_capacity(CHUNK_BYTES, reader);
        Self {
            bytes: Expanded::new(reader, source.compression, limits),
            transcoder: Transcoder::new(source.encoding),
            raw: vec![0; CHUNK_BYTES],
            filled: 0..0,
            decoded: Vec::new(),
            bom_bytes: source.bom_bytes.into(),
            ended: false,
        }
    }

    fn chunk(&self) -> &[u8] {
        if self.transcoder.is_identity() { &self.raw[self.filled.clone()] } else { &self.decoded }
    }

    /// Replaces the chunk by the next; `false` at the end. Where it fails, the chunk in hand is empty.
    fn advance(&mut self) -> Result<bool, ReadError> {
        self.filled = 0..0;
        self.decoded.clear();
        if self.ended {
            return Ok(false);
        }
        let read = self.bytes.read(&mut self.raw)?;
        let begin = self.bom_bytes.min(read);
        self.bom_bytes -= begin;
        self.filled = begin..read;
        self.ended = read == 0;
        if !self.transcoder.is_identity() {
            self.transcoder.push(&self.raw[begin..read], self.ended, &mut self.decoded);
        }
        Ok(!self.ended || !self.decoded.is_empty())
    }
}

/// Why the row of a record fails before anybody looks at its values. Columns count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The cell is longer than the limit; what was kept of it is its beginning.
    CellTooLong {
        /// The first such column.
        column: usize,
    },
    /// The cell holds the character U+0000.
    NulCharacter {
        /// The first such column.
        column: usize,
    },
    /// The cell has bytes that mean nothing in the file's encoding; its text has U+FFFD in their place.
    InvalidEncoding {
        /// The first such column.
        column: usize,
    },
}

impl Defect {
    /// The column to blame, from 0.
    pub fn column(self) -> usize {
        match self {
            Self::CellTooLong { column } | Self::NulCharacter { column } | Self::InvalidEncoding { column } => column,
        }
    }
}

/// One record. Reading into the same one again reuses its memory.
#[derive(Debug, Default)]
pub struct Record {
    text: String,
    ends: Vec<usize>,
    cells: usize,
    number: u64,
    line: u64,
    defect: Option<Defect>,
    stray_quote: Option<usize>,
}

impl Record {
    /// An empty record to read into.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which data record of the file it is, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The line of the file on which it begins, the first being 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// How many cells it has in the file. More than [`Limits::columns`] are counted, but not kept.
    #[expect(clippy::len_without_is_empty, reason = "a record that was read has at least one cell")]
    pub fn len(&self) -> usize {
        self.cells
    }

    /// The text of a cell, columns counted from 0; `None` where the record has no such cell or did not keep it.
    /// In a record with a [`defect`](Record::defect) it is what can be shown of the cell.
    pub fn cell(&self, column: usize) -> Option<&str> {
        let end = *self.ends.get(column)?;
        let begin = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[begin..end])
    }

    /// The text of a cell as [`Record::cell`] has it, empty where that has none.
    pub fn text(&self, column: usize) -> &str {
        self.cell(column).unwrap_or_default()
    }

    /// The cells that were kept, in order.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut begin = 0;
        self.ends.iter().map(move |&end| &self.text[std::mem::replace(&mut begin, end)..end])
    }

    /// Why the record cannot be used, where it cannot. Of several defects the first in the order of [`Defect`] is named.
    pub fn defect(&self) -> Option<Defect> {
        self.defect
    }

    /// The first column whose cell goes on after its closing quote, as in `"5" pipe"`: a quote inside was not doubled, and the
    /// cell is read without it, as other readers do.
    pub fn stray_quote(&self) -> Option<usize> {
        self.stray_quote
    }

    /// Takes over what the parser found and leaves it the memory of the record before.
    pub(super) fn take(&mut self, raw: &mut Raw, number: u64) {
        let memory = std::mem::take(&mut self.text).into_bytes();
        let bytes = std::mem::replace(&mut raw.bytes, memory);
        std::mem::swap(&mut self.ends, &mut raw.ends);
        self.cells = raw.cells;
        self.number = number;
        self.line = raw.line;
        let invalid = self.take_text(bytes);
        let nul = memchr::memchr(0, self.text.as_bytes()).map(|at| self.ends.partition_point(|&end| end <= at));
        self.defect = (raw.too_long.map(|column| Defect::CellTooLong { column }))
            .or(nul.map(|column| Defect::NulCharacter { column }))
            .or(invalid.map(|column| Defect::InvalidEncoding { column }));
        self.stray_quote = raw.stray_quote;
    }

    /// The first column that is not valid, where one is not.
    fn take_text(&mut self, bytes: Vec<u8>) -> Option<usize> {
        let bytes = match String::from_utf8(bytes) {
            // Two cells can be valid only together, half a character in each.
            Ok(text) if self.ends.iter().all(|&end| text.is_char_boundary(end)) => {
                self.text = text;
                return None;
            }
            Ok(text) => text.into_bytes(),
            Err(error) => error.into_bytes(),
        };
        let (mut begin, mut invalid) = (0, None);
        for (column, end) in self.ends.iter_mut().enumerate() {
            let cell = String::from_utf8_lossy(&bytes[begin..*end]);
            if matches!(cell, std::borrow::Cow::Owned(_)) {
                invalid.get_or_insert(column);
            }
            self.text.push_str(&cell);
            begin = std::mem::replace(end, self.text.len());
        }
        invalid
    }
}
