//! What the OpenAPI document says of the operation that a request is for: which scopes it needs, and whether it takes an
//! `Idempotency-Key`. So both are known before anything else of the request is looked at.

use super::{propeller, returning_ai};
use axum::extract::MatchedPath;
use axum::http::{Extensions, Method};
use muster_core::scope::Scope;
use muster_engine::{Caller, EngineError};
use serde_json::Value;
use std::collections::HashMap;
use utoipa::openapi::OpenApi;

/// The header that operations take which change something.
pub const HEADER: &str = "Idempotency-Key";

/// An operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The scopes that it needs: all of one of these.
    scopes: Vec<Vec<Scope>>,
    /// Whether it takes an `Idempotency-Key`.
    pub takes_key: bool,
    /// Whether it has a body.
    pub has_body: bool,
}

impl Operation {
    fn new(described: &Value) -> Self {
        let scope = |text: &Value| text.as_str().and_then(|text| text.parse().ok());
        let scopes = |one: &Value| list(&one["key"]).filter_map(scope).collect();
        Self {
            // An alternative that needs no key is none for who shows one.
            scopes: list(&described["security"]).filter(|one| one.get("key").is_some()).map(scopes).collect(),
            takes_key: list(&described["parameters"]).any(|one| one["name"] == HEADER),
            has_body: described.get("requestBody").is_some(),
        }
    }

    /// Refuses with `missing_scope` a caller who may not ask for it, whatever else is in the request.
    pub fn check(&self, caller: &Caller) -> Result<(), EngineError> {
        let has = |scope: &Scope| caller.scopes.contains(scope);
        match self.scopes.as_slice() {
            [] => Ok(()),
            [all] => all.iter().try_for_each(|scope| caller.require(*scope)),
            any if any.iter().any(|all| all.iter().all(has)) => Ok(()),
            any => caller.require_any(&any.iter().flatten().filter(|scope| !has(scope)).copied().collect::<Vec<_>>()),
        }
    }
}

/// All operations, by method and path.
#[derive(Debug, Default)]
pub struct Operations(HashMap<(Method, String), Operation>);

impl Operations {
    /// Those of the document.
    pub fn new(document: &OpenApi) -> Self {
        let document = serde_json::to_value(document).expect("the document is made of plain values");
        let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let mut all = HashMap::new();
        for (path, methods) in members(&document["paths"]) {
            for (method, operation) in members(&methods) {
                if let Ok(method) = method.to_uppercase().parse() {
                    all.insert((method, path.clone()), Operation::new(&operation));
                }
            }
        }
        Self(all)
    }

    /// The operation of a request that the router has matched.
    pub fn of(&self, method: &Method, extensions: &Extensions) -> Option<&Operation> {
        let path = extensions.get::<MatchedPath>()?.as_str();
        let path = match path.strip_prefix(returning_ai::ALIAS) {
            Some(rest) => format!("{}{rest}", returning_ai::PREFIX),
            None => propeller::documented(path).into_owned(),
        };
        self.0.get(&(method.clone(), path))
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
