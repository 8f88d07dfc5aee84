use crate::app::{json_of, without};
use crate::on_every_database;
use muster_core::scope::Scope;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

const PATHS: [&str; 2] = ["/apis/v1/users/bulk-update", "/api/v1/apis/v1/users/bulk-update"];

fn form(csv: &'static str) -> Form {
    Form::new().part("data", Part::text(csv).file_name("users.csv"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_is_the_documented_one_to_the_letter_and_the_id() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nada@example.com\n").await;
        for (path, amount) in PATHS.into_iter().zip(["5", "10"]) {
            let form = form("Premium Currency_op;Premium Currency;Email\nadd;5;ada@example.com\n").text("log_name", "June");
            let response = app.post(path).multipart(form).send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["content-type"], "application/json");
            let text = response.text().await.unwrap();
            let answer: Value = serde_json::from_str(&text).unwrap();
            let id = answer["data"]["id"].as_str().unwrap();
            assert_eq!(
                text,
                format!(
                    "{{\"status\":\"success\",\"message\":\"Bulk update user process is queued\",\"data\":{{\"message\":\"Bulk update \
                     user process is queued. You can check in Api Log ( community settings )\",\"id\":\"{id}\"}}}}"
                )
            );
            let job = app.ended(id).await;
            assert_eq!(job["name"], "June");
            assert_eq!(job["kind"], "update");
            assert_eq!(job["options"], json!({"match_by": "email", "queue": "returning_ai"}));
            assert_eq!(app.user("ada@example.com").await["values"]["premium_currency"], amount);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_shape_of_the_product() {
    on_every_database(async |app| {
        let bad_key = app.bare(Method::POST, PATHS[1]).bearer_auth("wrong");
        let read_only = app.make_key(&app.community, &[Scope::UsersRead]).await;
        let lacking = app.bare(Method::POST, PATHS[0]).bearer_auth(read_only).multipart(form("Email\n"));
        let cases = [
            (app.bare(Method::POST, PATHS[0]), 401, "unauthorized"),
            (bad_key, 401, "unauthorized"),
            (lacking, 403, "missing_scope"),
            (app.post(PATHS[0]), 400, "no_file"),
            (app.post(PATHS[0]).body("Email\n").header("content-type", "text/csv"), 415, "unsupported_media_type"),
            (app.post(PATHS[0]).multipart(Form::new().text("log_name", "x")), 400, "no_file"),
            (app.post(PATHS[0]).multipart(form("")), 400, "empty_file"),
            (app.post(PATHS[0]).multipart(form("Email\n").text("kind", "import")), 400, "invalid_option"),
            (app.post(PATHS[0]).multipart(form("Name\nx\n")), 400, "missing_key_column"),
            (app.request(Method::GET, PATHS[0]), 405, "method_not_allowed"),
            (app.request(Method::GET, "/apis/v1/nothing"), 404, "not_found"),
        ];
        for (request, expected, code) in cases {
            let (status, error) = json_of(request).await;
            assert_eq!((status.as_u16(), &error["code"]), (expected, &json!(code)), "{error}");
            assert_eq!(error["status"], "error");
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
            json_of(app.post(PATHS[0]).multipart(form("Email,Colour,Shape\na@example.com,1,2\n"))).await;
        assert_eq!(status, 400);
        let error = without(error, &["message"]);
        let columns: Vec<&Value> = error["errors"].as_array().unwrap().iter().map(|fault| &fault["column"]).collect();
        assert_eq!(columns, ["Colour", "Shape"]);
        assert_eq!(error["code"], "unknown_column");
    })
    .await;
}
