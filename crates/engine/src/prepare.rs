//! Preparing: reads the input once, checks every row, finds the users, and leaves the rows sorted by user.
//!
//! Users who exist come first, by id; then the keys that name nobody, by key; rows of one user stay in file order. From
//! this order the engine has its speed: each page of the database is written once, and repeated keys lie side by side.
//! Nothing is written to the database here but the name of what was made.

use crate::error::{EngineError, Result};
use crate::frames;
use crate::input::open_records;
use crate::job::{Job, object, reference};
use crate::run::Pulse;
use crate::sort::{BUFFER_BYTES, Sorter};
use crate::staging::{Incoming, Staging};
use muster_core::Code;
use muster_core::email::email_key;
use muster_core::error::RowError;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::UserId;
use muster_core::intake::ReadError;
use muster_core::intake::header::Columns;
use muster_core::intake::records::Record;
use muster_core::intake::row::RowParser;
use muster_core::job::{Counts, JobKind, OnDuplicate};
use muster_core::outcome::{Outcome, Reason, Status};
use muster_core::plan::{Key, Row, not_found};
use muster_store::{Connection, Prepared, Store, UserKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Write;
use tokio::sync::mpsc;

/// How many rows are parsed and looked up together.
const BATCH_ROWS: usize = 4_000;

/// A row that is ready to be applied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PreparedRow {
    /// Who had the key when it was looked up. A hint: what counts is who has it when the row is applied.
    pub user: Option<UserId>,
    /// The row.
    pub row: Row,
}

/// What preparing made.
pub(crate) struct Preparation {
    pub prepared: Prepared,
    pub counts: Counts,
    pub bytes: u64,
}

struct Batch {
    rows: Vec<Row>,
    failed: Vec<Outcome>,
    records: u64,
    bytes: u64,
}

/// Prepares a job. `None` where somebody wants the job to stop, or it was lost, meanwhile.
pub(crate) async fn prepare(
    store: &Store,
    staging: &Staging,
    job: &Job,
    fields: &FieldSet,
    pulse: &Pulse,
) -> Result<Option<Preparation>> {
    let columns = job.source.file.columns(fields, &job.options)?;
    let mut batches = read(staging, job, columns, fields.clone());
    let mut sorter = Sorter::new(staging, BUFFER_BYTES);
    let mut outcomes = staging.create()?;
    let mut counts = Counts::default();
    let mut bytes = 0;
    while let Some(batch) = batches.recv().await {
        if pulse.wants_stop() {
            return Ok(None);
        }
        let mut batch = batch?;
        let users = find(&mut store.read().await?, job, &batch.rows).await?;
        tokio::task::block_in_place(|| -> Result<()> {
            for (row, user) in batch.rows.into_iter().zip(users) {
                match user {
                    None if job.kind == JobKind::Update => batch.failed.push(failed(&row, not_found(&row.key))),
                    user => sorter.push(&sort_key(&row, user), &frames::encode(&PreparedRow { user, row })?)?,
                }
            }
            batch.failed.iter().try_for_each(|outcome| record(&mut outcomes, &mut counts, outcome))
        })?;
        (counts.received, bytes) = (batch.records, batch.bytes);
        pulse.report_reading(bytes, counts.received);
    }

    let (of, attempt) = (reference(job), job.attempt);
    let prepared = tokio::task::block_in_place(|| -> Result<Prepared> {
        let mut rows = Hashing { out: staging.create()?, hash: Sha256::new() };
        drain(sorter, job, &mut rows, &mut outcomes, &mut counts)?;
        let prepared = Prepared {
            rows: object(of, &format!("rows-{attempt}")),
            rows_bytes: rows.out.bytes(),
            rows_checksum: hex(&rows.hash.finalize()),
            outcomes: object(of, &format!("outcomes-{attempt}")),
        };
        rows.out.publish(staging, &prepared.rows)?;
        outcomes.publish(staging, &prepared.outcomes)?;
        Ok(prepared)
    })?;
    Ok(Some(Preparation { prepared, counts, bytes }))
}

/// Parses the input on a thread of its own, a few batches ahead.
fn read(staging: &Staging, job: &Job, columns: Columns, fields: FieldSet) -> mpsc::Receiver<Result<Batch>> {
    let (sender, receiver) = mpsc::channel(1);
    let (staging, job) = (staging.clone(), job.clone());
    tokio::task::spawn_blocking(move || {
        let parsed = parse(&staging, &job, &columns, &fields, |batch| sender.blocking_send(Ok(batch)).is_ok());
        if let Err(error) = parsed {
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
    let parser = RowParser::new(columns, fields, &job.options);
    let mut records = open_records(staging, &job.staged, &job.source.file)?;
    let mut record = Record::new();
    loop {
        let mut batch =
            Batch { rows: Vec::with_capacity(BATCH_ROWS), failed: Vec::new(), records: record.number(), bytes: 0 };
        let mut read = Ok(true);
        for _ in 0..BATCH_ROWS {
            read = records.read(&mut record).map_err(read_error);
            if !matches!(read, Ok(true)) {
                break;
            }
            batch.records = record.number();
            match parser.parse(&record) {
                Ok(row) => batch.rows.push(row),
                Err(error) => batch.failed.push(Outcome {
                    record: record.number(),
                    status: Status::Failed,
                    user: None,
                    reason: Some(Reason { line: record.line(), error }),
                }),
            }
        }
        batch.bytes = records.bytes_read();
        // What was read before a fault is counted, though none of it will be applied.
        if !send(batch) || !read? {
            return Ok(());
        }
    }
}

pub(crate) fn read_error(error: ReadError) -> EngineError {
    match error {
        ReadError::Fault(error) => EngineError::Refused(error),
        ReadError::Io(error) => EngineError::Staging(error),
    }
}

/// Who has the keys of these rows now.
async fn find(connection: &mut Connection, job: &Job, rows: &[Row]) -> Result<Vec<Option<UserId>>> {
    let mut users = vec![None; rows.len()];
    // Looked up in the order of the index, and each key once.
    let mut keys: Vec<(UserKey, usize)> = Vec::with_capacity(rows.len());
    let mut ids: Vec<(UserId, usize)> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        match &row.key {
            Key::Email(email) => keys.push((email_user_key(email), i)),
            Key::Id(id) => ids.push((*id, i)),
        }
    }
    keys.sort_unstable();
    ids.sort_unstable();
    let distinct: Vec<UserKey> = distinct(&keys);
    let mut found = vec![None; distinct.len()];
    for (position, user) in connection.find_users(job.tenant, &distinct).await? {
        found[position] = Some(user);
    }
    assign(&keys, &found, &mut users);

    let distinct: Vec<UserId> = self::distinct(&ids);
    let mut found = vec![None; distinct.len()];
    for position in connection.find_live_users(job.tenant, &distinct).await? {
        found[position] = Some(distinct[position]);
    }
    assign(&ids, &found, &mut users);
    Ok(users)
}

/// The different keys of a sorted list.
fn distinct<K: Clone + PartialEq>(sorted: &[(K, usize)]) -> Vec<K> {
    sorted.chunk_by(|a, b| a.0 == b.0).map(|same| same[0].0.clone()).collect()
}

/// Gives each row what was found for its key.
fn assign<K: PartialEq>(sorted: &[(K, usize)], found: &[Option<UserId>], users: &mut [Option<UserId>]) {
    for (same, user) in sorted.chunk_by(|a, b| a.0 == b.0).zip(found) {
        same.iter().for_each(|(_, i)| users[*i] = *user);
    }
}

/// The key by which the store finds an email.
pub(crate) fn email_user_key(email: &str) -> UserKey {
    UserKey { field: FieldNumber::EMAIL, key: email_key(email) }
}

/// Users who exist by id, then new keys, then the order of the file. Ids are positive, so their first bit is 0.
fn sort_key(row: &Row, user: Option<UserId>) -> Vec<u8> {
    let mut key = Vec::with_capacity(48);
    match (user, &row.key) {
        (Some(user), _) => key.extend_from_slice(&user.0.to_be_bytes()),
        (None, Key::Id(id)) => key.extend_from_slice(&id.0.to_be_bytes()),
        (None, Key::Email(email)) => {
            key.push(0xff);
            key.extend_from_slice(email_key(email).as_bytes());
            key.push(0);
        }
    }
    key.extend_from_slice(&row.record.to_be_bytes());
    key
}

/// The part of a sort key that rows of the same user share.
fn group(key: &[u8]) -> &[u8] {
    &key[..key.len() - 8]
}

/// Writes the sorted rows, dealing with repeated keys as the job asks.
fn drain(
    sorter: Sorter<'_>,
    job: &Job,
    rows: &mut impl Write,
    outcomes: &mut Incoming,
    counts: &mut Counts,
) -> Result<()> {
    let mut sorted = sorter.finish()?;
    let policy = job.options.on_duplicate.unwrap_or(OnDuplicate::ApplyAll);
    let mut next = sorted.next()?;
    let mut last_group: Vec<u8> = Vec::new();
    while let Some(entry) = next {
        next = sorted.next()?;
        let repeats = last_group == group(&entry.key);
        let goes_on = next.as_ref().is_some_and(|next| group(&next.key) == group(&entry.key));
        let dropped = match policy {
            OnDuplicate::ApplyAll => None,
            OnDuplicate::First => repeats.then_some(Status::Skipped),
            OnDuplicate::Last => goes_on.then_some(Status::Skipped),
            OnDuplicate::Error => repeats.then_some(Status::Failed),
        };
        match dropped {
            None => drop(frames::write(rows, &entry.value)?),
            Some(status) => {
                let PreparedRow { user, row } = frames::decode(&entry.value)?;
                let other = if policy == OnDuplicate::Last { "a later" } else { "an earlier" };
                let error =
                    RowError::row(Code::DuplicateInFile, format!("{other} row of the file names the same user"));
                let reason = Some(Reason { line: row.line, error });
                record(outcomes, counts, &Outcome { record: row.record, status, user, reason })?;
            }
        }
        last_group.clear();
        last_group.extend_from_slice(group(&entry.key));
    }
    Ok(())
}

fn failed(row: &Row, error: RowError) -> Outcome {
    let reason = Some(Reason { line: row.line, error });
    Outcome { record: row.record, status: Status::Failed, user: None, reason }
}

fn record(outcomes: &mut Incoming, counts: &mut Counts, outcome: &Outcome) -> Result<()> {
    counts.add(outcome.status);
    frames::write(outcomes, &frames::encode(outcome)?).map(drop)
}

/// Hashes what goes through.
struct Hashing {
    out: Incoming,
    hash: Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
