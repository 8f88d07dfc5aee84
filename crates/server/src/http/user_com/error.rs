//! Errors of this face: `{"FIELD": ["message"]}` where a member of the request is wrong, `{"detail": "message"}` else.

use crate::http::failure::Failure;
use axum::http::StatusCode;
use muster_core::Code;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

/// The member under which stands what is wrong with the request as a whole.
const WHOLE: &str = "non_field_errors";

/// A sentence of the engine in this product's words: the identities of one source are its custom ids.
pub fn in_their_words(sentence: &str) -> String {
    sentence.replace("identity \"custom_id:", "custom id \"")
}

/// The status and the body that say a failure.
pub fn answer(failure: &Failure) -> (StatusCode, String) {
    let error = &failure.error;
    let mut wrong: Map<String, Value> = Map::new();
    for fault in &error.errors {
        let pointed = fault.pointer.as_deref().and_then(member_of);
        let messages = wrong.entry(fault.column.as_deref().or(pointed).unwrap_or(WHOLE)).or_insert_with(|| json!([]));
        messages.as_array_mut().expect("it was made as one").push(json!(in_their_words(&fault.message)));
    }
    let (status, mut body) = match failure.status() {
        // To the letter, whatever is wrong with the key.
        StatusCode::UNAUTHORIZED => (StatusCode::UNAUTHORIZED, json!({"detail": "Invalid token."})),
        // Where a member is in the way of what there is, such as an email that somebody has, this product's clients expect
        // what they get for every other member that is wrong.
        StatusCode::BAD_REQUEST | StatusCode::CONFLICT if !wrong.is_empty() => {
            (StatusCode::BAD_REQUEST, Value::Object(wrong))
        }
        StatusCode::BAD_REQUEST => (StatusCode::BAD_REQUEST, json!({WHOLE: [in_their_words(&error.detail)]})),
        // Whatever id was asked for: an answer says nothing about other communities.
        StatusCode::NOT_FOUND if error.code == Code::UserNotFound => {
            (StatusCode::NOT_FOUND, json!({"detail": "There is no such user in this community."}))
        }
        status => (status, json!({"detail": in_their_words(&error.detail)})),
    };
    if let Some(id) = error.job_id {
        body["job_id"] = json!(id);
    }
    (status, body.to_string())
}

/// The member that a place in a request is in. Values stand among the other members here.
fn member_of(pointer: &str) -> Option<&str> {
    pointer.strip_prefix("/values/").or_else(|| pointer.split('/').nth(1))
}

/// What is wrong, by the member of the request.
#[derive(ToSchema)]
#[schema(example = json!({"attribute": ["there is no attribute \"Plann\""]}))]
#[expect(dead_code, reason = "it only describes what `answer` writes")]
struct UserComFieldErrors(BTreeMap<String, Vec<String>>);

/// Why the request was not done.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes what `answer` writes")]
struct UserComError {
    /// What is wrong and what to do.
    #[schema(example = "Invalid token.")]
    detail: String,
}

/// The errors of every operation here, for the OpenAPI document.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let says = |what: &str, schema: &str| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
            RefOr::T(ResponseBuilder::new().description(what).content("application/json", content).build())
        };
        let fields = |what| says(what, "UserComFieldErrors");
        let detail = |what| says(what, "UserComError");
        BTreeMap::from([
            ("400".to_owned(), fields("What is wrong with the request, by its members. Nothing was changed.")),
            ("401".to_owned(), detail("There is no key, or a bad one.")),
            ("403".to_owned(), detail("The key lacks a scope, which the detail names.")),
            ("default".to_owned(), detail("Refused or failed; with 429 and 503 `Retry-After` says when to try again.")),
        ])
    }
}

/// The schemas that [`Refusals`] refers to.
pub fn schemas() -> Vec<(String, RefOr<Schema>)> {
    vec![
        (UserComFieldErrors::name().into_owned(), UserComFieldErrors::schema()),
        (UserComError::name().into_owned(), UserComError::schema()),
    ]
}
