use crate::app::json_of;
use crate::on_every_database;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_that_it_lives_and_is_ready() {
    on_every_database(async |app| {
        let (status, body) = json_of(app.bare(Method::GET, "/healthz")).await;
        assert_eq!((status.as_u16(), body), (200, json!({"status": "ok"})));
        let (status, body) = json_of(app.bare(Method::GET, "/readyz")).await;
        assert_eq!((status.as_u16(), body), (200, json!({"status": "ready"})));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_ready_says_which_part() {
    on_every_database(async |app| {
        std::fs::remove_dir_all(app.folder().join("staging/incoming")).unwrap();
        let (status, body) = json_of(app.bare(Method::GET, "/readyz")).await;
        assert_eq!((status.as_u16(), body), (503, json!({"status": "unavailable", "part": "staging"})));
        std::fs::create_dir(app.folder().join("staging/incoming")).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served_and_is_the_one_that_is_printed() {
    on_every_database(async |app| {
        let (status, served) = json_of(app.bare(Method::GET, "/openapi.json")).await;
        assert_eq!(status, 200);
        let printed = muster_server::http::openapi().to_json().unwrap();
        assert_eq!(served, serde_json::from_str::<Value>(&printed).unwrap());
        assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
    })
    .await;
}

/// Every text that stands under this name, anywhere.
fn texts<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                found.extend(value.as_str().filter(|_| key == name));
                texts(value, name, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, name, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_document_names_every_operation_once_and_refers_to_nothing_that_is_not_there() {
    let document: Value = serde_json::from_str(&muster_server::http::openapi().to_json().unwrap()).unwrap();
    let mut references = Vec::new();
    texts(&document, "$ref", &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} is not there");
    }
    let mut ids = Vec::new();
    texts(&document, "operationId", &mut ids);
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "two operations have the same name");
}
