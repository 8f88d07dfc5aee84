//! For whoever runs the server: is it alive, is it ready, what does it offer.

use super::App;
use super::extract::Json;
use super::metrics::metrics;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use muster_engine::{EngineError, chain};
use std::future::{Ready, ready};
use std::time::Duration;

/// How long the parts have to say that they are ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// The routes that are about the server and not about a community.
pub fn routes() -> Router<App> {
    probes().route("/openapi.json", get(openapi))
}

/// The routes by which others see how a process is.
pub fn probes() -> Router<App> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(metrics))
}

fn healthz() -> Ready<impl IntoResponse> {
    ready(Json(serde_json::json!({"status": "ok"})))
}

async fn readyz(State(app): State<App>) -> impl IntoResponse {
    let part = match tokio::time::timeout(PATIENCE, app.engine.check_ready()).await {
        Ok(Ok(true)) => return (StatusCode::OK, Json(serde_json::json!({"status": "ready"}))),
        Ok(Ok(false)) => "schema",
        Ok(Err(error)) => {
            tracing::error!(cause = chain(&error), "the server is not ready");
            match error {
                EngineError::Staging(_) => "staging",
                _ => "database",
            }
        }
        Err(_) => "database",
    };
    let body = serde_json::json!({"status": "unavailable", "part": part});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body))
}

fn openapi(State(app): State<App>) -> Ready<impl IntoResponse> {
    ready(([(CONTENT_TYPE, "application/json")], app.document.to_string()))
}
