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
            (with(fixed(), "choices", json!([])), "options"),
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
