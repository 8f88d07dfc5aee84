//! What the OpenAPI document says of an operation, for what goes by it before the handler runs.

use super::failure::Failure;
use super::{propeller, returning_ai};
use axum::extract::MatchedPath;
use axum::http::{Extensions, Method};
use muster_core::Code;
use muster_core::scope::Scope;
use muster_engine::Caller;
use serde_json::Value;
use std::collections::HashMap;
use utoipa::openapi::OpenApi;

/// An operation.
#[derive(Debug)]
pub struct Operation {
    /// The scopes that it needs: all of one of these.
    scopes: Vec<Vec<Scope>>,
    /// Whether a body belongs to it.
    pub has_body: bool,
    /// Whether it takes an idempotency key.
    pub takes_key: bool,
}

/// The operations, by method and path.
#[derive(Debug, Default)]
pub struct Operations(HashMap<(Method, String), Operation>);

impl Operations {
    /// Those of a document.
    pub fn new(document: &OpenApi) -> Self {
        let document = serde_json::to_value(document).expect("the document is made of plain values");
        let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let mut found = HashMap::new();
        for (path, methods) in members(&document["paths"]) {
            for (method, operation) in members(&methods) {
                if let Ok(method) = method.to_uppercase().parse() {
                    found.insert((method, path.clone()), Operation::new(&operation));
                }
            }
        }
        Self(found)
    }

    /// The operation that a request asks for, if the document has it.
    pub fn of(&self, method: &Method, extensions: &Extensions) -> Option<&Operation> {
        let path = extensions.get::<MatchedPath>()?.as_str();
        let path = match path.strip_prefix(returning_ai::ALIAS) {
            Some(rest) => format!("{}{rest}", returning_ai::PREFIX),
            None => propeller::documented(path).into_owned(),
        };
        self.0.get(&(method.clone(), path))
    }
}

impl Operation {
    fn new(described: &Value) -> Self {
        let scope = |text: &Value| text.as_str().and_then(|text| text.parse().ok());
        let scopes = |one: &Value| list(&one["key"]).filter_map(scope).collect();
        Self {
            // An alternative that needs no key is none for who shows one.
            scopes: list(&described["security"]).filter(|one| one.get("key").is_some()).map(scopes).collect(),
            has_body: described.get("requestBody").is_some(),
            takes_key: list(&described["parameters"]).any(|one| one["name"] == "Idempotency-Key"),
        }
    }

    /// Refuses with `missing_scope` who could not be allowed it, whatever else the request says. What depends on the rest,
    /// such as the kind of a job, is for the engine to refuse.
    pub fn check(&self, caller: &Caller) -> Result<(), Failure> {
        let lacks = |scopes: &Vec<Scope>| -> Vec<&str> {
            scopes.iter().filter(|scope| !caller.scopes.contains(scope)).map(|scope| scope.as_str()).collect()
        };
        let lacking: Vec<_> = self.scopes.iter().map(lacks).collect();
        if lacking.iter().any(Vec::is_empty) {
            return Ok(());
        }
        let names: Vec<_> = lacking.iter().map(|names| names.join(" and ")).collect();
        Err(Failure::new(Code::MissingScope, format!("The key needs the scope {}.", names.join(" or "))))
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
