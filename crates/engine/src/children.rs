//! Jobs that come from jobs: the plan of a dry run applied, a job undone, its failed and unreached rows tried again.

use crate::caller::Caller;
use crate::clock::job_id;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::job::{Input, Job, LISTING, PARENT_OUTCOMES, PARENT_PLAN, folder, object, reference};
use crate::jobs::{JobView, check_file};
use crate::prepare::past_outcomes;
use crate::results::check_results;
use crate::run::Run;
use muster_core::id::JobId;
use muster_core::job::{JobKind, JobOptions, JobState, Overdraft, Relation};
use muster_core::scope::Scope;
use muster_core::{Code, Error};
use muster_store::{Family, JobRef, NewJob, Transaction};
use std::time::Duration;

/// How long a request waits for the results of a job that was just cancelled, and how often it looks.
const SETTLING: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);

/// How a job is to be undone.
#[derive(Clone, Debug, Default)]
pub struct UndoRequest {
    /// Only plan it.
    pub dry_run: bool,
    /// What a currency does that would fall below its minimum; else what the job itself did.
    pub overdraft: Option<Overdraft>,
}

/// A job to be made from another one.
struct Child {
    kind: JobKind,
    relation: Relation,
    dry_run: bool,
    undoes: Option<JobId>,
    options: JobOptions,
}

impl Engine {
    /// Does what a dry run planned. Refuses with `job_not_finished`, `invalid_state` where the job is no plan,
    /// `plan_outdated`, `already_applied`, or `file_erased` and `results_expired` where what it needs is gone.
    pub async fn apply_job(&self, caller: &Caller, id: JobId) -> Result<JobView> {
        caller.require(Scope::JobsWrite)?;
        let parent = self.parent(caller, id).await?;
        if parent.state != JobState::Planned {
            let detail = format!("The job is {}; only a dry run that ended has a plan.", parent.state);
            return Err(EngineError::refuse(Code::InvalidState, detail));
        }
        self.check_plan(&parent).await?;
        check_results(&parent)?;
        if !parent.source.listing.is_empty() {
            check_file(&parent)?;
        }
        let (relation, undoes) = (Relation::Apply, parent.family.undoes);
        let options = parent.options.clone();
        let child = Child { kind: parent.kind, relation, dry_run: false, undoes, options };
        self.make_child(caller, &parent, child).await
    }

    /// Takes back what a job did. Refuses with `job_not_finished`, `invalid_state` for a dry run, or `already_undone`.
    pub async fn undo_job(&self, caller: &Caller, id: JobId, request: &UndoRequest) -> Result<JobView> {
        caller.require(Scope::BulkUndo)?;
        let parent = self.parent(caller, id).await?;
        if parent.kind == JobKind::Erase {
            return Err(EngineError::refuse(Code::InvalidState, "What was erased is gone and cannot be brought back."));
        }
        if parent.dry_run {
            return Err(EngineError::refuse(Code::InvalidState, "A dry run wrote nothing, so nothing can be undone."));
        }
        let options = JobOptions {
            overdraft: request.overdraft.or(parent.options.overdraft),
            queue: parent.options.queue.clone(),
            ..JobOptions::default()
        };
        let (relation, undoes) = (Relation::Undo, Some(parent.id));
        let child = Child { kind: JobKind::Undo, relation, dry_run: request.dry_run, undoes, options };
        Box::pin(self.make_child(caller, &parent, child)).await
    }

    /// Tries the rows again that failed or were not reached. Refuses with `job_not_finished`, `invalid_state` for a dry
    /// run, `already_undone`, `already_retried`, or `file_erased` and `results_expired` where what it needs is gone.
    pub async fn retry_job(&self, caller: &Caller, id: JobId) -> Result<JobView> {
        caller.require(Scope::JobsWrite)?;
        let parent = self.parent(caller, id).await?;
        if parent.dry_run {
            let detail = "A dry run wrote nothing; apply its plan, or submit the file again.";
            return Err(EngineError::refuse(Code::InvalidState, detail));
        }
        if parent.kind != JobKind::Erase {
            check_results(&parent)?;
        }
        if !parent.staged.is_empty() {
            check_file(&parent)?;
        }
        let (relation, undoes) = (Relation::Retry, parent.family.undoes);
        let options = parent.options.clone();
        self.make_child(caller, &parent, Child { kind: parent.kind, relation, dry_run: false, undoes, options }).await
    }

    /// A job that has ended, and whose results are gathered.
    async fn parent(&self, caller: &Caller, id: JobId) -> Result<Job> {
        let job = self.find_job(caller, id).await?;
        caller.require(job.kind.scope())?;
        if !job.state.is_final() {
            let detail = format!("The job is {}; wait until it has ended, or cancel it.", job.state);
            return Err(EngineError::refuse(Code::JobNotFinished, detail));
        }
        Box::pin(self.settle(job)).await
    }

    /// A job that was cancelled this moment may still have to be tidied up: does it, or waits for the worker that does.
    async fn settle(&self, mut job: Job) -> Result<Job> {
        let begun = self.clock().moment();
        while job.results.is_none() && job.prepared.is_some() {
            let mut tx = self.store().begin().await?;
            let claim = tx.claim_job(reference(&job), "settle", self.clock().now()).await?;
            tx.commit().await?;
            match claim {
                Some(claim) => {
                    Box::pin(Run::new(self, claim).step()).await?;
                }
                None if self.clock().since(begun) > SETTLING => {
                    return Err(EngineError::refuse(
                        Code::JobNotFinished,
                        "The results of the job are being gathered.",
                    ));
                }
                None => tokio::time::sleep(LOOK).await,
            }
            let again = self.store().read().await?.get_job(job.tenant, job.id).await?;
            job = again.ok_or_else(|| EngineError::not_found("job"))?;
        }
        Ok(job)
    }

    /// Refuses with `plan_outdated` where a field that the plan depends on is not what it was.
    async fn check_plan(&self, planned: &Job) -> Result<()> {
        let before = planned.prepared.as_ref().map_or("", |prepared| &prepared.fields);
        let fields = self.fields(planned.tenant).await?;
        if before != crate::prepare::fingerprint_like(before, &fields, planned) {
            let detail = "Fields that the plan names have changed since; make a new dry run.";
            return Err(EngineError::refuse(Code::PlanOutdated, detail));
        }
        Ok(())
    }

    async fn make_child(&self, caller: &Caller, parent: &Job, child: Child) -> Result<JobView> {
        self.check_open_jobs(caller.tenant).await?;
        let of = JobRef { tenant: caller.tenant, id: job_id() };
        let staged = self.inherit(parent, of, child.relation)?;
        let source = match child.relation {
            Relation::Undo => Input::none(),
            Relation::Apply | Relation::Retry => parent.source.clone(),
        };
        let new = NewJob {
            id: of.id,
            kind: child.kind,
            name: &parent.name,
            options: &child.options,
            source: &source,
            staged: &staged,
            size_bytes: parent.size_bytes,
            sha256: "",
            dry_run: child.dry_run,
            family: Family { parent: Some((parent.id, child.relation)), undoes: child.undoes },
            actor: &caller.actor,
            submitted_at: self.clock().now(),
        };
        let inserted = async {
            let mut tx = self.store().begin().await?;
            if let Some(undone) = child.undoes {
                // From here on nothing is pruned until the job has ended.
                tx.lock_community(of.tenant).await?;
                check_history(&mut tx, JobRef { id: undone, ..of }).await?;
            }
            tx.lock_job(reference(parent)).await?;
            if child.relation != Relation::Undo {
                check_kept(&mut tx, parent).await?;
            }
            check_siblings(&mut tx, parent, &child).await?;
            let job: Job = tx.insert_job(of.tenant, &new).await?;
            if let Some(at) = parent.file_erased_at {
                tx.note_file_erased(of, at).await?;
            }
            if let Some(undone) = child.undoes.filter(|_| !child.dry_run) {
                tx.set_undo_job(JobRef { id: undone, ..of }, of.id).await?;
            }
            Ok((tx, job))
        };
        let (tx, job) = inserted.await.inspect_err(|_: &EngineError| {
            let nothing = self.staging().keep_only(&folder(of), |_| false);
            nothing.unwrap_or_else(|error| tracing::warn!(%error, "the folder of a job that was not made stays"));
        })?;
        caller.commit(tx).await?;
        self.submitted().notify_one();
        Ok(self.view(job))
    }

    /// Gives the job what it needs of its parent under names of its own, so that each keeps it as long as it needs it.
    /// Says how its input is called.
    fn inherit(&self, parent: &Job, of: JobRef, relation: Relation) -> Result<String> {
        let staging = self.staging();
        let link = |from: &str, to: &str| staging.link(from, &object(of, to));
        let input = object(of, "input");
        match relation {
            Relation::Undo => {}
            Relation::Apply => {
                let missing = || EngineError::Damaged(format!("the plan of {}", parent.id));
                let (plan, outcomes) = parent.plan.as_ref().zip(parent.results.as_ref()).ok_or_else(missing)?;
                link(plan, PARENT_PLAN)?;
                link(outcomes, PARENT_OUTCOMES)?;
                let listing = parent.prepared.as_ref().and_then(|prepared| prepared.listing.as_ref());
                listing.map(|listing| link(listing, LISTING)).transpose()?;
            }
            Relation::Retry => {
                let listing = parent.prepared.as_ref().and_then(|prepared| prepared.listing.as_ref());
                listing.map(|listing| link(listing, LISTING)).transpose()?;
                let mut back = 0;
                if let Some(outcomes) = &parent.results {
                    staging.link(outcomes, &past_outcomes(of, back))?;
                    back += 1;
                }
                let mut before = 0;
                while staging.link(&past_outcomes(reference(parent), before), &past_outcomes(of, back))? {
                    (back, before) = (back + 1, before + 1);
                }
            }
        }
        // An undo has no input, and neither has what comes from one.
        if relation == Relation::Undo || parent.staged.is_empty() {
            return Ok(String::new());
        }
        if parent.file_erased_at.is_none() && !staging.link(&parent.staged, &input)? {
            return Err(EngineError::Damaged(format!("the input of {}", parent.id)));
        }
        Ok(input)
    }
}

/// Refuses where what a child takes over may hold somebody who is being erased, or went while it was taken over. The parent
/// must be locked.
async fn check_kept(tx: &mut Transaction, parent: &Job) -> Result<()> {
    if tx.has_open_erasure(parent.tenant).await? {
        let detail =
            "Somebody of the community is being erased, and the job may hold the person; try again afterwards.";
        return Err(EngineError::refuse(Code::InvalidState, detail));
    }
    let again: Option<Job> = tx.get_job(parent.tenant, parent.id).await?;
    let again = again.ok_or_else(|| EngineError::not_found("job"))?;
    if (again.file_erased_at, again.results_expired_at) == (parent.file_erased_at, parent.results_expired_at) {
        return Ok(());
    }
    check_results(&again)?;
    check_file(&again)
}

/// Refuses with `history_expired` where some of what a job changed is no longer known.
async fn check_history(tx: &mut Transaction, undone: JobRef) -> Result<()> {
    let job: Option<Job> = tx.get_job(undone.tenant, undone.id).await?;
    match job.and_then(|job| job.history_expired_at) {
        None => Ok(()),
        Some(at) => {
            let detail =
                format!("Some of what the job changed was removed at {at}, after its time; it cannot be undone.");
            Err(EngineError::refuse(Code::HistoryExpired, detail))
        }
    }
}

/// At most one job of each kind writes for a job (section 10 of the contract, "Children"). The parent must be locked.
async fn check_siblings(tx: &mut Transaction, parent: &Job, child: &Child) -> Result<()> {
    if let Some(undone) = child.undoes.filter(|_| !child.dry_run && child.relation != Relation::Retry) {
        let undone = JobRef { tenant: parent.tenant, id: undone };
        // A planned undo may be applied by two at the same time; what they take back is locked too.
        tx.lock_job(undone).await?;
        refuse_second(&tx.list_children(undone, Relation::Undo).await?, Code::AlreadyUndone, "undone")?;
    }
    match child.relation {
        Relation::Undo => {}
        Relation::Apply => {
            refuse_second(
                &tx.list_children(reference(parent), Relation::Apply).await?,
                Code::AlreadyApplied,
                "applied",
            )?;
        }
        Relation::Retry => {
            let undos: Vec<Job> = tx.list_children(reference(parent), Relation::Undo).await?;
            refuse_second(&undos, Code::AlreadyUndone, "undone")?;
            refuse_second(
                &tx.list_children(reference(parent), Relation::Retry).await?,
                Code::AlreadyRetried,
                "retried",
            )?;
        }
    }
    Ok(())
}

/// Refuses where one of these jobs did it or may still do it; one that failed or was cancelled may be repeated.
fn refuse_second(jobs: &[Job], code: Code, done: &str) -> Result<()> {
    let writing = jobs.iter().find(|job| !matches!(job.state, JobState::Failed | JobState::Cancelled));
    match writing {
        Some(other) => {
            let error = Error::new(code, format!("The job was {done} already, by {}.", other.id));
            Err(Error { job_id: Some(other.id), ..error }.into())
        }
        None => Ok(()),
    }
}
