//! Reads the records of a file, one after the other, in memory that does not grow with the file.
//!
//! A record that cannot be used still comes, in its place and with its number: [`Record::defect`] says what is wrong
//! with it, so that its row fails and the others go on. Only what hides the records that follow is an error of reading.

pub use super::record::{Defect, Mark, Record};

use super::csv::Parser;
use super::formula::{ESCAPED_COLUMN, escaped_columns};
use super::json::check_grammar;
use super::json::split::{Array, Lines, malformed};
use super::sniff::{Format, Source};
use super::text::Text;
use super::xlsx::{Scratch, Workbook};
use super::{Limits, ReadError};
use crate::Error;
use std::io::Read;

/// The data records of a file: what follows the header, where the format has one.
pub struct Records<R: Read> {
    reader: Reader<R>,
    number: u64,
    state: State,
    /// The header, and the index of its column that names defused cells, where it has one.
    escaped: Option<(Vec<String>, usize)>,
}

enum Reader<R: Read> {
    Text(Box<TextReader<R>>),
    Workbook(Box<Workbook<R>>),
}

struct TextReader<R: Read> {
    text: Text<R>,
    /// How much of the text in hand is used.
    at: usize,
    splitter: Splitter,
    /// Records before the first that counts.
    skip: u8,
}

/// What finds the records in a text.
enum Splitter {
    Csv(Parser),
    Lines(Lines),
    Array(Array),
}

enum State {
    Reading,
    Ended,
    /// What was said is said again: the decoders call the end of a damaged archive a regular one when asked twice.
    Failed(Error),
}

impl<R: Read> Records<R> {
    /// Reads the bytes as they were staged, from the first, as `source` says. A workbook is unpacked into memory unless it is
    /// given a [scratch](Self::with_scratch) file.
    pub fn new(reader: R, source: &Source, limits: Limits) -> Self {
        let escaped = source.header.iter().position(|name| name.trim() == ESCAPED_COLUMN);
        let escaped = escaped.map(|index| (source.header.clone(), index));
        let splitter = match source.format {
            Format::Xlsx => {
                let reader = Reader::Workbook(Box::new(Workbook::new(reader, source, limits)));
                return Self { reader, number: 0, state: State::Reading, escaped };
            }
            Format::Csv => {
                let delimiter = source.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok());
                Splitter::Csv(Parser::new(delimiter.unwrap_or(b','), limits))
            }
            Format::Ndjson => Splitter::Lines(Lines::new(limits.record_bytes)),
            Format::Json => Splitter::Array(Array::new(limits.record_bytes)),
        };
        let skip = if source.format == Format::Csv { 1 + u8::from(source.sep_line) } else { 0 };
        let text = Text::new(reader, source, limits);
        let reader = Reader::Text(Box::new(TextReader { text, at: 0, splitter, skip }));
        Self { reader, number: 0, state: State::Reading, escaped }
    }

    /// Unpacks a workbook into this empty file, which nobody else may use meanwhile. Other formats do not need it.
    #[must_use]
    pub fn with_scratch(mut self, scratch: Box<dyn Scratch>) -> Self {
        match &mut self.reader {
            Reader::Text(_) => {}
            Reader::Workbook(workbook) => workbook.set_scratch(scratch),
        }
        self
    }

    /// Puts the next record into `record`; `false` at the end of the file. After [`ReadError::Io`] the call can be repeated,
    /// after a fault it answers the same fault again.
    pub fn read(&mut self, record: &mut Record) -> Result<bool, ReadError> {
        match &self.state {
            State::Reading => {}
            State::Ended => return Ok(false),
            State::Failed(error) => return Err(error.clone().into()),
        }
        let result = match &mut self.reader {
            Reader::Text(text) => text.read(record, self.number + 1),
            Reader::Workbook(workbook) => workbook.read(record, self.number + 1),
        };
        match &result {
            Ok(true) => {
                self.number += 1;
                if let Some((header, index)) = &self.escaped
                    && !record.text(*index).is_empty()
                {
                    record.restore(&escaped_columns(record.text(*index), header));
                }
            }
            Ok(false) => self.state = State::Ended,
            Err(ReadError::Io(_)) => {}
            Err(ReadError::Fault(error)) => self.state = State::Failed(error.clone()),
        }
        result
    }

    /// Bytes read of the staged file, to show progress: compressed ones where it is compressed, and a buffer ahead.
    pub fn bytes_read(&self) -> u64 {
        match &self.reader {
            Reader::Text(reader) => reader.text.bytes.bytes_read(),
            Reader::Workbook(workbook) => workbook.bytes_read(),
        }
    }
}

impl<R: Read> TextReader<R> {
    fn read(&mut self, record: &mut Record, number: u64) -> Result<bool, ReadError> {
        while self.skip > 0 {
            if !self.advance()? {
                return Ok(false);
            }
            self.skip -= 1;
        }
        if !self.advance()? {
            return Ok(false);
        }
        match &mut self.splitter {
            Splitter::Csv(parser) => record.take(&mut parser.record, number),
            Splitter::Lines(lines) => record.take_json(&lines.piece, number),
            Splitter::Array(array) => {
                record.take_json(&array.piece, number);
                check_element(record)?;
            }
        }
        Ok(true)
    }

    /// Brings the splitter to the end of the next record.
    fn advance(&mut self) -> Result<bool, ReadError> {
        loop {
            let chunk = &self.text.chunk()[self.at..];
            let (used, complete) = match &mut self.splitter {
                Splitter::Csv(parser) => parser.feed(chunk),
                Splitter::Lines(lines) => lines.feed(chunk),
                Splitter::Array(array) => array.feed(chunk)?,
            };
            self.at += used;
            if complete {
                return Ok(true);
            }
            self.at = 0;
            if !self.text.advance()? {
                return Ok(match &mut self.splitter {
                    Splitter::Csv(parser) => parser.finish()?,
                    Splitter::Lines(lines) => lines.finish(),
                    Splitter::Array(array) => array.finish().map(|()| false)?,
                });
            }
        }
    }
}

/// An element that is no JSON may hide where the next one begins, so it is a fault of the file.
fn check_element(record: &Record) -> Result<(), Error> {
    let whole = record.json().filter(|_| record.defect() != Some(Defect::RecordTooLong));
    let checked = whole.map_or(Ok(()), check_grammar);
    checked.map_err(|grammar| malformed(record.line() + grammar.line.saturating_sub(1), &grammar.why))
}
