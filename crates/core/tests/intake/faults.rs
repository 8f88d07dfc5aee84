//! An example for each rule about defects, limits, archives and files that are refused.

use super::*;

fn with_limits(limits: Limits) -> SniffOptions {
    SniffOptions { limits, ..SniffOptions::default() }
}

// Limits and defects

#[test]
fn nul_character_fails_its_row() {
    let rows = rows(b"a,b\n1,x\0y\n1,2\n");
    assert_eq!(rows[0].defect, Some(Defect::NulCharacter { column: 1 }));
    assert_eq!(rows[0].cells, ["1", "x\0y"]);
    assert_eq!(rows[1].defect, None);
}

#[test]
fn nul_character_in_the_header_refuses_the_file() {
    for file in [utf16("a,b\n", u16::to_le_bytes), utf16("a,b\n", u16::to_be_bytes), b"a,\0\n".to_vec()] {
        let error = sniff(&file).unwrap_err();
        assert_eq!(error.code, Code::UnsupportedFormat);
        assert!(error.detail.contains("encoding=utf-16le"));
    }
}

#[test]
fn cell_over_the_limit_fails_its_row_and_is_cut_between_characters() {
    let limits = Limits { cell_bytes: 5, ..Limits::default() };
    let file = "a,b\n12345,ab\n1,éééé\n\"12\"\"4\",\"1\n3\n5\n\"\n1,2\n";
    let (rows, end) = read_with(file.as_bytes(), &sniff(file.as_bytes()).unwrap(), limits);
    end.unwrap();
    let found: Vec<_> = rows.iter().map(|row| (row.line, row.defect, row.cells[1].as_str())).collect();
    let defect = Some(Defect::CellTooLong { column: 1 });
    assert_eq!(found, [(2, None, "ab"), (3, defect, "éé"), (4, defect, "1\n3\n5"), (8, None, "2")]);
}

#[test]
fn cell_without_end_takes_no_memory() {
    let source = sniff(b"a,b\n1,2\n").unwrap();
    let file = io::Read::chain(&b"a,b\n1,\""[..], io::repeat(b'x').take(50 << 20)).chain(&b"\"\n1,2\n"[..]);
    let (rows, end) = read_with(file, &source, Limits::default());
    end.unwrap();
    assert_eq!((rows[0].cells[1].len(), rows[0].defect), (64 << 10, Some(Defect::CellTooLong { column: 1 })));
    assert_eq!((rows[1].number, rows[1].defect), (2, None));
}

#[test]
fn header_may_have_as_many_columns_as_the_limit() {
    let header = |columns| vec!["a"; columns].join(",");
    assert_eq!(sniff(header(1_000).as_bytes()).unwrap().header.len(), 1_000);
    assert_eq!(code(sniff(header(1_001).as_bytes())), Code::TooManyColumns);
}

#[test]
fn record_wider_than_the_limit_is_counted_and_not_kept() {
    let file = format!("a,b\n{}\n1,2\n", vec!["x"; 5_000].join(","));
    let rows = rows(file.as_bytes());
    assert_eq!((rows[0].len, rows[0].cells.len(), rows[0].defect), (5_000, 1_000, None));
    assert_eq!((rows[1].len, rows[1].number), (2, 2));
}

#[test]
fn unclosed_quote_names_the_line_of_its_record() {
    let file = b"a,b\n1,2\n\n1,\"2\n3,4\n";
    let outcome = read(file, &sniff(file).unwrap());
    assert_eq!((outcome.0.len(), fault(&outcome)), (1, Code::UnclosedQuote));
    assert!(outcome.1.unwrap_err().to_string().contains("line 4"));
    assert_eq!(code(sniff(b"a,\"b\n1,2\n")), Code::UnclosedQuote);
    assert_eq!(code(sniff(&[b"a,\"b".as_slice(), &[b'x'; 2 << 20]].concat())), Code::UnclosedQuote);
}

// Archives

#[test]
fn archive_is_found_by_its_first_bytes_and_all_its_members_are_read() {
    let (head, tail) = (b"a,b\n1,2\n3,".as_slice(), b"4\n".as_slice());
    for (file, compression) in [
        ([gzip(head), gzip(tail)].concat(), Compression::Gzip),
        ([zstd(head), zstd(tail)].concat(), Compression::Zstd),
        ([b"\x50\x2A\x4D\x18\x02\0\0\0xx", &zstd(head)[..], &zstd(tail)].concat(), Compression::Zstd),
    ] {
        let source = sniff_with(SniffOptions::default(), &file, &[1]).unwrap();
        assert_eq!(source.compression, Some(compression));
        assert_eq!(cells(&file), [["1", "2"], ["3", "4"]]);
    }
}

#[test]
fn broken_archive_is_found_when_its_records_are_read() {
    let text: String = (0..200_000).map(|n| format!("{n},{}\n", n * 7919 % 10007)).collect();
    for whole in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
        let (mut damaged, mut checksum) = (whole.clone(), [&whole[..], b"trailing junk"].concat());
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0x55);
        checksum.truncate(whole.len() + 7);
        for file in [&whole[..whole.len() - 1], &whole[..middle], &damaged, &checksum] {
            let outcome = read(file, &sniff(file).unwrap());
            assert_eq!(fault(&outcome), Code::CorruptArchive);
        }
    }
}

#[test]
fn broken_archive_stays_broken_when_it_is_read_again() {
    let whole = gzip(b"a\n1\n");
    let file = &whole[..whole.len() - 3];
    let mut records = Records::new(file, &sniff(file).unwrap(), Limits::default());
    let mut record = Record::new();
    assert!(records.read(&mut record).unwrap());
    for _ in 0..3 {
        let error = records.read(&mut record).unwrap_err();
        assert_eq!(error.to_string(), "The gzip file is cut off.");
    }
}

#[test]
fn archive_whose_header_cannot_be_read_is_refused() {
    for file in
        [&gzip(b"Email,Points\n1,2\n")[..14], &zstd(b"Email,Points\n1,2\n")[..9], b"\x1F\x8B", b"\x28\xB5\x2F\xFD!!!"]
    {
        assert_eq!(code(sniff(file)), Code::CorruptArchive);
    }
}

#[test]
fn bomb_is_defused() {
    let text = [b"a,b\n".as_slice(), &b"1,2\n".repeat(1 << 20)].concat();
    let large = Limits { expanded_bytes: 1 << 20, ..Limits::default() };
    let dense = Limits { ratio: 50, ratio_after_bytes: 1 << 20, ..Limits::default() };
    for file in [gzip(&text), zstd(&text)] {
        for limits in [large, dense] {
            let source = sniff_with(with_limits(limits), &file, &[1_000]).unwrap();
            let outcome = read_with(&file[..], &source, limits);
            assert_eq!(fault(&outcome), Code::ArchiveTooLarge, "{limits:?} {}", file.len());
        }
        read(&file, &sniff(&file).unwrap()).1.unwrap();
    }
    read_with(&text[..], &sniff(&text).unwrap(), large).1.unwrap();
}

// Files that are no files

#[test]
fn file_without_bytes_is_empty() {
    for file in [b"".as_slice(), &gzip(b""), &zstd(b"")] {
        assert_eq!(code(sniff(file)), Code::EmptyFile);
    }
}

#[test]
fn file_without_a_header_is_refused() {
    for file in [b"\n\r\n\n".as_slice(), b"\xEF\xBB\xBF", b",,,\n1,2,3,4\n", b"  ;\"\"\n", b" \na,b\n", &gzip(b"\n")] {
        assert_eq!(code(sniff(file)), Code::MissingHeader, "{file:?}");
    }
    assert_eq!(code(sniff(&[b'a'; 2 << 20])), Code::MissingHeader);
    assert_eq!(code(sniff(&[b'a'; 100 << 10])), Code::MissingHeader);
}

#[test]
fn header_alone_is_a_file_without_records() {
    for file in [b"\n a ,B\n".as_slice(), b" a ,B", b" a ,B\r\n\r\n"] {
        assert_eq!(sniff(file).unwrap().header, [" a ", "B"]);
        assert!(rows(file).is_empty());
    }
}

#[test]
fn other_formats_are_refused_by_name() {
    for (file, name) in [
        (b"%PDF-1.7\n".as_slice(), "PDF"),
        (b"\x7FELF\x02", "program"),
        (b"\x89PNG\r\n\x1A\n", "PNG"),
        (b"\xEF\xBB\xBF <!DOCTYPE HTML><html>", "HTML"),
        (b"<?xml version='1.0'?>", "XML"),
        (&gzip(&zstd(b"a,b\n")), "twice"),
    ] {
        let error = sniff(file).unwrap_err();
        assert_eq!(error.code, Code::UnsupportedFormat);
        assert!(error.detail.contains(name), "{error}");
    }
    assert_eq!(sniff(b"[Email],{x}\n").unwrap().header, ["[Email]", "{x}"]);
    assert_eq!(sniff(b"PAR1,BZh9\n").unwrap().header, ["PAR1", "BZh9"]);
}

// Around it

#[test]
fn source_says_its_names_and_is_read_back() {
    let source = sniff(&gzip(b"Email;Points\n")).unwrap();
    let json = serde_json::to_value(&source).unwrap();
    let names = ["format", "encoding", "delimiter", "compression"].map(|name| json[name].as_str().unwrap());
    assert_eq!(names, ["csv", "utf-8", ";", "gzip"]);
    assert_eq!(serde_json::from_value::<Source>(json).unwrap(), source);
}

#[test]
fn failing_reader_is_no_fault_of_the_file_and_reading_goes_on() {
    struct Hiccups<'a>(&'a [u8], bool);
    impl Read for Hiccups<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            let most = into.len().min(1);
            self.0.read(&mut into[..most])
        }
    }
    for file in [b"a,b\n1,\"2\n\"\n".to_vec(), gzip(b"a,b\n1,\"2\n\"\n"), zstd(b"a,b\n1,\"2\n\"\n")] {
        let mut records = Records::new(Hiccups(&file, false), &sniff(&file).unwrap(), Limits::default());
        let (mut record, mut failures, mut found) = (Record::new(), 0, Vec::new());
        loop {
            match records.read(&mut record) {
                Ok(true) => found.push(record.cells().map(str::to_owned).collect::<Vec<_>>()),
                Ok(false) => break,
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => failures += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(found, [["1", "2\n"]], "{file:?}");
        assert!(failures >= file.len());
    }
}
