//! What can be told from the first lines of a file: its format, or what stands between the cells of a CSV file.

use super::source::Format;
use crate::{Code, Error};

/// The delimiters that are detected; of two that occur equally often the first wins.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How files begin that are sent by mistake.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an XLS workbook or another old Office document"),
    (b"%PDF-", "a PDF document"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89PNG\r\n\x1A\n", "a PNG image"),
    (b"\xFF\xD8\xFF", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"\x7FELF", "a program"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1\x15", "a Parquet file"),
    (b"Obj\x01", "an Avro file"),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"),
    (b"Rar!\x1A\x07", "a RAR archive"),
    (b"\xFD7zXZ\0", "a file compressed with xz"),
    (b"\x1F\x8B", "a file compressed twice"),
    (b"\x28\xB5\x2F\xFD", "a file compressed twice"),
];

/// Refuses what is no text.
pub(super) fn refuse_binary(head: &[u8]) -> Result<(), Error> {
    let known = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)).map(|(_, what)| *what);
    // Three letters and a digit alone could be the name of a column.
    let bzip2 =
        || (head.starts_with(b"BZh") && head.get(4..10) == Some(b"1AY&SY")).then_some("a file compressed with bzip2");
    known.or_else(bzip2).map_or(Ok(()), |what| Err(unsupported(what)))
}

/// Whether it is a ZIP archive, as workbooks are.
pub(super) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

/// Refuses text that is in another format.
pub(super) fn refuse_markup(text: &[u8]) -> Result<(), Error> {
    let text = text.trim_ascii_start();
    let begins = |word: &str| text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()));
    if ["<!doctype html", "<html"].into_iter().any(begins) {
        return Err(unsupported("an HTML page"));
    }
    if begins("<?xml") {
        return Err(unsupported("an XML document"));
    }
    Ok(())
}

/// The format of a text that is JSON: an array, or NDJSON. Not every bracket is JSON: some databases write [Email] for the
/// name of a column, so where a bracket begins a text that could be both, what the sender says decides.
pub(super) fn detect_json(text: &[u8], hint: Option<Format>) -> Option<Format> {
    let text = text.trim_ascii_start();
    let hinted = matches!(hint, Some(Format::Json | Format::Ndjson)) && !text[..text.len().min(4)].contains(&0);
    let inside = |rest: &[u8]| rest.trim_ascii_start().first().copied();
    let (format, certain) = match text {
        [b'{', rest @ ..] => (Format::Ndjson, matches!(inside(rest), Some(b'"' | b'}'))),
        [b'[', rest @ ..] => (Format::Json, matches!(inside(rest), Some(b'{' | b'[' | b'"' | b']') | None)),
        [] => (hint.filter(|_| hinted)?, hinted),
        _ => return None,
    };
    (certain || hinted).then_some(format)
}

pub(super) fn unsupported(what: &str) -> Error {
    let detail = format!("The file looks like {what}. Send CSV, NDJSON, a JSON array or XLSX, plain or compressed.");
    Error::new(Code::UnsupportedFormat, detail)
}

/// The delimiter of a first line like `sep=;`, quoted or not.
pub(super) fn sep_line(text: &[u8]) -> Option<u8> {
    let end = memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len());
    let line = &text[..end];
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match line {
        [name @ .., delimiter] if name.eq_ignore_ascii_case(b"sep=") && is_delimiter(*delimiter) => Some(*delimiter),
        _ => None,
    }
}

/// Whether cells can be told apart by it.
pub(super) fn is_delimiter(byte: u8) -> bool {
    byte == b'\t' || byte == b' ' || (byte.is_ascii_punctuation() && byte != b'"')
}

/// The delimiter that occurs most often outside of quotes in the first line that is not blank.
pub(super) fn detect_delimiter(text: &[u8]) -> u8 {
    let begin = text.iter().position(|byte| !matches!(byte, b'\n' | b'\r')).unwrap_or(text.len());
    let text = &text[begin..];
    let counts = count_delimiters(text, true).or_else(|| count_delimiters(text, false)).unwrap_or_default();
    // Of equal counts `max_by_key` takes the last.
    let best = counts.iter().zip(DELIMITERS).rev().max_by_key(|(count, _)| **count);
    best.map_or(b',', |(_, delimiter)| delimiter)
}

/// How often each delimiter stands in the first line; `None` where quotes matter and do not pair.
fn count_delimiters(text: &[u8], quotes: bool) -> Option<[usize; DELIMITERS.len()]> {
    let mut counts = [0; DELIMITERS.len()];
    let mut quoted = false;
    for byte in text {
        match byte {
            b'"' if quotes => quoted = !quoted,
            _ if quoted => {}
            b'\n' | b'\r' => break,
            _ => {
                if let Some(which) = DELIMITERS.iter().position(|delimiter| delimiter == byte) {
                    counts[which] += 1;
                }
            }
        }
    }
    (!quoted).then_some(counts)
}
