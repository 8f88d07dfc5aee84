//! Webhooks and the log of their deliveries.

use crate::app::{App, id_of, json_of, without};
use crate::on_every_database;
use axum::http::HeaderMap;
use axum::routing::post;
use muster_core::scope::Scope;
use muster_engine::{Deliverer, DeliveryTick, Targets};
use muster_server::http::show_job;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

const HOOK: &str = "https://example.com/muster";

async fn make(app: &App, body: Value) -> Value {
    let (status, webhook) = json_of(app.post("/v1/webhooks").json(&body)).await;
    assert_eq!(status, 201, "{webhook}");
    webhook
}

/// An endpoint on this machine, which the server is allowed to send to; what it receives comes out here.
async fn endpoint(app: &App) -> (String, mpsc::UnboundedReceiver<(HeaderMap, String)>) {
    let (sender, received) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let address = listener.local_addr().expect("it has an address");
    let receive = async move |headers: HeaderMap, body: String| {
        let _ = sender.send((headers, body)).is_ok();
        "thank you"
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/hook", post(receive))).await });
    app.engine.allow_targets(Targets { allow_private: true, ports: vec![address.port()] });
    (format!("http://{address}/hook"), received)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_made_shown_changed_and_deleted_and_its_secret_shown_once() {
    on_every_database(async |app| {
        let response = app.post("/v1/webhooks").json(&json!({"url": HOOK})).send().await.unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let made: Value = response.json().await.unwrap();
        let secret = made["secret"].as_str().unwrap().to_owned();
        assert!(secret.starts_with("whsec_") && secret.len() > 40);
        let path = format!("/v1/webhooks/{}", id_of(&made));
        assert_eq!(location, path);
        let shown = without(made, &["secret"]);
        assert_eq!(
            without(shown.clone(), &["id", "created_at"]),
            json!({"url": HOOK, "events": ["job.completed", "job.failed", "job.cancelled", "job.planned"],
                   "enabled": true, "disabled_because": null, "last_delivered_at": null})
        );
        assert_eq!(app.get(&path).await, (reqwest::StatusCode::OK, shown.clone()));
        let (_, page) = app.get("/v1/webhooks").await;
        assert_eq!(page, json!({"data": [shown], "next_cursor": null}));

        let edit = json!({"events": ["job.failed"], "enabled": false});
        let (status, changed) = json_of(app.request(Method::PATCH, &path).json(&edit)).await;
        assert_eq!(
            (status.as_u16(), &changed["events"], &changed["enabled"]),
            (200, &edit["events"], &edit["enabled"])
        );
        assert_eq!(changed["url"], HOOK);
        let (status, rotated) = json_of(app.post(&format!("{path}/rotate-secret"))).await;
        assert_eq!(status, 200);
        assert_ne!(rotated["secret"].as_str().unwrap(), secret);
        assert_eq!(without(rotated, &["secret"]), changed);
        for _ in 0..2 {
            assert!(!app.get_text("/v1/webhooks").await.contains("whsec_"));
        }

        let delete = async || app.request(Method::DELETE, &path).send().await.unwrap().status().as_u16();
        assert_eq!((delete().await, delete().await), (204, 404));
        assert_eq!(app.get(&path).await.0, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_make_no_webhook_are_refused_with_their_place() {
    on_every_database(async |app| {
        let long = format!("https://example.com/{}", "x".repeat(3_000));
        for (body, code, pointer) in [
            (json!({}), "invalid_request", ""),
            (json!([]), "invalid_request", ""),
            (json!({"url": null}), "invalid_request", "/url"),
            (json!({"url": 7}), "invalid_request", "/url"),
            (json!({"url": ""}), "invalid_url", "/url"),
            (json!({"url": "example.com"}), "invalid_url", "/url"),
            (json!({"url": "http://127.0.0.1:5432"}), "invalid_url", "/url"),
            (json!({"url": "http://[::1]"}), "invalid_url", "/url"),
            (json!({"url": "https://ann:pw@example.com"}), "invalid_url", "/url"),
            (json!({"url": long}), "invalid_url", "/url"),
            (json!({"url": HOOK, "events": []}), "invalid_request", "/events"),
            (json!({"url": HOOK, "events": "job.failed"}), "invalid_request", "/events"),
            (json!({"url": HOOK, "events": ["job.failed", "job.eaten"]}), "invalid_request", "/events/1"),
            (json!({"url": HOOK, "enabled": "yes"}), "invalid_request", "/enabled"),
            (json!({"url": HOOK, "secret": "whsec_mine"}), "invalid_request", "/secret"),
        ] {
            let (status, problem) = json_of(app.post("/v1/webhooks").json(&body)).await;
            assert_eq!((status.as_u16(), &problem["code"]), (400, &json!(code)), "{body}: {problem}");
            assert_eq!(problem.pointer("/errors/0/pointer").unwrap_or(&json!("")), pointer, "{body}: {problem}");
        }
        let made = make(app, json!({"url": HOOK})).await;
        let path = format!("/v1/webhooks/{}", id_of(&made));
        for body in [json!({"url": "ftp://x"}), json!({"events": []}), json!({"id": "wh_1"})] {
            let (status, problem) = json_of(app.request(Method::PATCH, &path).json(&body)).await;
            assert_eq!(status, 400, "{body}: {problem}");
        }
        let (_, page) = app.get("/v1/webhooks").await;
        assert_eq!(page["data"], json!([without(made, &["secret"])]), "nothing was changed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_job_arrives_as_the_job_is_shown_and_can_be_sent_again() {
    on_every_database(async |app| {
        let (url, mut received) = endpoint(app).await;
        let made = make(app, json!({"url": url})).await;
        let deliveries = format!("/v1/webhooks/{}/deliveries", id_of(&made));
        let job = app.run("?kind=import", "Email\nada@example.com\n").await;
        let (_, page) = app.get(&deliveries).await;
        assert_eq!(page["next_cursor"], Value::Null);
        let pending = page["data"][0].clone();
        let id = id_of(&pending).to_owned();
        assert_eq!(pending["next_attempt_at"], pending["occurred_at"]);
        assert_eq!(
            without(pending.clone(), &["id", "occurred_at", "next_attempt_at"]),
            json!({"type": "job.completed", "job_id": id_of(&job), "status": "pending", "attempts": 0,
                   "last_attempt_at": null, "last_status": null, "last_milliseconds": null, "error": null})
        );

        let deliverer = Deliverer::new(&app.engine, show_job).unwrap();
        assert!(matches!(deliverer.tick().await.unwrap(), DeliveryTick::Sent(..)));
        let (headers, body) = received.recv().await.unwrap();
        assert_eq!(headers["webhook-id"], id.as_str());
        let event: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(event, json!({"type": "job.completed", "timestamp": job["finished_at"], "data": job}));
        assert!(!body.contains("ada@example.com"), "it has no values of rows");
        let (_, page) = app.get(&deliveries).await;
        let done = &page["data"][0];
        assert_eq!(
            (&done["status"], &done["last_status"], &done["attempts"]),
            (&json!("delivered"), &json!(200), &json!(1))
        );

        let (status, again) = json_of(app.post(&format!("{deliveries}/{id}/resend"))).await;
        assert_eq!((status.as_u16(), &again["status"], id_of(&again)), (202, &json!("pending"), id.as_str()));
        assert!(matches!(deliverer.tick().await.unwrap(), DeliveryTick::Sent(..)));
        assert_eq!(received.recv().await.unwrap().0["webhook-id"], id.as_str());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_listed_page_by_page() {
    on_every_database(async |app| {
        let made = make(app, json!({"url": HOOK})).await;
        let path = format!("/v1/webhooks/{}/deliveries", id_of(&made));
        for _ in 0..5 {
            app.run("?kind=import", "Email\nada@example.com\n").await;
        }
        let (_, all) = app.get(&path).await;
        let all = all["data"].as_array().unwrap().clone();
        assert_eq!(all.len(), 5);
        let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
        loop {
            let (_, page) = app.get(&format!("{path}{query}")).await;
            seen.extend(page["data"].as_array().unwrap().clone());
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            query = format!("?limit=2&cursor={cursor}");
        }
        assert_eq!(seen, all);
        assert_eq!(app.get(&format!("{path}?status=pending")).await.1["data"].as_array().unwrap().len(), 5);
        assert_eq!(app.get(&format!("{path}?status=failed")).await.1["data"], json!([]));
        for wrong in ["?status=lost", "?limit=0", "?cursor=00", "?cursor=373a78", "?status=failed&status=failed"] {
            let (status, problem) = app.get(&format!("{path}{wrong}")).await;
            assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_request")), "{wrong}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_belongs_to_its_webhook_and_that_to_its_community() {
    on_every_database(async |app| {
        let (one, other) =
            (make(app, json!({"url": HOOK})).await, make(app, json!({"url": HOOK, "enabled": false})).await);
        app.run("?kind=import", "Email\nada@example.com\n").await;
        let (_, page) = app.get(&format!("/v1/webhooks/{}/deliveries", id_of(&one))).await;
        let delivery = id_of(&page["data"][0]).to_owned();
        let theirs = app.engine.create_community("Theirs").await.unwrap();
        let stranger = app.make_key(&theirs, Scope::ALL).await;
        let (_, strange) =
            json_of(app.bare(Method::POST, "/v1/webhooks").bearer_auth(&stranger).json(&json!({"url": HOOK}))).await;
        for (key, webhook) in [(&app.key, &other), (&app.key, &strange), (&stranger, &strange), (&stranger, &one)] {
            let path = format!("/v1/webhooks/{}/deliveries/{delivery}/resend", id_of(webhook));
            let (status, problem) = json_of(app.bare(Method::POST, &path).bearer_auth(key)).await;
            assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("not_found")), "{path}");
        }
        let (status, problem) =
            json_of(app.post(&format!("/v1/webhooks/{}/deliveries/msg_1/resend", id_of(&one)))).await;
        assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("not_found")));
        let (_, page) = json_of(app.bare(Method::GET, "/v1/webhooks").bearer_auth(&stranger)).await;
        assert_eq!(page["data"].as_array().unwrap().len(), 1);
    })
    .await;
}
