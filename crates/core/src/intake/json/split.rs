//! Finds the records of NDJSON and of a JSON array in text that comes in pieces of any size, one record at a time.
//!
//! Only as much of the grammar is known here as tells where a record ends: line ends in NDJSON; brackets, strings and
//! commas in an array. Whether a record is JSON is decided by whoever takes it.

use crate::{Code, Error};

/// The text of one record, or its beginning where it is longer than the limit.
#[derive(Debug, Default)]
pub(in crate::intake) struct Piece {
    pub bytes: Vec<u8>,
    /// The line on which it begins, the file's first being 1.
    pub line: u64,
    /// It goes on after what was kept.
    pub too_long: bool,
}

impl Piece {
    fn begin(&mut self, line: u64) {
        self.bytes.clear();
        self.line = line;
        self.too_long = false;
    }

    fn append(&mut self, chunk: &[u8], limit: usize) {
        let room = limit - self.bytes.len().min(limit);
        self.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.too_long |= chunk.len() > room;
    }
}

/// NDJSON: a record for each line that is not blank.
pub(in crate::intake) struct Lines {
    limit: usize,
    line: u64,
    /// Inside a record.
    open: bool,
    /// The record in hand, or the one that is complete.
    pub piece: Piece,
}

impl Lines {
    /// Records may have this many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, line: 1, open: false, piece: Piece::default() }
    }

    /// Takes text until it is used up or a record is complete: how many bytes were used, and whether one is.
    pub fn feed(&mut self, text: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            if self.open {
                let rest = &text[at..];
                let length = memchr::memchr(b'\n', rest);
                self.piece.append(&rest[..length.unwrap_or(rest.len())], self.limit);
                let Some(length) = length else { break };
                self.line += 1;
                self.open = false;
                return (at + length + 1, true);
            }
            match byte {
                b'\n' => self.line += 1,
                byte if is_space(byte) => {}
                _ => {
                    self.piece.begin(self.line);
                    self.open = true;
                    continue;
                }
            }
            at += 1;
        }
        (text.len(), false)
    }

    /// No text follows. Says whether that completes a record.
    pub fn finish(&mut self) -> bool {
        std::mem::take(&mut self.open)
    }
}

/// One JSON array: a record for each element.
pub(in crate::intake) struct Array {
    limit: usize,
    state: State,
    /// How many brackets are open inside the element in hand.
    depth: u64,
    quoted: bool,
    escaped: bool,
    line: u64,
    after_return: bool,
    /// The element in hand, or the one that is complete.
    pub piece: Piece,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the bracket that opens the array.
    Before,
    /// After it, where the array may end at once.
    First,
    /// After a comma.
    Next,
    /// Inside an element.
    Element,
    /// After an element.
    After,
    /// After the bracket that closes the array.
    End,
}

impl Array {
    /// Elements may have this many bytes.
    pub fn new(limit: usize) -> Self {
        let (line, state) = (1, State::Before);
        let piece = Piece::default();
        Self { limit, state, depth: 0, quoted: false, escaped: false, line, after_return: false, piece }
    }

    /// Takes text until it is used up or an element is complete: how many bytes were used, and whether one is. Fails with
    /// `malformed_json` where the text is no array.
    pub fn feed(&mut self, text: &[u8]) -> Result<(usize, bool), Error> {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            match self.state {
                State::Element => {
                    let (used, complete) = self.element(&text[at..]);
                    at += used;
                    if complete {
                        self.state = State::After;
                        return Ok((at, true));
                    }
                    continue;
                }
                _ if is_space(byte) => {}
                State::Before if byte == b'[' => self.state = State::First,
                State::First if byte == b']' => self.state = State::End,
                State::First | State::Next if byte != b']' && byte != b',' => {
                    self.piece.begin(self.line);
                    self.state = State::Element;
                    continue;
                }
                State::After if byte == b',' => self.state = State::Next,
                State::After if byte == b']' => self.state = State::End,
                State::Before => return Err(self.malformed("it does not begin with [")),
                State::First | State::Next => return Err(self.malformed("a record is missing beside a comma")),
                State::After => return Err(self.malformed("after a record there must be a comma, or ] at the end")),
                State::End => return Err(self.malformed("it goes on after its closing ]")),
            }
            self.count(byte);
            at += 1;
        }
        Ok((at, false))
    }

    /// No text follows. Fails with `malformed_json` where the array was not closed.
    pub fn finish(&self) -> Result<(), Error> {
        match self.state {
            State::End => Ok(()),
            State::Before | State::First | State::Next | State::Element | State::After => {
                Err(self.malformed("it is cut off"))
            }
        }
    }

    /// Takes the text of the element in hand: how many bytes, and whether it ends with them.
    fn element(&mut self, text: &[u8]) -> (usize, bool) {
        for (at, &byte) in text.iter().enumerate() {
            // What delimits a number or a word is not part of it.
            let delimits = self.depth == 0 && !self.quoted && (is_space(byte) || byte == b',' || byte == b']');
            if delimits || self.ends_with(byte) {
                let used = at + usize::from(!delimits);
                self.piece.append(&text[..used], self.limit);
                return (used, true);
            }
        }
        self.piece.append(text, self.limit);
        (text.len(), false)
    }

    /// Follows lines, brackets and strings over one byte; says whether the element ends with it.
    fn ends_with(&mut self, byte: u8) -> bool {
        self.count(byte);
        if std::mem::take(&mut self.escaped) {
            return false;
        }
        match byte {
            b'\\' if self.quoted => self.escaped = true,
            b'"' => {
                self.quoted = !self.quoted;
                return !self.quoted && self.depth == 0;
            }
            _ if self.quoted => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    /// Line ends are LF, CRLF and CR.
    fn count(&mut self, byte: u8) {
        if byte == b'\r' || (byte == b'\n' && !self.after_return) {
            self.line += 1;
        }
        self.after_return = byte == b'\r';
    }

    /// The error of a file that is not one JSON array.
    pub fn malformed(&self, why: &str) -> Error {
        malformed(self.line, why)
    }
}

/// The error of a file that is not one JSON array.
pub(in crate::intake) fn malformed(line: u64, why: &str) -> Error {
    Error::new(Code::MalformedJson, format!("The JSON array is malformed on line {line}: {why}. Nothing was applied."))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
