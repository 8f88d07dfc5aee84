//! The history: who changed what, when, and why.

use super::job_body::ActorBody;
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams, Params, Time};
use crate::http::failure::Failure;
use crate::http::page::{Cursor, Limit, Page};
use crate::http::problem::Problems;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use muster_core::id::{JobId, UserId};
use muster_core::user::wire_or_null;
use muster_engine::{HistoryEntry, HistoryQuery, NewChange};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_history, make_change))
}

/// One field of one user, changed once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
struct HistoryBody {
    /// The user.
    user_id: i64,
    /// The key of the field; `email` and `deleted` are the user's own.
    field: String,
    /// `overwrite`, `add`, `subtract` or `clear`.
    #[schema(example = "add")]
    op: &'static str,
    /// What it held; null: nothing.
    old: Value,
    /// What it held afterwards; null: nothing.
    new: Value,
    /// By how much a number changed, as a string; not there for other values.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "5")]
    delta: Option<String>,
    /// The balance afterwards, as a string; 0 where nothing is held. Not there for other values.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "12.5")]
    balance: Option<String>,
    /// When.
    at: Timestamp,
    /// By whom.
    actor: ActorBody,
    /// For which job; null: it was a change of its own.
    job_id: Option<String>,
    /// The line of the job's file.
    line: Option<u64>,
}

impl From<HistoryEntry> for HistoryBody {
    fn from(entry: HistoryEntry) -> Self {
        let (delta, balance) = entry.change.ledger().unzip();
        Self {
            user_id: entry.user.0,
            field: entry.field,
            op: entry.change.op_name(),
            old: wire_or_null(entry.change.old.as_ref()),
            new: wire_or_null(entry.change.new.as_ref()),
            delta: delta.map(|delta| delta.to_string()),
            balance: balance.map(|balance| balance.to_string()),
            at: entry.commit.at,
            actor: entry.commit.actor.into(),
            job_id: entry.commit.job.map(|id| id.to_string()),
            line: Some(entry.line).filter(|line| *line > 0),
        }
    }
}

/// Which changes are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListHistory {
    /// Only of this user.
    user_id: Option<i64>,
    /// Only of this field, by its key.
    field: Option<String>,
    /// Only of this job.
    #[param(value_type = Option<String>)]
    job_id: Option<JobId>,
    /// Only from this time on.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Time>,
    /// Only before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Time>,
    /// How many, from 1 to 1,000.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1_000, default = 100)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// List changes, newest first
///
/// Those of one user are in the order in which they happened to the user, all others in that of their times. For a number
/// each entry is one of a ledger: by how much it changed, and the balance afterwards.
#[utoipa::path(
    get, path = "/v1/history", tag = "History",
    params(ListHistory),
    responses((status = 200, description = "A page of changes.", body = Page<HistoryBody>), Problems),
    security(("key" = ["history:read"])),
)]
async fn list_history(
    State(app): State<App>,
    Auth(caller): Auth,
    Params(list): Params<ListHistory>,
) -> Result<Json<Page<HistoryBody>>, Failure> {
    let query = HistoryQuery {
        user: list.user_id.map(UserId),
        field: list.field,
        job: list.job_id,
        since: list.since.map(|time| time.0),
        until: list.until.map(|time| time.0),
        limit: list.limit.0,
        cursor: list.cursor.map(|cursor| cursor.open()).transpose()?,
    };
    let page = app.engine.history(&caller, &query).await?;
    Ok(Json(Page::new(page.entries.into_iter().map(HistoryBody::from), page.next)))
}

/// A change to be made now.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MakeChange {
    /// The user.
    user_id: i64,
    /// The key of the field, or `email`.
    #[schema(example = "premium_currency")]
    field: String,
    /// `overwrite`, `add`, `subtract` or `clear`.
    #[schema(example = "add")]
    op: String,
    /// The value; none for `clear`.
    #[serde(default)]
    value: Value,
}

/// Make a change
///
/// It is planned like a row of a job, with the same refusals. Where the field holds the value already nothing is changed:
/// then the answer is 200 with the last entry of the field, or 204 where it has none.
#[utoipa::path(
    post, path = "/v1/history", tag = "History",
    request_body(content = MakeChange, example = json!({"user_id": 1, "field": "premium_currency", "op": "add", "value": "5"})),
    responses(
        (status = 201, description = "The entry of the change.", body = HistoryBody),
        (status = 200, description = "Nothing changed; the last entry of the field.", body = HistoryBody),
        (status = 204, description = "Nothing changed, and the field has no history."),
        Problems,
    ),
    security(("key" = ["users:write"])),
)]
async fn make_change(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Json(make): Json<MakeChange>,
) -> Result<Response, Failure> {
    let new = NewChange { user: UserId(make.user_id), field: make.field, op: make.op, value: make.value };
    let made = app.engine.make_change(&caller, &new).await?;
    let status = if made.changed { StatusCode::CREATED } else { StatusCode::OK };
    Ok(match made.entry {
        Some(entry) => (status, Json(HistoryBody::from(entry))).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
