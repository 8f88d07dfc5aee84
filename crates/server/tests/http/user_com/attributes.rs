use super::{get, make, post, refused, request};
use crate::on_every_database;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_is_made_as_documented_and_read_back() {
    on_every_database(async |app| {
        let new = json!({"content_type": "clientuser", "name": "API string attribute", "value_type": "string"});
        let (status, made) = post(app, "/attributes/", &new).await;
        let id = made["id"].as_u64().unwrap();
        let expected = json!({"id": id, "name": "API string attribute", "name_std": "api_string_attribute",
            "value_type": "string", "content_type": "clientuser"});
        assert_eq!((status, &made), (201, &expected));
        assert_eq!(get(app, &format!("/attributes/{id}/")).await, (200, expected.clone()));
        let (_, page) = get(app, "/attributes/").await;
        let all = page["results"].as_array().unwrap();
        assert_eq!((all.last(), &page["count"]), (Some(&expected), &json!(all.len())));
        assert!(!all.iter().any(|one| one["name_std"] == "first_name"), "a standard attribute is no custom one");
        assert_eq!((&page["next"], &page["previous"]), (&Value::Null, &Value::Null));
        let (_, by_name) = get(app, "/attribute-type/api_string_attribute/users/").await;
        let expected =
            json!({"id": id, "name": "API string attribute", "name_std": "api_string_attribute", "value_type": 4});
        assert_eq!(by_name, expected);
        let nothing = json!({"detail": "There is no such attribute in this community."});
        for path in ["/attributes/16/", "/attributes/x/", "/attributes/99999/", "/attribute-type/first_name/users/"] {
            assert_eq!(get(app, path).await, (404, nothing.clone()), "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_the_product_is_a_type_of_field() {
    on_every_database(async |app| {
        for (word, number, native) in [
            ("boolean", 1, "boolean"),
            ("integer", 2, "integer"),
            ("date", 3, "date"),
            ("string", 4, "text"),
            ("datetime", 5, "datetime"),
            ("float", 7, "decimal"),
            ("json", 8, "json"),
        ] {
            let new = json!({"content_type": "user", "name": format!("A {word}"), "value_type": word});
            let (status, made) = post(app, "/attributes/", &new).await;
            assert_eq!((status, &made["value_type"]), (201, &json!(word)), "{made}");
            let (_, kind) = get(app, &format!("/attribute-type/a_{word}/users/")).await;
            assert_eq!(kind["value_type"], number);
            assert_eq!(native_type(app, &format!("a_{word}")).await, native);
        }
        for (several, native) in [(false, "select"), (true, "multi_select")] {
            let new = json!({"content_type": "clientuser", "name": native, "value_type": "fixed",
                "choices": ["Very gold", "Silver"], "allow_multiple_choices": several});
            let (status, made) = post(app, "/attributes/", &new).await;
            assert_eq!((status, &made["value_type"]), (201, &json!("fixed")), "{made}");
            assert_eq!(native_type(app, native).await, native);
        }
        let body = json!({"custom_id": "a", "select": "very gold", "multi_select": ["Silver", "Very gold"]});
        let (_, user) = post(app, "/users/", &body).await;
        let shown: Vec<_> = user["attributes"].as_array().unwrap().iter().map(|one| one["value"].clone()).collect();
        assert_eq!(shown, [json!(["Very gold"]), json!(["Very gold", "Silver"])], "choices come back as lists");
        // And are taken as they came back.
        let again = json!({"custom_id": "b", "select": ["Very gold"], "multi_select": "Silver"});
        assert_eq!(post(app, "/users/", &again).await.0, 201);
    })
    .await;
}

async fn native_type(app: &crate::App, key: &str) -> String {
    let (_, page) = app.get("/v1/fields").await;
    let field = page["data"].as_array().expect("a page has data").iter().find(|field| field["key"] == key);
    field.expect("it was made")["type"].as_str().expect("it is a text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_that_cannot_be_is_refused_by_what_is_wrong() {
    on_every_database(async |app| {
        let new = |name: Value, kind: Value| json!({"content_type": "clientuser", "name": name, "value_type": kind});
        let with = |mut body: Value, name: &str, value: Value| {
            body[name] = value;
            body
        };
        let plain = || new(json!("A"), json!("string"));
        let fixed = || with(new(json!("A"), json!("fixed")), "allow_multiple_choices", json!(true));
        for (body, member) in [
            (with(plain(), "content_type", json!("company")), "content_type"),
            (with(plain(), "content_type", json!("planet")), "content_type"),
            (json!({"name": "A", "value_type": "string"}), "content_type"),
            (new(json!(""), json!("string")), "name"),
            (new(json!("x".repeat(33)), json!("string")), "name"),
            (new(json!(7), json!("string")), "name"),
            (new(json!("---"), json!("string")), "name"),
            (new(json!("A"), json!("text")), "value_type"),
            (new(json!("A"), json!(4)), "value_type"),
            (fixed(), "choices"),
            (with(fixed(), "choices", json!([])), "choices"),
            (with(fixed(), "choices", json!(["a", "a"])), "choices"),
            (with(plain(), "choices", json!(["a"])), "choices"),
            (with(plain(), "allow_multiple_choices", json!(true)), "allow_multiple_choices"),
            (with(fixed(), "choices", json!([7])), "choices"),
            (with(fixed(), "choices", json!("a")), "choices"),
            (with(new(json!("A"), json!("fixed")), "choices", json!(["a"])), "allow_multiple_choices"),
            (with(plain(), "colour", json!(1)), "colour"),
        ] {
            refused(&post(app, "/attributes/", &body).await, member);
        }
        let taken = post(app, "/attributes/", &new(json!("first-name"), json!("string"))).await;
        refused(&taken, "name");
        let (_, page) = get(app, "/attributes/").await;
        assert!(!page.to_string().contains("\"A\""), "{page}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_attribute_takes_the_name_of_what_every_user_has() {
    on_every_database(async |app| {
        for own in [
            "phone_number",
            "Phone Number",
            "PHONE-NUMBER",
            "City",
            "custom_id",
            "user_id",
            "email",
            "tags",
            "name",
            "key",
            "id",
            "created_at",
            "attributes",
            "Last seen",
        ] {
            let new = json!({"content_type": "clientuser", "name": own, "value_type": "string"});
            refused(&post(app, "/attributes/", &new).await, "name");
        }
        // The native face may have made such fields.
        for name in ["Phone Number", "Name", "Key"] {
            app.make_field(name, "text").await;
        }
        let id = make(app, json!({"custom_id": "a", "phone_number": "12"})).await;
        let user = format!("/users/{id}/");
        let shown = get(app, &user).await.1;
        assert_eq!((&shown["phone_number"], &shown["attributes"]), (&json!("12"), &json!([])));
        let custom = json!({"ids": [id], "attribute": "Phone Number", "value": "34"});
        assert_eq!(post(app, "/users/mass_update_custom_attributes/", &custom).await.1["updated"], 1);
        assert_eq!(get(app, &user).await.1["phone_number"], "34");
        let set = json!({"attribute": "phone-number", "value": "56"});
        assert_eq!(post(app, &format!("{user}set_attribute/"), &set).await.0, 200);
        assert_eq!(get(app, "/users/search/?Phone%20Number=56").await.1["id"], json!(id));
        refused(&post(app, "/users/update_or_create/", &json!({"custom_id": "a", "name": "Ada"})).await, "name");
        refused(
            &post(app, &format!("{user}set_attribute/"), &json!({"attribute": "key", "value": "x"})).await,
            "attribute",
        );
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_or_last_name_has_at_most_40_characters_at_every_door() {
    on_every_database(async |app| {
        let id = make(app, json!({"custom_id": "a"})).await;
        let (long, fits) = ("x".repeat(41), "\u{e9}".repeat(40));
        let mass = |name: &str, value: &str| json!({"ids": [id], "attribute": name, "value": value});
        for (path, body, member) in [
            ("/users/".to_owned(), json!({"custom_id": "b", "first_name": long}), "first_name"),
            ("/users/update_or_create/".to_owned(), json!({"custom_id": "a", "last_name": long}), "last_name"),
            (format!("/users/{id}/set_attribute/"), json!({"attribute": "First Name", "value": long}), "value"),
            (format!("/users/{id}/set_multiple_attributes/"), json!({"last_name": long}), "last_name"),
            ("/users/mass_update_standard_attributes/".to_owned(), mass("first_name", &long), "value"),
            ("/users/mass_update_custom_attributes/".to_owned(), mass("Last Name", &long), "value"),
        ] {
            let message = refused(&post(app, &path, &body).await, member);
            assert!(message.contains("40 characters"), "{path}: {message}");
        }
        let (status, _) = post(app, "/users/mass_update_standard_attributes/", &mass("first_name", &fits)).await;
        assert_eq!(status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_parameter_that_an_operation_does_not_know_is_refused() {
    on_every_database(async |app| {
        let id = make(app, json!({"custom_id": "a"})).await;
        let mass = json!({"ids": [id], "attribute": "city", "value": "Rome"});
        for path in [
            "/users/mass_update_custom_attributes/",
            "/users/mass_update_standard_attributes/",
            "/users-by-id/mass_update_custom_attributes/",
            "/users/update_or_create/",
            &format!("/users/{id}/set_attribute/"),
            "/users-by-id/a/set_multiple_attributes/",
            "/attributes/",
        ] {
            refused(&post(app, &format!("{path}?x=1"), &mass).await, "x");
        }
        for path in [
            &format!("/users/{id}/"),
            "/users-by-id/a/",
            "/users/",
            "/attributes/",
            "/attributes/16/",
            "/attribute-type/city/users/",
        ] {
            refused(&get(app, &format!("{path}?x=1")).await, "x");
            refused(&super::send(app, Method::DELETE, &format!("/users/{id}/?x=1"), &Value::Null).await, "x");
        }
        assert_eq!(get(app, &format!("/users/{id}/")).await.1["city"], Value::Null);
        let message = refused(&get(app, "/users/search/?custom_id=a").await, "custom_id");
        assert!(message.contains("users-by-id/"), "{message}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_attribute_is_gone_and_its_values_are_kept() {
    on_every_database(async |app| {
        let new = json!({"content_type": "clientuser", "name": "Plan", "value_type": "string"});
        let attribute = format!("/attributes/{}/", post(app, "/attributes/", &new).await.1["id"]);
        let user = format!("/users/{}/", make(app, json!({"custom_id": "a", "plan": "gold"})).await);
        let delete = async |path: &str| request(app, Method::DELETE, path).send().await.unwrap().status().as_u16();
        assert_eq!((delete(&attribute).await, delete(&attribute).await, get(app, &attribute).await.0), (204, 404, 404));
        assert_eq!(get(app, &user).await.1["attributes"], json!([]));
        refused(&post(app, "/users/update_or_create/", &json!({"custom_id": "a", "plan": "x"})).await, "plan");
        let (_, fields) = app.get("/v1/fields?archived=true").await;
        let plan = fields["data"].as_array().unwrap().iter().find(|field| field["key"] == "plan").cloned();
        let restore = format!("/v1/fields/{}/restore", plan.unwrap()["id"].as_str().unwrap());
        assert_eq!(app.post(&restore).send().await.unwrap().status(), 200);
        assert_eq!(get(app, &user).await.1["attributes"][0]["value"], "gold");
        // What every community has stays.
        let (_, language) = get(app, "/attribute-type/language/users/").await;
        assert_eq!(delete(&format!("/attributes/{}/", language["id"])).await, 409);
    })
    .await;
}
