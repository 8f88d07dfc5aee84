//! Looking at jobs, and telling them to stop and go on.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::events;
use crate::job::{Job, reference};
use muster_core::Code;
use muster_core::id::JobId;
use muster_core::job::JobState;
use muster_core::scope::Scope;
use muster_store::{JobFilter, JobRef};
use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

/// How often somebody who waits for a job looks at it, if nothing rings before.
const LOOK: Duration = Duration::from_millis(200);

/// A job as it is now, and how fast it goes.
#[derive(Clone, Debug)]
pub struct JobView {
    /// The job.
    pub job: Job,
    /// Rows that are decided.
    pub rows_done: u64,
    /// Decided rows for each second since the job began.
    pub rows_per_second: f64,
    /// How long it will take at that rate, in seconds, once it is known how many rows there are.
    pub eta_seconds: Option<f64>,
}

/// Jobs, newest first.
#[derive(Clone, Debug)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// The number to go on before, if there are more.
    pub next: Option<i64>,
}

impl Engine {
    /// Makes a view of a job.
    pub fn view(&self, job: Job) -> JobView {
        let rows_done = job.counts.decided();
        let until = job.finished_at.unwrap_or_else(|| self.clock().now());
        let seconds = job.started_at.map_or(0.0, |started| (until - started).total(jiff::Unit::Second).unwrap_or(0.0));
        let rows_per_second = if seconds > 0.0 { rows_done as f64 / seconds } else { 0.0 };
        let left = job.counts.unprocessed() as f64;
        let known = job.prepared.is_some() && !job.state.is_final() && rows_per_second > 0.0;
        JobView { eta_seconds: known.then(|| left / rows_per_second), rows_done, rows_per_second, job }
    }

    /// A job of the caller's community.
    pub async fn get_job(&self, caller: &Caller, id: JobId) -> Result<JobView> {
        caller.require(Scope::JobsRead)?;
        Ok(self.view(self.find_job(caller, id).await?))
    }

    pub(crate) async fn find_job(&self, caller: &Caller, id: JobId) -> Result<Job> {
        let found = self.store().read().await?.get_job(caller.tenant, id).await?;
        found.ok_or_else(|| EngineError::not_found("job"))
    }

    /// The job once it has ended, or as it is when the time is up.
    pub async fn wait_for_job(&self, caller: &Caller, id: JobId, at_most: Duration) -> Result<JobView> {
        caller.require(Scope::JobsRead)?;
        Ok(self.view(self.wait_for(caller, id, at_most).await?))
    }

    pub(crate) async fn wait_for(&self, caller: &Caller, id: JobId, at_most: Duration) -> Result<Job> {
        let begun = self.clock().moment();
        loop {
            let stepped = self.stepped().notified();
            let job = self.find_job(caller, id).await?;
            let left = at_most.saturating_sub(self.clock().since(begun));
            if job.state.is_final() || left.is_zero() {
                return Ok(job);
            }
            let _ = tokio::time::timeout(LOOK.min(left), stepped).await;
        }
    }

    /// Jobs of the caller's community.
    pub async fn list_jobs(&self, caller: &Caller, filter: &JobFilter, limit: u32) -> Result<JobPage> {
        caller.require(Scope::JobsRead)?;
        let mut jobs = self.store().read().await?.list_jobs(caller.tenant, filter, limit + 1).await?;
        let more = jobs.len() > limit as usize;
        jobs.truncate(limit as usize);
        let next = jobs.last().filter(|_| more).map(|job: &Job| job.number);
        Ok(JobPage { next, jobs: jobs.into_iter().map(|job| self.view(job)).collect() })
    }

    /// The bytes that were submitted, as they came.
    pub async fn open_job_file(&self, caller: &Caller, id: JobId) -> Result<(Job, BufReader<File>)> {
        caller.require(Scope::JobsRead)?;
        caller.require(Scope::UsersRead)?;
        let job = self.find_job(caller, id).await?;
        if job.source.file.is_none() && job.source.listing.is_empty() {
            return Err(EngineError::refuse(Code::NotFound, "The job has no file."));
        }
        check_file(&job)?;
        let file = self.staging().read(&job.staged, 0)?;
        Ok((job, file))
    }

    /// Cancels a job at once, whoever works on it: what is applied stays, the rest is never done. Doing it again changes
    /// nothing.
    pub async fn cancel_job(&self, caller: &Caller, id: JobId) -> Result<JobView> {
        self.control(caller, id, Control::Cancel).await
    }

    /// Stops a job at once, between two chunks. Doing it again changes nothing.
    pub async fn pause_job(&self, caller: &Caller, id: JobId) -> Result<JobView> {
        self.control(caller, id, Control::Pause).await
    }

    /// Lets a paused job go on. Doing it again changes nothing.
    pub async fn resume_job(&self, caller: &Caller, id: JobId) -> Result<JobView> {
        self.control(caller, id, Control::Resume).await
    }

    async fn control(&self, caller: &Caller, id: JobId, control: Control) -> Result<JobView> {
        caller.require(Scope::JobsWrite)?;
        let job = self.find_job(caller, id).await?;
        caller.require(job.kind.scope())?;
        let of: JobRef = reference(&job);
        let mut tx = self.store().begin().await?;
        let done = match control {
            Control::Cancel => {
                let at = self.clock().now();
                let cancelled = tx.cancel_job(of, at).await?;
                if cancelled {
                    events::record(&mut tx, of, JobState::Cancelled, at).await?;
                }
                cancelled
            }
            Control::Pause => tx.pause_job(of).await?,
            Control::Resume => tx.resume_job(of).await?,
        };
        let job = tx.get_job(of.tenant, of.id).await?.ok_or_else(|| EngineError::not_found("job"))?;
        if !done && !control.is_done(&job) {
            let detail = format!("The job is {} and cannot {} any more.", job.state, control.verb());
            return Err(EngineError::refuse(Code::InvalidState, detail));
        }
        caller.commit(tx).await?;
        self.submitted().notify_one();
        self.stepped().notify_waiters();
        Ok(self.view(job))
    }
}

/// Refuses with `file_erased` where the file of a job is gone.
pub(crate) fn check_file(job: &Job) -> Result<()> {
    match job.file_erased_at {
        None => Ok(()),
        Some(at) => {
            let detail = format!("The file of the job was removed at {at}, with somebody in it or after its time.");
            Err(EngineError::refuse(Code::FileErased, detail))
        }
    }
}

#[derive(Clone, Copy)]
enum Control {
    Cancel,
    Pause,
    Resume,
}

impl Control {
    /// Whether the job is already what was asked for.
    fn is_done(self, job: &Job) -> bool {
        match self {
            Self::Cancel => job.state == JobState::Cancelled,
            Self::Pause => job.state == JobState::Paused,
            Self::Resume => matches!(job.state, JobState::Queued | JobState::Running),
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Cancel => "be cancelled",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}
