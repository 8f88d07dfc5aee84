use super::error_of;
use crate::App;
use crate::app::json_of;
use crate::on_every_database;
use reqwest::Method;
use serde_json::{Value, json};

/// Makes a user who has everything, and gives its id.
async fn miles(app: &App) -> Value {
    let user = json!({
        "source": "REST-API", "sourceId": 3002196, "debtorId": 12345, "firstName": "Miles", "lastName": "McCoy",
        "fullName": "Miles McCoy", "title": "Mr.", "dateOfBirth": "28/08/1993", "gender": "M", "login": "miles@propel.us",
        "phone": "0032445888", "mobile": "0038975648", "email": "miles@propel.us", "abbreviation": "MM",
        "parent": {"id": 119},
    });
    let (_, answer) = json_of(app.post("/v2/users/bulk/sourceId").json(&json!({"users": [user]}))).await;
    answer["data"][0]["id"].clone()
}

async fn patch(app: &App, path: &str, body: Value) -> (u16, Value) {
    let (status, answer) = json_of(app.request(Method::PATCH, path).json(&body)).await;
    (status.as_u16(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_shown_as_documented_by_either_key_under_both_prefixes() {
    on_every_database(async |app| {
        let id = miles(app).await;
        let shown = json!({
            "abbreviation": "MM", "addresses": [], "cocNumber": "", "company": "",
            "dateOfBirth": "August, 28 1993 00:00:00 +0000", "debtorId": "12345", "email": "miles@propel.us",
            "firstName": "Miles", "fullName": "Miles McCoy", "gender": "M", "id": id, "lastName": "McCoy",
            "login": "miles@propel.us", "middleName": "", "mobile": "0038975648", "phone": "0032445888",
            "primaryLanguage": "", "taxNumber": "", "title": "Mr.",
        });
        for path in [format!("/v2/users/id/{id}"), "/users/sourceId/3002196?source=REST-API".to_owned()] {
            let (status, answer) = app.get(&path).await;
            assert_eq!((status.as_u16(), answer), (200, json!({"data": shown, "messages": [], "total": 1})));
        }
        let (_, answer) = app.get(&format!("/users/id/{id}?expands=sources,parent")).await;
        assert_eq!(answer["data"]["parent"], json!({"id": 119}));
        assert_eq!(answer["data"]["sources"], json!([{"language": null, "source": "REST-API", "sourceId": "3002196"}]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_changed_and_what_was_sent_is_answered() {
    on_every_database(async |app| {
        let id = miles(app).await;
        let sent = json!({"title": "Dr.", "dateOfBirth": "29/08/1993", "debtorId": 54321, "gender": "F", "middleName": "",
            "company": null, "source": "CRM", "sourceId": 5, "parent": {"id": 7}});
        let (status, answer) = patch(app, "/users/sourceId/3002196?source=rest-api", sent.clone()).await;
        let mut expected = sent;
        expected["id"] = id.clone();
        assert_eq!((status, &answer), (200, &json!({"data": expected, "messages": ["User updated"], "total": 1})));
        assert!(answer["data"].to_string().starts_with("{\"company\""), "members are sorted, as documented");
        let (_, user) = app.get(&format!("/v1/users/{id}")).await;
        assert_eq!(
            (&user["values"]["title"], &user["values"]["date_of_birth"], &user["values"]["gender"]),
            (&json!("Dr."), &json!("1993-08-29"), &json!("f"))
        );
        assert_eq!(user["values"]["first_name"], "Miles");
        assert_eq!(user["identities"].as_array().unwrap().len(), 2, "a source is added to those that are there");
        assert_eq!(patch(app, &format!("/v2/users/id/{id}"), json!({})).await.0, 200);
        let (_, shown) = app.get("/users/sourceId/5?source=CRM").await;
        assert_eq!(shown["data"]["id"], id);
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_change_is_said_with_its_member() {
    on_every_database(async |app| {
        let id = miles(app).await;
        app.run("?kind=import", "Email\nada@example.com\n").await;
        let path = format!("/users/id/{id}");
        for (body, status, code, message) in [
            (json!({"x": 1}), 400, 10007, "#: extraneous key [x] is not permitted"),
            (json!({"id": 1}), 400, 10007, "#: extraneous key [id] is not permitted"),
            (json!([]), 400, 10007, "#: expected type: JSONObject"),
            (json!({"source": "E"}), 400, 10007, "#: required key [sourceId] not found"),
            (json!({"email": "nonsense"}), 400, 10017, "#/email: "),
            (json!({"dateOfBirth": "31/02/1993"}), 400, 10017, "#/dateOfBirth: "),
            (json!({"gender": "x"}), 400, 10017, "#/gender: "),
            (json!({"source": "E", "sourceId": ""}), 400, 10017, "#/sourceId: "),
            (json!({"attributes": [{"name": "NO_SUCH", "value": "1"}]}), 404, 14001, "Attribute with name [NO_SUCH]"),
            (json!({"email": "ada@example.com"}), 400, 70004, "#/email: "),
        ] {
            let (answered, answer) = patch(app, &path, body).await;
            let error = error_of(&answer);
            assert_eq!((answered, &error["code"]), (status, &json!(code)), "{answer}");
            assert!(error["messages"][0].as_str().unwrap().starts_with(message), "{answer}");
        }
        assert_eq!(app.get(&format!("/v1/users/{id}")).await.1["version"], 1, "nothing was changed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_deleted_softly_and_found_no_more() {
    on_every_database(async |app| {
        let id = miles(app).await;
        let path = "/v2/users/sourceId/3002196?source=REST-API";
        let response = app.request(Method::DELETE, path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), "{\"data\":{},\"messages\":[\"User deleted\"]}");
        for method in [Method::DELETE, Method::GET] {
            let (status, answer) = json_of(app.request(method, path)).await;
            assert_eq!(status, 404);
            assert_eq!(
                answer,
                json!({"error": {"code": 70006, "messages": ["User with sourceId [3002196] not found"],
                    "moreInfo": "/docs/errors#user_not_found", "status": 404, "type": "UserNotFound"}})
            );
        }
        let restored = json_of(app.post(&format!("/v1/users/{id}/restore"))).await;
        assert_eq!(restored.0, 200, "{}", restored.1);
        assert_eq!(app.get(path).await.0, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_says_what_is_wrong_with_it() {
    on_every_database(async |app| {
        for language in ["NL", "EN"] {
            let user = json!({"source": "ERP", "sourceId": 7, "language": language});
            json_of(app.post("/users/bulk/sourceId").json(&json!({"users": [user]}))).await;
        }
        let invalid = "Invalid lookup key [id1], key must contain one of the following values: [id,sourceId]";
        for (path, status, code, message) in [
            ("/users/id1/5", 400, 10006, invalid),
            ("/users/ID/5", 400, 10006, "Invalid lookup key [ID]"),
            ("/users/id/5", 404, 70006, "User with id [5] not found"),
            ("/users/id/+1", 404, 70006, "User with id [+1] not found"),
            ("/users/id/01", 404, 70006, "User with id [01] not found"),
            ("/users/id/%FF", 404, 70006, "User with id ["),
            ("/users/sourceId/8?source=ERP", 404, 70006, "User with sourceId [8] not found"),
            ("/users/sourceId/7", 400, 10016, "sourceId names nobody by itself"),
            ("/users/sourceId/7?source=ERP", 400, 70005, "Multiple users found with sourceId [7]"),
            ("/users/id/1?expands=orders", 400, 10007, "expands is"),
            ("/users/id/1?x=1", 400, 10007, "The query"),
            ("/users/id/1?source=A&source=B", 400, 10007, "The query"),
        ] {
            let (answered, answer) = app.get(path).await;
            let error = error_of(&answer);
            assert_eq!((answered.as_u16(), &error["code"]), (status, &json!(code)), "{path}: {answer}");
            assert!(error["messages"][0].as_str().unwrap().starts_with(message), "{path}: {answer}");
        }
        assert_eq!(app.get("/users/sourceId/7?source=ERP&language=en").await.0, 200);
    })
    .await;
}
