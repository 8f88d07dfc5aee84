use crate::app::{id_of, json_of, without};
use crate::on_every_database;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_history_says_who_changed_what_when_and_why() {
    on_every_database(async |app| {
        let job = app.run("?kind=import", "Email,City\nada@example.com,Rome\n").await;
        let id = app.user("ada@example.com").await["id"].clone();
        let edit = json!({"values": {"city": null, "premium_currency": {"op": "add", "value": "3"}}});
        json_of(app.request(Method::PATCH, &format!("/v1/users/{id}")).json(&edit)).await;

        let (status, page) = app.get(&format!("/v1/history?user_id={id}&field=city")).await;
        assert_eq!(status, 200, "{page}");
        let entries = page["data"].as_array().unwrap();
        assert_eq!(entries.len(), 2, "{page}");
        assert_eq!(entries[0]["actor"]["name"], "test");
        assert_eq!(
            without(entries[0].clone(), &["at", "actor"]),
            json!({"user_id": id, "field": "city", "op": "clear", "old": "Rome", "new": null, "job_id": null, "line": null})
        );
        assert_eq!(
            without(entries[1].clone(), &["at", "actor"]),
            json!({"user_id": id, "field": "city", "op": "overwrite", "old": null, "new": "Rome", "job_id": job["id"],
                   "line": 2})
        );
        let (_, of_job) = app.get(&format!("/v1/history?job_id={}", id_of(&job))).await;
        assert_eq!(of_job["data"].as_array().unwrap().len(), 2, "email and city: {of_job}");
        let (_, none) = app.get("/v1/history?until=2020-01-01T00:00:00Z").await;
        assert_eq!(none, json!({"data": [], "next_cursor": null}));
        let (status, _) = app.get("/v1/history?field=nothing").await;
        assert_eq!(status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_given_page_by_page_and_complete() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email,City,Title\na@example.com,A,B\nb@example.com,C,D\n").await;
        let mut path = "/v1/history?limit=2".to_owned();
        let mut seen: Vec<Value> = Vec::new();
        loop {
            let (status, page) = app.get(&path).await;
            assert_eq!(status, 200, "{page}");
            seen.extend(page["data"].as_array().unwrap().iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/v1/history?limit=2&cursor={cursor}");
        }
        let (_, whole) = app.get("/v1/history").await;
        assert_eq!(seen.len(), 6);
        assert_eq!(whole["data"].as_array().unwrap(), &seen);
    })
    .await;
}
