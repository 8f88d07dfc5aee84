//! Jobs that come from jobs: a plan applied, a job undone, its failed rows tried again.

use super::job_body::JobBody;
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Id, Json, NoParams, Params};
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use crate::http::words;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use muster_core::id::JobId;
use muster_core::job::Overdraft;
use muster_engine::{JobView, UndoRequest};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(apply_job)).routes(routes!(undo_job)).routes(routes!(retry_job))
}

/// A job that was accepted, and where it is.
pub(super) fn accepted(view: JobView) -> impl IntoResponse {
    let location = [(LOCATION, format!("/v1/jobs/{}", view.job.id))];
    (StatusCode::ACCEPTED, location, Json(JobBody::from(view)))
}

/// Apply a plan
///
/// A new job does exactly what the dry run planned. Rows whose user changed since then fail as `changed_since_plan`; rows
/// that the plan refused end the same.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/apply", tag = "Jobs",
    params(("id" = String, Path, description = "The job, a dry run that ended `planned`.")),
    responses(
        (status = 202, description = "The new job is accepted and durable.", body = JobBody,
            headers(("Location" = String, description = "The address of the new job."))),
        Problems,
    ),
    security(
        ("key" = ["jobs:write", "bulk:update"]),
        ("key" = ["jobs:write", "bulk:import"]),
        ("key" = ["jobs:write", "bulk:delete"]),
        ("key" = ["jobs:write", "bulk:undo"]),
    ),
)]
async fn apply_job(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    _: NoParams,
) -> Result<impl IntoResponse, Failure> {
    Ok(accepted(app.engine.apply_job(&caller, id).await?))
}

/// How a job is undone.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct UndoJob {
    /// Only plan it: the new job ends `planned`, and can then be applied.
    #[serde(default)]
    #[param(default = false)]
    dry_run: bool,
    /// What a currency does that would fall below its minimum; what the job itself did by default.
    #[param(schema_with = words::overdraft)]
    overdraft: Option<Overdraft>,
}

/// Undo a job
///
/// A new job takes back what this one did: users it made are deleted, users it deleted are restored, values go back to what they
/// were. What somebody changed since is kept (`changed_since_job`), but for what `add` and `subtract` did to a number, which is
/// always reversed. The undo is a job like any other and can be undone itself.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/undo", tag = "Jobs",
    params(("id" = String, Path, description = "The job."), UndoJob),
    responses(
        (status = 202, description = "The new job is accepted and durable.", body = JobBody,
            headers(("Location" = String, description = "The address of the new job."))),
        Problems,
    ),
    security(
        ("key" = ["bulk:undo", "bulk:update"]),
        ("key" = ["bulk:undo", "bulk:import"]),
        ("key" = ["bulk:undo", "bulk:delete"]),
        ("key" = ["bulk:undo"]),
    ),
)]
async fn undo_job(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    Params(undo): Params<UndoJob>,
) -> Result<impl IntoResponse, Failure> {
    let request = UndoRequest { dry_run: undo.dry_run, overdraft: undo.overdraft };
    Ok(accepted(app.engine.undo_job(&caller, id, &request).await?))
}

/// Retry a job
///
/// A new job does the rows again that failed or were not reached, and only those.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/retry", tag = "Jobs",
    params(("id" = String, Path, description = "The job.")),
    responses(
        (status = 202, description = "The new job is accepted and durable.", body = JobBody,
            headers(("Location" = String, description = "The address of the new job."))),
        Problems,
    ),
    security(
        ("key" = ["jobs:write", "bulk:update"]),
        ("key" = ["jobs:write", "bulk:import"]),
        ("key" = ["jobs:write", "bulk:delete"]),
        ("key" = ["jobs:write", "bulk:undo"]),
    ),
)]
async fn retry_job(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    _: NoParams,
) -> Result<impl IntoResponse, Failure> {
    Ok(accepted(app.engine.retry_job(&caller, id).await?))
}
