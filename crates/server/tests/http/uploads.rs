use crate::app::{Options, json_of, with};
use crate::{App, on_every_database};
use reqwest::header;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends the head of a request and the beginning of its body, waits until the file begins to be stored, and leaves.
async fn cut_off(app: &App, content_type: &str, body: &str) {
    let files = || app.engine.staging().count_incoming().expect("the folder is there");
    let mut connection = TcpStream::connect(app.address).await.expect("the server listens");
    let head = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nContent-Type: {content_type}\r\nContent-Length: \
         1000000\r\n\r\n{body}",
        app.key
    );
    connection.write_all(head.as_bytes()).await.expect("the server reads");
    until(|| files() == 1).await;
    drop(connection);
    until(|| files() == 0).await;
}

/// Looks until it is so; there is nothing that could be awaited on the other side of a connection.
async fn until(so: impl Fn() -> bool) {
    let looking = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.expect("it never was so");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_off_leaves_nothing() {
    on_every_database(async |app| {
        cut_off(app, "text/csv", "Email\na@example.com\n").await;
        let part =
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\nEmail\na@example.com\n";
        cut_off(app, "multipart/form-data; boundary=x", part).await;
        assert_eq!(app.count_jobs().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_over_the_limit_is_refused_and_nothing_stays() {
    let mut options = Options::default();
    options.limits.upload_bytes = 100_000;
    with(options, async |app| {
        let csv = format!("Email\n{}", "a@example.com\n".repeat(200_000));
        let (status, problem) = json_of(app.post("/v1/jobs").body(csv.clone())).await;
        assert_eq!((status.as_u16(), &problem["code"]), (413, &json!("file_too_large")));
        let form = reqwest::multipart::Form::new().text("file", csv);
        let (status, problem) = json_of(app.post("/v1/jobs").multipart(form)).await;
        assert_eq!((status.as_u16(), &problem["code"]), (413, &json!("file_too_large")));
        assert_eq!(app.count_jobs().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_early_can_read_why_while_still_sending() {
    on_every_database(async |app| {
        let mut connection = TcpStream::connect(app.address).await.unwrap();
        let head = "POST /v1/jobs HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 20000000\r\n\r\n";
        connection.write_all(head.as_bytes()).await.unwrap();
        // A client that sends all of its body before it looks for an answer.
        connection.write_all(&vec![b'x'; 20_000_000]).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.contains("\"code\":\"unauthorized\""), "{answer}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_body_is_a_file_whatever_its_content_type() {
    on_every_database(async |app| {
        for content_type in
            [None, Some("text/csv"), Some("application/x-www-form-urlencoded"), Some("text/plain; charset=\"utf-8\"")]
        {
            let request = app.post("/v1/jobs?kind=import").body("Email\na@example.com\n");
            let request = content_type.into_iter().fold(request, |r, t| r.header(header::CONTENT_TYPE, t));
            let (status, job) = json_of(request).await;
            assert_eq!(status, 202, "{content_type:?}: {job}");
        }
        let (_, job) = json_of(
            app.post("/v1/jobs?kind=import")
                .header("content-type", "text/csv; charset=windows-1252")
                .body(b"Email,City\na@example.com,\xc3\xa9\n".to_vec()),
        )
        .await;
        assert_eq!(job["source"]["encoding"], "windows-1252", "the charset of the content type is heard");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_can_never_work_are_refused_at_once() {
    on_every_database(async |app| {
        for (body, status, code) in [
            ("", 400, "empty_file"),
            ("First Name\nAda\n", 400, "missing_key_column"),
            ("Email,Colour\na@example.com,red\n", 400, "unknown_column"),
            ("Email,First Name,first_name\na@example.com,A,B\n", 400, "duplicate_column"),
            ("Email,City_op,City\na@example.com,add,B\n", 400, "operator_not_allowed"),
            ("%PDF-1.7", 415, "unsupported_format"),
        ] {
            let (answered, problem) = json_of(app.post("/v1/jobs").body(body)).await;
            assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)), "{problem}");
        }
        let encoded = app.post("/v1/jobs").header("content-encoding", "br").body("Email\n");
        let (status, problem) = json_of(encoded).await;
        assert_eq!((status.as_u16(), &problem["code"]), (415, &json!("unsupported_media_type")));
        assert_eq!(app.count_jobs().await, 0);
    })
    .await;
}
