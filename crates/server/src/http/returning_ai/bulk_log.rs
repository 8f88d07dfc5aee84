//! The log of bulk changes. The product names these calls and documents no more of them, so their shapes are ours.

use super::answer::{Errors, Success};
use super::request::PageNumber;
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Id, Json, NoParams, Params};
use crate::http::failure::Failure;
use crate::http::native::job_body::{CountsBody, ErrorGroupBody, JobErrorBody};
use crate::http::page::UpTo;
use crate::http::words;
use axum::extract::State;
use jiff::Timestamp;
use muster_core::id::JobId;
use muster_core::job::{JobKind, JobState};
use muster_engine::{JobDetails, JobView};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_bulk_updates))
        .routes(routes!(get_bulk_update_status))
        .routes(routes!(get_bulk_update))
}

/// A bulk change as the log shows it.
#[derive(Debug, Serialize, ToSchema)]
struct BulkUpdate {
    /// The id of the job.
    #[schema(value_type = String, example = "job_0123456789abcdef01234567")]
    id: JobId,
    /// Its name in the log.
    log_name: String,
    /// What it does: `update`, `import` and so on.
    #[schema(schema_with = words::job_kind)]
    kind: JobKind,
    /// Where it stands.
    #[schema(schema_with = words::job_state)]
    status: JobState,
    /// Whether it has ended.
    finished: bool,
    /// How many rows ended how; they always add up to `received`.
    counts: CountsBody,
    /// How much of the file was read, in percent, and of its rows once they are known.
    #[schema(minimum = 0, maximum = 100)]
    progress: u8,
    /// When it was submitted.
    #[serde(rename = "createdAt")]
    created_at: Timestamp,
    /// When it ended.
    #[serde(rename = "finishedAt")]
    finished_at: Option<Timestamp>,
}

impl From<&JobView> for BulkUpdate {
    fn from(view: &JobView) -> Self {
        let job = &view.job;
        Self {
            id: job.id,
            log_name: job.name.clone(),
            kind: job.kind,
            status: job.state,
            finished: job.state.is_final(),
            counts: job.counts.into(),
            progress: view.percent(),
            created_at: job.submitted_at,
            finished_at: job.finished_at,
        }
    }
}

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
struct BulkUpdatePage {
    /// The newest first.
    bulk_updates: Vec<BulkUpdate>,
    /// How many there are on all pages.
    total: u64,
    /// How many pages there are.
    total_pages: u64,
    /// Which page this is, from 1.
    current_page: u32,
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListBulkUpdates {
    /// Which page, from 1.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1_000_000, default = 1)]
    page: PageNumber,
    /// How many on a page, from 1 to 100.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: UpTo<100, 20>,
}

/// Get all bulk updates
///
/// The newest first, whatever door they came through: with `bulk:update` the updates, with `bulk:import` the imports, with
/// `jobs:read` every job.
#[utoipa::path(
    get, path = "/users/bulk-update", tag = "Returning.AI",
    params(ListBulkUpdates),
    responses((status = 200, description = "A page of the log.", body = Success<BulkUpdatePage>), Errors),
    security(("key" = ["bulk:update"]), ("key" = ["bulk:import"]), ("key" = ["jobs:read"])),
)]
async fn list_bulk_updates(
    State(app): State<App>,
    Auth(caller): Auth,
    Params(ListBulkUpdates { page, limit }): Params<ListBulkUpdates>,
) -> Result<Json<Success<BulkUpdatePage>>, Failure> {
    let log = app.engine.job_log(&caller, page.0, limit.0).await?;
    let data = BulkUpdatePage {
        bulk_updates: log.jobs.iter().map(BulkUpdate::from).collect(),
        total: log.total,
        total_pages: log.total.div_ceil(limit.0.into()),
        current_page: page.0,
    };
    Ok(Json(Success::new("Get all bulk updates successful", data)))
}

/// Check the status of a bulk update
#[utoipa::path(
    get, path = "/users/bulk-update/{id}/status", tag = "Returning.AI",
    params(("id" = String, Path, description = "The job.")),
    responses((status = 200, description = "Where it stands.", body = Success<BulkUpdate>), Errors),
    security(("key" = ["bulk:update"]), ("key" = ["bulk:import"]), ("key" = ["jobs:read"])),
)]
async fn get_bulk_update_status(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    _: NoParams,
) -> Result<Json<Success<BulkUpdate>>, Failure> {
    let view = app.engine.logged_job(&caller, id).await?;
    Ok(Json(Success::new("Check bulk update status successful", BulkUpdate::from(&view))))
}

/// A bulk change with why rows of it failed.
#[derive(Debug, Serialize, ToSchema)]
struct BulkUpdateDetails {
    #[serde(flatten)]
    log: BulkUpdate,
    /// Why the whole of it failed.
    error: Option<JobErrorBody>,
    /// Why rows failed or were skipped, the most frequent reason first. `sample_values` needs the scope `users:read`.
    errors: Vec<ErrorGroupBody>,
    /// Where to go on, with the scopes `jobs:read` and `users:read`.
    links: Links,
}

/// Addresses of the native face.
#[derive(Debug, Serialize, ToSchema)]
struct Links {
    /// Every row and what became of it, as CSV.
    #[schema(example = "/v1/jobs/job_0123456789abcdef01234567/results")]
    results: String,
    /// The rows that failed, as CSV: to be mended and sent again.
    failed_rows: String,
    /// The file as it was sent.
    file: String,
    /// The job in full.
    job: String,
}

impl From<JobDetails> for BulkUpdateDetails {
    fn from(JobDetails { view, errors }: JobDetails) -> Self {
        let job = format!("/v1/jobs/{}", view.job.id);
        Self {
            log: BulkUpdate::from(&view),
            error: view.job.error.map(JobErrorBody::from),
            errors: errors.into_iter().map(ErrorGroupBody::from).collect(),
            links: Links {
                results: format!("{job}/results"),
                failed_rows: format!("{job}/results?status=failed"),
                file: format!("{job}/file"),
                job,
            },
        }
    }
}

/// Check the details of a bulk update
///
/// Counts, the reasons for which rows failed, and where the results are.
#[utoipa::path(
    get, path = "/users/bulk-update/{id}", tag = "Returning.AI",
    params(("id" = String, Path, description = "The job.")),
    responses((status = 200, description = "The details.", body = Success<BulkUpdateDetails>), Errors),
    security(("key" = ["bulk:update"]), ("key" = ["bulk:import"]), ("key" = ["jobs:read"])),
)]
async fn get_bulk_update(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    _: NoParams,
) -> Result<Json<Success<BulkUpdateDetails>>, Failure> {
    let details = app.engine.logged_details(&caller, id).await?;
    Ok(Json(Success::new("Check bulk update details successful", details.into())))
}
