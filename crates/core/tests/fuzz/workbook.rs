//! Workbooks: a part that is changed inside of a sound archive, and an archive that is changed anywhere.

use super::*;
use muster_core::intake::sniff::Format;
use muster_core::intake::xlsx;
use proptest::{prop_assert, prop_assert_eq};
use std::io::Cursor;

const XML: &[&[u8]] = &[
    b"<row>",
    b"<row r=\"7\">",
    b"</row>",
    b"<c r=\"B2\" t=\"s\"><v>0</v></c>",
    b"<c t=\"e\"><v>#N/A</v></c>",
    b"<c><f>1</f></c>",
    b"<c s=\"1\"><v>45292.5</v></c>",
    b"<c t=\"inlineStr\"><is><t>x</t></is></c>",
    b"<v>1E-9</v>",
    b"<v>-1</v>",
    b"<v>",
    b"</v>",
    b"&amp;",
    b"&#0;",
    b"&x;",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"<!DOCTYPE x [<!ENTITY a \"b\">]>",
    b"_x000D_",
    b"date1904=\"1\"",
    b"<sheet name=\"x\" id=\"b\"/>",
    b"numFmtId=\"14\"",
    b"formatCode=\"[h]:mm\"",
    b"\n--part--",
    b"../",
    b"PK\x01\x02",
    b"\xFF",
];

/// A file of the corpus names a part on the first line of each of its sections.
fn archive(bytes: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for section in String::from_utf8_lossy(bytes).split("--part--") {
        let (name, content) = section.split_once('\n').unwrap_or((section, ""));
        // A name that stands there already is no part.
        if writer.start_file(name.trim(), zip::write::SimpleFileOptions::default()).is_ok() {
            writer.write_all(content.as_bytes()).expect("writing to memory does not fail");
        }
    }
    writer.finish().expect("writing to memory does not fail").into_inner()
}

fn holds(case: &Case, file: &[u8]) -> Verdict {
    let file = compress(case.compression, file);
    let Ok(mut source) = sniff(case, &file, &case.pushed) else { return Ok(()) };
    if source.format != Format::Xlsx {
        return Ok(());
    }
    let scratch = || Box::new(Cursor::new(Vec::new()));
    match xlsx::describe(&mut source, Pieces::new(&file, &case.pulled), None, Limits::default(), scratch()) {
        Ok(()) => {}
        Err(ReadError::Fault(error)) => {
            prop_assert!(!error.detail.is_empty());
            return Ok(());
        }
        Err(ReadError::Io(error)) => return Err(TestCaseError::fail(format!("memory can be read: {error}"))),
    }
    prop_assert!(source.sheet.is_some() && !source.header.is_empty());
    let outcome = read(&source, &file[..], Limits::default());
    prop_assert_eq!(&outcome, &read(&source, Pieces::new(&file, &case.pulled), Limits::default()));
    let (seen, end, bytes_read) = &outcome;
    prop_assert!(end.is_err() || *bytes_read == file.len() as u64);
    prop_assert!(end.is_ok() || end == &Err(Code::CorruptArchive), "{:?}", end);
    for (index, seen) in seen.iter().enumerate() {
        prop_assert_eq!(seen.number, index as u64 + 1);
        prop_assert!(seen.len >= source.header.len());
        prop_assert!(seen.line > 1);
    }
    prop_assert!(seen.windows(2).all(|two| two[0].line < two[1].line));
    Ok(())
}

#[test]
fn parts() {
    fuzz("xlsx", XML, |case| holds(case, &archive(&case.bytes)));
}

#[test]
fn archives() {
    let sound = archive(&corpus("xlsx")[0]);
    fuzz("xlsx", XML, |case| {
        // The bytes of the case say where the archive is changed, and how.
        let mut file = sound.clone();
        for change in case.bytes.chunks_exact(3).take(8) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
            file[at] ^= change[2];
        }
        file.truncate(file.len() - case.bytes.len() % 7);
        holds(case, &file)
    });
}
