//! The Propeller Commerce face.

mod attributes;
mod bulk;
mod token;
mod users;

use serde_json::Value;

/// The error of an answer in the product's shape, which has nothing else in it.
fn error_of(body: &Value) -> &Value {
    let error = &body["error"];
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
    let members: Vec<&str> = error.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    assert_eq!(members, ["code", "messages", "moreInfo", "status", "type"], "{body}");
    assert!(error["moreInfo"].as_str().is_some_and(|page| page.starts_with("/docs/errors#")), "{body}");
    error
}
