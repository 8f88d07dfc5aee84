//! What holds for any file.

use super::*;
use muster_core::intake::encoding::Encoding;
use proptest::collection::vec;
use proptest::prelude::*;

const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

#[derive(Clone, Copy, Debug)]
enum Wire {
    Utf8,
    Utf8Bom,
    Utf16Le,
    Utf16Be,
    Windows1252,
}

impl Wire {
    fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.into(),
            Self::Utf8Bom => format!("\u{FEFF}{text}").into(),
            Self::Utf16Le => utf16(&format!("\u{FEFF}{text}"), u16::to_le_bytes),
            Self::Utf16Be => utf16(&format!("\u{FEFF}{text}"), u16::to_be_bytes),
            Self::Windows1252 => {
                let (bytes, _, unmappable) = encoding_rs::WINDOWS_1252.encode(text);
                assert!(!unmappable);
                bytes.into()
            }
        }
    }

    fn encoding(self) -> Encoding {
        match self {
            Self::Utf8 | Self::Utf8Bom => Encoding::Utf8,
            Self::Utf16Le => Encoding::Utf16Le,
            Self::Utf16Be => Encoding::Utf16Be,
            Self::Windows1252 => Encoding::Windows1252,
        }
    }
}

/// A file as a plain writer writes it.
#[derive(Debug)]
struct File {
    table: Vec<Vec<String>>,
    /// For each record: its line end, blank lines after it, whether every cell is quoted.
    style: Vec<(&'static str, usize, bool)>,
    delimiter: char,
    wire: Wire,
    compression: Option<Compression>,
    sep_line: bool,
    last_line_ends: bool,
}

impl File {
    /// The text, and the offset at which each record begins.
    fn text(&self) -> (String, Vec<usize>) {
        let (mut text, mut begins) = (String::new(), Vec::new());
        if self.sep_line {
            text.push_str(&format!("sep={}\r\n", self.delimiter));
        }
        for (index, record) in self.table.iter().enumerate() {
            let (end, blank, quote_all) = self.style[index % self.style.len()];
            begins.push(text.len());
            let special = |c: char| c == '"' || c == '\r' || c == '\n' || c == self.delimiter;
            let cells = record.iter().map(|cell| {
                // A lone empty cell would be a blank line.
                let quoted = quote_all || cell.contains(special) || (record.len() == 1 && cell.is_empty());
                if quoted { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
            });
            text.push_str(&cells.collect::<Vec<_>>().join(&self.delimiter.to_string()));
            if self.last_line_ends || index + 1 < self.table.len() {
                text.push_str(&end.repeat(1 + blank));
            }
        }
        (text, begins)
    }
}

/// The line on which an offset stands, counted the slow way.
fn line_at(text: &str, offset: usize) -> u64 {
    let unified = text[..offset].replace("\r\n", "\n").replace('\r', "\n");
    1 + unified.matches('\n').count() as u64
}

fn cell(wire: Wire) -> BoxedStrategy<String> {
    let tricky = "[\"\r\n,;|\t a]{0,6}";
    match wire {
        Wire::Windows1252 => prop_oneof![tricky, "[a-zé€Ÿÿ“ ]{0,9}"].boxed(),
        Wire::Utf8 | Wire::Utf8Bom | Wire::Utf16Le | Wire::Utf16Be => {
            prop_oneof![tricky, "[a-zé€😀\u{FEFF}\u{85} ]{0,9}", any::<String>().prop_map(|s| s.replace('\0', ""))]
                .boxed()
        }
    }
}

fn file() -> impl Strategy<Value = File> {
    let wire = prop::sample::select(vec![Wire::Utf8, Wire::Utf8Bom, Wire::Utf16Le, Wire::Utf16Be, Wire::Windows1252]);
    (wire, 1..6_usize).prop_flat_map(|(wire, columns)| {
        let style =
            (prop::sample::select(vec!["\r\n", "\n", "\r"]), prop_oneof![3 => Just(0), 1 => 1..3_usize], any::<bool>());
        let compression = prop::sample::select(vec![None, Some(Compression::Gzip), Some(Compression::Zstd)]);
        let table = vec(vec(cell(wire), columns), 0..12);
        let delimiter = prop::sample::select(DELIMITERS.to_vec());
        (table, vec(style, 1..5), delimiter, compression, any::<bool>(), any::<bool>()).prop_map(
            move |(mut table, style, delimiter, compression, sep_line, last_line_ends)| {
                table.insert(0, (0..columns).map(|column| format!("é{column}")).collect());
                File { table, style, delimiter, wire, compression, sep_line, last_line_ends }
            },
        )
    })
}

/// Sizes of the pieces in which bytes come.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![usize::MAX]), vec(1..4_usize, 1..4), vec(1..300_usize, 1..4)]
}

/// Bytes in which structure is likely.
fn spicy() -> impl Strategy<Value = Vec<u8>> {
    let bits: Vec<&'static [u8]> = vec![
        b"\"",
        b",",
        b";",
        b"\r",
        b"\n",
        b"\0",
        b"a",
        b"bc",
        b" ",
        b"\xC3",
        b"\xA9",
        b"\xC3\xA9",
        b"\xE2\x82",
        b"\xFF",
        b"\xFE",
        b"\xEF\xBB\xBF",
        b"\x3D\xD8",
        b"sep=;",
        b"{",
        b"[",
        b"}",
        b"]",
        b":",
        b"{\"a\":1}",
        b"\\",
        b"\x81",
    ];
    vec(prop::sample::select(bits), 0..60).prop_map(|bits| bits.concat())
}

fn options() -> impl Strategy<Value = SniffOptions> {
    let encodings =
        vec![None, Some(Encoding::Utf8), Some(Encoding::Utf16Le), Some(Encoding::Utf16Be), Some(Encoding::Windows1252)];
    let limits = prop_oneof![
        Just(Limits::default()),
        (1..4_usize, 0..9_usize, 1..200_u64, 1..4_u64).prop_map(|(columns, cell_bytes, expanded_bytes, ratio)| {
            Limits { columns, cell_bytes, expanded_bytes, ratio, ratio_after_bytes: 10, ..Limits::default() }
        })
    ];
    let delimiter = prop::option::weighted(0.2, prop_oneof![prop::sample::select(b",;\t|".to_vec()), any::<u8>()]);
    (delimiter, prop::sample::select(encodings), limits).prop_map(|(delimiter, encoding, limits)| SniffOptions {
        delimiter,
        encoding,
        limits,
        ..SniffOptions::default()
    })
}

fn end(outcome: &Outcome) -> Result<(), Code> {
    match &outcome.1 {
        Ok(()) => Ok(()),
        Err(_) => Err(fault(outcome)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_is_read_back_with_its_positions(file in file(), pushed in sizes(), pulled in sizes()) {
        let (text, begins) = file.text();
        let bytes = compress(file.compression, &file.wire.encode(&text));
        let options = SniffOptions {
            // A lone column does not say what would separate it from others, nor old bytes that they are old.
            delimiter: (file.table[0].len() == 1).then_some(file.delimiter as u8),
            encoding: matches!(file.wire, Wire::Windows1252).then_some(Encoding::Windows1252),
            ..SniffOptions::default()
        };
        let source = sniff_with(options, &bytes, &pushed).unwrap();
        prop_assert_eq!(source.delimiter, Some(file.delimiter));
        prop_assert_eq!(source.encoding, file.wire.encoding());
        prop_assert_eq!(source.compression, file.compression);
        prop_assert_eq!(source.sep_line, file.sep_line);
        prop_assert_eq!(&source.header, &file.table[0]);

        let (rows, end) = read_with(Pieces::new(&bytes, &pulled), &source, Limits::default());
        end.unwrap();
        let expected: Vec<_> = file.table.iter().zip(begins).enumerate().skip(1).map(|(index, (record, begin))| Row {
            number: index as u64,
            line: line_at(&text, begin),
            len: record.len(),
            cells: record.clone(),
            defect: None,
        }).collect();
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn no_bytes_panic_and_no_cutting_into_pieces_changes_anything(
        plain in prop_oneof![spicy(), vec(any::<u8>(), 0..200)],
        compression in prop::sample::select(vec![None, Some(Compression::Gzip), Some(Compression::Zstd)]),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        options in options(),
        (pushed, pulled) in (sizes(), sizes()),
    ) {
        let mut bytes = compress(compression, &plain);
        if let Some((at, byte)) = damage && !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = sniff_with(options.clone(), &bytes, &[usize::MAX]);
        let pieces = sniff_with(options.clone(), &bytes, &pushed);
        // How far a bomb or a damaged archive is followed depends on the pieces, so only what is neither must agree.
        let broken = compression.is_some() && (options.limits != Limits::default() || damage.is_some());
        prop_assert!(broken || whole == pieces, "{:?} {:?}", whole, pieces);
        if let (Ok(whole), Ok(_)) = (whole, pieces) {
            let one = read_with(&bytes[..], &whole, options.limits);
            let other = read_with(Pieces::new(&bytes, &pulled), &whole, options.limits);
            if !broken {
                prop_assert_eq!(&one.0, &other.0);
                prop_assert_eq!(end(&one), end(&other));
            }
            for row in one.0 {
                prop_assert!(row.len >= row.cells.len());
                prop_assert!(row.defect.is_none_or(|defect| defect.column() < row.cells.len()));
            }
        }
    }

    #[test]
    fn cells_are_those_that_csv_core_finds(bytes in spicy(), delimiter in prop::sample::select(DELIMITERS.to_vec())) {
        let source = Source { delimiter: Some(delimiter), ..Source::default() };
        // Theirs takes off a byte order mark, ours was told that there is none.
        let bytes = [b"head\n", &bytes[..]].concat();
        let outcome = read(&bytes, &source);
        if outcome.1.is_ok() {
            let ours: Vec<_> = outcome.0.into_iter().map(|row| row.cells).collect();
            let theirs: Vec<_> = csv_core_cells(&bytes, delimiter as u8).into_iter().skip(1).collect();
            prop_assert_eq!(ours, theirs);
        } else {
            prop_assert_eq!(fault(&outcome), Code::UnclosedQuote);
        }
    }

    #[test]
    fn guess_is_what_the_definition_says(bytes in spicy(), pushed in sizes()) {
        let file = [b"head\n", &bytes[..]].concat();
        let character = |at: usize| (2..=4).any(|length| {
            file.get(at..at + length).and_then(|bytes| std::str::from_utf8(bytes).ok()).is_some_and(|text| text.chars().count() == 1)
        });
        let utf8 = std::str::from_utf8(&file).is_ok() || (0..file.len()).any(character);
        let expected = if utf8 { Encoding::Utf8 } else { Encoding::Windows1252 };
        prop_assert_eq!(sniff_with(SniffOptions::default(), &file, &pushed).unwrap().encoding, expected);
    }
}

fn csv_core_cells(bytes: &[u8], delimiter: u8) -> Vec<Vec<String>> {
    let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    let (mut output, mut ends, mut records) = (vec![0; bytes.len() + 1], vec![0; bytes.len() + 1], Vec::new());
    let (mut input, mut filled, mut cells) = (bytes, 0, 0);
    loop {
        let (result, read, written, ended) = reader.read_record(input, &mut output[filled..], &mut ends[cells..]);
        (input, filled, cells) = (&input[read..], filled + written, cells + ended);
        match result {
            csv_core::ReadRecordResult::InputEmpty => {}
            csv_core::ReadRecordResult::Record => {
                let begins = std::iter::once(0).chain(ends[..cells].iter().copied());
                let ranges = begins.zip(&ends[..cells]);
                records
                    .push(ranges.map(|(from, &to)| String::from_utf8_lossy(&output[from..to]).into_owned()).collect());
                (filled, cells) = (0, 0);
            }
            csv_core::ReadRecordResult::End => return records,
            full => panic!("{full:?}"),
        }
    }
}
