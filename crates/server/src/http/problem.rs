//! Errors of the native face: RFC 9457 problem details.

use super::failure::Failure;
use muster_core::error::Fault;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

/// Why a request was not done (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The page that explains the code.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors#missing_scope")]
    kind: String,
    /// The code in words.
    #[schema(example = "Missing scope")]
    title: String,
    /// The HTTP status.
    #[schema(example = 403)]
    status: u16,
    /// The stable code, for programs.
    #[schema(example = "missing_scope")]
    code: &'static str,
    /// What is wrong and what to do, for people.
    #[schema(example = "The key needs the scope bulk:update.")]
    detail: String,
    /// The id under which the server's log has the request.
    request_id: String,
    /// Every fault, where there are several or one has a place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FaultBody>,
    /// The job that it is about: one that still runs, or was in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
}

/// One fault and its place.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fault)]
pub struct FaultBody {
    /// The column of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    /// The place in the JSON body (RFC 6901); for an option its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// The stable code.
    code: &'static str,
    /// What is wrong.
    message: String,
}

impl From<Fault> for FaultBody {
    fn from(fault: Fault) -> Self {
        Self { column: fault.column, pointer: fault.pointer, code: fault.code.as_str(), message: fault.message }
    }
}

/// The body that says this failure.
pub fn body(failure: &Failure, request_id: &str) -> String {
    let code = failure.error.code.as_str();
    let words = code.replace('_', " ");
    let problem = Problem {
        kind: format!("/docs/errors#{code}"),
        title: words[..1].to_uppercase() + &words[1..],
        status: failure.status().as_u16(),
        code,
        detail: failure.error.detail.clone(),
        request_id: request_id.to_owned(),
        errors: failure.error.errors.iter().cloned().map(FaultBody::from).collect(),
        job_id: failure.error.job_id.map(|id| id.to_string()),
    };
    serde_json::to_string(&problem).expect("a problem is made of plain values")
}

/// The errors of every native operation, for the OpenAPI document.
pub struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let says = |what: &str| {
            let response = ResponseBuilder::new().description(what);
            RefOr::T(response.content("application/problem+json", content()).build())
        };
        BTreeMap::from([
            ("401".to_owned(), says("There is no key, or a bad one.")),
            ("403".to_owned(), says("The key lacks a scope, which the detail names.")),
            ("default".to_owned(), says("Refused or failed; the code says why.")),
        ])
    }
}

/// The schemas that [`Problems`] refers to.
pub fn schemas() -> Vec<(String, RefOr<utoipa::openapi::Schema>)> {
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    schemas
}
