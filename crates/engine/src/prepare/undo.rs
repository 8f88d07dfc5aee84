//! Rows of an undo: one for each user whom the job changed.

use super::gather::Gathering;
use super::{Preparation, PreparedRow, Selection};
use crate::engine::Engine;
use crate::error::Result;
use crate::job::{Job, object, reference};
use crate::pulse::Pulse;
use crate::sort::{BUFFER_BYTES, Sorter};
use muster_core::field::FieldSet;
use muster_core::id::{JobId, UserId};
use muster_core::key::Key;
use muster_core::plan::Row;
use std::io::Write;

/// How many change sets are read at a time.
const BATCH: u32 = 10_000;

pub(super) async fn prepare(
    engine: &Engine,
    job: &Job,
    undone: JobId,
    fields: &FieldSet,
    pulse: &Pulse,
) -> Result<Option<Preparation>> {
    let mut sorter = Sorter::new(engine.staging(), BUFFER_BYTES);
    let (mut after, mut sets) = (-1, 0);
    loop {
        let changes = engine.store().read().await?.list_job_changes(job.tenant, undone, after, BATCH).await?;
        let Some(last) = changes.last() else { break };
        after = last.seq;
        sets += changes.len() as u64;
        if pulse.is_lost() {
            return Ok(None);
        }
        pulse.report_reading(0, sets);
        tokio::task::block_in_place(|| {
            changes.iter().try_for_each(|change| {
                let key = [change.user.0.to_be_bytes(), change.version.to_be_bytes()].concat();
                sorter.push(&key, &[])
            })
        })?;
    }
    let mut gathering = Gathering::new(engine.staging(), job, fields)?;
    let name = object(reference(job), &format!("listing-{}", job.attempt));
    tokio::task::block_in_place(|| -> Result<()> {
        let mut selection = Selection::open(engine.staging(), job)?;
        let mut listing = engine.staging().create()?;
        listing.write_all(b"id\r\n")?;
        let mut sorted = sorter.finish()?;
        let (mut last, mut record) = (None, 0);
        while let Some(entry) = sorted.next()? {
            let (user, version) = entry.key.split_at(8);
            let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte));
            let (user, version) = (UserId(number(user)), number(version));
            // The first of a user's change sets; those after it are read when the user's turn comes.
            if last.replace(user) == Some(user) {
                continue;
            }
            record += 1;
            write!(listing, "{user}\r\n")?;
            if selection.as_mut().map_or(Ok(true), |selection| selection.takes(record))? {
                gathering.counts.received += 1;
                let row = Row { record, line: 0, key: Key::Id(user), edits: Vec::new(), creates: true };
                gathering.take_prepared(PreparedRow { since: Some(version), ..PreparedRow::new(Some(user), row) })?;
            }
        }
        listing.publish(engine.staging(), &name)
    })?;
    gathering.finish(Some(name), 0).map(Some)
}
