//! Fuzzing of whatever reads bytes from outside: files of the corpus, changed at random and sent in pieces of any size,
//! against laws that hold for any bytes.
//!
//! Each target runs for a second, or for `MUSTER_FUZZ_SECONDS`; `scripts/test` gives them longer. What fails is made as small
//! as it goes and printed as bytes: save it in the folder of its target under `corpus`, and it is tried first ever after.
//!
//! This is proptest with a generator of changes rather than libFuzzer, because it runs on stable Rust and wherever the other
//! tests run.

mod filter;
mod header;
mod json;
mod mutate;
mod text;
mod workbook;

use muster_core::intake::compression::Compression;
use muster_core::intake::records::{Defect, Record, Records};
use muster_core::intake::sniff::{SniffOptions, Sniffer, Source};
use muster_core::intake::{Limits, ReadError};
use muster_core::{Code, Error};
use mutate::Case;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// What a law says of a case.
type Verdict = Result<(), TestCaseError>;

/// Cases between two looks at the clock.
const ROUND: u32 = 100;

/// Tries the files of a target's corpus as they are, then changed by pieces of each other and of these words, until the time
/// is up.
#[expect(clippy::disallowed_methods, reason = "how long it runs is measured, nothing depends on it")]
fn fuzz(target: &str, words: &[&[u8]], law: impl Fn(&Case) -> Verdict) {
    let corpus = corpus(target);
    for file in &corpus {
        let case = Case { bytes: file.clone(), ..Case::default() };
        law(&case).unwrap_or_else(|error| panic!("{error}\n{case:?}"));
    }
    let seconds = std::env::var("MUSTER_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (begin, strategy) = (Instant::now(), mutate::cases(corpus, words));
    while begin.elapsed() < Duration::from_secs(seconds) {
        let mut runner = TestRunner::new(Config { cases: ROUND, failure_persistence: None, ..Config::default() });
        match runner.run(&strategy, |case| law(&case)) {
            Ok(()) => {}
            Err(TestError::Fail(why, case)) => panic!("{why}\n{case:?}"),
            Err(TestError::Abort(why)) => panic!("{why}"),
        }
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let entries = std::fs::read_dir(folder).expect("the target has a corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    files.iter().map(|file| std::fs::read(file).expect("the file can be read")).collect()
}

/// What can be seen of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    number: u64,
    line: u64,
    len: usize,
    cells: Vec<String>,
    json: Option<String>,
    defect: Option<Defect>,
}

/// What reading a file came to: the records, how it ended, and how many bytes were read where it ended well.
type Outcome = (Vec<Seen>, Result<(), Code>, u64);

fn sniff(case: &Case, bytes: &[u8], sizes: &[usize]) -> Result<Source, Error> {
    let mut sniffer = Sniffer::new(SniffOptions { hint: case.hint, ..SniffOptions::default() });
    let mut pieces = Pieces::new(bytes, sizes);
    while let Some(piece) = pieces.next_piece(usize::MAX) {
        sniffer.push(piece);
    }
    sniffer.finish()
}

fn read(source: &Source, bytes: impl Read, limits: Limits) -> Outcome {
    let mut records = Records::new(bytes, source, limits);
    let (mut record, mut seen) = (Record::new(), Vec::new());
    let end = loop {
        match records.read(&mut record) {
            Ok(true) => seen.push(Seen {
                number: record.number(),
                line: record.line(),
                len: record.len(),
                cells: record.cells().map(str::to_owned).collect(),
                json: record.json().map(str::to_owned),
                defect: record.defect(),
            }),
            Ok(false) => break Ok(()),
            Err(ReadError::Fault(error)) => break Err(error.code),
            Err(ReadError::Io(error)) => panic!("memory can be read: {error}"),
        }
    };
    // How far it reads ahead of a fault depends on the pieces.
    let bytes_read = if end.is_ok() { records.bytes_read() } else { 0 };
    (seen, end, bytes_read)
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
        let Some(piece) = self.next_piece(into.len()) else { return Ok(0) };
        into[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}
