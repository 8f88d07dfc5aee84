//! Taking away for good: what is stored of a user, files and results of jobs, answers that name somebody.

use crate::connection::params;
use crate::error::Result;
use crate::jobs::{COLUMNS, job};
use crate::rows::Rows;
use crate::{Connection, Job, JobRef, Transaction};
use jiff::Timestamp;
use muster_core::id::{JobId, Tenant, UserId};
use muster_core::webhook::DeliveryStatus;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

impl Connection {
    /// The jobs that changed a user.
    pub async fn list_jobs_of_user(&mut self, tenant: Tenant, user: UserId) -> Result<BTreeSet<JobId>> {
        let join = self.dialect().join();
        let sql = format!(
            "SELECT DISTINCT m.job_id FROM changes AS c
             {join} commits AS m ON m.tenant = c.tenant AND m.id = c.seq / {}
             WHERE c.tenant = $1 AND c.user_id = $2 AND m.job_id IS NOT NULL",
            crate::history::COMMIT_SPAN
        );
        Ok(self.query(&sql, params![tenant.0, user.0], |row| row.parsed(0)).await?.into_iter().collect())
    }

    /// Keys and bodies of kept answers in the order of the keys, after one of them.
    pub async fn list_answers(&mut self, tenant: Tenant, after: &[u8], limit: u32) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let sql = "SELECT key, body FROM idempotency_keys WHERE tenant = $1 AND key > $2 AND status <> 0
                   ORDER BY key LIMIT $3";
        self.query(sql, params![tenant.0, after, i64::from(limit)], |row| Ok((row.bytes(0)?, row.bytes(1)?))).await
    }
}

impl Connection {
    /// The jobs that erasures wait for that were asked for until a time, and on which nobody works: they are paused, or wait in
    /// their queue. Another erasure is none of them.
    pub async fn list_jobs_in_the_way(&mut self, tenant: Tenant, until: Timestamp) -> Result<Vec<JobRef>> {
        let sql = format!(
            "SELECT DISTINCT o.id FROM {} {} jobs AS o ON o.tenant = j.tenant AND o.id = j.waits_for
             WHERE q.tenant = $1 AND j.kind = 'erase' AND j.state = 'running' AND j.submitted_at <= $2
               AND o.kind <> 'erase' AND o.state IN ('queued', 'paused')",
            self.dialect().open_jobs(),
            self.dialect().join()
        );
        let params = params![tenant.0, until.as_microsecond()];
        self.query(&sql, params, |row| Ok(JobRef { tenant, id: row.parsed(0)? })).await
    }
}

impl Transaction {
    /// Lets no job of the community be made or begin until the transaction ends. The community must be locked.
    pub async fn hold_jobs_back(&mut self, tenant: Tenant) -> Result<()> {
        self.execute("UPDATE counters SET next_job = next_job WHERE tenant = $1", params![tenant.0]).await?;
        let sql = "UPDATE jobs SET number = number WHERE tenant = $1 AND state IN ('queued', 'paused')
                   AND id IN (SELECT job_id FROM job_queue WHERE tenant = $1)";
        self.execute(sql, params![tenant.0]).await.map(drop)
    }

    /// Removes a user and its history. Its keys and its entries in the index must go in the same transaction.
    pub async fn erase_user(&mut self, tenant: Tenant, user: UserId) -> Result<()> {
        for table in ["changes", "user_blocks", "user_openings"] {
            let sql = format!("DELETE FROM {table} WHERE tenant = $1 AND user_id = $2");
            self.execute(&sql, params![tenant.0, user.0]).await?;
        }
        let sql = "DELETE FROM users WHERE tenant = $1 AND id = $2";
        self.execute(sql, params![tenant.0, user.0]).await.map(drop)
    }

    /// Puts another body in the place of an answer that is kept.
    pub async fn replace_answer(&mut self, tenant: Tenant, key: &[u8], body: &[u8]) -> Result<()> {
        let sql = "UPDATE idempotency_keys SET body = $3 WHERE tenant = $1 AND key = $2 AND status <> 0";
        self.execute(sql, params![tenant.0, key, body]).await.map(drop)
    }

    /// Notes that the file of a job is gone. The time is that of the first note.
    pub async fn note_file_erased(&mut self, of: JobRef, at: Timestamp) -> Result<()> {
        let sql = "UPDATE jobs SET file_erased_at = coalesce(file_erased_at, $3), has_leftovers = TRUE
                   WHERE tenant = $1 AND id = $2";
        self.execute(sql, params![of.tenant.0, &of.id.to_string(), at.as_microsecond()]).await.map(drop)
    }

    /// Notes that the results of a job are gone. The time is that of the first note.
    pub async fn note_results_expired(&mut self, of: JobRef, at: Timestamp) -> Result<()> {
        let sql = "UPDATE jobs SET results_expired_at = coalesce(results_expired_at, $3), has_leftovers = TRUE
                   WHERE tenant = $1 AND id = $2";
        self.execute(sql, params![of.tenant.0, &of.id.to_string(), at.as_microsecond()]).await.map(drop)
    }

    /// Notes that of what is noted as gone nothing is left.
    pub async fn note_removed(&mut self, of: &[JobRef]) -> Result<()> {
        let rows = Rows::new()
            .int("tenant", of.iter().map(|of| of.tenant.0).collect())
            .text("id", of.iter().map(|of| of.id.to_string()).collect());
        let sql =
            "UPDATE jobs SET has_leftovers = FALSE FROM {rows} AS r WHERE jobs.tenant = r.tenant AND jobs.id = r.id";
        self.execute_rows(sql, &[], &rows).await.map(drop)
    }
}

/// What of a job is removed after its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptOfJob {
    /// The file that was sent.
    File,
    /// What became of its rows.
    Results,
}

impl Connection {
    /// Jobs of which something is noted as gone and may still be there.
    pub async fn list_jobs_with_leftovers<S: DeserializeOwned>(
        &mut self,
        tenant: Tenant,
        limit: u32,
    ) -> Result<Vec<Job<S>>> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE tenant = $1 AND has_leftovers ORDER BY id LIMIT $2");
        self.query(&sql, params![tenant.0, i64::from(limit)], job).await
    }

    /// Jobs that ended until a time, are tidied up, and of which this is not noted as gone; those that ended first come
    /// first.
    pub async fn list_jobs_to_clear(
        &mut self,
        tenant: Tenant,
        what: KeptOfJob,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<JobRef>> {
        let gone = match what {
            KeptOfJob::File => "file_erased_at",
            KeptOfJob::Results => "results_expired_at",
        };
        let sql = format!(
            "SELECT j.id FROM jobs AS j
             WHERE j.tenant = $1 AND j.{gone} IS NULL AND j.finished_at <= $2
               AND NOT EXISTS (SELECT 1 FROM job_queue AS q WHERE q.job_id = j.id)
             ORDER BY j.finished_at, j.id LIMIT $3"
        );
        let params = params![tenant.0, until.as_microsecond(), i64::from(limit)];
        self.query(&sql, params, |row| Ok(JobRef { tenant, id: row.parsed(0)? })).await
    }

    /// Whether somebody of the community is to be erased and is not yet.
    pub async fn has_open_erasure(&mut self, tenant: Tenant) -> Result<bool> {
        let sql = format!(
            "SELECT count(*) FROM {} WHERE q.tenant = $1 AND j.kind = 'erase' AND j.state <> 'cancelled'",
            self.dialect().open_jobs()
        );
        Ok(self.query_one(&sql, params![tenant.0], |row| row.int(0)).await? > 0)
    }
}

impl Transaction {
    /// Removes at most so many deliveries of events that happened until a time and are not pending, and says how many.
    pub async fn delete_old_deliveries(&mut self, tenant: Tenant, until: Timestamp, limit: i64) -> Result<u64> {
        let sql = "DELETE FROM webhook_deliveries WHERE tenant = $1 AND id IN (
                       SELECT id FROM webhook_deliveries WHERE tenant = $1 AND occurred_at <= $2 AND status <> $4
                       ORDER BY occurred_at, id LIMIT $3
                   ) AND status <> $4";
        let pending = DeliveryStatus::Pending.as_str();
        self.execute(sql, params![tenant.0, until.as_microsecond(), limit, pending]).await
    }

    /// Takes work that one process does for all, or goes on with it: by the database's clock, for so long. False where
    /// another one has it.
    pub async fn take_lease(&mut self, name: &str, owner: &str, seconds: i64) -> Result<bool> {
        let now = self.dialect().now();
        let sql = format!(
            "INSERT INTO leases (name, owner, expires_at) VALUES ($1, $2, {now} + $3)
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
             WHERE leases.owner = excluded.owner OR leases.expires_at <= {now}"
        );
        Ok(self.execute(&sql, params![name, owner, seconds * 1_000_000]).await? == 1)
    }
}
