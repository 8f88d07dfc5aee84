use crate::app::{Options, id_of, json_of, with, without};
use crate::on_every_database;
use muster_engine::{Tick, Worker};
use reqwest::{Method, header};
use serde_json::{Value, json};

const PEOPLE: &str = "Email,First Name,Points\nada@example.com,Ada,1\nbob@example.com,Bob,2\ncyd@example.com,Cyd,\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_shown_with_all_its_members() {
    on_every_database(async |app| {
        app.make_field("Points", "integer").await;
        let request = app.post("/v1/jobs?kind=import&name=June&unknown_columns=ignore&clear_token=-");
        let response = request.body(PEOPLE).send().await.unwrap();
        assert_eq!(response.status(), 202);
        let location = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
        let accepted: Value = response.json().await.unwrap();
        let id = id_of(&accepted);
        assert_eq!(location, format!("/v1/jobs/{id}"));
        assert!(id.starts_with("job_"), "{id}");

        let job = app.ended(id).await;
        assert!(job["progress"]["rows_per_second"].as_f64().unwrap() > 0.0, "{job}");
        for time in ["submitted_at", "started_at", "finished_at"] {
            assert!(job[time].as_str().unwrap().ends_with('Z'), "{job}");
        }
        assert_eq!(job["submitted_by"]["type"], "api_key");
        let progress = without(job["progress"].clone(), &["rows_per_second"]);
        assert_eq!(
            progress,
            json!({"rows_done": 3, "bytes_done": PEOPLE.len(), "bytes_total": PEOPLE.len(), "eta_seconds": null})
        );
        let source = without(job["source"].clone(), &["sha256"]);
        assert_eq!(
            source,
            json!({"file_name": null, "size_bytes": PEOPLE.len(), "format": "csv", "encoding": "utf-8", "delimiter": ",",
                   "compression": null, "header": ["Email", "First Name", "Points"]})
        );
        let changing = ["id", "progress", "source", "submitted_by", "submitted_at", "started_at", "finished_at"];
        assert_eq!(
            without(job, &changing),
            json!({"kind": "import", "name": "June", "state": "completed", "dry_run": false,
                   "options": {"unknown_columns": "ignore", "clear_token": "-"},
                   "counts": {"received": 3, "created": 3, "updated": 0, "unchanged": 0, "skipped": 0, "failed": 0,
                              "unprocessed": 0},
                   "error": null, "same_file_as": null, "parent_job_id": null, "undo_job_id": null})
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_counts_good_and_broken_rows_apart() {
    on_every_database(async |app| {
        app.make_field("Points", "integer").await;
        app.run("?kind=import", PEOPLE).await;
        let update = "Email;Points;Points_op\n\
                      ada@example.com;5;add\n\
                      bob@example.com;2;\n\
                      cyd@example.com;many;\n\
                      dan@example.com;1;\n\
                      ada@example.com;1;multiply\n\
                      cyd@example.com;7;subtract\n";
        let job = app.run("", update).await;
        assert_eq!(job["state"], "completed");
        assert_eq!(job["source"]["delimiter"], ";");
        assert_eq!(
            job["counts"],
            json!({"received": 6, "created": 0, "updated": 2, "unchanged": 1, "skipped": 0, "failed": 3, "unprocessed": 0})
        );
        assert_eq!(app.user("ADA@example.com").await["values"]["points"], 6);
        assert_eq!(app.user("bob@example.com").await["values"]["points"], 2);
        assert_eq!(app.user("cyd@example.com").await["values"]["points"], -7);
        assert_eq!(app.user("dan@example.com").await, Value::Null);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_again_is_named() {
    on_every_database(async |app| {
        let first = app.run("?kind=import", "Email\na@example.com\n").await;
        let again = app.run("?kind=import", "Email\na@example.com\n").await;
        assert_eq!(again["same_file_as"], first["id"]);
        assert_eq!(again["counts"]["unchanged"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_newest_first_page_by_page() {
    on_every_database(async |app| {
        let mut ids = Vec::new();
        for kind in ["import", "update", "import"] {
            let job = app.run(&format!("?kind={kind}"), "Email\na@example.com\n").await;
            ids.insert(0, job["id"].clone());
        }
        let mut path = "/v1/jobs?limit=2".to_owned();
        let mut listed = Vec::new();
        loop {
            let (status, page) = app.get(&path).await;
            assert_eq!(status, 200, "{page}");
            listed.extend(page["data"].as_array().unwrap().iter().map(|job| job["id"].clone()));
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/v1/jobs?limit=2&cursor={cursor}");
        }
        assert_eq!(listed, ids);

        let (_, updates) = app.get("/v1/jobs?kind=update&state=completed&since=2020-01-01T00:00:00Z").await;
        assert_eq!(updates["data"][0]["id"], ids[1]);
        assert_eq!(updates["data"].as_array().unwrap().len(), 1);
        let (_, none) = app.get("/v1/jobs?since=2999-01-01T00:00:00Z").await;
        assert_eq!(none, json!({"data": [], "next_cursor": null}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_paused_resumed_and_cancelled_and_doing_it_again_changes_nothing() {
    let idle = Options { works: false, ..Options::default() };
    with(idle, async |app| {
        let job = app.submit("?kind=import", "Email\na@example.com\n").await;
        let act = async |what: &str| {
            let path = format!("/v1/jobs/{}/{what}", id_of(&job));
            let (status, answer) = json_of(app.post(&path)).await;
            (status.as_u16(), answer["state"].clone(), answer["code"].clone())
        };
        for _ in 0..2 {
            assert_eq!(act("pause").await, (200, json!("paused"), Value::Null));
        }
        let (_, resumed, _) = act("resume").await;
        assert!(resumed == "queued" || resumed == "running", "{resumed}");
        let (asked, _, _) = act("cancel").await;
        assert_eq!(asked, 200);
        let mut worker = Worker::new(&app.engine).unwrap();
        while !matches!(worker.tick().await.unwrap(), Tick::Idle) {}
        assert_eq!(act("cancel").await, (200, json!("cancelled"), Value::Null));
        assert_eq!(act("pause").await, (409, Value::Null, json!("invalid_state")));
        let (_, counts) = app.get(&format!("/v1/jobs/{}", id_of(&job))).await;
        assert_eq!(counts["counts"]["received"], 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_the_time_is_up() {
    let idle = Options { works: false, ..Options::default() };
    with(idle, async |app| {
        let job = app.submit("?kind=import", "Email\na@example.com\n").await;
        let (status, job) = app.get(&format!("/v1/jobs/{}?wait=1", id_of(&job))).await;
        assert_eq!((status.as_u16(), &job["state"]), (200, &json!("queued")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_community_has_a_limit_of_open_jobs() {
    let mut options = Options { works: false, ..Options::default() };
    options.limits.open_jobs = 1;
    with(options, async |app| {
        app.submit("", "Email\na@example.com\n").await;
        let response = app.post("/v1/jobs").body("Email\nb@example.com\n").send().await.unwrap();
        assert_eq!(response.status(), 429);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(response.json::<Value>().await.unwrap()["code"], "too_many_jobs");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_are_unknown_wrong_or_repeated_are_refused_by_name() {
    on_every_database(async |app| {
        for (query, pointer) in [
            ("?colour=red", "/colour"),
            ("?overdraft=maybe", "/overdraft"),
            ("?kind=undo", "/kind"),
            ("?name=a&name=a", "/name"),
            ("?mapping=[]", "/mapping"),
        ] {
            let (status, problem) = json_of(app.post(&format!("/v1/jobs{query}")).body("Email\n")).await;
            assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_option")), "{problem}");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
        assert_eq!(app.count_jobs().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_request_gives_the_headers_only() {
    on_every_database(async |app| {
        let response = app.request(Method::HEAD, "/v1/jobs").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_object_changes_all_users_that_its_filter_matches() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email,City\na@example.com,Rome\nb@example.com,Oslo\n").await;
        let command =
            json!({"where": {"city": "Rome"}, "set": {"first_name": "Ada"}, "options": {"name": "All of Rome"}});
        let (status, job) = json_of(app.post("/v1/jobs").json(&command)).await;
        assert_eq!(status.as_u16(), 202, "{job}");
        assert_eq!((&job["name"], &job["source"]["format"]), (&json!("All of Rome"), &Value::Null), "{job}");
        let job = app.ended(id_of(&job)).await;
        assert_eq!((&job["counts"]["received"], &job["counts"]["updated"]), (&json!(1), &json!(1)), "{job}");
        let path = format!("/v1/jobs/{}/file", id_of(&job));
        let file = app.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(file.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(file.json::<Value>().await.unwrap(), command);
        for (body, pointer) in [
            (json!({"where": {}, "set": {"city": "x"}}), "/where"),
            (json!({"where": {"city": {"like": "x"}}, "set": {"city": "x"}}), "/where/city/like"),
            (json!({"where": {"all": true}, "set": {"premium_currency": "x"}}), "/set/premium_currency"),
        ] {
            let (status, problem) = json_of(app.post("/v1/jobs").json(&body)).await;
            assert_eq!((status.as_u16(), &problem["errors"][0]["pointer"]), (400, &json!(pointer)), "{problem}");
        }
    })
    .await;
}
