use crate::app::json_of;
use crate::on_every_database;
use reqwest::multipart::{Form, Part};
use serde_json::json;

const CSV: &str = "Email|First Name\nada@example.com|Ada\n";

fn file() -> Part {
    Part::text(CSV).file_name("people.csv").mime_str("text/csv").expect("it is a content type")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_form_come_in_any_order() {
    on_every_database(async |app| {
        let forms = [
            Form::new().text("kind", "import").text("name", "N").text("delimiter", "|").part("file", file()),
            Form::new().part("file", file()).text("kind", "import").text("name", "N").text("delimiter", "|"),
            Form::new().text("delimiter", "|").part("file", file()).text("name", "N").text("kind", "import"),
        ];
        for form in forms {
            let (status, job) = json_of(app.post("/v1/jobs").multipart(form)).await;
            assert_eq!(status, 202, "{job}");
            assert_eq!(job["kind"], "import");
            assert_eq!(job["name"], "N");
            assert_eq!(job["options"], json!({"delimiter": "|"}));
            assert_eq!(job["source"]["delimiter"], "|");
            assert_eq!(job["source"]["file_name"], "people.csv");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoding_that_follows_the_file_is_heard() {
    on_every_database(async |app| {
        let bytes: Vec<u8> = "Email\nada@example.com\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let form = || Form::new().part("file", Part::bytes(bytes.clone()));
        let (status, problem) = json_of(app.post("/v1/jobs").multipart(form())).await;
        assert_eq!((status.as_u16(), &problem["code"]), (415, &json!("unsupported_format")));
        let told = form().text("encoding", "utf-16le");
        let (status, job) = json_of(app.post("/v1/jobs").multipart(told)).await;
        assert_eq!((status.as_u16(), &job["source"]["encoding"]), (202, &json!("utf-16le")), "{job}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_kind_that_is_asked_for_needs_its_scope_wherever_it_stands() {
    use muster_core::scope::Scope;
    use reqwest::Method;
    on_every_database(async |app| {
        let key = app.make_key(&app.community, &[Scope::BulkImport]).await;
        let post = |form| json_of(app.bare(Method::POST, "/v1/jobs").bearer_auth(&key).multipart(form));
        let (status, _) = post(Form::new().part("file", file()).text("kind", "import")).await;
        assert_eq!(status, 202);
        for form in [
            Form::new().part("file", file()),
            Form::new().part("file", file()).text("kind", "update"),
            Form::new().text("kind", "update").part("file", file()),
        ] {
            let (status, problem) = post(form).await;
            assert_eq!(status, 403);
            assert_eq!(problem["detail"], "The key needs the scope bulk:update.");
        }
        assert_eq!(app.count_jobs().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_is_given_once_in_query_or_form() {
    on_every_database(async |app| {
        let form = Form::new().text("kind", "import").part("file", file());
        let (status, problem) = json_of(app.post("/v1/jobs?kind=import").multipart(form)).await;
        assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_option")));
        let form = Form::new().part("file", file()).text("queue", "a").text("queue", "a");
        let (status, problem) = json_of(app.post("/v1/jobs").multipart(form)).await;
        assert_eq!((status.as_u16(), &problem["errors"][0]["pointer"]), (400, &json!("/queue")));
        assert_eq!(app.count_jobs().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_its_file_is_refused_by_name() {
    on_every_database(async |app| {
        let cases = [
            (Form::new().text("kind", "import"), "no_file"),
            (Form::new().part("data", file()), "no_file"),
            (Form::new().part("file", Part::text("").file_name("empty.csv")), "empty_file"),
            (Form::new().part("file", file()).part("file", file()), "invalid_request"),
        ];
        for (form, code) in cases {
            let (status, problem) = json_of(app.post("/v1/jobs").multipart(form)).await;
            assert_eq!((status.as_u16(), &problem["code"]), (400, &json!(code)), "{problem}");
        }
        assert_eq!(app.count_jobs().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_form_is_refused() {
    on_every_database(async |app| {
        for (content_type, body) in [
            ("multipart/form-data", "--x\r\n"),
            ("multipart/form-data; boundary=x", "no boundary at all"),
            ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nEmail\n"),
        ] {
            let request = app.post("/v1/jobs").header("content-type", content_type).body(body);
            let (status, problem) = json_of(request).await;
            assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_request")), "{problem}");
        }
        assert_eq!(app.count_jobs().await, 0);
    })
    .await;
}
