//! Erasing a user: everything that is known about somebody goes for good, and a job says that it did.
//!
//! The job goes through every job that has ended and takes the person out of what is staged ([`scrub`]), then out of the
//! kept answers, and last, in one transaction, takes the user away with keys, index and history. So whoever dies in between
//! leaves a user by whom the next attempt finds the same again; each step done twice is done once. What the person was ever
//! called is known from the history ([`subject`]).
//!
//! A job that is not over and holds the person is waited for: the erasure is put off until that has ended, and begins again. One
//! that does not go on by itself is cancelled in the end ([`Engine::clear_the_way`]).

mod looked;
mod scrub;
mod subject;
mod words;

use crate::caller::Caller;
use crate::change::check_version;
use crate::clock::job_id;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::events;
use crate::index::IndexChanges;
use crate::job::{Input, Job, reference};
use crate::jobs::JobView;
use crate::run::{Run, Step};
use jiff::{SignedDuration, Timestamp};
use looked::{Looked, Way};
use muster_core::field::FieldSet;
use muster_core::id::{JobId, Tenant, UserId};
use muster_core::job::{Counts, JobKind, JobOptions, JobState};
use muster_core::key::UserKey;
use muster_core::scope::Scope;
use muster_core::user::User;
use muster_store::{Family, KeyMoves, NewJob, Progress, Transaction};
use subject::Subject;

/// How many jobs are looked at in one reading, and how many answers.
const BATCH: u32 = 100;
/// How long an erasure lets a job rest that holds the person, counted from when it was asked for.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);
/// What stands where an answer named the person.
const BLANK_ANSWER: &[u8] = br#"{"notice":"The answer named somebody who was erased."}"#;

impl Engine {
    /// Accepts the erasure of a user, deleted or not. Refuses with `version_mismatch` as deleting does.
    pub async fn erase_user(&self, caller: &Caller, id: UserId, if_version: Option<i64>) -> Result<JobView> {
        caller.require(Scope::UsersDelete)?;
        self.check_open_jobs(caller.tenant).await?;
        let fields = self.fields(caller.tenant).await?;
        let user = self.store().read().await?.get_user(caller.tenant, id, &fields).await?;
        check_version(&user.ok_or_else(|| EngineError::not_found("user"))?, if_version)?;
        let new = NewJob {
            id: job_id(),
            kind: JobKind::Erase,
            name: &format!("erasure of user {id}"),
            options: &JobOptions::default(),
            source: &Input { erases: Some(id), ..Input::none() },
            staged: "",
            size_bytes: 0,
            sha256: "",
            dry_run: false,
            family: Family::default(),
            actor: &caller.actor,
            submitted_at: self.clock().now(),
        };
        let mut tx = self.store().begin().await?;
        // Nothing is pruned meanwhile: what the person was called is known from the history.
        tx.lock_community(caller.tenant).await?;
        let job: Job = tx.insert_job(caller.tenant, &new).await?;
        caller.commit(tx).await?;
        self.submitted().notify_one();
        Ok(self.view(job))
    }
}

impl Engine {
    /// Cancels the jobs that erasures have waited for too long and that nobody works on: they are paused, or wait for one that is.
    /// What they have applied stays.
    pub(crate) async fn clear_the_way(&self, tenant: Tenant, now: Timestamp) -> Result<()> {
        let until = now.checked_sub(PATIENCE).unwrap_or(Timestamp::MIN);
        let held = self.store().read().await?.list_jobs_in_the_way(tenant, until).await?;
        for of in held {
            let mut tx = self.store().begin().await?;
            tx.lock_job(of).await?;
            let job: Option<Job> = tx.get_job(tenant, of.id).await?;
            let rests = job.is_some_and(|job| matches!(job.state, JobState::Queued | JobState::Paused));
            if rests && tx.cancel_job(of, now).await? {
                events::record(&mut tx, of, JobState::Cancelled, now).await?;
                tx.commit().await?;
                tracing::info!(job = %of.id, "a job that did not go on was cancelled: it holds somebody who is erased");
                self.submitted().notify_one();
            }
        }
        Ok(())
    }
}

impl Run {
    /// Erases the user of the job, or ends the job where that is done.
    pub(crate) async fn erase(&mut self) -> Result<Step> {
        if self.job.cursor > 0 {
            self.job.counts.received = 1;
            return self.end(JobState::Completed, None).await;
        }
        self.pass("erase.claimed").await?;
        let damaged = || EngineError::Damaged(format!("the input of {}", self.job.id));
        let user = self.job.source.erases.ok_or_else(damaged)?;
        let fields = self.engine.fields(self.job.tenant).await?;
        let subject = Subject::load(&self.engine, self.job.tenant, user, &fields).await?;
        let Some(subject) = &subject else {
            let taken = self.take_away(None, &fields).await?;
            return Ok(taken.unwrap_or(Step::Applied(0)));
        };
        let mut looked = Looked::default();
        loop {
            match self.look_through(&mut looked, subject, &fields).await? {
                Way::Free => {}
                Way::Lost => return self.release().await,
                Way::Held(by) => return self.put_off(by).await,
            }
            self.pass("erase.scrubbed").await?;
            self.blank_answers(subject).await?;
            self.pass("erase.answered").await?;
            if let Some(step) = self.take_away(Some((subject, &looked)), &fields).await? {
                return Ok(step);
            }
        }
    }

    /// Gives the job back until another one is over.
    async fn put_off(&self, other: JobId) -> Result<Step> {
        let mut tx = self.engine.store().begin().await?;
        let put_off = tx.put_off_job(reference(&self.job), self.job.attempt, other).await?;
        tx.commit().await?;
        tracing::info!(job = %self.job.id, %other, "an erasure waits for a job that holds the person");
        Ok(if put_off { Step::Released } else { Step::Lost })
    }

    /// Removes the file of a job, and says so first: a reader then hears why it is not there.
    async fn erase_file(&self, job: &Job) -> Result<()> {
        let mut tx = self.engine.store().begin().await?;
        tx.note_file_erased(reference(job), self.engine.clock().now()).await?;
        tx.commit().await?;
        self.pass("erase.noted").await?;
        let listing = job.prepared.iter().flat_map(|prepared| &prepared.listing);
        let names = std::iter::once(&job.staged).chain(listing).filter(|name| !name.is_empty());
        names.for_each(|name| self.engine.staging().remove(name));
        Ok(())
    }

    /// Blanks kept answers that name the person. Their requests stay answered.
    async fn blank_answers(&self, subject: &Subject) -> Result<()> {
        let (store, tenant) = (self.engine.store(), self.job.tenant);
        let mut after = Vec::new();
        loop {
            let answers = store.read().await?.list_answers(tenant, &after, BATCH).await?;
            let Some((last, _)) = answers.last() else { return Ok(()) };
            after.clone_from(last);
            let mut tx = store.begin().await?;
            for (key, _) in answers.iter().filter(|(_, body)| subject.is_in_answer(body)) {
                tx.replace_answer(tenant, key, BLANK_ANSWER).await?;
            }
            tx.commit().await?;
        }
    }

    /// Takes the user away and counts it, in one transaction. None where jobs have begun that were not looked at. Where the
    /// user changed since the jobs were gone through, they are gone through again.
    async fn take_away(&mut self, whom: Option<(&Subject, &Looked)>, fields: &FieldSet) -> Result<Option<Step>> {
        let (of, tenant) = (reference(&self.job), self.job.tenant);
        let erased = u64::from(whom.is_some());
        let counts = Counts { updated: erased, unchanged: 1 - erased, ..Counts::default() };
        let mut tx = self.engine.store().begin().await?;
        let progress = Progress { from: 0, to: 1, counts, affected: erased };
        if !tx.advance_job(of, self.job.attempt, &progress).await?
            || !tx.heartbeat(of, self.job.attempt, Some((0, 1))).await?
        {
            return Ok(Some(Step::Lost));
        }
        if let Some((subject, looked)) = whom {
            tx.lock_community(tenant).await?;
            tx.hold_jobs_back(tenant).await?;
            if looked.has_missed(&mut tx, tenant).await? {
                return Ok(None);
            }
            let held = tx.lock_users(tenant, &[subject.id()], fields).await?.pop().map(|loaded| loaded.user);
            let same = held.filter(|user| user.version == subject.version());
            let Some(user) = same else { return Ok(Some(Step::Applied(0))) };
            if !remove(&mut tx, &self.job, &user, fields).await? {
                return Ok(Some(Step::Applied(0)));
            }
        }
        self.pass("erase.written").await?;
        tx.commit().await?;
        self.engine.metrics().count_rows(self.job.kind, false, &counts);
        self.pass("erase.committed").await?;
        (self.job.cursor, self.job.affected) = (1, erased);
        self.job.counts = Counts { received: 1, ..counts };
        Ok(Some(Step::Applied(1)))
    }
}

/// Removes a user who is locked. False where the fields are not what they were.
async fn remove(tx: &mut Transaction, job: &Job, user: &User, fields: &FieldSet) -> Result<bool> {
    let index = IndexChanges::removing(user, fields);
    if !index.hold_fields(tx, job.tenant).await? {
        return Ok(false);
    }
    let keys = UserKey::of_user(user, fields).into_iter().map(|key| (key, user.id));
    let moves = match user.deleted {
        true => KeyMoves { raised: keys.collect(), ..KeyMoves::default() },
        false => KeyMoves { releases: keys.collect(), ..KeyMoves::default() },
    };
    tx.move_keys(job.tenant, &moves).await?;
    tx.erase_user(job.tenant, user.id).await?;
    index.write(tx, job.tenant).await?;
    Ok(true)
}
