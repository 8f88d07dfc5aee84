//! Removing what is over its time: files, results, history, deliveries. How long each community keeps them stands in its settings.
//!
//! A worker does it once a minute, and of all workers the one that holds a lease. Each step is small and can be done twice:
//! what goes is noted before it is removed, so nothing is shown as there that is not, and a worker that dies in between leaves
//! what the next one removes.

mod history;

use crate::engine::Engine;
use crate::error::Result;
use crate::job::{Job, folder, reference};
use jiff::{SignedDuration, Timestamp};
use muster_core::id::Tenant;
use muster_store::KeptOfJob;

/// How many jobs, and how many deliveries, are dealt with in one transaction.
const JOBS_AT_ONCE: u32 = 100;
const DELIVERIES_AT_ONCE: i64 = 1_000;
/// The work that one worker does for all, and how long it stays that worker's if nothing is heard of it, in seconds.
const SWEEPING: (&str, i64) = ("sweep", 300);

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs whose file was removed, or that have none and were looked at.
    pub files: u64,
    /// Jobs whose results were removed.
    pub results: u64,
    /// Change sets that were pruned.
    pub changes: u64,
    /// Deliveries to webhooks.
    pub deliveries: u64,
}

impl Engine {
    /// Removes what is over its time by now, of every community.
    pub async fn sweep_expired(&self, now: Timestamp) -> Result<Swept> {
        let mut swept = Swept::default();
        let communities = self.store().read().await?.list_communities().await?;
        for community in communities {
            let (tenant, days) = (community.tenant, community.settings.retention_days);
            self.clear_the_way(tenant, now).await?;
            self.remove_leftovers(tenant).await?;
            if let Some(until) = before(now, days.results) {
                swept.results += self.clear(tenant, KeptOfJob::Results, until, now).await?;
            }
            if let Some(until) = before(now, days.files) {
                swept.files += self.clear(tenant, KeptOfJob::File, until, now).await?;
            }
            if let Some(until) = before(now, days.history) {
                swept.changes += self.prune_history(tenant, until, now).await?;
            }
            if let Some(until) = before(now, days.deliveries) {
                swept.deliveries += self.delete_deliveries(tenant, until).await?;
            }
        }
        Ok(swept)
    }

    /// The same, if no other worker does it.
    pub(crate) async fn sweep_expired_as(&self, owner: &str) -> Result<Swept> {
        let mut tx = self.store().begin().await?;
        let leads = tx.take_lease(SWEEPING.0, owner, SWEEPING.1).await?;
        tx.commit().await?;
        if leads { self.sweep_expired(self.clock().now()).await } else { Ok(Swept::default()) }
    }

    /// Notes first what is gone, so that nobody is told that it is there, and removes it then.
    async fn clear(&self, tenant: Tenant, what: KeptOfJob, until: Timestamp, now: Timestamp) -> Result<u64> {
        let mut cleared = 0;
        loop {
            let jobs = self.store().read().await?.list_jobs_to_clear(tenant, what, until, JOBS_AT_ONCE).await?;
            if jobs.is_empty() {
                return Ok(cleared);
            }
            cleared += jobs.len() as u64;
            let mut tx = self.store().begin().await?;
            for of in jobs {
                match what {
                    KeptOfJob::File => tx.note_file_erased(of, now).await?,
                    KeptOfJob::Results => tx.note_results_expired(of, now).await?,
                }
            }
            tx.commit().await?;
            self.faults().pass("sweep.noted").await?;
            self.remove_leftovers(tenant).await?;
        }
    }

    /// Removes what is noted as gone and still there: noted right now, or by somebody who died before it was removed.
    async fn remove_leftovers(&self, tenant: Tenant) -> Result<()> {
        loop {
            let jobs: Vec<Job> = self.store().read().await?.list_jobs_with_leftovers(tenant, JOBS_AT_ONCE).await?;
            if jobs.is_empty() {
                return Ok(());
            }
            tokio::task::block_in_place(|| jobs.iter().try_for_each(|job| self.remove_cleared(job)))?;
            let mut tx = self.store().begin().await?;
            tx.note_removed(&jobs.iter().map(reference).collect::<Vec<_>>()).await?;
            tx.commit().await?;
        }
    }

    /// Removes the objects of a job that are noted as gone.
    fn remove_cleared(&self, job: &Job) -> Result<()> {
        self.staging().keep_only(&folder(reference(job)), |name| match name == job.staged {
            true => job.file_erased_at.is_none(),
            false => job.results_expired_at.is_none(),
        })
    }

    async fn delete_deliveries(&self, tenant: Tenant, until: Timestamp) -> Result<u64> {
        let mut deleted = 0;
        loop {
            let mut tx = self.store().begin().await?;
            let some = tx.delete_old_deliveries(tenant, until, DELIVERIES_AT_ONCE).await?;
            tx.commit().await?;
            deleted += some;
            if some < DELIVERIES_AT_ONCE as u64 {
                return Ok(deleted);
            }
        }
    }
}

/// The time so many days ago; none for what is kept for ever.
fn before(now: Timestamp, days: Option<u32>) -> Option<Timestamp> {
    now.checked_sub(SignedDuration::from_hours(24 * i64::from(days?))).ok()
}
