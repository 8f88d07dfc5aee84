//! The rules of `Idempotency-Key`: who may use which key, when a request is the same one, and what happens while it runs.

use crate::App;
use crate::app::{Options, id_of, json_of, with};
use crate::on_every_database;
use futures_util::{StreamExt, stream};
use muster_core::scope::Scope;
use muster_engine::{Fault, Limits, testing};
use muster_server::http::HttpConfig;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const CSV: &str = "Email,First Name\nada@example.com,Ada\n";

fn submit(app: &App, key: &str, query: &str) -> RequestBuilder {
    app.post(&format!("/v1/jobs{query}")).header("Idempotency-Key", key)
}

fn keyed(app: &App, key: &str) -> RequestBuilder {
    submit(app, key, "").body(CSV)
}

fn file(name: &str) -> Part {
    Part::text(CSV).file_name(name.to_owned())
}

/// The status and the code of what is refused.
async fn refusal(request: RequestBuilder) -> (u16, String) {
    let (status, problem) = json_of(request).await;
    (status.as_u16(), problem["code"].as_str().unwrap_or_default().to_owned())
}

/// The job that answers, and whether it was answered before.
async fn accepted(request: RequestBuilder) -> (String, bool) {
    job_of(request.send().await.expect("the server answers")).await
}

async fn job_of(response: Response) -> (String, bool) {
    let (status, replayed) = (response.status(), response.headers().contains_key("idempotency-replayed"));
    let job: Value = response.json().await.expect("it is JSON");
    assert_eq!(status, 202, "{job}");
    (id_of(&job).to_owned(), replayed)
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Sends a request that will wait where a file is staged and no job is made yet, and comes back when it is there.
async fn stalled(app: &App, request: RequestBuilder) -> (JoinHandle<reqwest::Result<Response>>, Arc<Notify>) {
    let go_on = Arc::new(Notify::new());
    app.faults.plan("accept.staged", 0, Fault::Stall(go_on.clone()));
    let sending = tokio::spawn(request.send());
    while app.engine.is_passing("accept.staged") {
        tokio::task::yield_now().await;
    }
    (sending, go_on)
}

async fn expire(app: &App) {
    testing::execute(app.engine.store(), "UPDATE idempotency_keys SET expires_at = 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_1_to_255_printable_characters_and_is_sent_once() {
    on_every_database(async |app| {
        let long = "x".repeat(256);
        for wrong in [&b""[..], b"a\tb", "\u{e9}".as_bytes(), long.as_bytes()] {
            let request = app.post("/v1/jobs").header("Idempotency-Key", wrong).body(CSV);
            assert_eq!(refusal(request).await, is(400, "invalid_request"), "{wrong:?}");
        }
        assert_eq!(refusal(keyed(app, "a").header("Idempotency-Key", "b")).await, is(400, "invalid_request"));
        assert_eq!(app.count_jobs().await, 0);
        for right in ["x", "a key, with \"everything\" ~!", &long[1..]] {
            let first = accepted(keyed(app, right)).await;
            assert!(!first.1);
            assert_eq!(accepted(keyed(app, right)).await, (first.0, true));
        }
        assert_eq!(app.count_jobs().await, 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_looked_up_after_who_asks_and_whether_they_may() {
    on_every_database(async |app| {
        accepted(keyed(app, "k")).await;
        let by =
            |key: &str| app.bare(Method::POST, "/v1/jobs").bearer_auth(key).header("Idempotency-Key", "k").body(CSV);
        let anonymous = app.bare(Method::POST, "/v1/jobs").header("Idempotency-Key", "k").body(CSV);
        assert_eq!(refusal(anonymous).await, is(401, "unauthorized"));
        assert_eq!(refusal(by("x")).await, is(401, "unauthorized"));
        let reader = app.make_key(&app.community, &[Scope::UsersRead]).await;
        assert_eq!(refusal(by(&reader)).await, is(403, "missing_scope"));
        let other = app.make_key(&app.community, Scope::ALL).await;
        assert_eq!(refusal(by(&other)).await, is(409, "idempotency_key_in_use"));
        let strangers = app.engine.create_community("Theirs").await.unwrap();
        let stranger = app.make_key(&strangers, Scope::ALL).await;
        assert!(!accepted(by(&stranger)).await.1, "the same key of another community is another key");
        assert_eq!(app.count_jobs().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_refused_leaves_its_key_free() {
    on_every_database(async |app| {
        let bad = submit(app, "k", "").body("Email,Nonsense\na@example.com,1\n");
        assert_eq!(refusal(bad).await, is(400, "unknown_column"));
        let missing = app.request(Method::DELETE, "/v1/users/77").header("Idempotency-Key", "k");
        assert_eq!(refusal(missing).await, is(404, "not_found"));
        assert!(!accepted(keyed(app, "k")).await.1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_given_again_where_a_new_request_would_be_too_many() {
    let limits = Limits { open_jobs: 1, ..Limits::default() };
    with(Options { works: false, limits, ..Options::default() }, async |app| {
        let (job, _) = accepted(keyed(app, "k")).await;
        assert_eq!(refusal(keyed(app, "other")).await, is(429, "too_many_jobs"));
        assert_eq!(accepted(keyed(app, "k")).await, (job, true));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_the_same_however_it_is_cut_into_pieces_and_in_whatever_order_its_options_come() {
    on_every_database(async |app| {
        let (job, _) = accepted(submit(app, "k", "?name=A%20b&kind=import").body(CSV)).await;
        let pieces = stream::iter(CSV.as_bytes().chunks(3).map(|piece| Ok::<_, Infallible>(piece.to_vec())));
        let again = submit(app, "k", "?kind=import&name=A+b").body(Body::wrap_stream(pieces));
        assert_eq!(accepted(again).await, (job, true));

        let form = |parts: [(&'static str, &'static str); 2], file_name| {
            let texts = parts.into_iter().fold(Form::new(), |form, (name, text)| form.text(name, text));
            submit(app, "form", "").multipart(texts.part("file", file(file_name)))
        };
        let (job, _) = accepted(form([("kind", "import"), ("name", "N")], "a.csv")).await;
        assert_eq!(accepted(form([("name", "N"), ("kind", "import")], "b.csv")).await, (job.clone(), true));
        let before = Form::new().part("file", file("a.csv")).text("name", "N").text("kind", "import");
        assert_eq!(accepted(submit(app, "form", "").multipart(before)).await, (job, true));
        let others = [
            form([("kind", "import"), ("name", "M")], "a.csv"),
            submit(app, "form", "?name=N").multipart(Form::new().text("kind", "import").part("file", file("a.csv"))),
            submit(app, "form", "?name=N&kind=import").body(CSV),
            submit(app, "form", "").body(CSV),
        ];
        for other in others {
            assert_eq!(refusal(other).await, is(422, "idempotency_key_reused"));
        }
        assert_eq!(app.count_jobs().await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_larger_than_the_first_could_have_been_is_another_request() {
    let limits = Limits { upload_bytes: 1_000, ..Limits::default() };
    let config = HttpConfig { json_body_bytes: 1_000, ..HttpConfig::default() };
    with(Options { limits, config, ..Options::default() }, async |app| {
        accepted(keyed(app, "k")).await;
        let endless = stream::repeat_with(|| Ok::<_, Infallible>(vec![b'x'; 500])).take(1_000);
        let larger = submit(app, "k", "").body(Body::wrap_stream(endless));
        assert_eq!(refusal(larger).await, is(422, "idempotency_key_reused"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_while_the_first_runs_is_told_to_wait() {
    on_every_database(async |app| {
        let (first, go_on) = stalled(app, keyed(app, "k")).await;
        let response = keyed(app, "k").send().await.unwrap();
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(response.json::<Value>().await.unwrap()["code"], "idempotency_key_running");
        let face = app.post("/apis/v1/users/bulk-update").header("Idempotency-Key", "k");
        let (status, error) = json_of(face.multipart(Form::new().part("data", file("a.csv")))).await;
        assert_eq!(
            (status.as_u16(), &error["status"], &error["code"]),
            (409, &json!("error"), &json!("idempotency_key_running"))
        );
        go_on.notify_one();
        let (job, replayed) = job_of(first.await.unwrap().unwrap()).await;
        assert!(!replayed);
        assert_eq!(accepted(keyed(app, "k")).await, (job, true));
        assert_eq!(app.count_jobs().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_at_once_one_has_its_effect() {
    on_every_database(async |app| {
        let sent: Vec<_> = (0..12).map(|_| tokio::spawn(keyed(app, "k").send())).collect();
        let mut jobs = Vec::new();
        for sent in sent {
            let response = sent.await.unwrap().unwrap();
            match response.status().as_u16() {
                409 => assert_eq!(response.json::<Value>().await.unwrap()["code"], "idempotency_key_running"),
                _ => jobs.push(job_of(response).await),
            }
        }
        assert_eq!(jobs.iter().filter(|(_, replayed)| !replayed).count(), 1, "{jobs:?}");
        assert!(jobs.iter().all(|(id, _)| *id == jobs[0].0), "{jobs:?}");
        assert_eq!(app.count_jobs().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_off_leaves_its_key_free_and_one_that_still_comes_does_not() {
    on_every_database(async |app| {
        let part = stream::iter([Ok::<_, Infallible>(CSV.to_owned())]);
        let body = Body::wrap_stream(part.chain(stream::pending()));
        let sending = tokio::spawn(submit(app, "k", "?kind=import").body(body).send());
        while app.engine.staging().count_incoming().unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        let again = || submit(app, "k", "?kind=import").body(CSV);
        assert_eq!(refusal(again()).await, is(409, "idempotency_key_running"));
        sending.abort();
        // It is free when the server has seen that nobody is there any more.
        let answer = loop {
            let response = again().send().await.unwrap();
            if response.status() != 409 {
                break job_of(response).await;
            }
        };
        assert!(!answer.1);
        assert_eq!(app.count_jobs().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_waited_for_has_its_effect_all_the_same() {
    on_every_database(async |app| {
        let (first, go_on) = stalled(app, keyed(app, "k")).await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        go_on.notify_one();
        let answer = loop {
            let response = keyed(app, "k").send().await.unwrap();
            if response.status() != 409 {
                break job_of(response).await;
            }
        };
        assert!(answer.1, "the first one made the job");
        assert_eq!(app.count_jobs().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_stalled_past_its_lease_changes_nothing_when_it_wakes_up() {
    on_every_database(async |app| {
        let (first, go_on) = stalled(app, keyed(app, "k")).await;
        expire(app).await;
        let (job, replayed) = accepted(keyed(app, "k")).await;
        assert!(!replayed, "the key was free again");
        go_on.notify_one();
        let late = first.await.unwrap().unwrap();
        assert_eq!(late.status(), 409);
        assert_eq!(late.json::<Value>().await.unwrap()["code"], "idempotency_key_running");
        assert_eq!(accepted(keyed(app, "k")).await, (job, true));
        assert_eq!(app.count_jobs().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_expired_is_removed_and_its_key_is_free() {
    on_every_database(async |app| {
        let (job, _) = accepted(keyed(app, "k")).await;
        assert_eq!(app.engine.sweep_idempotency_keys().await.unwrap(), 0);
        assert_eq!(accepted(keyed(app, "k")).await, (job.clone(), true));
        expire(app).await;
        assert_eq!(app.engine.sweep_idempotency_keys().await.unwrap(), 1);
        let (another, replayed) = accepted(keyed(app, "k")).await;
        assert!(!replayed && another != job);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_holds_no_secret() {
    on_every_database(async |app| {
        let make = || app.post("/v1/keys").header("Idempotency-Key", "k").json(&json!({"name": "N", "scopes": []}));
        let (_, made) = json_of(make()).await;
        let secret = made["key"].as_str().unwrap();
        assert_eq!(secret.len(), 64);
        let (status, again) = json_of(make()).await;
        assert_eq!((status.as_u16(), &again["key"], &again["id"]), (201, &Value::Null, &made["id"]));
        // As hex, which both databases write in their own case.
        let on_sqlite = app.engine.store().dialect().single_writer();
        let hex = if on_sqlite { "hex(body)" } else { "encode(body, 'hex')" };
        let sql = format!("SELECT lower({hex}) FROM idempotency_keys");
        let kept = testing::strings(app.engine.store(), &sql).await.remove(0);
        let written = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert!(kept.contains(&written(id_of(&made))) && !kept.contains(&written(&secret[24..])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_nothing_to_an_operation_that_reads() {
    on_every_database(async |app| {
        for _ in 0..2 {
            let request = app.request(Method::GET, "/v1/users").header("Idempotency-Key", "k");
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(!response.headers().contains_key("idempotency-replayed"));
        }
        assert!(!accepted(keyed(app, "k")).await.1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_address_of_a_face_takes_a_key_too_and_is_another_request() {
    on_every_database(async |app| {
        let send = async |prefix: &str| {
            let request = app.post(&format!("{prefix}/users/bulk-update")).header("Idempotency-Key", "k");
            json_of(request.multipart(Form::new().part("data", file("a.csv")))).await
        };
        let first = send("/api/v1/apis/v1").await;
        assert_eq!(first.0, 200, "{}", first.1);
        assert_eq!(send("/api/v1/apis/v1").await, first);
        let (status, error) = send("/apis/v1").await;
        assert_eq!((status.as_u16(), &error["code"]), (422, &json!("idempotency_key_reused")));
        assert_eq!(app.count_jobs().await, 1);
    })
    .await;
}
