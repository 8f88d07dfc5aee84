//! The archive around a workbook: its parts by name, each bounded in what it may expand to and checked by its sum.

use super::parts::{Relationship, Strings, Tab, read_relationships, read_styles, read_workbook};
use super::sheet::{Book, Sheet};
use super::{Scratch, corrupt, too_large};
use crate::intake::dialect::unsupported;
use crate::intake::{Limits, ReadError};
use crate::{Code, Error};
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use zip::{CompressionMethod, ZipArchive};

/// An archive that holds a workbook.
pub(super) struct Package {
    archive: ZipArchive<Box<dyn Scratch>>,
    /// Names as they are compared → index.
    names: HashMap<String, usize>,
    limits: Limits,
    /// Bytes that may still come out.
    left: u64,
}

impl Package {
    pub fn open(scratch: Box<dyn Scratch>, limits: Limits) -> Result<Self, Error> {
        let mut archive = ZipArchive::new(scratch).map_err(|_| corrupt("it has no end that lists its parts"))?;
        let mut names = HashMap::with_capacity(archive.len());
        let mut expanded = 0_u64;
        for index in 0..archive.len() {
            let part = archive.by_index_raw(index).map_err(corrupt)?;
            expanded = expanded.saturating_add(part.size());
            names.insert(comparable(&part.name().map_err(corrupt)?), index);
        }
        if expanded > limits.workbook_bytes {
            return Err(too_large(limits));
        }
        Ok(Self { archive, names, limits, left: limits.workbook_bytes })
    }

    /// Opens the sheet of this name or number, or the first that is not hidden.
    pub fn open_sheet(mut self, wanted: Option<&str>, width: usize) -> Result<(String, Sheet), ReadError> {
        let path = self.workbook_path()?;
        let (tabs, since_1904) = self.read(&path, read_workbook)?;
        let relationships = self.relationships(&path)?;
        let target = |relationship: &Relationship| resolve(&path, &relationship.target);
        let of_kind = |kind: &str| relationships.iter().find(|found| found.kind == kind).map(target);
        let sheets: Vec<(&Tab, String)> = tabs
            .iter()
            .filter_map(|tab| {
                let sheet = relationships.iter().find(|found| found.id == tab.relationship)?;
                (sheet.kind == "worksheet").then(|| (tab, target(sheet)))
            })
            .collect();
        let (tab, path) = choose(&sheets, wanted)?;
        let styles = match of_kind("styles").filter(|path| self.has(path)) {
            Some(path) => self.read(&path, read_styles)?,
            None => Vec::new(),
        };
        let strings = match of_kind("sharedStrings").filter(|path| self.has(path)) {
            Some(path) => self.read(&path, Strings::read)?,
            None => Strings::default(),
        };
        let limits = self.limits;
        let book = Book { strings, styles, since_1904, limits, width };
        Ok((tab.name.clone(), Sheet::new(path, self.into_part(path)?, book)?))
    }

    /// Where the workbook is, or what the archive is instead.
    fn workbook_path(&mut self) -> Result<String, Error> {
        let main = self.relationships("")?.into_iter().find(|found| found.kind == "officeDocument");
        let path = main.map_or_else(|| "xl/workbook.xml".to_owned(), |found| resolve("", &found.target));
        if self.has(&path)
            && path.ends_with(".xml")
            && !self.has("word/document.xml")
            && !self.has("ppt/presentation.xml")
        {
            return Ok(path);
        }
        let known = [
            ("xl/workbook.bin", "an XLSB workbook"),
            ("word/document.xml", "a Word document"),
            ("ppt/presentation.xml", "a PowerPoint presentation"),
            ("content.xml", "an OpenDocument file"),
        ];
        let what = known
            .iter()
            .find(|(part, _)| self.has(part))
            .map_or("a ZIP archive that is no workbook", |(_, what)| *what);
        Err(unsupported(what))
    }

    fn has(&self, path: &str) -> bool {
        self.names.contains_key(&comparable(path))
    }

    /// What a part refers to; the archive itself is the part without a name.
    fn relationships(&mut self, path: &str) -> Result<Vec<Relationship>, Error> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let path = format!("{folder}/_rels/{name}.rels");
        if self.has(&path) { self.read(&path, read_relationships) } else { Ok(Vec::new()) }
    }

    fn index(&self, path: &str) -> Result<usize, Error> {
        self.names.get(&comparable(path)).copied().ok_or_else(|| corrupt(format!("it has no part {path}")))
    }

    /// Reads a whole part.
    fn read<T>(&mut self, path: &str, read: impl FnOnce(&str, &mut dyn Read) -> Result<T, Error>) -> Result<T, Error> {
        let index = self.index(path)?;
        let part = self.archive.by_index(index).map_err(corrupt)?;
        let mut part = Bounded { inner: part, left: self.left, exceeded: false };
        let result = read(path, &mut part);
        self.left = part.left;
        if part.exceeded { Err(too_large(self.limits)) } else { result }
    }

    /// Takes the archive apart to read one part of it as a stream.
    fn into_part(mut self, path: &str) -> Result<Bounded<Part>, ReadError> {
        let index = self.index(path)?;
        let part = self.archive.by_index_raw(index).map_err(corrupt)?;
        let (begin, length) = (part.data_start(), part.compressed_size());
        let (method, encrypted, sum) = (part.compression(), part.encrypted(), part.crc32());
        drop(part);
        let begin = begin.filter(|_| !encrypted).ok_or_else(|| corrupt("the sheet is encrypted"))?;
        let mut archive = self.archive.into_inner();
        archive.seek(SeekFrom::Start(begin))?;
        let stored = BufReader::with_capacity(64 << 10, archive.take(length));
        let inner = match method {
            CompressionMethod::Stored => Inner::Stored(stored),
            CompressionMethod::Deflated => Inner::Deflated(Box::new(flate2::bufread::DeflateDecoder::new(stored))),
            other => return Err(corrupt(format!("the sheet is compressed with {other}, which nobody does")).into()),
        };
        let part = Part { inner, sum: flate2::Crc::new(), expected: sum };
        Ok(Bounded { inner: part, left: self.left, exceeded: false })
    }
}

/// Chooses a sheet.
fn choose<'a>(sheets: &'a [(&Tab, String)], wanted: Option<&str>) -> Result<(&'a Tab, &'a str), Error> {
    let found = match wanted {
        None => sheets.iter().find(|(tab, _)| !tab.hidden).or(sheets.first()),
        Some(wanted) => {
            let by_number = || sheets.get(wanted.trim().parse::<usize>().ok()?.checked_sub(1)?);
            sheets.iter().find(|(tab, _)| tab.name == wanted).or_else(by_number)
        }
    };
    let (tab, path) = found.ok_or_else(|| {
        let names: Vec<String> = sheets.iter().take(8).map(|(tab, _)| format!("\"{}\"", tab.name)).collect();
        match wanted {
            None => corrupt("it has no sheet"),
            Some(wanted) => {
                let wanted = crate::error::excerpt(wanted);
                let message = format!("the workbook has no sheet \"{wanted}\"; it has {}", names.join(", "));
                Error::at("/sheet", Code::InvalidOption, message)
            }
        }
    })?;
    Ok((tab, path))
}

/// A name as names are compared: some writers use backslashes, a slash before it, or other cases.
fn comparable(name: &str) -> String {
    name.replace('\\', "/").trim_start_matches('/').to_ascii_lowercase()
}

/// The path that a target means, seen from a part.
fn resolve(from: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut path: Vec<&str> = from.split('/').collect();
    path.pop();
    for step in target.split('/') {
        match step {
            ".." => drop(path.pop()),
            "." | "" => {}
            step => path.push(step),
        }
    }
    path.join("/")
}

/// Stops what expands to more than is left.
pub(super) struct Bounded<R> {
    inner: R,
    left: u64,
    exceeded: bool,
}

impl<R> Bounded<R> {
    /// Whether more wanted to come out.
    pub fn is_exceeded(&self) -> bool {
        self.exceeded
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.exceeded |= read as u64 > self.left;
        self.left = self.left.saturating_sub(read as u64);
        if self.exceeded { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(read) }
    }
}

/// One part as a stream, checked by its sum when it ends.
pub(super) struct Part {
    inner: Inner,
    sum: flate2::Crc,
    expected: u32,
}

type Stored = BufReader<io::Take<Box<dyn Scratch>>>;

enum Inner {
    Stored(Stored),
    Deflated(Box<flate2::bufread::DeflateDecoder<Stored>>),
}

impl Read for Part {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.inner {
            Inner::Stored(inner) => inner.read(into)?,
            Inner::Deflated(inner) => inner.read(into)?,
        };
        self.sum.update(&into[..read]);
        if read == 0 && !into.is_empty() && self.sum.sum() != self.expected {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(read)
    }
}
