//! Many users in one request, answered with what became of each.

use super::job_body::CountsBody;
use super::job_options;
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams};
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use axum::extract::State;
use muster_core::error::excerpt;
use muster_core::job::JobKind;
use muster_core::outcome::Outcome;
use muster_core::{Code, Error};
use muster_engine::{Batch, NewJob};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(change_users))
}

/// The options of a job that say something about records that are here already.
const OPTIONS: [&str; 7] =
    ["on_duplicate", "overdraft", "on_error", "max_failed", "max_affected", "date_format", "unknown_columns"];

/// Many users at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeUsers {
    /// What is done: `update` changes users, `import` changes or makes them, `create` makes them, `delete`, `restore`.
    #[serde(default)]
    #[schema(value_type = String, default = "update")]
    kind: Option<String>,
    /// What names a user: `email`, `id`, `external` (one of `identities`), or the key of a unique field.
    #[serde(default)]
    #[schema(value_type = String, default = "email")]
    match_by: Option<String>,
    /// The name of the job in the log.
    #[serde(default)]
    name: String,
    /// Only say what would become of each record, and write nothing.
    #[serde(default)]
    dry_run: bool,
    /// The other options of a job that say something about records: `on_duplicate`, `overdraft`, `on_error`, `max_failed`,
    /// `max_affected`, `date_format`, `unknown_columns`.
    #[serde(default)]
    #[schema(value_type = Object)]
    options: Map<String, Value>,
    /// 1 to 10,000 records, as NDJSON files have them: `{"id", "email", "identities", "values"}`, where null clears and
    /// `{"op": "add", "value": 5}` operates. `"create": false` makes nobody, and fields named in `"only_if_empty"` keep
    /// what they hold.
    #[schema(value_type = Vec<Object>, min_items = 1)]
    records: Vec<Box<RawValue>>,
}

/// What became of many users.
#[derive(Debug, Serialize, ToSchema)]
struct ChangedUsers {
    /// The job, in the log like every other.
    job_id: String,
    /// How many records ended how.
    counts: CountsBody,
    /// What became of each record, in the order in which they came.
    data: Vec<ChangedUser>,
}

/// What became of one record.
#[derive(Debug, Serialize, ToSchema)]
struct ChangedUser {
    /// The place of the record, counted from 0.
    index: u64,
    /// `created`, `updated`, `unchanged`, `skipped` or `failed`.
    status: &'static str,
    /// The user.
    user_id: Option<i64>,
    /// Why it was skipped or failed.
    code: Option<&'static str>,
    /// The member that is to blame.
    column: Option<String>,
    /// A sentence for people.
    message: Option<String>,
}

impl From<Outcome> for ChangedUser {
    fn from(outcome: Outcome) -> Self {
        let error = outcome.reason.map(|reason| reason.error);
        Self {
            index: outcome.record - 1,
            status: outcome.status.as_str(),
            user_id: outcome.user.map(|user| user.0),
            code: error.as_ref().map(|error| error.code.as_str()),
            message: error.as_ref().map(|error| error.sentence(0)),
            column: error.and_then(|error| error.column),
        }
    }
}

impl From<Batch> for ChangedUsers {
    fn from(batch: Batch) -> Self {
        Self {
            job_id: batch.job.id.to_string(),
            counts: batch.job.counts.into(),
            data: batch.outcomes.into_iter().map(ChangedUser::from).collect(),
        }
    }
}

impl ChangeUsers {
    fn new_job(&self) -> Result<NewJob, Error> {
        let mut new = NewJob { name: self.name.clone(), dry_run: self.dry_run, ..NewJob::new(JobKind::Update) };
        let mut set = |pointer: &str, name: &str, text: &str| {
            job_options::set(&mut new, name, text).map_err(|error| Error::at(pointer, error.code, error.detail))
        };
        for (name, text) in [("kind", &self.kind), ("match_by", &self.match_by)] {
            text.as_ref().map_or(Ok(()), |text| set(&format!("/{name}"), name, text))?;
        }
        for (name, value) in &self.options {
            let pointer = format!("/options/{name}");
            match value {
                _ if !OPTIONS.contains(&name.as_str()) => {
                    let message = format!("here the options are {}, not {}", OPTIONS.join(", "), excerpt(name));
                    return Err(Error::at(pointer, Code::InvalidOption, message));
                }
                Value::String(text) => set(&pointer, name, text)?,
                other => set(&pointer, name, &other.to_string())?,
            }
        }
        Ok(new)
    }

    /// Refuses no records, and more than the most.
    fn check(&self, most: usize) -> Result<(), Error> {
        if self.records.is_empty() {
            return Err(Error::at("/records", Code::EmptyFile, "There are no records; send at least one."));
        }
        if self.records.len() > most {
            let detail = format!(
                "There are {} records, and {most} are answered at once; send fewer, or a file to /v1/jobs.",
                self.records.len()
            );
            return Err(Error::at("/records", Code::TooManyRecords, detail));
        }
        Ok(())
    }

    /// The records, each as one line. A line break in JSON is space between its tokens, so any other space says the same.
    fn lines(&self) -> impl Iterator<Item = String> {
        self.records.iter().map(|record| record.get().replace(['\n', '\r'], " "))
    }
}

/// Change many users at once
///
/// The same as a job with a file of these records, with the same results and undo, but answered when it is over. A record
/// that fails leaves the others alone. Where the job takes longer than the server lets a request wait, it is answered
/// `still_running` (503) with the job's id: the job goes on, and the same request with the same `Idempotency-Key` is answered
/// from it.
#[utoipa::path(
    post, path = "/v1/users/bulk", tag = "Users",
    request_body(content = ChangeUsers, example = json!({
        "kind": "update",
        "records": [{"email": "ada@example.com", "values": {"first_name": "Ada", "premium_currency": {"op": "add", "value": 5}}}],
    })),
    responses((status = 200, description = "What became of each record.", body = ChangedUsers), Problems),
    security(("key" = ["bulk:update"]), ("key" = ["bulk:import"]), ("key" = ["bulk:delete"])),
)]
async fn change_users(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Json(change): Json<ChangeUsers>,
) -> Result<Json<ChangedUsers>, Failure> {
    change.check(app.config.records)?;
    Ok(Json(app.engine.run_batch(&caller, change.new_job()?, change.lines()).await?.into()))
}
