//! From the bytes of a file to rows with positions.
//!
//! ```text
//! upload ─▶ sniff ─▶ Source        (format, encoding, delimiter, header: known before the job exists)
//! staged bytes + Source ─▶ records ─▶ Record   (cells or JSON, record number, line, or the defect that fails the row)
//! Record + fields ─▶ row ─▶ plan::Row          (who is meant, and what is to be changed)
//! ```
//!
//! * [`sniff`] watches the bytes of an upload go by and says what they are; it never holds more than a head of the file.
//! * [`records`] reads the staged bytes again, as often as somebody asks, in memory that does not grow with the file.
//! * [`compression`] and [`encoding`] are the two layers between bytes and text; `csv` finds the cells in the text.
//! * [`json`] finds the records of NDJSON and of a JSON array, [`xlsx`] the rows of a workbook.
//! * [`header`] says which column is which field, [`row`] makes typed values of cells and of JSON.
//!
//! What must hold: no byte is dropped or replaced in silence. What cannot be read fails its row ([`records::Defect`]) or,
//! where it hides how many rows there are, the file ([`Error`]). Nothing here opens a file: readers are passed in.

pub mod compression;
mod csv;
mod dialect;
pub mod encoding;
pub mod formula;
pub mod header;
pub mod json;
mod json_row;
mod record;
pub mod records;
pub mod row;
pub mod sniff;
mod source;
mod text;
pub mod xlsx;

use crate::Error;
use serde::{Deserialize, Serialize};

/// What a file may cost to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Columns in the header, and cells of a record that are kept.
    pub columns: usize,
    /// Bytes of one cell, as UTF-8.
    pub cell_bytes: usize,
    /// Bytes of one JSON record, as UTF-8.
    pub record_bytes: usize,
    /// Bytes that the parts of a workbook may expand to.
    pub workbook_bytes: u64,
    /// Bytes that an archive may expand to.
    pub expanded_bytes: u64,
    /// How many times its compressed size an archive may expand to, once it is past [`Limits::ratio_after_bytes`].
    pub ratio: u64,
    /// Expanded bytes below which any ratio is fine.
    pub ratio_after_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            columns: 1_000,
            cell_bytes: 64 << 10,
            record_bytes: 8 << 20,
            workbook_bytes: 200 << 20,
            expanded_bytes: 20 << 30,
            ratio: 200,
            ratio_after_bytes: 100 << 20,
        }
    }
}

/// Why reading cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is at fault; reading it again ends the same way.
    #[error(transparent)]
    Fault(#[from] Error),
    /// The reader that was passed in failed; the file may be fine.
    #[error("the staged file cannot be read")]
    Io(#[from] std::io::Error),
}
