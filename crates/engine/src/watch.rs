//! Watching jobs as they go on.
//!
//! However many watch a job in this process, one task looks at it, when it takes a step here and else four times a second,
//! and tells all of them what is new. Somebody who is slow misses what lay between, never what is so now. The task ends
//! when nobody watches any more, when the job is over, or when the process is to end.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{Result, chain};
use crate::job::Job;
use crate::jobs::JobView;
use muster_core::id::{JobId, Tenant};
use muster_core::scope::Scope;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often a watched job is looked at, if nothing rings before.
const LOOK: Duration = Duration::from_millis(250);
/// How soon at the earliest.
const BREATH: Duration = Duration::from_millis(100);

/// The jobs that are watched.
#[derive(Debug, Default)]
pub(crate) struct Watches(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    watched: HashMap<(Tenant, JobId), watch::Sender<Job>>,
    /// Whether the process is to end.
    closed: bool,
}

impl Watches {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic leaves is a map that is as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that somebody watches. Nobody has to end it: dropping it is enough.
#[derive(Debug)]
pub struct WatchedJob {
    engine: Engine,
    job: watch::Receiver<Job>,
}

impl WatchedJob {
    /// The job as it was seen last.
    pub fn now(&mut self) -> JobView {
        let job = self.job.borrow_and_update().clone();
        self.engine.view(job)
    }

    /// The job when it has changed; `None` when there is nothing more to see: it is over, or the process is to end.
    pub async fn changed(&mut self) -> Option<JobView> {
        self.job.changed().await.ok()?;
        Some(self.now())
    }
}

impl Engine {
    /// Watches a job of the caller's community.
    pub async fn watch_job(&self, caller: &Caller, id: JobId) -> Result<WatchedJob> {
        caller.require(Scope::JobsRead)?;
        let job = self.find_job(caller, id).await?;
        let key = (caller.tenant, id);
        let mut state = self.watches().lock();
        let is_over = job.state.is_final() || state.closed;
        let receiver = match state.watched.get(&key) {
            Some(sender) if !is_over => sender.subscribe(),
            Some(_) | None => {
                let (sender, receiver) = watch::channel(job);
                if !is_over {
                    state.watched.insert(key, sender);
                    tokio::spawn(look(self.clone(), key));
                }
                receiver
            }
        };
        drop(state);
        Ok(WatchedJob { engine: self.clone(), job: receiver })
    }

    /// Ends every watch, because the process is to end. Who watches can do so again at another process.
    pub fn end_watches(&self) {
        let mut state = self.watches().lock();
        state.closed = true;
        state.watched.clear();
    }

    /// How many jobs are watched in this process.
    pub fn count_watched_jobs(&self) -> usize {
        self.watches().lock().watched.len()
    }
}

/// Looks at a job until there is nothing more to see, or nobody who does.
async fn look(engine: Engine, key: (Tenant, JobId)) {
    loop {
        let stepped = engine.stepped().notified();
        let _ = tokio::time::timeout(LOOK - BREATH, stepped).await;
        tokio::time::sleep(BREATH).await;
        let found = match engine.store().read().await {
            Ok(mut connection) => connection.get_job(key.0, key.1).await,
            Err(error) => Err(error),
        };
        let mut state = engine.watches().lock();
        let Some(sender) = state.watched.get(&key) else { return };
        let over = match found {
            // Somebody who begins to watch at this moment waits for the lock, and then finds nobody looking.
            _ if sender.receiver_count() == 0 => true,
            Ok(Some(job)) => tell(sender, job),
            Ok(None) => true,
            Err(error) => {
                tracing::warn!(job = %key.1, cause = chain(&error), "a job that is watched could not be read");
                false
            }
        };
        if over {
            state.watched.remove(&key);
            return;
        }
    }
}

/// Tells a job to all who watch it, if there is something new, and says whether it is over.
fn tell(sender: &watch::Sender<Job>, job: Job) -> bool {
    let is_over = job.state.is_final();
    sender.send_if_modified(|seen| {
        let new = mark(&job) != mark(seen);
        *seen = job;
        new
    });
    is_over
}

/// What changes of a job while it goes on.
fn mark(job: &Job) -> impl PartialEq + use<> {
    (job.state, job.counts, job.bytes_done, job.started_at)
}
