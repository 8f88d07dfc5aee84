//! Intake from the outside: bytes in, records with positions out. `text` and `faults` have an example for each
//! rule, `json` and `workbook` for each rule about their formats, `laws` what holds for any file; `fixtures` are files as
//! other programs write them.

mod faults;
mod fixtures;
mod json;
mod laws;
mod text;
mod workbook;

use muster_core::intake::compression::Compression;
use muster_core::intake::records::{Defect, Record, Records};
use muster_core::intake::sniff::{Format, SniffOptions, Sniffer, Source};
use muster_core::intake::{Limits, ReadError, xlsx};
use muster_core::{Code, Error};
use std::io::{self, Read, Write};

/// A record taken out of the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    number: u64,
    line: u64,
    len: usize,
    cells: Vec<String>,
    defect: Option<Defect>,
}

/// What reading a file ended with, and the rows before that.
type Outcome = (Vec<Row>, Result<(), ReadError>);

fn sniff(bytes: &[u8]) -> Result<Source, Error> {
    sniff_with(SniffOptions::default(), bytes, &[usize::MAX])
}

fn sniff_sheet(bytes: &[u8], sheet: Option<&str>) -> Result<Source, Error> {
    let mut source = sniff_only(SniffOptions::default(), bytes, &[usize::MAX])?;
    describe_workbook(&mut source, bytes, sheet, Limits::default())?;
    Ok(source)
}

fn sniff_with(options: SniffOptions, bytes: &[u8], sizes: &[usize]) -> Result<Source, Error> {
    let mut source = sniff_only(options.clone(), bytes, sizes)?;
    describe_workbook(&mut source, bytes, None, options.limits)?;
    Ok(source)
}

/// What the sniffer does not see of a workbook.
fn describe_workbook(source: &mut Source, bytes: &[u8], sheet: Option<&str>, limits: Limits) -> Result<(), Error> {
    if source.format != Format::Xlsx {
        return Ok(());
    }
    xlsx::describe(source, bytes, sheet, limits, Box::new(io::Cursor::new(Vec::new()))).map_err(|error| match error {
        ReadError::Fault(error) => error,
        ReadError::Io(error) => panic!("{error}"),
    })
}

fn sniff_only(options: SniffOptions, bytes: &[u8], sizes: &[usize]) -> Result<Source, Error> {
    let mut sniffer = Sniffer::new(options);
    let mut pieces = Pieces::new(bytes, sizes);
    while let Some(piece) = pieces.next_piece(usize::MAX) {
        sniffer.push(piece);
    }
    sniffer.finish()
}

fn read(bytes: &[u8], source: &Source) -> Outcome {
    read_with(bytes, source, Limits::default())
}

fn read_with(reader: impl Read, source: &Source, limits: Limits) -> Outcome {
    let mut records = Records::new(reader, source, limits);
    let (mut record, mut rows) = (Record::new(), Vec::new());
    loop {
        match records.read(&mut record) {
            Ok(true) => rows.push(Row {
                number: record.number(),
                line: record.line(),
                len: record.json().map_or(record.len(), |_| 1),
                // The text of a JSON record stands as its only cell.
                cells: record.cells().chain(record.json()).map(str::to_owned).collect(),
                defect: record.defect(),
            }),
            Ok(false) => return (rows, Ok(())),
            Err(error) => return (rows, Err(error)),
        }
    }
}

/// Sniffs and reads; both must work.
fn rows(bytes: &[u8]) -> Vec<Row> {
    let (rows, end) = read(bytes, &sniff(bytes).expect("the file is accepted"));
    end.expect("the file has no fault");
    rows
}

fn cells(bytes: &[u8]) -> Vec<Vec<String>> {
    rows(bytes).into_iter().map(|row| row.cells).collect()
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    result.expect_err("it is refused").code
}

/// The code that reading ends with.
fn fault((_, end): &Outcome) -> Code {
    match end {
        Err(ReadError::Fault(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

fn compress(compression: Option<Compression>, bytes: &[u8]) -> Vec<u8> {
    match compression {
        None => bytes.to_vec(),
        Some(Compression::Zstd) => zstd::encode_all(bytes, 1).expect("writing to memory does not fail"),
        Some(Compression::Gzip) => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).expect("writing to memory does not fail");
            encoder.finish().expect("writing to memory does not fail")
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    compress(Some(Compression::Gzip), bytes)
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress(Some(Compression::Zstd), bytes)
}

fn utf16(text: &str, unit: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

/// Bytes that come in pieces of the given sizes, over and over.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl<'a> Pieces<'a> {
    fn new(bytes: &'a [u8], sizes: &'a [usize]) -> Self {
        Self { bytes, sizes: sizes.iter().cycle() }
    }

    fn next_piece(&mut self, most: usize) -> Option<&'a [u8]> {
        let size = self.sizes.next().copied().unwrap_or(usize::MAX).min(most).min(self.bytes.len());
        let (piece, rest) = self.bytes.split_at(size);
        self.bytes = rest;
        (!piece.is_empty()).then_some(piece)
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.next_piece(into.len()) else {
            return Ok(0);
        };
        into[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}
