//! The community of the key.

use crate::app::json_of;
use crate::on_every_database;
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/v1/community";

#[tokio::test(flavor = "multi_thread")]
async fn a_community_is_shown_and_changed_and_what_is_absent_stays() {
    on_every_database(async |app| {
        let (status, before) = app.get(PATH).await;
        assert_eq!(status, 200);
        let days = json!({"files": null, "results": null, "history": null, "idempotency_keys": 1, "deliveries": 30});
        let settings = json!({"anonymous_import": "off", "retention_days": days});
        let id = app.community.id.to_string();
        assert_eq!(before, json!({"id": id, "name": "Ours", "settings": settings}));

        let edit = async |body: Value| {
            let (status, community) = json_of(app.request(Method::PATCH, PATH).json(&body)).await;
            assert_eq!(status, 200, "{body}: {community}");
            assert_eq!(app.get(PATH).await.1, community);
            community
        };
        assert_eq!(edit(json!({})).await, before);
        let named = edit(json!({"name": " Theirs ", "settings": {"anonymous_import": "create_only"}})).await;
        assert_eq!((&named["name"], &named["settings"]["retention_days"]), (&json!("Theirs"), &days));
        let kept = edit(json!({"settings": {"retention_days": {"files": 30, "results": 7, "deliveries": null}}})).await;
        assert_eq!(kept["settings"]["anonymous_import"], "create_only");
        let days = &kept["settings"]["retention_days"];
        assert_eq!((&days["files"], &days["results"], &days["deliveries"]), (&json!(30), &json!(7), &Value::Null));
        let forever = edit(json!({"settings": {"retention_days": {"files": null}}})).await;
        assert_eq!(forever["settings"]["retention_days"]["results"], 7);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_are_refused_with_their_place_and_change_nothing() {
    on_every_database(async |app| {
        let (_, before) = app.get(PATH).await;
        let days = |name: &str, value: Value| json!({"name": "X", "settings": {"retention_days": {name: value}}});
        let at = |name: &str| format!("/settings/retention_days/{name}");
        let mut wrong = vec![
            (json!({"name": ""}), "/name".to_owned()),
            (json!({"name": "a\u{7}"}), "/name".to_owned()),
            (json!({"name": "x".repeat(101)}), "/name".to_owned()),
            (json!({"settings": {"anonymous_import": "always"}}), "/settings/anonymous_import".to_owned()),
            (json!({"settings": {"colour": 1}}), "/settings/colour".to_owned()),
            (days("idempotency_keys", Value::Null), at("idempotency_keys")),
            // Results for ever need their files for ever.
            (days("files", json!(30)), at("files")),
            (days("all", json!(1)), at("all")),
        ];
        for name in ["files", "results", "history", "idempotency_keys", "deliveries"] {
            for value in [json!(0), json!(-1), json!(36_501), json!(1e30), json!("7"), json!(1.5), json!([])] {
                wrong.push((days(name, value), at(name)));
            }
        }
        for (body, pointer) in wrong {
            let (status, problem) = json_of(app.request(Method::PATCH, PATH).json(&body)).await;
            assert_eq!(status, 400, "{body}: {problem}");
            assert_eq!(problem.pointer("/errors/0/pointer"), Some(&json!(pointer)), "{body}: {problem}");
        }
        assert_eq!(app.get(PATH).await.1, before);
    })
    .await;
}
