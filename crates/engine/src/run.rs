//! One claimed job, brought to its end step by step: prepare, then chunk after chunk, then finish.
//!
//! A step may be the last thing that its process does. What must hold then: the job row says how far the job is (pinned
//! rows, cursor), every commit moves it, and whoever claims the job next goes on from there. While a step runs, a pulse
//! extends the lease; a run whose lease is lost writes nothing more.

use crate::chunk::{Chunk, PlannedChunk, Source, plan_chunk};
use crate::chunk_reader::ChunkReader;
use crate::engine::Engine;
use crate::error::{EngineError, Result, chain};
use crate::frames;
use crate::job::{Job, folder, needed, reference};
use crate::prepare::{hex, prepare};
use crate::results;
use jiff::Timestamp;
use muster_core::field::FieldSet;
use muster_core::intake::header::{Columns, map_header};
use muster_core::job::{JobState, Overdraft};
use muster_core::plan::Rules;
use muster_core::{Code, Error};
use muster_store::{Claim, EndOfJob, NewCommit, Prepared, Progress};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinHandle};

/// After so many claims in a row without progress a job is given up.
pub const MAX_FRUITLESS_ATTEMPTS: i64 = 5;
/// How often the lease is extended.
const PULSE: Duration = Duration::from_secs(2);
/// How long a commit should take, so that other writers wait no longer.
const COMMIT_TARGET: Duration = Duration::from_millis(100);
/// The smallest and the largest chunk, in rows.
const CHUNK_ROWS: std::ops::RangeInclusive<usize> = 200..=4_000;
/// How long the database is left to other processes between two chunks, where there is only one writer.
const PAUSE: Duration = Duration::from_millis(1);

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The rows are sorted and durable.
    Prepared,
    /// So many rows were decided.
    Applied(usize),
    /// The job ended like this.
    Ended(JobState),
    /// The job was given back: somebody paused it.
    Released,
    /// Somebody else has the job.
    Lost,
}

/// The heartbeat of a run, and what it hears.
#[derive(Debug)]
pub(crate) struct Pulse {
    heard: Arc<Heard>,
    task: AbortHandle,
}

/// What a run hears while it takes a step.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    lost: AtomicBool,
    stop: AtomicBool,
    reading: AtomicBool,
    bytes: AtomicU64,
    rows: AtomicU64,
}

impl Heard {
    /// Gives preparing up as soon as it looks. Whoever has the job next prepares again.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Pulse {
    fn start(engine: &Engine, job: &Job) -> Self {
        let heard = Arc::new(Heard::default());
        let (engine, of, attempt, ours) = (engine.clone(), reference(job), job.attempt, heard.clone());
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PULSE).await;
                let reading = ours.reading.load(Ordering::Relaxed);
                let reading = reading.then(|| (ours.bytes.load(Ordering::Relaxed), ours.rows.load(Ordering::Relaxed)));
                match beat(&engine, of, attempt, reading).await {
                    Ok(Some((cancel, pause))) => drop(ours.stop.fetch_or(cancel || pause, Ordering::Relaxed)),
                    Ok(None) => ours.lost.store(true, Ordering::Relaxed),
                    // The lease may expire meanwhile; then the next write finds it lost.
                    Err(error) => tracing::warn!(job = %of.id, cause = chain(&error), "a heartbeat failed"),
                }
            }
        });
        Self { heard, task: task.abort_handle() }
    }

    /// Whether preparing should be given up: somebody wants the job to stop, or it was lost.
    pub(crate) fn wants_stop(&self) -> bool {
        self.heard.lost.load(Ordering::Relaxed) || self.heard.stop.load(Ordering::Relaxed)
    }

    /// Says how far preparing is.
    pub(crate) fn report_reading(&self, bytes: u64, rows: u64) {
        self.heard.bytes.store(bytes, Ordering::Relaxed);
        self.heard.rows.store(rows, Ordering::Relaxed);
        self.heard.reading.store(true, Ordering::Relaxed);
    }

    fn stop_reporting(&self) {
        self.heard.reading.store(false, Ordering::Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn beat(
    engine: &Engine,
    of: muster_store::JobRef,
    attempt: i64,
    reading: Option<(u64, u64)>,
) -> Result<Option<(bool, bool)>> {
    let mut tx = engine.store().begin().await?;
    let heard = tx.heartbeat(of, attempt, reading).await?;
    tx.commit().await?;
    Ok(heard)
}

/// A claimed job on its way.
pub(crate) struct Run {
    engine: Engine,
    job: Job,
    fruitless: bool,
    pulse: Pulse,
    applying: Option<Applying>,
}

/// The state of a run that applies prepared rows.
struct Applying {
    columns: Columns,
    chunk_rows: usize,
    /// The chunk after the last one that was committed, read and planned while that was committed.
    ahead: Option<JoinHandle<Result<Ahead>>>,
}

/// A chunk that was planned ahead, and the reader behind it.
struct Ahead {
    reader: ChunkReader,
    planned: Option<(Chunk, PlannedChunk)>,
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
        self.pulse.heard.clone()
    }

    /// Does the next step. An error means that the run is over and the lease is left to expire.
    pub(crate) async fn step(&mut self) -> Result<Step> {
        match self.try_step().await {
            // What is wrong with the file or the options is wrong for good; so is a job that kills its workers.
            Err(EngineError::Refused(error)) => {
                if self.job.prepared.is_none() {
                    self.job.counts.received = self.pulse.heard.rows.load(Ordering::Relaxed);
                }
                self.end(JobState::Failed, Some(error)).await
            }
            other => other,
        }
    }

    async fn try_step(&mut self) -> Result<Step> {
        if self.fruitless {
            let detail = format!("The job was claimed {MAX_FRUITLESS_ATTEMPTS} times and made no progress.");
            return Err(EngineError::refuse(Code::WorkerCrashed, detail));
        }
        if let Some(step) = self.obey().await? {
            return Ok(step);
        }
        match self.job.prepared.clone() {
            None => self.prepare().await,
            Some(prepared) if self.job.cursor < prepared.rows_bytes => self.apply(prepared).await,
            Some(_) => self.end(JobState::Completed, None).await,
        }
    }

    /// Does what somebody wants beside the next step, if anything.
    async fn obey(&mut self) -> Result<Option<Step>> {
        let (cancel, pause) = (self.job.cancel_requested, self.job.pause_requested);
        if cancel {
            return self.end(JobState::Cancelled, None).await.map(Some);
        }
        if pause {
            return self.release().await.map(Some);
        }
        Ok(None)
    }

    /// Gives the job back between two steps, so that nobody has to wait for the lease to expire.
    pub(crate) async fn release(&mut self) -> Result<Step> {
        let mut tx = self.engine.store().begin().await?;
        let released = tx.release_job(reference(&self.job), self.job.attempt).await?;
        tx.commit().await?;
        Ok(if released { Step::Released } else { Step::Lost })
    }

    async fn pass(&self, point: &'static str) -> Result<()> {
        if self.engine.faults().is_due(point) {
            self.pulse.task.abort();
        }
        self.engine.faults().pass(point).await
    }

    async fn prepare(&mut self) -> Result<Step> {
        self.pass("prepare.claimed").await?;
        let fields = self.engine.fields(self.job.tenant).await?;
        let (store, staging) = (self.engine.store(), self.engine.staging());
        let made = prepare(store, staging, &self.job, &fields, &self.pulse).await?;
        self.pulse.stop_reporting();
        let Some(made) = made else { return self.reload().await };
        self.pass("prepare.sorted").await?;
        let mut tx = store.begin().await?;
        let of = reference(&self.job);
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

    /// Reads the job again, after something happened that this run did not do.
    async fn reload(&mut self) -> Result<Step> {
        let found = self.engine.store().read().await?.get_job(self.job.tenant, self.job.id).await?;
        match found {
            Some(job) if job.attempt == self.job.attempt && job.state == JobState::Running => self.job = job,
            _ => return Ok(Step::Lost),
        }
        match self.obey().await? {
            Some(step) => Ok(step),
            None => Ok(Step::Applied(0)),
        }
    }

    async fn apply(&mut self, prepared: Prepared) -> Result<Step> {
        if self.applying.is_none() {
            self.applying = Some(self.begin_applying(&prepared).await?);
        }
        let applying = self.applying.as_mut().expect("it was begun");
        let ahead = match applying.ahead.take() {
            Some(ahead) => ahead.await??,
            None => {
                let reader = ChunkReader::open(&self.engine, &prepared, self.job.cursor)?;
                self.plan_ahead(reader).await?
            }
        };
        let Ahead { reader, planned } = ahead;
        let Some((chunk, planned)) = planned else {
            return Err(EngineError::Damaged(format!("{} ends before its length", prepared.rows)));
        };
        self.pass("apply.planned").await?;
        self.spawn_ahead(reader);

        let begun = self.engine.clock().moment();
        let mut outcome = self.commit(planned).await?;
        if matches!(outcome, Committed::Moved) {
            outcome = self.commit_locked(&chunk).await?;
        }
        let took = self.engine.clock().since(begun);
        let counts = match outcome {
            Committed::Done { counts, cancel, pause } => {
                (self.job.cancel_requested, self.job.pause_requested) = (cancel, pause);
                counts
            }
            Committed::Lost => return Ok(Step::Lost),
            // Somebody keeps creating the same users; the rows are read and planned again.
            Committed::Moved => {
                self.applying = None;
                return Ok(Step::Applied(0));
            }
        };
        self.pass("apply.committed").await?;
        self.job.cursor = chunk.to;
        add(&mut self.job.counts, &counts);
        self.adapt(chunk.rows.len(), took);
        if self.engine.store().dialect().single_writer() {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Step::Applied(chunk.rows.len()))
    }

    async fn begin_applying(&self, prepared: &Prepared) -> Result<Applying> {
        self.check(prepared)?;
        let fields = self.engine.fields(self.job.tenant).await?;
        let columns = map_header(&self.job.source.file.header, &fields, &self.job.options)?;
        Ok(Applying { columns, chunk_rows: 1_000, ahead: None })
    }

    /// Makes sure that the prepared rows are those that were pinned.
    fn check(&self, prepared: &Prepared) -> Result<()> {
        tokio::task::block_in_place(|| {
            let mut rows = self.engine.staging().read(&prepared.rows, 0)?;
            let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 256 << 10]);
            loop {
                let read = rows.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                hash.update(&buffer[..read]);
                length += read as u64;
            }
            match length == prepared.rows_bytes && hex(&hash.finalize()) == prepared.rows_checksum {
                true => Ok(()),
                false => Err(EngineError::Damaged(prepared.rows.clone())),
            }
        })
    }

    /// Reads and plans the next chunk on a task of its own, so that it overlaps with committing.
    fn spawn_ahead(&mut self, reader: ChunkReader) {
        let Some(applying) = &mut self.applying else { return };
        let planning = Planning {
            engine: self.engine.clone(),
            job: self.job.clone(),
            columns: applying.columns.clone(),
            chunk_rows: applying.chunk_rows,
        };
        applying.ahead = Some(tokio::spawn(planning.plan(reader)));
    }

    async fn plan_ahead(&mut self, reader: ChunkReader) -> Result<Ahead> {
        self.spawn_ahead(reader);
        let task = self.applying.as_mut().and_then(|applying| applying.ahead.take());
        task.expect("it was spawned").await?
    }

    /// Plans and writes a chunk whose users changed since it was planned, with the users locked.
    async fn commit_locked(&mut self, chunk: &Chunk) -> Result<Committed> {
        let Some(applying) = &self.applying else {
            return Ok(Committed::Moved);
        };
        let fields = self.engine.fields(self.job.tenant).await?;
        let rules = rules(&self.job, &fields, &applying.columns);
        let (mut tx, reserved) = self.engine.store().begin_commit(self.job.tenant, chunk.rows.len()).await?;
        let now = self.engine.clock().now();
        let mut planned = plan_chunk(chunk, self.job.tenant, &rules, now, Source::Locked(&mut tx)).await?;
        planned.give_ids(reserved);
        self.write(tx, reserved.commit, planned).await
    }

    async fn commit(&self, mut planned: PlannedChunk) -> Result<Committed> {
        let (tx, reserved) = self.engine.store().begin_commit(self.job.tenant, planned.created.len()).await?;
        planned.give_ids(reserved);
        self.write(tx, reserved.commit, planned).await
    }

    /// Writes a planned chunk: job, users, keys, changes and outcomes together, or nothing.
    async fn write(&self, mut tx: muster_store::Transaction, commit: i64, planned: PlannedChunk) -> Result<Committed> {
        let (of, tenant) = (reference(&self.job), self.job.tenant);
        let progress = Progress { from: planned.from, to: planned.to, counts: planned.counts };
        let Some((cancel, pause)) = tx.advance_job(of, self.job.attempt, &progress).await? else {
            return Ok(Committed::Lost);
        };
        tx.insert_outcomes(of, planned.from, &frames::encode(&planned.outcomes)?).await?;
        let commit = self.new_commit(commit, planned.at);
        if !crate::commit::write(&mut tx, tenant, planned, &commit).await? {
            return Ok(Committed::Moved);
        }
        self.pass("apply.written").await?;
        tx.commit().await?;
        Ok(Committed::Done { counts: progress.counts, cancel, pause })
    }

    /// A commit has the time at which it was planned, which its users have too.
    fn new_commit(&self, id: i64, at: Timestamp) -> NewCommit<'_> {
        NewCommit { id, at, job: Some(self.job.id), actor: &self.job.actor }
    }

    /// Chooses the size of the next chunks from how long this one took.
    fn adapt(&mut self, rows: usize, took: Duration) {
        let Some(applying) = &mut self.applying else { return };
        let ratio = COMMIT_TARGET.as_secs_f64() / took.as_secs_f64().max(0.001);
        let wanted = rows as f64 * ratio.clamp(0.5, 2.0);
        applying.chunk_rows = (wanted as usize).clamp(*CHUNK_ROWS.start(), *CHUNK_ROWS.end());
    }

    /// Merges the outcomes into one object and ends the job.
    async fn end(&mut self, state: JobState, error: Option<Error>) -> Result<Step> {
        self.applying = None;
        let merged = results::merge(&self.engine, &self.job).await?;
        self.pass("finish.merged").await?;
        let end = EndOfJob {
            state,
            error: error.as_ref(),
            results: merged.as_deref(),
            received: self.job.counts.received,
            at: self.engine.clock().now(),
        };
        let mut tx = self.engine.store().begin().await?;
        if !tx.end_job(reference(&self.job), self.job.attempt, &end).await? {
            merged.iter().for_each(|name| self.engine.staging().remove(name));
            return Ok(Step::Lost);
        }
        tx.commit().await?;
        self.pass("finish.ended").await?;
        // Attempts that died left theirs too.
        (self.job.state, self.job.results) = (state, merged);
        let staging = self.engine.staging();
        staging.keep_only(&folder(reference(&self.job)), &needed(&self.job))?;
        Ok(Step::Ended(state))
    }
}

enum Committed {
    Done {
        counts: muster_core::job::Counts,
        cancel: bool,
        pause: bool,
    },
    /// A user or a key is not as planned.
    Moved,
    Lost,
}

fn add(counts: &mut muster_core::job::Counts, more: &muster_core::job::Counts) {
    counts.created += more.created;
    counts.updated += more.updated;
    counts.unchanged += more.unchanged;
    counts.skipped += more.skipped;
    counts.failed += more.failed;
}

fn rules<'a>(job: &Job, fields: &'a FieldSet, columns: &'a Columns) -> Rules<'a> {
    let overdraft = job.options.overdraft.unwrap_or(Overdraft::Reject);
    Rules { kind: job.kind, overdraft, fields, columns: &columns.names }
}

/// What reading and planning a chunk needs.
struct Planning {
    engine: Engine,
    job: Job,
    columns: Columns,
    chunk_rows: usize,
}

impl Planning {
    async fn plan(self, mut reader: ChunkReader) -> Result<Ahead> {
        let fields = self.engine.fields(self.job.tenant).await?;
        let chunk = tokio::task::block_in_place(|| reader.next(self.chunk_rows))?;
        let Some(chunk) = chunk else {
            return Ok(Ahead { reader, planned: None });
        };
        let rules = rules(&self.job, &fields, &self.columns);
        let mut connection = self.engine.store().read().await?;
        let now = self.engine.clock().now();
        let planned = plan_chunk(&chunk, self.job.tenant, &rules, now, Source::Snapshot(&mut connection)).await?;
        Ok(Ahead { reader, planned: Some((chunk, planned)) })
    }
}
