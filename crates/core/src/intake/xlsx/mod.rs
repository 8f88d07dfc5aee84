//! Rows of a workbook as Excel has written it since 2007 (Office Open XML, ECMA-376): a ZIP archive of XML files.
//!
//! The archive and the XML are read by libraries. What stands here is what a cell means, because readers of workbooks give
//! numbers as floats and hold all texts one by one: a row must keep the digits that are stored, memory must not follow
//! what a file claims about itself, and a part that expands without end must be stopped.
//!
//! An archive has its table of contents at the end, so the file is first copied to a scratch file that is passed in.

mod number;
mod package;
mod parts;
mod sheet;
mod xml;

use self::package::Package;
use self::sheet::Sheet;
use super::compression::Expanded;
use super::record::Record;
use super::sniff::check_header;
use super::source::Source;
use super::{Limits, ReadError};
use crate::{Code, Error};
use std::io::{BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom, Write};

/// A file to unpack a workbook into, empty at first.
pub trait Scratch: Read + Write + Seek + Send {}
impl<T: Read + Write + Seek + Send> Scratch for T {}

/// Bytes copied at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Parts that an archive may have. Each costs memory before anything of it is read.
const PARTS: usize = 20_000;

/// How each entry of an archive's table of contents begins.
const ENTRY: &[u8] = b"PK\x01\x02";

/// Finds out which sheet of a workbook is read, and its header: what [`super::sniff::Sniffer`] cannot know before it has
/// seen the end of the file. `sheet` is a name or a number from 1; without it, it is the first sheet that is not hidden.
///
/// Errors: `unsupported_format` for other archives, `invalid_option` where there is no such sheet, `corrupt_archive`,
/// `archive_too_large`, `empty_file`, `missing_header` and `too_many_columns`.
pub fn describe(
    source: &mut Source,
    file: impl Read,
    sheet: Option<&str>,
    limits: Limits,
    scratch: Box<dyn Scratch>,
) -> Result<(), ReadError> {
    let mut workbook = Workbook::new(file, source, limits);
    workbook.set_scratch(scratch);
    let (name, mut sheet) = workbook.open(sheet, 0)?;
    let mut record = Record::new();
    if !sheet.read(&mut record, 0)? {
        let detail = format!("The sheet \"{name}\" has no row that names the columns.");
        return Err(Error::new(Code::MissingHeader, detail).into());
    }
    source.header = check_header(&record, limits)?;
    source.sheet = Some(name);
    Ok(())
}

/// The data rows of a workbook's sheet.
pub(super) struct Workbook<R: Read> {
    bytes: Expanded<BufReader<R>>,
    scratch: Option<Box<dyn Scratch>>,
    copied: u64,
    parts: usize,
    /// The end of what was copied, where an entry may begin.
    tail: Vec<u8>,
    source: Source,
    limits: Limits,
    sheet: Option<Box<Sheet>>,
}

impl<R: Read> Workbook<R> {
    pub fn new(reader: R, source: &Source, limits: Limits) -> Self {
        let reader = BufReader::with_capacity(CHUNK_BYTES, reader);
        Self {
            bytes: Expanded::new(reader, source.compression, limits),
            scratch: Some(Box::new(Cursor::new(Vec::new()))),
            copied: 0,
            parts: 0,
            tail: Vec::new(),
            source: source.clone(),
            limits,
            sheet: None,
        }
    }

    pub fn set_scratch(&mut self, scratch: Box<dyn Scratch>) {
        self.scratch = Some(scratch);
    }

    pub fn bytes_read(&self) -> u64 {
        self.bytes.bytes_read()
    }

    /// The next row after the header that is not blank.
    pub fn read(&mut self, record: &mut Record, number: u64) -> Result<bool, ReadError> {
        let sheet = match &mut self.sheet {
            Some(sheet) => sheet,
            None => {
                let name = self.source.sheet.clone();
                let (_, mut sheet) = self.open(name.as_deref(), self.source.header.len())?;
                if !sheet.read(record, 0)? {
                    return Ok(false);
                }
                self.sheet.insert(Box::new(sheet))
            }
        };
        sheet.read(record, number)
    }

    /// Opens a sheet, and says its name. Rows are as wide as the header at least.
    fn open(&mut self, sheet: Option<&str>, width: usize) -> Result<(String, Sheet), ReadError> {
        self.unpack()?;
        // Asked for again only after a fault, which is remembered further out.
        let scratch = self.scratch.take().ok_or(ErrorKind::NotFound);
        let scratch = scratch.map_err(|kind| ReadError::Io(kind.into()))?;
        Package::open(scratch, self.limits)?.open_sheet(sheet, width)
    }

    /// Copies the file to the scratch file, from where it stopped.
    fn unpack(&mut self) -> Result<(), ReadError> {
        let Some(scratch) = &mut self.scratch else { return Ok(()) };
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = self.bytes.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            self.copied += read as u64;
            if self.copied > self.limits.workbook_bytes {
                return Err(too_large(self.limits).into());
            }
            self.tail.extend_from_slice(&chunk[..read]);
            self.parts += memchr::memmem::find_iter(&self.tail, ENTRY).count();
            self.tail.drain(..self.tail.len().saturating_sub(ENTRY.len() - 1));
            if self.parts > PARTS {
                let detail = format!("The workbook has more than {PARTS} parts.");
                return Err(Error::new(Code::ArchiveTooLarge, detail).into());
            }
            scratch.write_all(&chunk[..read])?;
        }
        scratch.flush()?;
        scratch.seek(SeekFrom::Start(0))?;
        Ok(())
    }
}

fn too_large(limits: Limits) -> Error {
    let detail = format!("The workbook expands to more than {} bytes; send it as CSV.", limits.workbook_bytes);
    Error::new(Code::ArchiveTooLarge, detail)
}

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::new(Code::CorruptArchive, format!("The workbook is damaged or cut off: {what}."))
}
