//! The part of the history that is over its time, and what is left of it: what each user held where the rest begins.

use super::COMMIT_SPAN;
use super::blocks::BLOCK;
use crate::connection::params;
use crate::error::Result;
use crate::rows::Rows;
use crate::{Connection, Transaction};
use jiff::Timestamp;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::{JobId, Tenant, UserId};
use muster_core::user::{Change, changes_from_stored, changes_to_stored};

/// What a user held after the last version that was pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The user.
    pub user: UserId,
    /// The version.
    pub version: i64,
    /// When the user had it first.
    pub at: Timestamp,
    /// The changes that lead there from nothing.
    pub changes: Vec<Change>,
}

/// A commit that is over its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldCommit {
    /// Its number.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// How many change sets it has, or had.
    pub sets: u64,
}

/// A change set that is to be pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldSet {
    /// The user.
    pub user: UserId,
    /// The user's version afterwards.
    pub version: i64,
    /// When.
    pub at: Timestamp,
    /// For which job.
    pub job: Option<JobId>,
    /// What changed.
    pub changes: Vec<Change>,
}

impl Connection {
    /// Commits of before a time, the oldest first.
    pub async fn list_old_commits(&mut self, tenant: Tenant, until: Timestamp, limit: u32) -> Result<Vec<OldCommit>> {
        let sql = format!(
            "SELECT m.id, m.at, (
                 SELECT max(c.seq) FROM changes AS c
                 WHERE c.tenant = m.tenant AND c.seq >= m.id * {COMMIT_SPAN} AND c.seq < (m.id + 1) * {COMMIT_SPAN}
             ) FROM commits AS m WHERE m.tenant = $1 AND m.at < $2 ORDER BY m.at, m.id LIMIT $3"
        );
        self.query(&sql, params![tenant.0, until.as_microsecond(), i64::from(limit)], |row| {
            let sets = row.opt_int(2)?.map_or(0, |last| last % COMMIT_SPAN + 1);
            Ok(OldCommit { id: row.int(0)?, at: row.time(1)?, sets: sets as u64 })
        })
        .await
    }

    /// The users that commits changed, each with the last version that they made.
    pub async fn list_last_versions(&mut self, tenant: Tenant, commits: &[OldCommit]) -> Result<Vec<(UserId, i64)>> {
        let rows = Rows::new().int("id", commits.iter().map(|commit| commit.id).collect());
        let range = format!("c.seq >= r.id * {COMMIT_SPAN} AND c.seq < (r.id + 1) * {COMMIT_SPAN}");
        let changes = self.dialect().look_up("changes", "c", &format!("c.tenant = $1 AND {range}"));
        let sql = format!(
            "SELECT c.user_id, max(c.version) FROM {{rows}} AS r {changes} GROUP BY c.user_id ORDER BY c.user_id"
        );
        self.query_rows(&sql, params![tenant.0], &rows, |row| Ok((UserId(row.int(0)?), row.int(1)?))).await
    }

    /// The change sets of users up to a version of each, in the order of user and version.
    pub async fn list_old_sets(
        &mut self,
        tenant: Tenant,
        until: &[(UserId, i64)],
        fields: &FieldSet,
    ) -> Result<Vec<OldSet>> {
        let condition = "c.tenant = $1 AND c.user_id = r.user_id AND c.version <= r.version";
        let changes = self.dialect().look_up("changes", "c", condition);
        let commits =
            self.dialect().look_up("commits", "m", &format!("m.tenant = $1 AND m.id = c.seq / {COMMIT_SPAN}"));
        let sql = format!(
            "SELECT c.user_id, c.version, m.at, m.job_id, c.data FROM {{rows}} AS r {changes} {commits}
             ORDER BY c.user_id, c.version"
        );
        self.query_rows(&sql, params![tenant.0], &versions(until), |row| {
            Ok(OldSet {
                user: UserId(row.int(0)?),
                version: row.int(1)?,
                at: row.time(2)?,
                job: row.opt_text(3)?.is_some().then(|| row.parsed(3)).transpose()?,
                changes: changes_from_stored(row.text(4)?, fields)?,
            })
        })
        .await
    }

    /// What is left of the pruned history of these users, in the order of their ids.
    pub async fn list_openings(&mut self, tenant: Tenant, users: &[UserId], fields: &FieldSet) -> Result<Vec<Opening>> {
        let rows = Rows::new().int("user_id", users.iter().map(|user| user.0).collect());
        let openings = self.dialect().look_up("user_openings", "o", "o.tenant = $1 AND o.user_id = r.user_id");
        let sql = format!("SELECT o.user_id, o.version, o.at, o.data FROM {{rows}} AS r {openings} ORDER BY o.user_id");
        self.query_rows(&sql, params![tenant.0], &rows, |row| {
            let changes = changes_from_stored(row.text(3)?, fields)?;
            Ok(Opening { user: UserId(row.int(0)?), version: row.int(1)?, at: row.time(2)?, changes })
        })
        .await
    }

    /// Of how many users some history was pruned.
    pub async fn count_openings(&mut self, tenant: Tenant) -> Result<u64> {
        let sql = "SELECT count(*) FROM user_openings WHERE tenant = $1";
        self.query_one(sql, params![tenant.0], |row| Ok(row.int(0)? as u64)).await
    }
}

impl Transaction {
    /// Keeps what users held after a version, in the place of what was kept before.
    pub async fn put_openings(&mut self, tenant: Tenant, openings: &[Opening], fields: &FieldSet) -> Result<()> {
        let rows = Rows::new()
            .int("user_id", openings.iter().map(|opening| opening.user.0).collect())
            .int("version", openings.iter().map(|opening| opening.version).collect())
            .int("at", openings.iter().map(|opening| opening.at.as_microsecond()).collect())
            .text("data", openings.iter().map(|opening| changes_to_stored(&opening.changes, fields)).collect());
        let sql = "INSERT INTO user_openings (tenant, user_id, version, at, data)
                   SELECT $1, r.user_id, r.version, r.at, r.data FROM {rows} AS r
                   ON CONFLICT (tenant, user_id) DO UPDATE
                   SET version = excluded.version, at = excluded.at, data = excluded.data";
        self.execute_rows(sql, params![tenant.0], &rows).await.map(drop)
    }

    /// Removes the change sets of users up to a version of each, and says how many.
    pub async fn delete_old_sets(&mut self, tenant: Tenant, until: &[(UserId, i64)]) -> Result<u64> {
        let rows = versions(until);
        let blocks = format!(
            "DELETE FROM user_blocks USING {{rows}} AS r WHERE user_blocks.tenant = $1
             AND user_blocks.user_id = r.user_id AND (user_blocks.block + 1) * {BLOCK} <= r.version"
        );
        self.execute_rows(&blocks, params![tenant.0], &rows).await?;
        let changes = "DELETE FROM changes USING {rows} AS r WHERE changes.tenant = $1
                       AND changes.user_id = r.user_id AND changes.version <= r.version";
        self.execute_rows(changes, params![tenant.0], &rows).await
    }

    /// Removes every commit up to one of them in the order of time, and what they touched. None may have a change set left.
    pub async fn delete_old_commits(&mut self, tenant: Tenant, last: &OldCommit, fields: &FieldSet) -> Result<()> {
        let mut numbers = vec![FieldNumber::EMAIL, FieldNumber::DELETED, FieldNumber::IDENTITIES];
        numbers.extend(fields.iter().map(|field| field.number));
        let rows = Rows::new().int("field", numbers.into_iter().map(|number| i64::from(number.0)).collect());
        let params = params![tenant.0, last.at.as_microsecond(), last.id];
        // By field, as the key begins.
        let touched = "DELETE FROM commit_fields USING {rows} AS r WHERE commit_fields.tenant = $1
                       AND commit_fields.field = r.field AND (commit_fields.at, commit_fields.commit_id) <= ($2, $3)";
        self.execute_rows(touched, params, &rows).await?;
        let commits = "DELETE FROM commits WHERE tenant = $1 AND (at, id) <= ($2, $3)";
        self.execute(commits, params).await.map(drop)
    }

    /// Notes that some of what these jobs changed is no longer known. The time is that of the first note.
    pub async fn note_history_expired(&mut self, tenant: Tenant, jobs: &[JobId], at: Timestamp) -> Result<()> {
        let rows = Rows::new().text("id", jobs.iter().map(JobId::to_string).collect());
        let sql = "UPDATE jobs SET history_expired_at = coalesce(jobs.history_expired_at, $2)
                   FROM {rows} AS r WHERE jobs.tenant = $1 AND jobs.id = r.id";
        self.execute_rows(sql, params![tenant.0, at.as_microsecond()], &rows).await.map(drop)
    }

    /// Whether an open job of the community needs the history: one that takes another one back, or an erasure.
    pub async fn is_history_needed(&mut self, tenant: Tenant) -> Result<bool> {
        let sql = format!(
            "SELECT count(*) FROM {} WHERE q.tenant = $1 AND (j.undoes IS NOT NULL OR j.kind = 'erase')",
            self.dialect().open_jobs()
        );
        Ok(self.query_one(&sql, params![tenant.0], |row| row.int(0)).await? > 0)
    }
}

fn versions(until: &[(UserId, i64)]) -> Rows {
    Rows::new()
        .int("user_id", until.iter().map(|(user, _)| user.0).collect())
        .int("version", until.iter().map(|(_, version)| *version).collect())
}
