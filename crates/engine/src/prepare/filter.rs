//! Rows of a change by filter: one for each user who matches now. Who matches is fixed here (section 10 of the contract,
//! "Filter").

use super::gather::Gathering;
use super::{Preparation, Selection, read_error};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::input::open_records;
use crate::job::{Job, LISTING, listing_source, object, reference};
use crate::pulse::Pulse;
use crate::selection;
use crate::staging::{Incoming, Staging};
use muster_core::command::Command;
use muster_core::field::FieldSet;
use muster_core::id::UserId;
use muster_core::intake::records::Record;
use muster_core::key::Key;
use muster_core::plan::Row;
use std::io::Read;

/// How many users are asked for at a time.
const BATCH: usize = 1_000;
/// How many entries of an index are read before everybody is looked through instead.
const INDEX_ENTRIES: u32 = 200_000;

/// The command that a job was submitted as.
pub(crate) fn read_command(staging: &Staging, job: &Job, fields: &FieldSet) -> Result<Command> {
    let mut text = String::new();
    staging.read(&job.staged, 0)?.read_to_string(&mut text)?;
    Ok(Command::read(&text, fields)?)
}

/// What is gathered for each user, and the list of them.
struct Rows<'a> {
    gathering: Gathering<'a>,
    command: Command,
    cells: Vec<String>,
    listing: csv::Writer<Incoming>,
    record: u64,
}

impl Rows<'_> {
    fn take(&mut self, user: UserId, selection: &mut Option<Selection>) -> Result<()> {
        self.record += 1;
        let id = user.to_string();
        let cells = std::iter::once(id.as_str()).chain(self.cells.iter().map(String::as_str));
        self.listing.write_record(cells).map_err(|error| EngineError::Staging(error.into()))?;
        if selection.as_mut().map_or(Ok(true), |selection| selection.takes(self.record))? {
            self.gathering.counts.received += 1;
            let row = Row {
                record: self.record,
                line: 0,
                key: Key::Id(user),
                edits: self.command.edits.clone(),
                creates: true,
            };
            self.gathering.take(Some(user), row)?;
        }
        Ok(())
    }
}

pub(super) async fn prepare(
    engine: &Engine,
    job: &Job,
    fields: &FieldSet,
    pulse: &Pulse,
) -> Result<Option<Preparation>> {
    let staging = engine.staging();
    let command = read_command(staging, job, fields)?;
    let (header, cells) = command.cells();
    let mut listing = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(staging.create()?);
    listing.write_record(&header).map_err(|error| EngineError::Staging(error.into()))?;
    let gathering = Gathering::new(staging, job, fields)?;
    let filter = command.filter.clone();
    let mut rows = Rows { gathering, command, cells, listing, record: 0 };
    let before = object(reference(job), LISTING);
    match staging.exists(&before) {
        // A retry is about those whom the job that it repeats was about.
        true => take_listed(staging, job, &before, &mut rows)?,
        false => {
            let mut matching =
                selection::Selection::open(engine.store(), job.tenant, &filter, fields, INDEX_ENTRIES).await?;
            loop {
                let users = matching.next(BATCH).await?;
                if users.is_empty() {
                    break;
                }
                if pulse.is_lost() {
                    return Ok(None);
                }
                tokio::task::block_in_place(|| users.iter().try_for_each(|user| rows.take(user.id, &mut None)))?;
                pulse.report_reading(0, rows.record);
            }
        }
    }
    let name = object(reference(job), &format!("listing-{}", job.attempt));
    let listing = rows.listing.into_inner().map_err(|error| EngineError::Staging(error.into_error()))?;
    tokio::task::block_in_place(|| listing.publish(staging, &name))?;
    rows.gathering.finish(Some(name), job.source.size_bytes).map(Some)
}

fn take_listed(staging: &Staging, job: &Job, listing: &str, rows: &mut Rows<'_>) -> Result<()> {
    let mut records = open_records(staging, listing, &listing_source(job), job.source.limits)?;
    let mut selection = Selection::open(staging, job)?;
    let mut record = Record::new();
    tokio::task::block_in_place(|| {
        while records.read(&mut record).map_err(read_error)? {
            let id = record.text(0).parse().map_err(|_| EngineError::Damaged(listing.to_owned()))?;
            rows.take(UserId(id), &mut selection)?;
        }
        Ok(())
    })
}
