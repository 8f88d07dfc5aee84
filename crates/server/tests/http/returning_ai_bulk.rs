use crate::App;
use crate::app::{json_of, without};
use crate::on_every_database;
use muster_core::scope::Scope;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

const PREFIXES: [&str; 2] = ["/apis/v1", "/api/v1/apis/v1"];
const UPDATE: &str = "/apis/v1/users/bulk-update";
const IMPORT: &str = "/apis/v1/users/bulk-import";
const PREMIUM: &str = "/apis/v1/users/bulk-update-premium-currency";

fn form(csv: impl Into<String>) -> Form {
    Form::new().part("data", Part::text(csv.into()).file_name("users.csv"))
}

/// Sends a file, checks that the answer is the documented one to the letter and the id, and gives the job once it ended.
async fn queued(app: &App, path: &str, form: Form, process: &str) -> Value {
    let response = app.post(path).multipart(form).send().await.expect("the server answers");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let text = response.text().await.expect("the answer is a text");
    let answer: Value = serde_json::from_str(&text).expect("it is JSON");
    let id = answer["data"]["id"].as_str().expect("it has an id");
    assert_eq!(
        text,
        format!(
            "{{\"status\":\"success\",\"message\":\"{process} process is queued\",\"data\":{{\"message\":\"{process} process is \
             queued. You can check in Api Log ( community settings )\",\"id\":\"{id}\"}}}}"
        )
    );
    app.ended(id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_are_the_documented_ones_to_the_letter_and_the_id() {
    on_every_database(async |app| {
        for (prefix, balance) in PREFIXES.into_iter().zip(["7", "14"]) {
            let path = format!("{prefix}/users/bulk-import");
            let import = form("Email;Premium Currency;City\nada@example.com;;Rome\n")
                .text("communityId", app.community.id.to_string());
            let job = queued(app, &path, import, "Bulk import user").await;
            assert_eq!((&job["kind"], &job["name"]), (&json!("import"), &json!("users.csv")));
            let path = format!("{prefix}/users/bulk-update");
            let update = form("City,Premium Currency_op,Premium Currency,Email\n,add,5,ada@example.com\n")
                .text("log_name", "June");
            let job = queued(app, &path, update, "Bulk update user").await;
            assert_eq!((&job["kind"], &job["name"]), (&json!("update"), &json!("June")));
            assert_eq!(job["options"], json!({"match_by": "email", "queue": "returning_ai"}));
            let path = format!("{prefix}/users/bulk-update-premium-currency");
            let premium =
                form("Email,Premium Currency,Premium Currency_op\nada@example.com,2,add\n").text("log_name", "");
            let job = queued(app, &path, premium, "Bulk update premium currency").await;
            assert_eq!((&job["kind"], &job["name"]), (&json!("update"), &json!("users.csv")));
            let user = app.user("ada@example.com").await;
            assert_eq!(
                (&user["values"]["premium_currency"], &user["values"]["city"]),
                (&json!(balance), &json!("Rome"))
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_premium_currency_takes_exactly_its_columns_in_any_order() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nada@example.com\n").await;
        for (header, row) in [
            ("Premium Currency_op,Email,Premium Currency", "add,ada@example.com,1"),
            ("premium_currency;EMAIL;premium-currency_op", "1;ada@example.com;add"),
        ] {
            let job = queued(app, PREMIUM, form(format!("{header}\n{row}\n")), "Bulk update premium currency").await;
            assert_eq!(job["counts"]["updated"], 1, "{header}: {job}");
        }
        assert_eq!(app.user("ada@example.com").await["values"]["premium_currency"], "2");
        let before = app.count_jobs().await;
        for (header, code, columns) in [
            ("Email,Premium Currency", "unknown_column", json!(["Premium Currency_op"])),
            ("Email,Premium Currency,Premium Currency_op,First Name", "unknown_column", json!(["First Name"])),
            ("Email,Premium Currency,Premium Currency_op,_line", "unknown_column", json!(["_line"])),
            (
                "Email,In-game Currency,In-game Currency_op",
                "unknown_column",
                json!(["In-game Currency", "In-game Currency_op", "Premium Currency", "Premium Currency_op"]),
            ),
            ("Premium Currency,Premium Currency_op", "missing_key_column", json!(["email"])),
            ("Email,Premium Currency_op", "operator_not_allowed", json!(["Premium Currency_op"])),
            ("Email,Email,Premium Currency,Premium Currency_op", "duplicate_column", json!(["Email"])),
        ] {
            let (status, error) = json_of(app.post(PREMIUM).multipart(form(format!("{header}\n")))).await;
            assert_eq!((status.as_u16(), &error["code"]), (400, &json!(code)), "{header}: {error}");
            let faults = error["errors"].as_array().unwrap();
            assert_eq!(faults.iter().map(|fault| fault["column"].clone()).collect::<Value>(), columns, "{error}");
        }
        let json = form("{\"email\":\"ada@example.com\",\"values\":{\"city\":\"Oslo\"}}\n");
        let (status, error) = json_of(app.post(PREMIUM).multipart(json)).await;
        assert_eq!((status.as_u16(), &error["code"]), (415, &json!("unsupported_format")), "{error}");
        assert_eq!(app.count_jobs().await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_lower_case_and_a_wrong_row_does_not_hold_up_the_others() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nada@example.com\nbob@example.com\n").await;
        let csv = "Email,Premium Currency,Premium Currency_op\nada@example.com,5,Add\nbob@example.com,5,add\nnobody@example.com,5,add\n\
                   ada@example.com,12,subtract\nbob@example.com,,\nada@example.com,100,overwrite\n";
        let job = queued(app, PREMIUM, form(csv), "Bulk update premium currency").await;
        let counts = json!({"received": 6, "created": 0, "updated": 2, "unchanged": 1, "skipped": 0, "failed": 3, "unprocessed": 0});
        assert_eq!(job["counts"], counts);
        assert_eq!(app.user("ada@example.com").await["values"]["premium_currency"], "100");
        assert_eq!(app.user("bob@example.com").await["values"]["premium_currency"], "5");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_community_of_an_import_is_that_of_the_key() {
    on_every_database(async |app| {
        let other = app.engine.create_community("Theirs").await.unwrap();
        let hex = "0123456789abcdef01234567";
        for id in [other.id.to_string(), hex.to_owned(), String::new(), "x".to_owned()] {
            let before = json_of(
                app.post(IMPORT)
                    .multipart(Form::new().text("communityId", id.clone()).part("data", Part::text("Email\n"))),
            );
            let after = json_of(app.post(IMPORT).multipart(form("Email\n").text("communityId", id.clone())));
            for (status, error) in [before.await, after.await] {
                assert_eq!((status.as_u16(), &error["code"]), (404, &json!("not_found")), "{id}: {error}");
                assert_eq!(error["message"], "There is no such community.");
            }
        }
        assert_eq!(app.count_jobs().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_shape_of_the_product() {
    on_every_database(async |app| {
        let path = format!("{}/users/bulk-update", PREFIXES[1]);
        let bad_key = app.bare(Method::POST, &path).bearer_auth("wrong");
        let read_only = app.make_key(&app.community, &[Scope::UsersRead]).await;
        let lacking = app.bare(Method::POST, UPDATE).bearer_auth(read_only).multipart(form("Email\n"));
        let importer = app.make_key(&app.community, &[Scope::BulkImport]).await;
        let importing = app.bare(Method::POST, PREMIUM).bearer_auth(importer).multipart(form("Email\n"));
        let raw = |body: &'static str| app.post(UPDATE).header("content-type", "multipart/form-data; boundary=x").body(body);
        let injected = "--x\r\nContent-Disposition: form-data; name=\"data\"; filename=\"a\u{1}b.csv\"\r\n\r\nEmail\n\r\n--x--\r\n";
        let cases = [
            (app.bare(Method::POST, UPDATE), 401, "unauthorized"),
            (app.bare(Method::POST, IMPORT).multipart(form("Email\n")), 401, "unauthorized"),
            (bad_key, 401, "unauthorized"),
            (lacking, 403, "missing_scope"),
            (importing, 403, "missing_scope"),
            (app.post(UPDATE), 400, "no_file"),
            (app.post(IMPORT).body("Email\n").header("content-type", "text/csv"), 415, "unsupported_media_type"),
            (app.post(PREMIUM).multipart(Form::new().text("log_name", "x")), 400, "no_file"),
            (app.post(UPDATE).multipart(Form::new().part("file", Part::text("Email\n").file_name("a.csv"))), 400, "no_file"),
            (app.post(UPDATE).multipart(form("")), 400, "empty_file"),
            (app.post(UPDATE).multipart(form("Email\n").text("kind", "import")), 400, "invalid_option"),
            (app.post(UPDATE).multipart(form("Email\n").text("log_name", "a").text("log_name", "b")), 400, "invalid_option"),
            (app.post(UPDATE).multipart(form("Email\n").text("log_name", "a\r\nb: c")), 400, "invalid_option"),
            (app.post(UPDATE).multipart(form("Email\n").text("log_name", "x".repeat(201))), 400, "invalid_option"),
            (app.post(UPDATE).multipart(form("Email\n").part("data", Part::text("Email\n"))), 400, "invalid_request"),
            (app.post(UPDATE).multipart(form("Name\nx\n")), 400, "missing_key_column"),
            (app.post(&format!("{UPDATE}?dry_run=true")).multipart(form("Email\n")), 400, "invalid_request"),
            (raw("--x\r\n"), 400, "invalid_request"),
            (raw("--x\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\nEmail\n"), 400, "invalid_request"),
            (raw(injected), 400, "invalid_request"),
            (app.request(Method::PUT, UPDATE), 405, "method_not_allowed"),
            (app.request(Method::GET, "/apis/v1/nothing"), 404, "not_found"),
            (app.request(Method::GET, "/api/v1/apis/v1/nothing"), 404, "not_found"),
        ];
        for (request, expected, code) in cases {
            let (status, error) = json_of(request).await;
            assert_eq!((status.as_u16(), &error["code"]), (expected, &json!(code)), "{error}");
            assert_eq!(error["status"], "error");
            assert!(!error.to_string().contains("\"/name\""), "the part is called log_name: {error}");
            assert!(error["errors"].is_array() && error["message"].is_string(), "{error}");
            assert_eq!(error.as_object().unwrap().len(), 4, "{error}");
        }
        assert_eq!(app.count_jobs().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_header_is_listed() {
    on_every_database(async |app| {
        let (status, error) =
            json_of(app.post(UPDATE).multipart(form("Email,Colour,Shape\na@example.com,1,2\n"))).await;
        assert_eq!(status, 400);
        let error = without(error, &["message"]);
        let columns: Vec<&Value> = error["errors"].as_array().unwrap().iter().map(|fault| &fault["column"]).collect();
        assert_eq!(columns, ["Colour", "Shape"]);
        assert_eq!(error["code"], "unknown_column");
    })
    .await;
}
