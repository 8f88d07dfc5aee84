//! Users as files: what is exported is the same when it is sent back, however nasty it is.

use crate::App;
use crate::app::{Options, id_of, json_of, with};
use crate::on_every_database;
use reqwest::{Method, header};
use serde_json::{Value, json};

/// Fields of every type, in every spelling.
async fn make_fields(app: &App) {
    for new in [
        json!({"name": "Notes", "type": "long_text"}),
        json!({"name": "Points", "type": "integer"}),
        json!({"name": "Rate", "type": "decimal"}),
        json!({"name": "Subscribed", "type": "boolean"}),
        json!({"name": "Last seen", "type": "datetime"}),
        json!({"name": "Extra", "type": "json"}),
        json!({"name": "Größe", "type": "text"}),
        json!({"name": "Tags", "type": "multi_select", "options": [{"key": "a", "name": "b"}, {"key": "b", "name": "c, d"}]}),
        json!({"name": "Old", "type": "text"}),
    ] {
        assert_eq!(json_of(app.post("/v1/fields").json(&new)).await.0, 201, "{new}");
    }
}

/// Values that a file could spoil.
fn nasty_values() -> Vec<Value> {
    let texts = [
        "",
        " ",
        " both ends ",
        "a \"quoted\" word",
        "two\nlines",
        "three\r\nlines\rhere",
        "\n",
        "=1+1",
        "+49 30",
        "-5",
        "@cmd",
        "'=1",
        "'",
        "\\N",
        "\\\\N",
        "a,b;c\td|e",
        "\u{feff}bom",
        "ünïcödé 😀",
        "sep=;",
        "null",
        "true",
        "007",
        "1e5",
        "\t",
        "\r",
        "\"",
        "a\\",
        "_escaped",
    ];
    let mut all: Vec<Value> =
        texts.iter().map(|text| json!({"first_name": text, "notes": text, "größe": text})).collect();
    all.extend([
        json!({"points": "-9223372036854775808", "rate": "-0.000000000001", "premium_currency": "9999999999999999999999999999"}),
        json!({"points": "9007199254740993", "subscribed": false, "last_seen": "2024-01-01T10:00:00.123456789+02:00"}),
        json!({"subscribed": true, "date_of_birth": "0001-01-01", "gender": "f", "tags": ["b"], "old": "hidden"}),
        json!({"tags": [], "extra": {"op": "add", "b": [1, null, "x,\n\"y\""], "a": {}}}),
        json!({"tags": ["a", "b"], "extra": "a text"}),
        json!({"extra": [], "addresses": [{"street": "=1"}], "notes": "x".repeat(60_000)}),
        json!({}),
    ]);
    all
}

/// Users with all of that, one in ten without an email, and with values of a field that is archived then.
async fn nasty_users(app: &App) -> usize {
    make_fields(app).await;
    let all = nasty_values();
    for (i, values) in all.iter().enumerate() {
        let crm = json!([{"source": "crm", "source_id": i}, {"source": "=shop", "source_id": "ü", "language": format!("l{i}")}]);
        let identities = if i % 2 == 0 { crm } else { json!([]) };
        let mut new = json!({"email": format!("=u{i}@x.org"), "identities": identities, "values": values});
        if i % 10 == 0 {
            new["email"] = Value::Null;
        }
        let (status, answer) = json_of(app.post("/v1/users").json(&new)).await;
        assert_eq!(status, 201, "{new} {answer}");
    }
    let (_, fields) = app.get("/v1/fields").await;
    let old = fields["data"].as_array().into_iter().flatten().find(|field| field["key"] == "old");
    let archive = app.request(Method::DELETE, &format!("/v1/fields/{}", id_of(old.expect("it was made"))));
    assert_eq!(archive.send().await.expect("the server answers").status(), 204);
    all.len()
}

async fn send_back(app: &App, query: &str, content_type: &str, file: &str) -> Value {
    let request = app.post(&format!("/v1/jobs{query}")).header(header::CONTENT_TYPE, content_type);
    let (status, job) = json_of(request.body(file.to_owned())).await;
    assert_eq!(status, 202, "{job}");
    app.ended(id_of(&job)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_and_sent_back_changes_nobody() {
    on_every_database(async |app| {
        let count = nasty_users(app).await;
        let before = app.get("/v1/users?limit=1000").await;
        for (export, content_type) in
            [("", "text/csv"), ("?format=csv&spreadsheet=true", "text/csv"), ("?format=ndjson", "application/x-ndjson")]
        {
            let file = app.get_text(&format!("/v1/users/export{export}")).await;
            let job = send_back(app, "?match_by=id", content_type, &file).await;
            assert_eq!(
                (&job["counts"]["received"], &job["counts"]["unchanged"]),
                (&json!(count), &json!(count)),
                "{job} {file}"
            );
        }
        // By email, who has one; in both kinds.
        let filter = "filter=%7B%22email%22%3A%7B%22is_set%22%3Atrue%7D%7D";
        for (export, content_type, kind) in [
            ("format=csv", "text/csv", "update"),
            ("format=csv&spreadsheet=true", "text/csv", "import"),
            ("format=ndjson", "application/x-ndjson", "update"),
            ("format=ndjson", "application/x-ndjson", "import"),
        ] {
            let file = app.get_text(&format!("/v1/users/export?{export}&{filter}")).await;
            let job = send_back(app, &format!("?kind={kind}"), content_type, &file).await;
            let with_email = count - count.div_ceil(10);
            assert_eq!(job["counts"]["unchanged"], json!(with_email), "{export} {kind} {job}");
            assert_eq!(job["counts"]["failed"], json!(0), "{export} {kind} {job}");
        }
        assert_eq!(app.get("/v1/users?limit=1000").await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_export_changes_what_was_edited() {
    on_every_database(async |app| {
        nasty_users(app).await;
        let file = app
            .get_text("/v1/users/export?fields=email,first_name&filter=%7B%22first_name%22%3A%22%3D1%2B1%22%7D")
            .await;
        assert_eq!(file, "email,first_name\r\n=u7@x.org,=1+1\r\n");
        let job = send_back(app, "", "text/csv", &file.replace("=1+1", "Ada")).await;
        assert_eq!(job["counts"]["updated"], json!(1), "{job}");
        assert_eq!(app.user("%3Du7@x.org").await["values"]["first_name"], "Ada");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_the_columns_that_are_wanted_and_the_looks_of_the_api() {
    on_every_database(async |app| {
        nasty_users(app).await;
        let records = app.get_text("/v1/users/export?format=ndjson").await;
        let (_, page) = app.get("/v1/users?limit=1000").await;
        let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(&json!(records), &page["data"]);
        let response = app.request(Method::GET, "/v1/users/export?fields=id,email,version").send().await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/csv; charset=utf-8");
        let disposition = response.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().to_owned();
        assert!(disposition.contains("users.csv"), "{disposition}");
        let csv = response.text().await.unwrap();
        assert!(csv.starts_with("id,email,version\r\n1,,1\r\n2,=u1@x.org,1\r\n"), "{csv}");
        for (query, code) in [
            ("fields=nothing", "unknown_field"),
            ("fields=old", "unknown_field"),
            ("fields=", "unknown_field"),
            ("fields=email,email", "invalid_request"),
            ("fields=identities", "unknown_field"),
            ("filter=%7B", "invalid_request"),
            ("filter=%7B%22x%22%3A1%7D", "unknown_field"),
            ("format=xlsx", "invalid_request"),
        ] {
            let (status, problem) = app.get(&format!("/v1/users/export?{query}")).await;
            assert_eq!((status.as_u16(), &problem["code"]), (400, &json!(code)), "{query} {problem}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_ends_with_who_was_there_when_it_began() {
    with(Options::default(), async |app| {
        let users: String = (0..3_500).map(|i| format!("u{i}@x.org\n")).collect();
        app.run("?kind=import", &format!("Email\n{users}")).await;
        let file = app.get_text("/v1/users/export?fields=id,email").await;
        let lines: Vec<&str> = file.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3_501, "id,email"));
        let ids = lines[1..].iter().map(|line| line.split(',').next().unwrap().parse::<i64>().unwrap());
        assert!(ids.eq(1..=3_500), "in order of id, each once");
        let empty = app.get_text("/v1/users/export?fields=email&filter=%7B%22email%22%3A%22x%22%7D").await;
        assert_eq!(empty, "email\r\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_names_every_field_that_can_be_written() {
    on_every_database(async |app| {
        app.make_field("Shoe size", "integer").await;
        let update = app.get_text("/v1/users/template?kind=update").await;
        let import = app.get_text("/v1/users/template?kind=import").await;
        assert!(update.starts_with("email,first_name,") && update.ends_with(",shoe_size,shoe_size_op\r\n"), "{update}");
        assert!(update.contains(",premium_currency,premium_currency_op,") && !import.contains("_op"), "{import}");
        assert_eq!(app.get_text("/v1/users/template").await, update);
        for (template, kind) in [(&update, "update"), (&import, "import")] {
            let cells = ",".repeat(template.matches(',').count());
            let job = app.run(&format!("?kind={kind}"), &format!("{template}ada@x.org{cells}\r\n")).await;
            assert_eq!(job["state"], "completed", "{job}");
        }
        assert_eq!(app.get("/v1/users/template?kind=delete").await.0, 400);
        // What only clients of one product know is there as soon as somebody has a value.
        let keys = |template: &str| template.trim().split(',').map(str::to_owned).collect::<Vec<_>>();
        for seldom in ["xp", "coins", "score", "twitter_url"] {
            assert!(!keys(&import).contains(&seldom.to_owned()), "{seldom}");
        }
        app.run("?kind=update", "Email,XP\nada@x.org,7\n").await;
        let used = keys(&app.get_text("/v1/users/template?kind=import").await);
        assert!(used.contains(&"xp".to_owned()) && !used.contains(&"coins".to_owned()), "{used:?}");
    })
    .await;
}
