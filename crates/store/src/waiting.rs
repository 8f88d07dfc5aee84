//! How much is to be done, in all communities together: for whoever runs the servers.

use crate::Connection;
use crate::error::{Result, StoreError};
use jiff::Timestamp;
use muster_core::job::{JobKind, JobState};

/// Jobs of one kind in one state that are in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenJobs {
    /// The kind.
    pub kind: JobKind,
    /// The state; cancelled ones still have to be tidied up.
    pub state: JobState,
    /// How many.
    pub jobs: u64,
    /// How many of them some worker holds.
    pub leased: u64,
    /// When the first of them was submitted.
    pub oldest_at: Timestamp,
}

impl Connection {
    /// The jobs in the queue by kind and state.
    pub async fn count_jobs_by_state(&mut self) -> Result<Vec<OpenJobs>> {
        let sql = format!(
            "SELECT j.kind, j.state, count(*), count(CASE WHEN j.lease_expires_at >= {} THEN 1 END), min(j.submitted_at)
             FROM {} GROUP BY j.kind, j.state ORDER BY j.kind, j.state",
            self.dialect().now(),
            self.dialect().open_jobs()
        );
        self.query(&sql, &[], |row| {
            let unknown = |text: &str| StoreError::Corrupt(format!("a job holds the word \"{text}\""));
            Ok(OpenJobs {
                kind: JobKind::parse(row.text(0)?).ok_or_else(|| unknown("kind"))?,
                state: JobState::parse(row.text(1)?).ok_or_else(|| unknown("state"))?,
                jobs: row.int(2)? as u64,
                leased: row.int(3)? as u64,
                oldest_at: row.time(4)?,
            })
        })
        .await
    }

    /// How many deliveries to webhooks are still to be made.
    pub async fn count_pending_deliveries(&mut self) -> Result<u64> {
        let sql = "SELECT count(*) FROM webhook_queue";
        self.query_one(sql, &[], |row| Ok(row.int(0)? as u64)).await
    }
}
