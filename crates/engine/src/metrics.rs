//! What this process did, as numbers for whoever watches over it; and what waits in the database for anybody.
//!
//! Labels are words of ours: kinds, states, statuses. Nothing names a community, a user or a job.

use crate::engine::Engine;
use crate::error::Result;
use jiff::Timestamp;
use muster_core::job::{Counts, JobKind, JobState};
use muster_core::outcome::Status;
use muster_store::OpenJobs;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Seconds that a commit of a chunk takes; a tenth is what is aimed at.
const CHUNK_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RowLabels {
    kind: &'static str,
    dry_run: bool,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    kind: &'static str,
    state: &'static str,
}

/// What this process did since it began.
#[derive(Debug)]
pub struct Metrics {
    rows: Family<RowLabels, Counter>,
    ended: Family<JobLabels, Counter>,
    chunk_seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let chunk_seconds = Histogram::new(CHUNK_SECONDS);
        Self { rows: Family::default(), ended: Family::default(), chunk_seconds }
    }
}

impl Metrics {
    /// Names the numbers in a registry, where they are read from now on.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Rows that this process decided, by the kind of their job and what became of them";
        registry.register("rows", help, self.rows.clone());
        let help = "Jobs that this process brought to their end, by kind and final state";
        registry.register("jobs_ended", help, self.ended.clone());
        let help = "How long the commit of a chunk took in this process";
        registry.register("chunk_commit_seconds", help, self.chunk_seconds.clone());
    }

    /// Counts rows that are decided for good.
    pub(crate) fn count_rows(&self, kind: JobKind, dry_run: bool, counts: &Counts) {
        let Counts { received: _, created, updated, unchanged, skipped, failed } = *counts;
        let decided = [
            (Status::Created, created),
            (Status::Updated, updated),
            (Status::Unchanged, unchanged),
            (Status::Skipped, skipped),
            (Status::Failed, failed),
        ];
        for (status, rows) in decided.into_iter().filter(|(_, rows)| *rows > 0) {
            let labels = RowLabels { kind: kind.as_str(), dry_run, status: status.as_str() };
            self.rows.get_or_create(&labels).inc_by(rows);
        }
    }

    pub(crate) fn count_end(&self, kind: JobKind, state: JobState) {
        self.ended.get_or_create(&JobLabels { kind: kind.as_str(), state: state.as_str() }).inc();
    }

    pub(crate) fn observe_chunk(&self, took: Duration) {
        self.chunk_seconds.observe(took.as_secs_f64());
    }
}

impl Engine {
    /// Names in a registry what waits in the database at this moment, which every process sees alike.
    pub async fn register_waiting(&self, registry: &mut Registry) -> Result<()> {
        let mut connection = self.store().read().await?;
        let open: Vec<OpenJobs> = connection.count_jobs_by_state().await?;
        let deliveries = connection.count_pending_deliveries().await?;
        let jobs = Family::<JobLabels, Gauge>::default();
        for some in &open {
            let labels = JobLabels { kind: some.kind.as_str(), state: some.state.as_str() };
            jobs.get_or_create(&labels).set(some.jobs as i64);
        }
        registry.register("jobs_open", "Jobs that are not over, by kind and state", jobs);
        let queued = || open.iter().filter(|some| some.state == JobState::Queued);
        let oldest = queued().map(|some| some.oldest_at).min();
        let mut number = |name, help, value: u64| {
            let gauge = <Gauge>::default();
            gauge.set(value as i64);
            registry.register(name, help, gauge);
        };
        number("queue_depth", "Jobs that wait for a worker", queued().map(|some| some.jobs).sum());
        let help = "How long the oldest of them has waited";
        number("queue_oldest_seconds", help, oldest.map_or(0, |at| seconds_since(at, self.clock().now())));
        let help = "Jobs that some worker holds";
        number("job_leases", help, open.iter().map(|some| some.leased).sum());
        number("deliveries_pending", "Deliveries to webhooks that are still to be made", deliveries);
        Ok(())
    }
}

fn seconds_since(at: Timestamp, now: Timestamp) -> u64 {
    now.duration_since(at).as_secs().try_into().unwrap_or(0)
}
