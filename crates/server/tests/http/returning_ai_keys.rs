use crate::App;
use crate::app::{json_of, without};
use crate::on_every_database;
use muster_core::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

const KEYS: &str = "/apis/v1/users/apikeys";

async fn send(app: &App, method: Method, path: &str, body: Value) -> (u16, Value) {
    let (status, answer) = json_of(app.request(method, path).json(&body)).await;
    (status.as_u16(), answer)
}

/// What a key may do, as it says itself; the status if it may not even ask.
async fn info(app: &App, key: &str) -> Result<Value, u16> {
    let (status, answer) = json_of(app.bare(Method::GET, &format!("{KEYS}/info")).bearer_auth(key)).await;
    if status == 200 { Ok(answer["data"].clone()) } else { Err(status.as_u16()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_for_a_user_changed_paused_and_revoked() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nada@example.com\nbob@example.com\n").await;
        let (ada, bob) = (app.user("ada@example.com").await["id"].clone(), app.user("bob@example.com").await["id"].clone());
        let body = json!({
            "name": "Nightly", "permissions": ["Bulk Update User", "createUser", "sendMessages", "jobs:read"], "expirePeriod": 30,
            "communityId": app.community.id.to_string(),
        });
        let (status, made) = send(app, Method::POST, &format!("{KEYS}?userId={ada}"), body).await;
        assert_eq!((status, &made["message"]), (201, &json!("Create api key successful")), "{made}");
        let data = &made["data"];
        let key = data["key"].as_str().unwrap().to_owned();
        assert_eq!((key.len(), &data["ignored"]), (64, &json!(["sendMessages"])));
        let about = info(app, &key).await.unwrap();
        assert_eq!(
            without(about.clone(), &["_id", "createdAt", "expireDate"]),
            json!({
                "name": "Nightly", "permissions": ["Bulk Update User", "createUser", "jobs:read"],
                "scopes": ["bulk:update", "users:write", "jobs:read"], "userId": ada,
                "communityId": app.community.id.to_string(), "isActive": true, "revokedAt": null,
            })
        );
        let listed = async |query: &str| {
            let (_, list) = app.get(&format!("{KEYS}{query}")).await;
            list["data"]["keys"].as_array().unwrap().len()
        };
        assert_eq!((listed("").await, listed(&format!("?userId={ada}")).await, listed(&format!("?userId={bob}")).await), (2, 1, 0));

        let id = data["_id"].as_str().unwrap();
        let path = format!("/apis/v1/users/{ada}/api-keys/{id}");
        let (status, off) = send(app, Method::PUT, &path, json!({"isActive": false})).await;
        assert_eq!((status, &off["data"]["isActive"], &off["data"]["name"]), (200, &json!(false), &json!("Nightly")), "{off}");
        assert!(off["data"].get("key").is_none());
        assert_eq!(info(app, &key).await, Err(401), "at once");
        let body = json!({"isActive": true, "name": "Daily", "permissions": [], "expireDate": null});
        let (status, on) = send(app, Method::PUT, &path, body).await;
        assert_eq!((status, &on["data"]["isActive"], &on["data"]["expireDate"]), (200, &json!(true), &json!(null)), "{on}");
        assert_eq!(info(app, &key).await.unwrap()["scopes"], json!([]));
        for expired in [json!("2001-01-01"), json!("2001-01-01T09:30:00Z")] {
            let (status, old) = send(app, Method::PUT, &path, json!({"expireDate": expired})).await;
            assert_eq!((status, &old["data"]["isActive"]), (200, &json!(false)), "{old}");
        }
        assert_eq!(info(app, &key).await, Err(401));
        send(app, Method::PUT, &path, json!({"expirePeriod": "never"})).await;
        assert!(info(app, &key).await.is_ok());

        let theirs = format!("/apis/v1/users/{bob}/api-keys/{id}");
        for method in [Method::PUT, Method::DELETE] {
            assert_eq!(send(app, method, &theirs, json!({})).await.0, 404, "it is another user's");
        }
        let (status, gone) = send(app, Method::DELETE, &path, Value::Null).await;
        assert_eq!((status, &gone["message"]), (200, &json!("Delete api key successful")), "{gone}");
        assert!(gone["data"]["revokedAt"].is_string() && gone["data"]["isActive"] == false, "{gone}");
        assert_eq!(send(app, Method::PUT, &path, json!({"isActive": true})).await.0, 404, "for good");
        assert_eq!(info(app, &key).await, Err(401));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_is_refused() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nada@example.com\n").await;
        let ada = app.user("ada@example.com").await["id"].clone();
        let new = |more: Value| {
            let mut body = json!({"name": "New", "permissions": []});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        for (query, body, status, code, pointer) in [
            ("", json!({"permissions": []}), 400, "invalid_request", json!("/name")),
            ("", json!({"name": "New"}), 400, "invalid_request", json!("/permissions")),
            ("", new(json!({"permissions": ["everything"]})), 400, "invalid_option", json!("/permissions/0")),
            ("", new(json!({"permissions": "createUser"})), 400, "invalid_request", json!("/permissions")),
            ("", new(json!({"expirePeriod": 0})), 400, "invalid_request", json!("/expirePeriod")),
            ("", new(json!({"expirePeriod": "99999999999999999999"})), 400, "invalid_request", json!("/expirePeriod")),
            (
                "",
                new(json!({"expirePeriod": 1, "expireDate": "2030-01-01"})),
                400,
                "invalid_request",
                json!("/expirePeriod"),
            ),
            ("", new(json!({"expireDate": "tomorrow"})), 400, "invalid_request", json!("/expireDate")),
            ("", new(json!({"expireDate": "2020-01-01"})), 400, "invalid_request", json!("/expireDate")),
            ("", new(json!({"isActive": false})), 400, "invalid_request", json!("/isActive")),
            ("", new(json!({"name": "a\nb"})), 400, "invalid_request", Value::Null),
            ("", new(json!({"colour": "red"})), 400, "invalid_request", json!("/colour")),
            ("", new(json!({"communityId": "0123456789abcdef01234567"})), 404, "not_found", Value::Null),
            ("?userId=987654321", new(json!({})), 404, "not_found", Value::Null),
            ("?userId=x", new(json!({})), 404, "not_found", Value::Null),
            ("?colour=red", new(json!({})), 400, "invalid_request", json!("/colour")),
        ] {
            let (got, error) = send(app, Method::POST, &format!("{KEYS}{query}"), body.clone()).await;
            assert_eq!((got, &error["code"]), (status, &json!(code)), "{query} {body}: {error}");
            assert_eq!(error["errors"][0]["pointer"], pointer, "{query} {body}: {error}");
        }
        // A key gives nothing that it lacks: not to a new one, not by waking one up, not by letting one live longer.
        let (_, strong) = send(app, Method::POST, KEYS, new(json!({"permissions": ["Get User Data"]}))).await;
        let path = format!("/apis/v1/users/{ada}/api-keys/{}", strong["data"]["_id"].as_str().unwrap());
        send(app, Method::PUT, &path, json!({"isActive": false})).await;
        let ends = new(json!({"permissions": ["Get User Data"], "expireDate": "2097-01-01"}));
        let (_, ending) = send(app, Method::POST, KEYS, ends).await;
        let lasting = format!("/apis/v1/users/{ada}/api-keys/{}", ending["data"]["_id"].as_str().unwrap());
        let weak = app.make_key(&app.community, &[Scope::KeysWrite]).await;
        for (method, path, body) in [
            (Method::POST, KEYS, new(json!({"permissions": ["Get User Data"]}))),
            (Method::PUT, path.as_str(), json!({"permissions": ["Get User Data"]})),
            (Method::PUT, path.as_str(), json!({"isActive": true})),
            (Method::PUT, lasting.as_str(), json!({"expirePeriod": "never"})),
            (Method::PUT, lasting.as_str(), json!({"expireDate": "2098-01-01"})),
        ] {
            let (status, error) = json_of(app.bare(method, path).bearer_auth(&weak).json(&body)).await;
            assert_eq!((status.as_u16(), &error["code"]), (403, &json!("scope_escalation")), "{error}");
        }
        let shorter = app.bare(Method::PUT, &lasting).bearer_auth(&weak).json(&json!({"expireDate": "2096-01-01"}));
        assert_eq!(json_of(shorter).await.0, 200, "anybody who keeps keys may end one");
        let none = app.make_key(&app.community, &[]).await;
        assert_eq!(info(app, &none).await.unwrap()["permissions"], json!([]));
    })
    .await;
}
