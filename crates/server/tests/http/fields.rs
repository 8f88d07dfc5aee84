use crate::app::{json_of, without};
use crate::on_every_database;
use muster_core::field::BUILT_IN;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_field_is_made_read_and_listed() {
    on_every_database(async |app| {
        let new = json!({"name": "Loyalty Points", "type": "integer", "min": 0, "max": "9007199254740993"});
        let response = app.post("/v1/fields").json(&new).send().await.unwrap();
        assert_eq!(response.status(), 201);
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let made: serde_json::Value = response.json().await.unwrap();
        assert_eq!(
            without(made.clone(), &["id"]),
            json!({"key": "loyalty_points", "name": "Loyalty Points", "type": "integer", "options": [], "min": 0,
                   "max": "9007199254740993", "max_length": null, "required": false, "unique": false, "indexed": false,
                   "built_in": false})
        );
        assert_eq!(app.get(&location).await, (reqwest::StatusCode::OK, made.clone()));
        let (_, page) = app.get("/v1/fields").await;
        let fields = page["data"].as_array().unwrap();
        assert_eq!((fields.len(), fields.last()), (BUILT_IN.len() + 1, Some(&made)));
        assert_eq!(page["next_cursor"], json!(null));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_names_or_keys_and_names() {
    on_every_database(async |app| {
        let new = json!({"name": "Tier", "type": "select", "options": ["Very Gold", {"key": "s", "name": "Silver"}]});
        let (_, made) = json_of(app.post("/v1/fields").json(&new)).await;
        assert_eq!(made["options"], json!([{"key": "very_gold", "name": "Very Gold"}, {"key": "s", "name": "Silver"}]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_cannot_be_is_refused_with_the_place() {
    on_every_database(async |app| {
        for (new, status, code, pointer) in [
            (json!({"name": "first-NAME", "type": "text"}), 409, "field_exists", "/name"),
            (json!({"name": "Email", "type": "text"}), 409, "field_exists", "/name"),
            (json!({"name": "", "type": "text"}), 400, "invalid_request", "/name"),
            (json!({"name": "A", "key": "A b", "type": "text"}), 400, "invalid_request", "/key"),
            (json!({"name": "A", "type": "select"}), 400, "invalid_request", "/options"),
            (json!({"name": "A", "type": "integer", "min": "x"}), 400, "invalid_request", "/min"),
            (json!({"name": "A", "type": "integer", "min": 2, "max": 1}), 400, "invalid_request", "/max"),
            (json!({"name": "A", "type": "text", "max_length": 0}), 400, "invalid_request", "/max_length"),
            (json!({"name": "A", "type": "select", "options": [7]}), 400, "invalid_request", "/options/0"),
        ] {
            let (answered, problem) = json_of(app.post("/v1/fields").json(&new)).await;
            assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)), "{problem}");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
    })
    .await;
}
