use crate::App;
use crate::app::{id_of, json_of};
use crate::on_every_database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn query(app: &App, body: Value) -> (StatusCode, Value) {
    json_of(app.post("/v1/users/query").json(&body)).await
}

fn emails(page: &Value) -> Vec<&str> {
    let data = page["data"].as_array().unwrap_or_else(|| panic!("{page}"));
    data.iter().map(|user| user["email"].as_str().unwrap_or("none")).collect()
}

async fn set_up(app: &App) {
    let points = json!({"name": "Points", "type": "integer", "indexed": true});
    let (status, field) = json_of(app.post("/v1/fields").json(&points)).await;
    assert_eq!((status.as_u16(), &field["indexed"]), (201, &json!(true)), "{field}");
    let rows = "Email,Points,City,Premium Currency\nann@x.org,10,Rome,1.5\nbob@x.org,20,Oslo,2\ncid@x.org,,Rome,\ndora@x.org,20,rome,\n";
    assert_eq!(app.run("?kind=import", rows).await["counts"]["created"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_found_by_a_filter_in_an_order_with_the_values_that_are_wanted() {
    on_every_database(async |app| {
        set_up(app).await;
        for (body, expected) in [
            (json!({}), vec!["ann@x.org", "bob@x.org", "cid@x.org", "dora@x.org"]),
            (
                json!({"filter": null, "sort": null, "fields": null}),
                vec!["ann@x.org", "bob@x.org", "cid@x.org", "dora@x.org"],
            ),
            (json!({"filter": {"points": {"gte": 10, "lt": 20}, "city": "Rome"}}), vec!["ann@x.org"]),
            (json!({"filter": {"points": {"ne": 20}}, "sort": "-id"}), vec!["cid@x.org", "ann@x.org"]),
            (json!({"sort": "-points"}), vec!["bob@x.org", "dora@x.org", "ann@x.org", "cid@x.org"]),
            (json!({"sort": ["points", "-email"]}), vec!["ann@x.org", "dora@x.org", "bob@x.org", "cid@x.org"]),
            (json!({"filter": {"premium_currency": "1.50"}}), vec!["ann@x.org"]),
            (json!({"filter": {"email": "DORA@X.ORG"}}), vec!["dora@x.org"]),
            (
                json!({"filter": {"city": {"starts_with": "RO"}}, "sort": "-city"}),
                vec!["dora@x.org", "ann@x.org", "cid@x.org"],
            ),
        ] {
            let (status, page) = query(app, body.clone()).await;
            assert_eq!((status.as_u16(), emails(&page)), (200, expected), "{body}");
            assert_eq!(page["next_cursor"], Value::Null, "{body}");
        }
        let (_, page) = query(app, json!({"filter": {"email": "ann@x.org"}, "fields": ["points", "language"]})).await;
        assert_eq!(page["data"][0]["values"], json!({"points": 10}));
        let (_, page) = query(app, json!({"filter": {"email": "ann@x.org"}, "fields": []})).await;
        assert_eq!(page["data"][0]["values"], json!({}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_given_page_by_page() {
    on_every_database(async |app| {
        set_up(app).await;
        let mut body = json!({"sort": "-points", "limit": 1});
        let mut seen = Vec::new();
        loop {
            let (_, page) = query(app, body.clone()).await;
            seen.extend(emails(&page).into_iter().map(str::to_owned));
            if page["next_cursor"].is_null() {
                break;
            }
            body["cursor"] = page["next_cursor"].clone();
        }
        assert_eq!(seen, ["bob@x.org", "dora@x.org", "ann@x.org", "cid@x.org"]);
        let mut other = body.clone();
        other["sort"] = json!("points");
        let (status, problem) = query(app, other).await;
        assert_eq!((status.as_u16(), &problem["errors"][0]["pointer"]), (400, &json!("/cursor")), "{problem}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_cannot_be_is_refused_with_its_place() {
    on_every_database(async |app| {
        for (body, code, pointer) in [
            (json!({"filter": {"town": "Rome"}}), "unknown_field", "/filter/town"),
            (json!({"filter": {"city": {"like": "R"}}}), "invalid_filter", "/filter/city/like"),
            (
                json!({"filter": {"or": [{"premium_currency": "ten"}]}}),
                "invalid_number",
                "/filter/or/0/premium_currency",
            ),
            (json!({"filter": []}), "invalid_filter", "/filter"),
            (json!({"filter": {"gender": "x"}}), "invalid_option", "/filter/gender"),
            (json!({"filter": {"city": "a\u{0}b"}}), "nul_character", "/filter/city"),
            (json!({"sort": "town"}), "unknown_field", "/sort"),
            (json!({"sort": ["city", "addresses"]}), "invalid_request", "/sort/1"),
            (json!({"fields": ["town"]}), "unknown_field", "/fields/0"),
            (json!({"fields": "city"}), "invalid_request", "/fields"),
            (json!({"limit": 0}), "invalid_request", "/limit"),
            (json!({"limit": 1001}), "invalid_request", "/limit"),
            (json!({"filters": {}}), "invalid_request", "/filters"),
        ] {
            let (status, problem) = query(app, body.clone()).await;
            assert_eq!((status.as_u16(), &problem["code"]), (400, &json!(code)), "{body}: {problem}");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
        }
        let (status, _) = query(app, json!({"cursor": "zz"})).await;
        assert_eq!(status, 400);
        let request = app.post("/v1/users/query").header("content-type", "application/json");
        let twice = r#"{"filter": {"city": {"ne": "A"}, "city": {"ne": "B"}}}"#;
        let (status, problem) = json_of(request.body(twice)).await;
        assert_eq!((status.as_u16(), &problem["errors"][0]["pointer"]), (400, &json!("/filter/city")), "{problem}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_finds_nobody_of_another_community() {
    on_every_database(async |app| {
        set_up(app).await;
        let other = app.engine.create_community("Theirs").await.unwrap();
        let stranger = app.make_key(&other, muster_core::scope::Scope::ALL).await;
        for filter in [json!({}), json!({"email": "ann@x.org"}), json!({"id": {"in": [1, 2]}}), json!({"city": "Rome"})]
        {
            let request = app.bare(Method::POST, "/v1/users/query").bearer_auth(&stranger);
            let (status, page) = json_of(request.json(&json!({"filter": filter}))).await;
            assert_eq!((status.as_u16(), emails(&page).len()), (200, 0), "{page}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_is_marked_as_indexed_and_not_any_more() {
    on_every_database(async |app| {
        set_up(app).await;
        let (_, page) = app.get("/v1/fields").await;
        let field = |key: &str| {
            let found = page["data"].as_array().unwrap().iter().find(|field| field["key"] == key);
            format!("/v1/fields/{}", id_of(found.unwrap()))
        };
        let edit = async |path: &str, body: Value| json_of(app.request(Method::PATCH, path).json(&body)).await;
        for (body, indexed) in [
            (json!({}), false),
            (json!({"indexed": true}), true),
            (json!({}), true),
            (json!({"indexed": false}), false),
        ] {
            let (status, changed) = edit(&field("city"), body.clone()).await;
            assert_eq!((status.as_u16(), &changed["indexed"]), (200, &json!(indexed)), "{body}");
            let (_, found) = query(app, json!({"filter": {"city": {"in": ["Rome", "Paris"]}}})).await;
            assert_eq!(emails(&found), ["ann@x.org", "cid@x.org"]);
        }
        for (path, body, status, pointer) in [
            (field("addresses"), json!({"indexed": true}), 400, json!("/indexed")),
            (field("city"), json!({"indexed": "yes"}), 400, json!("/indexed")),
            (field("city"), json!({"colour": 1}), 400, json!("/colour")),
        ] {
            let (answered, problem) = edit(&path, body).await;
            assert_eq!((answered.as_u16(), &problem["errors"][0]["pointer"]), (status, &pointer), "{problem}");
        }
        let json_field = json!({"name": "Data", "type": "json", "indexed": true});
        let (status, problem) = json_of(app.post("/v1/fields").json(&json_field)).await;
        assert_eq!((status.as_u16(), &problem["errors"][0]["pointer"]), (400, &json!("/indexed")));
        let verified = app.engine.verify().await.unwrap();
        assert_eq!(verified.breaks, Vec::<String>::new());
    })
    .await;
}
