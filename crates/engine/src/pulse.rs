//! The heartbeat of a run: extends its lease, and hears when the job is not its any more.

use crate::engine::Engine;
use crate::error::{Result, chain};
use crate::job::{Job, reference};
use muster_store::JobRef;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How often the lease is extended.
const PULSE: Duration = Duration::from_secs(2);

/// The heartbeat of a run, and what it hears.
#[derive(Debug)]
pub(crate) struct Pulse {
    heard: Arc<Heard>,
    task: AbortHandle,
}

/// What a run hears while it takes a step.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    lost: AtomicBool,
    stop: AtomicBool,
    reading: AtomicBool,
    bytes: AtomicU64,
    rows: AtomicU64,
}

impl Heard {
    /// Gives preparing up as soon as it looks. Whoever has the job next prepares again.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Pulse {
    pub(crate) fn start(engine: &Engine, job: &Job) -> Self {
        let heard = Arc::new(Heard::default());
        let (engine, of, attempt, ours) = (engine.clone(), reference(job), job.attempt, heard.clone());
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PULSE).await;
                let reading = ours.reading.load(Ordering::Relaxed);
                let reading = reading.then(|| (ours.bytes.load(Ordering::Relaxed), ours.rows.load(Ordering::Relaxed)));
                match beat(&engine, of, attempt, reading).await {
                    Ok(true) => {}
                    Ok(false) => ours.lost.store(true, Ordering::Relaxed),
                    // The lease may expire meanwhile; then the next write finds it lost.
                    Err(error) => tracing::warn!(job = %of.id, cause = chain(&error), "a heartbeat failed"),
                }
            }
        });
        Self { heard, task: task.abort_handle() }
    }

    /// Whether preparing should be given up: somebody else has the job, cancelled it or paused it, or the process ends.
    pub(crate) fn is_lost(&self) -> bool {
        self.heard.lost.load(Ordering::Relaxed) || self.heard.stop.load(Ordering::Relaxed)
    }

    /// How many rows were read, as reported last.
    pub(crate) fn rows_read(&self) -> u64 {
        self.heard.rows.load(Ordering::Relaxed)
    }

    /// What gives preparing up in the middle, when the process is to end.
    pub(crate) fn heard(&self) -> Arc<Heard> {
        self.heard.clone()
    }

    /// Stops beating, as the process that dies does.
    pub(crate) fn stop(&self) {
        self.task.abort();
    }

    /// Says how far preparing is.
    pub(crate) fn report_reading(&self, bytes: u64, rows: u64) {
        self.heard.bytes.store(bytes, Ordering::Relaxed);
        self.heard.rows.store(rows, Ordering::Relaxed);
        self.heard.reading.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stop_reporting(&self) {
        self.heard.reading.store(false, Ordering::Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn beat(engine: &Engine, of: JobRef, attempt: i64, reading: Option<(u64, u64)>) -> Result<bool> {
    let mut tx = engine.store().begin().await?;
    let heard = tx.heartbeat(of, attempt, reading).await?;
    tx.commit().await?;
    Ok(heard)
}
