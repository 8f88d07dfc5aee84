//! The Returning.AI face: `/apis/v1`, and the same under `/api/v1/apis/v1`.

use super::App;
use super::auth::Auth;
use super::extract::Json;
use super::failure::Failure;
use super::upload::{Description, Door, invalid_option, is_form};
use super::words;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use muster_core::Code;
use muster_core::Error;
use muster_core::error::{Fault, excerpt};
use muster_core::id::JobId;
use muster_core::job::{JobKind, MatchBy};
use muster_engine::NewJob;
use serde::Serialize;
use std::borrow::Cow;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Where the face lies.
pub const PREFIX: &str = "/apis/v1";
/// Where it lies too, because the product's own samples show both.
pub const ALIAS: &str = "/api/v1/apis/v1";

/// The queue of every job that comes in here: the product runs the bulk updates of a community one after another.
const QUEUE: &str = "returning_ai";

/// The operations, relative to [`PREFIX`].
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(bulk_update))
}

/// The answer to a file that was accepted, as the product documents it, and the id of the job.
#[derive(Debug, Serialize, ToSchema)]
pub struct Queued {
    #[schema(example = "success")]
    status: &'static str,
    #[schema(example = "Bulk update user process is queued")]
    message: &'static str,
    data: QueuedData,
}

/// What the answer is about.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueuedData {
    #[schema(example = "Bulk update user process is queued. You can check in Api Log ( community settings )")]
    message: &'static str,
    /// The id of the job, as `GET /v1/jobs/{id}` takes it.
    #[schema(value_type = String, example = "job_0123456789abcdef01234567")]
    id: JobId,
}

/// An error in the product's shape.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReturningAiError {
    #[schema(example = "error")]
    status: &'static str,
    /// What is wrong and what to do.
    message: String,
    /// The stable code.
    code: &'static str,
    /// Every fault, where there are several or one has a place.
    #[schema(value_type = Vec<super::problem::FaultBody>)]
    errors: Vec<Fault>,
}

/// The parts of the form.
struct BulkUpdateForm;

impl PartialSchema for BulkUpdateForm {
    fn schema() -> RefOr<Schema> {
        let about = "The CSV file: a header with `Email` and the fields to change; a column `NAME_op` holds `add`, `subtract` or \
                     `overwrite` for the numeric column `NAME`.";
        let log_name = words::text().description(Some("The name of the job in the log."));
        words::form("data", about).property("log_name", log_name).into()
    }
}

impl ToSchema for BulkUpdateForm {
    fn name() -> Cow<'static, str> {
        "BulkUpdateForm".into()
    }
}

/// The body that says this failure.
pub fn error_body(failure: &Failure) -> String {
    let error = ReturningAiError {
        status: "error",
        message: failure.error.detail.clone(),
        code: failure.error.code.as_str(),
        errors: failure.error.errors.clone(),
    };
    serde_json::to_string(&error).expect("an error is made of plain values")
}

/// Bulk update of users
///
/// Changes the fields of the users that a CSV file names by email. The same under `/api/v1/apis/v1`.
#[utoipa::path(
    post, path = "/users/bulk-update", tag = "Returning.AI",
    request_body(content = BulkUpdateForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The job is accepted and durable.", body = Queued),
        (status = 401, description = "There is no key, or a bad one.", body = ReturningAiError),
        (status = 403, description = "The key lacks a scope, which the message names.", body = ReturningAiError),
        (status = "default", description = "Refused or failed; the code says why.", body = ReturningAiError),
    ),
    security(("key" = ["bulk:update"])),
)]
async fn bulk_update(State(app): State<App>, Auth(caller): Auth, request: Request) -> Result<Json<Queued>, Failure> {
    let mut new = NewJob::new(JobKind::Update);
    new.options.match_by = Some(MatchBy::Email);
    new.options.queue = Some(QUEUE.to_owned());
    let door = Door { file_part: "data", set: set_log_name, kind_option: None, command_bytes: None };
    check_form(&request)?;
    let job = Description::new(door, new).receive(&app.engine, &caller, request).await?;
    Ok(Json(Queued {
        status: "success",
        message: "Bulk update user process is queued",
        data: QueuedData {
            message: "Bulk update user process is queued. You can check in Api Log ( community settings )",
            id: job.id,
        },
    }))
}

fn set_log_name(new: &mut NewJob, name: &str, text: &str) -> Result<(), Error> {
    if name != "log_name" {
        return Err(invalid_option(name, format!("there is no part \"{}\" here", excerpt(name))));
    }
    text.clone_into(&mut new.name);
    Ok(())
}

/// The product takes forms only.
fn check_form(request: &Request) -> Result<(), Failure> {
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
