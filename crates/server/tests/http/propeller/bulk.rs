use super::error_of;
use crate::App;
use crate::app::{Options, json_of, with};
use crate::on_every_database;
use muster_core::scope::Scope;
use muster_server::http::HttpConfig;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BY_SOURCE_ID: &str = "/v2/users/bulk/sourceId";
const BY_ID: &str = "/users/bulk/id";

async fn post(app: &App, path: &str, body: Value) -> (StatusCode, Value) {
    json_of(app.post(path).json(&body)).await
}

/// The results of a request that is not refused.
async fn results(app: &App, path: &str, body: Value) -> Vec<Value> {
    let (status, answer) = post(app, path, body).await;
    assert_eq!(status, 200, "{answer}");
    let data = answer["data"].as_array().expect("it is a list").clone();
    assert_eq!((&answer["messages"], &answer["total"]), (&json!(["Completed"]), &json!(data.len())));
    data
}

/// A user by its number, as the native face shows it.
async fn user(app: &App, id: &Value) -> Value {
    app.get(&format!("/v1/users/{id}")).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_answer_is_given_to_the_letter() {
    on_every_database(async |app| {
        let body = r#"{"users":[{"source":"REST-API","sourceId":3002196,"firstName":"Miles"}]}"#;
        for (path, action) in [(BY_SOURCE_ID, "create"), ("/users/bulk/sourceId", "update")] {
            let request = app.post(path).header("content-type", "application/json").body(body);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(response.headers().contains_key("x-request-id"));
            let expected = format!(
                "{{\"data\":[{{\"action\":\"{action}\",\"id\":1,\"key\":3002196,\"lookupKey\":\"sourceId\",\"success\":true}}],\
                 \"messages\":[\"Completed\"],\"total\":1}}"
            );
            assert_eq!(response.text().await.unwrap(), expected);
        }
        let (status, error) =
            post(app, BY_SOURCE_ID, json!({"users": [{"source": "E", "sourceId": 1, "pricing": []}]})).await;
        assert_eq!(status, 400);
        assert_eq!(
            error,
            json!({"error": {"code": 10007, "messages": ["#/users/0: extraneous key [pricing] is not permitted"],
                "moreInfo": "/docs/errors#invalid_request", "status": 400, "type": "SchemaValidationException"}})
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_comes_into_its_field() {
    on_every_database(async |app| {
        app.make_field("Shoe size", "integer").await;
        let miles = json!({
            "source": "ERP", "sourceId": "7", "language": "NL", "debtorId": 12345, "firstName": "Miles", "middleName": "",
            "lastName": "McCoy", "fullName": "Miles McCoy", "title": "Mr.", "dateOfBirth": "28/08/1993", "gender": "M",
            "login": "miles", "phone": 32445888, "mobile": "0038975648", "email": "Miles@propel.us", "company": "Propel",
            "abbreviation": "MM", "taxNumber": "T1", "cocNumber": "C1", "primaryLanguage": "EN", "parent": {"id": 119},
            "addresses": [{"type": "invoice", "city": "Oslo", "isDefault": "Y"}],
            "attributes": [{"class": "user", "name": "SHOE_SIZE", "type": "integer", "value": "43"}],
        });
        let made = results(app, BY_SOURCE_ID, json!({"users": [miles]})).await;
        let user = user(app, &made[0]["id"]).await;
        assert_eq!(user["email"], "Miles@propel.us");
        assert_eq!(user["identities"], json!([{"source": "ERP", "source_id": "7", "language": "NL"}]));
        assert_eq!(
            user["values"],
            json!({"first_name": "Miles", "last_name": "McCoy", "full_name": "Miles McCoy", "username": "miles", "title": "Mr.",
                "gender": "m", "date_of_birth": "1993-08-28", "phone": "32445888", "mobile": "0038975648",
                "company": "Propel", "language": "EN", "tax_number": "T1", "coc_number": "C1", "debtor_id": "12345",
                "abbreviation": "MM", "addresses": [{"type": "invoice", "city": "Oslo", "isDefault": "Y"}],
                "parent": {"id": 119}, "shoe_size": 43})
        );
        let cleared = json!({"id": user["id"], "email": null, "title": "", "gender": null, "attributes": [{"name": "SHOE_SIZE"}]});
        results(app, BY_ID, json!({"users": [cleared]})).await;
        let user = self::user(app, &user["id"]).await;
        assert_eq!(user["email"], Value::Null);
        for gone in ["title", "gender", "shoe_size"] {
            assert_eq!(user["values"][gone], Value::Null, "{gone}");
        }
        assert_eq!(user["values"]["first_name"], "Miles", "what is absent is kept");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_record_says_update_where_the_user_is_there_and_names_what_is_wrong_as_it_was_sent() {
    on_every_database(async |app| {
        let person = |id: Value, more: Value| {
            let mut person = json!({"source": "CRM", "sourceId": id});
            person.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            person
        };
        let made =
            results(app, BY_SOURCE_ID, json!({"users": [person(json!(55), json!({})), person(json!(7), json!({}))]}));
        let id = made.await[0]["id"].clone();
        let wrong = json!({"dateOfBirth": "31/02/1993"});
        let users = json!([
            person(json!(55), wrong.clone()),
            person(json!("new"), wrong),
            person(json!(5), json!({"source": ""})),
            person(json!(56), json!({"attributes": [{"name": "NO_SUCH", "value": "1"}]})),
        ]);
        let failed = results(app, BY_SOURCE_ID, json!({"users": users})).await;
        let said: Vec<Value> = failed.iter().map(|one| json!([one["action"], one["error"]])).collect();
        let day = "dateOfBirth: \"31/02/1993\" is not a date of the form YYYY-MM-DD, or DD/MM/YYYY";
        let source = "sourceId: a source and a source id have 1 to 200 characters, none of them a control character";
        let attribute = "Attribute with name [NO_SUCH] and attributeClass [user] not found.";
        assert_eq!(json!(said), json!([["update", day], ["create", day], ["create", source], ["create", attribute]]));
        let huge: Value = serde_json::from_str("99999999999999999999").unwrap();
        let by_id = json!([{"id": id, "source": "CRM", "sourceId": "7"}, {"id": huge}, {"id": -1}]);
        let failed = results(app, BY_ID, json!({"users": by_id})).await;
        let said: Vec<Value> = failed.iter().map(|one| json!([one["action"], one["error"]])).collect();
        assert_eq!(
            json!(said),
            json!([
                ["update", "sourceId: another user has the identity \"CRM:7\""],
                ["update", "User with id [99999999999999999999] not found"],
                ["update", "User with id [-1] not found"],
            ])
        );
        let patch = json!({"dateOfBirth": "31/02/1993", "gender": "x"});
        let (status, error) = json_of(app.request(Method::PATCH, &format!("/v2/users/id/{id}")).json(&patch)).await;
        let messages = error_of(&error)["messages"].as_array().unwrap();
        assert_eq!((status.as_u16(), messages.len()), (400, 2), "{error}");
        assert!(messages[0].as_str().unwrap().starts_with("#/dateOfBirth: \"31/02/1993\""), "{error}");
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_key_that_there_is_not_is_said_by_its_number() {
    on_every_database(async |app| {
        for (path, known) in [
            ("/v2/users/bulk/email", "[email], key must contain one of the following values: [id,sourceId]"),
            ("/users/bulk/email", "[email], key must contain one of the following values: [id,sourceId]"),
            ("/v2/attributes/bulk/foo", "[foo], key must contain one of the following values: [id,name]"),
        ] {
            let (status, error) = post(app, path, json!({"users": []})).await;
            let error = error_of(&error);
            assert_eq!(
                (status.as_u16(), &error["code"], &error["type"]),
                (400, &json!(10006), &json!("InvalidLookupKey"))
            );
            assert_eq!(error["messages"], json!([format!("Invalid lookup key {known}")]));
            assert_eq!(app.bare(Method::POST, path).json(&json!({})).send().await.unwrap().status(), 401);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_off_is_no_json_wherever_it_is_cut() {
    on_every_database(async |app| {
        let head = format!(
            "POST {BY_SOURCE_ID} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Connection: close\r\n",
            app.key
        );
        let (whole, broken) = (
            "Content-Length: 10\r\n\r\n{\"users\":[",
            "Transfer-Encoding: chunked\r\n\r\na\r\n{\"users\":[\r\nno chunk\r\n",
        );
        for body in [whole, broken] {
            let mut connection = TcpStream::connect(app.address).await.unwrap();
            connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("\"code\":10005"), "{answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_result_for_each_record_in_order_with_its_key_as_it_was_written() {
    on_every_database(async |app| {
        let person = |id: Value, more: Value| {
            let mut person = json!({"source": "ERP", "sourceId": id});
            person.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            person
        };
        let users = json!([
            person(json!(7), json!({"firstName": "A"})),
            person(json!("x"), json!({"dateOfBirth": "31/02/1993"})),
            person(json!("7"), json!({"firstName": "B"})),
            person(json!("y"), json!({"attributes": [{"class": "user", "name": "NO_SUCH", "value": "1"}]})),
            person(json!("z"), json!({"attributes": [{"class": "product", "name": "CITY", "value": "1"}]})),
            person(json!("w"), json!({"email": "nonsense"})),
            person(json!(" "), json!({})),
            person(json!("v"), json!({"gender": "FEMALE"})),
        ]);
        let results = results(app, BY_SOURCE_ID, json!({"users": users})).await;
        let keys: Vec<&Value> = results.iter().map(|result| &result["key"]).collect();
        let given: Vec<&Value> = users.as_array().unwrap().iter().map(|user| &user["sourceId"]).collect();
        assert_eq!(keys, given);
        let success: Vec<bool> = results.iter().map(|result| result["success"].as_bool().unwrap()).collect();
        assert_eq!(success, [true, false, true, false, false, false, false, true]);
        assert_eq!((&results[0]["action"], &results[2]["action"]), (&json!("create"), &json!("update")));
        assert_eq!(results[0]["id"], results[2]["id"], "7 and \"7\" are the same");
        assert_eq!(
            user(app, &results[0]["id"]).await["values"]["first_name"],
            "B",
            "records of one user apply in order"
        );
        for (i, words) in [
            (1, "dateOfBirth: "),
            (3, "Attribute with name [NO_SUCH] and attributeClass [user] not found."),
            (4, "Attribute with name [CITY] and attributeClass [product] not found."),
            (5, "email: "),
            (6, ""),
        ] {
            let members: Vec<&str> = results[i].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members, ["action", "error", "key", "lookupKey", "success"]);
            assert!(results[i]["error"].as_str().unwrap().starts_with(words), "{}", results[i]);
        }
        let (_, jobs) = app.get("/v1/jobs").await;
        let job = &jobs["data"][0];
        assert_eq!((&job["kind"], &job["name"]), (&json!("import"), &json!("users/bulk/sourceId")));
        assert_eq!((&job["counts"]["created"], &job["counts"]["failed"]), (&json!(2), &json!(5)));
        let undo = json_of(app.post(&format!("/v1/jobs/{}/undo", job["id"].as_str().unwrap()))).await.1;
        app.ended(undo["id"].as_str().unwrap()).await;
        assert_eq!(app.get("/v1/users").await.1["data"], json!([]), "it can be undone like every job");
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_tells_records_apart_and_none_means_the_only_one() {
    on_every_database(async |app| {
        let send = async |language: Option<&str>, name: &str| {
            let mut user = json!({"source": "ERP", "sourceId": 7, "firstName": name});
            language.into_iter().for_each(|language| user["language"] = language.into());
            results(app, BY_SOURCE_ID, json!({"users": [user]})).await.remove(0)
        };
        let dutch = send(Some("NL"), "A").await;
        assert_eq!(send(None, "B").await["id"], dutch["id"]);
        let english = send(Some("EN"), "C").await;
        assert_eq!(english["action"], "create");
        assert_ne!(english["id"], dutch["id"]);
        let ambiguous = send(None, "D").await;
        assert_eq!(ambiguous["success"], false);
        assert!(ambiguous["error"].as_str().unwrap().starts_with("Multiple users found (70005)"), "{ambiguous}");
        assert_eq!(user(app, &dutch["id"]).await["values"]["first_name"], "B");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directives_in_both_shapes_keep_what_is_there_and_make_nobody() {
    on_every_database(async |app| {
        let person = |id: u32, name: &str| {
            json!({"source": "ERP", "sourceId": id, "firstName": name, "lastName": name, "parent": {"id": id},
                "attributes": [{"name": "CITY", "value": name}]})
        };
        results(app, BY_SOURCE_ID, json!({"users": [person(1, "Old")]})).await;
        let object =
            json!({"skipIfNotEmpty": ["firstName", "attributes", "title"], "skipCreate": [], "skipMoveOnUpdate": []});
        let list = json!([
            {"operation": "skipIfNotEmpty", "fields": ["firstName", "attributes", "title"]},
            {"operation": "skipCreate", "fields": []},
            {"operation": "skipMoveOnUpdate", "fields": []},
            {"operation": "mergeTranslationsOnUpdate", "fields": []},
        ]);
        for (directives, name) in [(object, "New"), (list, "Newer")] {
            let mut known = person(1, name);
            known["parent"]["id"] = 2.into();
            known["title"] = "Dr.".into();
            let body = json!({"users": [known, person(9, name)], "directives": directives});
            let results = results(app, BY_SOURCE_ID, body).await;
            assert_eq!((&results[0]["action"], &results[0]["success"]), (&json!("update"), &json!(true)));
            assert_eq!((&results[1]["action"], &results[1]["success"]), (&json!("skip"), &json!(true)));
            assert!(results[1].get("id").is_none() && results[1]["message"].is_string(), "{}", results[1]);
            let values = user(app, &results[0]["id"]).await["values"].clone();
            assert_eq!(
                values,
                json!({"first_name": "Old", "last_name": name, "city": "Old", "parent": {"id": 1}, "title": "Dr."})
            );
        }
        assert_eq!(app.get("/v1/users").await.1["data"].as_array().unwrap().len(), 1);
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_changed_by_id_and_never_made_by_one() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nada@example.com\n").await;
        let id = app.user("ada@example.com").await["id"].clone();
        let users = json!([
            {"id": id, "firstName": "Ada", "source": "ERP", "sourceId": 5},
            {"id": 800, "firstName": "Nobody"},
            {"id": 0, "firstName": "Nobody"},
            {"id": -1},
            {"id": 99_999_999_999_999_999_999_u128},
        ]);
        let results = results(app, BY_ID, json!({"users": users})).await;
        assert_eq!(results[0], json!({"action": "update", "id": id, "key": id, "lookupKey": "id", "success": true}));
        assert_eq!(
            results[1],
            json!({"action": "update", "error": "User with id [800] not found", "key": 800, "lookupKey": "id", "success": false})
        );
        assert!(results[2..].iter().all(|result| result["success"] == false), "{results:?}");
        let ada = user(app, &id).await;
        assert_eq!(ada["identities"], json!([{"source": "ERP", "source_id": "5", "language": null}]));
        assert_eq!(ada["values"], json!({"first_name": "Ada"}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_another_community_are_like_those_who_do_not_exist() {
    on_every_database(async |app| {
        let ours =
            json!({"users": [{"source": "ERP", "sourceId": 7, "firstName": "Ours", "email": "ada@example.com"}]});
        let made = results(app, BY_SOURCE_ID, ours).await;
        results(app, BY_SOURCE_ID, json!({"users": [{"source": "ERP", "sourceId": 8}]})).await;
        let other = app.engine.create_community("Theirs").await.unwrap();
        let stranger = app.make_key(&other, Scope::ALL).await;
        let send = async |path: &str, user: Value| {
            let request = app.bare(Method::POST, path).bearer_auth(&stranger).json(&json!({"users": [user]}));
            json_of(request).await.1["data"][0].clone()
        };
        let by_id = send(BY_ID, json!({"id": 2, "firstName": "Theirs"})).await;
        assert_eq!((&by_id["success"], &by_id["error"]), (&json!(false), &json!("User with id [2] not found")));
        let by_source = send(BY_SOURCE_ID, json!({"source": "ERP", "sourceId": 7, "email": "ADA@example.com"})).await;
        assert_eq!(by_source["action"], "create", "sources and emails of others claim nothing");
        assert_eq!(user(app, &made[0]["id"]).await["values"], json!({"first_name": "Ours"}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_is_refused_as_a_whole_in_the_shape_of_the_product() {
    let config = HttpConfig { json_body_bytes: 4_000, records: 20, ..HttpConfig::default() };
    with(Options { config, ..Options::default() }, async |app| {
        let json = |text: &str| {
            let request = app.post(BY_SOURCE_ID).header("content-type", "application/json");
            request.body(text.to_owned())
        };
        let read_only = app.make_key(&app.community, &[Scope::UsersRead]).await;
        let many = json!({"users": vec![json!({"source": "E", "sourceId": 1}); 21]}).to_string();
        let ok = r#"{"users":[{"source":"E","sourceId":1}]}"#;
        let deep = format!(
            r#"{{"users":[{{"source":"E","sourceId":1,"addresses":{}{}}}]}}"#,
            "[".repeat(900),
            "]".repeat(900)
        );
        for (request, status, code, kind) in [
            (app.bare(Method::POST, BY_SOURCE_ID), 401, 401, "Unauthorized"),
            (app.bare(Method::POST, BY_SOURCE_ID).bearer_auth("x"), 401, 401, "Unauthorized"),
            (
                app.bare(Method::POST, BY_SOURCE_ID)
                    .bearer_auth(&read_only)
                    .json(&json!({"users": [{"source": "E", "sourceId": 1}]})),
                403,
                403,
                "MissingScope",
            ),
            (app.request(Method::GET, BY_SOURCE_ID), 405, 405, "MethodNotAllowed"),
            (app.request(Method::GET, "/v2/nothing"), 404, 10008, "NotFound"),
            (app.post("/users/nothing"), 404, 10008, "NotFound"),
            (app.post(BY_SOURCE_ID).body(ok), 415, 415, "UnsupportedMediaType"),
            (app.post(BY_SOURCE_ID).header("content-type", "text/csv").body(ok), 415, 415, "UnsupportedMediaType"),
            (json(ok).header("content-encoding", "gzip"), 415, 415, "UnsupportedMediaType"),
            (json(&"[".repeat(5_000)), 413, 413, "BodyTooLarge"),
            (json(&many), 413, 413, "TooManyRecords"),
            (json(""), 400, 10005, "InvalidJSONPayload"),
            (json("{\"users\":["), 400, 10005, "InvalidJSONPayload"),
            (json("{\"users\":[],\"users\":[]}"), 400, 10005, "InvalidJSONPayload"),
            (
                json("{\"users\":[{\"source\":\"E\",\"sourceId\":1,\"email\":\"a\\ud800\"}]}"),
                400,
                10005,
                "InvalidJSONPayload",
            ),
            (json(&deep), 400, 10005, "InvalidJSONPayload"),
            (json("[]"), 400, 10007, "SchemaValidationException"),
            (
                json("{\"users\":[{\"source\":\"E\",\"sourceId\":1,\"firstName\":{\"op\":\"add\"}}]}"),
                400,
                10007,
                "SchemaValidationException",
            ),
            (json("{\"users\":[{\"source\":\"E\"}]}"), 400, 10016, "LookupKeyNotFound"),
            (json(ok).query(&[("x", "1")]), 400, 10007, "SchemaValidationException"),
            (json(ok).header("idempotency-key", ""), 400, 10007, "SchemaValidationException"),
        ] {
            let (answered, body) = json_of(request).await;
            let error = error_of(&body);
            assert_eq!(
                (answered.as_u16(), &error["code"], &error["type"]),
                (status, &json!(code), &json!(kind)),
                "{body}"
            );
            assert_eq!(error["status"], status, "{body}");
            assert!(!error["messages"].as_array().unwrap().is_empty(), "{body}");
        }
        let half = json!({"users": [{"source": "E", "sourceId": 1}, {"source": "E", "sourceId": 2, "x": 1}]});
        assert_eq!(post(app, BY_SOURCE_ID, half).await.0, 400);
        assert_eq!((app.count_jobs().await, app.get("/v1/users").await.1["data"].clone()), (0, json!([])));
        assert_eq!(results(app, BY_SOURCE_ID, json!({"users": []})).await, Vec::<Value>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_and_an_idempotency_key_work_here() {
    on_every_database(async |app| {
        let body = json!({"users": [{"source": "E", "sourceId": 1, "firstName": "A"}]});
        let send = async |key: &str| {
            let request = app.post(BY_SOURCE_ID).header("idempotency-key", key).json(&body);
            let response = request.send().await.unwrap();
            (response.headers().contains_key("idempotency-replayed"), response.json::<Value>().await.unwrap())
        };
        let first = send("one").await;
        assert_eq!(send("one").await, (true, first.1.clone()));
        assert_eq!(first.1["data"][0]["action"], "create");
        assert_eq!(send("two").await.1["data"][0]["action"], "update");
        assert_eq!(app.count_jobs().await, 2);
    })
    .await;
}
