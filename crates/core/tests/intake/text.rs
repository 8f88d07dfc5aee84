//! An example for each rule about dialects, lines and encodings.

use super::*;
use muster_core::intake::encoding::Encoding;

fn lines(bytes: &[u8]) -> Vec<u64> {
    rows(bytes).iter().map(|row| row.line).collect()
}

fn delimiter(bytes: &[u8]) -> char {
    sniff(bytes).expect("the file is accepted").delimiter.expect("CSV has one")
}

fn with_encoding(encoding: Encoding) -> SniffOptions {
    SniffOptions { encoding: Some(encoding), ..SniffOptions::default() }
}

// Dialect

#[test]
fn delimiter_is_the_one_most_frequent_in_the_header_outside_of_quotes() {
    assert_eq!(delimiter(b"a,b,c\n1;2;3;4;5"), ',');
    assert_eq!(delimiter(b"a;b\n"), ';');
    assert_eq!(delimiter(b"a\tb"), '\t');
    assert_eq!(delimiter(b"\r\n\na|b"), '|');
    assert_eq!(delimiter(b"\"a,b,c\";\"d,e\n\"\",,\"\n"), ';');
    assert_eq!(delimiter(b"a;\"b,,,\";c,d"), ';');
    assert_eq!(delimiter(b"5\" pipe;length"), ';');
    assert_eq!(delimiter(b"a;b,c"), ',');
    assert_eq!(delimiter(b"email"), ',');
}

#[test]
fn delimiter_that_is_said_is_taken_and_one_that_cannot_be_is_refused() {
    let with = |delimiter| SniffOptions { delimiter: Some(delimiter), ..SniffOptions::default() };
    let source = sniff_with(with(b'|'), b"a,b|c\n", &[1]).unwrap();
    assert_eq!((source.delimiter, source.header), (Some('|'), vec!["a,b".to_owned(), "c".to_owned()]));
    for wrong in [b'"', b'\n', b'\r', 0, b'a', b'7', 0xE9] {
        assert_eq!(code(sniff_with(with(wrong), b"a,b\n", &[1])), Code::InvalidOption);
    }
}

#[test]
fn sep_line_names_the_delimiter_and_counts_as_a_line() {
    for line in ["sep=;", "SEP=;", "\"sep=;\""] {
        let file = format!("{line}\r\na,b;c\r\n1;2\r\n");
        let source = sniff(file.as_bytes()).unwrap();
        assert!(source.sep_line);
        assert_eq!((source.delimiter, source.header), (Some(';'), vec!["a,b".to_owned(), "c".to_owned()]));
        assert_eq!(lines(file.as_bytes()), [3]);
        assert_eq!(cells(file.as_bytes()), [["1", "2"]]);
    }
    assert_eq!(cells(b"sep=\t\na\tb\n1\t2"), [["1", "2"]]);
    assert!(!sniff(b"sep=ab,c\n").unwrap().sep_line);
    assert_eq!(code(sniff(b"sep=;\n")), Code::MissingHeader);
}

#[test]
fn quotes_are_taken_off_and_doubled_ones_are_one() {
    assert_eq!(cells(b"a,b\n\"x,\"\"y\"\"\",\"\"\n\"\"\"\",z\"z\n"), [["x,\"y\"", ""], ["\"", "z\"z"]]);
}

#[test]
fn what_follows_a_closing_quote_is_read_and_remembered() {
    let file = b"a,b\n1,\"5\" pipe\"\n1,2";
    let mut records = Records::new(&file[..], &sniff(file).unwrap(), Limits::default());
    let mut record = Record::new();
    assert!(records.read(&mut record).unwrap());
    assert_eq!((record.text(1), record.stray_quote(), record.defect()), ("5 pipe\"", Some(1), None));
    assert!(records.read(&mut record).unwrap());
    assert_eq!((record.text(1), record.stray_quote()), ("2", None));
    assert_eq!((record.cell(2), record.text(2)), (None, ""));
    assert_eq!(records.bytes_read(), file.len() as u64);
}

// Lines

#[test]
fn records_end_with_crlf_lf_or_cr() {
    for end in ["\r\n", "\n", "\r"] {
        let file = ["a,b", "1,2", "", "3,4", "5,", ""].join(end);
        assert_eq!(lines(file.as_bytes()), [2, 4, 5], "{end:?}");
        assert_eq!(cells(file.as_bytes()), [["1", "2"], ["3", "4"], ["5", ""]]);
    }
    assert_eq!(lines(b"a\r1\n2\r\n3\n\r4\n\n5"), [2, 3, 4, 6, 8]);
}

#[test]
fn last_record_needs_no_line_end() {
    assert_eq!(cells(b"a,b\n1,"), [["1", ""]]);
    assert_eq!(cells(b"a,b\n1,\"2\""), [["1", "2"]]);
    assert!(cells(b"a,b").is_empty());
}

#[test]
fn blank_lines_are_lines_and_no_records() {
    let numbered: Vec<_> = rows(b"\n\r\na\n\n1\n\n\n2\n\n").iter().map(|row| (row.number, row.line)).collect();
    assert_eq!(numbered, [(1, 5), (2, 8)]);
}

#[test]
fn line_of_spaces_and_line_of_quotes_are_records() {
    assert_eq!(cells(b"a\n  \n\"\"\n"), [["  "], [""]]);
}

#[test]
fn line_breaks_inside_of_quotes_advance_the_next_record() {
    assert_eq!(lines(b"\"a\n\",b\n1,\"\r\n\r\n\n\"\n2,3\n"), [3, 7]);
    assert_eq!(lines(b"a\r\"\r\"\r\"\n\"\n\"\r\"\n2"), [2, 4, 6, 8]);
    assert_eq!(lines(b"a\n\"\r\"\"\n\"\n2"), [2, 5]);
}

// Encodings

#[test]
fn byte_order_mark_decides_before_everything() {
    let text = "Émail,b\r\n1,€😀\r\n";
    let files = [
        ([b"\xEF\xBB\xBF", text.as_bytes()].concat(), Encoding::Utf8, 3),
        (utf16(&format!("\u{FEFF}{text}"), u16::to_le_bytes), Encoding::Utf16Le, 2),
        (utf16(&format!("\u{FEFF}{text}"), u16::to_be_bytes), Encoding::Utf16Be, 2),
    ];
    for (file, encoding, bom_bytes) in files {
        let source = sniff_with(with_encoding(Encoding::Windows1252), &file, &[1]).unwrap();
        assert_eq!((source.encoding, source.bom_bytes), (encoding, bom_bytes));
        assert_eq!(source.header, ["Émail", "b"]);
        assert_eq!(cells(&file), [["1", "€😀"]]);
    }
}

#[test]
fn encoding_that_is_said_is_taken() {
    let file = utf16("a,b\n1,ü", u16::to_be_bytes);
    let source = sniff_with(with_encoding(Encoding::Utf16Be), &file, &[3]).unwrap();
    assert_eq!((source.encoding, source.bom_bytes), (Encoding::Utf16Be, 0));
    assert_eq!(read(&file, &source).0[0].cells, ["1", "ü"]);
    let source = sniff_with(with_encoding(Encoding::Windows1252), "a\nü".as_bytes(), &[3]).unwrap();
    assert_eq!(read("a\nü".as_bytes(), &source).0[0].cells, ["Ã¼"]);
}

#[test]
fn encodings_have_the_names_of_the_web() {
    for (name, encoding) in [
        ("UTF-8", Encoding::Utf8),
        ("utf8", Encoding::Utf8),
        ("us-ascii", Encoding::Utf8),
        ("utf-16", Encoding::Utf16Le),
        ("UTF-16BE", Encoding::Utf16Be),
        ("cp1252", Encoding::Windows1252),
        ("iso-8859-1", Encoding::Windows1252),
    ] {
        assert_eq!(name.parse(), Ok(encoding));
        assert_eq!(encoding.as_str().parse(), Ok(encoding));
        assert_eq!(serde_json::to_value(encoding).unwrap(), encoding.as_str());
    }
    assert!("shift_jis".parse::<Encoding>().is_err());
}

#[test]
fn file_without_any_utf8_sequence_is_windows_1252() {
    let file = b"Name,Prix\nAndr\xE9,5 \x80\n\x93q\x94,\x9F\xFF\n";
    assert_eq!(sniff(file).unwrap().encoding, Encoding::Windows1252);
    assert_eq!(cells(file), [["André", "5 €"], ["“q”", "Ÿÿ"]]);
}

#[test]
fn bytes_without_a_character_in_windows_1252_fail_their_row() {
    let file = b"a,b\n\xE9,x\x81y\nx,\xE8\n";
    let rows = rows(file);
    assert_eq!(rows[0].defect, Some(Defect::InvalidEncoding { column: 1 }));
    assert_eq!(rows[0].cells, ["é", "x\u{FFFD}y"]);
    assert_eq!((rows[1].defect, rows[1].cells[1].as_str()), (None, "è"));
}

#[test]
fn file_with_one_utf8_sequence_is_utf8_and_its_other_rows_fail() {
    let file = [b"a,b\n1,\xE9\n".as_slice(), "2,é\n".as_bytes(), b"3,\xE9\xC3\n"].concat();
    let source = sniff_with(SniffOptions::default(), &file, &[1]).unwrap();
    assert_eq!(source.encoding, Encoding::Utf8);
    let found: Vec<_> = rows(&file).into_iter().map(|row| (row.cells.concat(), row.defect)).collect();
    let defect = Some(Defect::InvalidEncoding { column: 1 });
    let expected = [("1\u{FFFD}", defect), ("2é", None), ("3\u{FFFD}\u{FFFD}", defect)];
    assert_eq!(found, expected.map(|(text, defect)| (text.to_owned(), defect)));
}

#[test]
fn encoding_is_decided_over_the_whole_file() {
    let ascii = b"a,b\n1,2\n".repeat(400_000);
    let old = [&ascii[..], b"1,\xE9\n"].concat();
    let new = [&ascii[..], "1,é\n".as_bytes()].concat();
    for compression in [None, Some(Compression::Gzip), Some(Compression::Zstd)] {
        assert_eq!(sniff(&compress(compression, &old)).unwrap().encoding, Encoding::Windows1252);
        assert_eq!(sniff(&compress(compression, &new)).unwrap().encoding, Encoding::Utf8);
    }
}

#[test]
fn character_cut_by_a_delimiter_fails_its_row() {
    let file = [b"a,b\n\xC3,\xA9\n".as_slice(), "é,é".as_bytes()].concat();
    let rows = rows(&file);
    assert_eq!(rows[0].defect, Some(Defect::InvalidEncoding { column: 0 }));
    assert_eq!(rows[0].cells, ["\u{FFFD}", "\u{FFFD}"]);
    assert_eq!(rows[1].defect, None);
}

#[test]
fn unpaired_surrogate_and_odd_byte_fail_their_rows() {
    let mut file = utf16("\u{FEFF}a,b\n1,", u16::to_le_bytes);
    file.extend(0xD83D_u16.to_le_bytes());
    file.extend(utf16("x\n2,😀\n3,", u16::to_le_bytes));
    file.push(b'4');
    let rows = rows(&file);
    assert_eq!(rows[0].defect, Some(Defect::InvalidEncoding { column: 1 }));
    assert_eq!(rows[0].cells, ["1", "\u{FFFD}x"]);
    assert_eq!((rows[1].defect, rows[1].cells[1].as_str()), (None, "😀"));
    assert_eq!(rows[2].defect, Some(Defect::InvalidEncoding { column: 1 }));
}
