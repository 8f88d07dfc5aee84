//! Jobs for whose end the request waits that makes them.
//!
//! They are jobs like all others: their records are staged, the job is durable before anything is written, it stands in
//! the log with results and an undo, and any worker goes on with it after a crash. Only, the process that makes one claims
//! it in the same transaction and runs it at once, beside its workers if it has any. An idempotency key is bound to the
//! job there too (see [`crate::idempotency`]).

use crate::accept::NewJob;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::idempotency::Reservation;
use crate::job::Job;
use crate::run::Run;
use crate::worker::drive;
use muster_core::id::JobId;
use muster_core::intake::sniff::Format;
use muster_core::job::JobState;
use muster_core::outcome::Outcome;
use muster_core::{Code, Error};
use tokio::sync::watch;

/// A job that is over, and what became of each of its records.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The job.
    pub job: Job,
    /// What became of the records, in their order.
    pub outcomes: Vec<Outcome>,
}

impl Engine {
    /// Makes a job of JSON records, each without a line break, runs it, and says what became of each. A request that was
    /// sent before finds the job that it made then. Records are staged as they come, so that they need not be in memory
    /// together; how many there may be is for the face to say.
    ///
    /// Refuses like [`Engine::submit`]; with `still_running` where the job takes longer than a request may wait, while it goes on; and
    /// with the job's own error where it failed or was cancelled, which leaves what was applied.
    pub async fn run_batch(
        &self,
        caller: &Caller,
        new: NewJob,
        records: impl IntoIterator<Item = impl AsRef<[u8]>> + Send,
    ) -> Result<Batch> {
        let begun = caller.reservation.as_ref().map(Reservation::begun_job).transpose()?.flatten();
        let id = match begun {
            Some(id) => id,
            None => self.begin_batch(caller, new, records).await?,
        };
        let job = self.wait_for(caller, id, self.limits().answer_within).await?;
        let refuse = |error: Error| Err(Error { job_id: Some(id), ..error }.into());
        match (job.state, &job.error) {
            (JobState::Completed | JobState::Planned, _) => {}
            (JobState::Failed, Some(error)) => return refuse(error.clone()),
            (JobState::Failed | JobState::Cancelled, _) => {
                return refuse(Error::new(Code::InvalidState, format!("The job {id} was cancelled while it ran.")));
            }
            (JobState::Queued | JobState::Running | JobState::Paused, _) => {
                let detail = format!("The job {id} goes on and takes longer than a request may wait.");
                return refuse(Error::new(Code::StillRunning, detail));
            }
        }
        let (job, mut all) = self.outcomes(job).await?;
        let mut outcomes = Vec::new();
        tokio::task::block_in_place(|| -> Result<()> {
            while let Some(outcome) = all.next()? {
                outcomes.push(outcome);
            }
            Ok(())
        })?;
        if outcomes.len() as u64 != job.counts.received {
            return Err(EngineError::Damaged(format!("the results of {id}")));
        }
        Ok(Batch { job, outcomes })
    }

    /// Makes the job, and begins to run it.
    async fn begin_batch(
        &self,
        caller: &Caller,
        new: NewJob,
        records: impl IntoIterator<Item = impl AsRef<[u8]>> + Send,
    ) -> Result<JobId> {
        let mut upload = self.submit(caller, NewJob { format: Some(Format::Ndjson), ..new }).await?;
        tokio::task::block_in_place(|| {
            let mut line = Vec::new();
            records.into_iter().try_for_each(|record| {
                line.clear();
                line.extend_from_slice(record.as_ref());
                line.push(b'\n');
                upload.write(&line)
            })
        })?;
        let staged = upload.stage().await?;
        self.faults().pass("accept.staged").await?;
        let mut tx = self.store().begin().await?;
        self.insert_in(&mut tx, caller, &staged).await?;
        if let Some(reservation) = &caller.reservation {
            reservation.bind(&mut tx, staged.of.id).await?;
            self.faults().pass("accept.answered").await?;
        }
        let claim = tx.claim_job(staged.of, self.owner()?, self.clock().now()).await?;
        tx.commit().await?;
        self.faults().pass("accept.inserted").await?;
        // On a task of its own, which goes on where nobody waits any more.
        if let Some(claim) = claim {
            let (engine, run) = (self.clone(), Run::new(self, claim));
            tokio::spawn(async move {
                let (_never, stopping) = watch::channel(false);
                drive(&engine, run, stopping).await;
            });
        }
        Ok(staged.of.id)
    }
}
