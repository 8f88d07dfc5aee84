//! What happens to every request and response: the request id, the log, and the form of errors.

use super::App;
use super::failure::Failure;
use super::linger::heard_out;
use super::{problem, propeller, returning_ai};
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::request_id::{MakeRequestId, MakeRequestUuid};
use tracing::Instrument;

/// The header that carries the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whose form an error has.
#[derive(Clone, Copy)]
enum Face {
    Native,
    ReturningAi,
    Propeller,
}

impl Face {
    fn of(path: &str) -> Self {
        let below = |prefix| path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        match path {
            _ if below(returning_ai::PREFIX) || below(returning_ai::ALIAS) => Self::ReturningAi,
            _ if propeller::holds(path) => Self::Propeller,
            _ => Self::Native,
        }
    }

    /// The status, the content type and the body that say a failure.
    fn answer(self, failure: &Failure, request_id: &str) -> (StatusCode, &'static str, String) {
        match self {
            Self::Native => (failure.status(), "application/problem+json", problem::body(failure, request_id)),
            Self::ReturningAi => (failure.status(), "application/json", returning_ai::error_body(failure)),
            Self::Propeller => {
                let (status, body) = propeller::answer(failure);
                (status, "application/json", body)
            }
        }
    }
}

/// Goes around everything else.
pub async fn edge(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = app.engine.clock().moment();
    let id = request_id(request.headers(), &request);
    let text = id.to_str().unwrap_or_default().to_owned();
    let face = Face::of(request.uri().path());
    // The route and not the address, which may hold somebody's email.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!("request", method = %request.method(), route, request_id = text);

    let mut response = next.run(heard_out(request)).instrument(span.clone()).await;
    let _in_span = span.enter();
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        if let Some(cause) = &failure.cause {
            tracing::error!(cause, code = %failure.error.code, "a request failed");
        }
        response = written(response, face.answer(&failure, &text));
    }
    response.headers_mut().insert(REQUEST_ID, id);
    let milliseconds = app.engine.clock().since(begun).as_millis();
    tracing::info!(status = response.status().as_u16(), milliseconds, "a request was answered");
    response
}

/// The id that came with the request if it is a sane one, else one that we make.
fn request_id(headers: &HeaderMap, request: &Request) -> HeaderValue {
    let sane = |id: &&HeaderValue| (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    let given = headers.get(REQUEST_ID).filter(sane).cloned();
    let made = || MakeRequestUuid.make_request_id(request).map(|id| id.into_header_value());
    given.or_else(made).unwrap_or(HeaderValue::from_static("none"))
}

fn written(response: Response, (status, content_type, body): (StatusCode, &'static str, String)) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.status = status;
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Response::from_parts(parts, Body::from(body))
}
