use super::{API, answer, get, make, post, put, refused, request, send, verify};
use crate::app::without;
use crate::on_every_database;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_updated_or_created_by_its_custom_id() {
    on_every_database(async |app| {
        app.make_field("Plan", "text").await;
        let body = json!({"custom_id": "a-10", "email": "grace@example.com", "first_name": "Grace", "last_name": "Hopper",
            "tags": ["vip", "New one"], "company_custom_id": "c-7", "Plan": "gold"});
        let (status, made) = post(app, "/users/update_or_create/", &body).await;
        let id = made["id"].as_i64().unwrap();
        assert_eq!((status, made), (200, json!({"created": true, "id": id})));
        // Older clients call it user_id; tags are added, never taken away.
        let again = json!({"user_id": "A-10", "tags": ["VIP", "third"], "plan": "silver"});
        let (status, same) = post(app, "/users/update_or_create/", &again).await;
        assert_eq!((status, same), (200, json!({"created": false, "id": id})));
        let (_, user) = get(app, &format!("/users/{id}/")).await;
        let tags = json!([{"name": "vip", "id": 1}, {"name": "New one", "id": 2}, {"name": "third", "id": 3}]);
        assert_eq!(user["tags"], tags);
        assert_eq!((&user["custom_id"], &user["name"]), (&json!("a-10"), &json!("Grace Hopper")));
        let attributes = user["attributes"].as_array().unwrap();
        let of = |key: &str| attributes.iter().find(|one| one["name_std"] == key).unwrap();
        assert_eq!((&of("plan")["value"], &of("plan")["name"]), (&json!("silver"), &json!("Plan")));
        assert_eq!(of("company_custom_id")["value"], "c-7");
        // Without a custom id the email names the user.
        let by_email = json!({"email": "GRACE@example.com", "city": "Rome"});
        assert_eq!(post(app, "/users/update_or_create/", &by_email).await.1["id"], id);
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_said_of_a_user_is_refused_by_its_name_and_changes_nothing() {
    on_every_database(async |app| {
        make(app, json!({"custom_id": "taken", "email": "taken@example.com"})).await;
        let path = "/users/update_or_create/";
        for (body, member) in [
            (json!({}), "custom_id"),
            (json!({"first_name": "Ada"}), "custom_id"),
            (json!({"custom_id": null}), "custom_id"),
            (json!({"custom_id": ""}), "custom_id"),
            (json!({"custom_id": "x".repeat(201)}), "custom_id"),
            (json!({"custom_id": ["x"]}), "custom_id"),
            (json!({"custom_id": "x", "user_id": "y"}), "user_id"),
            (json!({"email": "nobody"}), "email"),
            (json!({"custom_id": "x", "email": 7}), "email"),
            (json!({"custom_id": "x", "first_name": "x".repeat(41)}), "first_name"),
            (json!({"custom_id": "x", "last_name": "x".repeat(41)}), "last_name"),
            (json!({"custom_id": "x", "first_name": 7}), "first_name"),
            (json!({"custom_id": "x", "tags": "vip"}), "tags"),
            (json!({"custom_id": "x", "tags": [7]}), "tags"),
            (json!({"custom_id": "x", "tags": [""]}), "tags"),
            (json!({"custom_id": "x", "tags": ["a;b"]}), "tags"),
            // Not created on the way: a name that is written wrongly would become an attribute.
            (json!({"custom_id": "x", "Plann": "gold"}), "Plann"),
            (json!({"custom_id": "x", "a/b": "gold"}), "a/b"),
            (json!({"custom_id": "x", "score": "many"}), "score"),
            (json!({"custom_id": "x", "score": {"op": "add", "value": 1}}), "score"),
            (json!({"custom_id": "x", "City": "A", "city": "B"}), "City"),
        ] {
            refused(&post(app, path, &body).await, member);
        }
        let taken = post(app, path, &json!({"custom_id": "x", "email": "Taken@example.com"})).await;
        refused(&taken, "email");
        let exists = post(app, "/users/", &json!({"custom_id": "taken"})).await;
        refused(&exists, "custom_id");
        assert_eq!(get(app, "/users/").await.1["count"], 1);
        let forty = json!({"custom_id": "x", "first_name": "é".repeat(40)});
        assert_eq!(post(app, path, &forty).await.0, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_shown_as_the_product_shows_it() {
    on_every_database(async |app| {
        app.make_field("Rate", "decimal").await;
        let id = make(
            app,
            json!({"email": "Ada@example.com", "first_name": "Ada", "phone_number": "+44 1", "score": 12, "gender": "female",
                "unsubscribed": false, "Rate": 0.10, "premium_currency": "12.50"}),
        )
        .await;
        let (status, user) = get(app, &format!("/users/{id}/")).await;
        assert_eq!(status, 200);
        for time in ["created_at", "updated_at"] {
            let text = user[time].as_str().unwrap();
            assert!(text.len() == 27 && text.ends_with('Z') && &text[19..20] == ".", "{text}");
        }
        let attributes = user["attributes"].as_array().unwrap().clone();
        let values: Vec<_> = attributes.iter().map(|one| (one["name_std"].as_str().unwrap(), one["value"].to_string())).collect();
        assert_eq!(values, [("premium_currency", "12.5".to_owned()), ("rate", "0.1".to_owned())], "numbers are numbers");
        let nothing = Value::Null;
        assert_eq!(
            without(user, &["created_at", "updated_at", "attributes"]),
            json!({
                "id": id, "key": nothing, "custom_id": nothing, "email": "Ada@example.com", "name": "Ada",
                "assigned_to": nothing, "city": nothing, "company_id": nothing, "country": nothing, "facebook_url": nothing,
                "first_name": "Ada", "gender": "female", "google_url": nothing, "gravatar_url": nothing,
                "last_name": nothing, "linkedin_url": nothing, "notifications": nothing, "phone_number": "+44 1",
                "region": nothing, "score": 12, "status": nothing, "timezone": nothing, "twitter_url": nothing,
                "unsubscribed": false, "tags": [], "lists": [], "first_seen": nothing, "last_seen": nothing,
                "last_contacted": nothing, "os_type": nothing, "browser": nothing,
            })
        );
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_read_changed_and_deleted_by_either_id() {
    on_every_database(async |app| {
        let id = make(app, json!({"custom_id": "a/1 ü", "city": "Rome"})).await;
        let by_custom_id = "/users-by-id/a%2F1%20%C3%BC/";
        for path in [format!("/users/{id}/"), by_custom_id.to_owned()] {
            assert_eq!(get(app, &path).await.1["id"], id);
            let (status, user) = put(app, &path, &json!({"city": null, "country": path})).await;
            assert_eq!((status, &user["city"], &user["country"]), (200, &Value::Null, &json!(path)), "{user}");
            let nothing = put(app, &path, &json!({})).await.1;
            assert_eq!(nothing["updated_at"], user["updated_at"], "nothing was changed");
        }
        // Another custom id takes the place of the first one; other identities stay.
        let (_, user) = put(app, by_custom_id, &json!({"custom_id": "b"})).await;
        assert_eq!(user["custom_id"], "b");
        assert_eq!(get(app, by_custom_id).await.0, 404);
        assert_eq!(put(app, "/users-by-id/b/", &json!({"custom_id": null})).await.1["custom_id"], Value::Null);
        assert_eq!(put(app, &format!("/users/{id}/"), &json!({"custom_id": "c"})).await.0, 200);
        for path in ["/users-by-id/c/".to_owned(), format!("/users/{id}/")] {
            let deleted = request(app, Method::DELETE, &path).send().await.unwrap();
            let expected = if path.starts_with("/users-by-id") { 204 } else { 404 };
            assert_eq!(deleted.status().as_u16(), expected, "{path}");
            assert_eq!(get(app, &path).await, (404, json!({"detail": "There is no such user in this community."})));
        }
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_of_a_user_are_set_and_removed() {
    on_every_database(async |app| {
        app.make_field("Plan", "text").await;
        app.make_field("Level", "integer").await;
        let id = make(app, json!({"custom_id": "a"})).await;
        for path in [format!("/users/{id}"), "/users-by-id/a".to_owned()] {
            let value = async |key: &str| {
                let (_, user) = get(app, &format!("{path}/")).await;
                let all = user["attributes"].as_array().unwrap().clone();
                all.into_iter().find(|one| one["name_std"] == key).map_or(Value::Null, |one| one["value"].clone())
            };
            let done = (200, json!({"status": "ok"}));
            let set = json!({"attribute": "Plan", "value": "gold"});
            assert_eq!(post(app, &format!("{path}/set_attribute/"), &set).await, done);
            assert_eq!(value("plan").await, "gold");
            let several = json!({"Plan": "silver", "level": 7});
            assert_eq!(post(app, &format!("{path}/set_multiple_attributes/"), &several).await, done);
            assert_eq!((value("plan").await, value("level").await), (json!("silver"), json!(7)));
            let remove = |name: &str| json!({"attribute": name});
            let path = format!("{path}/remove_attribute/");
            assert_eq!(send(app, Method::DELETE, &path, &remove("Plan")).await, done);
            assert_eq!(post(app, &path, &remove("level")).await, done);
            assert_eq!((value("plan").await, value("level").await), (Value::Null, Value::Null));
        }
        let at = |what: &str| format!("/users/{id}/{what}/");
        for (path, body, member) in [
            (at("set_attribute"), json!({"attribute": "Plan"}), "value"),
            (at("set_attribute"), json!({"value": 1}), "attribute"),
            (at("set_attribute"), json!({"attribute": 7, "value": 1}), "attribute"),
            (at("set_attribute"), json!({"attribute": "Plann", "value": 1}), "attribute"),
            (at("set_attribute"), json!({"attribute": "Level", "value": "x"}), "value"),
            (at("set_attribute"), json!({"attribute": "Level", "value": 1, "more": 1}), "more"),
            (at("set_multiple_attributes"), json!({"Plan": "x", "Level": 1.5}), "Level"),
            (at("set_multiple_attributes"), json!({"Plan": "x", "Plann": 1}), "Plann"),
            (at("remove_attribute"), json!({"attribute": "Plann"}), "attribute"),
        ] {
            refused(&post(app, &path, &body).await, member);
        }
        assert_eq!(get(app, &format!("/users/{id}/")).await.1["attributes"], json!([]));
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_listed_in_pages_that_know_their_neighbours() {
    on_every_database(async |app| {
        let rows: String = (0..250).map(|i| format!("u{i}@example.com\n")).collect();
        app.run("?kind=import", &format!("Email\n{rows}")).await;
        let follow = async |from: &str, link: &str| {
            let (mut path, mut pages) = (format!("{API}{from}"), Vec::new());
            loop {
                let page = answer(app.bare(Method::GET, &path).bearer_auth(&app.key)).await.1;
                assert_eq!(page["count"], 250, "{path}: {page}");
                let results = page["results"].as_array().unwrap();
                pages.push(results.iter().map(|user| user["id"].as_i64().unwrap()).collect::<Vec<_>>());
                let Some(next) = page[link].as_str() else { return (pages, path) };
                let root = format!("http://{}", app.address);
                path = next.strip_prefix(&root).unwrap_or_else(|| panic!("{next} is of another server")).to_owned();
            }
        };
        let (forward, last) = follow("/users/", "next").await;
        assert_eq!(forward.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        assert!(forward.concat().is_sorted());
        let (mut backward, _) = follow(last.strip_prefix(API).unwrap(), "previous").await;
        backward.reverse();
        assert_eq!(backward, forward);
        assert_eq!(follow("/users/?page_size=7", "next").await.0.concat(), forward.concat());
        for (query, member) in [
            ("cursor=x", "cursor"),
            ("cursor=a-1-1", "cursor"),
            ("page_size=0", "page_size"),
            ("page_size=101", "page_size"),
            ("city=Rome", "city"),
        ] {
            refused(&get(app, &format!("/users/?{query}")).await, member);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_its_last_slash_is_served_with_its_body() {
    on_every_database(async |app| {
        let (status, made) = post(app, "/users", &json!({"email": "ada@example.com"})).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(get(app, "/users/search?email=ada@example.com").await.1["id"], made["id"]);
        assert_eq!(get(app, &format!("/users/{}", made["id"])).await.1["id"], made["id"]);
        assert_eq!(get(app, "").await.0, 404);
        assert_eq!(get(app, "/nothing").await.1, json!({"detail": "There is nothing at this address."}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_shape_of_the_product() {
    on_every_database(async |app| {
        let path = format!("{API}/users/update_or_create/");
        let invalid = json!({"detail": "Invalid token."});
        for token in ["", "Token", "Token x", "Bearer x"] {
            let request = app.bare(Method::POST, &path).header("authorization", token).body("{");
            assert_eq!(answer(request).await, (401, invalid.clone()), "{token}");
        }
        assert_eq!(answer(app.bare(Method::GET, &path)).await.0, 405);
        let reads = app.make_key(&app.community, &[muster_core::scope::Scope::UsersRead]).await;
        let lacking = answer(app.bare(Method::POST, &path).bearer_auth(reads).json(&json!({"custom_id": "a"}))).await;
        assert_eq!(lacking, (403, json!({"detail": "The key needs the scope users:write."})));
        let form = answer(app.post(&path).header("content-type", "text/plain").body("a=b")).await;
        assert_eq!((form.0, form.1["detail"].is_string()), (415, true), "{}", form.1);
        for body in ["", "{", "[]", "7", "null", "{\"a\":1} x"] {
            let wrong = answer(request(app, Method::POST, "/users/update_or_create/").body(body)).await;
            refused(&wrong, "non_field_errors");
        }
        let bytes = request(app, Method::POST, "/users/update_or_create/").body(b"{\"custom_id\":\"\xff\"}".to_vec());
        refused(&answer(bytes).await, "non_field_errors");
        let twice = request(app, Method::POST, "/users/").body("{\"custom_id\":\"a\",\"custom_id\":\"b\"}");
        refused(&answer(twice).await, "custom_id");
        let deep = format!("{{\"custom_id\":\"a\",\"parent\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        refused(&answer(request(app, Method::POST, "/users/").body(deep)).await, "parent");
        assert_eq!(get(app, "/users/").await.1["count"], 0);
    })
    .await;
}
