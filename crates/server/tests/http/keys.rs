use crate::app::{id_of, json_of, without};
use crate::on_every_database;
use jiff::Timestamp;
use muster_core::scope::Scope;
use muster_engine::NewKey;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_works_and_is_revoked_at_once() {
    on_every_database(async |app| {
        let new = json!({"name": "Reader", "scopes": ["users:read"], "expires_at": "2999-01-01T00:00:00Z"});
        let response = app.post("/v1/keys").json(&new).send().await.unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let made: Value = response.json().await.unwrap();
        let key = made["key"].as_str().unwrap();
        assert_eq!(key.len(), 64);
        assert_eq!(
            without(made.clone(), &["id", "key", "created_at"]),
            json!({"name": "Reader", "scopes": ["users:read"], "expires_at": "2999-01-01T00:00:00Z", "revoked_at": null})
        );

        let use_it = async |scheme: &str| {
            let request = app.bare(Method::GET, "/v1/users").header("authorization", format!("{scheme} {key}"));
            request.send().await.unwrap().status().as_u16()
        };
        for scheme in ["Bearer", "Token", "bearer", "TOKEN"] {
            assert_eq!(use_it(scheme).await, 200, "{scheme}");
        }
        assert_eq!(use_it("Basic").await, 401);

        let (_, page) = app.get("/v1/keys").await;
        assert_eq!(page["data"].as_array().unwrap().len(), 2);
        assert!(!page.to_string().contains(key), "the key is never shown again");

        let path = format!("/v1/keys/{}", id_of(&made));
        for _ in 0..2 {
            let revoked = app.request(Method::DELETE, &path).send().await.unwrap();
            assert_eq!(revoked.status(), 204);
        }
        assert_eq!(use_it("Bearer").await, 401);
        let (_, page) = app.get("/v1/keys").await;
        assert!(page["data"][1]["revoked_at"].is_string(), "{page}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_cannot_grant_what_it_lacks_and_must_name_its_scopes() {
    on_every_database(async |app| {
        let key = app.make_key(&app.community, &[Scope::KeysWrite]).await;
        let post = |body: Value| json_of(app.bare(Method::POST, "/v1/keys").bearer_auth(&key).json(&body));
        let (status, problem) = post(json!({"name": "A", "scopes": ["users:read"]})).await;
        assert_eq!((status.as_u16(), &problem["code"]), (403, &json!("scope_escalation")));
        for (body, pointer) in [
            (json!({"name": "A"}), ""),
            (json!({"name": "A", "scopes": ["everything"]}), "/scopes/0"),
            (json!({"name": "A", "scopes": [], "expires_at": "soon"}), "/expires_at"),
            (json!({"name": "A", "scopes": [], "expires_at": "2020-01-01T00:00:00Z"}), "/expires_at"),
        ] {
            let (status, problem) = post(body).await;
            assert_eq!((status.as_u16(), &problem["errors"][0]["pointer"]), (400, &json!(pointer)), "{problem}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_is_no_key() {
    on_every_database(async |app| {
        let expires_at = Some(Timestamp::UNIX_EPOCH);
        let old = NewKey { name: "Old".to_owned(), scopes: vec![Scope::UsersRead], expires_at };
        let made = app.engine.create_key(&app.community, &old).await.unwrap();
        let request = app.bare(Method::GET, "/v1/users").bearer_auth(made.secret);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    })
    .await;
}
