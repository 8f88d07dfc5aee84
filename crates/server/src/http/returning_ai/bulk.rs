//! The three bulk calls: a CSV file in, a job in the log.

use super::anonymous;
use super::answer::{Errors, Success};
use crate::http::App;
use crate::http::auth::{Auth, Sender};
use crate::http::extract::{Json, NoParams};
use crate::http::failure::Failure;
use crate::http::upload::{Description, Door, invalid_option, is_form};
use crate::http::words;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use muster_core::error::excerpt;
use muster_core::id::JobId;
use muster_core::job::{JobKind, MAX_JOB_NAME_CHARS, MatchBy, is_name};
use muster_core::{Code, Error};
use muster_engine::NewJob;
use serde::Serialize;
use std::borrow::Cow;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The queue of every job that comes in here: the product runs the bulk changes of a community one after another.
const QUEUE: &str = "returning_ai";

/// The parts of the forms.
pub(super) const FILE_PART: &str = "data";
pub(super) const COMMUNITY_PART: &str = "communityId";

/// The columns of the premium currency, and no others.
const PREMIUM_COLUMNS: &[&str] = &["Email", "Premium Currency", "Premium Currency_op"];

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(bulk_update))
        .routes(routes!(bulk_import))
        .routes(routes!(bulk_update_premium_currency))
}

/// What the answer to a file is about: what the product documents, and the id of the job.
#[derive(Debug, Serialize, ToSchema)]
struct Queued {
    #[schema(example = "Bulk update user process is queued. You can check in Api Log ( community settings )")]
    message: &'static str,
    /// The id of the job, as `GET /apis/v1/users/bulk-update/{id}` and `GET /v1/jobs/{id}` take it.
    #[schema(value_type = String, example = "job_0123456789abcdef01234567")]
    id: JobId,
}

/// A job of this face, of which nothing was said.
fn new_job(kind: JobKind) -> NewJob {
    let mut new = NewJob::new(kind);
    new.options.match_by = Some(MatchBy::Email);
    new.options.queue = Some(QUEUE.to_owned());
    new
}

/// What the calls take beside the file.
fn door(community_part: Option<&'static str>) -> Door {
    Door { file_part: FILE_PART, set: set_log_name, kind_option: None, command_bytes: None, community_part }
}

/// Takes the one option that there is: the name of the job in the log.
pub(super) fn set_log_name(new: &mut NewJob, name: &str, text: &str) -> Result<(), Error> {
    if name != "log_name" {
        return Err(invalid_option(name, format!("there is no part \"{}\" here", excerpt(name))));
    }
    if !text.trim().is_empty() && !is_name(text.trim(), MAX_JOB_NAME_CHARS) {
        let message =
            format!("log_name is a text of at most {MAX_JOB_NAME_CHARS} characters, none of them a control character");
        return Err(invalid_option(name, message));
    }
    text.clone_into(&mut new.name);
    Ok(())
}

/// The product takes forms only.
pub(super) fn check_form(request: &Request) -> Result<(), Failure> {
    match (is_form(request.headers()), request.headers().contains_key(CONTENT_TYPE)) {
        (true, _) => Ok(()),
        (false, true) => {
            Err(Failure::new(Code::UnsupportedMediaType, "Send the CSV file as the part data of multipart/form-data."))
        }
        (false, false) => {
            Err(Failure::new(Code::NoFile, "There is no file; send it as the part data of multipart/form-data."))
        }
    }
}

fn form(about: &str) -> ObjectBuilder {
    let log_name =
        words::text().description(Some("The name of the job in the log; that of the file if there is none."));
    words::form(FILE_PART, about).property("log_name", log_name)
}

/// The parts of the form.
struct BulkUpdateForm;

impl PartialSchema for BulkUpdateForm {
    fn schema() -> RefOr<Schema> {
        let about = "The CSV file: a header with `Email` and the fields to change, in any order; a column `NAME_op` holds `add`, \
                     `subtract` or `overwrite` for the numeric column `NAME`. An empty cell keeps what is there.";
        form(about).into()
    }
}

impl ToSchema for BulkUpdateForm {
    fn name() -> Cow<'static, str> {
        "BulkUpdateForm".into()
    }
}

/// Bulk update of users
///
/// Changes the fields of the users that a CSV file names by email. The same under `/api/v1/apis/v1`.
#[utoipa::path(
    post, path = "/users/bulk-update", tag = "Returning.AI",
    request_body(content = BulkUpdateForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "The job is accepted and durable.", body = Success<Queued>), Errors),
    security(("key" = ["bulk:update"])),
)]
async fn bulk_update(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    request: Request,
) -> Result<Json<Success<Queued>>, Failure> {
    check_form(&request)?;
    let job = Description::new(door(None), new_job(JobKind::Update)).receive(&app.engine, &caller, request).await?;
    let message = "Bulk update user process is queued. You can check in Api Log ( community settings )";
    Ok(Json(Success::new("Bulk update user process is queued", Queued { message, id: job.id })))
}

/// The parts of the form.
struct BulkImportForm;

impl PartialSchema for BulkImportForm {
    fn schema() -> RefOr<Schema> {
        let about = "The CSV file: a header with `Email` and the fields to set. Users who do not exist are made, the others changed; \
                     an empty cell keeps what is there.";
        let community = words::text().description(Some("The id of the community; that of the key if it is not given."));
        form(about).property(COMMUNITY_PART, community).into()
    }
}

impl ToSchema for BulkImportForm {
    fn name() -> Cow<'static, str> {
        "BulkImportForm".into()
    }
}

/// Bulk import of users
///
/// Makes the users that a CSV file names by email, and changes those who exist. Without a key it works only where the setting
/// `anonymous_import` of the community allows it, for small files, and for fields that are `anonymous_writable`; with
/// `create_only` nobody who exists is changed. The same under `/api/v1/apis/v1`.
#[utoipa::path(
    post, path = "/users/bulk-import", tag = "Returning.AI",
    request_body(content = BulkImportForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "The job is accepted and durable.", body = Success<Queued>), Errors),
    security(("key" = ["bulk:import"]), ()),
)]
async fn bulk_import(
    State(app): State<App>,
    sender: Sender,
    _: NoParams,
    request: Request,
) -> Result<Json<Success<Queued>>, Failure> {
    let new = new_job(JobKind::Import);
    let job = match sender {
        Sender::Known(caller) => {
            check_form(&request)?;
            Description::new(door(Some(COMMUNITY_PART)), new).receive(&app.engine, &caller, request).await?
        }
        Sender::Anonymous(from) => anonymous::receive(&app, from, new, request).await?,
    };
    let message = "Bulk import user process is queued. You can check in Api Log ( community settings )";
    Ok(Json(Success::new("Bulk import user process is queued", Queued { message, id: job.id })))
}

/// The parts of the form.
struct PremiumCurrencyForm;

impl PartialSchema for PremiumCurrencyForm {
    fn schema() -> RefOr<Schema> {
        let about = "The CSV file: exactly the columns `Email`, `Premium Currency` and `Premium Currency_op`, in any order. The last \
                     holds `add`, `subtract` or `overwrite`.";
        form(about).into()
    }
}

impl ToSchema for PremiumCurrencyForm {
    fn name() -> Cow<'static, str> {
        "PremiumCurrencyForm".into()
    }
}

/// Bulk update of the premium currency
///
/// Changes the premium currency of the users that a CSV file names by email. The same under `/api/v1/apis/v1`.
#[utoipa::path(
    post, path = "/users/bulk-update-premium-currency", tag = "Returning.AI",
    request_body(content = PremiumCurrencyForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "The job is accepted and durable.", body = Success<Queued>), Errors),
    security(("key" = ["bulk:update"])),
)]
async fn bulk_update_premium_currency(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    request: Request,
) -> Result<Json<Success<Queued>>, Failure> {
    check_form(&request)?;
    let mut new = new_job(JobKind::Update);
    new.exact_columns = Some(PREMIUM_COLUMNS);
    let job = Description::new(door(None), new).receive(&app.engine, &caller, request).await?;
    let message = "Bulk update premium currency process is queued. You can check in Api Log ( community settings )";
    Ok(Json(Success::new("Bulk update premium currency process is queued", Queued { message, id: job.id })))
}
