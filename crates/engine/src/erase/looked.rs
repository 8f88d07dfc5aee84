//! Goes through the jobs of a community for an erasure: those that ended are cleared of the person, and one that is not over
//! and holds the person stands in the way.
//!
//! While this goes on others begin and end. They are gone through afterwards, until there is none at the moment at which the user
//! is taken away. A job that was submitted after the erasure and has not begun by then will find nobody.

use super::BATCH;
use super::scrub;
use super::subject::Subject;
use crate::error::{EngineError, Result};
use crate::job::Job;
use crate::run::Run;
use muster_core::field::FieldSet;
use muster_core::id::{JobId, Tenant};
use muster_core::job::JobKind;
use muster_store::{Connection, JobFilter};
use std::collections::BTreeSet;
use std::io::ErrorKind;

/// Which jobs were looked at: all up to the newest, but for those that had not begun.
#[derive(Default)]
pub(super) struct Looked {
    newest: i64,
    waiting: BTreeSet<JobId>,
}

/// What a look at the jobs came to.
pub(super) enum Way {
    /// None of them holds the person.
    Free,
    /// A job that is not over does, or may.
    Held(JobId),
    /// The erasure is not this run's any more.
    Lost,
}

impl Looked {
    /// Whether a job has begun that was not looked at. To be asked while no more can begin.
    pub(super) async fn has_missed(&self, connection: &mut Connection, tenant: Tenant) -> Result<bool> {
        for id in &self.waiting {
            let job: Option<Job> = connection.get_job(tenant, *id).await?;
            if job.is_some_and(|job| has_begun(&job)) {
                return Ok(true);
            }
        }
        let mut filter = JobFilter::default();
        loop {
            let jobs: Vec<Job> = connection.list_jobs(tenant, &filter, BATCH).await?;
            let newer = || jobs.iter().take_while(|job| job.number > self.newest);
            if newer().any(has_begun) || newer().count() < BATCH as usize {
                return Ok(newer().any(has_begun));
            }
            filter.before = jobs.last().map(|last| last.number);
        }
    }
}

impl Run {
    /// Looks at all jobs that were not looked at, and takes the person out of those that have ended.
    pub(super) async fn look_through(&self, looked: &mut Looked, subject: &Subject, fields: &FieldSet) -> Result<Way> {
        let (store, tenant) = (self.engine.store(), self.job.tenant);
        let touched = store.read().await?.list_jobs_of_user(tenant, subject.id()).await?;
        let (mut filter, mut newest) = (JobFilter::default(), looked.newest);
        let mut waiting = std::mem::take(&mut looked.waiting).into_iter();
        loop {
            let jobs: Vec<Job> = match waiting.next() {
                Some(id) => store.read().await?.get_job(tenant, id).await?.into_iter().collect(),
                None => {
                    let jobs: Vec<Job> = store.read().await?.list_jobs(tenant, &filter, BATCH).await?;
                    filter.before = jobs.last().map(|last| last.number);
                    let jobs: Vec<Job> = jobs.into_iter().take_while(|job| job.number > looked.newest).collect();
                    if jobs.is_empty() {
                        looked.newest = newest;
                        return Ok(Way::Free);
                    }
                    jobs
                }
            };
            for job in jobs {
                newest = newest.max(job.number);
                if self.pulse.is_lost() {
                    return Ok(Way::Lost);
                }
                if !has_begun(&job) && job.number > self.job.number {
                    looked.waiting.insert(job.id);
                } else if self.is_held_by(&job, touched.contains(&job.id), subject, fields).await? {
                    return Ok(Way::Held(job.id));
                }
            }
        }
    }

    /// Whether a job is not over and holds the person. One that is over does so no more afterwards.
    async fn is_held_by(&self, job: &Job, touched: bool, subject: &Subject, fields: &FieldSet) -> Result<bool> {
        if job.kind == JobKind::Erase {
            // Two at once would each undo what the other takes out of the same objects.
            return Ok(!job.state.is_final() && job.number < self.job.number);
        }
        let staging = self.engine.staging();
        if !has_ended(job) {
            let holds = || tokio::task::block_in_place(|| scrub::may_hold(staging, job, subject, fields));
            return match if touched { Ok(true) } else { holds() } {
                // It ends at this moment.
                Err(EngineError::Staging(error)) if error.kind() == ErrorKind::NotFound => Ok(true),
                holds => holds,
            };
        }
        let holds = tokio::task::block_in_place(|| scrub::scrub(staging, job, subject, fields))?;
        // Whoever died between the note and the removal could not look into it again.
        let left = job.file_erased_at.is_some() && !job.staged.is_empty() && staging.exists(&job.staged);
        if holds || left || touched && job.source.file.is_some() {
            self.erase_file(job).await?;
        }
        Ok(false)
    }
}

fn has_begun(job: &Job) -> bool {
    job.started_at.is_some() || job.state.is_final()
}

/// Whether a job is over. One that is cancelled and not tidied up is not, where there is something to tidy up.
fn has_ended(job: &Job) -> bool {
    job.state.is_final() && (job.results.is_some() || job.prepared.is_none())
}
