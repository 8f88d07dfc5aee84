//! Rows from a file.

use super::gather::{Gathering, failed};
use super::{Preparation, Selection, read_error};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::input::open_records;
use crate::job::Job;
use crate::lookup::{Found, find};
use crate::pulse::Pulse;
use crate::staging::Staging;
use muster_core::field::FieldSet;
use muster_core::intake::header::Columns;
use muster_core::intake::records::Record;
use muster_core::intake::row::RowParser;
use muster_core::job::JobKind;
use muster_core::outcome::{Outcome, Reason, Status};
use muster_core::plan::{Row, ambiguous, exists, not_found};
use tokio::sync::mpsc;

/// How many rows are parsed and looked up together.
const BATCH_ROWS: usize = 4_000;

#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    failed: Vec<Outcome>,
    /// Rows up to here.
    received: u64,
    /// Bytes of the file up to here.
    bytes: u64,
}

pub(super) async fn prepare(
    engine: &Engine,
    job: &Job,
    fields: &FieldSet,
    pulse: &Pulse,
) -> Result<Option<Preparation>> {
    let file = job.source.file.as_ref().ok_or_else(|| EngineError::Damaged(format!("the input of {}", job.id)))?;
    let columns = file.columns(fields, &job.options)?;
    let mut batches = read(engine.staging(), job, columns, fields.clone());
    let mut gathering = Gathering::new(engine.staging(), job, fields)?;
    let mut bytes = 0;
    while let Some(batch) = batches.recv().await {
        if pulse.is_lost() {
            return Ok(None);
        }
        let batch = batch?;
        let keys: Vec<_> = batch.rows.iter().map(|row| &row.key).collect();
        let found = find(&mut engine.store().read().await?, job.tenant, job.kind, &keys).await?;
        tokio::task::block_in_place(|| -> Result<()> {
            batch.failed.iter().try_for_each(|outcome| gathering.decide(outcome))?;
            for (row, found) in batch.rows.into_iter().zip(found) {
                let error = match (found, job.kind) {
                    (Found::Several, _) => ambiguous(&row.key, fields),
                    (Found::One(_), JobKind::Create) => exists(&row.key, fields),
                    (Found::Nobody, kind) if !kind.creates() => not_found(&row.key, kind, fields),
                    (Found::One(user), _) => {
                        gathering.take(Some(user), row)?;
                        continue;
                    }
                    (Found::Nobody, _) => {
                        gathering.take(None, row)?;
                        continue;
                    }
                };
                gathering.decide(&failed(&row, None, error))?;
            }
            Ok(())
        })?;
        (gathering.counts.received, bytes) = (batch.received, batch.bytes);
        pulse.report_reading(bytes, batch.received);
    }
    gathering.finish(None, bytes).map(Some)
}

/// Parses the input on a thread of its own, a few batches ahead.
fn read(staging: &Staging, job: &Job, columns: Columns, fields: FieldSet) -> mpsc::Receiver<Result<Batch>> {
    let (sender, receiver) = mpsc::channel(1);
    let (staging, job) = (staging.clone(), job.clone());
    tokio::task::spawn_blocking(move || {
        let send = |batch| sender.blocking_send(Ok(batch)).is_ok();
        if let Err(error) = parse(&staging, &job, &columns, &fields, send) {
            // Nobody listens any more where preparing was given up.
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

fn parse(
    staging: &Staging,
    job: &Job,
    columns: &Columns,
    fields: &FieldSet,
    mut send: impl FnMut(Batch) -> bool,
) -> Result<()> {
    let Some(file) = &job.source.file else { return Ok(()) };
    let parser = RowParser::new(columns, fields, &job.options);
    let mut records = open_records(staging, &job.staged, file, job.source.limits)?;
    let mut selection = Selection::open(staging, job)?;
    let (mut record, mut received) = (Record::new(), 0);
    loop {
        let mut batch = Batch { rows: Vec::with_capacity(BATCH_ROWS), ..Batch::default() };
        let mut read = Ok(true);
        for _ in 0..BATCH_ROWS {
            read = records.read(&mut record).map_err(read_error);
            if !matches!(read, Ok(true)) {
                break;
            }
            if let Some(selection) = &mut selection
                && !selection.takes(record.number())?
            {
                continue;
            }
            received += 1;
            match parser.parse(&record) {
                Ok(row) => batch.rows.push(row),
                Err(error) => batch.failed.push(Outcome {
                    reason: Some(Reason { line: record.line(), error }),
                    ..Outcome::new(record.number(), Status::Failed, None)
                }),
            }
        }
        (batch.received, batch.bytes) = (received, records.bytes_read());
        // What was read before a fault is counted, though none of it will be applied.
        if !send(batch) || !read? {
            return Ok(());
        }
    }
}
