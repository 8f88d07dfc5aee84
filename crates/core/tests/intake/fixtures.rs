//! Files as spreadsheets write them; `fixtures/make.py` says how each came to be. All hold the same people.

use super::json::{fields, plan_rows, short};
use super::*;
use muster_core::intake::encoding::Encoding;
use muster_core::intake::sniff::Format;
use muster_core::key::Key;

fn fixture(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(path).expect("the fixture is there")
}

/// Who is named, what is changed, or why not, for each row.
fn outcomes(bytes: &[u8]) -> Vec<String> {
    let describe = |row: Result<muster_core::plan::Row, muster_core::error::RowError>| match row {
        Ok(row) => {
            let Key::Email(email) = &row.key else { panic!("{row:?}") };
            format!("{email}: {}", short(&row))
        }
        Err(error) => format!("{} {}", error.code, error.column.unwrap_or_default()),
    };
    plan_rows(bytes, &[]).into_iter().map(describe).collect()
}

fn people(city: &str) -> [String; 3] {
    [
        format!(
            "ada@example.com: first_name overwrite Ada, city overwrite {city}, points overwrite 12, rate overwrite 0.1, \
             subscribed overwrite true, date_of_birth overwrite 1985-12-10, last_seen overwrite 2024-02-29T10:30:00Z"
        ),
        "bob@example.com: first_name overwrite Bøb \"B\", city overwrite Nîmes; Sud, points overwrite -3, rate overwrite \
         1234.5, subscribed overwrite false, date_of_birth overwrite 2000-01-31"
            .to_owned(),
        "eve@example.com: first_name overwrite Eve".to_owned(),
    ]
}

#[test]
fn text_files_of_spreadsheets_say_the_same() {
    for (name, encoding, delimiter, city) in [
        ("excel-utf8.csv", Encoding::Utf8, ';', "Łódź"),
        ("excel-ansi.csv", Encoding::Windows1252, ';', "Zürich"),
        ("excel-unicode.txt", Encoding::Utf16Le, '\t', "Łódź"),
        ("sep-line.csv", Encoding::Utf8, ';', "Łódź"),
        ("libreoffice.csv", Encoding::Utf8, ',', "Łódź"),
        ("libreoffice-quoted.csv", Encoding::Utf8, ',', "Łódź"),
    ] {
        let file = fixture(name);
        let source = sniff(&file).unwrap();
        assert_eq!((source.encoding, source.delimiter), (encoding, Some(delimiter)), "{name}");
        assert_eq!(outcomes(&file), people(city), "{name}");
    }
}

#[test]
fn workbooks_of_excel_say_the_same_in_every_form() {
    for name in ["excel.xlsx", "excel-1904.xlsx", "excel-inline.xlsx"] {
        for compression in [None, Some(Compression::Gzip), Some(Compression::Zstd)] {
            let file = compress(compression, &fixture(name));
            let source = sniff(&file).unwrap();
            assert_eq!((source.format, source.sheet.as_deref()), (Format::Xlsx, Some("People")), "{name}");
            assert_eq!(source.compression, compression);
            let found = outcomes(&file);
            assert_eq!(found[..3], people("Łódź"), "{name}");
            assert_eq!(found[3], "cell_error Points");
            assert_eq!(found[4], "kim@example.com: rate overwrite 0.3");
            assert_eq!(found[5], "lea@example.com: first_name overwrite Merged");
            assert_eq!(found[6], "liz@example.com: first_name overwrite Lix\ny");
        }
        let lines: Vec<_> = rows(&fixture(name)).iter().map(|row| (row.number, row.line)).collect();
        assert_eq!(lines, [(1, 2), (2, 5), (3, 6), (4, 7), (5, 8), (6, 9), (7, 10)], "{name}");
    }
}

#[test]
fn workbook_of_a_script_hides_a_sheet_and_never_computes() {
    let file = fixture("openpyxl.xlsx");
    assert_eq!(sniff(&file).unwrap().sheet.as_deref(), Some("People"));
    let found = outcomes(&file);
    assert_eq!(found[..3], people("Łódź"));
    assert_eq!(found[3], "cell_error Points");
    assert!(fields().find_by_name("Points").is_some());
}

#[test]
fn sheet_is_chosen_by_name_or_number() {
    let file = fixture("excel.xlsx");
    for sheet in ["Other", "2", " 2 "] {
        let source = sniff_sheet(&file, Some(sheet)).unwrap();
        assert_eq!((source.sheet.as_deref(), source.header.len()), (Some("Other"), 1), "{sheet}");
        assert_eq!(read(&file, &source).0[0].cells, ["zoe@example.com"]);
    }
    for sheet in ["other", "3", "0", "-1"] {
        let error = sniff_sheet(&file, Some(sheet)).unwrap_err();
        assert_eq!(error.code, Code::InvalidOption, "{sheet}");
        assert!(error.detail.contains("\"People\", \"Other\""));
    }
}
