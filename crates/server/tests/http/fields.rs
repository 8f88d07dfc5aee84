use crate::app::{id_of, json_of, without};
use crate::on_every_database;
use muster_core::field::BUILT_IN;
use muster_core::scope::Scope;
use reqwest::Method;
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
                   "built_in": false, "anonymous_writable": false, "archived": false})
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

#[tokio::test(flavor = "multi_thread")]
async fn a_field_is_edited_and_refused_with_the_users_whose_values_would_not_fit() {
    on_every_database(async |app| {
        let field = app.make_field("Level", "text").await;
        let address = format!("/v1/fields/{}", id_of(&field));
        app.run("?kind=import", "Email,Level\na@x.org,12\nb@x.org,twelve\nc@x.org,\n").await;
        let edit = async |edit| json_of(app.request(Method::PATCH, &address).json(&edit)).await;
        let (status, problem) = edit(json!({"type": "integer"})).await;
        assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("values_do_not_fit")), "{problem}");
        assert_eq!(
            problem["errors"],
            json!([{"pointer": "/type", "code": "invalid_number", "message": "user 2: \"twelve\" is not a whole number"}])
        );
        app.run("", "Email,Level\nb@x.org,13\n").await;
        let (status, edited) = edit(json!({"name": "Rank", "type": "integer", "min": 1, "max": "20"})).await;
        assert_eq!((status.as_u16(), &edited["type"], &edited["min"]), (200, &json!("integer"), &json!(1)), "{edited}");
        assert_eq!((&edited["key"], &edited["name"]), (&json!("level"), &json!("Rank")));
        assert_eq!(app.user("a@x.org").await["values"], json!({"level": 12}));
        let (_, edited) = edit(json!({"min": null, "anonymous_writable": true})).await;
        assert_eq!((&edited["min"], &edited["anonymous_writable"]), (&json!(null), &json!(true)));
        for (wrong, code, pointer) in [
            (json!({"max": 12}), "values_do_not_fit", "/max"),
            (json!({"required": true}), "values_do_not_fit", "/required"),
            (json!({"type": "select"}), "invalid_request", "/options"),
            (json!({"name": "Email"}), "field_exists", "/name"),
            (json!({"min": "x"}), "invalid_request", "/min"),
            (json!({"type": "currency", "anonymous_writable": true}), "invalid_request", "/anonymous_writable"),
        ] {
            let (_, problem) = edit(wrong).await;
            assert_eq!((&problem["code"], &problem["errors"][0]["pointer"]), (&json!(code), &json!(pointer)), "{problem}");
        }
        assert_eq!(app.get(&address).await.1["max"], 20);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_users_is_not_told_their_values() {
    on_every_database(async |app| {
        let field = app.make_field("Level", "text").await;
        app.run("?kind=import", "Email,Level\na@x.org,hidden\n").await;
        let key = app.make_key(&app.community, &[Scope::FieldsWrite]).await;
        let path = format!("/v1/fields/{}", id_of(&field));
        for edit in [json!({"type": "integer"}), json!({"max_length": 3})] {
            let (_, problem) = json_of(app.bare(Method::PATCH, &path).bearer_auth(&key).json(&edit)).await;
            assert_eq!(problem["code"], "values_do_not_fit");
            assert!(!problem.to_string().contains("hidden"), "{problem}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_field_keeps_its_values_and_comes_back_with_them() {
    on_every_database(async |app| {
        let field = app.make_field("Level", "integer").await;
        let address = format!("/v1/fields/{}", id_of(&field));
        app.run("?kind=import", "Email,Level\na@x.org,12\n").await;
        for _ in 0..2 {
            assert_eq!(app.request(Method::DELETE, &address).send().await.unwrap().status(), 204);
        }
        assert_eq!(app.user("a@x.org").await["values"], json!({}));
        let archived = app.get("/v1/fields?archived=true").await.1["data"].clone();
        assert_eq!((archived[0]["key"].as_str(), &archived[0]["archived"]), (Some("level"), &json!(true)));
        let (_, page) = app.get("/v1/fields").await;
        assert!(page["data"].as_array().unwrap().iter().all(|field| field["key"] != "level"));
        for (request, code) in [
            (app.request(Method::PATCH, &address).json(&json!({"name": "Other"})), "field_archived"),
            (app.request(Method::PATCH, "/v1/users/1").json(&json!({"values": {"level": 1}})), "invalid_request"),
            (app.post("/v1/jobs").body("Email,Level\na@x.org,12\n"), "unknown_column"),
            (app.post("/v1/fields").json(&json!({"name": "Level", "type": "text"})), "field_exists"),
        ] {
            assert_eq!(json_of(request).await.1["code"], code);
        }
        let (status, restored) = json_of(app.post(&format!("{address}/restore"))).await;
        assert_eq!((status.as_u16(), restored), (200, field));
        assert_eq!(app.user("a@x.org").await["values"], json!({"level": 12}));

        assert_eq!(app.request(Method::DELETE, &format!("{address}?purge=true")).send().await.unwrap().status(), 204);
        json_of(app.post(&format!("{address}/restore"))).await;
        assert_eq!(app.user("a@x.org").await["values"], json!({}));
        let newest = app.get("/v1/history?user_id=1&field=level").await.1["data"][0].clone();
        assert_eq!((&newest["op"], &newest["old"]), (&json!("clear"), &json!(12)), "the history says what it was");

        let (_, page) = app.get("/v1/fields").await;
        let built_in = format!("/v1/fields/{}", id_of(&page["data"][0]));
        let (status, problem) = json_of(app.request(Method::DELETE, &built_in)).await;
        assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("built_in_field")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_face_shows_the_values_of_an_archived_field() {
    on_every_database(async |app| {
        let field = app.make_field("Level", "text").await;
        app.run("?kind=import", "Email,City,Level\na@x.org,Rome,Twelfth\n").await;
        let id = app.user("a@x.org").await["id"].clone();
        let community = app.community.id;
        let shown = async || {
            let filter = json!({"filter": {"email": "a@x.org"}});
            let mut texts = Vec::new();
            for request in [
                app.request(Method::GET, &format!("/v1/users/{id}")),
                app.request(Method::GET, "/v1/users"),
                app.post("/v1/users/query").json(&json!({})),
                app.request(Method::GET, &format!("/apis/v1/communities/{community}/users")),
                app.request(Method::GET, &format!("/apis/v1/communities/{community}/users/{id}")),
                app.post("/apis/v1/users/info").json(&json!({"idOrEmail": "a@x.org"})),
                app.post("/apis/v1/users/filter").json(&filter),
                app.request(Method::GET, &format!("/api/public/users/{id}/")),
                app.request(Method::GET, "/api/public/users/"),
                app.request(Method::GET, &format!("/v2/users/id/{id}/attributes")),
            ] {
                let (status, body) = json_of(request).await;
                assert_eq!(status, 200, "{body}");
                texts.push(body.to_string());
            }
            texts
        };
        assert!(shown().await.iter().all(|text| text.contains("Rome") && text.contains("Twelfth")));
        app.request(Method::DELETE, &format!("/v1/fields/{}", id_of(&field))).send().await.unwrap();
        for text in shown().await {
            assert!(text.contains("Rome") && !text.contains("Twelfth"), "{text}");
        }
    })
    .await;
}
