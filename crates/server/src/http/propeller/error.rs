//! The product's shape of errors, its numbers, and what we say with them.

use crate::http::failure::Failure;
use axum::http::StatusCode;
use muster_core::error::{Kind, excerpt};
use muster_core::{Code, Error};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

/// What the product documents: our code, its number, type and status.
const DOCUMENTED: &[(Code, u32, &str, u16)] = &[
    (Code::InvalidJson, 10005, "InvalidJSONPayload", 400),
    (Code::InvalidLookupKey, 10006, "InvalidLookupKey", 400),
    (Code::InvalidRequest, 10007, "SchemaValidationException", 400),
    (Code::NotFound, 10008, "NotFound", 404),
    (Code::MissingKey, 10016, "LookupKeyNotFound", 400),
    (Code::UnknownField, 14001, "AttributeNotFound", 404),
    (Code::FieldExists, 10017, PAYLOAD.1, 400),
    (Code::ValuesDoNotFit, 10017, PAYLOAD.1, 400),
    (Code::BuiltInField, 10017, PAYLOAD.1, 400),
    (Code::UserExists, 70004, "UserExists", 400),
    (Code::NotUnique, 70004, "UserExists", 400),
    (Code::AmbiguousMatch, 70005, "UserMultipleFound", 400),
    (Code::UserNotFound, 70006, "UserNotFound", 404),
];

/// What the product says of values that are not right.
const PAYLOAD: (u32, &str) = (10017, "PayloadValidationError");

/// An error in the product's shape.
#[derive(Debug, Serialize, ToSchema)]
pub struct PropellerError {
    /// What is wrong.
    error: ErrorBody,
}

/// What is wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PropellerErrorBody)]
struct ErrorBody {
    /// The product's number; where it documents none, the HTTP status.
    #[schema(example = 10007)]
    code: u32,
    /// What is wrong and what to do, with the place.
    #[schema(example = json!(["#/users/0: extraneous key [x] is not permitted"]))]
    messages: Vec<String>,
    /// The page that explains it.
    #[serde(rename = "moreInfo")]
    #[schema(example = "/docs/errors#invalid_request")]
    more_info: String,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// The product's name of the error; where it documents none, that of our code.
    #[serde(rename = "type")]
    #[schema(example = "SchemaValidationException")]
    kind: String,
}

/// The status and the body that say this failure.
pub fn answer(failure: &Failure) -> (StatusCode, String) {
    let error = &failure.error;
    let documented = DOCUMENTED.iter().find(|(code, ..)| *code == error.code);
    let (code, kind, status) = match (documented, error.code.kind()) {
        (Some((_, code, kind, status)), _) => (*code, (*kind).to_owned(), *status),
        (None, Kind::Row) => (PAYLOAD.0, PAYLOAD.1.to_owned(), 400),
        (None, Kind::Request | Kind::File | Kind::Job) => {
            (u32::from(error.code.status()), in_camel_case(error.code), error.code.status())
        }
    };
    let messages = match error.errors.len() {
        0 | 1 => vec![error.detail.clone()],
        _ => error.errors.iter().map(|fault| fault.message.clone()).collect(),
    };
    let more_info = format!("/docs/errors#{}", error.code);
    let body = PropellerError { error: ErrorBody { code, messages, more_info, status, kind } };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, serde_json::to_string(&body).expect("an error is made of plain values"))
}

/// The refusal of a lookup key that is none of those that there are.
pub fn invalid_lookup(lookup: &str, known: &str) -> Error {
    let lookup = excerpt(lookup);
    let detail = format!("Invalid lookup key [{lookup}], key must contain one of the following values: [{known}]");
    Error::new(Code::InvalidLookupKey, detail)
}

/// `missing_scope` → `MissingScope`.
fn in_camel_case(code: Code) -> String {
    code.as_str().split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// The errors of every operation that takes a key, for the OpenAPI document.
pub struct Errors;

impl IntoResponses for Errors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name(PropellerError::name()))).build();
        let says = |what: &str| {
            let response = ResponseBuilder::new().description(what);
            RefOr::T(response.content("application/json", content()).build())
        };
        BTreeMap::from([
            ("401".to_owned(), says("There is no key or token, or a bad one.")),
            ("403".to_owned(), says("The key lacks a scope, which the message names.")),
            ("default".to_owned(), says("Refused or failed; number and type say why.")),
        ])
    }
}

/// The schemas that [`Errors`] refers to.
pub fn schemas() -> Vec<(String, RefOr<utoipa::openapi::Schema>)> {
    let mut schemas = vec![(PropellerError::name().into_owned(), PropellerError::schema())];
    PropellerError::schemas(&mut schemas);
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_error_has_the_documented_shape_and_never_points_at_the_vendor() {
        let say = |error: Error| {
            let (status, body) = answer(&error.into());
            (status.as_u16(), serde_json::from_str::<Value>(&body).unwrap())
        };
        let message = "#/users/0: extraneous key [x] is not permitted";
        assert_eq!(
            say(Error::at("#/users/0", Code::InvalidRequest, message)),
            (
                400,
                json!({"error": {"code": 10007, "messages": [message], "moreInfo": "/docs/errors#invalid_request",
                    "status": 400, "type": "SchemaValidationException"}})
            )
        );
        for (code, number, kind, status) in [
            (Code::MissingScope, 403, "MissingScope", 403),
            (Code::AmbiguousMatch, 70005, "UserMultipleFound", 400),
            (Code::InvalidDate, 10017, "PayloadValidationError", 400),
            (Code::InsufficientBalance, 10017, "PayloadValidationError", 400),
            (Code::Unavailable, 503, "Unavailable", 503),
        ] {
            let (answered, body) = say(Error::new(code, "Words."));
            assert_eq!(
                (answered, &body["error"]["code"], &body["error"]["type"]),
                (status, &json!(number), &json!(kind))
            );
            assert_eq!((&body["error"]["status"], &body["error"]["messages"]), (&json!(status), &json!(["Words."])));
        }
    }
}
