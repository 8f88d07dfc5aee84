//! Explaining: what became of every row, beside the row as it came.
//!
//! The outcomes of a job are merged by record number into one object when it ends. Results are the staged input read
//! again beside them: complete, in input order, with the original columns; nothing is kept twice.

use crate::caller::Caller;
use crate::chunk::ChunkRecord;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::frames;
use crate::input::open_records;
use crate::job::{Job, listing_source, object, reference};
use crate::prepare::Selection;
use crate::result_rows::RowWriter;
use crate::sort::{BUFFER_BYTES, Sorted, Sorter};
use muster_core::Code;
use muster_core::field::FieldSet;
use muster_core::id::JobId;
use muster_core::intake::ReadError;
use muster_core::intake::json::table::Table;
use muster_core::intake::records::Record;
use muster_core::intake::sniff::Source;
use muster_core::outcome::{Outcome, Status};
use muster_core::scope::Scope;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Write};
use tokio::sync::mpsc;

/// How many examples an error group shows.
const EXAMPLES: usize = 5;
/// How much is sent at a time.
const BLOCK_BYTES: usize = 64 << 10;

/// In which form results are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultFormat {
    /// Comma, CRLF, UTF-8.
    Csv,
    /// The same for a spreadsheet: texts that it would run begin with an apostrophe, and the column `_escaped` says which.
    Spreadsheet,
    /// One JSON object for each line.
    Ndjson,
}

/// Which rows are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    /// Every row.
    All,
    /// Those that ended like this.
    Decided(Status),
    /// Those that have no outcome.
    Unprocessed,
}

impl StatusFilter {
    /// Reads the name of a status.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Status::Created, Status::Updated, Status::Unchanged, Status::Skipped, Status::Failed];
        match text {
            "unprocessed" => Some(Self::Unprocessed),
            text => all.into_iter().find(|status| status.as_str() == text).map(Self::Decided),
        }
    }

    fn takes(self, outcome: Option<&Outcome>) -> bool {
        match self {
            Self::All => true,
            Self::Decided(status) => outcome.is_some_and(|outcome| outcome.status == status),
            Self::Unprocessed => outcome.is_none(),
        }
    }
}

/// Rows that failed or were skipped for the same reason in the same column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorGroup {
    /// The code.
    pub code: Code,
    /// The column, where one is to blame.
    pub column: Option<String>,
    /// How many rows.
    pub count: u64,
    /// Some of the values, each once.
    pub sample_values: Vec<String>,
    /// The lines of the first such rows.
    pub first_lines: Vec<u64>,
}

/// Outcomes in order of record number.
pub(crate) enum Outcomes {
    Merged(BufReader<File>, Vec<u8>),
    Collected(Sorted),
}

impl Outcomes {
    pub(crate) fn next(&mut self) -> Result<Option<Outcome>> {
        match self {
            Self::Merged(file, buffer) => {
                frames::read(file, buffer)?.is_some().then(|| frames::decode(buffer)).transpose()
            }
            Self::Collected(sorted) => sorted.next()?.map(|entry| frames::decode(&entry.value)).transpose(),
        }
    }
}

/// Gathers the outcomes of a job from where they were left: the object of preparing, and a blob for each chunk.
async fn collect(engine: &Engine, job: &Job) -> Result<Sorted> {
    let mut sorter = Sorter::new(engine.staging(), BUFFER_BYTES);
    if let Some(prepared) = &job.prepared {
        match engine.staging().read(&prepared.outcomes, 0) {
            Ok(file) => tokio::task::block_in_place(|| collect_prepared(file, &mut sorter))?,
            // The job ended while we looked; its merged outcomes will be read instead.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut next = 0;
    loop {
        let some = engine.store().read().await?.next_outcomes(reference(job), next).await?;
        let Some((cursor, blob)) = some else { break };
        for outcome in frames::decode::<ChunkRecord>(&blob)?.outcomes {
            sorter.push(&outcome.record.to_be_bytes(), &frames::encode(&outcome)?)?;
        }
        next = cursor + 1;
    }
    Ok(tokio::task::block_in_place(|| sorter.finish())?)
}

fn collect_prepared(mut file: BufReader<File>, sorter: &mut Sorter<'_>) -> Result<()> {
    let mut buffer = Vec::new();
    while frames::read(&mut file, &mut buffer)?.is_some() {
        let outcome: Outcome = frames::decode(&buffer)?;
        sorter.push(&outcome.record.to_be_bytes(), &buffer)?;
    }
    Ok(())
}

/// Merges the outcomes of a job into one object and gives its name; none where there are no outcomes.
pub(crate) async fn merge(engine: &Engine, job: &Job) -> Result<Option<String>> {
    if job.prepared.is_none() {
        return Ok(None);
    }
    let mut sorted = collect(engine, job).await?;
    let name = object(reference(job), &format!("results-{}", job.attempt));
    tokio::task::block_in_place(|| {
        let mut merged = engine.staging().create()?;
        while let Some(entry) = sorted.next()? {
            frames::write(&mut merged, &entry.value)?;
        }
        merged.publish(engine.staging(), &name)
    })?;
    Ok(Some(name))
}

/// Refuses with `results_expired` where what became of a job's rows is gone.
pub(crate) fn check_results(job: &Job) -> Result<()> {
    match job.results_expired_at {
        None => Ok(()),
        Some(at) => {
            let detail = format!("What became of the rows was removed at {at}, after its time; the counts stay.");
            Err(EngineError::refuse(Code::ResultsExpired, detail))
        }
    }
}

/// Whether what the rows of a job looked like is gone.
fn is_without_originals(job: &Job) -> bool {
    job.file_erased_at.is_some() && (job.source.file.is_some() || !job.source.listing.is_empty())
}

impl Engine {
    pub(crate) async fn outcomes(&self, job: Job) -> Result<(Job, Outcomes)> {
        check_results(&job)?;
        let collected = match job.results {
            None => Some(collect(self, &job).await?),
            Some(_) => None,
        };
        // What was collected is complete only if the job had not ended meanwhile.
        let again: Option<Job> = self.store().read().await?.get_job(job.tenant, job.id).await?;
        let job = again.ok_or_else(|| EngineError::not_found("job"))?;
        let outcomes = match (&job.results, collected) {
            (None, Some(sorted)) => Outcomes::Collected(sorted),
            (Some(results), _) => Outcomes::Merged(self.staging().read(results, 0)?, Vec::new()),
            (None, None) => return Err(EngineError::Damaged(format!("the results of {}", job.id))),
        };
        Ok((job, outcomes))
    }

    /// The results of a job, as blocks of bytes. They are complete for a job that ended, and as far as they are for one
    /// that has not.
    pub async fn job_results(
        &self,
        caller: &Caller,
        id: JobId,
        filter: StatusFilter,
        format: ResultFormat,
    ) -> Result<(Job, mpsc::Receiver<Result<Vec<u8>>>)> {
        caller.require(Scope::JobsRead)?;
        caller.require(Scope::UsersRead)?;
        let (job, outcomes) = self.outcomes(self.find_job(caller, id).await?).await?;
        let fields = self.fields(caller.tenant).await?;
        let table = tokio::task::block_in_place(|| tabulate(self, &job, format))?;
        let (sender, receiver) = mpsc::channel(4);
        let (engine, of) = (self.clone(), job.clone());
        tokio::task::spawn_blocking(move || {
            let mut blocks = Blocks { sender: &sender, block: Vec::with_capacity(BLOCK_BYTES) };
            let written = write_results(&engine, &of, &fields, outcomes, (filter, format, table), &mut blocks);
            if let Err(error) = written.and_then(|()| Ok(blocks.flush()?))
                && !matches!(&error, EngineError::Staging(error) if error.kind() == ErrorKind::BrokenPipe)
            {
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok((job, receiver))
    }

    /// The reasons for which rows failed or were skipped, the most frequent first.
    pub async fn job_errors(&self, caller: &Caller, id: JobId) -> Result<Vec<ErrorGroup>> {
        caller.require(Scope::JobsRead)?;
        caller.require(Scope::UsersRead)?;
        let job = self.find_job(caller, id).await?;
        self.group_errors(job).await
    }

    pub(crate) async fn group_errors(&self, job: Job) -> Result<Vec<ErrorGroup>> {
        let (_, mut outcomes) = self.outcomes(job).await?;
        tokio::task::block_in_place(|| {
            let mut groups: BTreeMap<(Code, Option<String>), ErrorGroup> = BTreeMap::new();
            while let Some(outcome) = outcomes.next()? {
                let Some(reason) = outcome.reason else { continue };
                let error = reason.error;
                let group = groups.entry((error.code, error.column.clone())).or_insert_with(|| ErrorGroup {
                    code: error.code,
                    column: error.column,
                    count: 0,
                    sample_values: Vec::new(),
                    first_lines: Vec::new(),
                });
                group.count += 1;
                // Rows of a job without a file stand on no line.
                if reason.line > 0 && group.first_lines.len() < EXAMPLES {
                    group.first_lines.push(reason.line);
                }
                if let Some(value) = error.value
                    && group.sample_values.len() < EXAMPLES
                    && !group.sample_values.contains(&value)
                {
                    group.sample_values.push(value);
                }
            }
            let mut groups: Vec<ErrorGroup> = groups.into_values().collect();
            groups.sort_by_key(|group| std::cmp::Reverse(group.count));
            Ok(groups)
        })
    }
}

fn write_results(
    engine: &Engine,
    job: &Job,
    fields: &FieldSet,
    mut outcomes: Outcomes,
    (filter, format, table): (StatusFilter, ResultFormat, Option<Table>),
    out: &mut impl Write,
) -> Result<()> {
    // A job without a file has a list of what its rows are about; before it was prepared it has not even that.
    let listing = job.prepared.as_ref().and_then(|prepared| prepared.listing.as_deref());
    let (name, source) = match (&job.source.file, listing) {
        (Some(file), _) => (job.staged.as_str(), file.clone()),
        (None, Some(listing)) => (listing, listing_source(job)),
        (None, None) => return RowWriter::new(format, job, fields, &listing_source(job).header, None, out)?.finish(),
    };
    let mut records = match is_without_originals(job) {
        true => None,
        false => Some(open_records(engine.staging(), name, &source, job.source.limits)?),
    };
    let mut selection = Selection::open(engine.staging(), job)?;
    let (mut record, mut number, mut written) = (Record::new(), 0, 0);
    let mut next = outcomes.next()?;
    let header = table.as_ref().map_or(source.header, Table::header);
    let mut writer = RowWriter::new(format, job, fields, &header, table, out)?;
    while written < job.counts.received {
        number = match records.as_mut().map(|records| records.read(&mut record)) {
            None => number + 1,
            Some(Ok(true)) => record.number(),
            // A file with a fault ends its job before anything is written; its rows end where the fault is.
            Some(Ok(false) | Err(ReadError::Fault(_))) => break,
            Some(Err(ReadError::Io(error))) => return Err(error.into()),
        };
        if let Some(selection) = &mut selection
            && !selection.takes(number)?
        {
            continue;
        }
        written += 1;
        while next.as_ref().is_some_and(|outcome| outcome.record < number) {
            next = outcomes.next()?;
        }
        let outcome = next.as_ref().filter(|outcome| outcome.record == number);
        match filter.takes(outcome) {
            true if records.is_some() => writer.write(&record, outcome)?,
            true => writer.write_blank(number, outcome)?,
            false => {}
        }
    }
    writer.finish()
}

/// The columns of a job's records, where they are JSON and wanted as CSV. Refuses with `too_many_columns`.
fn tabulate(engine: &Engine, job: &Job, format: ResultFormat) -> Result<Option<Table>> {
    let wants = |file: &&Source| file.format.is_json() && format != ResultFormat::Ndjson && !is_without_originals(job);
    let Some(file) = job.source.file.as_ref().filter(wants) else {
        return Ok(None);
    };
    let mut records = open_records(engine.staging(), &job.staged, file, job.source.limits)?;
    let (mut record, mut table, most) = (Record::new(), Table::default(), job.source.limits.columns);
    loop {
        match records.read(&mut record) {
            Ok(true) => record.json().map_or(Ok(()), |text| table.add(text, most))?,
            Ok(false) | Err(ReadError::Fault(_)) => return Ok(Some(table)),
            Err(ReadError::Io(error)) => return Err(error.into()),
        }
    }
}

/// Sends what is written as blocks to whoever reads.
struct Blocks<'a> {
    sender: &'a mpsc::Sender<Result<Vec<u8>>>,
    block: Vec<u8>,
}

impl Write for Blocks<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK_BYTES));
        self.sender.blocking_send(Ok(block)).map_err(|_| ErrorKind::BrokenPipe.into())
    }
}
