//! Jobs: submitted, listed, looked at, told to stop and go on.

use super::job_body::JobBody;
use super::job_children;
use super::job_options::{CommandBody, JobForm, JobOptionParams, door};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Id, Json, NoParams, Params, Time, query};
use crate::http::failure::Failure;
use crate::http::page::{Cursor, Limit, Page};
use crate::http::problem::Problems;
use crate::http::upload::Description;
use crate::http::words;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use muster_core::id::JobId;
use muster_core::job::{JobKind, JobState};
use muster_engine::{JobFilter, NewJob};
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_jobs, submit_job))
        .routes(routes!(get_job))
        .routes(routes!(cancel_job))
        .routes(routes!(pause_job))
        .routes(routes!(resume_job))
        .merge(job_children::routes())
}

/// Submit a job
///
/// The file is the body itself, with its content type, or the part `file` of a form: CSV or TSV, NDJSON, a JSON array or XLSX,
/// plain or compressed with gzip or zstd. JSON records are `{"id","email","identities","values"}`, where null clears a value and
/// `{"op","value"}` operates on it. Options are query parameters or parts of the form, before or after the file. A JSON object
/// is no file: it changes all users that its filter matches. The answer comes when the input is stored and the job will run,
/// whatever happens to the server.
#[utoipa::path(
    post, path = "/v1/jobs", tag = "Jobs",
    params(JobOptionParams),
    request_body(content(
        (String = "text/csv", example = "Email,First Name\nada@example.com,Ada\n"),
        (String = "application/x-ndjson",
            example = "{\"email\":\"ada@example.com\",\"values\":{\"first_name\":\"Ada\"}}\n"),
        (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (JobForm = "multipart/form-data"),
        (CommandBody = "application/json", example = json!({
            "kind": "update", "where": {"city": "Rome"}, "set": {"premium_currency": {"op": "add", "value": "5"}},
            "options": {"dry_run": true}
        })),
    )),
    responses(
        (status = 202, description = "The job is accepted and durable.", body = JobBody,
            headers(("Location" = String, description = "The address of the job."))),
        Problems,
    ),
    security(("key" = ["bulk:update"]), ("key" = ["bulk:import"]), ("key" = ["bulk:delete"])),
)]
async fn submit_job(
    State(app): State<App>,
    Auth(caller): Auth,
    request: Request,
) -> Result<impl IntoResponse, Failure> {
    let mut description = Description::new(door(app.config.json_body_bytes), NewJob::new(JobKind::Update));
    for (name, text) in query::<Vec<(String, String)>>(request.uri())? {
        description.set(&caller, &name, &text)?;
    }
    let job = description.receive(&app.engine, &caller, request).await?;
    Ok(job_children::accepted(app.engine.view(job)))
}

/// Which jobs are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListJobs {
    /// Only in this state.
    #[param(schema_with = words::job_state)]
    state: Option<JobState>,
    /// Only of this kind.
    #[param(schema_with = words::job_kind)]
    kind: Option<JobKind>,
    /// Only submitted at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Time>,
    /// How many, from 1 to 1,000.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1_000, default = 100)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// List jobs, newest first
#[utoipa::path(
    get, path = "/v1/jobs", tag = "Jobs",
    params(ListJobs),
    responses((status = 200, description = "A page of jobs.", body = Page<JobBody>), Problems),
    security(("key" = ["jobs:read"])),
)]
async fn list_jobs(
    State(app): State<App>,
    Auth(caller): Auth,
    Params(list): Params<ListJobs>,
) -> Result<Json<Page<JobBody>>, Failure> {
    let filter = JobFilter {
        state: list.state,
        kind: list.kind,
        since: list.since.map(|time| time.0),
        before: list.cursor.map(|cursor| cursor.open()).transpose()?,
    };
    let page = app.engine.list_jobs(&caller, &filter, list.limit.0).await?;
    Ok(Json(Page::new(page.jobs.into_iter().map(JobBody::from), page.next)))
}

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct GetJob {
    /// Answer when the job has ended, or after this many seconds.
    #[serde(default)]
    #[param(value_type = Option<u8>, maximum = 60, default = 0)]
    wait: Wait,
}

/// Seconds to wait: 0 to 60.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "u8")]
struct Wait(u8);

impl TryFrom<u8> for Wait {
    type Error = &'static str;

    fn try_from(seconds: u8) -> Result<Self, Self::Error> {
        match seconds {
            0..=60 => Ok(Self(seconds)),
            _ => Err("wait is a number of seconds from 0 to 60"),
        }
    }
}

/// Get a job
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "Jobs",
    params(("id" = String, Path, description = "The job."), GetJob),
    responses((status = 200, description = "The job.", body = JobBody), Problems),
    security(("key" = ["jobs:read"])),
)]
async fn get_job(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    Params(GetJob { wait }): Params<GetJob>,
) -> Result<Json<JobBody>, Failure> {
    let at_most = Duration::from_secs(wait.0.into());
    let view = app.engine.wait_for_job(&caller, id, at_most).await?;
    Ok(Json(view.into()))
}

/// Cancel a job
///
/// It ends at once, whoever works on it. What is applied stays; the rest is never done. Doing it again changes nothing.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", tag = "Jobs",
    params(("id" = String, Path, description = "The job.")),
    responses((status = 200, description = "The job.", body = JobBody), Problems),
    security(
        ("key" = ["jobs:write", "bulk:update"]),
        ("key" = ["jobs:write", "bulk:import"]),
        ("key" = ["jobs:write", "bulk:delete"]),
        ("key" = ["jobs:write", "bulk:undo"]),
    ),
)]
async fn cancel_job(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    _: NoParams,
) -> Result<Json<JobBody>, Failure> {
    Ok(Json(app.engine.cancel_job(&caller, id).await?.into()))
}

/// Pause a job
///
/// It stops at once, between two chunks. Doing it again changes nothing.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/pause", tag = "Jobs",
    params(("id" = String, Path, description = "The job.")),
    responses((status = 200, description = "The job.", body = JobBody), Problems),
    security(
        ("key" = ["jobs:write", "bulk:update"]),
        ("key" = ["jobs:write", "bulk:import"]),
        ("key" = ["jobs:write", "bulk:delete"]),
        ("key" = ["jobs:write", "bulk:undo"]),
    ),
)]
async fn pause_job(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    _: NoParams,
) -> Result<Json<JobBody>, Failure> {
    Ok(Json(app.engine.pause_job(&caller, id).await?.into()))
}

/// Resume a job
///
/// A paused job goes on. Doing it again changes nothing.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/resume", tag = "Jobs",
    params(("id" = String, Path, description = "The job.")),
    responses((status = 200, description = "The job.", body = JobBody), Problems),
    security(
        ("key" = ["jobs:write", "bulk:update"]),
        ("key" = ["jobs:write", "bulk:import"]),
        ("key" = ["jobs:write", "bulk:delete"]),
        ("key" = ["jobs:write", "bulk:undo"]),
    ),
)]
async fn resume_job(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    _: NoParams,
) -> Result<Json<JobBody>, Failure> {
    Ok(Json(app.engine.resume_job(&caller, id).await?.into()))
}
