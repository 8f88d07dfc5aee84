//! The history: append-only, one row for each user and change set.

mod blocks;
pub(crate) mod list;
mod past;
mod prune;
mod touched;

use crate::Transaction;
use crate::connection::params;
use crate::error::{Result, StoreError};
use crate::rows::Rows;
use jiff::Timestamp;
use muster_core::actor::Actor;
use muster_core::field::FieldNumber;
use muster_core::id::{JobId, Tenant, UserId};
use muster_core::user::Change;

pub use past::{JobChange, PastSet};
pub use prune::{OldCommit, OldSet, Opening};
pub use touched::Touched;

/// How many changes one commit can hold: changes of commit `n` have the numbers from `n * COMMIT_SPAN`.
pub(crate) const COMMIT_SPAN: i64 = 1 << 20;

/// A commit to be recorded.
#[derive(Clone, Debug)]
pub struct NewCommit<'a> {
    /// Its number, as reserved.
    pub id: i64,
    /// When it happens.
    pub at: Timestamp,
    /// For which job.
    pub job: Option<JobId>,
    /// By whom.
    pub actor: &'a Actor,
}

/// A change set to be recorded.
#[derive(Clone, Debug)]
pub struct NewChangeSet {
    /// The user.
    pub user: UserId,
    /// The user's version afterwards.
    pub version: i64,
    /// The line of the input that said so; 0 where it has none.
    pub line: u64,
    /// What changed, as [`changes_to_stored`](muster_core::user::changes_to_stored) writes it. Written while planning, so
    /// that committing has less to do.
    pub data: String,
}

/// When, by whom and why changes were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// When.
    pub at: Timestamp,
    /// For which job.
    pub job: Option<JobId>,
    /// By whom.
    pub actor: Actor,
}

/// A change set as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSet {
    /// Its place in the order of the community's changes.
    pub seq: i64,
    /// The user.
    pub user: UserId,
    /// The user's version afterwards.
    pub version: i64,
    /// The line of the input that said so; 0 where it has none.
    pub line: u64,
    /// When, by whom and why.
    pub commit: CommitInfo,
    /// What changed.
    pub changes: Vec<Change>,
}

/// Which change sets to list. Every part narrows the answer.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// Only of this user.
    pub user: Option<UserId>,
    /// Only sets that touch this field.
    pub field: Option<FieldNumber>,
    /// Only of this job.
    pub job: Option<JobId>,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Only before this time.
    pub until: Option<Timestamp>,
    /// Only those behind this place.
    pub before: Option<Place>,
}

/// A place in a list of change sets. What is behind it is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before this version, in a list of one user's.
    Version(i64),
    /// Before this number of a commit of this time, in any other list.
    Set(Timestamp, i64),
}

impl HistoryFilter {
    /// The place of a change set in the list that this filter makes.
    pub fn place_of(&self, set: &ChangeSet) -> Place {
        match self.user {
            Some(_) => Place::Version(set.version),
            None => Place::Set(set.commit.at, set.seq),
        }
    }
}

impl Transaction {
    /// Records a commit, its change sets, and which of them touch which fields.
    pub async fn insert_changes(
        &mut self,
        tenant: Tenant,
        commit: &NewCommit<'_>,
        sets: Vec<NewChangeSet>,
        touched: &Touched,
    ) -> Result<()> {
        if sets.is_empty() {
            return Ok(());
        }
        if sets.len() as i64 > COMMIT_SPAN {
            return Err(StoreError::Corrupt(format!("{} change sets do not fit one commit", sets.len())));
        }
        if sets.len() != touched.len() {
            let text = format!("{} change sets, and the fields of {}", sets.len(), touched.len());
            return Err(StoreError::Corrupt(text));
        }
        let actor = serde_json::to_string(commit.actor).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let job = commit.job.map(|job| job.to_string());
        self.execute(
            "INSERT INTO commits (tenant, id, at, job_id, actor) VALUES ($1, $2, $3, $4, $5)",
            params![tenant.0, commit.id, commit.at.as_microsecond(), job.as_deref(), &actor],
        )
        .await?;

        let rows = Rows::new()
            .int("field", touched.fields().map(|(field, _)| i64::from(field.0)).collect())
            .text("sets", touched.fields().map(|(_, runs)| runs.to_text()).collect());
        let sql = "INSERT INTO commit_fields (tenant, field, commit_id, at, job_id, sets)
                   SELECT $1, r.field, $2, $3, $4, r.sets FROM {rows} AS r";
        let params = params![tenant.0, commit.id, commit.at.as_microsecond(), job.as_deref()];
        self.execute_rows(sql, params, &rows).await?;

        let whole = blocks::completed(&sets);
        let first = commit.id * COMMIT_SPAN;
        let rows = Rows::new()
            .int("seq", (first..first + sets.len() as i64).collect())
            .int("user_id", sets.iter().map(|set| set.user.0).collect())
            .int("version", sets.iter().map(|set| set.version).collect())
            .int("line", sets.iter().map(|set| set.line as i64).collect())
            .text("data", sets.into_iter().map(|set| set.data).collect());
        let sql = "INSERT INTO changes (tenant, seq, user_id, version, line, data)
                   SELECT $1, r.seq, r.user_id, r.version, r.line, r.data FROM {rows} AS r";
        self.execute_rows(sql, params![tenant.0], &rows).await?;
        self.insert_blocks(tenant, &whole).await
    }
}
