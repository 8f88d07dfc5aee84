//! Running jobs.
//!
//! A worker has an owner's name, under which it leases jobs, and a lock on a file of that name for as long as its process
//! lives: others on the same staging area see by it that a worker is gone, and do not wait for its leases to expire.
//!
//! Each job runs as a task of its own and commits chunk by chunk, so jobs take turns. A few places are kept for small
//! jobs, which therefore never wait behind large ones.

use crate::clock::random;
use crate::engine::Engine;
use crate::error::{EngineError, Result, chain};
use crate::prepare::hex;
use crate::retention::Swept;
use crate::run::{Run, Step};
use muster_core::id::JobId;
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often a worker looks for jobs that other processes accepted.
const LOOK: Duration = Duration::from_millis(500);
/// How often what has expired is looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// Up to this size a job may take one of the places for small jobs.
const SMALL_JOB_BYTES: u64 = 2 << 20;

/// Runs jobs.
#[derive(Debug)]
pub struct Worker {
    engine: Engine,
    owner: Owner,
    /// What [`Self::tick`] works on, the next one first.
    runs: VecDeque<Run>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "run of {}", self.job().id)
    }
}

/// What a tick did.
#[derive(Debug)]
pub enum Tick {
    /// There is nothing to do.
    Idle,
    /// A job was claimed.
    Claimed(JobId),
    /// A job took a step.
    Stepped(JobId, Step),
    /// A job's run ended with an error; its lease is left to expire.
    Broke(JobId, EngineError),
}

impl Worker {
    /// A worker that has claimed nothing yet.
    pub fn new(engine: &Engine) -> Result<Self> {
        Ok(Self { engine: engine.clone(), owner: Owner::new(&engine.staging().workers())?, runs: VecDeque::new() })
    }

    /// Does one thing: claims every job that can be claimed, one a tick, then lets each claimed job take a step in turn.
    pub async fn tick(&mut self) -> Result<Tick> {
        if let Some(run) = self.claim(u64::MAX).await? {
            let id = run.job().id;
            self.runs.push_back(run);
            return Ok(Tick::Claimed(id));
        }
        let Some(mut run) = self.runs.pop_front() else {
            return Ok(Tick::Idle);
        };
        let id = run.job().id;
        match run.step().await {
            Err(error) => Ok(Tick::Broke(id, error)),
            Ok(step) => {
                if matches!(step, Step::Prepared | Step::Applied(_)) {
                    self.runs.push_back(run);
                }
                Ok(Tick::Stepped(id, step))
            }
        }
    }

    /// Runs jobs until the shutdown comes, then lets every job finish its step and gives the jobs back. At most `places`
    /// jobs of any size run at once, and as many small ones beside them.
    pub async fn run(self, places: usize, shutdown: impl Future<Output = ()>) {
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut sizes: HashMap<tokio::task::Id, bool> = HashMap::new();
        // What is given up at the end is gone on with by the next sweep.
        let (mut sweeping, mut swept) = (JoinSet::new(), None);
        tokio::pin!(shutdown);
        loop {
            while let Some(Ok((id, ()))) | Some(Err(id)) =
                tasks.try_join_next_with_id().map(|joined| joined.map_err(|error| error.id()))
            {
                sizes.remove(&id);
            }
            match self.fill(places, &mut tasks, &mut sizes, &stopping).await {
                Ok(()) => {}
                Err(error) => tracing::error!(cause = chain(&error), "no job could be claimed"),
            }
            if swept.is_none_or(|swept| self.engine.clock().since(swept) >= SWEEP) {
                swept = Some(self.engine.clock().moment());
                while sweeping.try_join_next().is_some() {}
                if sweeping.is_empty() {
                    sweeping.spawn(sweep(self.engine.clone(), self.owner.name.clone()));
                }
            }
            tokio::select! {
                () = &mut shutdown => break,
                () = self.engine.submitted().notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                Some(joined) = tasks.join_next_with_id() => {
                    sizes.remove(&match joined { Ok((id, ())) => id, Err(error) => error.id() });
                }
            }
        }
        let _ = stop.send(true);
        while tasks.join_next().await.is_some() {}
    }

    /// Claims jobs as long as there are places for them.
    async fn fill(
        &self,
        places: usize,
        tasks: &mut JoinSet<()>,
        sizes: &mut HashMap<tokio::task::Id, bool>,
        stopping: &watch::Receiver<bool>,
    ) -> Result<()> {
        self.owner.release_the_dead(&self.engine).await?;
        loop {
            let large = sizes.values().filter(|large| **large).count();
            let size = match () {
                () if sizes.len() >= 2 * places => return Ok(()),
                () if large >= places || sizes.len() - large >= places && large == places => SMALL_JOB_BYTES,
                () => u64::MAX,
            };
            let Some(run) = self.claim(size).await? else {
                return Ok(());
            };
            let is_large = run.job().size_bytes > SMALL_JOB_BYTES;
            let (engine, stopping) = (self.engine.clone(), stopping.clone());
            let task = tasks.spawn(async move { drive(&engine, run, stopping).await });
            sizes.insert(task.id(), is_large);
        }
    }

    async fn claim(&self, size_bytes: u64) -> Result<Option<Run>> {
        let store = self.engine.store();
        let claimable = store.read().await?.list_claimable(size_bytes, 10).await?;
        for of in claimable {
            let mut tx = store.begin().await?;
            let claim = tx.claim_job(of, &self.owner.name, self.engine.clock().now()).await?;
            tx.commit().await?;
            if let Some(claim) = claim {
                tracing::info!(job = %of.id, attempt = claim.job.attempt, "a job was claimed");
                return Ok(Some(Run::new(&self.engine, claim)));
            }
        }
        Ok(None)
    }

    /// Lets go of the leases of workers who are known to be gone. [`Self::run`] does it by itself.
    pub async fn release_the_dead(&self) -> Result<()> {
        self.owner.release_the_dead(&self.engine).await
    }

    /// The name under which this worker leases jobs.
    pub fn owner(&self) -> &str {
        &self.owner.name
    }
}

/// Removes what has expired.
async fn sweep(engine: Engine, owner: String) {
    match engine.sweep_idempotency_keys().await {
        Ok(0) => {}
        Ok(keys) => tracing::info!(keys, "idempotency keys that had expired were removed"),
        Err(error) => tracing::error!(cause = chain(&error), "expired idempotency keys could not be removed"),
    }
    match engine.sweep_expired_as(&owner).await {
        Ok(swept) if swept == Swept::default() => {}
        Ok(Swept { files, results, changes, deliveries }) => {
            tracing::info!(files, results, changes, deliveries, "what was over its time was removed");
        }
        Err(error) => tracing::error!(cause = chain(&error), "what is over its time could not be removed"),
    }
}

/// Takes step after step until the job is over, given back or lost.
pub(crate) async fn drive(engine: &Engine, mut run: Run, mut stopping: watch::Receiver<bool>) {
    let id = run.job().id;
    loop {
        let step = if *stopping.borrow() {
            run.release().await
        } else {
            let heard = run.heard();
            let mut step = std::pin::pin!(run.step());
            tokio::select! {
                step = &mut step => step,
                _ = stopping.changed() => {
                    heard.stop();
                    step.await
                }
            }
        };
        engine.stepped().notify_waiters();
        match step {
            Ok(Step::Prepared | Step::Applied(_)) => {}
            Ok(Step::Ended(state)) => {
                tracing::info!(job = %id, %state, "a job ended");
                // The next job of the same queue may have waited for this one.
                engine.submitted().notify_one();
                return;
            }
            Ok(Step::Released | Step::Lost) => return,
            Err(error) => {
                tracing::error!(job = %id, cause = chain(&error), "a job broke off and will be tried again");
                return;
            }
        }
    }
}

/// The name of a worker and the lock that shows that it lives.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) name: String,
    folder: PathBuf,
    _lock: File,
}

impl Owner {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let name = hex(&random::<8>());
        let lock = OpenOptions::new().create_new(true).write(true).open(folder.join(&name))?;
        lock.lock()?;
        Ok(Self { name, folder: folder.to_owned(), _lock: lock })
    }

    /// Lets go of the leases of owners whose lock is free. An owner without a file here lives elsewhere; its leases
    /// expire by themselves if it is gone.
    async fn release_the_dead(&self, engine: &Engine) -> Result<()> {
        let owners = engine.store().read().await?.list_lease_owners().await?;
        for owner in owners.into_iter().filter(|owner| *owner != self.name) {
            let path = self.folder.join(&owner);
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_err() {
                continue;
            }
            let mut tx = engine.store().begin().await?;
            let released = tx.release_leases(&owner).await?;
            tx.commit().await?;
            tracing::info!(owner, released, "the leases of a worker that is gone were released");
            std::fs::remove_file(&path)?;
        }
        Ok(())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Its leases were given back; where they were not, the file must stay for others to find its lock free.
        let _ = std::fs::remove_file(self.folder.join(&self.name)).is_ok();
    }
}
