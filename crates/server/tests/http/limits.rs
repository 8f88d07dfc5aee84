//! How often somebody may ask.

use crate::app::{Options, json_of, with};
use muster_engine::Clock;
use muster_server::http::{HttpConfig, Rate, Rates};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::time::Duration;

fn options(rates: Rates) -> Options {
    let clock = Clock::fixed("2026-01-31T09:30:00Z".parse().expect("it is a time"));
    Options { config: HttpConfig { rates, ..HttpConfig::default() }, clock, ..Options::default() }
}

/// The status, the three headers that say how long to wait, and the body.
async fn answer(request: RequestBuilder) -> (u16, [String; 3], Value) {
    let response = request.send().await.expect("the server answers");
    let header =
        |name| response.headers().get(name).map_or("", |value| value.to_str().expect("it is ASCII")).to_owned();
    let headers = ["retry-after", "ratelimit", "ratelimit-policy"].map(header);
    (response.status().as_u16(), headers, response.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_asks_too_often_hears_how_long_to_wait_on_every_face() {
    let options = options(Rates { requests: Rate::per_second(2, 4), ..Rates::default() });
    with(options.clone(), async |app| {
        let post = app.post("/v1/fields").header("Idempotency-Key", "k").json(&json!({"name": "A", "type": "text"}));
        assert_eq!(json_of(post).await.0, 201, "which counts once");
        for _ in 0..2 {
            assert_eq!(app.get("/v1/users").await.0, 200);
        }
        let bulk_update = || app.post("/apis/v1/users/bulk-update");
        assert_eq!(json_of(bulk_update()).await.0, 400);
        let waits = ["1", "\"requests\";r=0;t=1", "\"requests\";q=4;w=2"].map(str::to_owned);
        let (status, headers, problem) = answer(app.request(Method::GET, "/v1/users")).await;
        assert_eq!((status, &problem["code"], headers), (429, &json!("rate_limited"), waits.clone()), "{problem}");
        let (status, headers, error) = answer(bulk_update()).await;
        assert_eq!(
            (status, &error["status"], &error["code"]),
            (429, &json!("error"), &json!("rate_limited")),
            "{error}"
        );
        assert_eq!(headers, waits);
        let other = app.make_key(&app.community, muster_core::scope::Scope::ALL).await;
        assert_eq!(json_of(app.bare(Method::GET, "/v1/users").bearer_auth(other)).await.0, 200);
        assert_eq!(json_of(app.bare(Method::GET, "/healthz")).await.0, 200);
        app.engine.clock().advance(Duration::from_millis(500));
        assert_eq!((app.get("/v1/users").await.0.as_u16(), app.get("/v1/users").await.0.as_u16()), (200, 429));
        app.engine.clock().advance(Duration::from_secs(2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_tries_keys_out_is_stopped_and_others_are_not() {
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    with(options(Rates { attempts: Rate::per_second(1, 2), trusted_proxies, ..Rates::default() }), async |app| {
        let from = |address: &str, key: &str| {
            let request = app.bare(Method::GET, "/v1/users").bearer_auth(key);
            answer(request.header("x-forwarded-for", format!("203.0.113.9, {address}")))
        };
        assert_eq!(from("198.51.100.1", &app.key).await.0, 200);
        assert_eq!(from("198.51.100.1", "wrong").await.0, 401);
        let (status, headers, problem) = from("198.51.100.1", "wrong too").await;
        assert_eq!((status, &problem["code"]), (429, &json!("rate_limited")), "{problem}");
        assert_eq!(headers, ["1", "\"attempts\";r=0;t=1", "\"attempts\";q=2;w=2"].map(str::to_owned));
        assert_eq!(from("198.51.100.1", &app.key).await.0, 200, "a key that was valid before");
        assert_eq!(from("198.51.100.2", "wrong").await.0, 401);
        assert_eq!(json_of(app.bare(Method::GET, "/v1/users")).await.0, 401, "no key is no attempt");
        app.engine.clock().advance(Duration::from_secs(1));
        assert_eq!(from("198.51.100.1", "wrong").await.0, 401);
        app.engine.clock().advance(Duration::from_secs(2));
    })
    .await;
}
