//! Taking away for good: what is stored of a user, files and results of jobs, answers that name somebody.

use crate::connection::params;
use crate::error::Result;
use crate::{Connection, JobRef, Transaction};
use jiff::Timestamp;
use muster_core::id::{JobId, Tenant, UserId};
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

impl Transaction {
    /// Removes a user and its history. Its keys and its entries in the index must go in the same transaction.
    pub async fn erase_user(&mut self, tenant: Tenant, user: UserId) -> Result<()> {
        for table in ["changes", "user_blocks"] {
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
        let sql = "UPDATE jobs SET file_erased_at = coalesce(file_erased_at, $3) WHERE tenant = $1 AND id = $2";
        self.execute(sql, params![of.tenant.0, &of.id.to_string(), at.as_microsecond()]).await.map(drop)
    }

    /// Notes that the results of a job are gone. The time is that of the first note.
    pub async fn note_results_expired(&mut self, of: JobRef, at: Timestamp) -> Result<()> {
        let sql = "UPDATE jobs SET results_expired_at = coalesce(results_expired_at, $3) WHERE tenant = $1 AND id = $2";
        self.execute(sql, params![of.tenant.0, &of.id.to_string(), at.as_microsecond()]).await.map(drop)
    }
}
