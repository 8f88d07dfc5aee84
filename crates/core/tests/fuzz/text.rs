//! Any text: what holds for every format that is no archive.

use super::*;
use muster_core::intake::sniff::Format;
use proptest::{prop_assert, prop_assert_eq};

const CSV: &[&[u8]] = &[
    b"\"",
    b"\"\"",
    b",",
    b";",
    b"\t",
    b"|",
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"sep=;\n",
    b"\xEF\xBB\xBF",
    b"\xFF\xFE",
    b"\xFE\xFF",
    b"\xC3\xA9",
    b"\xE9",
    b"\0",
    b"{\"",
    b"[{",
    b"PK\x03\x04",
    b"\x1F\x8B",
    b"\\N",
];

#[test]
fn csv() {
    fuzz("csv", CSV, |case| {
        let Some((source, outcome)) = holds_for_any_text(case)? else { return Ok(()) };
        if source.format == Format::Csv && outcome.1.is_ok() {
            prop_assert!(outcome.0.iter().all(|seen| seen.len >= seen.cells.len() && !seen.cells.is_empty()));
        }
        Ok(())
    });
}

/// Pieces of any size change nothing, records are numbered without a gap on lines that go up, and at the end every byte was
/// read. Gives the source and what was read, where the file is accepted.
pub fn holds_for_any_text(case: &Case) -> Result<Option<(Source, Outcome)>, TestCaseError> {
    let bytes = compress(case.compression, &case.bytes);
    let whole = sniff(case, &bytes, &[]);
    prop_assert_eq!(&whole, &sniff(case, &bytes, &case.pushed));
    let source = match whole {
        Ok(source) => source,
        Err(error) => {
            prop_assert!(error.detail.ends_with(['.', '?', '"']) || !error.errors.is_empty(), "{}", error.detail);
            return Ok(None);
        }
    };
    let outcome = read(&source, &bytes[..], Limits::default());
    prop_assert_eq!(&outcome, &read(&source, Pieces::new(&bytes, &case.pulled), Limits::default()));
    let (seen, end, bytes_read) = &outcome;
    for (index, seen) in seen.iter().enumerate() {
        prop_assert_eq!(seen.number, index as u64 + 1);
        prop_assert_eq!(seen.json.is_some(), source.format.is_json());
    }
    // Elements of an array may share a line.
    let shares = source.format == Format::Json;
    prop_assert!(seen.windows(2).all(|two| two[0].line < two[1].line || (shares && two[0].line == two[1].line)));
    if end.is_ok() {
        prop_assert_eq!(*bytes_read, bytes.len() as u64);
    }
    Ok(Some((source, outcome)))
}
