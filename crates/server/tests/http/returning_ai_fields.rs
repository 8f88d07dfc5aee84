use crate::App;
use crate::app::{json_of, without};
use crate::on_every_database;
use muster_core::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

fn base(app: &App) -> String {
    format!("/apis/v1/communities/{}/user-fields", app.community.id)
}

async fn send(app: &App, method: Method, path: &str, body: Value) -> (u16, Value) {
    let (status, answer) = json_of(app.request(method, &format!("{}{path}", base(app))).json(&body)).await;
    (status.as_u16(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_is_made_in_the_shape_of_the_application_api() {
    on_every_database(async |app| {
        let body = json!({"field": "loyalty points", "name": "Points of loyalty", "type": "numerical"});
        let (status, answer) = send(app, Method::POST, "", body).await;
        assert_eq!(status, 201, "{answer}");
        assert_eq!(answer["meta"], json!({"status": "success", "statusCode": 201}));
        assert_eq!((&answer["status"], &answer["message"]), (&json!("success"), &json!("Create user field successful")));
        let data = &answer["data"];
        let id = data["_id"].as_str().unwrap();
        assert!(id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(data["createdAt"], data["updatedAt"]);
        assert_eq!(
            without(data.clone(), &["_id", "createdAt", "updatedAt", "creator"]),
            json!({
                "field": "loyalty_points", "name": "Points of loyalty", "type": "numerical", "options": [], "required": false,
                "builtIn": false, "communityId": app.community.id.to_string(), "ignored": [],
            })
        );
        assert_eq!(data["creator"]["name"], "test");
        // Names that the product makes of it mean it.
        app.run("?kind=import", "Email,loyalty-points\nada@example.com,12.5\n").await;
        assert_eq!(app.user("ada@example.com").await["values"]["loyalty_points"], "12.5");

        let (status, got) = send(app, Method::GET, &format!("/{id}"), Value::Null).await;
        assert_eq!((status, &got["message"]), (200, &json!("Get user field successful")));
        assert_eq!(got["data"], without(data.clone(), &["ignored"]), "a field is always shown the same");
        let (_, all) = app.get(&base(app)).await;
        let all = all["data"].as_array().unwrap();
        assert_eq!((all.last(), all[0]["builtIn"].clone()), (Some(&got["data"]), json!(true)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_is_made_in_the_shape_of_the_integration_api_changed_and_deleted() {
    on_every_database(async |app| {
        let body = json!({
            "name": "T-Shirt", "type": "select", "description": "What fits", "required": false, "defaultValue": "M",
            "options": ["S", "M", "L"],
        });
        let (status, answer) = send(app, Method::POST, "", body).await;
        assert_eq!((status, &answer["data"]["ignored"]), (201, &json!(["description", "defaultValue"])), "{answer}");
        assert_eq!((&answer["data"]["type"], &answer["data"]["options"]), (&json!("select"), &json!(["S", "M", "L"])));
        let (_, number) = send(app, Method::POST, "", json!({"name": "Size", "type": "number"})).await;
        let id = number["data"]["_id"].as_str().unwrap().to_owned();
        app.run("?kind=import", "Email,Size\nada@example.com,42\nbob@example.com,42.5\n").await;
        let path = format!("/{id}");
        for (kind, shown) in [("number", "numerical"), ("numerical", "numerical")] {
            let (status, answer) = send(app, Method::PUT, &path, json!({"name": "Shoe size", "type": kind})).await;
            assert_eq!(
                (status, &answer["message"], &answer["meta"]["statusCode"]),
                (200, &json!("Updated user field"), &json!(200))
            );
            assert_eq!((&answer["data"]["name"], &answer["data"]["type"]), (&json!("Shoe size"), &json!(shown)));
            let (_, got) = send(app, Method::GET, &path, Value::Null).await;
            assert_eq!(got["data"], without(answer["data"].clone(), &["ignored"]), "a field is always shown the same");
            assert!(got["data"]["updatedAt"].as_str() > got["data"]["createdAt"].as_str(), "{got}");
        }
        let (status, refused) = send(app, Method::PUT, &path, json!({"name": "Shoe size", "type": "date"})).await;
        assert_eq!((status, &refused["code"]), (409, &json!("values_do_not_fit")), "{refused}");
        let (status, texts) =
            send(app, Method::PUT, &path, json!({"name": "Shoe size", "type": "single-line-text"})).await;
        assert_eq!((status, &texts["data"]["type"]), (200, &json!("single-line-text")), "{texts}");
        assert_eq!(app.user("bob@example.com").await["values"]["size"], "42.5");

        let (status, gone) = send(app, Method::DELETE, &path, Value::Null).await;
        assert_eq!(
            (status, &gone["message"], &gone["data"]["_id"]),
            (200, &json!("Delete user field successful"), &json!(id))
        );
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let (status, error) = send(app, method, &path, json!({"name": "Shoe size", "type": "text"})).await;
            assert_eq!((status, &error["code"]), (404, &json!("not_found")), "{error}");
        }
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_cannot_be_is_refused_with_the_place() {
    on_every_database(async |app| {
        let city = app.get(&base(app)).await.1["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|field| field["field"] == "city")
            .cloned();
        let city = format!("/{}", city.unwrap()["_id"].as_str().unwrap());
        let new = |more: Value| {
            let mut body = json!({"name": "New", "type": "text"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            (Method::POST, String::new(), body)
        };
        for ((method, path, body), status, code, pointer) in [
            (new(json!({"type": "colour"})), 400, "invalid_option", json!("/type")),
            (new(json!({"type": 7})), 400, "invalid_request", json!("/type")),
            (new(json!({"type": "select"})), 400, "invalid_request", json!("/options")),
            (new(json!({"type": "select", "options": "S,M"})), 400, "invalid_request", json!("/options")),
            (new(json!({"name": "x".repeat(101)})), 400, "invalid_request", json!("/name")),
            (new(json!({"name": null})), 400, "invalid_request", json!("/name")),
            (new(json!({"name": "City"})), 409, "field_exists", json!("/name")),
            (new(json!({"field": "x".repeat(51)})), 400, "invalid_request", json!("/field")),
            (new(json!({"field": ""})), 400, "invalid_request", json!("/field")),
            (new(json!({"field": "e-mail"})), 409, "field_exists", json!("/name")),
            (new(json!({"hue": 1})), 400, "invalid_request", json!("/hue")),
            ((Method::POST, String::new(), json!({"field": "a", "type": "text"})), 400, "invalid_request", json!("")),
            (
                (Method::PUT, city.clone(), json!({"name": "Town", "type": "text"})),
                409,
                "built_in_field",
                json!("/name"),
            ),
            (
                (Method::PUT, city.clone(), json!({"field": "town", "name": "City", "type": "text"})),
                400,
                "invalid_request",
                json!("/field"),
            ),
            ((Method::DELETE, city.clone(), Value::Null), 409, "built_in_field", Value::Null),
        ] {
            let (got, error) = send(app, method, &path, body.clone()).await;
            assert_eq!((got, &error["code"]), (status, &json!(code)), "{body}: {error}");
            assert_eq!(
                (&error["errors"][0]["pointer"], &error["status"]),
                (&pointer, &json!("error")),
                "{body}: {error}"
            );
        }
        // The one permission of the product reads and writes.
        let writer = app.make_key(&app.community, &[Scope::FieldsWrite]).await;
        let (status, _) = json_of(app.bare(Method::GET, &base(app)).bearer_auth(&writer)).await;
        assert_eq!(status, 200);
        // Another community's field is none in the own one.
        let other = app.engine.create_community("Theirs").await.unwrap();
        let stranger = app.make_key(&other, Scope::ALL).await;
        for method in [Method::GET, Method::DELETE] {
            let path = format!("/apis/v1/communities/{}/user-fields{city}", other.id);
            let (status, error) = json_of(app.bare(method, &path).bearer_auth(&stranger)).await;
            assert_eq!((status.as_u16(), &error["code"]), (404, &json!("not_found")), "{error}");
        }
    })
    .await;
}
