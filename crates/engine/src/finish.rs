//! Ending a job: its outcomes become one object, those of a dry run a plan as well.

use crate::chunk::ChunkRecord;
use crate::error::Result;
use crate::events;
use crate::frames;
use crate::job::{Job, folder, is_kept, object, reference};
use crate::prepare::PreparedRow;
use crate::results;
use crate::run::{Run, Step};
use muster_core::Error;
use muster_core::job::JobState;
use muster_core::outcome::Status;
use muster_store::{EndOfJob, Prepared};

impl Run {
    /// Merges the outcomes into one object and ends the job.
    pub(crate) async fn end(&mut self, state: JobState, error: Option<Error>) -> Result<Step> {
        self.applying = None;
        let merged = results::merge(&self.engine, &self.job).await?;
        let plan = match (&self.job.prepared, state) {
            (Some(prepared), JobState::Planned) => Some(self.write_plan(prepared).await?),
            _ => None,
        };
        self.pass("finish.merged").await?;
        let end = EndOfJob {
            state,
            error: error.as_ref(),
            results: merged.as_deref(),
            plan: plan.as_deref(),
            received: self.job.counts.received,
            at: self.engine.clock().now(),
        };
        let (of, staging) = (reference(&self.job), self.engine.staging());
        let mut tx = self.engine.store().begin().await?;
        if !tx.end_job(of, self.job.attempt, &end).await? {
            merged.iter().chain(&plan).for_each(|name| staging.remove(name));
            return Ok(Step::Lost);
        }
        // Of a cancelled job others are told when it is cancelled.
        if state != JobState::Cancelled {
            events::record(&mut tx, of, state, end.at).await?;
        }
        tx.commit().await?;
        self.engine.metrics().count_end(self.job.kind, state);
        self.pass("finish.ended").await?;
        // Attempts that died left theirs too.
        self.job = Job { state, results: merged, plan, ..self.job.clone() };
        staging.keep_only(&folder(of), |name| is_kept(&self.job, name))?;
        Ok(Step::Ended(state))
    }

    /// Writes the rows that a dry run would apply, in the order of the prepared ones, each with the version that its user
    /// had.
    async fn write_plan(&self, prepared: &Prepared) -> Result<String> {
        let (staging, of) = (self.engine.staging(), reference(&self.job));
        let name = object(of, &format!("plan-{}", self.job.attempt));
        let mut plan = staging.create()?;
        let mut rows = staging.read(&prepared.rows, 0)?;
        let (mut next, mut buffer) = (0, Vec::new());
        loop {
            let some = self.engine.store().read().await?.next_outcomes(of, next).await?;
            let Some((cursor, blob)) = some else { break };
            next = cursor + 1;
            tokio::task::block_in_place(|| -> Result<()> {
                let record: ChunkRecord = frames::decode(&blob)?;
                for (outcome, version) in record.outcomes.iter().zip(record.versions) {
                    frames::read(&mut rows, &mut buffer)?;
                    match outcome.status {
                        Status::Failed | Status::Skipped => {}
                        Status::Created | Status::Updated | Status::Unchanged => {
                            let row: PreparedRow = frames::decode(&buffer)?;
                            // Whom it was planned for, who may not be who was found when the rows were prepared.
                            let row = PreparedRow { user: outcome.user, expected: Some(version), ..row };
                            frames::write(&mut plan, &frames::encode(&row)?)?;
                        }
                    }
                }
                Ok(())
            })?;
        }
        tokio::task::block_in_place(|| plan.publish(staging, &name))?;
        Ok(name)
    }
}
