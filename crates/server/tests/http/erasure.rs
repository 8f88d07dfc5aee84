//! Users who are erased, and what is over its time.

use crate::app::{id_of, json_of};
use crate::on_every_database;
use muster_core::scope::Scope;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn erasing_a_user_answers_with_a_job_and_takes_its_files() {
    on_every_database(async |app| {
        let import = app.run("?kind=import", "Email,First Name\nada@example.com,Ada\n").await;
        let user = app.user("ada@example.com").await;
        let path = format!("/v1/users/{}", user["id"]);
        let ask = |query: &str| app.request(Method::DELETE, &format!("{path}{query}"));
        for query in ["?erase=yes", "?erase=", "?erase=true&erase=true", "?force=true"] {
            assert_eq!(json_of(ask(query)).await.0, 400, "{query}");
        }
        let (status, problem) = json_of(ask("?erase=true").header("if-match", "\"99\"")).await;
        assert_eq!((status.as_u16(), &problem["code"]), (412, &json!("version_mismatch")));
        let others: Vec<Scope> = Scope::ALL.iter().copied().filter(|scope| *scope != Scope::UsersDelete).collect();
        let weak = app.make_key(&app.community, &others).await;
        let (status, _) = json_of(app.bare(Method::DELETE, &format!("{path}?erase=true")).bearer_auth(weak)).await;
        assert_eq!(status, 403);

        // A request with a key: its answer named the user, and is blank when it is given again.
        let edit = || app.request(Method::PATCH, &path).header("Idempotency-Key", "edit").json(&json!({"values": {}}));
        assert_eq!(json_of(edit()).await.1["email"], "ada@example.com");
        let erase = || ask("?erase=true").header("Idempotency-Key", "erase");
        let response = erase().send().await.unwrap();
        assert_eq!(response.status(), 202);
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let job: serde_json::Value = response.json().await.unwrap();
        assert_eq!(location, format!("/v1/jobs/{}", id_of(&job)));
        assert_eq!((&job["kind"], &job["name"]), (&json!("erase"), &json!(format!("erasure of user {}", user["id"]))));
        let ended = app.ended(id_of(&job)).await;
        assert_eq!((&ended["state"], &ended["counts"]["updated"]), (&json!("completed"), &json!(1)));
        assert_eq!(json_of(erase()).await, (reqwest::StatusCode::ACCEPTED, job.clone()), "once, and not again");
        assert_eq!(json_of(ask("?erase=true")).await.0, 404);

        let (status, again) = json_of(edit()).await;
        assert_eq!(status, 200);
        assert!(again["notice"].is_string() && again["email"].is_null(), "{again}");
        let (status, problem) = app.get(&format!("/v1/jobs/{}/file", id_of(&import))).await;
        assert_eq!((status.as_u16(), &problem["code"]), (410, &json!("file_erased")));
        let results = app.get_text(&format!("/v1/jobs/{}/results", id_of(&import))).await;
        assert!(results.contains("created") && !results.contains("ada@") && !results.contains(",Ada"), "{results}");
        let log = app.get_text("/v1/jobs").await + &app.get_text("/v1/history").await;
        assert!(!log.contains("ada@") && !log.contains("\"Ada\""), "{log}");
        let (status, problem) = json_of(app.post(&format!("/v1/jobs/{}/undo", id_of(&job)))).await;
        assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("invalid_state")));
        let submit = app.post("/v1/jobs?kind=erase").body("Email\nada@example.com\n");
        assert_eq!(json_of(submit).await.1["code"], "invalid_option");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_its_time_says_so_and_the_log_stays() {
    on_every_database(async |app| {
        let days = json!({"settings": {"retention_days": {"files": 1, "results": 1, "history": 1}}});
        assert_eq!(json_of(app.request(Method::PATCH, "/v1/community").json(&days)).await.0, 200);
        let import = app.run("?kind=import", "Email,First Name\nada@example.com,Ada\nno-address,Bob\n").await;
        let user = app.user("ada@example.com").await;
        let before = "2020-01-01T00:00:00Z";
        let as_of = format!("/v1/users/{}?at={before}", user["id"]);
        assert_eq!(app.get(&as_of).await.0, 404, "nobody had that id then");
        let later = app.engine.clock().now() + std::time::Duration::from_secs(2 * 24 * 3_600);
        app.engine.sweep_expired(later).await.unwrap();

        let path = format!("/v1/jobs/{}", id_of(&import));
        let refused = [
            (app.request(Method::GET, &format!("{path}/file")), 410, "file_erased"),
            (app.request(Method::GET, &format!("{path}/results")), 410, "results_expired"),
            (app.request(Method::GET, &format!("{path}/errors")), 410, "results_expired"),
            (app.post(&format!("{path}/retry")), 410, "results_expired"),
            (app.post(&format!("{path}/undo")), 409, "history_expired"),
            (app.post(&format!("{path}/undo?dry_run=true")), 409, "history_expired"),
            (app.request(Method::GET, &as_of), 409, "history_expired"),
        ];
        for (request, status, code) in refused {
            let (answered, problem) = json_of(request).await;
            assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)), "{problem}");
        }
        assert_eq!(app.get(&path).await.1["counts"], import["counts"]);
        assert_eq!(app.get("/v1/history").await.1, json!({"data": [], "next_cursor": null}));
        assert_eq!(app.user("ada@example.com").await["values"], user["values"]);
    })
    .await;
}
