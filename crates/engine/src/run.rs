//! One claimed job, brought to its end step by step: prepare, then chunk after chunk ([`apply`](crate::apply)), then
//! finish ([`finish`](crate::finish)).
//!
//! A step may be the last thing that its process does. What must hold then: the job row says how far the job is (pinned
//! rows, cursor), every commit moves it, and whoever claims the job next goes on from there. While a step runs, a pulse
//! extends the lease; a run whose lease is lost writes nothing more.

use crate::apply::Applying;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::job::{Job, reference};
use crate::prepare::prepare;
use crate::pulse::{Heard, Pulse};
use muster_core::job::{JobKind, JobState, OnError};
use muster_core::{Code, Error};
use muster_store::Claim;
use std::sync::Arc;

/// After so many claims in a row without progress a job is given up.
pub const MAX_FRUITLESS_ATTEMPTS: i64 = 5;

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The rows are sorted and durable.
    Prepared,
    /// So many rows were decided.
    Applied(usize),
    /// The job ended like this.
    Ended(JobState),
    /// The job was given back.
    Released,
    /// The job is not this run's any more: somebody else has it, cancelled it or paused it.
    Lost,
}

/// A claimed job on its way.
pub(crate) struct Run {
    pub(crate) engine: Engine,
    pub(crate) job: Job,
    fruitless: bool,
    pub(crate) pulse: Pulse,
    pub(crate) applying: Option<Applying>,
}

impl Run {
    pub(crate) fn new(engine: &Engine, claim: Claim<crate::job::Input>) -> Self {
        let pulse = Pulse::start(engine, &claim.job);
        let fruitless = claim.fruitless_attempts > MAX_FRUITLESS_ATTEMPTS;
        Self { engine: engine.clone(), job: claim.job, fruitless, pulse, applying: None }
    }

    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// What gives preparing up in the middle, when the process is to end; see [`Heard::stop`].
    pub(crate) fn heard(&self) -> Arc<Heard> {
        self.pulse.heard()
    }

    /// Does the next step. An error means that the run is over and the lease is left to expire.
    pub(crate) async fn step(&mut self) -> Result<Step> {
        match self.try_step().await {
            // What is wrong with the file or the options is wrong for good; so is a job that kills its workers.
            Err(EngineError::Refused(error)) => {
                if self.job.prepared.is_none() {
                    self.job.counts.received = self.pulse.rows_read();
                }
                self.end(JobState::Failed, Some(error)).await
            }
            other => other,
        }
    }

    async fn try_step(&mut self) -> Result<Step> {
        if self.job.state == JobState::Cancelled {
            return self.end(JobState::Cancelled, None).await;
        }
        if self.fruitless {
            let detail = format!("The job was claimed {MAX_FRUITLESS_ATTEMPTS} times and made no progress.");
            return Err(EngineError::refuse(Code::WorkerCrashed, detail));
        }
        self.check_failures()?;
        if self.job.kind == JobKind::Erase {
            return self.erase().await;
        }
        match self.job.prepared.clone() {
            None => self.prepare().await,
            Some(prepared) if self.job.cursor < prepared.rows_bytes => self.apply(prepared).await,
            Some(_) if self.job.dry_run => self.end(JobState::Planned, None).await,
            Some(_) => self.end(JobState::Completed, None).await,
        }
    }

    /// Whether rows that failed so far end the job.
    fn check_failures(&self) -> Result<(), Error> {
        let (failed, options) = (self.job.counts.failed, &self.job.options);
        let rows = if failed == 1 { "1 row".to_owned() } else { format!("{failed} rows") };
        let nothing = if self.job.cursor == 0 { " Nothing was written." } else { "" };
        if failed > 0 && options.on_error == Some(OnError::Abort) {
            let detail = format!("{rows} failed, and on_error=abort stops the job there.{nothing}");
            return Err(Error::new(Code::Aborted, detail));
        }
        match options.max_failed {
            Some(most) if failed > most => {
                let detail = format!("{rows} failed, and max_failed allows {most}.{nothing}");
                Err(Error::new(Code::TooManyFailures, detail))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Gives the job back between two steps, so that nobody has to wait for the lease to expire.
    pub(crate) async fn release(&mut self) -> Result<Step> {
        let mut tx = self.engine.store().begin().await?;
        let released = tx.release_job(reference(&self.job), self.job.attempt).await?;
        tx.commit().await?;
        Ok(if released { Step::Released } else { Step::Lost })
    }

    pub(crate) async fn pass(&self, point: &'static str) -> Result<()> {
        if self.engine.faults().is_due(point) {
            self.pulse.stop();
        }
        self.engine.faults().pass(point).await
    }

    async fn prepare(&mut self) -> Result<Step> {
        self.pass("prepare.claimed").await?;
        let fields = self.engine.fields(self.job.tenant).await?;
        let made = prepare(&self.engine, &self.job, &fields, &self.pulse).await?;
        self.pulse.stop_reporting();
        let Some(made) = made else { return self.release().await };
        self.pass("prepare.sorted").await?;
        let (of, staging) = (reference(&self.job), self.engine.staging());
        let mut tx = self.engine.store().begin().await?;
        if !tx.pin_prepared(of, self.job.attempt, &made.prepared, made.bytes, &made.counts).await? {
            staging.remove(&made.prepared.rows);
            staging.remove(&made.prepared.outcomes);
            return Ok(Step::Lost);
        }
        tx.commit().await?;
        self.pass("prepare.pinned").await?;
        self.job.counts = made.counts;
        self.job.prepared = Some(made.prepared);
        Ok(Step::Prepared)
    }
}
