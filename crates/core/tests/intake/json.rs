//! An example for each rule about NDJSON, JSON arrays and the rows that their records make.

use super::*;
use muster_core::error::RowError;
use muster_core::field::{BUILT_IN, Field, FieldNumber, FieldSet, FieldType, Rules, SelectOption, built_in_rules};
use muster_core::id::FieldId;
use muster_core::intake::encoding::Encoding;
use muster_core::intake::json::{table::Table, with_members};
use muster_core::intake::row::RowParser;
use muster_core::intake::sniff::Format;
use muster_core::job::JobOptions;
use muster_core::plan::{Edit, EditPatch, Row as PlanRow};
use muster_core::user::Operator;
use muster_core::value::Value;

fn format(bytes: &[u8]) -> Format {
    sniff(bytes).expect("the file is accepted").format
}

pub(super) fn fields() -> FieldSet {
    let custom: &[(&str, &str, FieldType)] = &[
        ("points", "Points", FieldType::Integer),
        ("rate", "Rate", FieldType::Decimal),
        ("subscribed", "Subscribed", FieldType::Boolean),
        ("last_seen", "Last seen", FieldType::Datetime),
        ("tags", "Tags", FieldType::MultiSelect),
        ("extra", "Extra", FieldType::Json),
        ("member", "Member", FieldType::Text),
    ];
    let field = |(i, (key, name, kind)): (usize, &(&str, &str, FieldType))| Field {
        number: FieldNumber(FieldNumber::FIRST.0 + i as u16),
        id: FieldId::from_bytes([i as u8; 12]),
        key: (*key).to_owned(),
        name: (*name).to_owned(),
        kind: *kind,
        rules: match *key {
            "tags" => {
                let options = ["vip", "new"].map(|key| SelectOption { key: key.into(), name: key.to_uppercase() });
                Rules { options: options.into(), ..Rules::default() }
            }
            "member" => Rules { unique: true, ..Rules::default() },
            key => built_in_rules(key),
        },
        built_in: i < BUILT_IN.len(),
        archived: false,
    };
    FieldSet::new(BUILT_IN.iter().chain(custom).enumerate().map(field).collect())
}

/// The rows of a file with these options, each as it is planned or refused.
pub(super) fn plan_rows(bytes: &[u8], options: &[(&str, &str)]) -> Vec<Result<PlanRow, RowError>> {
    let (fields, mut given) = (fields(), JobOptions::default());
    options.iter().for_each(|(name, text)| given.set(name, text).expect("the option is valid"));
    let source = sniff(bytes).expect("the file is accepted");
    let columns = source.columns(&fields, &given).expect("the header is understood");
    let parser = RowParser::new(&columns, &fields, &given);
    let mut records = Records::new(bytes, &source, Limits::default());
    let (mut record, mut rows) = (Record::new(), Vec::new());
    while records.read(&mut record).expect("the file has no fault") {
        rows.push(parser.parse(&record));
    }
    rows
}

/// A row in short: `points add 5, city clear`.
pub(super) fn short(row: &PlanRow) -> String {
    let fields = fields();
    let edits = row.edits.iter().map(|edit| {
        let key = fields.key_of(edit.field).expect("the field is known");
        match &edit.patch {
            EditPatch::Clear => format!("{key} clear"),
            EditPatch::Set(op, value) => format!("{key} {} {value}", op.as_str()),
            EditPatch::SetIfEmpty(op, value) => format!("{key} if empty {} {value}", op.as_str()),
        }
    });
    edits.collect::<Vec<_>>().join(", ")
}

fn one(values: &str) -> Result<String, (Code, Option<String>)> {
    let file = format!("{{\"email\":\"a@b.example\",\"values\":{values}}}\n");
    let row = plan_rows(file.as_bytes(), &[]).pop().expect("there is a row");
    row.map(|row| short(&row)).map_err(|error| (error.code, error.column))
}

fn refused(record: &[u8]) -> Code {
    let file = [b"{\"email\":\"a@b.example\"}\n".as_slice(), record, b"\n{\"email\":\"c@d.example\"}"].concat();
    let rows = plan_rows(&file, &[]);
    assert!(rows.len() == 3 && rows[0].is_ok() && rows[2].is_ok(), "{rows:?}");
    rows.into_iter().nth(1).expect("there are three").expect_err("it is refused").code
}

// What is JSON

#[test]
fn bracket_begins_an_array_and_brace_ndjson() {
    for compression in [None, Some(Compression::Gzip), Some(Compression::Zstd)] {
        for (text, expected) in [
            ("[]", Format::Json),
            ("[", Format::Json),
            (" \n[ {\"email\": 1}]", Format::Json),
            ("{}", Format::Ndjson),
            ("{\"email\":1}\n{\"email\":2}\n", Format::Ndjson),
        ] {
            let source = sniff(&compress(compression, text.as_bytes())).unwrap();
            assert_eq!((source.format, source.compression, source.header.len()), (expected, compression, 0), "{text}");
        }
    }
    assert_eq!(format(b"[Email],{x}\n"), Format::Csv);
    assert_eq!(format(b"\xEF\xBB\xBF{\"a\":1}"), Format::Ndjson);
    for text in ["{\"a\":1}", "[{\"a\":1}]"] {
        assert_ne!(format(&utf16(&format!("\u{FEFF}{text}"), u16::to_be_bytes)), Format::Csv);
    }
}

#[test]
fn sender_decides_only_where_the_content_could_be_both() {
    let hinted = |text: &str, hint| {
        sniff_with(SniffOptions { hint: Some(hint), ..SniffOptions::default() }, text.as_bytes(), &[3])
            .map(|s| s.format)
    };
    assert_eq!(hinted("{email: 1}", Format::Ndjson).unwrap(), Format::Ndjson);
    assert_eq!(hinted("[1, 2]", Format::Json).unwrap(), Format::Json);
    assert_eq!(hinted("\n \n", Format::Ndjson).unwrap(), Format::Ndjson);
    assert_eq!(hinted("email,points\n", Format::Json).unwrap(), Format::Csv);
    assert_eq!(hinted("[{}]", Format::Csv).unwrap(), Format::Json);
    assert_eq!(code(hinted("", Format::Json)), Code::EmptyFile);
    assert_eq!(code(hinted("<html>", Format::Json)), Code::UnsupportedFormat);
    for (name, expected) in [("a.NDJSON", Format::Ndjson), ("b.jsonl.gz", Format::Ndjson), ("c.json.zst", Format::Json)]
    {
        assert_eq!(Format::from_file_name(name), Some(expected));
    }
    assert_eq!(Format::from_media_type("Application/JSON; charset=utf-8"), Some(Format::Json));
    assert_eq!((Format::from_media_type("text/plain"), Format::from_file_name("json")), (None, None));
}

#[test]
fn options_that_say_nothing_about_json_are_refused() {
    let source = sniff(b"[]").unwrap();
    for (name, text) in [("mapping", "{}"), ("delimiter", ","), ("sheet", "1"), ("clear_token", "-")] {
        let mut options = JobOptions::default();
        options.set(name, text).unwrap();
        assert_eq!(code(source.columns(&fields(), &options)), Code::InvalidOption, "{name}");
    }
}

// Records and lines

#[test]
fn blank_lines_are_lines_and_no_records_of_ndjson() {
    let file = b"\n \t\r\n{\"a\":1}\r\n\n\n {\"b\":2}  \n{\"c\":3}";
    let found: Vec<_> = rows(file).into_iter().map(|row| (row.number, row.line, row.cells.concat())).collect();
    let expected = [(1, 3, "{\"a\":1}\r"), (2, 6, "{\"b\":2}  "), (3, 7, "{\"c\":3}")];
    assert_eq!(found, expected.map(|(number, line, text)| (number, line, text.to_owned())));
}

#[test]
fn elements_of_an_array_have_numbers_and_the_lines_on_which_they_begin() {
    let file = b"\n[ {\"a\": \"]},[\\\"\"},\r\n\r\n {\"b\":\r[1,\n{}]} ,7,\"x\" ,[[]],null]\n\n";
    let found: Vec<_> = rows(file).into_iter().map(|row| (row.number, row.line, row.cells.concat())).collect();
    let expected = [
        (1, 2, "{\"a\": \"]},[\\\"\"}"),
        (2, 4, "{\"b\":\r[1,\n{}]}"),
        (3, 6, "7"),
        (4, 6, "\"x\""),
        (5, 6, "[[]]"),
        (6, 6, "null"),
    ];
    assert_eq!(found, expected.map(|(number, line, text)| (number, line, text.to_owned())));
    assert!(rows(b" [ \n ] ").is_empty());
}

#[test]
fn array_that_is_malformed_or_cut_off_is_a_fault_that_names_its_line() {
    for (file, line) in [
        ("[{\"a\":1}\n", 2),
        ("[", 1),
        ("[{\"a\":1},\n", 2),
        ("[{\"a\":1},\n]", 2),
        ("[{\"a\":1},,7]", 1),
        ("[{\"a\":1}\n{\"b\":2}]", 2),
        ("[{\"a\":1},\n{\"b\":\n2,}]", 3),
        ("[{\"a\":1}]\n]", 2),
        ("[{\"a\":1}]\n{\"b\":2}", 2),
        ("[{\"a\":01}]", 1),
        ("[\n\n\n{\"a\":\"\n\"}]", 4),
        ("[{\"a\":[}]}]", 1),
        ("[{\"a\":1]", 1),
        ("[{\"a\":1},nul]", 1),
    ] {
        let outcome = read(file.as_bytes(), &sniff(file.as_bytes()).unwrap());
        assert_eq!(fault(&outcome), Code::MalformedJson, "{file}");
        let sentence = outcome.1.unwrap_err().to_string();
        assert!(sentence.contains(&format!("on line {line}:")), "{file}: {sentence}");
    }
}

#[test]
fn line_that_is_no_json_fails_its_row_only() {
    for line in [
        "{\"email\":\"a@b.example\"",
        "{email:1}",
        "nonsense",
        "{\"email\":\"a@b.example\"} {}",
        "[1]",
        "7",
        "null",
        "{\"email\":\"a@b.example\",}",
        "\u{FEFF}{}",
        "{\"email\":\"\\ud800\"}",
        "{\"\\ud800\":1}",
        "\"{}\"",
        "{\"email\":\"a@b.example\",\"email\":\"b@b.example\"}",
        "{\"email\":\"a@b.example\",\"values\":{\"city\":\"x\",\"city\":\"x\"}}",
        "{\"email\":\"a@b.example\",\"values\":{\"extra\":{\"a\":{\"b\":1,\"\\u0062\":2}}}}",
        "{\"email\":\"a@b.example\",\"values\":[]}",
        "{\"email\":\"a@b.example\",\"values\":7}",
        "{\"email\":\"a@b.example\",\"values\":{\"city\":\"\\ud800\"}}",
    ] {
        assert!(matches!(refused(line.as_bytes()), Code::InvalidJson | Code::InvalidEmail), "{line}");
    }
    let deep =
        format!("{{\"email\":\"a@b.example\",\"values\":{{\"extra\":{}1{}}}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(refused(deep.as_bytes()), Code::InvalidJson);
    let array = format!("[{{\"email\":\"a@b.example\"}},{deep}]");
    let rows = plan_rows(array.as_bytes(), &[]);
    assert!(rows[0].is_ok() && rows[1].as_ref().is_err_and(|error| error.message.contains("nested")));
}

#[test]
fn bytes_that_are_no_text_fail_their_row() {
    assert_eq!(refused(b"{\"email\":\"\xE9@b.example\"}"), Code::InvalidEncoding);
    assert_eq!(refused(b"{\"email\":\"a\0@b.example\"}"), Code::NulCharacter);
    assert_eq!(refused(b"{\"email\":\"a\\u0000@b.example\"}"), Code::InvalidEmail);
    assert_eq!(one("{\"city\":\"a\\u0000\"}"), Err((Code::NulCharacter, Some("city".into()))));
    let array = [b"[{\"email\":\"a\xFF@b.example\"},".as_slice(), b"{\"email\":\"a@b.example\"}]"].concat();
    let source = sniff(&array).unwrap();
    assert_eq!(source.encoding, Encoding::Utf8, "JSON is never guessed to be Windows-1252");
    let rows = plan_rows(&array, &[]);
    assert_eq!((rows[0].as_ref().unwrap_err().code, rows[1].is_ok()), (Code::InvalidEncoding, true));
}

#[test]
fn record_over_the_limit_fails_and_takes_no_memory() {
    let limits = Limits { record_bytes: 20, ..Limits::default() };
    for (open, comma, close) in [("", "\n", ""), ("[", ",", "]")] {
        let long = format!("{{\"a\":\"{}]\"}}", "é,\\\"{".repeat(100_000));
        let file = [open, "{\"a\":1}", comma, &long, comma, "{\"b\":2}", close].concat();
        let (rows, end) = read_with(file.as_bytes(), &sniff(file.as_bytes()).unwrap(), limits);
        end.unwrap();
        let found: Vec<_> = rows.iter().map(|row| (row.number, row.defect, row.cells[0].len() <= 22)).collect();
        assert_eq!(found, [(1, None, true), (2, Some(Defect::RecordTooLong), true), (3, None, true)]);
    }
}

// What a record says

#[test]
fn null_clears_an_operation_operates_and_what_is_absent_keeps() {
    assert_eq!(one("{}"), Ok(String::new()));
    assert_eq!(
        one(
            r#"{"city":null,"points":{"op":"add","value":5},"rate":"0.10","subscribed":false,"tags":["new","vip"],"points":7}"#
        ),
        Err((Code::InvalidJson, None))
    );
    assert_eq!(
        one(r#"{"city":null,"points":{"op":"add","value":5},"rate":"0.10","subscribed":false,"tags":["new","vip"]}"#)
            .unwrap(),
        "city clear, points add 5, rate overwrite 0.1, subscribed overwrite false, tags overwrite vip;new"
    );
    assert_eq!(one(r#"{"extra":{"op":[1.10,null]}}"#).unwrap(), "extra overwrite {\"op\":[1.10,null]}");
    assert_eq!(one(r#"{"points":{"op":"overwrite","value":null}}"#).unwrap(), "points clear");
}

#[test]
fn record_may_keep_what_is_there_and_make_nobody() {
    let read = |more: &str| {
        let file = format!("{{\"email\":\"a@b.example\",\"values\":{{\"points\":5,\"city\":null}}{more}}}\n");
        let row = plan_rows(file.as_bytes(), &[]).pop().expect("there is a row");
        row.map(|row| (short(&row), row.creates)).map_err(|error| (error.code, error.column.unwrap_or_default()))
    };
    let change = "points overwrite 5, city clear";
    assert_eq!(read(""), Ok((change.to_owned(), true)));
    assert_eq!(read(r#","create":true,"only_if_empty":[]"#), Ok((change.to_owned(), true)));
    assert_eq!(read(r#","create":false"#), Ok((change.to_owned(), false)));
    let kept = Ok(("points if empty overwrite 5".to_owned(), true));
    assert_eq!(read(r#","only_if_empty":["points","city"]"#), kept, "what clears would never do anything");
    for (more, code, column) in [
        (r#","create":"no""#, Code::InvalidJson, "create"),
        (r#","create":null"#, Code::InvalidJson, "create"),
        (r#","only_if_empty":"points""#, Code::InvalidJson, "only_if_empty"),
        (r#","only_if_empty":[1]"#, Code::InvalidJson, "only_if_empty"),
        (r#","only_if_empty":["nobody"]"#, Code::UnknownField, "nobody"),
    ] {
        assert_eq!(read(more), Err((code, column.to_owned())), "{more}");
    }
}

#[test]
fn numbers_are_read_from_their_text() {
    assert_eq!(one(r#"{"premium_currency":0.1}"#).unwrap(), "premium_currency overwrite 0.1");
    let exact = "1234567890123456.123456789012";
    assert_eq!(
        one(&format!("{{\"premium_currency\":{exact}}}")).unwrap(),
        format!("premium_currency overwrite {exact}")
    );
    assert_eq!(one(r#"{"points":9223372036854775807}"#).unwrap(), "points overwrite 9223372036854775807");
    assert_eq!(one(r#"{"points":9223372036854775808}"#), Err((Code::OutOfRange, Some("points".into()))));
    assert_eq!(one(r#"{"points":1.0}"#), Err((Code::InvalidNumber, Some("points".into()))));
    assert_eq!(one(r#"{"points":1e2}"#), Err((Code::InvalidNumber, Some("points".into()))));
}

#[test]
fn wrong_types_and_unknown_names_fail_with_their_place() {
    for (values, code, column) in [
        (r#"{"points":"twelve"}"#, Code::InvalidNumber, "points"),
        (r#"{"points":true}"#, Code::InvalidNumber, "points"),
        (r#"{"points":{"op":"Add","value":1}}"#, Code::InvalidOperator, "points"),
        (r#"{"points":{"op":"add"}}"#, Code::OperatorWithoutValue, "points"),
        (r#"{"points":{"op":"add","value":null}}"#, Code::InvalidOperator, "points"),
        (r#"{"city":{"op":"add","value":1}}"#, Code::OperatorNotAllowed, "city"),
        (r#"{"city":5}"#, Code::InvalidText, "city"),
        (r#"{"city":["x"]}"#, Code::InvalidText, "city"),
        (r#"{"subscribed":1}"#, Code::InvalidBoolean, "subscribed"),
        (r#"{"date_of_birth":20240101}"#, Code::InvalidDate, "date_of_birth"),
        (r#"{"tags":["nobody"]}"#, Code::InvalidOption, "tags"),
        (r#"{"colour":"red"}"#, Code::UnknownField, "colour"),
        (r#"{"First Name":"Ada"}"#, Code::UnknownField, "First Name"),
    ] {
        assert_eq!(one(values), Err((code, Some(column.to_owned()))), "{values}");
    }
    let long = format!("{{\"extra\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(one(&long), Err((Code::CellTooLong, Some("extra".into()))));
    assert_eq!(refused(br#"{"email":"a@b.example","First Name":"Ada"}"#), Code::UnknownField);
    assert_eq!(refused(br#"{"email":"a@b.example","id":"x"}"#), Code::InvalidId);
    assert_eq!(refused(br#"{"email":"nobody"}"#), Code::InvalidEmail);
    assert_eq!(refused(br#"{"email":7}"#), Code::InvalidEmail);
    for missing in [r#"{"email":null}"#, r#"{"email":" "}"#, "{}", r#"{"values":null}"#] {
        assert_eq!(refused(missing.as_bytes()), Code::MissingKey, "{missing}");
    }
    let hint = plan_rows(br#"{"email":"a@b.example","First Name":"Ada"}"#, &[]).pop().unwrap().unwrap_err().message;
    assert!(hint.contains("{\"values\": {\"first_name\": …}}"), "{hint}");
}

#[test]
fn unknown_values_are_ignored_and_dates_read_where_asked_for() {
    let file = br#"[{"email":"a@b.example","id":null,"values":{"colour":{"x":1},"date_of_birth":"31/01/2000"},"_line":3,"_message":"x"}]"#;
    let rows = plan_rows(file, &[("unknown_columns", "ignore"), ("date_format", "DD/MM/YYYY")]);
    assert_eq!(short(rows[0].as_ref().unwrap()), "date_of_birth overwrite 2000-01-31");
}

#[test]
fn id_names_the_user_where_asked_for_and_email_is_then_a_value() {
    let file = b"{\"id\":7,\"email\":\" A@b.example \"}\n{\"id\":\"8\",\"email\":null}\n{\"id\":7.5}\n{\"id\":0}\n{\"id\":true}\n{\"id\":7,\"email\":5}\n{}";
    let rows = plan_rows(file, &[("match_by", "id")]);
    let found: Vec<_> = rows.iter().map(|row| row.as_ref().map(short).map_err(|error| error.code)).collect();
    assert_eq!(found[..2], [Ok("email overwrite A@b.example".to_owned()), Ok("email clear".to_owned())]);
    let codes = [Code::InvalidId, Code::InvalidId, Code::InvalidId, Code::InvalidEmail, Code::MissingKey];
    assert_eq!(found[2..], codes.map(Err));
}

#[test]
fn identities_are_given_to_the_user_or_name_it() {
    let all = br#"{"email":"a@b.example","identities":[{"source":"crm","source_id":7},{"source":"erp","source_id":" x ","language":"en"}]}"#;
    let rows = plan_rows(all, &[]);
    assert_eq!(short(rows[0].as_ref().unwrap()), "identities add crm:7;erp:x:en");
    let null =
        plan_rows(br#"[{"email":"a@b.example","identities":null},{"email":"a@b.example","identities":[]}]"#, &[]);
    assert_eq!(null.iter().map(|row| short(row.as_ref().unwrap())).collect::<Vec<_>>(), ["identities clear", ""]);

    let external = [("match_by", "external")];
    let one = br#"{"email":"a@b.example","identities":[{"source":"crm","source_id":"7","language":null}]}"#;
    let row = plan_rows(one, &external).pop().unwrap().unwrap();
    assert_eq!(
        (row.key.describe(&fields()).as_str(), short(&row).as_str()),
        ("the identity \"crm:7\"", "email overwrite a@b.example")
    );
    assert_eq!(plan_rows(all, &external)[0].as_ref().unwrap_err().code, Code::InvalidIdentity);
    for missing in ["{}", r#"{"identities":null}"#, r#"{"identities":[]}"#] {
        assert_eq!(plan_rows(missing.as_bytes(), &external)[0].as_ref().unwrap_err().code, Code::MissingKey);
    }
    for wrong in [
        r#"7"#,
        r#"{}"#,
        r#"[7]"#,
        r#"[{"source":"crm"}]"#,
        r#"[{"source":7,"source_id":7}]"#,
        r#"[{"source":"","source_id":"7"}]"#,
        r#"[{"source":"crm","source_id":"7","extra":1}]"#,
        r#"[{"source":"crm","source_id":"a\u0000"}]"#,
    ] {
        let record = format!("{{\"email\":\"a@b.example\",\"identities\":{wrong}}}");
        assert_eq!(refused(record.as_bytes()), Code::InvalidIdentity, "{wrong}");
    }
}

#[test]
fn unique_field_names_the_user_and_is_no_change() {
    let file = br#"[{"email":"a@b.example","values":{"member":"M-1","points":5}},{"values":{"member":null}},{"values":{"points":1}},{"values":{"member":7}}]"#;
    let rows = plan_rows(file, &[("match_by", "member")]);
    let row = rows[0].as_ref().unwrap();
    assert_eq!(short(row), "email overwrite a@b.example, points overwrite 5");
    assert_eq!(row.key.describe(&fields()), "the Member \"M-1\"");
    let codes: Vec<Code> = rows[1..].iter().map(|row| row.as_ref().unwrap_err().code).collect();
    assert_eq!(codes, [Code::MissingKey, Code::MissingKey, Code::InvalidText]);
}

// Results

#[test]
fn results_hold_the_record_as_it_was_and_our_members_once() {
    let ours = [("_line", 7.into()), ("_status", "failed".into())];
    let ours = ours.into_iter().map(|(name, value): (&str, serde_json::Value)| (name.to_owned(), value)).collect();
    assert_eq!(
        with_members("{ \"email\":\"a\", \"_line\":1,\"values\":{\"rate\":1.10,\n\"x\":null}}", &ours),
        r#"{"email":"a","values":{"rate":1.10, "x":null},"_line":7,"_status":"failed"}"#
    );
    assert_eq!(with_members("{}", &ours), r#"{"_line":7,"_status":"failed"}"#);
    assert_eq!(with_members("no\"pe", &ours), r#"{"_input":"no\"pe","_line":7,"_status":"failed"}"#);
}

#[test]
fn table_has_a_column_for_whatever_a_record_says() {
    let records = [
        r#"{"email":"a@b.example","values":{"points":{"op":"add","value":5},"city":null}}"#,
        r#"{"email":"c@d.example","identities":[{"source":"crm","source_id":7,"language":"en"}],"values":{"rate":0.10,"tags":["vip","new"]}}"#,
        "nonsense",
        r#"{"email":"e@f.example","identities":[{"source":"x"},{"source":"y"}],"values":{"points":3,"extra":{"a":1}}}"#,
    ];
    let mut table = Table::default();
    records.iter().for_each(|record| table.add(record, 1_000).unwrap());
    let header = "email source source_id identity_language identities points points_op city rate tags extra";
    assert_eq!(table.header().join(" "), header);
    let cells: Vec<String> = records.iter().map(|record| table.cells(record).join("|")).collect();
    assert_eq!(
        cells,
        [
            r"a@b.example|||||5|add|\N|||",
            "c@d.example|crm|7|en|||||0.10|vip;new|",
            "||||||||||",
            r#"e@f.example||||[{"source":"x"},{"source":"y"}]|3|||||{"a":1}"#,
        ]
    );
    let wide: Vec<String> = (0..20).map(|n| format!("\"k{n}\":1")).collect();
    assert_eq!(code(table.add(&format!("{{\"values\":{{{}}}}}", wide.join(",")), 20)), Code::TooManyColumns);
}

#[test]
fn a_user_as_the_api_shows_it_is_a_record() {
    let file = br#"{"id":7,"email":"a@b.example","identities":[],"values":{"points":5},"version":3,"created_at":"2026-01-01T00:00:00Z","updated_at":"x"}
{"email":"a@b.example","deleted":false}"#;
    let rows = plan_rows(file, &[]);
    let edits = &rows[0].as_ref().expect("it is read").edits;
    let says =
        Edit { field: FieldNumber::ID, column: 3, patch: EditPatch::Set(Operator::Overwrite, Value::Integer(7)) };
    assert_eq!((edits.len(), &edits[0]), (2, &says));
    assert_eq!(rows[1].as_ref().expect_err("only what is shown is passed over").code, Code::UnknownField);
    let by_id = plan_rows(file, &[("match_by", "id")]);
    assert_eq!(by_id[0].as_ref().map(|row| row.edits.len()), Ok(2), "the email and a value");
}
