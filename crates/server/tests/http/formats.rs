//! The same rows in every format: the same outcomes, the same users, results that can be sent back.

use crate::app::{App, id_of, json_of};
use crate::on_every_database;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use std::io::{Cursor, Write};

const FORMATS: [&str; 4] = ["csv", "ndjson", "json", "xlsx"];
const COMPRESSIONS: [Option<&str>; 3] = [None, Some("gzip"), Some("zstd")];

/// The rows as cells: a change, a clear, a wrong number, no key, and the first user again.
fn table(tag: &str) -> Vec<[String; 6]> {
    let row = |cells: [&str; 6]| cells.map(|cell| cell.replace('#', tag));
    vec![
        row(["Email", "First Name", "Points", "Points_op", "Subscribed", "Date of Birth"]),
        row(["ada#@example.com", "Ada \"A\", ü", "5", "add", "true", "2000-01-31"]),
        row(["bob#@example.com", "\\N", "7", "", "", ""]),
        row(["eve#@example.com", "Eve", "many", "", "", ""]),
        row(["", "Nobody", "", "", "", ""]),
        row(["ada#@example.com", "", "3", "subtract", "false", ""]),
    ]
}

fn records(tag: &str) -> Vec<Value> {
    let email = |name: &str| format!("{name}{tag}@example.com");
    vec![
        json!({"email": email("ada"), "values": {"first_name": "Ada \"A\", ü", "points": {"op": "add", "value": 5},
            "subscribed": true, "date_of_birth": "2000-01-31"}}),
        json!({"email": email("bob"), "values": {"first_name": null, "points": 7}}),
        json!({"email": email("eve"), "values": {"first_name": "Eve", "points": "many"}}),
        json!({"values": {"first_name": "Nobody"}}),
        json!({"email": email("ada"), "values": {"points": {"op": "subtract", "value": "3"}, "subscribed": false}}),
    ]
}

fn file(format: &str, tag: &str) -> Vec<u8> {
    let lines = |records: Vec<Value>| records.iter().map(Value::to_string).collect::<Vec<_>>();
    match format {
        "csv" => {
            let quote = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let line = |row: &[String; 6]| row.iter().map(quote).collect::<Vec<_>>().join(",") + "\r\n";
            table(tag).iter().map(line).collect::<String>().into()
        }
        "ndjson" => lines(records(tag)).join("\n").into(),
        "json" => format!("[\n{}\n]", lines(records(tag)).join(",\n")).into(),
        "xlsx" => workbook(&table(tag)),
        other => panic!("{other}"),
    }
}

/// A workbook with texts, numbers, booleans and a real date.
fn workbook(rows: &[[String; 6]]) -> Vec<u8> {
    let cell = |(index, text): (usize, &String)| {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
        match (text.parse::<f64>(), text.as_str()) {
            (Ok(_), number) => format!("<c><v>{number}</v></c>"),
            (Err(_), "true") => "<c t=\"b\"><v>1</v></c>".to_owned(),
            (Err(_), "false") => "<c t=\"b\"><v>0</v></c>".to_owned(),
            (Err(_), "2000-01-31") => "<c s=\"1\"><v>36556</v></c>".to_owned(),
            (Err(_), "") => format!("<c s=\"{}\"/>", index % 2),
            (Err(_), _) => format!("<c t=\"inlineStr\"><is><t>{escaped}</t></is></c>"),
        }
    };
    let row = |row: &[String; 6]| format!("<row>{}</row>", row.iter().enumerate().map(cell).collect::<String>());
    let sheet: String = rows.iter().map(row).collect();
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relationship = |id: &str, name: &str, target: &str| {
        format!("<Relationship Id=\"{id}\" Type=\"{kind}/{name}\" Target=\"{target}\"/>")
    };
    let parts = [
        (
            "_rels/.rels",
            format!("<Relationships>{}</Relationships>", relationship("a", "officeDocument", "xl/workbook.xml")),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships>{}{}</Relationships>",
                relationship("b", "worksheet", "sheet.xml"),
                relationship("c", "styles", "styles.xml")
            ),
        ),
        ("xl/workbook.xml", "<workbook><sheets><sheet name=\"People\" id=\"b\"/></sheets></workbook>".to_owned()),
        ("xl/styles.xml", "<s><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></s>".to_owned()),
        ("xl/sheet.xml", format!("<worksheet><sheetData>{sheet}</sheetData></worksheet>")),
    ];
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).expect("writing to memory does not fail");
        writer.write_all(content.as_bytes()).expect("writing to memory does not fail");
    }
    writer.finish().expect("writing to memory does not fail").into_inner()
}

fn compress(compression: Option<&str>, bytes: Vec<u8>) -> Vec<u8> {
    match compression {
        None => bytes,
        Some("gzip") => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&bytes).expect("writing to memory does not fail");
            encoder.finish().expect("writing to memory does not fail")
        }
        Some(_) => zstd::encode_all(&bytes[..], 1).expect("writing to memory does not fail"),
    }
}

async fn submit(app: &App, query: &str, bytes: Vec<u8>) -> (StatusCode, Value) {
    json_of(app.post(&format!("/v1/jobs{query}")).body(bytes)).await
}

async fn run(app: &App, query: &str, bytes: Vec<u8>) -> Value {
    let (status, job) = submit(app, query, bytes).await;
    assert_eq!(status, 202, "{job}");
    app.ended(id_of(&job)).await
}

/// Refused at once, or failed before anything was written: the code.
async fn refusal(app: &App, query: &str, bytes: Vec<u8>) -> (StatusCode, String) {
    let (status, answer) = submit(app, query, bytes).await;
    let failure = match status {
        StatusCode::ACCEPTED => {
            let job = app.ended(id_of(&answer)).await;
            let counts = &job["counts"];
            assert_eq!((&counts["created"], &counts["updated"]), (&json!(0), &json!(0)), "{job}");
            job["error"].clone()
        }
        _ => answer,
    };
    (status, failure["code"].as_str().unwrap_or_default().to_owned())
}

async fn results(app: &App, id: &str, query: &str) -> Vec<Value> {
    let text = app.get_text(&format!("/v1/jobs/{id}/results?format=ndjson{query}")).await;
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// Whether every chain of changes holds.
async fn verify(app: &App) {
    let found = app.engine.verify().await.expect("the store can be read");
    assert_eq!(found.breaks, Vec::<String>::new());
    assert!(found.change_sets > 0);
}

async fn make_fields(app: &App) {
    for (name, kind) in [("Points", "integer"), ("Subscribed", "boolean")] {
        app.make_field(name, kind).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn same_rows_have_the_same_outcomes_in_every_format_and_compression() {
    on_every_database(async |app| {
        make_fields(app).await;
        for format in FORMATS {
            for compression in COMPRESSIONS {
                let tag = format!(".{format}.{}", compression.unwrap_or("plain"));
                let seed = format!("Email,First Name,Points\nada{tag}@example.com,Old,10\nbob{tag}@example.com,Old,10\n");
                app.run("?kind=import", &seed).await;
                let job = run(app, "?kind=import", compress(compression, file(format, &tag))).await;
                let source = &job["source"];
                assert_eq!((source["format"].as_str(), source["compression"].as_str()), (Some(format), compression));
                assert_eq!(source["delimiter"].is_null(), format != "csv");
                let rows = results(app, id_of(&job), "").await;
                let found: Vec<_> = rows.iter().map(|row| [&row["_status"], &row["_code"], &row["_record"]]).collect();
                assert_eq!(
                    json!(found),
                    json!([
                        ["updated", null, 1],
                        ["updated", null, 2],
                        ["failed", "invalid_number", 3],
                        ["failed", "missing_key", 4],
                        ["updated", null, 5]
                    ]),
                    "{tag}"
                );
                let ada = app.user(&format!("ada{tag}@example.com")).await;
                let expected = json!({"first_name": "Ada \"A\", ü", "points": 12, "subscribed": false, "date_of_birth": "2000-01-31"});
                assert_eq!(ada["values"], expected, "{tag}");
                assert_eq!(app.user(&format!("bob{tag}@example.com")).await["values"], json!({"points": 7}), "{tag}");
                assert!(app.user(&format!("eve{tag}@example.com")).await.is_null());
            }
        }
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_rows_of_every_format_can_be_mended_and_sent_back_in_every_form_of_results() {
    on_every_database(async |app| {
        make_fields(app).await;
        for format in FORMATS {
            let job = run(app, "?kind=import", file(format, format)).await;
            let id = id_of(&job);
            let as_csv = app.get_text(&format!("/v1/jobs/{id}/results?status=failed")).await;
            let mended = as_csv.replacen(",many,", ",3,", 1);
            assert_ne!(as_csv, mended, "{as_csv}");
            let again = run(app, "?kind=import", mended.into()).await;
            assert_eq!(again["counts"]["created"], 1, "{again}");
            let eve = app.user(&format!("eve{format}@example.com")).await;
            assert_eq!(eve["values"], json!({"first_name": "Eve", "points": 3}));

            // The whole table says the same as the file did.
            let all = app.get_text(&format!("/v1/jobs/{id}/results")).await;
            let again = run(app, "?kind=update", all.into()).await;
            assert_eq!(again["counts"]["failed"], 2, "{again}");

            if job["source"]["header"] == json!([]) {
                let failed = app.get_text(&format!("/v1/jobs/{id}/results?format=ndjson&status=failed")).await;
                let again = run(app, "?kind=update", failed.replacen("\"many\"", "4", 1).into()).await;
                assert_eq!(again["source"]["format"], "ndjson");
                assert_eq!(again["counts"]["updated"], 1, "{again}");
                assert_eq!(app.user(&format!("eve{format}@example.com")).await["values"]["points"], 4);
            }
        }
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_every_format_can_be_planned_applied_undone_and_retried() {
    on_every_database(async |app| {
        make_fields(app).await;
        for format in FORMATS {
            let planned = run(app, "?kind=import&dry_run=true", file(format, format)).await;
            assert_eq!(planned["state"], "planned", "{planned}");
            let rows = results(app, id_of(&planned), "").await;
            assert_eq!(rows[1]["_changes"]["points"], json!({"old": null, "new": 7}), "{rows:?}");
            let child = async |parent: &Value, what: &str| {
                let (status, job) = json_of(app.post(&format!("/v1/jobs/{}/{what}", id_of(parent)))).await;
                assert_eq!(status, 202, "{job}");
                app.ended(id_of(&job)).await
            };
            let applied = child(&planned, "apply").await;
            assert_eq!(applied["counts"]["failed"], 2, "{applied}");
            let bob = format!("bob{format}@example.com");
            assert_eq!(app.user(&bob).await["values"], json!({"points": 7}));
            let retried = child(&applied, "retry").await;
            let rows = results(app, id_of(&retried), "").await;
            let found: Vec<_> = rows.iter().map(|row| (row["_record"].as_u64(), row["_code"].as_str())).collect();
            assert_eq!(found, [(Some(3), Some("invalid_number")), (Some(4), Some("missing_key"))]);
            child(&applied, "undo").await;
            assert!(app.user(&bob).await.is_null());
        }
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_comes_back_under_the_type_of_its_format() {
    on_every_database(async |app| {
        make_fields(app).await;
        let xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
        for (format, expected) in [("ndjson", "application/x-ndjson"), ("json", "application/json"), ("xlsx", xlsx)] {
            let bytes = file(format, "");
            let request = app.post("/v1/jobs").header(header::CONTENT_TYPE, expected).body(bytes.clone());
            let (status, job) = json_of(request).await;
            assert_eq!(status, 202, "{job}");
            app.ended(id_of(&job)).await;
            let path = format!("/v1/jobs/{}/file", id_of(&job));
            let response = app.request(Method::GET, &path).send().await.unwrap();
            assert_eq!(response.headers()[header::CONTENT_TYPE], expected);
            let disposition = response.headers()[header::CONTENT_DISPOSITION].to_str().unwrap();
            assert!(disposition.contains(&format!(".{format}\"")), "{disposition}");
            assert_eq!(response.bytes().await.unwrap(), bytes);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn form_takes_files_of_every_format_and_their_name_is_a_hint() {
    on_every_database(async |app| {
        make_fields(app).await;
        for format in FORMATS {
            let part = reqwest::multipart::Part::bytes(file(format, format)).file_name(format!("people.{format}"));
            let form = reqwest::multipart::Form::new().text("kind", "import").part("file", part);
            let (status, job) = json_of(app.post("/v1/jobs").multipart(form)).await;
            assert_eq!((status.as_u16(), job["source"]["format"].as_str()), (202, Some(format)), "{job}");
            assert_eq!(app.ended(id_of(&job)).await["counts"]["received"], 5);
        }
        let part = reqwest::multipart::Part::bytes(b"{email: 1}\n".to_vec()).file_name("people.jsonl");
        let form = reqwest::multipart::Form::new().part("file", part);
        let (_, job) = json_of(app.post("/v1/jobs").multipart(form)).await;
        let job = app.ended(id_of(&job)).await;
        assert_eq!(results(app, id_of(&job), "").await[0]["_code"], "invalid_json");
        assert_eq!(results(app, id_of(&job), "").await[0]["_input"], "{email: 1}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_with_a_fault_in_its_structure_changes_nothing() {
    on_every_database(async |app| {
        make_fields(app).await;
        let json = file("json", "x");
        let xlsx = file("xlsx", "x");
        for (bytes, expected) in [
            (json[..json.len() - 1].to_vec(), (202, "malformed_json")),
            ([&json[..], b","].concat(), (202, "malformed_json")),
            (compress(Some("gzip"), json.clone())[..120].to_vec(), (202, "corrupt_archive")),
            (xlsx[..xlsx.len() - 9].to_vec(), (400, "corrupt_archive")),
            (compress(Some("zstd"), xlsx.clone())[..90].to_vec(), (400, "corrupt_archive")),
            (b"PK\x03\x04nothing".to_vec(), (400, "corrupt_archive")),
            (workbook(&[]), (400, "missing_header")),
        ] {
            let (status, code) = refusal(app, "?kind=import", bytes).await;
            assert_eq!((status.as_u16(), code.as_str()), expected);
        }
        for (query, format) in [
            ("?mapping={}", "json"),
            ("?delimiter=;", "ndjson"),
            ("?sheet=2", "xlsx"),
            ("?sheet=1", "csv"),
            ("?encoding=utf-8", "xlsx"),
        ] {
            let (status, code) = refusal(app, query, file(format, "x")).await;
            assert_eq!((status.as_u16(), code.as_str()), (400, "invalid_option"), "{query}");
        }
        assert!(app.user("adax@example.com").await.is_null());
        assert_eq!(run(app, "?sheet=People", xlsx).await["source"]["sheet"], "People");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bomb_is_refused_before_anything_is_written() {
    on_every_database(async |app| {
        let plain = [b"{\"email\":\"a@example.com\"}".as_slice(), &vec![b'\n'; 110 << 20]].concat();
        for compression in ["gzip", "zstd"] {
            let bomb = compress(Some(compression), plain.clone());
            assert!(plain.len() / bomb.len() > 200);
            assert_eq!(refusal(app, "?kind=import", bomb).await.1, "archive_too_large");
        }
        let row = [(); 6].map(|()| "x".repeat(30_000));
        let workbook = workbook(&vec![row; 1_200]);
        assert_eq!(refusal(app, "?kind=import", workbook).await.1, "archive_too_large");
        assert!(app.user("a@example.com").await.is_null());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn array_without_records_completes_with_nothing_received() {
    on_every_database(async |app| {
        let job = run(app, "", b" [ ]\n".to_vec()).await;
        assert_eq!((job["state"].as_str(), job["counts"]["received"].as_u64()), (Some("completed"), Some(0)));
        let csv = app.get_text(&format!("/v1/jobs/{}/results", id_of(&job))).await;
        assert_eq!(csv, "_line,_record,_status,_code,_column,_message,_user_id\r\n");
    })
    .await;
}
