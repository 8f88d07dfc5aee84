//! The rows of one sheet, one after the other.

use super::number::{Kind, decimal, moment};
use super::package::{Bounded, Part};
use super::parts::Strings;
use super::xml::{Node, Xml, attribute};
use super::{corrupt, too_large};
use crate::Error;
use crate::intake::csv::Raw;
use crate::intake::record::{Mark, Record};
use crate::intake::{Limits, ReadError};
use std::borrow::Cow;

/// Columns that a sheet can have (XFD).
const COLUMNS: usize = 16_384;

/// What a sheet needs to know of its workbook.
pub(super) struct Book {
    pub strings: Strings,
    pub styles: Vec<Kind>,
    pub since_1904: bool,
    pub limits: Limits,
    /// The least number of cells of a row: those of the header, because empty ones at its end are not stored.
    pub width: usize,
}

/// A sheet on its way.
pub(super) struct Sheet {
    xml: Xml<Bounded<Part>>,
    book: Book,
    row: u64,
    raw: Raw,
    cell: Cell,
    ended: bool,
}

/// The cell in hand.
#[derive(Default)]
struct Cell {
    column: usize,
    kind: String,
    style: usize,
    text: String,
    has_value: bool,
    has_formula: bool,
    /// Inside an element whose text is the value.
    inside: bool,
    phonetic: bool,
}

/// What a step over the XML came to.
enum Step {
    Going,
    Row,
    Cell,
    Ended,
}

impl Sheet {
    pub fn new(part: &str, reader: Bounded<Part>, book: Book) -> Result<Self, ReadError> {
        let xml = Xml::new(part, reader);
        Ok(Self { xml, book, row: 0, raw: Raw::default(), cell: Cell::default(), ended: false })
    }

    /// Puts the next row that is not blank into `record`; `false` after the last.
    pub fn read(&mut self, record: &mut Record, number: u64) -> Result<bool, ReadError> {
        let result = self.advance();
        // The error that the parser saw is only that of a reader.
        let exceeded = self.xml.source().is_exceeded();
        let found = result.map_err(|error| if exceeded { too_large(self.book.limits) } else { error })?;
        if found {
            while self.raw.cells < self.book.width {
                push_cell(&mut self.raw, "", self.book.limits);
            }
            record.take(&mut self.raw, number);
        }
        Ok(found)
    }

    fn advance(&mut self) -> Result<bool, Error> {
        self.raw.clear();
        while !self.ended {
            let (cell, row, raw) = (&mut self.cell, &mut self.row, &mut self.raw);
            match self.xml.next(|node| see(node, row, cell, raw))? {
                Step::Going => {}
                Step::Cell => self.take_cell()?,
                Step::Row if self.raw.cells > 0 => return Ok(true),
                Step::Row => {}
                Step::Ended => self.ended = true,
            }
        }
        Ok(false)
    }

    /// Makes text of the cell in hand, where it has any.
    fn take_cell(&mut self) -> Result<(), Error> {
        let cell = std::mem::take(&mut self.cell);
        let (text, mark) = self.book.text(&cell)?;
        if !text.is_empty() || mark.is_some() {
            let (raw, limits) = (&mut self.raw, self.book.limits);
            if cell.column < raw.cells {
                return Err(corrupt(format!("row {} has cells out of order", self.row)));
            }
            while raw.cells < cell.column {
                push_cell(raw, "", limits);
            }
            raw.marks.extend(mark.map(|mark| (cell.column, mark)));
            push_cell(raw, &text, limits);
        }
        // The next cell stands beside this one unless it says something else.
        drop(text);
        let Cell { column, text: mut memory, .. } = cell;
        memory.clear();
        self.cell = Cell { column: column + 1, text: memory, ..Cell::default() };
        Ok(())
    }
}

fn push_cell(raw: &mut Raw, text: &str, limits: Limits) {
    if raw.cells < limits.columns {
        let kept = text.floor_char_boundary(limits.cell_bytes);
        if kept < text.len() {
            raw.too_long.get_or_insert(raw.cells);
        }
        raw.bytes.extend_from_slice(&text.as_bytes()[..kept]);
        raw.ends.push(raw.bytes.len());
    }
    raw.cells += 1;
}

fn see(node: Node<'_>, row: &mut u64, cell: &mut Cell, raw: &mut Raw) -> Result<Step, Error> {
    match node {
        Node::Start(start, "row") => {
            *row = match attribute(start, "r")?.map(|r| r.parse::<u64>()) {
                None => *row + 1,
                Some(Ok(number)) if number > *row => number,
                Some(_) => return Err(corrupt(format!("rows are out of order after row {row}"))),
            };
            raw.line = *row;
            *cell = Cell::default();
        }
        Node::End("row") => return Ok(Step::Row),
        Node::Start(start, "c") => {
            if let Some(place) = attribute(start, "r")? {
                cell.column = column(&place).ok_or_else(|| corrupt(format!("row {row} has a cell without a place")))?;
            }
            if cell.column >= COLUMNS {
                return Err(corrupt(format!("row {row} has too many cells")));
            }
            cell.kind = attribute(start, "t")?.unwrap_or_default();
            cell.style = attribute(start, "s")?.and_then(|style| style.parse().ok()).unwrap_or(0);
        }
        Node::End("c") => return Ok(Step::Cell),
        Node::Start(_, "v") => (cell.inside, cell.has_value) = (true, true),
        Node::Start(_, "t") => (cell.inside, cell.has_value) = (!cell.phonetic, true),
        Node::End("v" | "t") => cell.inside = false,
        Node::Start(_, "f") => cell.has_formula = true,
        Node::Start(_, "rPh") => cell.phonetic = true,
        Node::End("rPh") => cell.phonetic = false,
        Node::Text(text) if cell.inside => cell.text.push_str(text),
        Node::Eof => return Ok(Step::Ended),
        Node::Start(..) | Node::End(_) | Node::Text(_) => {}
    }
    Ok(Step::Going)
}

impl Book {
    /// What the cell says, and what there is to know about it.
    fn text<'a>(&'a self, cell: &'a Cell) -> Result<(Cow<'a, str>, Option<Mark>), Error> {
        // An empty text is a result, an empty number is none.
        if cell.has_formula && (!cell.has_value || (cell.text.is_empty() && cell.kind != "str")) {
            return Ok((Cow::Borrowed(""), Some(Mark::Error)));
        }
        let text = cell.text.as_str();
        Ok(match cell.kind.as_str() {
            "s" if text.is_empty() => (Cow::Borrowed(""), None),
            "s" => {
                let index = text.trim().parse().ok().and_then(|index| self.strings.get(index));
                (Cow::Borrowed(index.ok_or_else(|| corrupt("a cell refers to a text that is not there"))?), None)
            }
            "str" | "inlineStr" => (unescape(text), None),
            "b" => (Cow::Borrowed(if text.trim() == "1" { "true" } else { "false" }), None),
            "e" => (Cow::Borrowed(text), Some(Mark::Error)),
            "d" => (Cow::Borrowed(text.trim()), Some(Mark::Date)),
            "" | "n" if text.trim().is_empty() => (Cow::Borrowed(""), None),
            "" | "n" => self.number(cell),
            other => return Err(corrupt(format!("a cell is of the unknown type {}", crate::error::excerpt(other)))),
        })
    }

    fn number(&self, cell: &Cell) -> (Cow<'static, str>, Option<Mark>) {
        let kind = self.styles.get(cell.style).copied().unwrap_or_default();
        let moment = (kind != Kind::Number).then(|| moment(&cell.text, kind, self.since_1904)).flatten();
        match moment {
            Some(moment) => (Cow::Owned(moment), Some(Mark::Date)),
            // What is no number is said as it stands, and fails where a number is wanted.
            None => (Cow::Owned(decimal(&cell.text).unwrap_or_else(|| cell.text.clone())), None),
        }
    }
}

/// The column of a place such as `B7`, from 0.
fn column(place: &str) -> Option<usize> {
    let letters = place.len() - place.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
    if letters == 0 || letters > 3 {
        return None;
    }
    let number = place.bytes().take(letters).fold(0, |n, b| n * 26 + usize::from(b.to_ascii_uppercase() - b'A') + 1);
    Some(number - 1)
}

/// Characters that XML cannot hold are written `_xHHHH_` in texts (ECMA-376, 22.9.2.19).
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find("_x") else { return Cow::Borrowed(text) };
    let mut out = text[..first].to_owned();
    let mut rest = &text[first..];
    while let Some(c) = rest.chars().next() {
        let escaped = rest.strip_prefix("_x").filter(|rest| rest.as_bytes().get(4) == Some(&b'_'));
        let code = escaped.and_then(|rest| rest.get(..4)).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32) {
            Some(character) => {
                out.push(character);
                rest = &rest[7..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    Cow::Owned(out)
}
