use crate::App;
use crate::app::{json_of, without};
use crate::on_every_database;
use muster_core::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

async fn filter(app: &App, body: Value) -> (u16, Value) {
    let (status, answer) = json_of(app.post("/apis/v1/users/filter").json(&body)).await;
    (status.as_u16(), answer)
}

/// The emails of a page, and where it is.
fn emails(answer: &Value) -> (Vec<String>, Value) {
    let page = &answer["data"];
    let users = page["users"].as_array().expect("it has users");
    let emails = users.iter().map(|user| user["email"].as_str().unwrap_or_default().to_owned());
    (emails.collect(), json!([page["current_page"], page["total_pages"], page["next_cursor"].is_string()]))
}

fn many(count: usize) -> String {
    let rows = (1..=count).map(|i| format!("u{i:03}@example.com,{i},{}\n", if i % 2 == 0 { "Rome" } else { "Oslo" }));
    std::iter::once("Email,XP,City\n".to_owned()).chain(rows).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_filtered_200_a_page_by_number_or_cursor() {
    on_every_database(async |app| {
        app.run("?kind=import", &many(450)).await;
        let odd: Vec<String> = (1..=450).step_by(2).map(|i| format!("u{i:03}@example.com")).collect();
        let all: Vec<String> = (1..=450).map(|i| format!("u{i:03}@example.com")).collect();
        for (condition, expected) in [(json!({"city": "Oslo"}), &odd), (json!({}), &all)] {
            let pages = expected.len().div_ceil(200);
            let mut cursor = None::<Value>;
            for (i, part) in expected.chunks(200).enumerate() {
                let place = json!([i + 1, pages, i + 1 < pages]);
                let numbered = filter(app, json!({"filter": condition, "page": i + 1})).await.1;
                assert_eq!(emails(&numbered), (part.to_vec(), place.clone()));
                let body = match &cursor {
                    Some(cursor) => json!({"filter": condition, "cursor": cursor}),
                    None => json!({"filter": condition}),
                };
                let followed = filter(app, body).await.1;
                assert_eq!(emails(&followed), (part.to_vec(), place));
                assert_eq!(followed, numbered);
                cursor = Some(followed["data"]["next_cursor"].clone());
            }
            let (_, beyond) = filter(app, json!({"filter": condition, "page": 1_000_000})).await;
            assert_eq!(emails(&beyond), (vec![], json!([1_000_000, pages, false])));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_takes_exact_values_and_ranges_and_gives_what_is_wanted() {
    on_every_database(async |app| {
        app.make_field("Shoe-Size", "decimal").await;
        let csv = "Email,First Name,XP,Coins,Shoe Size\nada@example.com,Ada,10,1,41.5\nbob@example.com,Bob,50,,42\nc@example.com,,51,2,\n";
        app.run("?kind=import", csv).await;
        let today = app.user("ada@example.com").await["created_at"].as_str().unwrap()[..10].to_owned();
        for (condition, expected) in [
            (json!({"email": "ADA@example.com"}), &["ada@example.com"][..]),
            (json!({"first_name": "Ada"}), &["ada@example.com"]),
            (json!({"first_name": "ada"}), &[]),
            (json!({"xp": {"gte": 10, "lte": 50}}), &["ada@example.com", "bob@example.com"]),
            (json!({"xp": {"gte": 51}}), &["c@example.com"]),
            (json!({"xp": "50"}), &["bob@example.com"]),
            (json!({"shoe-size": {"lte": 41.5}}), &["ada@example.com"]),
            (json!({"Shoe Size": 42.0, "xp": 50}), &["bob@example.com"]),
            (json!({"coins": null}), &["bob@example.com"]),
            (json!({"join_date": {"gte": today, "lte": today}, "first_name": "Bob"}), &["bob@example.com"]),
            (json!({"join_date": {"lte": "2001-01-01"}}), &[]),
        ] {
            let (status, answer) = filter(app, json!({"filter": condition})).await;
            assert_eq!(status, 200, "{condition}: {answer}");
            assert_eq!(emails(&answer).0, expected, "{condition}");
        }
        let (_, all) = filter(app, json!({"filter": {"first_name": "Bob"}})).await;
        let bob = app.user("bob@example.com").await;
        assert_eq!(
            all["data"]["users"][0],
            json!({
                "userId": bob["id"], "email": "bob@example.com", "first_name": "Bob", "last_name": null, "xp": 50, "coins": 0,
                "join_date": bob["created_at"], "shoe_size": 42,
            })
        );
        let fields = json!(["userId", "shoe-size", "coins", "join_date"]);
        let (_, some) = filter(app, json!({"filter": {"first_name": "Ada"}, "fields": fields})).await;
        let ada = app.user("ada@example.com").await;
        let wanted = json!({"userId": ada["id"], "shoe-size": 41.5, "coins": 1, "join_date": ada["created_at"]});
        assert_eq!(some["data"]["users"][0], wanted);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xp_and_coins_are_0_where_none_were_given_to_the_filter_too() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email,XP\nada@example.com,10\nbob@example.com,\nzoe@example.com,0\n").await;
        let (ada, bob, zoe) = ("ada@example.com", "bob@example.com", "zoe@example.com");
        for (condition, expected) in [
            (json!({"xp": 0}), &[bob, zoe][..]),
            (json!({"xp": {"lte": 10}}), &[ada, bob, zoe]),
            (json!({"xp": {"lt": 1}}), &[bob, zoe]),
            (json!({"xp": {"gte": 1}}), &[ada]),
            (json!({"xp": {"ne": 0}}), &[ada]),
            (json!({"xp": {"ne": 10}}), &[bob, zoe]),
            (json!({"xp": {"in": [0, 10]}}), &[ada, bob, zoe]),
            (json!({"not": {"xp": {"gte": 10}}}), &[bob, zoe]),
            (json!({"or": [{"XP": {"gt": 5}}, {"xp": {"eq": 0}, "email": bob}]}), &[ada, bob]),
            (json!({"coins": 0}), &[ada, bob, zoe]),
            // What asks whether there is a value still asks that.
            (json!({"xp": {"is_set": false}}), &[bob]),
            (json!({"xp": null}), &[bob]),
        ] {
            let (status, answer) = filter(app, json!({"filter": condition, "fields": ["email", "xp", "coins"]})).await;
            assert_eq!(status, 200, "{condition}: {answer}");
            assert_eq!(emails(&answer).0, expected, "{condition}");
            for user in answer["data"]["users"].as_array().unwrap() {
                let xp = if user["email"] == ada { 10 } else { 0 };
                assert_eq!((&user["xp"], &user["coins"]), (&json!(xp), &json!(0)), "{condition}");
            }
        }
        // The native face tells the one from the other.
        let (_, native) = json_of(app.post("/v1/users/query").json(&json!({"filter": {"xp": 0}}))).await;
        assert_eq!(native["data"].as_array().unwrap().len(), 1, "{native}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_date_is_understood_anywhere_and_names_are_as_people_write_them() {
    on_every_database(async |app| {
        app.make_field("Shoe-Size", "decimal").await;
        app.run("?kind=import", "Email,Shoe Size\nada@example.com,41\n").await;
        let today = app.user("ada@example.com").await["created_at"].as_str().unwrap()[..10].to_owned();
        for (condition, there) in [
            (json!({"not": {"join_date": today}}), false),
            (json!({"not": {"join_date": "2001-01-01"}}), true),
            (json!({"and": [{"or": [{"join_date": today}]}]}), true),
            (json!({"join_date": {"ne": today}}), false),
            (json!({"join_date": {"ne": "2001-01-01"}}), true),
            (json!({"join_date": {"in": ["2001-01-01", today]}}), true),
            (json!({"join_date": {"in": ["2001-01-01"]}}), false),
            (json!({"Join Date": {"gte": today, "lte": today}, "Email": "ada@example.com"}), true),
        ] {
            let (status, answer) = filter(app, json!({"filter": condition})).await;
            assert_eq!(status, 200, "{condition}: {answer}");
            assert_eq!(emails(&answer).0.is_empty(), !there, "{condition}");
        }
        let (status, answer) = filter(app, json!({"fields": ["Email", "Shoe Size", "Join Date"]})).await;
        assert_eq!(status, 200, "{answer}");
        let user = &answer["data"]["users"][0];
        assert_eq!((&user["Email"], &user["Shoe Size"]), (&json!("ada@example.com"), &json!(41)));
        assert!(user["Join Date"].as_str().unwrap().starts_with(&today), "{user}");
        for (condition, pointer) in [
            (json!({"or": [{"city": "Rome"}, {"join_date": {"gte": "soon"}}]}), "/filter/or/1/join_date/gte"),
            (json!({"not": {"Shoe Size": "big"}}), "/filter/not/Shoe Size"),
            (json!({"join_date": {"in": [today, "soon"]}}), "/filter/join_date/in/1"),
        ] {
            let (status, error) = filter(app, json!({"filter": condition})).await;
            assert_eq!((status, &error["errors"][0]["pointer"]), (400, &json!(pointer)), "{error}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_cannot_be_is_refused_with_its_place() {
    on_every_database(async |app| {
        app.run("?kind=import", &many(201)).await;
        let (_, first) = filter(app, json!({})).await;
        let cursor = &first["data"]["next_cursor"];
        for (body, code, pointer) in [
            (json!({"cursor": cursor, "page": 1}), "invalid_request", json!("/cursor")),
            (json!({"cursor": "78"}), "invalid_request", Value::Null),
            (json!({"cursor": ""}), "invalid_request", Value::Null),
            (json!({"page": 0}), "invalid_request", json!("/page")),
            (json!({"page": 1.5}), "invalid_request", json!("/page")),
            (json!({"page": 1_000_001}), "invalid_request", json!("/page")),
            (json!({"limit": 10}), "invalid_request", json!("/limit")),
            (json!({"filter": []}), "invalid_request", json!("/filter")),
            (json!({"fields": ["email", "colour"]}), "unknown_field", json!("/fields/1")),
            (json!({"fields": "email"}), "invalid_request", json!("/fields")),
            (json!({"filter": {"colour": "red"}}), "unknown_field", json!("/filter/colour")),
            (json!({"filter": {"xp": {"gte": "many"}}}), "invalid_number", json!("/filter/xp/gte")),
            (json!({"filter": {"xp": {"about": 5}}}), "invalid_filter", json!("/filter/xp/about")),
            (json!({"filter": {"join_date": "yesterday"}}), "invalid_datetime", json!("/filter/join_date")),
        ] {
            let (status, error) = filter(app, body.clone()).await;
            assert_eq!((status, &error["code"]), (400, &json!(code)), "{body}: {error}");
            assert_eq!(error["errors"][0]["pointer"], pointer, "{body}: {error}");
        }
        let post = |body: &'static str| {
            app.post("/apis/v1/users/filter").header("content-type", "application/json").body(body)
        };
        for twice in [
            "{\"page\":1,\"page\":2}",
            "{\"filter\":{\"xp\":1,\"xp\":2}}",
            "{\"filter\":{\"xp\":{\"gte\":1,\"gte\":2}}}",
        ] {
            let (status, error) = json_of(post(twice)).await;
            assert_eq!((status.as_u16(), &error["code"]), (400, &json!("invalid_request")), "{twice}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_of_a_community_are_listed_and_looked_at() {
    on_every_database(async |app| {
        app.run("?kind=import", &many(5)).await;
        let base = format!("/apis/v1/communities/{}/users", app.community.id);
        let (status, answer) = app.get(&format!("{base}?limit=2")).await;
        assert_eq!(status, 200);
        assert_eq!(
            (&answer["meta"], &answer["status"]),
            (&json!({"status": "success", "statusCode": 200}), &json!("success"))
        );
        assert_eq!(answer["message"], "Get community users successful");
        assert_eq!(
            emails(&answer),
            (vec!["u001@example.com".to_owned(), "u002@example.com".to_owned()], json!([1, 3, true]))
        );
        let cursor = answer["data"]["next_cursor"].as_str().unwrap();
        let (_, next) = app.get(&format!("{base}?limit=2&cursor={cursor}")).await;
        assert_eq!(next, app.get(&format!("{base}?limit=2&page=2")).await.1);
        assert_eq!(emails(&next).0, ["u003@example.com", "u004@example.com"]);
        assert_eq!(
            emails(&app.get(&format!("{base}?page=3&limit=2")).await.1),
            (vec!["u005@example.com".to_owned()], json!([3, 3, false]))
        );
        for wrong in
            ["?limit=0", "?limit=201", "?page=0", "?cursor=x", "?colour=red", &format!("?page=1&cursor={cursor}")]
        {
            let (status, error) = app.get(&format!("{base}{wrong}")).await;
            assert_eq!((status.as_u16(), &error["code"]), (400, &json!("invalid_request")), "{wrong}");
        }
        let id = app.user("u002@example.com").await["id"].to_string();
        for name in ["U002@example.com", &id] {
            let (status, user) = app.get(&format!("{base}/{name}")).await;
            assert_eq!((status.as_u16(), &user["meta"]["statusCode"]), (200, &json!(200)), "{user}");
            let user = without(user["data"].clone(), &["joinDate", "updatedAt"]);
            assert_eq!(
                (&user["userId"].to_string(), &user["xp"], &user["customFields"]),
                (&id, &json!(2), &json!({"city": "Rome"}))
            );
        }
        // The own community, somebody else's user.
        let other = app.engine.create_community("Theirs").await.unwrap();
        let stranger = app.make_key(&other, Scope::ALL).await;
        for name in ["u002@example.com", &id, "nobody"] {
            let theirs = format!("/apis/v1/communities/{}/users/{name}", other.id);
            let (status, error) = json_of(app.bare(Method::GET, &theirs).bearer_auth(&stranger)).await;
            assert_eq!((status.as_u16(), &error["code"]), (404, &json!("not_found")), "{name}");
        }
    })
    .await;
}
