use crate::App;
use crate::app::{json_of, without};
use crate::on_every_database;
use muster_core::scope::Scope;
use reqwest::Method;
use serde_json::{Value, json};

/// What changed, newest first: user, field, operator, old and new value.
fn changes(answer: &Value) -> Vec<Value> {
    let histories = answer["data"]["histories"].as_array().expect("it has histories").iter();
    histories
        .map(|one| json!([one["userId"], one["field"], one["operator"], one["oldValue"], one["newValue"]]))
        .collect()
}

async fn field_id(app: &App, key: &str) -> String {
    let (_, fields) = app.get("/v1/fields").await;
    let field = fields["data"].as_array().expect("it has fields").iter().find(|field| field["key"] == key);
    field.expect("it is there")["id"].as_str().expect("it has an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_are_given_of_a_community_a_field_a_user_and_both() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email,City\nada@example.com,London\nbob@example.com,Rome\n").await;
        app.run("?kind=update", "Email,Premium Currency,Premium Currency_op\nada@example.com,2.5,add\n").await;
        let (ada, bob) = (app.user("ada@example.com").await["id"].clone(), app.user("bob@example.com").await["id"].clone());
        let (city, currency) = (field_id(app, "city").await, field_id(app, "premium_currency").await);
        let base = format!("/apis/v1/communities/{}", app.community.id);
        let ours = json!([ada, "premium_currency", "add", null, 2.5]);
        let moved = |id: &Value, to: &str| json!([id, "city", "overwrite", null, to]);
        let email = |id: &Value, to: &str| json!([id, "email", "overwrite", null, to]);
        let get = async |path: String| {
            let (status, answer) = app.get(&format!("{base}{path}")).await;
            assert_eq!((status.as_u16(), &answer["meta"]["statusCode"]), (200, &json!(200)), "{path}: {answer}");
            assert_eq!(answer["message"], "Get user field histories successful");
            answer
        };
        let all = get("/user-field-histories".to_owned()).await;
        assert_eq!((changes(&all).len(), &changes(&all)[0]), (5, &ours));
        let of_field = get(format!("/user-fields/{city}/histories")).await;
        assert_eq!(changes(&of_field), [moved(&bob, "Rome"), moved(&ada, "London")]);
        let of_user = get(format!("/users/{ada}/user-field-histories")).await;
        assert_eq!(changes(&of_user), [ours.clone(), email(&ada, "ada@example.com"), moved(&ada, "London")]);
        let of_both = get(format!("/users/{ada}/user-fields/{currency}/histories")).await;
        let entry = &of_both["data"]["histories"][0];
        assert_eq!(
            without(entry.clone(), &["createdAt", "jobId"]),
            json!({
                "userId": ada, "fieldId": currency, "field": "premium_currency", "fieldName": "Premium Currency", "operator": "add",
                "oldValue": null, "newValue": 2.5, "delta": 2.5, "changedBy": "test",
            })
        );
        assert!(entry["jobId"].as_str().unwrap().starts_with("job_"));
        let first = get(format!("/users/{ada}/user-field-histories?limit=1")).await;
        let cursor = first["data"]["next_cursor"].as_str().unwrap();
        let rest = get(format!("/users/{ada}/user-field-histories?cursor={cursor}")).await;
        assert_eq!([changes(&first), changes(&rest)].concat(), changes(&of_user));
        for nobody in ["987654321", "x", "0", "%FF"] {
            for path in [format!("/users/{nobody}/user-field-histories"), format!("/users/{nobody}/user-fields/{city}/histories")] {
                let (status, error) = app.get(&format!("{base}{path}")).await;
                assert_eq!((status.as_u16(), &error["code"]), (404, &json!("not_found")), "{path}");
            }
        }
        let (status, _) = app.get(&format!("{base}/user-fields/0123456789abcdef01234567/histories")).await;
        assert_eq!(status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_made_by_a_change_that_is_made_now() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nada@example.com\n").await;
        let ada = app.user("ada@example.com").await["id"].clone();
        let currency = field_id(app, "premium_currency").await;
        let path = format!("/apis/v1/communities/{}/users/{ada}/user-field-histories", app.community.id);
        let post = async |body: Value| {
            let (status, answer) = json_of(app.post(&path).json(&body)).await;
            (status.as_u16(), answer)
        };
        for (body, status, old, new) in [
            (json!({"fieldId": currency, "operator": "add", "value": 5}), 201, json!(null), json!(5)),
            (json!({"field": "Premium-Currency", "value": "7.50"}), 201, json!(5), json!(7.5)),
            (json!({"field": "premium_currency", "value": 7.5}), 200, json!(5), json!(7.5)),
            (
                json!({"field": "premium_currency", "operator": "overwrite", "value": null}),
                201,
                json!(7.5),
                json!(null),
            ),
            (
                json!({"field": "email", "value": "ada@example.org"}),
                201,
                json!("ada@example.com"),
                json!("ada@example.org"),
            ),
        ] {
            let (got, answer) = post(body.clone()).await;
            assert_eq!((got, &answer["meta"]["statusCode"]), (status, &json!(status)), "{body}: {answer}");
            assert_eq!((&answer["data"]["oldValue"], &answer["data"]["newValue"]), (&old, &new), "{body}");
            assert_eq!(answer["message"], "Create user field history successful");
        }
        let (status, nothing) = post(json!({"field": "city", "value": null})).await;
        assert_eq!((status, &nothing["data"]), (200, &json!(null)));
        for (body, status, code, pointer) in [
            (json!({"field": "colour", "value": 1}), 400, "unknown_field", json!("/field")),
            (json!({"field": "xp", "fieldId": "xp", "value": 1}), 400, "invalid_request", json!("/field")),
            (json!({"value": 1}), 400, "invalid_request", json!("/field")),
            (json!({"field": "xp"}), 400, "invalid_request", json!("")),
            (json!({"field": "xp", "operator": "Add", "value": 1}), 400, "invalid_operator", json!("/operator")),
            (json!({"field": "xp", "operator": "add", "value": null}), 400, "operator_without_value", json!("/value")),
            (json!({"field": "city", "operator": "add", "value": 1}), 400, "operator_not_allowed", json!("/operator")),
            (
                json!({"field": "premium_currency", "operator": "subtract", "value": 1}),
                409,
                "insufficient_balance",
                json!("/value"),
            ),
            (json!({"field": "xp", "value": 1, "reason": "x"}), 400, "invalid_request", json!("/reason")),
        ] {
            let (got, error) = post(body.clone()).await;
            assert_eq!((got, &error["code"]), (status, &json!(code)), "{body}: {error}");
            assert_eq!(error["errors"][0]["pointer"], pointer, "{body}: {error}");
        }
        let other = app.engine.create_community("Theirs").await.unwrap();
        let stranger = app.make_key(&other, Scope::ALL).await;
        let theirs = format!("/apis/v1/communities/{}/users/{ada}/user-field-histories", other.id);
        let request = app.bare(Method::POST, &theirs).bearer_auth(&stranger).json(&json!({"field": "xp", "value": 1}));
        assert_eq!(json_of(request).await.0, 404);
        app.engine.verify().await.unwrap();
    })
    .await;
}
