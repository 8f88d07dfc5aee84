//! What a job changed, and what happened to its users since: what an undo has to know.

use super::COMMIT_SPAN;
use crate::Connection;
use crate::connection::params;
use crate::error::Result;
use crate::rows::Rows;
use muster_core::field::FieldSet;
use muster_core::id::{JobId, Tenant, UserId};
use muster_core::user::{Change, changes_from_stored};

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
    /// Whether another job took this job back.
    pub undone: bool,
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
            "SELECT c.user_id, c.version, m.job_id, c.data, j.undoes, j.undo_job_id FROM {{rows}} AS r
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
                undone: row.opt_text(5)?.is_some(),
                changes: changes_from_stored(row.text(3)?, fields)?,
            })
        })
        .await
    }
}
