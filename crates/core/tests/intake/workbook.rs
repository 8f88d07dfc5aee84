//! An example for each rule about workbooks, made part by part.

use super::*;
use muster_core::intake::records::Mark;
use muster_core::intake::sniff::Format;
use std::io::Cursor;
use zip::write::SimpleFileOptions;

const TYPES: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// A workbook of one sheet with these rows, and what cells may refer to.
struct Book<'a> {
    rows: &'a str,
    strings: &'a str,
    styles: &'a str,
    properties: &'a str,
}

impl Book<'_> {
    fn parts(&self) -> Vec<(String, String)> {
        let relationships = |all: &[(&str, &str)]| {
            let each = all.iter().enumerate().map(|(n, (kind, target))| {
                format!("<Relationship Id=\"r{n}\" Type=\"{TYPES}/{kind}\" Target=\"{target}\"/>")
            });
            format!("<Relationships>{}</Relationships>", each.collect::<String>())
        };
        [
            ("_rels/.rels", relationships(&[("officeDocument", "xl/workbook.xml")])),
            (
                "xl/_rels/workbook.xml.rels",
                relationships(&[
                    ("worksheet", "worksheets/sheet1.xml"),
                    ("sharedStrings", "sharedStrings.xml"),
                    ("styles", "/xl/styles.xml"),
                ]),
            ),
            (
                "xl/workbook.xml",
                format!(
                    "<workbook>{}<sheets><sheet name=\"A &amp; B\" sheetId=\"1\" r:id=\"r0\"/></sheets></workbook>",
                    self.properties
                ),
            ),
            ("xl/sharedStrings.xml", format!("<sst uniqueCount=\"18446744073709551615\">{}</sst>", self.strings)),
            ("xl/styles.xml", format!("<styleSheet>{}</styleSheet>", self.styles)),
            (
                "xl/worksheets/sheet1.xml",
                format!("<?xml version=\"1.0\"?><worksheet><sheetData>{}</sheetData></worksheet>", self.rows),
            ),
        ]
        .map(|(name, content)| (name.to_owned(), content))
        .into()
    }

    fn file(&self) -> Vec<u8> {
        zipped(&self.parts())
    }
}

impl Default for Book<'_> {
    fn default() -> Self {
        Self { rows: HEADER, strings: "", styles: "", properties: "" }
    }
}

fn zipped(parts: &[(String, String)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        writer.start_file(name, SimpleFileOptions::default()).expect("writing to memory does not fail");
        writer.write_all(content.as_bytes()).expect("writing to memory does not fail");
    }
    writer.finish().expect("writing to memory does not fail").into_inner()
}

const HEADER: &str = "<row><c t=\"inlineStr\"><is><t>a</t></is></c><c t=\"str\"><v>b</v></c></row>";

fn with_rows(rows: &str) -> Vec<u8> {
    Book { rows: &format!("{HEADER}{rows}"), ..Book::default() }.file()
}

#[test]
fn cells_become_text_as_in_a_text_file() {
    let book = Book {
        rows: &format!(
            "{HEADER}<row><c t=\"s\"><v>1</v></c><c><v>1.1000000000000001</v></c></row>\
             <row><c t=\"b\"><v>1</v></c><c t=\"b\"><v>0</v></c></row>\
             <row><c s=\"1\"><v>45292</v></c><c s=\"2\"><v>45292.5</v></c></row>\
             <row><c t=\"d\"><v>2024-01-01T10:00:00</v></c><c t=\"inlineStr\"><is><t>&lt;&#65;_x000D__x005F_x0041_ </t></is></c></row>\
             <row><c t=\"inlineStr\"><is><r><t>on</t></r><r><t>e</t></r><rPh><t>no</t></rPh></is></c><c t=\"n\" s=\"3\"><v>0.5</v></c></row>"
        ),
        strings: "<si><t>first</t></si><si><r><t>Zo</t></r><r><t xml:space=\"preserve\">ë </t></r><rPh><t>x</t></rPh></si>",
        styles: "<numFmts><numFmt numFmtId=\"200\" formatCode=\"d/m/yy hh:mm\"/></numFmts>\
                 <cellStyleXfs><xf numFmtId=\"14\"/></cellStyleXfs>\
                 <cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"200\"/><xf numFmtId=\"9\"/></cellXfs>",
        properties: "",
    };
    assert_eq!(
        cells(&book.file()),
        [
            ["Zoë ", "1.1"],
            ["true", "false"],
            ["2024-01-01", "2024-01-01T12:00:00Z"],
            ["2024-01-01T10:00:00", "<A\r_x0041_ "],
            ["one", "0.5"],
        ]
    );
    let since_1904 = Book { properties: "<workbookPr date1904=\"true\"/>", ..book };
    assert_eq!(cells(&since_1904.file())[2], ["2028-01-02", "2028-01-02T12:00:00Z"]);
}

#[test]
fn rows_have_the_numbers_of_the_sheet_and_blank_ones_are_none() {
    let file = with_rows(
        "<row r=\"2\"/><row r=\"4\"><c r=\"B4\"><v>1</v></c></row><row r=\"5\"><c r=\"A5\" s=\"3\"/></row>\
         <row r=\"6\"><c r=\"A6\"><v>2</v></c><c r=\"D6\"><v>3</v></c></row><row><c><v>4</v></c></row>",
    );
    let found: Vec<_> = rows(&file).into_iter().map(|row| (row.number, row.line, row.cells)).collect();
    let expected: [(u64, u64, &[&str]); 3] = [(1, 4, &["", "1"]), (2, 6, &["2", "", "", "3"]), (3, 7, &["4", ""])];
    assert_eq!(found, expected.map(|(n, line, cells)| (n, line, cells.iter().map(|c| (*c).to_owned()).collect())));
}

#[test]
fn errors_and_formulas_without_a_value_are_marked() {
    let file = with_rows(
        "<row><c t=\"e\"><v>#N/A</v></c><c><f>1+1</f></c></row>\
         <row><c t=\"str\"><f>A1</f><v></v></c><c><f>1+1</f><v>2</v></c></row>",
    );
    let mut records = Records::new(&file[..], &sniff(&file).unwrap(), Limits::default());
    let mut record = Record::new();
    assert!(records.read(&mut record).unwrap());
    assert_eq!((record.text(0), record.mark(0), record.mark(1)), ("#N/A", Some(Mark::Error), Some(Mark::Error)));
    assert!(records.read(&mut record).unwrap());
    assert_eq!((record.mark(0), record.text(1), record.mark(1)), (None, "2", None));
    assert_eq!(records.bytes_read(), file.len() as u64);
}

#[test]
fn text_that_cannot_be_kept_fails_its_row() {
    let long = "é".repeat(40_000);
    let file = with_rows(&format!(
        "<row><c t=\"str\"><v>_x0000_</v></c></row><row><c><v>1</v></c><c t=\"str\"><v>{long}</v></c></row><row><c><v>2</v></c></row>"
    ));
    let found: Vec<_> = rows(&file).into_iter().map(|row| row.defect).collect();
    assert_eq!(found, [Some(Defect::NulCharacter { column: 0 }), Some(Defect::CellTooLong { column: 1 }), None]);
}

#[test]
fn names_of_parts_are_found_however_they_are_written() {
    let parts = Book { rows: &format!("{HEADER}<row><c><v>7</v></c></row>"), ..Book::default() }.parts();
    let odd: Vec<_> =
        parts.iter().map(|(name, content)| (name.replace('/', "\\").to_uppercase(), content.clone())).collect();
    assert_eq!(cells(&zipped(&odd)), [["7", ""]]);
}

#[test]
fn workbook_without_a_header_is_refused() {
    for rows in ["", "<row/>", "<row><c t=\"str\"><v>  </v></c></row>"] {
        assert_eq!(code(sniff(&Book { rows, ..Book::default() }.file())), Code::MissingHeader, "{rows}");
    }
    let wide: String = (0..1_001).map(|n| format!("<c><v>{n}</v></c>")).collect();
    assert_eq!(
        code(sniff(&Book { rows: &format!("<row>{wide}</row>"), ..Book::default() }.file())),
        Code::TooManyColumns
    );
    assert!(rows(&with_rows("")).is_empty());
}

#[test]
fn archives_that_are_no_workbook_are_refused_by_name() {
    let part = |name: &str| (name.to_owned(), "<x/>".to_owned());
    for (name, what) in [
        ("word/document.xml", "Word"),
        ("ppt/presentation.xml", "PowerPoint"),
        ("xl/workbook.bin", "XLSB"),
        ("content.xml", "OpenDocument"),
        ("readme.txt", "ZIP"),
    ] {
        let error = sniff(&zipped(&[part(name)])).unwrap_err();
        assert_eq!(error.code, Code::UnsupportedFormat);
        assert!(error.detail.contains(what), "{error}");
    }
}

#[test]
fn broken_workbooks_are_faults_and_never_rows() {
    let whole = with_rows(&"<row><c><v>1</v></c></row>".repeat(2_000));
    for cut in [4, 30, whole.len() / 2, whole.len() - 30, whole.len() - 1] {
        assert_eq!(code(sniff(&whole[..cut])), Code::CorruptArchive, "{cut}");
    }
    let header = sniff(&whole).unwrap();
    for rows in [
        "<row><c><v>1</v></c>",
        "<row><c><v>1</v></c></row></sheetData>",
        "<row><c t=\"s\"><v>0</v></c></row>",
        "<row><c t=\"z\"><v>0</v></c></row>",
        "<row r=\"1\"><c><v>0</v></c></row>",
        "<row r=\"x\"><c><v>0</v></c></row>",
        "<row><c r=\"B2\"><v>0</v></c><c r=\"A2\"><v>0</v></c></row>",
        "<row><c r=\"7\"><v>0</v></c></row>",
        "<row><c r=\"XFE2\"><v>0</v></c></row>",
        "<row><c><v>&nobody;</v></c></row>",
        "<row><c><v>&#0;</v></c></row>",
        "<row <c>",
    ] {
        let outcome = read(&with_rows(rows), &header);
        assert_eq!(fault(&outcome), Code::CorruptArchive, "{rows}");
    }
    let nested = format!("<row>{}{}</row>", "<x>".repeat(200), "</x>".repeat(200));
    assert_eq!(fault(&read(&with_rows(&nested), &header)), Code::CorruptArchive);
}

#[test]
fn changed_byte_is_found_by_the_sum_of_its_part() {
    let rows = format!("{HEADER}<row><c t=\"str\"><v>unmistakable</v></c></row>");
    let parts = Book { rows: &rows, ..Book::default() }.parts();
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in &parts {
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file(name, stored).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    let mut file = writer.finish().unwrap().into_inner();
    let source = sniff(&file).unwrap();
    assert_eq!(read(&file, &source).0[0].cells, ["unmistakable", ""]);
    let at = memchr::memmem::find(&file, b"unmistakable").unwrap();
    file[at] = b'U';
    assert_eq!(fault(&read(&file, &source)), Code::CorruptArchive);
}

#[test]
fn workbook_that_expands_without_end_is_stopped() {
    let limits = Limits { workbook_bytes: 100_000, ..Limits::default() };
    let big = with_rows(&"<row><c><v>1</v></c></row>".repeat(20_000));
    let source = sniff(&big).unwrap();
    assert!(big.len() < 100_000);
    assert_eq!(fault(&read_with(&big[..], &source, limits)), Code::ArchiveTooLarge);

    // The table of contents says that the sheet is small.
    let mut lying = big.clone();
    let sheet = "xl/worksheets/sheet1.xml".as_bytes();
    let name = memchr::memmem::rfind(&lying, sheet).unwrap();
    lying[name - 46 + 24..name - 46 + 28].copy_from_slice(&100_u32.to_le_bytes());
    assert_eq!(fault(&read_with(&lying[..], &source, limits)), Code::ArchiveTooLarge);

    let strings = "<si/>".repeat(30_000);
    let strings = Book { strings: &strings, ..Book::default() }.file();
    let options = SniffOptions { limits, ..SniffOptions::default() };
    assert_eq!(code(sniff_with(options.clone(), &strings, &[1_000])), Code::ArchiveTooLarge);
    let stored: Vec<u8> = [&strings[..], &vec![0; 100_000]].concat();
    assert_eq!(code(sniff_with(options, &stored, &[1_000])), Code::ArchiveTooLarge);
    let parts: Vec<_> = (0..20_001).map(|n| (n.to_string(), String::new())).collect();
    assert_eq!(code(sniff(&zipped(&parts))), Code::ArchiveTooLarge);
}

#[test]
fn format_is_known_from_the_first_bytes() {
    let source = sniff_only(SniffOptions::default(), b"PK\x03\x04", &[1]).unwrap();
    assert_eq!((source.format, source.header.len(), source.delimiter), (Format::Xlsx, 0, None));
}
