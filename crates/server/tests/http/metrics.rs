//! What Prometheus reads.

use crate::app::{Options, json_of, with};
use crate::on_every_database;
use reqwest::Method;
use std::collections::BTreeMap;

/// Every number by its name and labels. Fails where the text is not one that can be read.
fn numbers(text: &str) -> BTreeMap<String, String> {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let split = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
        value.parse::<f64>().expect("it is a number");
        (name.to_owned(), value.to_owned())
    };
    let numbers: BTreeMap<_, _> = samples.map(split).collect();
    for name in numbers.keys() {
        let bare = name.split('{').next().unwrap_or_default();
        assert!(bare.starts_with("muster_") && bare.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
    }
    numbers
}

async fn read(app: &crate::App) -> BTreeMap<String, String> {
    let response = app.bare(Method::GET, "/metrics").send().await.expect("the server answers");
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-type"].to_str().expect("a text").starts_with("application/openmetrics-text"));
    numbers(&response.text().await.expect("a text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_jobs_and_requests_are_counted_and_nobody_is_named() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email,First Name\nada@example.com,Ada\nno-address,Bob\n").await;
        app.run("?kind=import&dry_run=true", "Email,First Name\ncleo@example.com,Cleo\n").await;
        let user = app.user("ada@example.com").await;
        assert_eq!(app.get(&format!("/v1/users/{}", user["id"])).await.0, 200);
        assert_eq!(app.get("/v1/users/999").await.0, 404);
        assert_eq!(app.get("/nothing/ada@example.com").await.0, 404);
        assert_eq!(json_of(app.bare(Method::from_bytes(b"ADA").unwrap_or_default(), "/v1/users")).await.0, 405);
        let numbers = read(app).await;
        let number = |name: &str| numbers.get(name).map_or("none", String::as_str);
        assert_eq!(number(r#"muster_rows_total{kind="import",dry_run="false",status="created"}"#), "1");
        assert_eq!(number(r#"muster_rows_total{kind="import",dry_run="false",status="failed"}"#), "1");
        assert_eq!(number(r#"muster_rows_total{kind="import",dry_run="true",status="created"}"#), "1");
        assert_eq!(number(r#"muster_jobs_ended_total{kind="import",state="completed"}"#), "1");
        assert_eq!(number(r#"muster_jobs_ended_total{kind="import",state="planned"}"#), "1");
        assert_eq!(number("muster_chunk_commit_seconds_count"), "2");
        let by_id = |status| {
            format!(r#"muster_http_requests_total{{method="GET",route="/v1/users/{{id}}",status="{status}"}}"#)
        };
        assert_eq!((number(&by_id(200)), number(&by_id(404))), ("1", "1"));
        assert_eq!(number(r#"muster_http_requests_total{method="GET",route="none",status="404"}"#), "1");
        assert_eq!(number(r#"muster_http_requests_total{method="other",route="/v1/users",status="405"}"#), "1");
        assert_eq!(number(r#"muster_http_request_seconds_count{method="GET",route="/v1/users/{id}"}"#), "2");
        assert_eq!((number("muster_database_up"), number("muster_queue_depth")), ("1", "0"));
        assert_eq!(number(&format!(r#"muster_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION"))), "1");
        let named = ["ada", "Ada", "cleo", &app.community.id.to_string()];
        assert!(!numbers.keys().any(|name| named.iter().any(|word| name.contains(word))), "{numbers:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_counted_in_the_database() {
    with(Options { works: false, ..Options::default() }, async |app| {
        for kind in ["update", "import", "import"] {
            let submit = app.post(&format!("/v1/jobs?kind={kind}")).body("Email\nada@example.com\n");
            assert_eq!(json_of(submit).await.0, 202);
        }
        let numbers = read(app).await;
        let number = |name: &str| numbers.get(name).map_or("none", String::as_str);
        assert_eq!(number(r#"muster_jobs_open{kind="import",state="queued"}"#), "2");
        assert_eq!(number(r#"muster_jobs_open{kind="update",state="queued"}"#), "1");
        assert_eq!((number("muster_queue_depth"), number("muster_job_leases")), ("3", "0"));
        assert_eq!(number("muster_deliveries_pending"), "0");
    })
    .await;
}
