use crate::app::{Options, json_of, with};
use crate::on_every_database;
use muster_engine::testing;
use muster_server::http::HttpConfig;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_says_everything_that_rfc_9457_and_we_promise() {
    on_every_database(async |app| {
        let request = app.post("/v1/jobs").header("x-request-id", "call-7").body("Emial,First Name,Foo\nx,y,z\n");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["x-request-id"], "call-7");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(
            problem,
            json!({
                "type": "/docs/errors#missing_key_column", "title": "Missing key column", "status": 400,
                "code": "missing_key_column", "detail": problem["detail"], "request_id": "call-7",
                "errors": problem["errors"],
            })
        );
        assert!(problem["detail"].as_str().unwrap().contains("email"), "{problem}");
        assert_eq!(problem["errors"][1]["column"], "Emial", "{problem}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_problem_too() {
    on_every_database(async |app| {
        let (status, problem) = json_of(app.bare(Method::GET, "/v1/nothing").header("x-request-id", "r")).await;
        assert_eq!(status, 404);
        assert_eq!(
            problem,
            json!({"type": "/docs/errors#not_found", "title": "Not found", "status": 404, "code": "not_found",
                   "detail": "There is nothing at this address.", "request_id": "r"})
        );
        let response = app.request(Method::PUT, "/v1/jobs").send().await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
        assert_eq!(response.json::<Value>().await.unwrap()["code"], "method_not_allowed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_has_a_request_id_and_takes_over_only_a_sane_one() {
    on_every_database(async |app| {
        let id_of = async |given: Option<&str>| {
            let request = app.bare(Method::GET, "/healthz");
            let request = given.into_iter().fold(request, |request, id| request.header("x-request-id", id));
            let response = request.send().await.unwrap();
            response.headers()["x-request-id"].to_str().unwrap().to_owned()
        };
        let longest = "x".repeat(128);
        for sane in ["a", "7f/é".trim_end_matches('é'), &longest] {
            assert_eq!(id_of(Some(sane)).await, sane);
        }
        let too_long = "x".repeat(129);
        for other in [None, Some(""), Some("two words"), Some(too_long.as_str())] {
            let made = id_of(other).await;
            assert_eq!(made.len(), 36, "{made}");
            assert_ne!(made, id_of(other).await);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_body_is_limited_typed_and_complete() {
    let options =
        Options { config: HttpConfig { json_body_bytes: 1_000, ..HttpConfig::default() }, ..Options::default() };
    with(options, async |app| {
        let post = |body: &str| app.post("/v1/fields").header("content-type", "application/json").body(body.to_owned());
        let long = format!("{{\"name\":\"{}\"}}", "x".repeat(1_000));
        let cases = [
            (post(&long), 413, "body_too_large", Value::Null),
            (app.post("/v1/fields").body("{}"), 415, "unsupported_media_type", Value::Null),
            (post("{}").header("content-encoding", "gzip"), 415, "unsupported_media_type", Value::Null),
            (post("{\"name\": \"A\", \"type\": \"colour\"}"), 400, "invalid_request", json!("/type")),
            (post("{\"name\": 7, \"type\": \"text\"}"), 400, "invalid_request", json!("/name")),
            (post("{\"name\": \"A\", \"type\": \"text\", \"hue\": 1}"), 400, "invalid_request", json!("/hue")),
            (post("{\"name\": \"A\", \"name\": \"B\", \"type\": \"text\"}"), 400, "invalid_request", json!("/name")),
            (post("{\"type\": \"text\"}"), 400, "invalid_request", json!("")),
            (post("{\"name\": \"A\", \"type\": \"text\"} x"), 400, "invalid_request", Value::Null),
            (post("{\"name\""), 400, "invalid_request", json!("")),
            (post(""), 400, "invalid_request", json!("")),
        ];
        for (request, expected, code, pointer) in cases {
            let (status, problem) = json_of(request).await;
            assert_eq!((status.as_u16(), &problem["code"]), (expected, &json!(code)), "{problem}");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_refused_where_they_say_what_nobody_hears() {
    on_every_database(async |app| {
        for path in [
            "/v1/jobs?colour=red",
            "/v1/jobs?limit=0",
            "/v1/jobs?limit=1001",
            "/v1/jobs?limit=x",
            "/v1/jobs?limit=1&limit=1",
            "/v1/jobs?cursor=!",
            "/v1/jobs?since=yesterday",
            "/v1/jobs?state=bored",
            "/v1/users?cursor=78",
            "/v1/history?job_id=7",
            "/v1/history?cursor=78",
            "/v1/fields?a=b",
            "/v1/keys?a=b",
        ] {
            let (status, problem) = app.get(path).await;
            assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_request")), "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_inside_stays_inside() {
    on_every_database(async |app| {
        testing::execute(app.engine.store(), "ALTER TABLE users RENAME TO people").await;
        let (status, problem) = json_of(app.request(Method::GET, "/v1/users").header("x-request-id", "r")).await;
        assert_eq!(
            (status.as_u16(), problem),
            (
                500,
                json!({"type": "/docs/errors#internal", "title": "Internal", "status": 500, "code": "internal",
                       "detail": "Something failed on our side; the log of the server has the cause.", "request_id": "r"})
            )
        );
    })
    .await;
}

/// Operations of the faces that read their bodies by types, each with a body that it takes.
const BODIES: [(&str, &str, &str); 13] = [
    ("PATCH", "/v1/community", r#"{"name": "Ours", "settings": {"retention_days": {"files": 90}}}"#),
    (
        "POST",
        "/v1/users",
        r#"{"email": "a@example.com", "identities": [{"source": "crm", "source_id": "7"}], "values": {"note": {"a": 1}}}"#,
    ),
    ("PATCH", "/v1/users/1", r#"{"email": "b@example.com", "values": {"note": {"a": 1}}}"#),
    (
        "POST",
        "/v1/users/bulk",
        r#"{"records": [{"email": "ada@example.com", "values": {"note": {"a": 1}}}], "options": {"on_error": "skip"}}"#,
    ),
    ("POST", "/v1/users/query", r#"{"filter": {"city": "Rome"}}"#),
    ("POST", "/v1/history", r#"{"user_id": 1, "field": "note", "op": "overwrite", "value": {"a": 1}}"#),
    ("POST", "/v1/fields", r#"{"name": "Tier", "type": "select", "options": [{"key": "g", "name": "Gold"}]}"#),
    ("POST", "/v1/keys", r#"{"name": "k", "scopes": ["users:read"]}"#),
    ("POST", "/v1/webhooks", r#"{"url": "https://example.com/"}"#),
    (
        "POST",
        "/apis/v1/users",
        r#"{"email": "c@example.com", "firstname": "C", "lastname": "C", "username": "c", "displayname": "C", "customFields": [{"fieldIdorName": "note", "value": {"a": 1}}]}"#,
    ),
    ("POST", "/apis/v1/users/info", r#"{"idOrEmail": "1"}"#),
    ("POST", "/apis/v1/users/filter", r#"{"fields": ["city"], "filter": {"city": "Rome"}}"#),
    ("POST", "/apis/v1/users/manage", r#"{"action": "delete", "user": "1"}"#),
];

/// The same JSON with the n-th of its objects as the array of its members' values, if there are as many.
fn with_array(json: &Value, n: &mut usize) -> Value {
    match json {
        Value::Object(members) => {
            let is_meant = *n == 0;
            *n = n.wrapping_sub(1);
            let inner = members.iter().map(|(name, value)| (name.clone(), with_array(value, n)));
            match is_meant {
                true => inner.map(|(_, value)| value).collect(),
                false => Value::Object(inner.collect()),
            }
        }
        Value::Array(items) => items.iter().map(|item| with_array(item, n)).collect(),
        other => other.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_takes_an_array_for_an_object_or_a_member_twice_or_a_name_of_the_libraries() {
    on_every_database(async |app| {
        app.make_field("Note", "json").await;
        app.run("?kind=import", "Email\nada@example.com\n").await;
        let before = app.get("/v1/history").await;
        let send = async |method: &str, path: &str, body: String| {
            let request = app.request(method.parse().unwrap(), path).header("content-type", "application/json");
            let (status, answer) = json_of(request.body(body)).await;
            let text = answer.to_string();
            for internal in ["struct ", "i64", "u32", "serde", "visit", " at line 0"] {
                assert!(!text.contains(internal) || text.contains("$serde"), "{path}: {text}");
            }
            (status.as_u16(), answer)
        };
        for (method, path, body) in BODIES {
            let json: Value = serde_json::from_str(body).unwrap();
            for nth in 0.. {
                let mut n = nth;
                let array = with_array(&json, &mut n);
                if array == json {
                    break;
                }
                let array = array.to_string();
                // An array is a value of a JSON field like any other.
                if array.contains("[1]") {
                    continue;
                }
                let (status, answer) = send(method, path, array.clone()).await;
                let failed = answer["counts"]["failed"] == 1;
                assert!(status == 400 || failed, "{path} {array}: {status} {answer}");
            }
            let twice = body.replace(r#"{"a": 1}"#, r#"{"a": 1, "a": 2}"#).replacen(
                '{',
                r#"{"x": 1, "x": 1, "#,
                usize::from(!body.contains(r#""a": 1"#)),
            );
            let named = body.replace(r#"{"a": 1}"#, r#"{"$serde_json::private::Number": "5"}"#);
            for wrong in [twice, named].iter().filter(|wrong| *wrong != body) {
                let (status, answer) = send(method, path, wrong.clone()).await;
                let failed = answer["counts"]["failed"] == 1;
                assert!(status == 400 || failed, "{path} {wrong}: {status} {answer}");
            }
        }
        assert_eq!(app.get("/v1/history").await, before, "nothing of it was done");
        let (_, problem) =
            send("PATCH", "/v1/community", r#"{"settings": {"retention_days": {"files": "x"}}}"#.to_owned()).await;
        assert!(problem["detail"].as_str().unwrap().contains("expected a whole number"), "{problem}");
        let (_, problem) = app.get("/v1/users?limit=many").await;
        assert!(problem["detail"].as_str().unwrap().contains("not a whole number"), "{problem}");
        app.engine.verify().await.expect("the ledger balances");
    })
    .await;
}
