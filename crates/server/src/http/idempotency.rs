//! `Idempotency-Key`: a request that is sent again has its effect once and gets the first answer again.
//!
//! Handlers know nothing of it. Every operation that changes something has the header, because [`declare`] gives it to all
//! of them in the OpenAPI document, and [`honour`] goes by that document. It takes the key before the handler runs, gives
//! the handler a caller with a reservation, and keeps what the handler answered together with what the engine changed
//! (see `muster_engine::Reservation`). The request is hashed while the handler reads it: a body here, a form where its
//! parts are taken out of it.

use super::App;
use super::auth::Auth;
use super::described::{HEADER, Operation};
use super::extract::{cut_off, query};
use super::failure::Failure;
use super::upload::{drain_form, is_form};
use super::words;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use muster_core::Code;
use muster_engine::{Caller, Engine, EngineError, Fingerprint, Reservation, Reserved, StoredAnswer, chain, reused};
use serde::Serialize;
use tracing::Instrument;
use utoipa::openapi::path::{Operation as Described, ParameterBuilder, ParameterIn};
use utoipa::openapi::{OpenApi, Required};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Operations that change nothing although their method says they may. Each with the reason why it has that method.
const READS: &[(&str, &str, &str)] = &[
    ("POST", "/v1/users/query", "a filter can be longer than an address may be"),
    ("POST", "/apis/v1/users/info", "the product asks so"),
    ("POST", "/apis/v1/users/filter", "the product asks so"),
    (
        "POST",
        "/v2/oauth2/token",
        "OAuth says so; a token changes nothing that belongs to anybody, and is never shown again",
    ),
];

/// What is kept of an answer that holds a secret: the body without it.
#[derive(Clone, Debug)]
pub struct KeptInstead(Bytes);

impl KeptInstead {
    /// A body that is kept in place of the one that is sent, as a part of the response.
    pub fn json(body: &impl Serialize) -> axum::Extension<Self> {
        let body = serde_json::to_vec(body).expect("a body is made of plain values");
        axum::Extension(Self(body.into()))
    }
}

/// Gives every operation that changes something the header.
pub fn declare(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let changing = [
            ("POST", &mut item.post),
            ("PUT", &mut item.put),
            ("PATCH", &mut item.patch),
            ("DELETE", &mut item.delete),
        ];
        for (method, operation) in changing {
            let reads = READS.iter().any(|(of, at, _)| *of == method && at == path);
            if let Some(operation) = operation.as_mut().filter(|_| !reads) {
                declare_for(operation);
            }
        }
    }
}

fn declare_for(operation: &mut Described) {
    let parameter = ParameterBuilder::new()
        .name(HEADER)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "1 to 255 printable ASCII characters. The same request sent again with the same key within a day has no second \
             effect: it gets the first answer again, with `Idempotency-Replayed: true`.",
        ))
        .schema(Some(words::text()))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
}

/// Goes around every handler.
pub async fn honour(State(app): State<App>, request: Request, next: Next) -> Response {
    let operation = app.operations.of(request.method(), request.extensions());
    let Some(operation) = operation.filter(|one| one.takes_key && request.headers().contains_key(KEY)).cloned() else {
        return next.run(request).await;
    };
    // On a task of its own, so that somebody who does not wait for the answer cannot cut the request off in its middle.
    match tokio::spawn(once(app, operation, request, next).in_current_span()).await {
        Ok(answer) => answer.into_response(),
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(ended) => Failure::from(EngineError::from(ended)).into_response(),
        },
    }
}

async fn once(app: App, operation: Operation, request: Request, next: Next) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    let Auth(caller) = Auth::from_request_parts(&mut parts, &app).await?;
    let request = Request::from_parts(parts, body);
    let key = key(request.headers())?;
    let options = query(request.uri()).unwrap_or_else(|_| vec![(String::new(), request.uri().to_string())]);
    let fingerprint = Fingerprint::new(request.method().as_str(), request.uri().path(), options);
    match app.engine.reserve(&caller, &key, &fingerprint).await? {
        Reserved::First(reservation) => {
            let mut request = hashed(request, &operation, &fingerprint);
            let caller = Caller { reservation: Some(reservation.clone()), ..caller };
            request.extensions_mut().insert(caller);
            first(&app.engine, request, next, &reservation).await
        }
        Reserved::Answered(known, answer) => {
            let request = hashed(request, &operation, &fingerprint);
            if operation.has_body {
                drain(request, app.engine.limits().upload_bytes.max(app.config.json_body_bytes as u64)).await?;
            }
            match fingerprint.digest() == known {
                true => Ok(replayed(answer)),
                false => Err(reused().into()),
            }
        }
    }
}

/// The key of a request that has one.
fn key(headers: &HeaderMap) -> Result<String, Failure> {
    let mut given = headers.get_all(KEY).iter();
    let key = given.next().and_then(|key| key.to_str().ok()).filter(|_| given.next().is_none());
    let key = key.filter(|key| (1..=255).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    key.map(str::to_owned).ok_or_else(|| {
        Failure::new(Code::InvalidRequest, "Send one Idempotency-Key of 1 to 255 printable ASCII characters.")
    })
}

/// The request, with whatever is read of its body going into the fingerprint. A form is hashed where its parts are read.
fn hashed(mut request: Request, operation: &Operation, fingerprint: &Fingerprint) -> Request {
    if !operation.has_body {
        return request;
    }
    if is_form(request.headers()) {
        request.extensions_mut().insert(fingerprint.clone());
        return request;
    }
    fingerprint.begin_part("");
    let fingerprint = fingerprint.clone();
    request.map(|body| {
        Body::from_stream(body.into_data_stream().inspect(move |bytes| {
            if let Ok(bytes) = bytes {
                fingerprint.update(bytes);
            }
        }))
    })
}

/// Runs the handler and keeps its answer, if it is one of success, together with the effect.
async fn first(engine: &Engine, request: Request, next: Next, reservation: &Reservation) -> Result<Response, Failure> {
    let response = tokio::select! {
        response = next.run(request) => response,
        () = hold(engine, reservation) => {
            let cause = Some("a handler went on after its commit, which belongs to the answer".to_owned());
            Failure { cause, ..internal() }.into_response()
        }
    };
    if !response.status().is_success() {
        release(engine, reservation).await;
        return Ok(response);
    }
    let kept = match reservation.is_repeated() {
        Ok(true) => return Ok(marked(response)),
        Ok(false) => keep(engine, response, reservation).await,
        Err(error) => Err(error.into()),
    };
    if kept.is_err() {
        release(engine, reservation).await;
    }
    kept
}

/// Leaves the key free for the next try.
async fn release(engine: &Engine, reservation: &Reservation) {
    if let Err(error) = engine.release(reservation).await {
        tracing::warn!(cause = chain(&error), "an idempotency key was not given back and lapses by itself");
    }
}

/// Extends the reservation for as long as the handler runs. Comes back only where the handler has its transaction behind
/// it and still does not answer: on SQLite everybody else waits for that transaction.
async fn hold(engine: &Engine, reservation: &Reservation) {
    let mut waited = false;
    loop {
        tokio::time::sleep(Reservation::PULSE).await;
        if reservation.has_effect() {
            if waited {
                return;
            }
            waited = true;
        } else if let Err(error) = engine.extend(reservation).await {
            tracing::warn!(cause = chain(&error), "the reservation of an idempotency key could not be extended");
        }
    }
}

/// Keeps an answer together with the effect that it tells of, and gives it back to be sent.
async fn keep(engine: &Engine, response: Response, reservation: &Reservation) -> Result<Response, Failure> {
    let (mut parts, body) = response.into_parts();
    let body =
        to_bytes(body, usize::MAX).await.map_err(|error| Failure { cause: Some(error.to_string()), ..internal() })?;
    let instead = parts.extensions.remove::<KeptInstead>();
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())).filter(|_| name != CONTENT_LENGTH)
    };
    let answer = StoredAnswer {
        status: parts.status.as_u16(),
        headers: parts.headers.iter().filter_map(text).collect(),
        body: instead.map_or_else(|| body.to_vec(), |KeptInstead(body)| body.to_vec()),
    };
    engine.keep(reservation, &answer).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Reads a body to its end for nothing but its fingerprint.
async fn drain(request: Request, limit: u64) -> Result<(), Failure> {
    if is_form(request.headers()) {
        return drain_form(request).await;
    }
    let (mut body, mut read) = (request.into_body().into_data_stream(), 0);
    while let Some(bytes) = body.next().await {
        read += bytes.map_err(|_| cut_off())?.len() as u64;
        if read > limit {
            // The first request would not have been accepted with as much.
            return Err(reused().into());
        }
    }
    Ok(())
}

fn replayed(answer: StoredAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    marked(response)
}

/// Says that the request was sent before.
fn marked(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn internal() -> Failure {
    Failure::new(Code::Internal, "Something failed on our side; the log of the server has the cause.")
}
