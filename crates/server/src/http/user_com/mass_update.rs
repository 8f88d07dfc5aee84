//! One attribute of many users gets one value.
//!
//! Everything that can be wrong with a call is found before anything is written. What remains is a job like any other: a
//! record for each user, with results and an undo.

use super::also_by_post;
use super::body::Members;
use super::error::{Refusals, in_their_words};
use super::mass_request::{Attributes, CustomIdsBody, Door, IdsBody, MassUpdate, Users};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::Json;
use crate::http::failure::Failure;
use axum::extract::State;
use muster_core::id::JobId;
use muster_core::job::{JobKind, MatchBy};
use muster_core::outcome::{Outcome, Status};
use muster_core::scope::Scope;
use muster_core::{Code, Error};
use muster_engine::{Batch, Caller, NewJob};
use serde::Serialize;
use serde_json::Value as Any;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    let routes = OpenApiRouter::new()
        .routes(routes!(mass_update_custom))
        .routes(routes!(mass_update_standard))
        .routes(routes!(mass_update_custom_by_custom_id))
        .routes(routes!(mass_update_standard_by_custom_id));
    also_by_post(routes, "As by PUT, which the documents name; their samples send POST.")
}

/// What became of a mass update.
#[derive(Debug, Serialize, ToSchema)]
struct MassUpdated {
    /// `ok`; `partial` where some users could not be given the value.
    #[schema(example = "ok")]
    status: &'static str,
    /// How many users were changed.
    updated: u64,
    /// How many had the value already.
    unchanged: u64,
    /// The ids that name nobody, as they were sent and in that order. Deleted users are nobody.
    not_found: Vec<Any>,
    /// Whose value could not be set, and why; absent where there is nobody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<NotUpdated>,
    /// The id of the job, as `GET /v1/jobs/{id}` takes it.
    #[schema(value_type = String, example = "job_0123456789abcdef01234567")]
    job_id: JobId,
}

/// A user who was left as it was.
#[derive(Debug, Serialize, ToSchema)]
struct NotUpdated {
    /// The id as it was sent.
    id: Any,
    /// The stable code.
    #[schema(value_type = String, example = "not_unique")]
    code: Code,
    /// Why.
    message: String,
}

/// Runs the job and says what became of it.
async fn mass_update(app: &App, caller: &Caller, door: Door, members: Members) -> Result<Json<MassUpdated>, Failure> {
    let fields = app.engine.fields_for(caller, Scope::BulkUpdate).await?;
    let request = MassUpdate::read(members, door, app.config.ids, &fields)?;
    let mut new = NewJob::new(JobKind::Update);
    new.options.match_by = Some(match door.users {
        Users::ById => MatchBy::Id,
        Users::ByCustomId => MatchBy::External,
    });
    new.name = request.name();
    let batch = app.engine.run_batch(caller, new, request.records(door.users)).await?;
    Ok(Json(MassUpdated::new(request.ids, batch)?))
}

impl MassUpdated {
    fn new(ids: Vec<Any>, batch: Batch) -> Result<Self, Error> {
        let mut answer = Self {
            status: "ok",
            updated: batch.job.counts.updated,
            unchanged: batch.job.counts.unchanged,
            not_found: Vec::new(),
            failed: Vec::new(),
            job_id: batch.job.id,
        };
        for (id, outcome) in ids.into_iter().zip(batch.outcomes) {
            answer.count(id, outcome);
        }
        if let Some(first) = answer.failed.first() {
            // Where nobody at all could be changed, the call as a whole was wrong.
            if answer.updated + answer.unchanged == 0 {
                return Err(Error::at("/value", first.code, first.message.clone()));
            }
            answer.status = "partial";
        }
        Ok(answer)
    }

    fn count(&mut self, id: Any, outcome: Outcome) {
        let failed = matches!(outcome.status, Status::Failed | Status::Skipped);
        let Some(reason) = outcome.reason.filter(|_| failed) else { return };
        match reason.error.code {
            Code::UserNotFound | Code::InvalidId | Code::InvalidIdentity | Code::MissingKey => self.not_found.push(id),
            code => {
                let message = in_their_words(&reason.error.message);
                self.failed.push(NotUpdated { id, code, message });
            }
        }
    }
}

/// Set a custom attribute of many users
///
/// Gives one attribute, by its name or key, one value for up to 100,000 users. Repeated ids count once, and sending the
/// same again changes nothing more. `null` clears.
#[utoipa::path(
    method(put, post), path = "/users/mass_update_custom_attributes/", tag = "User.com",
    request_body(content = IdsBody, example = json!({"ids": [10, 15, 22, 23], "attribute": "Language", "value": "it"})),
    responses((status = 200, description = "What became of it.", body = MassUpdated), Refusals),
    security(("key" = ["bulk:update"])),
)]
async fn mass_update_custom(
    State(app): State<App>,
    Auth(caller): Auth,
    members: Members,
) -> Result<Json<MassUpdated>, Failure> {
    mass_update(&app, &caller, Door { users: Users::ById, attributes: Attributes::Custom }, members).await
}

/// Set a standard attribute of many users
///
/// The same for the attributes that the product itself has: `email`, `custom_id`, `first_name`, `phone_number` and so on.
#[utoipa::path(
    method(put, post), path = "/users/mass_update_standard_attributes/", tag = "User.com",
    request_body(content = IdsBody, example = json!({"ids": [10, 15, 22, 23], "attribute": "city", "value": "Rome"})),
    responses((status = 200, description = "What became of it.", body = MassUpdated), Refusals),
    security(("key" = ["bulk:update"])),
)]
async fn mass_update_standard(
    State(app): State<App>,
    Auth(caller): Auth,
    members: Members,
) -> Result<Json<MassUpdated>, Failure> {
    mass_update(&app, &caller, Door { users: Users::ById, attributes: Attributes::Standard }, members).await
}

/// Set a custom attribute of many users by their custom ids
///
/// A custom id is the identity of a user that has the source `custom_id`.
#[utoipa::path(
    method(put, post), path = "/users-by-id/mass_update_custom_attributes/", tag = "User.com",
    request_body(content = CustomIdsBody, example = json!({"ids": ["a-10", "a-15"], "attribute": "Language", "value": "it"})),
    responses((status = 200, description = "What became of it.", body = MassUpdated), Refusals),
    security(("key" = ["bulk:update"])),
)]
async fn mass_update_custom_by_custom_id(
    State(app): State<App>,
    Auth(caller): Auth,
    members: Members,
) -> Result<Json<MassUpdated>, Failure> {
    mass_update(&app, &caller, Door { users: Users::ByCustomId, attributes: Attributes::Custom }, members).await
}

/// Set a standard attribute of many users by their custom ids
///
/// A custom id is the identity of a user that has the source `custom_id`.
#[utoipa::path(
    method(put, post), path = "/users-by-id/mass_update_standard_attributes/", tag = "User.com",
    request_body(content = CustomIdsBody, example = json!({"ids": ["a-10", "a-15"], "attribute": "city", "value": "Rome"})),
    responses((status = 200, description = "What became of it.", body = MassUpdated), Refusals),
    security(("key" = ["bulk:update"])),
)]
async fn mass_update_standard_by_custom_id(
    State(app): State<App>,
    Auth(caller): Auth,
    members: Members,
) -> Result<Json<MassUpdated>, Failure> {
    mass_update(&app, &caller, Door { users: Users::ByCustomId, attributes: Attributes::Standard }, members).await
}
