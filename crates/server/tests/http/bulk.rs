//! `POST /v1/users/bulk`.

use crate::App;
use crate::app::{Options, json_of, with, without};
use crate::on_every_database;
use muster_core::field::BUILT_IN;
use muster_core::scope::Scope;
use muster_engine::Limits;
use muster_server::http::HttpConfig;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const BULK: &str = "/v1/users/bulk";

async fn bulk(app: &App, body: Value) -> (u16, Value) {
    let (status, answer) = json_of(app.post(BULK).json(&body)).await;
    (status.as_u16(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_has_its_result_and_the_job_is_in_the_log() {
    on_every_database(async |app| {
        let (status, answer) = bulk(
            app,
            json!({"kind": "import", "name": "Nightly", "records": [
                {"email": "ada@example.com", "values": {"first_name": "Ada", "premium_currency": "2.50"}},
                {"email": "ada@example.com", "values": {"premium_currency": {"op": "subtract", "value": 9}}},
                {"email": "Ada@Example.com", "values": {"first_name": "Ada"}},
                "no record",
            ]}),
        )
        .await;
        assert_eq!(status, 200, "{answer}");
        let id = app.user("ada@example.com").await["id"].clone();
        assert_eq!(answer["counts"], json!({"received": 4, "created": 1, "updated": 0, "unchanged": 1, "skipped": 0, "failed": 2, "unprocessed": 0}));
        let results = answer["data"].as_array().expect("there are results");
        assert_eq!(results[0], json!({"index": 0, "status": "created", "user_id": id, "code": null, "column": null, "message": null}));
        let failed = without(results[1].clone(), &["message"]);
        let expected = json!({"index": 1, "status": "failed", "user_id": id, "code": "insufficient_balance", "column": "premium_currency"});
        assert_eq!(failed, expected);
        assert_eq!((&results[2]["status"], &results[3]["code"]), (&json!("unchanged"), &json!("invalid_json")));
        let (_, job) = app.get(&format!("/v1/jobs/{}", answer["job_id"].as_str().expect("it names its job"))).await;
        assert_eq!((&job["name"], &job["state"], &job["kind"]), (&json!("Nightly"), &json!("completed"), &json!("import")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_named_by_what_is_said_and_a_dry_run_writes_nothing() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nada@example.com\n").await;
        let id = app.user("ada@example.com").await["id"].clone();
        let identity = json!([{"source": "crm", "source_id": 7}]);
        let change = json!({"match_by": "id", "records": [{"id": id, "identities": identity}]});
        assert_eq!(bulk(app, change).await.1["data"][0]["status"], "updated");
        let mut change = json!({"match_by": "external", "dry_run": true, "records": [
            {"identities": [{"source": "crm", "source_id": "7"}], "values": {"city": "Rome"}},
        ]});
        assert_eq!(bulk(app, change.clone()).await.1["data"][0]["user_id"], id);
        assert_eq!(app.user("ada@example.com").await["values"], json!({}));
        change["dry_run"] = json!(false);
        bulk(app, change).await;
        assert_eq!(app.user("ada@example.com").await["values"], json!({"city": "Rome"}));
        let options = json!({"on_duplicate": "error", "max_failed": 0});
        let twice = json!({"kind": "delete", "options": options, "records": [{"email": "a@b.c"}]});
        let (status, problem) = bulk(app, twice).await;
        assert_eq!((status, &problem["code"]), (409, &json!("too_many_failures")), "{problem}");
        assert!(problem["job_id"].as_str().is_some_and(|id| id.starts_with("job_")), "{problem}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_refused_with_its_place_and_leaves_no_job() {
    let config = HttpConfig { records: 2, ..HttpConfig::default() };
    with(Options { config, ..Options::default() }, async |app| {
        let record = json!({"email": "a@b.example"});
        for (body, status, code, pointer) in [
            (json!({}), 400, "invalid_request", ""),
            (json!({"records": []}), 400, "empty_file", "/records"),
            (json!({"records": {}}), 400, "invalid_request", "/records"),
            (json!({"records": [record, record, record]}), 413, "too_many_records", "/records"),
            (json!({"records": [record], "kind": "undo"}), 400, "invalid_option", "/kind"),
            (json!({"records": [record], "match_by": "shoe size"}), 400, "invalid_option", "/match_by"),
            (json!({"records": [record], "options": {"queue": "a"}}), 400, "invalid_option", "/options/queue"),
            (json!({"records": [record], "options": {"overdraft": []}}), 400, "invalid_option", "/options/overdraft"),
            (json!({"records": [record], "colour": 1}), 400, "invalid_request", "/colour"),
        ] {
            let (answered, problem) = bulk(app, body.clone()).await;
            assert_eq!((answered, problem["code"].as_str()), (status, Some(code)), "{body}: {problem}");
            let found = problem.pointer("/errors/0/pointer").and_then(Value::as_str).unwrap_or_default();
            assert_eq!(found, pointer, "{body}: {problem}");
        }
        let twice = r#"{"records": [], "records": [{"email": "a@b.example"}]}"#;
        let request = app.post(BULK).header("content-type", "application/json").body(twice);
        assert_eq!(json_of(request).await.0, 400);
        let reader = app.make_key(&app.community, &[Scope::BulkUpdate]).await;
        let request = app.bare(Method::POST, BULK).bearer_auth(reader);
        let (status, problem) = json_of(request.json(&json!({"kind": "import", "records": [record]}))).await;
        assert_eq!((status.as_u16(), &problem["code"]), (403, &json!("missing_scope")), "{problem}");
        assert_eq!(app.count_jobs().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_may_be_written_over_several_lines_and_numbers_keep_their_digits() {
    on_every_database(async |app| {
        let body = "{\"kind\": \"import\", \"records\": [{\n\"email\":\r\n \"ada@example.com\",\n\"values\": {\"premium_currency\": \
                    12345678901234567890.123456}}]}";
        let request = app.post(BULK).header("content-type", "application/json").body(body);
        let (status, answer) = json_of(request).await;
        assert_eq!((status.as_u16(), &answer["data"][0]["status"]), (200, &json!("created")), "{answer}");
        let user = app.user("ada@example.com").await;
        assert_eq!(user["values"]["premium_currency"], "12345678901234567890.123456");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waited_too_long_gets_the_answer_with_the_same_key() {
    let limits = Limits { answer_within: Duration::ZERO, ..Limits::default() };
    with(Options { limits, ..Options::default() }, async |app| {
        let records = json!({"kind": "import", "records": [{"email": "ada@example.com", "values": {"premium_currency": {"op": "add", "value": 5}}}]});
        let send = || app.post(BULK).header("Idempotency-Key", "one").json(&records).send();
        let response = send().await.expect("it is answered");
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
        let problem: Value = response.json().await.expect("it is JSON");
        assert_eq!(problem["code"], "still_running");
        let id = problem["job_id"].as_str().expect("it names the job");
        app.ended(id).await;
        let response = send().await.expect("it is answered");
        assert_eq!((response.status().as_u16(), &response.headers()["idempotency-replayed"]), (200, &"true".parse().expect("a header")));
        let answer: Value = response.json().await.expect("it is JSON");
        assert_eq!((answer["job_id"].as_str(), &answer["data"][0]["status"]), (Some(id), &json!("created")));
        assert_eq!(app.user("ada@example.com").await["values"]["premium_currency"], "5");
        assert_eq!(app.count_jobs().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_job_that_failed_serves_no_other_request() {
    on_every_database(async |app| {
        let failing = json!({"kind": "import", "options": {"on_error": "abort"}, "records": [{"email": "no email"}]});
        let send = |method: Method, path: &str, body: Value| {
            json_of(app.request(method, path).header("Idempotency-Key", "one").json(&body))
        };
        let (status, first) = send(Method::POST, BULK, failing.clone()).await;
        assert_eq!(status, 409, "{first}");
        let (status, again) = send(Method::POST, BULK, failing).await;
        assert_eq!((status.as_u16(), &again["job_id"]), (409, &first["job_id"]), "it is that job's answer for good");
        let record = json!({"email": "ada@example.com"});
        for (method, path, body) in [
            (Method::POST, BULK, json!({"kind": "import", "records": [record]})),
            (Method::POST, "/v1/users", record.clone()),
            (Method::POST, "/v1/jobs?kind=import", json!([record])),
            (Method::POST, "/v1/fields", json!({"name": "Colour", "type": "text"})),
        ] {
            let (status, refused) = send(method, path, body).await;
            assert_eq!(
                (status.as_u16(), &refused["code"]),
                (422, &json!("idempotency_key_reused")),
                "{path}: {refused}"
            );
        }
        assert_eq!(app.user("ada@example.com").await, Value::Null);
        assert_eq!(app.count_jobs().await, 1);
        assert_eq!(app.get("/v1/fields").await.1["data"].as_array().map(Vec::len), Some(BUILT_IN.len()));
        app.engine.verify().await.expect("the ledger balances");
    })
    .await;
}
