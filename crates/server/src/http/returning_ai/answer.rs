//! The envelopes of the product, and its errors.

use crate::http::failure::Failure;
use crate::http::problem::FaultBody;
use axum::http::StatusCode;
use muster_core::error::Fault;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

/// An answer of the integration API.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Success<T> {
    #[schema(example = "success")]
    status: &'static str,
    /// What was done, in words.
    message: &'static str,
    /// What was asked for.
    data: T,
}

impl<T> Success<T> {
    /// The answer to a request that was done.
    pub(super) fn new(message: &'static str, data: T) -> Self {
        Self { status: "success", message, data }
    }
}

/// An answer of the application API: what the product documents is `meta`, `message` and `data`; the `status` beside it is the
/// one of every other answer here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Answer<T> {
    #[schema(example = "success")]
    status: &'static str,
    /// How it went.
    meta: Meta,
    /// What was done, in words.
    message: &'static str,
    /// What was asked for.
    data: T,
}

/// How a request went.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AnswerMeta)]
struct Meta {
    #[schema(example = "success")]
    status: &'static str,
    /// The HTTP status.
    #[schema(example = 200)]
    status_code: u16,
}

impl<T> Answer<T> {
    /// The answer to a request that was done, with the status 200.
    pub(super) fn ok(message: &'static str, data: T) -> Self {
        Self::new(StatusCode::OK, message, data)
    }

    /// The same with another status.
    pub(super) fn new(status: StatusCode, message: &'static str, data: T) -> Self {
        let meta = Meta { status: "success", status_code: status.as_u16() };
        Self { status: "success", meta, message, data }
    }
}

/// An error in the product's shape.
#[derive(Debug, Serialize, ToSchema)]
struct ReturningAiError {
    #[schema(example = "error")]
    status: &'static str,
    /// What is wrong and what to do.
    message: String,
    /// The stable code.
    code: &'static str,
    /// Every fault, where there are several or one has a place.
    #[schema(value_type = Vec<FaultBody>)]
    errors: Vec<Fault>,
}

/// The body that says this failure.
pub fn error_body(failure: &Failure) -> String {
    let error = ReturningAiError {
        status: "error",
        message: failure.error.detail.clone(),
        code: failure.error.code.as_str(),
        errors: failure.error.errors.clone(),
    };
    serde_json::to_string(&error).expect("an error is made of plain values")
}

/// The errors of every operation, for the OpenAPI document.
pub(super) struct Errors;

impl IntoResponses for Errors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("ReturningAiError"))).build();
        let says = |what: &str| {
            RefOr::T(ResponseBuilder::new().description(what).content("application/json", content()).build())
        };
        BTreeMap::from([
            ("401".to_owned(), says("There is no key, or a bad one.")),
            ("403".to_owned(), says("The key lacks a scope, which the message names.")),
            ("default".to_owned(), says("Refused or failed; the code says why.")),
        ])
    }
}

/// The schemas that [`Errors`] refers to.
pub(super) fn schemas() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![(ReturningAiError::name().into_owned(), ReturningAiError::schema())];
    ReturningAiError::schemas(&mut schemas);
    schemas
}
