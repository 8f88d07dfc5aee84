//! One record of a file, and what is wrong with it before anybody looks at its values.

#[cfg(doc)]
use super::Limits;
use super::csv::Raw;
use super::formula;
use super::json::split::Piece;

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
    /// The record is longer than [`Limits::record_bytes`]; what was kept of it is its beginning.
    RecordTooLong,
}

impl Defect {
    /// The column to blame, from 0. JSON records have none.
    pub fn column(self) -> usize {
        match self {
            Self::CellTooLong { column } | Self::NulCharacter { column } | Self::InvalidEncoding { column } => column,
            Self::RecordTooLong => 0,
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
    /// It is JSON: the text is the record, and there are no cells.
    json: bool,
    marks: Vec<(usize, Mark)>,
}

/// What a spreadsheet says about a cell beside its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is a day or an instant, written as ISO 8601 whatever the file's own format is.
    Date,
    /// It holds an error such as `#N/A`, or a formula that was never computed.
    Error,
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

    /// The text of a JSON record; `None` where the file has cells.
    pub fn json(&self) -> Option<&str> {
        self.json.then_some(self.text.as_str())
    }

    /// What a spreadsheet says about a cell, columns counted from 0.
    pub fn mark(&self, column: usize) -> Option<Mark> {
        self.marks.iter().find(|(marked, _)| *marked == column).map(|(_, mark)| *mark)
    }

    /// Makes the cells of these columns what they were before they were defused.
    pub(super) fn restore(&mut self, columns: &[usize]) {
        let (mut text, mut ends) = (String::with_capacity(self.text.len()), Vec::with_capacity(self.ends.len()));
        for (column, cell) in self.cells().enumerate() {
            text.push_str(if columns.contains(&column) { formula::restore(cell) } else { cell });
            ends.push(text.len());
        }
        (self.text, self.ends) = (text, ends);
    }

    /// Takes over the text of a JSON record.
    pub(super) fn take_json(&mut self, piece: &Piece, number: u64) {
        self.json = true;
        self.text.clear();
        let text = String::from_utf8_lossy(&piece.bytes);
        let invalid = matches!(text, std::borrow::Cow::Owned(_));
        self.text.push_str(&text);
        (self.number, self.line) = (number, piece.line);
        self.defect = piece
            .too_long
            .then_some(Defect::RecordTooLong)
            .or_else(|| self.text.contains('\0').then_some(Defect::NulCharacter { column: 0 }))
            .or(invalid.then_some(Defect::InvalidEncoding { column: 0 }));
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
        std::mem::swap(&mut self.marks, &mut raw.marks);
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
