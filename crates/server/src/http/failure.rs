//! What went wrong with a request, before a face gives it its form.

use super::limits::Exceeded;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use muster_core::{Code, Error};
use muster_engine::{EngineError, chain};
use std::any::Any;

/// How long somebody should wait before trying again, in seconds.
const RETRY_AFTER_SECONDS: &str = "5";

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A request that was refused or failed. As a response it has no body yet: [`super::edge`] finds it there and writes the
/// body in the form of the face that was called.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What whoever asked may know.
    pub error: Error,
    /// What only the log may know.
    pub cause: Option<String>,
    /// The limit that was passed, where it was one of how often somebody may ask.
    pub exceeded: Option<Box<Exceeded>>,
}

impl Failure {
    /// Refuses with a code and a sentence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Error::new(code, detail).into()
    }

    /// The status that answers it.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, cause: None, exceeded: None }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self { cause: error.is_internal().then(|| chain(&error)), ..error.public().into() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        match self.status() {
            StatusCode::UNAUTHORIZED => {
                let scheme = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
                response.headers_mut().insert(RETRY_AFTER, seconds);
            }
            _ => {}
        }
        if self.error.code == Code::IdempotencyKeyRunning {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        if let Some(exceeded) = &self.exceeded {
            for (name, value) in limit_headers(exceeded) {
                response.headers_mut().insert(name, value);
            }
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// How long to wait, and for what (draft-ietf-httpapi-ratelimit-headers).
fn limit_headers(exceeded: &Exceeded) -> [(HeaderName, HeaderValue); 3] {
    let Exceeded { policy, rate, wait_seconds } = exceeded;
    let within = rate.within.as_secs().max(1);
    let value = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    [
        (RETRY_AFTER, value(wait_seconds.to_string())),
        (RATE_LIMIT, value(format!("\"{policy}\";r=0;t={wait_seconds}"))),
        (RATE_LIMIT_POLICY, value(format!("\"{policy}\";q={};w={within}", rate.burst))),
    ]
}

/// A handler panicked.
pub fn from_panic(panic: Box<dyn Any + Send>) -> Response {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Failure {
        cause: Some(format!("panic: {}", said.unwrap_or("without words"))),
        ..Failure::new(Code::Internal, "Something failed on our side; the log of the server has the cause.")
    }
    .into_response()
}
