//! JSON: what our splitters find is what a parser of the whole text finds, and every record makes a row or a reason.

use super::text::holds_for_any_text;
use super::*;
use muster_core::field::{BUILT_IN, Field, FieldNumber, FieldSet, built_in_rules};
use muster_core::id::FieldId;
use muster_core::intake::json::{table::Table, with_members};
use muster_core::intake::row::RowParser;
use muster_core::intake::sniff::Format;
use muster_core::job::JobOptions;
use proptest::{prop_assert, prop_assert_eq};
use serde_json::value::RawValue;

const JSON: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\\"",
    b"\\ud800",
    b"\\u0000",
    b"null",
    b"true",
    b"1e9",
    b"-0.10",
    b"{}",
    b"\"op\":\"add\"",
    b"\"value\":5",
    b"\"values\":{",
    b"\"email\":",
    b"\"id\":7,",
    b"\"identities\":[{",
    b"\"source\":\"crm\",",
    b"\"_line\":1,",
    b"\n",
    b"\r\n",
    b" ",
    b"\xEF\xBB\xBF",
    b"\xFF",
    b"\0",
];

pub fn fields() -> FieldSet {
    let field = |(i, (key, name, kind)): (usize, &(&str, &str, _))| Field {
        number: FieldNumber(FieldNumber::FIRST.0 + i as u16),
        id: FieldId::from_bytes([i as u8; 12]),
        key: (*key).to_owned(),
        name: (*name).to_owned(),
        kind: *kind,
        rules: built_in_rules(key),
        built_in: true,
        archived: false,
    };
    FieldSet::new(BUILT_IN.iter().enumerate().map(field).collect())
}

#[test]
fn ndjson() {
    fuzz("ndjson", JSON, |case| {
        let Some((source, (seen, ..))) = holds_for_any_text(case)? else { return Ok(()) };
        if source.format == Format::Ndjson && source.encoding == muster_core::intake::encoding::Encoding::Utf8 {
            let text = &case.bytes[source.bom_bytes.into()..];
            let blank = |line: &[u8]| line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
            let lines = text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !blank(line));
            let lines: Vec<_> = lines.map(|(n, line)| (n as u64 + 1, String::from_utf8_lossy(line))).collect();
            prop_assert_eq!(seen.len(), lines.len());
            for (seen, (number, line)) in seen.iter().zip(lines) {
                prop_assert_eq!(seen.line, number);
                let json = seen.json.as_deref().unwrap_or_default();
                prop_assert_eq!(json, line.trim_start_matches([' ', '\t', '\r']));
            }
        }
        rows_are_explained(case, &source)
    });
}

#[test]
fn array() {
    fuzz("json", JSON, |case| {
        let Some((source, (seen, end, _))) = holds_for_any_text(case)? else { return Ok(()) };
        if source.format == Format::Json && source.encoding == muster_core::intake::encoding::Encoding::Utf8 {
            let text = String::from_utf8_lossy(&case.bytes[source.bom_bytes.into()..]);
            let nul = seen.iter().any(|seen| seen.defect.is_some());
            match serde_json::from_str::<Vec<&RawValue>>(&text) {
                Ok(elements) => {
                    prop_assert_eq!(end, Ok(()));
                    let found: Vec<_> = seen.iter().filter_map(|seen| seen.json.as_deref()).collect();
                    prop_assert_eq!(found, elements.iter().map(|element| element.get()).collect::<Vec<_>>());
                }
                Err(_) => prop_assert!(end == Err(Code::MalformedJson) || nul),
            }
        }
        rows_are_explained(case, &source)
    });
}

/// Each record makes a row of its number or a reason in words; results can be written of any.
fn rows_are_explained(case: &Case, source: &Source) -> Verdict {
    let (fields, options) = (fields(), JobOptions::default());
    let Ok(columns) = source.columns(&fields, &options) else { return Ok(()) };
    let parser = RowParser::new(&columns, &fields, &options);
    let bytes = compress(case.compression, &case.bytes);
    let mut records = Records::new(&bytes[..], source, Limits::default());
    let (mut record, mut table) = (Record::new(), Table::default());
    while let Ok(true) = records.read(&mut record) {
        match parser.parse(&record) {
            Ok(row) => prop_assert_eq!((row.record, row.line), (record.number(), record.line())),
            Err(error) => prop_assert!(!error.message.is_empty()),
        }
        let Some(text) = record.json() else { continue };
        let written = with_members(text, &serde_json::Map::new());
        prop_assert!(
            serde_json::from_str::<serde_json::Map<_, _>>(&written).is_ok() || written.contains("\\u"),
            "{written}"
        );
        prop_assert!(!written.contains(['\n', '\r']), "a record of the results is one line: {written}");
        if table.add(text, 1_000).is_ok() {
            prop_assert_eq!(table.cells(text).len(), table.header().len());
        }
    }
    Ok(())
}
