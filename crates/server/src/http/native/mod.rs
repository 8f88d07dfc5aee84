//! The native face: `/v1`.

mod community;
mod deliveries;
mod download;
mod fields;
mod history;
mod job_body;
mod job_children;
mod job_events;
mod job_options;
mod job_results;
mod jobs;
mod keys;
mod user_bulk;
mod user_create;
mod user_export;
mod user_query;
mod users;
mod webhooks;

use super::{App, problem};
use job_body::JobBody;
use muster_engine::JobView;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

/// A job as this face shows it, for what is told of it elsewhere.
pub(super) fn show_job(view: JobView) -> Value {
    serde_json::to_value(JobBody::from(view)).expect("a job is made of plain values")
}

/// The operations.
pub(super) fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new()
        .merge(jobs::routes())
        .merge(job_results::routes())
        .merge(job_events::routes())
        .merge(users::routes())
        .merge(user_create::routes())
        .merge(user_query::routes())
        .merge(user_bulk::routes())
        .merge(user_export::routes())
        .merge(fields::routes())
        .merge(history::routes())
        .merge(community::routes())
        .merge(keys::routes())
        .merge(webhooks::routes())
        .merge(deliveries::routes());
    let components = routes.get_openapi_mut().components.get_or_insert_default();
    components.schemas.extend(problem::schemas());
    routes
}
