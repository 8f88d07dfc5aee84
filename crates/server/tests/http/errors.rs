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
            (post("{\"name\": \"A\", \"name\": \"B\", \"type\": \"text\"}"), 400, "invalid_request", json!("")),
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
