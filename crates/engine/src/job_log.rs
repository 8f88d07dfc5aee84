//! The log of bulk changes, for a face on which whoever may submit a kind of job may look at jobs of that kind, without
//! `jobs:read` (section 10 of the contract, "Scopes").

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::Result;
use crate::jobs::JobView;
use crate::results::ErrorGroup;
use muster_core::id::JobId;
use muster_core::job::JobKind;
use muster_core::scope::Scope;

/// The scopes that read their own kinds of job.
const READ_THEIR_OWN: [Scope; 2] = [Scope::BulkUpdate, Scope::BulkImport];

/// A page of the log, newest first.
#[derive(Clone, Debug)]
pub struct JobLog {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// How many jobs the log has.
    pub total: u64,
}

/// A job and why rows of it failed or were skipped.
#[derive(Clone, Debug)]
pub struct JobDetails {
    /// The job.
    pub view: JobView,
    /// The reasons, the most frequent first; without sample values where the caller may not read users.
    pub errors: Vec<ErrorGroup>,
}

impl Engine {
    /// A page of the log: the jobs whose kinds the caller may see, `page` counted from 1.
    pub async fn job_log(&self, caller: &Caller, page: u32, limit: u32) -> Result<JobLog> {
        let [update, import] = READ_THEIR_OWN;
        caller.require_any(&[update, import, Scope::JobsRead])?;
        let kinds: Vec<JobKind> = JobKind::ALL.iter().copied().filter(|kind| sees(caller, *kind)).collect();
        let behind = u64::from(page.saturating_sub(1)) * u64::from(limit);
        let mut connection = self.store().read().await?;
        let total = connection.count_job_log(caller.tenant, &kinds).await?;
        let jobs = connection.list_job_log(caller.tenant, &kinds, behind, limit).await?;
        Ok(JobLog { jobs: jobs.into_iter().map(|job| self.view(job)).collect(), total })
    }

    /// One job of the log. Refuses with `missing_scope` one whose kind the caller may not see.
    pub async fn logged_job(&self, caller: &Caller, id: JobId) -> Result<JobView> {
        let [update, import] = READ_THEIR_OWN;
        caller.require_any(&[update, import, Scope::JobsRead])?;
        let job = self.find_job(caller, id).await?;
        if !sees(caller, job.kind) {
            let own = READ_THEIR_OWN.into_iter().find(|scope| *scope == job.kind.scope());
            let needed: Vec<Scope> = own.into_iter().chain([Scope::JobsRead]).collect();
            caller.require_any(&needed)?;
        }
        Ok(self.view(job))
    }

    /// One job of the log and its errors. Sample values may be data of persons: only who may read users is shown them.
    pub async fn logged_details(&self, caller: &Caller, id: JobId) -> Result<JobDetails> {
        let view = self.logged_job(caller, id).await?;
        let mut errors = self.group_errors(view.job.clone()).await?;
        if !caller.scopes.contains(&Scope::UsersRead) {
            errors.iter_mut().for_each(|group| group.sample_values.clear());
        }
        Ok(JobDetails { view, errors })
    }
}

fn sees(caller: &Caller, kind: JobKind) -> bool {
    let has = |scope: Scope| caller.scopes.contains(&scope);
    has(Scope::JobsRead) || READ_THEIR_OWN.contains(&kind.scope()) && has(kind.scope())
}
