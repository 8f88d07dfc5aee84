//! Finds records and cells in the text of a CSV file (RFC 4180), pushed in pieces of any size.
//!
//! Written here because the position of a row is a promise that no library keeps: which physical line a record begins on,
//! over CRLF, LF and CR, blank lines and line breaks inside quotes; whether the last quote was closed; memory that stays
//! flat under a cell without end. What it reads as cells is the same as what `csv-core` reads, which a test compares.
//!
//! * A record ends with CRLF, LF or CR. Lines of no characters at all are no records.
//! * A cell is quoted where its first character is a quote; inside, two quotes are one. A quote elsewhere is a character.
//! * What follows a closing quote belongs to the cell, as everywhere, but the record remembers it: such a quote was most
//!   likely meant to be doubled, and the cell has lost it.

use super::Limits;
use super::record::Mark;
use crate::{Code, Error};

/// A record as its bytes stand, the quotes taken off.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// The kept cells, one after the other.
    pub bytes: Vec<u8>,
    /// Where each of them ends.
    pub ends: Vec<usize>,
    /// How many cells the record has in the file; those past the limit of columns are not kept.
    pub cells: usize,
    /// The line on which it begins, the file's first being 1.
    pub line: u64,
    /// The first cell that was cut at the limit.
    pub too_long: Option<usize>,
    /// The first cell that goes on after its closing quote.
    pub stray_quote: Option<usize>,
    /// What a spreadsheet says about cells; CSV says nothing.
    pub marks: Vec<(usize, Mark)>,
}

impl Raw {
    /// Makes it a record without cells.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.marks.clear();
        self.cells = 0;
        self.too_long = None;
        self.stray_quote = None;
    }
}

pub(super) struct Parser {
    delimiter: u8,
    limits: Limits,
    state: State,
    /// The line in hand.
    line: u64,
    /// The character before was a CR, so that an LF here ends no second line.
    after_return: bool,
    /// Bytes that the cell in hand may still take.
    room: usize,
    /// The cell in hand lost something.
    cut: bool,
    /// The record in hand, or the one that is complete.
    pub record: Raw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a record, where blank lines may be.
    Between,
    /// Before the first character of a cell.
    CellStart,
    Unquoted,
    Quoted,
    /// After a quote inside a quoted cell: its end, or half of a doubled one.
    QuoteSeen,
}

impl Parser {
    pub fn new(delimiter: u8, limits: Limits) -> Self {
        Self {
            delimiter,
            limits,
            state: State::Between,
            line: 1,
            after_return: false,
            room: 0,
            cut: false,
            record: Raw::default(),
        }
    }

    /// Takes text until it is used up or a record is complete: how many bytes were used, and whether one is.
    pub fn feed(&mut self, text: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            match self.state {
                State::Between => match byte {
                    b'\n' | b'\r' => {
                        self.end_line(byte);
                        at += 1;
                    }
                    _ => self.begin_record(),
                },
                State::CellStart if byte == b'"' => {
                    self.state = State::Quoted;
                    at += 1;
                }
                State::CellStart => self.state = State::Unquoted,
                State::Unquoted => {
                    let rest = &text[at..];
                    let Some(length) = memchr::memchr3(self.delimiter, b'\n', b'\r', rest) else {
                        self.append(rest);
                        return (text.len(), false);
                    };
                    self.append(&rest[..length]);
                    self.end_cell();
                    at += length + 1;
                    if rest[length] == self.delimiter {
                        self.state = State::CellStart;
                    } else {
                        self.end_line(rest[length]);
                        self.state = State::Between;
                        return (at, true);
                    }
                }
                State::Quoted => {
                    let rest = &text[at..];
                    let length = memchr::memchr3(b'"', b'\n', b'\r', rest);
                    self.after_return &= length == Some(0);
                    let Some(length) = length else {
                        self.append(rest);
                        return (text.len(), false);
                    };
                    at += length + 1;
                    if rest[length] == b'"' {
                        self.append(&rest[..length]);
                        self.after_return = false;
                        self.state = State::QuoteSeen;
                    } else {
                        self.append(&rest[..=length]);
                        self.end_line(rest[length]);
                    }
                }
                State::QuoteSeen if byte == b'"' => {
                    self.append(b"\"");
                    self.state = State::Quoted;
                    at += 1;
                }
                State::QuoteSeen => {
                    if byte != self.delimiter && byte != b'\n' && byte != b'\r' {
                        self.record.stray_quote.get_or_insert(self.record.cells);
                    }
                    self.state = State::Unquoted;
                }
            }
        }
        (at, false)
    }

    /// No text follows. Says whether that completes a record.
    pub fn finish(&mut self) -> Result<bool, Error> {
        match self.state {
            State::Between => Ok(false),
            State::Quoted => Err(self.unclosed_quote()),
            State::CellStart | State::Unquoted | State::QuoteSeen => {
                self.end_cell();
                self.state = State::Between;
                Ok(true)
            }
        }
    }

    /// Whether the text so far ends inside quotes.
    pub fn is_quoted(&self) -> bool {
        self.state == State::Quoted
    }

    pub fn unclosed_quote(&self) -> Error {
        let line = self.record.line;
        Error::new(Code::UnclosedQuote, format!("A quote in the record that begins on line {line} is never closed."))
    }

    fn begin_record(&mut self) {
        self.record.clear();
        self.record.line = self.line;
        self.begin_cell();
        self.after_return = false;
        self.state = State::CellStart;
    }

    fn begin_cell(&mut self) {
        self.room = if self.record.cells < self.limits.columns { self.limits.cell_bytes } else { 0 };
        self.cut = false;
    }

    fn end_cell(&mut self) {
        if self.record.cells < self.limits.columns {
            self.record.ends.push(self.record.bytes.len());
        }
        self.record.cells += 1;
        self.begin_cell();
    }

    fn append(&mut self, chunk: &[u8]) {
        if chunk.len() <= self.room {
            self.room -= chunk.len();
            self.record.bytes.extend_from_slice(chunk);
        } else {
            self.append_what_fits(chunk);
        }
    }

    #[cold]
    fn append_what_fits(&mut self, chunk: &[u8]) {
        if self.cut || self.record.cells >= self.limits.columns {
            return;
        }
        let bytes = &mut self.record.bytes;
        bytes.extend_from_slice(&chunk[..self.room]);
        // No half character at the cut: it would be reported as what it is not.
        let begin = self.record.ends.last().copied().unwrap_or(0);
        while bytes.len() > begin && bytes.last().is_some_and(|byte| (0x80..0xC0).contains(byte)) {
            bytes.pop();
        }
        if bytes.len() > begin && bytes.last().is_some_and(|byte| *byte >= 0xC0) {
            bytes.pop();
        }
        self.room = 0;
        self.cut = true;
        self.record.too_long.get_or_insert(self.record.cells);
    }

    fn end_line(&mut self, terminator: u8) {
        if terminator == b'\r' || !self.after_return {
            self.line += 1;
        }
        self.after_return = terminator == b'\r';
    }
}
