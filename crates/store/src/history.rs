//! The history: append-only, one row for each user and change set.

use crate::connection::{Row, params};
use crate::error::{Result, StoreError};
use crate::rows::Rows;
use crate::{Connection, Transaction};
use jiff::Timestamp;
use muster_core::actor::Actor;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::{JobId, Tenant, UserId};
use muster_core::user::{Change, changes_from_stored};
use std::collections::BTreeSet;

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
    /// Only older ones than this place: a user's version where one user is asked for, else a number of the order.
    pub before: Option<i64>,
}

impl Transaction {
    /// Records a commit, its change sets, and the fields that they touch.
    pub async fn insert_changes(
        &mut self,
        tenant: Tenant,
        commit: &NewCommit<'_>,
        sets: Vec<NewChangeSet>,
        touched: &BTreeSet<FieldNumber>,
    ) -> Result<()> {
        if sets.is_empty() {
            return Ok(());
        }
        if sets.len() as i64 > COMMIT_SPAN {
            return Err(StoreError::Corrupt(format!("{} change sets do not fit one commit", sets.len())));
        }
        let actor = serde_json::to_string(commit.actor).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let job = commit.job.map(|job| job.to_string());
        self.execute(
            "INSERT INTO commits (tenant, id, at, job_id, actor) VALUES ($1, $2, $3, $4, $5)",
            params![tenant.0, commit.id, commit.at.as_microsecond(), job.as_deref(), &actor],
        )
        .await?;

        self.execute_rows(
            "INSERT INTO commit_fields (tenant, field, commit_id) SELECT $1, r.field, $2 FROM {rows} AS r",
            params![tenant.0, commit.id],
            &Rows::new().int("field", touched.iter().map(|field| i64::from(field.0)).collect()),
        )
        .await?;

        let first = commit.id * COMMIT_SPAN;
        let rows = Rows::new()
            .int("seq", (first..first + sets.len() as i64).collect())
            .int("user_id", sets.iter().map(|set| set.user.0).collect())
            .int("version", sets.iter().map(|set| set.version).collect())
            .int("line", sets.iter().map(|set| set.line as i64).collect())
            .text("data", sets.into_iter().map(|set| set.data).collect());
        let sql = "INSERT INTO changes (tenant, seq, user_id, version, line, data)
                   SELECT $1, r.seq, r.user_id, r.version, r.line, r.data FROM {rows} AS r";
        self.execute_rows(sql, params![tenant.0], &rows).await.map(drop)
    }
}

/// A change set of a job, without what changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobChange {
    /// Its place in the order of the community's changes.
    pub seq: i64,
    /// The user.
    pub user: UserId,
    /// The user's version afterwards.
    pub version: i64,
    /// The line of the input that said so; 0 where it has none.
    pub line: u64,
}

/// A change set of a user, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastSet {
    /// The user.
    pub user: UserId,
    /// The user's version afterwards.
    pub version: i64,
    /// For which job.
    pub job: Option<JobId>,
    /// The job that this job took back, if it did.
    pub undoes: Option<JobId>,
    /// What changed.
    pub changes: Vec<Change>,
}

impl Connection {
    /// What a job changed, in the order of the community's changes, after one of them.
    pub async fn list_job_changes(
        &mut self,
        tenant: Tenant,
        job: JobId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<JobChange>> {
        let join = self.dialect().join();
        let sql = format!(
            "SELECT c.seq, c.user_id, c.version, c.line FROM commits AS m {join} changes AS c ON c.tenant = m.tenant
             AND c.seq >= m.id * {COMMIT_SPAN} AND c.seq < (m.id + 1) * {COMMIT_SPAN}
             WHERE m.tenant = $1 AND m.job_id = $2 AND m.id >= CAST($3 AS BIGINT) / {COMMIT_SPAN} AND c.seq > $3
             ORDER BY m.id, c.seq LIMIT $4"
        );
        self.query(&sql, params![tenant.0, &job.to_string(), after, i64::from(limit)], |row| {
            let line = row.int(3)? as u64;
            Ok(JobChange { seq: row.int(0)?, user: UserId(row.int(1)?), version: row.int(2)?, line })
        })
        .await
    }

    /// What happened to these users from a version of each on, in the order of user and version.
    pub async fn list_past(
        &mut self,
        tenant: Tenant,
        since: &[(UserId, i64)],
        fields: &FieldSet,
    ) -> Result<Vec<PastSet>> {
        let join = self.dialect().join();
        let sql = format!(
            "SELECT c.user_id, c.version, m.job_id, c.data, j.undoes FROM {{rows}} AS r
             {join} changes AS c ON c.tenant = $1 AND c.user_id = r.user_id AND c.version >= r.version
             {join} commits AS m ON m.tenant = $1 AND m.id = c.seq / {COMMIT_SPAN}
             LEFT JOIN jobs AS j ON j.tenant = $1 AND j.id = m.job_id ORDER BY c.user_id, c.version"
        );
        let rows = Rows::new()
            .int("user_id", since.iter().map(|(user, _)| user.0).collect())
            .int("version", since.iter().map(|(_, version)| *version).collect());
        self.query_rows(&sql, params![tenant.0], &rows, |row| {
            let job = |i| row.opt_text(i)?.is_some().then(|| row.parsed(i)).transpose();
            Ok(PastSet {
                user: UserId(row.int(0)?),
                version: row.int(1)?,
                job: job(2)?,
                undoes: job(4)?,
                changes: changes_from_stored(row.text(3)?, fields)?,
            })
        })
        .await
    }

    /// Change sets, newest first: of one user in the order of the user's versions, else in the order of commits.
    pub async fn list_changes(
        &mut self,
        tenant: Tenant,
        filter: &HistoryFilter,
        limit: u32,
        fields: &FieldSet,
    ) -> Result<Vec<ChangeSet>> {
        // Driven from where the answer lies together in the order that is asked for: from a user's changes, from the
        // commits of a job or of a field, or from all changes.
        let by_commit = filter.user.is_none() && (filter.job.is_some() || filter.field.is_some());
        let (place, order) = match (filter.user, by_commit) {
            (Some(_), _) => ("c.version", "c.version DESC"),
            (None, true) => ("c.seq", "m.id DESC, c.seq DESC"),
            (None, false) => ("c.seq", "c.seq DESC"),
        };
        let join = self.dialect().join();
        let from = match by_commit {
            true => format!(
                "commits AS m {join} changes AS c ON c.tenant = m.tenant
                 AND c.seq >= m.id * {COMMIT_SPAN} AND c.seq < (m.id + 1) * {COMMIT_SPAN}"
            ),
            false => {
                format!("changes AS c {join} commits AS m ON m.tenant = c.tenant AND m.id = c.seq / {COMMIT_SPAN}")
            }
        };
        let tenant_of = if by_commit { "m.tenant" } else { "c.tenant" };
        let reached = if by_commit { format!("AND m.id <= CAST($2 AS BIGINT) / {COMMIT_SPAN}") } else { String::new() };
        let mut sql = format!(
            "SELECT c.seq, c.user_id, c.version, c.line, c.data, m.at, m.job_id, m.actor FROM {from}
             WHERE {tenant_of} = $1 {reached} AND {place} < $2 AND m.at >= $3 AND m.at < $4"
        );
        let job = filter.job.map(|job| job.to_string());
        let mut params = params![
            tenant.0,
            filter.before.unwrap_or(i64::MAX),
            filter.since.unwrap_or(Timestamp::MIN).as_microsecond(),
            filter.until.unwrap_or(Timestamp::MAX).as_microsecond(),
            i64::from(limit),
        ]
        .to_vec();
        let mut and = |condition: &str, param| {
            params.push(param);
            sql.push_str(&format!(" AND {}", condition.replace('?', &format!("${}", params.len()))));
        };
        if let Some(user) = filter.user {
            and("c.user_id = ?", user.0.into());
        }
        if let Some(job) = &job {
            and("m.job_id = ?", job.into());
        }
        if let Some(field) = filter.field {
            and(
                "m.id IN (SELECT f.commit_id FROM commit_fields AS f WHERE f.tenant = $1 AND f.field = ?)",
                i64::from(field.0).into(),
            );
        }
        // The field is looked for inside the sets as well; the limit counts what is left.
        let needle = filter.field.and_then(|field| fields.key_of(field)).map(|key| format!("%[\"{key}\",%"));
        if let Some(needle) = &needle {
            and("c.data LIKE ?", needle.into());
        }
        sql.push_str(&format!(" ORDER BY {order} LIMIT $5"));
        self.query(&sql, &params, |row| change_set(row, fields)).await
    }
}

fn change_set(row: &Row<'_>, fields: &FieldSet) -> Result<ChangeSet> {
    let job = row.opt_text(6)?.map(str::parse).transpose();
    Ok(ChangeSet {
        seq: row.int(0)?,
        user: UserId(row.int(1)?),
        version: row.int(2)?,
        line: row.int(3)? as u64,
        changes: changes_from_stored(row.text(4)?, fields)?,
        commit: CommitInfo {
            at: row.time(5)?,
            job: job.map_err(|_| StoreError::Corrupt("a commit names no job".to_owned()))?,
            actor: row.json(7)?,
        },
    })
}
