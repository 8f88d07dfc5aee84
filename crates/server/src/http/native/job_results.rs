//! What became of the rows of a job, and the file they came from.

use super::download::{Format, attachment, download};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Id, Json, NoParams, Params};
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use crate::http::words;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;
use futures_util::TryStreamExt;
use muster_core::id::JobId;
use muster_core::intake::compression::Compression;
use muster_core::intake::encoding::Encoding;
use muster_core::intake::sniff::Format as FileFormat;
use muster_engine::{ErrorGroup, Job, StatusFilter, chain};
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How much of a file is sent at a time.
const BLOCK_BYTES: usize = 64 << 10;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_results)).routes(routes!(get_errors)).routes(routes!(get_file))
}

/// Which rows are given, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct GetResults {
    /// Only rows that ended like this: `created`, `updated`, `unchanged`, `skipped`, `failed` or `unprocessed`.
    #[serde(default)]
    #[param(schema_with = words::row_status, required = false)]
    status: Rows,
    /// `csv` (default) or `ndjson`.
    #[serde(default)]
    #[param(schema_with = words::result_format, required = false)]
    format: Format,
    /// For CSV that a spreadsheet opens: texts that it would run as formulas begin with an apostrophe, and the column
    /// `_escaped` says which. Sent back, they are what they were.
    #[serde(default)]
    #[param(default = false)]
    spreadsheet: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Rows(StatusFilter);

impl Default for Rows {
    fn default() -> Self {
        Self(StatusFilter::All)
    }
}

impl TryFrom<String> for Rows {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let filter = StatusFilter::parse(&text).map(Self);
        filter.ok_or("status is one of created, updated, unchanged, skipped, failed, unprocessed")
    }
}

/// Get the results of a job
///
/// Every row of the file in its order: the original columns, then `_line,_record,_status,_code,_column,_message,_user_id`. A job
/// that has not ended is given as far as it is. The file can be mended and sent back as it is. A dry run adds `_changes`.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/results", tag = "Jobs",
    params(("id" = String, Path, description = "The job."), GetResults),
    responses(
        (status = 200, description = "The rows.",
            content((String = "text/csv; charset=utf-8"), (String = "application/x-ndjson"))),
        Problems,
    ),
    security(("key" = ["jobs:read", "users:read"])),
)]
async fn get_results(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    Params(get): Params<GetResults>,
) -> Result<impl IntoResponse, Failure> {
    let (job, blocks) = app.engine.job_results(&caller, id, get.status.0, get.format.of(get.spreadsheet)).await?;
    Ok(download(&format!("{}-results", job.id), get.format, blocks))
}

/// Rows that failed or were skipped for the same reason in the same column.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErrorGroup)]
struct ErrorGroupBody {
    /// The stable code.
    code: &'static str,
    /// The column, where one is to blame.
    column: Option<String>,
    /// How many rows.
    count: u64,
    /// Some of the values, each once.
    sample_values: Vec<String>,
    /// The lines of the first such rows.
    first_lines: Vec<u64>,
}

impl From<ErrorGroup> for ErrorGroupBody {
    fn from(group: ErrorGroup) -> Self {
        Self {
            code: group.code.as_str(),
            column: group.column,
            count: group.count,
            sample_values: group.sample_values,
            first_lines: group.first_lines,
        }
    }
}

/// Get the errors of a job, grouped
///
/// The most frequent first.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/errors", tag = "Jobs",
    params(("id" = String, Path, description = "The job.")),
    responses((status = 200, description = "The groups.", body = Vec<ErrorGroupBody>), Problems),
    security(("key" = ["jobs:read", "users:read"])),
)]
async fn get_errors(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    _: NoParams,
) -> Result<Json<Vec<ErrorGroupBody>>, Failure> {
    let groups = app.engine.job_errors(&caller, id).await?;
    Ok(Json(groups.into_iter().map(ErrorGroupBody::from).collect()))
}

/// Get the file of a job
///
/// The bytes as they were sent.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/file", tag = "Jobs",
    params(("id" = String, Path, description = "The job.")),
    responses(
        (status = 200, description = "The file, as what it was found to be.", content(
            (String = "text/csv"),
            (String = "application/x-ndjson"),
            (serde_json::Value = "application/json"),
            ([u8] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            ([u8] = "application/gzip"),
            ([u8] = "application/zstd"),
        )),
        Problems,
    ),
    security(("key" = ["jobs:read", "users:read"])),
)]
async fn get_file(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    _: NoParams,
) -> Result<impl IntoResponse, Failure> {
    let (job, file) = app.engine.open_job_file(&caller, id).await?;
    let headers = [
        (CONTENT_TYPE, content_type(&job)),
        (CONTENT_LENGTH, job.size_bytes.to_string()),
        (CONTENT_DISPOSITION, attachment(&file_name(&job))),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    let file = ReaderStream::with_capacity(tokio::fs::File::from_std(file.into_inner()), BLOCK_BYTES);
    let file = file.inspect_err(|error| tracing::error!(cause = chain(error), "a file broke off"));
    Ok((headers, Body::from_stream(file)))
}

fn content_type(job: &Job) -> String {
    let Some(file) = &job.source.file else { return "application/json".to_owned() };
    match file.compression {
        None => match (file.format, file.encoding) {
            (FileFormat::Xlsx, _) | (FileFormat::Json | FileFormat::Ndjson, Encoding::Utf8) => {
                file.format.media_type().to_owned()
            }
            (format, encoding) => format!("{}; charset={encoding}", format.media_type()),
        },
        Some(Compression::Gzip) => "application/gzip".to_owned(),
        Some(Compression::Zstd) => "application/zstd".to_owned(),
    }
}

fn file_name(job: &Job) -> String {
    let format = job.source.file.as_ref().map_or(FileFormat::Csv, |file| file.format);
    let made = || format!("{}.{format}", job.id);
    job.source.file_name.clone().unwrap_or_else(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_only_a_name() {
        assert_eq!(attachment("users.csv"), "attachment; filename=\"users.csv\"; filename*=UTF-8''users.csv");
        assert_eq!(
            attachment("../ü \"x\"\r\nSet-Cookie: a"),
            "attachment; filename=\"..__ _x_Set-Cookie: a\"; filename*=UTF-8''.._%C3%BC%20%22x%22Set-Cookie%3A%20a"
        );
    }
}
