//! The native face: `/v1`.

mod fields;
mod history;
mod job_body;
mod job_children;
mod job_options;
mod job_results;
mod jobs;
mod keys;
mod users;

use super::{App, problem};
use utoipa_axum::router::OpenApiRouter;

/// The operations.
pub(super) fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new()
        .merge(jobs::routes())
        .merge(job_results::routes())
        .merge(users::routes())
        .merge(fields::routes())
        .merge(history::routes())
        .merge(keys::routes());
    let components = routes.get_openapi_mut().components.get_or_insert_default();
    components.schemas.extend(problem::schemas());
    routes
}
