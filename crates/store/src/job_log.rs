//! The log of jobs, page by page with numbers, for faces whose product counts pages.

use crate::Connection;
use crate::Job;
use crate::connection::params;
use crate::error::{Result, StoreError};
use crate::jobs::{COLUMNS, job};
use muster_core::actor::Actor;
use muster_core::id::Tenant;
use muster_core::job::JobKind;
use serde::de::DeserializeOwned;

impl Connection {
    /// Jobs of these kinds, newest first, behind so many of them.
    pub async fn list_job_log<S: DeserializeOwned>(
        &mut self,
        tenant: Tenant,
        kinds: &[JobKind],
        behind: u64,
        limit: u32,
    ) -> Result<Vec<Job<S>>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE tenant = $1 AND kind IN ({}) ORDER BY number DESC LIMIT $2 OFFSET $3",
            words(kinds)
        );
        let behind = i64::try_from(behind).unwrap_or(i64::MAX);
        self.query(&sql, params![tenant.0, i64::from(limit), behind], job).await
    }

    /// How many jobs of exactly this actor are not over.
    pub async fn count_open_jobs_of(&mut self, tenant: Tenant, actor: &Actor) -> Result<u64> {
        let actor = serde_json::to_string(actor).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let sql = format!(
            "SELECT count(*) FROM {} WHERE q.tenant = $1 AND j.state <> 'cancelled' AND j.actor = $2",
            self.dialect().open_jobs()
        );
        self.query_one(&sql, params![tenant.0, &actor], |row| Ok(row.int(0)? as u64)).await
    }

    /// How many jobs of these kinds there are.
    pub async fn count_job_log(&mut self, tenant: Tenant, kinds: &[JobKind]) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM jobs WHERE tenant = $1 AND kind IN ({})", words(kinds));
        self.query_one(&sql, params![tenant.0], |row| Ok(row.int(0)? as u64)).await
    }
}

/// The kinds as words of SQL: they are our own, and none has a quote in it.
fn words(kinds: &[JobKind]) -> String {
    let words: Vec<String> = kinds.iter().map(|kind| format!("'{kind}'")).collect();
    if words.is_empty() { "NULL".to_owned() } else { words.join(", ") }
}
