use super::{API, answer, get, make, make_all, post, put, refused, request, send, verify};
use crate::App;
use crate::app::{Options, json_of, with};
use crate::on_every_database;
use muster_core::scope::Scope;
use muster_engine::Limits;
use muster_server::http::HttpConfig;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const CUSTOM: &str = "/users/mass_update_custom_attributes/";
const STANDARD: &str = "/users/mass_update_standard_attributes/";
const CUSTOM_BY_ID: &str = "/users-by-id/mass_update_custom_attributes/";
const STANDARD_BY_ID: &str = "/users-by-id/mass_update_standard_attributes/";

/// The answer to a mass update without the id of its job, which is asserted to be in the log.
async fn done(app: &App, method: Method, path: &str, body: &Value) -> Value {
    let (status, mut answer) = send(app, method, path, body).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer.as_object_mut().and_then(|answer| answer.remove("job_id")).expect("it names its job");
    let (_, job) = app.get(&format!("/v1/jobs/{}", id.as_str().expect("it is a text"))).await;
    assert_eq!((&job["state"], &job["kind"]), (&json!("completed"), &json!("update")), "{job}");
    answer
}

async fn attribute(app: &App, id: i64, name_std: &str) -> Value {
    let (_, user) = get(app, &format!("/users/{id}/")).await;
    let all = user["attributes"].as_array().cloned().expect("it is a list");
    all.into_iter().find(|one| one["name_std"] == name_std).map_or(Value::Null, |one| one["value"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_attribute_is_set_for_many_users_by_put_and_by_post() {
    on_every_database(async |app| {
        app.make_field("Name of the attribute", "text").await;
        let ids = make_all(app, &["a", "b", "c", "d"]).await;
        let body = json!({"ids": ids, "attribute": "Name of the attribute", "value": "Value for the attribute"});
        let first = done(app, Method::PUT, CUSTOM, &body).await;
        assert_eq!(first, json!({"status": "ok", "updated": 4, "unchanged": 0, "not_found": []}));
        // The same again changes nothing more: clients retry without asking.
        let again = done(app, Method::POST, CUSTOM, &body).await;
        assert_eq!(again, json!({"status": "ok", "updated": 0, "unchanged": 4, "not_found": []}));
        for id in &ids {
            assert_eq!(attribute(app, *id, "name_of_the_attribute").await, "Value for the attribute");
        }
        // By its key, and null clears.
        let clear = json!({"ids": [ids[0]], "attribute": "name_of_the_attribute", "value": null});
        assert_eq!(done(app, Method::PUT, CUSTOM, &clear).await["updated"], 1);
        assert_eq!(attribute(app, ids[0], "name_of_the_attribute").await, Value::Null);
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_name_nobody_are_told_in_their_order_and_repeated_ones_count_once() {
    on_every_database(async |app| {
        let ids = make_all(app, &["a", "b", "gone"]).await;
        let (a, b, gone) = (ids[0], ids[1], ids[2]);
        request(app, Method::DELETE, &format!("/users/{gone}/")).send().await.unwrap();
        let other = app.engine.create_community("Theirs").await.unwrap();
        let key = app.make_key(&other, Scope::ALL).await;
        // A user of another community whose id is nobody's here.
        let rows: String = (0..9).map(|i| format!("u{i}@example.com\n")).collect();
        let import = app.bare(Method::POST, "/v1/jobs?kind=import").bearer_auth(&key).body(format!("Email\n{rows}"));
        let (_, job) = json_of(import).await;
        json_of(app.bare(Method::GET, &format!("/v1/jobs/{}?wait=60", job["id"].as_str().unwrap())).bearer_auth(&key))
            .await;
        let body = format!(
            "{{\"ids\": [{a}, 9223372036854775808, {gone}, 0, -1, {b}, {a}, 0, 9, 123456789012345678901234567890], \
             \"attribute\": \"Username\", \"value\": \"x\"}}"
        );
        let (status, answered) = answer(request(app, Method::PUT, CUSTOM).body(body)).await;
        assert_eq!(status, 200, "{answered}");
        assert_eq!((&answered["updated"], &answered["unchanged"]), (&json!(2), &json!(0)));
        let not_found = answered["not_found"].to_string();
        assert_eq!(not_found, format!("[9223372036854775808,{gone},0,-1,9,123456789012345678901234567890]"));
        let (_, job) = app.get(&format!("/v1/jobs/{}", answered["job_id"].as_str().unwrap())).await;
        assert_eq!((&job["counts"]["received"], &job["counts"]["failed"]), (&json!(8), &json!(6)));
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_ids_name_users_whatever_their_case_and_numbers_are_their_digits() {
    on_every_database(async |app| {
        make_all(app, &["Anna", "7"]).await;
        let body = json!({"ids": ["anna", 7, "7", "", "x".repeat(201), "nobody", "ANNA"], "attribute": "Username", "value": "x"});
        let expected = json!({"status": "ok", "updated": 2, "unchanged": 0, "not_found": ["", "x".repeat(201), "nobody"]});
        assert_eq!(done(app, Method::PUT, CUSTOM_BY_ID, &body).await, expected);
        let body = json!({"ids": ["anna", "7"], "attribute": "phone_number", "value": "+44"});
        assert_eq!(done(app, Method::POST, STANDARD_BY_ID, &body).await["updated"], 2);
        assert_eq!(get(app, "/users-by-id/Anna/").await.1["phone_number"], "+44");
        let change = put(app, STANDARD_BY_ID, &json!({"ids": ["anna"], "attribute": "custom_id", "value": "b"})).await;
        refused(&change, "attribute");
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_attributes_are_those_that_the_product_names() {
    on_every_database(async |app| {
        let ids = make_all(app, &["a", "b"]).await;
        for (name, value) in [
            ("assigned_to", json!(7)),
            ("city", json!("Rome")),
            ("company_id", json!(12)),
            ("country", json!("IT")),
            ("facebook_url", json!("https://example.com/f")),
            ("first_name", json!("Ada")),
            ("gender", json!("female")),
            ("google_url", json!("g")),
            ("gravatar_url", json!("v")),
            ("last_name", json!("Lovelace")),
            ("linkedin_url", json!("l")),
            ("notifications", json!(true)),
            ("phone_number", json!("+44")),
            ("region", json!("Lazio")),
            ("score", json!(99)),
            ("status", json!("user")),
            ("timezone", json!("Europe/Rome")),
            ("twitter_url", json!("t")),
            ("unsubscribed", json!(false)),
        ] {
            let body = json!({"ids": ids, "attribute": name, "value": value});
            let expected = json!({"status": "ok", "updated": 2, "unchanged": 0, "not_found": []});
            assert_eq!(done(app, Method::PUT, STANDARD, &body).await, expected, "{name}");
            assert_eq!(get(app, &format!("/users/{}/", ids[1])).await.1[name], value, "{name}");
        }
        let (a, b) = (ids[0], ids[1]);
        let set = async |id: i64, name: &str, value: Value| {
            send(app, Method::POST, STANDARD, &json!({"ids": [id], "attribute": name, "value": value})).await
        };
        assert_eq!(set(a, "email", json!("new@example.com")).await.1["updated"], 1);
        assert_eq!(set(a, "custom_id", json!("A")).await.1["unchanged"], 0, "its writing changed");
        assert_eq!(set(a, "custom_id", json!(12)).await.1["updated"], 1);
        assert_eq!(get(app, "/users-by-id/12/").await.1["email"], "new@example.com");
        assert_eq!(get(app, "/users-by-id/a/").await.0, 404, "it took the place of the first one");
        assert_eq!(set(a, "user_id", Value::Null).await.1["updated"], 1);
        assert_eq!(get(app, &format!("/users/{a}/")).await.1["custom_id"], Value::Null);
        // What another user has is refused as a whole, because nobody could be changed.
        refused(&set(a, "email", json!("B@example.com")).await, "value");
        let taken = refused(&set(a, "custom_id", json!("b")).await, "value");
        assert_eq!(taken, "another user has the custom id \"b\"");
        for (name, value) in [("email", json!("x@example.com")), ("custom_id", json!("x"))] {
            let several = json!({"ids": [a, b], "attribute": name, "value": value});
            refused(&put(app, STANDARD, &several).await, "value");
        }
        for (name, value, member) in [
            ("email", json!("x"), "value"),
            ("custom_id", json!(""), "value"),
            ("score", json!("x"), "value"),
            ("notifications", json!("perhaps"), "value"),
            ("premium_currency", json!(1), "attribute"),
            ("First Name", json!("x"), "attribute"),
            ("phone", json!("x"), "attribute"),
            ("last_seen", json!("x"), "attribute"),
        ] {
            refused(&set(a, name, value).await, member);
        }
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_is_found_before_anything_is_written() {
    on_every_database(async |app| {
        for kind in ["integer", "decimal", "boolean", "date", "datetime", "text"] {
            app.make_field(&format!("A {kind}"), kind).await;
        }
        for new in [
            json!({"name": "Tier", "type": "select", "options": ["Gold"]}),
            json!({"name": "Small", "type": "integer", "max": 10}),
            json!({"name": "Short", "type": "text", "max_length": 3}),
            json!({"name": "Card", "type": "text", "unique": true}),
        ] {
            assert_eq!(app.post("/v1/fields").json(&new).send().await.unwrap().status(), 201);
        }
        let ids = make_all(app, &["a", "b"]).await;
        let with = |attribute: &str, value: Value| json!({"ids": ids, "attribute": attribute, "value": value});
        let of = |ids: Value| json!({"ids": ids, "attribute": "Username", "value": "x"});
        for (body, member) in [
            (json!({"attribute": "Username", "value": "x"}), "ids"),
            (json!({"ids": ids, "value": "x"}), "attribute"),
            (json!({"ids": ids, "attribute": "Username"}), "value"),
            (of(json!([])), "ids"),
            (of(json!({})), "ids"),
            (of(json!(7)), "ids"),
            (of(json!(null)), "ids"),
            (of(json!(["7"])), "ids"),
            (of(json!([1.5])), "ids"),
            (of(json!([1e3])), "ids"),
            (of(json!([true])), "ids"),
            (of(json!([null])), "ids"),
            (of(json!([[1]])), "ids"),
            (with("", json!("x")), "attribute"),
            (with(&"x".repeat(256), json!("x")), "attribute"),
            (with(&"x".repeat(255), json!("x")), "attribute"),
            (with("Plann", json!("x")), "attribute"),
            (with("email", json!("x@example.com")), "attribute"),
            (with("custom_id", json!("x")), "attribute"),
            (with("identities", json!([])), "attribute"),
            (json!({"ids": ids, "attribute": 7, "value": "x"}), "attribute"),
            (json!({"ids": ids, "attribute": "Username", "value": "x", "more": 1}), "more"),
            (with("A integer", json!("many")), "value"),
            (with("A integer", json!(1.5)), "value"),
            (with("A integer", json!(9_223_372_036_854_775_808_u64)), "value"),
            (with("A integer", json!({"op": "add", "value": 1})), "value"),
            (with("A decimal", json!(true)), "value"),
            (with("A boolean", json!("perhaps")), "value"),
            (with("A date", json!("1.2.2000")), "value"),
            (with("A datetime", json!("2000-02-30T00:00:00Z")), "value"),
            (with("A text", json!(7)), "value"),
            (with("A text", json!(["x"])), "value"),
            (with("A text", json!("a\u{0}b")), "value"),
            (with("Tier", json!("Silver")), "value"),
            (with("Small", json!(11)), "value"),
            (with("Short", json!("long")), "value"),
            (with("Card", json!("x")), "value"),
        ] {
            refused(&put(app, CUSTOM, &body).await, member);
        }
        let (status, all) = put(app, CUSTOM, &json!({"more": 1})).await;
        assert_eq!((status, all.as_object().unwrap().len()), (400, 4), "all that is wrong is said at once: {all}");
        assert_eq!(app.count_jobs().await, 0);
        for id in ids {
            assert_eq!(get(app, &format!("/users/{id}/")).await.1["attributes"], json!([]));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_type_are_set() {
    on_every_database(async |app| {
        let id = make(app, json!({"custom_id": "a"})).await;
        let tier = json!({"name": "Tier", "type": "select", "options": ["Very gold"]});
        app.post("/v1/fields").json(&tier).send().await.unwrap();
        for (kind, value, shown) in [
            ("boolean", json!(true), json!(true)),
            ("integer", json!(-7), json!(-7)),
            ("integer", json!("12"), json!(12)),
            ("decimal", json!(0.25), json!(0.25)),
            ("date", json!("2024-02-29"), json!("2024-02-29")),
            ("datetime", json!("2024-02-29T12:00:00+02:00"), json!("2024-02-29T10:00:00Z")),
            ("text", json!("é\n\"x\"\u{2028}"), json!("é\n\"x\"\u{2028}")),
            ("json", json!({"op": "add", "value": [1, {"a": null}]}), json!({"op": "add", "value": [1, {"a": null}]})),
        ] {
            let name = format!("of_{kind}_{}", value.to_string().len());
            app.make_field(&name, kind).await;
            let body = json!({"ids": [id], "attribute": name, "value": value});
            assert_eq!(done(app, Method::PUT, CUSTOM, &body).await["updated"], 1, "{body}");
            assert_eq!(attribute(app, id, &name).await, shown);
        }
        for value in [json!("very gold"), json!(["Very gold"])] {
            done(app, Method::PUT, CUSTOM, &json!({"ids": [id], "attribute": "Tier", "value": value})).await;
            assert_eq!(attribute(app, id, "tier").await, json!(["Very gold"]));
        }
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_given_the_value_is_named_and_the_answer_is_not_ok() {
    on_every_database(async |app| {
        let ids = make_all(app, &["a", "b"]).await;
        let premium = |ids: &[i64], value: i64| json!({"ids": ids, "attribute": "premium_currency", "value": value});
        // Below its minimum a balance may rise and not fall.
        let options = "?kind=update&match_by=id&overdraft=allow";
        app.run(options, &format!("id,Premium Currency\n{},-9\n", ids[0])).await;
        let answer = done(app, Method::PUT, CUSTOM, &premium(&ids, -5)).await;
        assert_eq!((&answer["status"], &answer["updated"]), (&json!("partial"), &json!(1)), "{answer}");
        let failed = &answer["failed"][0];
        assert_eq!((&failed["id"], &failed["code"]), (&json!(ids[1]), &json!("insufficient_balance")), "{answer}");
        let nobody = put(app, CUSTOM, &premium(&ids[1..], -5)).await;
        assert!(refused(&nobody, "value").contains("minimum"), "{}", nobody.1);
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mass_update_can_be_undone() {
    on_every_database(async |app| {
        let ids = make_all(app, &["a", "b"]).await;
        let body = |value: &str| json!({"ids": ids, "attribute": "city", "value": value});
        put(app, STANDARD, &body("Rome")).await;
        let (_, second) = put(app, STANDARD, &body("Pisa")).await;
        let undo = app.post(&format!("/v1/jobs/{}/undo", second["job_id"].as_str().unwrap()));
        let (_, undo) = json_of(undo).await;
        app.ended(undo["id"].as_str().unwrap()).await;
        assert_eq!(get(app, &format!("/users/{}/", ids[0])).await.1["city"], "Rome");
        verify(app).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_at_once_is_refused() {
    let config = HttpConfig { ids: 3, json_body_bytes: 1_000, ..HttpConfig::default() };
    with(Options { config, ..Options::default() }, async |app| {
        let body = json!({"ids": [1, 1, 1, 1], "attribute": "city", "value": "Rome"});
        let (status, error) = put(app, STANDARD, &body).await;
        assert_eq!(status, 413);
        assert_eq!(error, json!({"detail": "There are 4 ids; send at most 3 in one call."}));
        let long = json!({"ids": [1], "attribute": "city", "value": "x".repeat(1_000)});
        let (status, error) = put(app, STANDARD, &long).await;
        assert_eq!((status, error["detail"].is_string()), (413, true), "{error}");
        assert_eq!(app.count_jobs().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_for_very_many_users_is_refused_before_it_fills_the_memory() {
    on_every_database(async |app| {
        app.make_field("Notes", "long_text").await;
        let ids: Vec<u32> = (1..=100_000).collect();
        let body = json!({"ids": ids, "attribute": "Notes", "value": "x".repeat(60_000)});
        let (status, error) = put(app, CUSTOM, &body).await;
        assert_eq!(status, 413);
        assert!(error["detail"].as_str().unwrap().contains("at most 44"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waited_too_long_hears_when_to_ask_again_and_gets_the_answer_with_the_same_key() {
    let limits = Limits { answer_within: Duration::ZERO, ..Limits::default() };
    with(Options { limits, ..Options::default() }, async |app| {
        let ids = make_all(app, &["a"]).await;
        let body = json!({"ids": ids, "attribute": "city", "value": "Rome"}).to_string();
        let send = async || {
            request(app, Method::PUT, STANDARD).header("Idempotency-Key", "k").body(body.clone()).send().await.unwrap()
        };
        let response = send().await;
        assert_eq!((response.status().as_u16(), response.headers().contains_key("retry-after")), (503, true));
        let error: Value = response.json().await.unwrap();
        let id = error["job_id"].as_str().unwrap();
        assert!(error["detail"].is_string(), "{error}");
        app.ended(id).await;
        let response = send().await;
        assert_eq!(response.headers()["idempotency-replayed"], "true");
        let expected = json!({"status": "ok", "updated": 1, "unchanged": 0, "not_found": [], "job_id": id});
        assert_eq!(response.json::<Value>().await.unwrap(), expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_may_say_that_they_are_json_and_only_the_methods_that_exist_are_allowed() {
    on_every_database(async |app| {
        assert_eq!(get(app, "/users/").await.0, 200);
        for (method, path) in [(Method::GET, CUSTOM), (Method::DELETE, CUSTOM), (Method::PATCH, STANDARD)] {
            let (status, error) = answer(app.request(method, &format!("{API}{path}"))).await;
            assert_eq!((status, error["detail"].is_string()), (405, true), "{error}");
        }
        let plain = app.request(Method::PUT, &format!("{API}{CUSTOM}")).body("ids=1");
        assert_eq!(answer(plain).await.0, 415);
        assert_eq!(post(app, CUSTOM, &json!({})).await.0, 400);
    })
    .await;
}
