use crate::App;
use crate::app::{json_of, without};
use crate::on_every_database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const USERS: &str = "/apis/v1/users";

async fn post(app: &App, path: &str, body: Value) -> (StatusCode, Value) {
    json_of(app.post(&format!("{USERS}{path}")).json(&body)).await
}

/// Sends a body as it is written.
async fn raw(app: &App, path: &str, body: &str) -> (u16, Value) {
    let request = app.post(&format!("{USERS}{path}")).header("content-type", "application/json").body(body.to_owned());
    let (status, error) = json_of(request).await;
    (status.as_u16(), error)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_made_by_the_older_and_by_the_newest_page() {
    on_every_database(async |app| {
        let size = app.make_field("Shoe Size", "decimal").await;
        let older = json!({
            "firstname": "John", "lastname": "Doe", "username": "johndoe", "displayname": "Johnny", "email": "John@Example.com",
            "password": "secret", "confirmPassword": "secret", "accessLevel": 1, "joinServer": true, "emailPassword": false,
            "sendEmail": false,
        });
        let (status, made) = post(app, "", older).await;
        assert_eq!((status.as_u16(), &made["status"], &made["message"]), (201, &json!("success"), &json!("Create user successful")));
        let user = app.user("john@example.com").await;
        assert_eq!(
            without(made["data"].clone(), &["joinDate", "updatedAt"]),
            json!({
                "userId": user["id"], "email": "John@Example.com", "username": "johndoe", "firstName": "John", "lastName": "Doe",
                "displayName": "Johnny", "language": null, "externalId": null, "xp": 0, "coins": 0, "customFields": {},
                "ignored": ["password", "confirmPassword", "accessLevel", "joinServer", "emailPassword", "sendEmail"],
            })
        );
        let newest = json!({
            "communityId": app.community.id.to_string(), "firstname": "Jane", "email": "jane@example.com", "externalId": 42,
            "referral": "john", "emailTemplate": "hello",
            "customFields": [
                {"fieldIdorName": size["id"], "value": 42.50}, {"fieldIdorName": "city", "value": "Rome"},
                {"fieldIdorName": "In-game Currency", "value": "10"}, {"fieldIdorName": "xp", "value": 7},
            ],
        });
        let (status, made) = post(app, "", newest).await;
        assert_eq!(status, 201, "{made}");
        let jane = &made["data"];
        assert_eq!(jane["customFields"], json!({"city": "Rome", "in_game_currency": 10, "shoe_size": 42.5}));
        assert_eq!((&jane["externalId"], &jane["xp"]), (&json!("42"), &json!(7)));
        assert_eq!(jane["ignored"], json!(["referral", "emailTemplate"]));
        assert_eq!(app.user("jane@example.com").await["identities"][0]["source"], "external_id");
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_cannot_be_is_refused_with_the_place_in_the_request() {
    on_every_database(async |app| {
        let hex = "0123456789abcdef01234567";
        app.run("?kind=import", "Email\nada@example.com\n").await;
        let email = |more: Value| {
            let mut body = json!({"email": "new@example.com"});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let field =
            |name: &str, value: Value| email(json!({"customFields": [{"fieldIdorName": name, "value": value}]}));
        for (body, status, code, pointer) in [
            (json!({"firstname": "Ada"}), 400, "invalid_request", json!("")),
            (json!({"email": null}), 400, "invalid_request", json!("/email")),
            (json!({"email": "nobody"}), 400, "invalid_email", json!("/email")),
            (json!({"email": " ADA@EXAMPLE.COM "}), 409, "user_exists", Value::Null),
            (
                email(json!({"password": "a", "confirmPassword": "b"})),
                400,
                "invalid_request",
                json!("/confirmPassword"),
            ),
            (email(json!({"firstname": "x".repeat(1_001)})), 400, "too_long", json!("/firstname")),
            (email(json!({"firstname": "a\u{0}b"})), 400, "nul_character", json!("/firstname")),
            (email(json!({"accessLevel": "high"})), 400, "invalid_request", json!("/accessLevel")),
            (email(json!({"colour": "red"})), 400, "invalid_request", json!("/colour")),
            (email(json!({"externalId": ""})), 400, "invalid_identity", json!("/externalId")),
            (email(json!({"externalId": 1.5})), 400, "invalid_request", json!("/externalId")),
            (email(json!({"communityId": hex})), 404, "not_found", Value::Null),
            (field("colour", json!("red")), 400, "unknown_field", json!("/customFields/0/fieldIdorName")),
            (field(hex, json!("red")), 400, "unknown_field", json!("/customFields/0/fieldIdorName")),
            (field("email", json!("x@y.z")), 400, "unknown_field", json!("/customFields/0/fieldIdorName")),
            (field("gender", json!("x")), 400, "invalid_option", json!("/customFields/0/value")),
            (field("xp", json!("1.5")), 400, "invalid_number", json!("/customFields/0/value")),
            (field("Premium Currency", json!(-1)), 409, "insufficient_balance", json!("/customFields/0/value")),
        ] {
            let (got, error) = post(app, "", body.clone()).await;
            assert_eq!((got.as_u16(), &error["code"]), (status, &json!(code)), "{body}: {error}");
            assert_eq!(error["errors"][0]["pointer"], pointer, "{body}: {error}");
            assert_eq!((error.as_object().unwrap().len(), &error["status"]), (4, &json!("error")));
        }
        let (_, users) = app.get("/v1/users").await;
        assert_eq!(users["data"].as_array().unwrap().len(), 1, "{users}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_sane_json_is_refused() {
    on_every_database(async |app| {
        for (body, code) in [
            ("{\"email\":\"a@b\",\"email\":\"c@d\"}", "invalid_request"),
            (
                "{\"email\":\"a@b\",\"customFields\":[{\"fieldIdorName\":\"extra\",\"value\":{\"a\":1,\"a\":2}}]}",
                "invalid_request",
            ),
            (
                "{\"email\":\"a@b\",\"customFields\":[{\"fieldIdorName\":\"city\"},{\"fieldIdorName\":\"City\"}]}",
                "invalid_request",
            ),
            ("{\"email\":\"a@b\",\"customFields\":[{\"fieldIdorName\":\"xp\",\"value\":1e400}]}", "invalid_number"),
            (
                "{\"email\":\"a@b\",\"customFields\":[{\"fieldIdorName\":\"xp\",\"value\":99999999999999999999}]}",
                "out_of_range",
            ),
            (&"[".repeat(100_000), "invalid_request"),
            ("{\"email\":", "invalid_request"),
            ("", "invalid_request"),
            ("[]", "invalid_request"),
        ] {
            let (status, error) = raw(app, "", body).await;
            assert_eq!((status, &error["code"]), (400, &json!(code)), "{error}");
        }
        let request = app.post(USERS).header("content-type", "application/json").body(&b"{\"email\":\"\xff@b\"}"[..]);
        assert_eq!(json_of(request).await.0, 400);
        let (status, error) = json_of(app.post(USERS).body("{}").header("content-type", "text/plain")).await;
        assert_eq!((status.as_u16(), &error["code"]), (415, &json!("unsupported_media_type")));
        assert!(app.user("a@b").await.is_null());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_of_a_user_are_given_by_id_or_email() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email,First Name,Language,XP,City\nada@example.com,Ada,en,5,London\n").await;
        app.run("?kind=update", "Email,XP_op,XP,Coins\nada@example.com,subtract,2,9007199254740993\n").await;
        let id = app.user("ada@example.com").await["id"].clone();
        let info = json!({
            "userId": id, "email": "ada@example.com", "username": null, "firstName": "Ada", "lastName": null, "displayName": null,
            "language": "en", "externalId": null, "xp": 3, "coins": 9_007_199_254_740_993_i64, "customFields": {"city": "London"},
            "roles": [], "highestRole": null, "xpEarnedToday": 5, "coinsEarnedToday": 9_007_199_254_740_993_i64,
            "totalMessages": 0, "totalReactions": 0, "visitCount": 0, "replySent": 0, "timeSpent": 0, "loginStreak": 0,
        });
        for name in [json!(id), json!(id.to_string()), json!("ADA@example.com")] {
            let (status, answer) = post(app, "/info", json!({"idOrEmail": name})).await;
            assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("success")), "{answer}");
            assert_eq!(without(answer["data"].clone(), &["joinDate", "updatedAt"]), info);
        }
        // A Cyrillic letter is another letter, and a username is neither id nor email.
        for nobody in ["\u{430}da@example.com", "nobody@example.com", "ada", "007", "-1", "@", "99999999999999999999"] {
            let (status, error) = post(app, "/info", json!({"idOrEmail": nobody})).await;
            assert_eq!((status.as_u16(), &error["code"]), (404, &json!("not_found")), "{nobody}: {error}");
        }
        for wrong in [json!({}), json!({"idOrEmail": null}), json!({"idOrEmail": 1.5}), json!({"idOrEmail": "a", "more": 1}), json!([]), json!({"idOrEmail": ""}), json!({"idOrEmail": " \t"})] {
            let (status, error) = post(app, "/info", wrong.clone()).await;
            assert_eq!((status.as_u16(), &error["code"]), (400, &json!("invalid_request")), "{wrong}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_text_is_no_value_and_names_nobody() {
    on_every_database(async |app| {
        let new = json!({
            "email": "x@example.com", "username": "", "firstname": " ",
            "customFields": [{"fieldIdorName": "city", "value": ""}, {"fieldIdorName": "xp", "value": null}],
        });
        let (status, made) = post(app, "", new).await;
        assert_eq!(status, 201, "{made}");
        let data = &made["data"];
        assert_eq!(
            json!([data["username"], data["firstName"], data["customFields"], data["xp"]]),
            json!([null, null, {}, 0])
        );
        let id = app.user("x@example.com").await["id"].to_string();
        // Another face may have set it.
        let patch = app.request(Method::PATCH, &format!("/v1/users/{id}")).json(&json!({"values": {"username": ""}}));
        assert_eq!(json_of(patch).await.0, 200);
        for (path, body, pointer) in [
            ("/manage", json!({"action": "delete", "user": ""}), "/user"),
            ("/manage", json!({"action": "delete", "user": "  "}), "/user"),
            ("/info", json!({"idOrEmail": ""}), "/idOrEmail"),
        ] {
            let (status, error) = post(app, path, body).await;
            assert_eq!((status.as_u16(), &error["code"]), (400, &json!("invalid_request")), "{error}");
            assert_eq!(error["errors"][0]["pointer"], pointer);
            assert!(error["message"].as_str().unwrap().contains("empty"), "{error}");
        }
        assert!(!app.user("x@example.com").await.is_null());
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_are_an_id_whoever_has_them_as_a_username() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nada@example.com\nbob@example.com\n").await;
        let id = app.user("ada@example.com").await["id"].clone();
        app.run("?kind=update", &format!("Email,Username\nbob@example.com,{id}\n")).await;
        let (status, gone) = post(app, "/manage", json!({"action": "delete", "user": id})).await;
        assert_eq!((status.as_u16(), &gone["data"]["userId"]), (200, &id));
        assert!(app.user("ada@example.com").await.is_null() && !app.user("bob@example.com").await.is_null());
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_wrong_with_a_new_user_is_said_at_once() {
    on_every_database(async |app| {
        let new = json!({
            "email": "nobody", "password": "a", "confirmPassword": "b", "externalId": "",
            "customFields": [
                {"fieldIdorName": "colour", "value": "red"}, {"fieldIdorName": "xp", "value": "many"},
                {"fieldIdorName": "gender", "value": "x"}, {"fieldIdorName": "size", "value": 1},
                {"fieldIdorName": "City", "value": "Rome"}, {"fieldIdorName": "city", "value": "Oslo"},
            ],
        });
        let (status, error) = post(app, "", new).await;
        assert_eq!(status, 400, "{error}");
        let mut places: Vec<_> = error["errors"].as_array().unwrap().iter().map(|fault| &fault["pointer"]).collect();
        places.sort_by_key(|place| place.to_string());
        let expected = [
            "/confirmPassword",
            "/customFields/0/fieldIdorName",
            "/customFields/1/value",
            "/customFields/2/value",
            "/customFields/3/fieldIdorName",
            "/customFields/5/fieldIdorName",
            "/email",
            "/externalId",
        ];
        assert_eq!(places, expected, "{error}");
        let nothing = json!({"email": "a@example.com", "customFields": [{"fieldIdorName": "city"}]});
        let (status, error) = post(app, "", nothing).await;
        assert_eq!((status.as_u16(), &error["code"]), (400, &json!("invalid_request")), "{error}");
        assert!(app.user("a@example.com").await.is_null());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_chosen_of_options_is_shown_by_their_names() {
    on_every_database(async |app| {
        for (name, kind) in [("Size", "select"), ("Tags", "multi_select")] {
            let field = json!({"name": name, "type": kind, "options": ["Very small", "Large"]});
            assert_eq!(json_of(app.post("/v1/fields").json(&field)).await.0, 201);
        }
        let new = json!({"email": "ada@example.com", "customFields": [
            {"fieldIdorName": "size", "value": "very_small"}, {"fieldIdorName": "tags", "value": ["Large", "Very small"]},
        ]});
        let (_, made) = post(app, "", new).await;
        let shown = json!({"size": "Very small", "tags": ["Very small", "Large"]});
        assert_eq!(made["data"]["customFields"], shown);
        let (_, page) = post(app, "/filter", json!({"fields": ["size", "Tags"], "filter": {"size": "Very small"}})).await;
        let user = &page["data"]["users"][0];
        assert_eq!(json!({"size": user["size"], "tags": user["Tags"]}), shown, "{page}");
        let path = format!("/apis/v1/communities/{}/user-field-histories", app.community.id);
        let (_, histories) = app.get(&path).await;
        assert!(histories.to_string().contains("\"Very small\""), "{histories}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_deleted_and_restored_by_id_email_or_username() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email,Username\nada@example.com,ada\nbob@example.com,johndoe\n").await;
        let id = app.user("bob@example.com").await["id"].clone();
        for name in [json!("johndoe"), json!("BOB@example.com"), id.clone(), json!(id.to_string())] {
            for action in ["delete", "restore", "restore"] {
                let (status, answer) = post(app, "/manage", json!({"action": action, "user": name})).await;
                assert_eq!(status, 200, "{answer}");
                let text = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
                assert_eq!((&answer["action"], &answer["user"]), (&json!(action), &json!(text)));
                assert_eq!(
                    (&answer["status"], &answer["data"]),
                    (&json!("success"), &json!({"action": action, "userId": id}))
                );
                assert_eq!(app.user("bob@example.com").await.is_null(), action == "delete");
            }
        }
        post(app, "/manage", json!({"action": "delete", "user": "johndoe"})).await;
        for (body, status, code) in [
            (json!({"action": "delete", "user": "johndoe"}), 404, "user_not_found"),
            (json!({"action": "delete", "user": "bob@example.com"}), 404, "user_not_found"),
            (json!({"action": "delete", "user": id}), 404, "not_found"),
            (json!({"action": "restore", "user": "nobody"}), 404, "user_not_found"),
            (json!({"action": "delete", "user": ""}), 400, "invalid_request"),
            (json!({"action": "restore", "user": " "}), 400, "invalid_request"),
            (json!({"action": "explode", "user": "ada"}), 400, "invalid_request"),
            (json!({"action": "delete"}), 400, "invalid_request"),
        ] {
            let (got, error) = post(app, "/manage", body.clone()).await;
            assert_eq!((got.as_u16(), &error["code"]), (status, &json!(code)), "{body}: {error}");
        }
        // Who took the email meanwhile keeps it.
        app.run("?kind=import", "Email,Username\nbob@example.com,ada\n").await;
        let (status, error) = post(app, "/manage", json!({"action": "restore", "user": "johndoe"})).await;
        assert_eq!((status.as_u16(), &error["code"]), (409, &json!("not_unique")), "{error}");
        let (status, error) = post(app, "/manage", json!({"action": "delete", "user": "ada"})).await;
        assert_eq!((status.as_u16(), &error["code"]), (409, &json!("ambiguous_match")), "{error}");
        app.engine.verify().await.unwrap();
    })
    .await;
}
