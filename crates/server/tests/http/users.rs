use crate::App;
use crate::app::{json_of, without};
use crate::on_every_database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Makes Ada and gives her address.
async fn make_ada(app: &App) -> String {
    app.run("?kind=import", "Email,First Name\nAda@Example.com,Ada\nbob@example.com,Bob\n").await;
    format!("/v1/users/{}", app.user("ada@example.com").await["id"])
}

async fn patch(app: &App, path: &str, body: Value) -> (StatusCode, Value) {
    json_of(app.request(Method::PATCH, path).json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_shown_with_its_values_and_version() {
    on_every_database(async |app| {
        let path = make_ada(app).await;
        let response = app.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.headers()["etag"], "\"1\"");
        let user: Value = response.json().await.unwrap();
        assert_eq!(
            without(user, &["id", "created_at", "updated_at"]),
            json!({"email": "Ada@Example.com", "identities": [], "values": {"first_name": "Ada"}, "version": 1})
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_changed_by_what_is_given_cleared_by_null_and_else_kept() {
    on_every_database(async |app| {
        let path = make_ada(app).await;
        let edit = json!({"values": {"premium_currency": {"op": "add", "value": 2.50}, "city": "Rome"}});
        let (status, user) = patch(app, &path, edit).await;
        assert_eq!(status, 200, "{user}");
        assert_eq!(user["values"], json!({"first_name": "Ada", "city": "Rome", "premium_currency": "2.5"}));
        let (_, user) = patch(app, &path, json!({"email": null, "values": {"city": null}})).await;
        assert_eq!(user["values"], json!({"first_name": "Ada", "premium_currency": "2.5"}));
        assert_eq!((&user["email"], &user["version"]), (&Value::Null, &json!(3)));
        assert_eq!(app.user("ada@example.com").await, Value::Null);
        let (_, same) = patch(app, &path, json!({})).await;
        assert_eq!(same["version"], 3);
        assert_eq!(app.get(&path).await.1, same);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_is_refused_with_the_place() {
    on_every_database(async |app| {
        let path = make_ada(app).await;
        for (edit, status, code, pointer) in [
            (json!({"values": {"nothing": 1}}), 400, "invalid_request", "/values/nothing"),
            (json!({"values": {"date_of_birth": "1.2.2000"}}), 400, "invalid_date", "/values/date_of_birth"),
            (
                json!({"values": {"premium_currency": {"op": "subtract", "value": 1}}}),
                409,
                "insufficient_balance",
                "/values/premium_currency",
            ),
            (
                json!({"values": {"premium_currency": {"op": "grow", "value": 1}}}),
                400,
                "invalid_operator",
                "/values/premium_currency",
            ),
            (json!({"email": "nobody"}), 400, "invalid_email", "/email"),
            (json!({"email": "BOB@example.com"}), 409, "not_unique", "/email"),
            (json!({"email": 7}), 400, "invalid_request", "/email"),
            (json!({"name": "x"}), 400, "invalid_request", "/name"),
        ] {
            let (answered, problem) = patch(app, &path, edit).await;
            assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)), "{problem}");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
        let twice = app.request(Method::PATCH, &path).header("content-type", "application/json");
        let (status, problem) = json_of(twice.body("{\"values\": {\"city\": \"A\", \"city\": \"B\"}}")).await;
        assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_request")));
        assert_eq!(app.get(&path).await.1["version"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn if_match_guards_against_a_lost_edit() {
    on_every_database(async |app| {
        let path = make_ada(app).await;
        let edit = async |tag: &str| {
            let request = app.request(Method::PATCH, &path).header("if-match", tag);
            let (status, body) = json_of(request.json(&json!({"values": {"city": format!("City {tag}")}}))).await;
            (status.as_u16(), body["code"].clone())
        };
        assert_eq!(edit("\"1\"").await, (200, Value::Null));
        assert_eq!(edit("\"1\"").await, (412, json!("version_mismatch")));
        assert_eq!(edit("*").await, (200, Value::Null));
        assert_eq!(edit("W/\"3\"").await, (412, json!("version_mismatch")));
        assert_eq!(edit("3").await, (400, json!("invalid_request")));
        let delete = async |tag: &str| {
            let request = app.request(Method::DELETE, &path).header("if-match", tag);
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(delete("\"2\"").await, 412);
        assert_eq!(delete("\"3\"").await, 204);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_is_gone_and_its_email_is_free() {
    on_every_database(async |app| {
        let path = make_ada(app).await;
        let delete = async || app.request(Method::DELETE, &path).send().await.unwrap().status();
        assert_eq!(delete().await, 204);
        assert_eq!(delete().await, 404);
        assert_eq!(app.get(&path).await.0, 404);
        assert_eq!(patch(app, &path, json!({})).await.0, 404);
        assert_eq!(app.user("ada@example.com").await, Value::Null);
        let job = app.run("?kind=import", "Email\nada@example.com\n").await;
        assert_eq!(job["counts"]["created"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_is_restored_with_everything_unless_the_email_is_taken() {
    on_every_database(async |app| {
        let path = make_ada(app).await;
        let restore = async || {
            let response = app.post(&format!("{path}/restore")).send().await.unwrap();
            let tag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
            (response.status().as_u16(), tag, response.json::<Value>().await.unwrap())
        };
        let (status, tag, alive) = restore().await;
        assert_eq!((status, tag.as_deref()), (200, Some("\"1\"")), "who is not deleted stays as it is: {alive}");
        app.request(Method::DELETE, &path).send().await.unwrap();
        let (status, tag, user) = restore().await;
        assert_eq!((status, tag.as_deref(), &user["version"]), (200, Some("\"3\""), &json!(3)), "{user}");
        for same in ["id", "email", "values", "created_at"] {
            assert_eq!(user[same], alive[same]);
        }
        assert_eq!(app.user("ada@example.com").await, user);

        app.request(Method::DELETE, &path).send().await.unwrap();
        app.run("?kind=import", "Email\nADA@example.com\n").await;
        let (status, _, problem) = restore().await;
        assert_eq!((status, &problem["code"]), (409, &json!("not_unique")), "{problem}");
        assert_eq!(app.get(&path).await.0, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_shown_with_its_identities() {
    on_every_database(async |app| {
        let file = "source,source_id,identity_language\ncrm,7,de\n";
        app.run("?kind=import&match_by=external", file).await;
        let (_, page) = app.get("/v1/users").await;
        let identity = json!({"source": "crm", "source_id": "7", "language": "de"});
        assert_eq!((&page["data"][0]["identities"], &page["data"][0]["email"]), (&json!([identity]), &Value::Null));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_listed_page_by_page() {
    on_every_database(async |app| {
        let rows: String = (0..5).map(|i| format!("u{i}@example.com\n")).collect();
        app.run("?kind=import", &format!("Email\n{rows}")).await;
        let mut path = "/v1/users?limit=2".to_owned();
        let (mut emails, mut pages) = (Vec::new(), 0);
        loop {
            let (_, page) = app.get(&path).await;
            emails.extend(page["data"].as_array().unwrap().iter().map(|user| user["email"].to_string()));
            pages += 1;
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/v1/users?limit=2&cursor={cursor}");
        }
        emails.sort();
        let expected: Vec<String> = (0..5).map(|i| format!("\"u{i}@example.com\"")).collect();
        assert_eq!((emails, pages), (expected, 3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_made_and_found_where_the_answer_says() {
    on_every_database(async |app| {
        let new = json!({"email": " Grace@Example.com ", "identities": [{"source": "crm", "source_id": 7}],
                         "values": {"first_name": "Grace", "city": null, "premium_currency": {"op": "add", "value": 2}}});
        let response = app.post("/v1/users").json(&new).send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["etag"]), (201, &"\"1\"".parse().unwrap()));
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let made: Value = response.json().await.unwrap();
        assert_eq!(app.get(&location).await, (StatusCode::OK, made.clone()));
        assert_eq!(
            without(made, &["id", "created_at", "updated_at"]),
            json!({"email": "Grace@Example.com", "identities": [{"source": "crm", "source_id": "7", "language": null}],
                   "values": {"first_name": "Grace", "premium_currency": "2"}, "version": 1})
        );
        let only = json!({"identities": [{"source": "shop", "source_id": "x", "language": "de"}]});
        assert_eq!(json_of(app.post("/v1/users").json(&only)).await.0, 201);
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_cannot_be_made_is_refused_with_the_place() {
    on_every_database(async |app| {
        make_ada(app).await;
        for name in ["Card", "Shoe"] {
            let field = json!({"name": name, "type": "text", "unique": name == "Card", "required": name == "Shoe"});
            json_of(app.post("/v1/fields").json(&field)).await;
        }
        let crm = json!([{"source": "crm", "source_id": "7"}]);
        let taken = json!({"email": "eve@x.org", "identities": crm, "values": {"card": "one", "shoe": "40"}});
        assert_eq!(json_of(app.post("/v1/users").json(&taken)).await.0, 201);
        let shoe = json!({"shoe": "41"});
        for (new, status, code, pointer) in [
            (json!({"email": "ADA@example.com", "values": shoe}), 409, "user_exists", None),
            (json!({"identities": crm, "values": shoe}), 409, "user_exists", None),
            (json!({"values": {"card": "one", "shoe": "1"}}), 409, "user_exists", None),
            (json!({"email": "n@x.org", "identities": crm, "values": shoe}), 409, "not_unique", Some("/identities")),
            (
                json!({"email": "n@x.org", "values": {"card": "one", "shoe": "1"}}),
                409,
                "not_unique",
                Some("/values/card"),
            ),
            (json!({"email": "n@x.org"}), 400, "required_field", Some("/values/shoe")),
            (json!({"values": shoe}), 400, "missing_key", Some("/email")),
            (json!({"email": "nobody", "values": shoe}), 400, "invalid_email", Some("/email")),
            (json!({"identities": [{"source": "", "source_id": "1"}]}), 400, "invalid_identity", Some("/identities/0")),
            (
                json!({"identities": [{"source": "a", "source_id": []}]}),
                400,
                "invalid_request",
                Some("/identities/0/source_id"),
            ),
            (json!({"id": 7, "email": "n@x.org"}), 400, "invalid_request", Some("/id")),
        ] {
            let (answered, problem) = json_of(app.post("/v1/users").json(&new)).await;
            assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)), "{new} {problem}");
            let found = problem["errors"][0]["pointer"].as_str();
            assert!(pointer.is_none() || found == pointer, "{new} {problem}");
        }
        assert_eq!(app.get("/v1/users").await.1["data"].as_array().unwrap().len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_make_the_same_user_at_once_one_does() {
    on_every_database(async |app| {
        let make = || json_of(app.post("/v1/users").json(&json!({"email": "one@x.org"})));
        let answers = futures_util::future::join_all((0..8).map(|_| make())).await;
        let made = answers.iter().filter(|(status, _)| *status == 201).count();
        assert_eq!((made, answers.iter().filter(|(status, _)| *status == 409).count()), (1, 7));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_is_known_is_not_sent_again() {
    on_every_database(async |app| {
        let path = make_ada(app).await;
        let known = async |tag: &str| {
            let request = app.request(Method::GET, &path).header("if-none-match", tag);
            let response = request.send().await.unwrap();
            assert!(response.headers().contains_key("etag"));
            (response.status().as_u16(), response.text().await.unwrap().is_empty())
        };
        assert_eq!(known("\"1\"").await, (304, true));
        assert_eq!(known("\"0\"").await, (200, false));
        patch(app, &path, json!({"values": {"city": "Rome"}})).await;
        assert_eq!(known("\"1\"").await, (200, false));
        assert_eq!(known("W/\"2\", \"9\"").await, (304, true));
        let deleted = app.request(Method::DELETE, &path).header("if-match", "\"1\"").send().await.unwrap();
        assert_eq!(deleted.status(), 412);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_stay_right_while_users_come_and_go() {
    on_every_database(async |app| {
        let users: String = (0..30).map(|i| format!("u{i}@x.org\n")).collect();
        app.run("?kind=import", &format!("Email\n{users}")).await;
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for round in 0.. {
            let (_, page) = app.get(&format!("/v1/users?limit=7{cursor}")).await;
            seen.extend(page["data"].as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
            json_of(app.post("/v1/users").json(&json!({"email": format!("new{round}@x.org")}))).await;
            app.request(Method::DELETE, &format!("/v1/users/{}", seen[0])).send().await.unwrap();
        }
        assert!(seen.is_sorted() && seen.len() > 30, "{seen:?}");
        seen.dedup();
        assert!((1..=30).all(|id| seen.contains(&id)), "everybody who was there is seen, once: {seen:?}");
    })
    .await;
}
