//! Odd texts and numbers wherever somebody can write some: refused or taken, but never a failure of the server.

use crate::{App, on_every_database};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const CSV: &str = "Email\nada@example.com\n";
/// Longer than any name.
const LONG_CHARACTERS: usize = 500_000;

fn forms(app: &App, odd: &str) -> Vec<RequestBuilder> {
    let file = || Part::text(CSV).file_name("a.csv");
    let mapping = json!({"Email": odd, odd: null}).to_string();
    // A part's own name and that of its file cannot have a NUL.
    let name = odd.replace('\0', " ");
    let forms = [
        Form::new().text("name", odd.to_owned()).part("file", file()),
        Form::new().text("queue", odd.to_owned()).part("file", file()),
        Form::new().text("clear_token", odd.to_owned()).part("file", file()),
        Form::new().text("mapping", mapping).part("file", file()),
        Form::new().text(name.clone(), "x").part("file", file()),
        Form::new().part("file", file().file_name(name)),
    ];
    forms.into_iter().map(|form| app.post("/v1/jobs").multipart(form)).collect()
}

fn bodies(app: &App, user: &str, odd: &str) -> Vec<RequestBuilder> {
    let patch = |body: Value| app.request(Method::PATCH, user).json(&body);
    let post = |path: &str, body: Value| app.post(path).json(&body);
    vec![
        patch(json!({"email": odd})),
        patch(json!({"email": format!("{odd}@example.com")})),
        patch(json!({"values": {"city": odd}})),
        patch(json!({"values": {"addresses": {odd: [odd]}}})),
        patch(json!({"values": {odd: 1}})),
        post("/v1/fields", json!({"name": format!("{odd} a"), "type": "text"})),
        post("/v1/fields", json!({"name": "T", "key": odd, "type": "text"})),
        post("/v1/fields", json!({"name": "S", "type": "select", "options": [odd, {"key": odd, "name": "N"}]})),
        post("/v1/fields", json!({"name": "N", "type": "integer", "min": odd})),
        post("/v1/keys", json!({"name": odd, "scopes": []})),
    ]
}

fn queries(app: &App, odd: &str) -> Vec<RequestBuilder> {
    let submitted =
        ["name=", "queue=", "clear_token=", ""].map(|option| app.post(&format!("/v1/jobs?{option}{odd}")).body(CSV));
    let asked = [
        "/v1/users?email=",
        "/v1/users?cursor=",
        "/v1/users?limit=",
        "/v1/users/",
        "/v1/jobs/",
        "/v1/jobs?cursor=",
        "/v1/jobs?since=",
        "/v1/history?field=",
        "/v1/history?user_id=",
        "/v1/history?until=",
    ]
    .map(|path| app.request(Method::GET, &format!("{path}{odd}")));
    submitted.into_iter().chain(asked).collect()
}

fn numbers(app: &App, user: &str, number: &str) -> Vec<RequestBuilder> {
    let body = format!("{{\"values\": {{\"premium_currency\": {number}}}}}");
    let patch = app.request(Method::PATCH, user).header("content-type", "application/json");
    let mut requests = queries(app, number);
    requests.extend(cursors(app, number));
    requests.push(patch.body(body));
    requests
}

/// Cursors as we write them, of places that we never wrote.
fn cursors(app: &App, place: &str) -> Vec<RequestBuilder> {
    let cursor: String = place.bytes().map(|byte| format!("{byte:02x}")).collect();
    let lists = ["users", "jobs", "history"];
    let list = |list| app.request(Method::GET, &format!("/v1/{list}?cursor={cursor}"));
    lists.into_iter().map(list).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_somebody_writes_makes_the_server_fail() {
    on_every_database(async |app| {
        app.run("?kind=import", CSV).await;
        let user = format!("/v1/users/{}", app.user("ada@example.com").await["id"]);
        let long = "x".repeat(LONG_CHARACTERS);
        let mut requests = Vec::new();
        for odd in ["\0", "a\0b", "\u{7}", "\u{202e}", "\u{fffd}\u{1f600}", "'\"; --", "%", "_", &long] {
            requests.extend(forms(app, odd));
            requests.extend(bodies(app, &user, odd));
        }
        for odd in ["%00", "a%00b@x.y", "%E2%80%AE", "%FF", "'", "%25", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z"]
        {
            requests.extend(queries(app, odd));
        }
        for number in ["9223372036854775807", "-9223372036854775808", "18446744073709551616", "1e400", "-0"] {
            requests.extend(numbers(app, &user, number));
        }
        for place in
            ["9223372036854775807.0", "9223372036854775807.9", "-9223372036854775808.1", "1.18446744073709551615"]
        {
            requests.extend(cursors(app, place));
        }
        let mut failed = Vec::new();
        for request in requests {
            let (client, request) = request.build_split();
            let request = request.unwrap();
            let body = request.body().and_then(|body| body.as_bytes()).map(String::from_utf8_lossy);
            let said = format!("{} {} {body:?}", request.method(), request.url());
            if client.execute(request).await.unwrap().status().is_server_error() {
                failed.push(said.chars().take(200).collect::<String>());
            }
        }
        assert!(failed.is_empty(), "{failed:#?}");
    })
    .await;
}
