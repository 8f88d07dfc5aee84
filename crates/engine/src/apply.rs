//! Applying the prepared rows of a job, chunk by chunk. While a chunk is committed, the next one is read and planned.

use crate::chunk::{Carry, Chunk, ChunkRecord, Order, PlannedChunk, Source, plan_chunk};
use crate::chunk_reader::ChunkReader;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::frames;
use crate::job::{Job, reference};
use crate::prepare::{hex, read_command};
use crate::run::{Run, Step};
use muster_core::field::FieldSet;
use muster_core::filter::Filter;
use muster_core::job::{OnError, Overdraft};
use muster_core::outcome::Status;
use muster_core::plan::Rules;
use muster_core::{Code, Error};
use muster_store::{NewCommit, Prepared, Progress, Transaction};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a commit should take, so that other writers wait no longer.
const COMMIT_TARGET: Duration = Duration::from_millis(100);
/// The smallest and the largest chunk, in rows.
const CHUNK_ROWS: std::ops::RangeInclusive<usize> = 200..=4_000;
/// How long the database is left to other processes between two chunks, where there is only one writer.
const PAUSE: Duration = Duration::from_millis(1);

/// The state of a run that applies prepared rows.
pub(crate) struct Applying {
    terms: Arc<Terms>,
    chunk_rows: usize,
    /// The chunk after the last one that was committed, read and planned while that was committed.
    ahead: Option<JoinHandle<Result<Ahead>>>,
}

/// What stays the same for all chunks of a job.
struct Terms {
    job: Job,
    /// The names of the columns, for messages.
    columns: Vec<String>,
    /// What users must still match, in a change by filter.
    filter: Option<Filter>,
}

impl Terms {
    fn order<'a>(&'a self, fields: &'a FieldSet) -> Order<'a> {
        let overdraft = self.job.options.overdraft.unwrap_or(Overdraft::Reject);
        let rules = Rules { kind: self.job.kind, overdraft, fields, columns: &self.columns };
        Order {
            tenant: self.job.tenant,
            rules,
            dry_run: self.job.dry_run,
            undoes: self.job.family.undoes,
            filter: self.filter.as_ref(),
        }
    }
}

/// A chunk that was planned ahead, and the reader behind it.
struct Ahead {
    reader: ChunkReader,
    planned: Option<(Chunk, PlannedChunk)>,
    /// What the chunk before left for this one.
    carry: Option<Carry>,
}

/// What the fuses say to a chunk.
enum Fuse {
    Pass,
    /// Only so many of its rows may be written; then the job ends.
    Cut(usize),
}

enum Committed {
    Done,
    /// A user or a key is not as planned.
    Moved,
    Lost,
}

impl Run {
    pub(crate) async fn apply(&mut self, prepared: Prepared) -> Result<Step> {
        let Ahead { reader, planned, carry } = self.next_planned(&prepared).await?;
        let Some((mut chunk, mut planned)) = planned else {
            return Err(EngineError::Damaged(format!("{} ends before its length", prepared.rows)));
        };
        self.pass("apply.planned").await?;
        match self.fuse(&chunk, &planned)? {
            Fuse::Pass => self.spawn_ahead(reader, planned.record.carry.clone()),
            Fuse::Cut(rows) => {
                chunk = chunk.cut(rows);
                planned = self.plan(&chunk, carry.clone()).await?;
            }
        }
        let planned_carry = planned.record.carry.clone();
        let begun = self.engine.clock().moment();
        let mut counts = (planned.counts, planned.affected);
        let mut outcome = self.commit(&chunk, planned).await?;
        if matches!(outcome, Committed::Moved) {
            let (mut tx, reserved) = self.engine.store().begin_commit(self.job.tenant, chunk.rows.len()).await?;
            let mut again = self.plan_locked(&chunk, carry, &mut tx).await?;
            if again.record.carry != planned_carry || !matches!(self.fuse(&chunk, &again)?, Fuse::Pass) {
                // What was planned ahead, or the end of the chunk, is not right any more: read and planned again.
                self.forget_ahead();
                return Ok(Step::Applied(0));
            }
            counts = (again.counts, again.affected);
            again.give_ids(reserved);
            outcome = self.write(tx, &chunk, Some(reserved.commit), again).await?;
        }
        let took = self.engine.clock().since(begun);
        match outcome {
            Committed::Done => {}
            Committed::Lost => return Ok(Step::Lost),
            // Somebody keeps creating the same users; the rows are read and planned again.
            Committed::Moved => {
                self.forget_ahead();
                return Ok(Step::Applied(0));
            }
        }
        self.engine.metrics().count_rows(self.job.kind, self.job.dry_run, &counts.0);
        self.engine.metrics().observe_chunk(took);
        self.pass("apply.committed").await?;
        self.job.cursor = chunk.to();
        self.job.counts += counts.0;
        self.job.affected += counts.1;
        self.adapt(chunk.rows.len(), took);
        if self.engine.store().dialect().single_writer() {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Step::Applied(chunk.rows.len()))
    }

    /// The next chunk and what is planned for it: planned ahead, or now.
    async fn next_planned(&mut self, prepared: &Prepared) -> Result<Ahead> {
        if self.applying.is_none() {
            self.applying = Some(self.begin_applying(prepared).await?);
        }
        let ahead = self.applying.as_mut().and_then(|applying| applying.ahead.take());
        if let Some(ahead) = ahead {
            return ahead.await?;
        }
        let reader = ChunkReader::open(&self.engine, prepared, self.job.cursor)?;
        let before = self.engine.store().read().await?.last_outcomes(reference(&self.job), self.job.cursor).await?;
        let carry =
            before.map(|blob| frames::decode::<ChunkRecord>(&blob)).transpose()?.and_then(|before| before.carry);
        self.spawn_ahead(reader, carry);
        let task = self.applying.as_mut().and_then(|applying| applying.ahead.take());
        task.expect("it was spawned").await?
    }

    /// Lets go of what was planned ahead. That the prepared rows are those that were pinned is known, for as long as the job is
    /// this run's.
    fn forget_ahead(&mut self) {
        if let Some(applying) = &mut self.applying {
            applying.ahead = None;
        }
    }

    async fn begin_applying(&self, prepared: &Prepared) -> Result<Applying> {
        check(&self.engine, prepared)?;
        let fields = self.engine.fields(self.job.tenant).await?;
        let (columns, filter) = match &self.job.source.file {
            Some(file) => (file.columns(&fields, &self.job.options)?.names, None),
            None if self.job.source.listing.is_empty() => (Vec::new(), None),
            None => {
                let command = read_command(self.engine.staging(), &self.job, &fields)?;
                (command.columns, Some(command.filter))
            }
        };
        let terms = Arc::new(Terms { job: self.job.clone(), columns, filter });
        Ok(Applying { terms, chunk_rows: 1_000, ahead: None })
    }

    /// Reads and plans the next chunk on a task of its own, so that it overlaps with committing.
    fn spawn_ahead(&mut self, reader: ChunkReader, carry: Option<Carry>) {
        let Some(applying) = &mut self.applying else { return };
        let (engine, terms, rows) = (self.engine.clone(), applying.terms.clone(), applying.chunk_rows);
        applying.ahead = Some(tokio::spawn(plan_ahead(engine, terms, reader, rows, carry)));
    }

    async fn plan(&self, chunk: &Chunk, carry: Option<Carry>) -> Result<PlannedChunk> {
        let applying = self.applying.as_ref().expect("a chunk was read");
        plan_snapshot(&self.engine, &applying.terms, chunk, carry).await
    }

    /// Plans a chunk whose users changed since it was planned, with the users locked. All that it needs it reads through the
    /// transaction; see [`muster_store::Store::read`].
    async fn plan_locked(&self, chunk: &Chunk, carry: Option<Carry>, tx: &mut Transaction) -> Result<PlannedChunk> {
        let applying = self.applying.as_ref().expect("a chunk was read");
        let fields = tx.list_fields(self.job.tenant).await?;
        let now = self.engine.clock().now();
        plan_chunk(chunk, &applying.terms.order(&fields), carry, now, Source::Locked(tx)).await
    }

    /// Whether a chunk may be written: a chunk that would pass a fuse is not, and ends the job.
    fn fuse(&self, chunk: &Chunk, planned: &PlannedChunk) -> Result<Fuse, Error> {
        let options = &self.job.options;
        let (failed, affected) = (self.job.counts.failed + planned.counts.failed, self.job.affected + planned.affected);
        if let Some(most) = options.max_failed.filter(|most| failed > *most) {
            let detail = format!("More than {most} rows failed, which is what max_failed allows.");
            return Err(Error::new(Code::TooManyFailures, detail));
        }
        if let Some(most) = options.max_affected.filter(|most| affected > *most) {
            let detail = format!("More users would have been changed than max_affected allows, which is {most}.");
            return Err(Error::new(Code::TooManyAffected, detail));
        }
        if options.on_error == Some(OnError::Abort) && planned.counts.failed > 0 {
            let fails = |outcome: &muster_core::outcome::Outcome| outcome.status == Status::Failed;
            let first = planned.record.outcomes.iter().position(fails).map_or(chunk.rows.len(), |at| at + 1);
            return Ok(if first < chunk.rows.len() { Fuse::Cut(first) } else { Fuse::Pass });
        }
        Ok(Fuse::Pass)
    }

    async fn commit(&self, chunk: &Chunk, mut planned: PlannedChunk) -> Result<Committed> {
        if self.job.dry_run {
            let tx = self.engine.store().begin().await?;
            return self.write(tx, chunk, None, planned).await;
        }
        let (tx, reserved) = self.engine.store().begin_commit(self.job.tenant, planned.created.len()).await?;
        planned.give_ids(reserved);
        self.write(tx, chunk, Some(reserved.commit), planned).await
    }

    /// Writes a planned chunk: job, users, keys, changes and outcomes together, or nothing. Without the number of a
    /// commit only what was planned is kept.
    async fn write(
        &self,
        mut tx: Transaction,
        chunk: &Chunk,
        commit: Option<i64>,
        planned: PlannedChunk,
    ) -> Result<Committed> {
        let (of, tenant) = (reference(&self.job), self.job.tenant);
        let progress =
            Progress { from: chunk.from, to: chunk.to(), counts: planned.counts, affected: planned.affected };
        if !tx.advance_job(of, self.job.attempt, &progress).await? {
            return Ok(Committed::Lost);
        }
        tx.insert_outcomes(of, chunk.from, &frames::encode(&planned.record)?).await?;
        if let Some(id) = commit {
            // The time at which it was planned, which is that of its users.
            let commit = NewCommit { id, at: planned.at, job: Some(self.job.id), actor: &self.job.actor };
            if !crate::commit::write(&mut tx, tenant, planned, &commit).await? {
                return Ok(Committed::Moved);
            }
        }
        self.pass("apply.written").await?;
        tx.commit().await?;
        Ok(Committed::Done)
    }

    /// Chooses the size of the next chunks from how long this one took.
    fn adapt(&mut self, rows: usize, took: Duration) {
        let Some(applying) = &mut self.applying else { return };
        let ratio = COMMIT_TARGET.as_secs_f64() / took.as_secs_f64().max(0.001);
        let wanted = rows as f64 * ratio.clamp(0.5, 2.0);
        applying.chunk_rows = (wanted as usize).clamp(*CHUNK_ROWS.start(), *CHUNK_ROWS.end());
    }
}

/// Makes sure that the prepared rows are those that were pinned.
fn check(engine: &Engine, prepared: &Prepared) -> Result<()> {
    tokio::task::block_in_place(|| {
        let mut rows = engine.staging().read(&prepared.rows, 0)?;
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

async fn plan_ahead(
    engine: Engine,
    terms: Arc<Terms>,
    mut reader: ChunkReader,
    rows: usize,
    carry: Option<Carry>,
) -> Result<Ahead> {
    let chunk = tokio::task::block_in_place(|| reader.next(rows))?;
    let Some(chunk) = chunk else {
        return Ok(Ahead { reader, planned: None, carry });
    };
    let planned = plan_snapshot(&engine, &terms, &chunk, carry.clone()).await?;
    Ok(Ahead { reader, planned: Some((chunk, planned)), carry })
}

async fn plan_snapshot(engine: &Engine, terms: &Terms, chunk: &Chunk, carry: Option<Carry>) -> Result<PlannedChunk> {
    let fields = engine.fields(terms.job.tenant).await?;
    let mut connection = engine.store().read().await?;
    let now = engine.clock().now();
    plan_chunk(chunk, &terms.order(&fields), carry, now, Source::Snapshot(&mut connection)).await
}
