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

#[tokio::test(flavor = "multi_thread")]
async fn a_currency_is_a_ledger_with_its_balance() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email,Premium Currency,City\na@example.com,2.50,Rome\n").await;
        let id = app.user("a@example.com").await["id"].clone();
        let make = async |op: &str, value: Value| {
            let change = json!({"user_id": id, "field": "premium_currency", "op": op, "value": value});
            json_of(app.post("/v1/history").json(&change)).await
        };
        let (status, made) = make("add", json!(7)).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(
            without(made, &["at", "actor"]),
            json!({"user_id": id, "field": "premium_currency", "op": "add", "old": "2.5", "new": "9.5", "delta": "7",
                   "balance": "9.5", "job_id": null, "line": null})
        );
        let (status, same) = make("overwrite", json!("9.50")).await;
        assert_eq!((status.as_u16(), &same["op"]), (200, &json!("add")), "nothing changed: {same}");
        let (status, problem) = make("subtract", json!(10)).await;
        assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("insufficient_balance")), "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], "/value");
        make("clear", Value::Null).await;
        let (_, page) = app.get(&format!("/v1/history?user_id={id}&field=premium_currency")).await;
        let entries = page["data"].as_array().unwrap().iter();
        let ledger: Vec<_> = entries.map(|entry| [&entry["op"], &entry["delta"], &entry["balance"]]).collect();
        assert_eq!(ledger, [["clear", "-9.5", "0"], ["add", "7", "9.5"], ["overwrite", "2.5", "2.5"]]);

        let change = json!({"user_id": id, "field": "title", "op": "clear"});
        let nothing = app.post("/v1/history").json(&change).send().await.unwrap();
        assert_eq!((nothing.status().as_u16(), nothing.text().await.unwrap()), (204, String::new()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_given_as_of_a_time() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email,City\na@example.com,Rome\n").await;
        let user = app.user("a@example.com").await;
        let path = format!("/v1/users/{}", user["id"]);
        let then = user["updated_at"].as_str().unwrap();
        json_of(app.request(Method::PATCH, &path).json(&json!({"email": null, "values": {"city": "Oslo"}}))).await;
        assert_eq!(app.get(&format!("{path}?at={then}")).await, (reqwest::StatusCode::OK, user.clone()));
        assert_eq!(app.get(&format!("{path}?at=2999-01-01T00:00:00Z")).await, app.get(&path).await);
        assert_eq!(app.get(&format!("{path}?at=2020-01-01T00:00:00Z")).await.0, 404);
        app.request(Method::DELETE, &path).send().await.unwrap();
        assert_eq!(app.get(&path).await.0, 404);
        assert_eq!(app.get(&format!("{path}?at={then}")).await.1, user);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_cannot_be_is_refused_with_the_name_of_the_parameter() {
    on_every_database(async |app| {
        for (path, pointer) in [
            ("/v1/history?since=yesterday", "/since"),
            ("/v1/history?limit=3&until=2026-13-01T00:00:00Z", "/until"),
            ("/v1/history?user_id=x", "/user_id"),
            ("/v1/history?job_id=x", "/job_id"),
            ("/v1/history?limit=0", "/limit"),
            ("/v1/history?users=1", "/users"),
            ("/v1/users/1?at=now", "/at"),
            ("/v1/jobs?since=", "/since"),
        ] {
            let (status, problem) = app.get(path).await;
            assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_request")), "{path} {problem}");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
    })
    .await;
}
