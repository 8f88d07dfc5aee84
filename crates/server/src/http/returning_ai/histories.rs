//! The histories of user fields: who changed what, when, and why.

use super::answer::{Answer, Errors};
use super::request::{Body, TextOrNumber, Within, replaced};
use super::user_body::{show, show_of};
use crate::http::App;
use crate::http::extract::{Json, NoParams, Params};
use crate::http::failure::Failure;
use crate::http::page::{Cursor, Limit};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use muster_core::id::{FieldId, JobId, UserId};
use muster_core::value::Value;
use muster_core::{Code, Error};
use muster_engine::{Caller, Engine, FieldHistory, FieldHistoryEntry, NewFieldChange};
use serde::{Deserialize, Serialize};
use serde_json::Value as Any;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_histories))
        .routes(routes!(list_field_histories))
        .routes(routes!(list_user_histories, create_user_history))
        .routes(routes!(list_user_field_histories))
}

/// A field of a user, changed once. The product names these calls and documents no more, so the shape is ours.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UserFieldHistory)]
struct HistoryBody {
    /// The user.
    user_id: i64,
    /// The id of the field; null for `email`, `deleted` and `identities`, which are the user's own.
    #[schema(value_type = Option<String>, example = "0123456789abcdef01234567")]
    field_id: Option<FieldId>,
    /// The key of the field.
    field: String,
    /// Its name.
    field_name: String,
    /// `overwrite`, `add`, `subtract` or `clear`.
    #[schema(example = "add")]
    operator: &'static str,
    /// What it held; null: nothing.
    old_value: Any,
    /// What it held afterwards; null: nothing.
    new_value: Any,
    /// By how much a number changed; null for other values.
    #[schema(value_type = Option<f64>)]
    delta: Option<Any>,
    /// The name of whoever did it, such as that of a key.
    changed_by: String,
    /// The bulk change that did it; null: it was a change of its own.
    #[schema(value_type = Option<String>)]
    job_id: Option<JobId>,
    /// When.
    created_at: Timestamp,
}

impl From<FieldHistoryEntry> for HistoryBody {
    fn from(FieldHistoryEntry { entry, field }: FieldHistoryEntry) -> Self {
        Self {
            user_id: entry.user.0,
            old_value: show_of(field.as_ref(), entry.change.old.as_ref()),
            new_value: show_of(field.as_ref(), entry.change.new.as_ref()),
            field_id: field.as_ref().map(|field| field.id),
            field_name: field.map_or_else(|| entry.field.clone(), |field| field.name),
            field: entry.field,
            operator: entry.change.op_name(),
            delta: entry.change.ledger().map(|(delta, _)| show(&Value::Decimal(delta))),
            changed_by: entry.commit.actor.name,
            job_id: entry.commit.job,
            created_at: entry.commit.at,
        }
    }
}

/// A page of histories.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserFieldHistories)]
struct HistoryPage {
    /// The newest first.
    histories: Vec<HistoryBody>,
    /// The `cursor` of the next page; null: this is the last one.
    next_cursor: Option<Cursor>,
}

/// Which page of histories.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListHistories {
    /// How many, from 1 to 1,000.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1_000, default = 100)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// The page of the histories of a user, a field, both or neither.
async fn page(
    engine: &Engine,
    caller: &Caller,
    (user, field): (Option<UserId>, Option<FieldId>),
    list: ListHistories,
) -> Result<Json<Answer<HistoryPage>>, Failure> {
    let cursor = list.cursor.map(|cursor| cursor.open()).transpose()?;
    let FieldHistory { entries, next } = engine.field_history(caller, user, field, list.limit.0, cursor).await?;
    let histories = entries.into_iter().map(HistoryBody::from).collect();
    let page = HistoryPage { histories, next_cursor: next.map(Cursor::seal) };
    Ok(Json(Answer::ok("Get user field histories successful", page)))
}

/// Get all user field histories in a community
#[utoipa::path(
    get, path = "/communities/{communityId}/user-field-histories", tag = "Returning.AI",
    params(("communityId" = String, Path, description = "The community of the key."), ListHistories),
    responses((status = 200, description = "A page of histories.", body = Answer<HistoryPage>), Errors),
    security(("key" = ["history:read"])),
)]
async fn list_histories(
    State(app): State<App>,
    Within(caller, ()): Within<()>,
    Params(list): Params<ListHistories>,
) -> Result<Json<Answer<HistoryPage>>, Failure> {
    page(&app.engine, &caller, (None, None), list).await
}

/// Get user field histories for a specific field
#[utoipa::path(
    get, path = "/communities/{communityId}/user-fields/{fieldId}/histories", tag = "Returning.AI",
    params(
        ("communityId" = String, Path, description = "The community of the key."),
        ("fieldId" = String, Path, description = "The field."),
        ListHistories,
    ),
    responses((status = 200, description = "A page of histories.", body = Answer<HistoryPage>), Errors),
    security(("key" = ["history:read"])),
)]
async fn list_field_histories(
    State(app): State<App>,
    Within(caller, field): Within<FieldId>,
    Params(list): Params<ListHistories>,
) -> Result<Json<Answer<HistoryPage>>, Failure> {
    page(&app.engine, &caller, (None, Some(field)), list).await
}

/// Get user field histories for a specific user
#[utoipa::path(
    get, path = "/communities/{communityId}/users/{userId}/user-field-histories", tag = "Returning.AI",
    params(
        ("communityId" = String, Path, description = "The community of the key."),
        ("userId" = i64, Path, description = "The user."),
        ListHistories,
    ),
    responses((status = 200, description = "A page of histories.", body = Answer<HistoryPage>), Errors),
    security(("key" = ["history:read"])),
)]
async fn list_user_histories(
    State(app): State<App>,
    Within(caller, user): Within<UserId>,
    Params(list): Params<ListHistories>,
) -> Result<Json<Answer<HistoryPage>>, Failure> {
    page(&app.engine, &caller, (Some(user), None), list).await
}

/// Get user field histories of a specific user field and user
#[utoipa::path(
    get, path = "/communities/{communityId}/users/{userId}/user-fields/{fieldId}/histories", tag = "Returning.AI",
    params(
        ("communityId" = String, Path, description = "The community of the key."),
        ("userId" = i64, Path, description = "The user."),
        ("fieldId" = String, Path, description = "The field."),
        ListHistories,
    ),
    responses((status = 200, description = "A page of histories.", body = Answer<HistoryPage>), Errors),
    security(("key" = ["history:read"])),
)]
async fn list_user_field_histories(
    State(app): State<App>,
    Within(caller, (user, field)): Within<(UserId, FieldId)>,
    Params(list): Params<ListHistories>,
) -> Result<Json<Answer<HistoryPage>>, Failure> {
    page(&app.engine, &caller, (Some(user), Some(field)), list).await
}

/// A change to be made now.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = NewUserFieldHistory)]
struct NewHistory {
    /// The id, the key or the name of the field. Either this or `field`.
    #[schema(value_type = Option<String>)]
    field_id: Option<TextOrNumber>,
    /// The same.
    #[schema(value_type = Option<String>)]
    field: Option<TextOrNumber>,
    /// `overwrite` (default), `add` or `subtract`.
    operator: Option<String>,
    /// The value; null clears.
    #[schema(value_type = Object)]
    value: Any,
}

impl NewHistory {
    fn read(self, user: UserId) -> Result<NewFieldChange, Error> {
        let field = match (self.field_id, self.field) {
            (Some(field), None) | (None, Some(field)) => field.0,
            (Some(_), Some(_)) | (None, None) => {
                return Err(Error::at("/field", Code::InvalidRequest, "name the field once, as fieldId or field"));
            }
        };
        let op = match (self.operator, &self.value) {
            (None, Any::Null) => "clear".to_owned(),
            (operator, Any::Null) if operator.as_deref() == Some("overwrite") => "clear".to_owned(),
            (operator, _) => operator.unwrap_or_else(|| "overwrite".to_owned()),
        };
        Ok(NewFieldChange { user, field, op, value: self.value })
    }
}

/// Create a user field history for a specific user
///
/// Changes the field now, as a row of a bulk change would; the answer is the entry that this makes. Where the field holds the
/// value already nothing changes, and the answer is 200 with the last entry of the field, if there is one.
#[utoipa::path(
    post, path = "/communities/{communityId}/users/{userId}/user-field-histories", tag = "Returning.AI",
    params(
        ("communityId" = String, Path, description = "The community of the key."),
        ("userId" = i64, Path, description = "The user."),
    ),
    request_body(content = NewHistory, example = json!({"field": "premium_currency", "operator": "add", "value": 5})),
    responses(
        (status = 201, description = "The entry of the change.", body = Answer<HistoryBody>),
        (status = 200, description = "Nothing changed; the last entry of the field, or null.", body = Answer<HistoryBody>),
        Errors,
    ),
    security(("key" = ["users:write"])),
)]
async fn create_user_history(
    State(app): State<App>,
    Within(caller, user): Within<UserId>,
    _: NoParams,
    Body(new): Body<NewHistory>,
) -> Result<Response, Failure> {
    let places = [("/op".to_owned(), "/operator".to_owned())];
    let made = app.engine.make_field_change(&caller, new.read(user)?).await;
    let (entry, changed) = made.map_err(|error| replaced(error, &places))?;
    let status = if changed { StatusCode::CREATED } else { StatusCode::OK };
    let answer = Answer::new(status, "Create user field history successful", entry.map(HistoryBody::from));
    Ok((status, Json(answer)).into_response())
}
