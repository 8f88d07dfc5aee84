use crate::App;
use crate::app::{Options, id_of, json_of, with};
use muster_engine::{AnonymousLimits, Limits};
use muster_server::http::{HttpConfig, Rates};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

const IMPORT: &str = "/apis/v1/users/bulk-import";

/// Runs a test with a server that does not count files by address.
async fn without_rates(limits: Limits, works: bool, test: impl AsyncFn(&App)) {
    let rates = Rates { anonymous_files: None, ..Rates::default() };
    let config = HttpConfig { rates, ..HttpConfig::default() };
    with(Options { limits, config, works, ..Options::default() }, test).await;
}

async fn set(app: &App, setting: &str) {
    let body = json!({"settings": {"anonymous_import": setting}});
    let (status, answer) = json_of(app.request(Method::PATCH, "/v1/community").json(&body)).await;
    assert_eq!(status, 200, "{answer}");
}

/// Marks a field as one that people without a key may write.
async fn open(app: &App, key: &str) {
    let (_, fields) = app.get("/v1/fields").await;
    let field = fields["data"].as_array().expect("there are fields").iter().find(|field| field["key"] == key);
    let path = format!("/v1/fields/{}", id_of(field.expect("it is there")));
    let (status, answer) = json_of(app.request(Method::PATCH, &path).json(&json!({"anonymous_writable": true}))).await;
    assert_eq!(status, 200, "{answer}");
}

fn file(csv: impl Into<String>) -> Part {
    Part::text(csv.into()).file_name("users.csv")
}

/// Sends a file without a key, as the product's sample does: the community last.
async fn send(app: &App, csv: &str, community: &str) -> (u16, Value) {
    let form = Form::new().part("data", file(csv)).text("communityId", community.to_owned());
    let (status, answer) = json_of(app.bare(Method::POST, IMPORT).multipart(form)).await;
    (status.as_u16(), answer)
}

async fn ended(app: &App, answer: &Value) -> Value {
    app.ended(answer["data"]["id"].as_str().expect("it has an id")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_community_that_is_closed_is_answered_like_one_that_does_not_exist() {
    without_rates(Limits::default(), true, async |app| {
        let other = app.engine.create_community("Theirs").await.unwrap();
        let ours = app.community.id.to_string();
        let (closed, hex) = (other.id.to_string(), "0123456789abcdef01234567");
        // Nobody is open, then somebody else is.
        let mut answers = vec![send(app, "Email\na@b\n", &ours).await];
        set(app, "upsert").await;
        for community in [&closed, hex, "", "x", "\u{0}"] {
            answers.push(send(app, "Email\na@b\n", community).await);
            let first = Form::new().text("communityId", community.to_owned()).part("data", file("Email\n"));
            let (status, answer) = json_of(app.bare(Method::POST, IMPORT).multipart(first)).await;
            answers.push((status.as_u16(), answer));
        }
        let nameless = app.bare(Method::POST, IMPORT).multipart(Form::new().part("data", file("Email\n")));
        let (status, answer) = json_of(nameless).await;
        answers.push((status.as_u16(), answer));
        for answer in &answers {
            assert_eq!((answer.0, &answer.1["code"]), (401, &json!("unauthorized")), "{answer:?}");
            assert_eq!(answer, &answers[0]);
        }
        let keyed = app.bare(Method::POST, IMPORT).header("idempotency-key", "one");
        let keyed = keyed.multipart(Form::new().text("communityId", ours.clone()).part("data", file("Email\n")));
        assert_eq!(json_of(keyed).await.0, 401, "who has no key has no Idempotency-Key");
        let bad = app.bare(Method::POST, IMPORT).bearer_auth("wrong");
        let bad = bad.multipart(Form::new().text("communityId", ours.clone()).part("data", file("Email\n")));
        assert_eq!(json_of(bad).await.0, 401, "a key that is wrong is not none");
        assert_eq!(app.count_jobs().await, 0);
        set(app, "off").await;
        assert_eq!(send(app, "Email\na@b\n", &ours).await, answers[0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_create_never_changes_anyone_who_exists() {
    without_rates(Limits::default(), true, async |app| {
        app.run("?kind=import", "Email,City\nada@example.com,London\n").await;
        set(app, "create_only").await;
        open(app, "city").await;
        let ada = app.user("ada@example.com").await;
        let csv = "Email,City\nADA@example.com,Rome\nnew@example.com,Oslo\nnew@example.com,Rome\n\u{430}da@example.com,Kiev\n";
        let (status, answer) = send(app, csv, &app.community.id.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        let text = "Bulk import user process is queued";
        assert_eq!((&answer["status"], &answer["message"]), (&json!("success"), &json!(text)));
        let job = ended(app, &answer).await;
        assert_eq!((&job["kind"], &job["counts"]["created"], &job["counts"]["failed"]), (&json!("create"), &json!(2), &json!(2)));
        assert_eq!(job["submitted_by"], json!({"type": "anonymous", "id": "", "name": "anonymous"}));
        assert_eq!(app.user("ada@example.com").await, ada);
        assert_eq!(app.user("new@example.com").await["values"], json!({"city": "Oslo"}));
        // Whoever has a key can take it back.
        let (_, undo) = json_of(app.post(&format!("/v1/jobs/{}/undo", id_of(&job)))).await;
        app.ended(id_of(&undo)).await;
        assert!(app.user("new@example.com").await.is_null());
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_fields_that_are_marked_can_be_written() {
    without_rates(Limits::default(), true, async |app| {
        app.run("?kind=import", "Email,City,Premium Currency\nada@example.com,London,5\n").await;
        set(app, "upsert").await;
        for key in ["city", "xp"] {
            open(app, key).await;
        }
        let ours = app.community.id.to_string();
        for (header, closed) in [
            ("Email,City,First Name", json!(["First Name"])),
            ("Email,Premium Currency,Premium Currency_op,Coins", json!(["Premium Currency", "Coins"])),
            ("Email,source,source_id", json!(["source", "source_id"])),
        ] {
            let (status, error) = send(app, &format!("{header}\n"), &ours).await;
            assert_eq!((status, &error["code"]), (400, &json!("read_only_field")), "{header}: {error}");
            let faults = error["errors"].as_array().unwrap();
            assert_eq!(faults.iter().map(|fault| fault["column"].clone()).collect::<Value>(), closed, "{error}");
        }
        for (bytes, status, code) in [
            ("{\"email\":\"ada@example.com\",\"values\":{\"premium_currency\":9}}\n", 415, "unsupported_format"),
            ("[{\"email\":\"ada@example.com\",\"values\":{\"first_name\":\"A\"}}]", 415, "unsupported_format"),
            ("", 400, "empty_file"),
            ("City\nRome\n", 400, "missing_key_column"),
            ("Email,Colour\n", 400, "unknown_column"),
        ] {
            let (got, error) = send(app, bytes, &ours).await;
            assert_eq!((got, &error["code"]), (status, &json!(code)), "{error}");
        }
        assert_eq!(app.count_jobs().await, 1);
        let (status, answer) =
            send(app, "Email,City,XP,XP_op\nada@example.com,Rome,5,add\nnew@example.com,Oslo,,\n", &ours).await;
        assert_eq!(status, 200, "{answer}");
        let job = ended(app, &answer).await;
        assert_eq!(
            (&job["kind"], &job["counts"]["created"], &job["counts"]["updated"]),
            (&json!("import"), &json!(1), &json!(1))
        );
        let ada = app.user("ada@example.com").await;
        assert_eq!(ada["values"], json!({"city": "Rome", "premium_currency": "5", "xp": 5}));
        // What a community closes again is closed.
        let currency = app.get("/v1/fields").await.1["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|field| field["key"] == "premium_currency")
            .cloned();
        let path = format!("/v1/fields/{}", id_of(&currency.unwrap()));
        let marked = json_of(app.request(Method::PATCH, &path).json(&json!({"anonymous_writable": true}))).await;
        assert_eq!(marked.0, 400, "a currency is never theirs: {}", marked.1);
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_a_key_is_small_and_jobs_of_them_are_few() {
    let anonymous = AnonymousLimits { bytes: 200, rows: 3, open_jobs: 2 };
    without_rates(Limits { anonymous, ..Limits::default() }, false, async |app| {
        set(app, "upsert").await;
        let ours = app.community.id.to_string();
        let (status, error) = send(app, "Email\na@b\nb@b\nc@b\nd@b\n", &ours).await;
        assert_eq!((status, &error["code"]), (413, &json!("file_too_large")), "{error}");
        let (status, error) = send(app, &format!("Email\n{}@b\n", "x".repeat(200)), &ours).await;
        assert_eq!((status, &error["code"]), (413, &json!("file_too_large")), "{error}");
        // Nobody works: of four at the same time two are taken.
        let csv = "Email\na@b\nb@b\nc@b\n";
        let answers =
            tokio::join!(send(app, csv, &ours), send(app, csv, &ours), send(app, csv, &ours), send(app, csv, &ours));
        let answers = [answers.0, answers.1, answers.2, answers.3];
        assert_eq!(answers.iter().filter(|answer| answer.0 == 200).count(), 2, "{answers:?}");
        for refused in answers.iter().filter(|answer| answer.0 != 200) {
            assert_eq!((refused.0, &refused.1["code"]), (429, &json!("too_many_jobs")));
        }
        assert_eq!(app.count_jobs().await, 2);
        app.submit("?kind=import", csv).await;
        assert_eq!(app.count_jobs().await, 3, "who has a key goes on");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_sends_ten_files_an_hour() {
    with(Options::default(), async |app| {
        set(app, "create_only").await;
        let ours = app.community.id.to_string();
        for i in 0..10 {
            // Those that are refused count too, so that nobody can try out ids.
            let (status, _) =
                send(app, &format!("Email\nu{i}@b\n"), if i < 9 { "0123456789abcdef01234567" } else { &ours }).await;
            assert_eq!(status, if i < 9 { 401 } else { 200 });
        }
        let form = Form::new().part("data", file("Email\n")).text("communityId", ours);
        let response = app.bare(Method::POST, IMPORT).multipart(form).send().await.unwrap();
        assert_eq!(response.status(), 429);
        assert!(response.headers().contains_key("retry-after"), "{response:?}");
        assert_eq!(response.json::<Value>().await.unwrap()["code"], "rate_limited");
        let keyed = app.post(IMPORT).multipart(Form::new().part("data", file("Email\n")));
        assert_eq!(json_of(keyed).await.0, 200, "who has a key goes on");
    })
    .await;
}
