//! Bodies of this face: objects whose members are taken out one by one, so that all that is wrong is said at once.

use crate::http::App;
use crate::http::extract::{check_json_headers, collect, no_params};
use crate::http::failure::Failure;
use axum::extract::{FromRequest, Request};
use muster_core::error::{Fault, excerpt};
use muster_core::{Code, Error, json};
use serde_json::{Map, Value as Json};

/// The members of a body that nobody has taken yet, and what is wrong with those that were.
pub struct Members {
    members: Map<String, Json>,
    faults: Vec<Fault>,
}

impl FromRequest<App> for Members {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        no_params(request.uri())?;
        check_json_headers(request.headers())?;
        let mut body = request.into_body().into_data_stream();
        let bytes = collect(&mut body, Vec::new(), app.config.json_body_bytes).await?;
        let text =
            String::from_utf8(bytes).map_err(|_| Failure::new(Code::InvalidRequest, "the body is not valid UTF-8"))?;
        match json::read(&text, "")? {
            Json::Object(members) => Ok(Self { members, faults: Vec::new() }),
            _ => Err(Failure::new(Code::InvalidRequest, "the body is not a JSON object")),
        }
    }
}

impl Members {
    /// Takes a member; none where it is absent.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        self.members.remove(name)
    }

    /// Takes a member that must be there.
    pub fn take_required(&mut self, name: &str) -> Option<Json> {
        let taken = self.take(name);
        if taken.is_none() {
            self.refuse(name, Code::InvalidRequest, "this field is required");
        }
        taken
    }

    /// Says what is wrong with a member.
    pub fn refuse(&mut self, name: &str, code: Code, message: impl Into<String>) {
        self.faults.push(fault(name, code, message));
    }

    /// Whatever was not taken.
    pub fn rest(&mut self) -> Map<String, Json> {
        std::mem::take(&mut self.members)
    }

    /// Refuses if anything was wrong. Members that nobody took are wrong too: else they would silently do nothing.
    pub fn finish(mut self) -> Result<(), Error> {
        for name in self.rest().keys() {
            self.refuse(name, Code::InvalidRequest, "there is no such field here");
        }
        refuse_all(self.faults)
    }
}

/// What is wrong with a member.
pub fn fault(name: &str, code: Code, message: impl Into<String>) -> Fault {
    Fault { column: Some(excerpt(name)), pointer: None, code, message: message.into() }
}

/// Refuses if anything is wrong.
pub fn refuse_all(faults: Vec<Fault>) -> Result<(), Error> {
    match faults.first() {
        None => Ok(()),
        Some(first) => Err(Error { errors: faults.clone(), ..Error::new(first.code, first.message.clone()) }),
    }
}
