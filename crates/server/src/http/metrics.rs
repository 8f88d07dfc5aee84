//! What Prometheus reads: requests and their times, and what the engine counts.
//!
//! Labels are the method, the pattern of the route and the status, never an address: that may hold somebody's email.

use super::App;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use muster_engine::{Engine, chain};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// The format of what is answered.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What every name begins with.
const PREFIX: &str = "muster";
/// How long the database has to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Seconds until an answer begins.
const REQUEST_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

/// The numbers of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Asked, Histogram, fn() -> Histogram>,
}

impl Metrics {
    /// Numbers that are all zero, beside those of the engine.
    pub fn new(engine: &Engine) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let requests = Family::default();
        let seconds = Family::new_with_constructor((|| Histogram::new(REQUEST_SECONDS)) as fn() -> Histogram);
        registry.register("http_requests", "Requests that were answered, by route and status", requests.clone());
        let help = "How long it took until an answer began, by route";
        registry.register("http_request_seconds", help, seconds.clone());
        registry.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        engine.metrics().register(&mut registry);
        Self { registry, requests, seconds }
    }

    /// Counts a request that was answered.
    pub fn observe(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let (method, route) = (known(method), route.to_owned());
        self.seconds.get_or_create(&Asked { method, route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Answered { method, route, status: status.as_u16() }).inc();
    }
}

/// The name of a method; whoever asks can make up others.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Answers with every number, and with those of the process alone where the database does not answer.
pub async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let mut waiting = Registry::with_prefix(PREFIX);
    let asked = tokio::time::timeout(PATIENCE, app.engine.register_waiting(&mut waiting)).await;
    let reachable = match asked {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(cause = chain(&error), "what waits could not be counted");
            false
        }
        Err(_) => false,
    };
    let up = <Gauge>::default();
    up.set(i64::from(reachable));
    waiting.register("database_up", "Whether the database answered just now", up);
    let mut text = String::new();
    let written = encode_registry(&mut text, &app.metrics.registry)
        .and_then(|()| encode_registry(&mut text, &waiting))
        .and_then(|()| encode_eof(&mut text));
    match written {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, OPEN_METRICS)], text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], String::new()),
    }
}
