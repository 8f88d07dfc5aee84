//! Takes a person out of what a job that has ended keeps in the staging area, and looks for one in what a job works with that
//! has not. What is kept of others stays as it was; an object is replaced as a whole, and only where something in it goes.

use super::subject::Subject;
use crate::error::Result;
use crate::frames;
use crate::input::open_records;
use crate::job::{Job, PARENT_OUTCOMES, PARENT_PLAN, object, reference};
use crate::prepare::{PreparedRow, past_outcomes};
use crate::staging::Staging;
use muster_core::error::RowError;
use muster_core::field::FieldSet;
use muster_core::intake::ReadError;
use muster_core::intake::header::Columns;
use muster_core::intake::records::{Record, Records};
use muster_core::intake::row::RowParser;
use muster_core::key::Key;
use muster_core::outcome::{Outcome, Reason};
use muster_core::plan::Row;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};

/// The version that no user has, so that a row of a plan that expects it fails as `changed_since_plan`.
const NO_VERSION: i64 = -1;

/// Takes the person out of the outcomes and the plan of a job. Says whether the input holds the person and has to go.
pub(super) fn scrub(staging: &Staging, job: &Job, subject: &Subject, fields: &FieldSet) -> Result<bool> {
    let columns = job.source.file.as_ref().and_then(|file| file.columns(fields, &job.options).ok());
    let search = || Search::open(staging, job, columns.as_ref(), subject, fields);
    let mut holds = job.source.file.is_some() && subject.may_be_in(job);
    let outcomes = outcome_objects(staging, job);
    for name in &outcomes {
        let mut search = search()?;
        holds |= scrub_outcomes(staging, name, subject, &mut search)? && job.source.file.is_some();
        holds |= search.finish()?;
    }
    if outcomes.is_empty() {
        holds |= search()?.finish()?;
    }
    if let Some(plan) = &job.plan {
        scrub_plan(staging, plan, subject, fields)?;
    }
    Ok(holds || is_in_command(staging, job, subject)?)
}

/// Whether a job that is not over holds the person, or may: in what it was given or what was made of that.
pub(super) fn may_hold(staging: &Staging, job: &Job, subject: &Subject, fields: &FieldSet) -> Result<bool> {
    if job.started_at.is_some() && job.prepared.is_none() && job.source.file.is_none() {
        // Whom it is about is being found out.
        return Ok(true);
    }
    let of = reference(job);
    let planned = job.prepared.iter().map(|made| made.rows.clone()).chain([object(of, PARENT_PLAN)]);
    for name in planned.filter(|name| staging.exists(name)) {
        if any(staging, &name, |row: &PreparedRow| is_planned(row, subject, fields))? {
            return Ok(true);
        }
    }
    let decided = job.prepared.iter().map(|made| made.outcomes.clone()).chain([object(of, PARENT_OUTCOMES)]);
    for name in decided.filter(|name| staging.exists(name)).chain(outcome_objects(staging, job)) {
        if any(staging, &name, |outcome: &Outcome| {
            outcome.user == Some(subject.id()) || is_said(outcome, subject, fields)
        })? {
            return Ok(true);
        }
    }
    let columns = job.source.file.as_ref().and_then(|file| file.columns(fields, &job.options).ok());
    Ok(Search::open(staging, job, columns.as_ref(), subject, fields)?.finish()?
        || is_in_command(staging, job, subject)?)
}

/// Whether any of the frames of an object is like this.
fn any<T: DeserializeOwned>(staging: &Staging, name: &str, is_one: impl Fn(&T) -> bool) -> Result<bool> {
    let (mut from, mut buffer) = (staging.read(name, 0)?, Vec::new());
    while frames::read(&mut from, &mut buffer)?.is_some() {
        if is_one(&frames::decode(&buffer)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_planned(prepared: &PreparedRow, subject: &Subject, fields: &FieldSet) -> bool {
    prepared.user == Some(subject.id()) || subject.is_in_row(&prepared.row, fields)
}

/// The outcomes that a job keeps: its own, and those of the jobs that it repeats.
fn outcome_objects(staging: &Staging, job: &Job) -> Vec<String> {
    let before = (0..).map(|back| past_outcomes(reference(job), back)).take_while(|name| staging.exists(name));
    job.results.iter().filter(|name| staging.exists(name)).cloned().chain(before).collect()
}

/// Whether the command of a change by filter names the person.
fn is_in_command(staging: &Staging, job: &Job, subject: &Subject) -> Result<bool> {
    if job.source.listing.is_empty() || job.file_erased_at.is_some() {
        return Ok(false);
    }
    let mut text = String::new();
    staging.read(&job.staged, 0)?.read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text).map_or(true, |json| subject.is_in_json(&json)))
}

/// Replaces what was said about the person. Says whether something was.
fn scrub_outcomes(staging: &Staging, name: &str, subject: &Subject, search: &mut Search<'_>) -> Result<bool> {
    let (mut from, mut to) = (staging.read(name, 0)?, staging.create()?);
    let (mut buffer, mut named, mut changed) = (Vec::new(), false, false);
    while frames::read(&mut from, &mut buffer)?.is_some() {
        let outcome: Outcome = frames::decode(&buffer)?;
        let is_theirs = search.is_theirs(outcome.record)? || outcome.user == Some(subject.id());
        named |= is_theirs;
        match is_theirs || is_said(&outcome, subject, search.fields) {
            true => {
                let blank = blank(&outcome);
                changed |= blank != outcome;
                frames::write(&mut to, &frames::encode(&blank)?)?;
            }
            false => drop(frames::write(&mut to, &buffer)?),
        }
    }
    if changed {
        to.publish(staging, name)?;
    }
    Ok(named)
}

/// Whether what is said of another row names the person.
fn is_said(outcome: &Outcome, subject: &Subject, fields: &FieldSet) -> bool {
    outcome.reason.as_ref().is_some_and(|reason| subject.is_in_error(&reason.error))
        || outcome.changes.as_ref().is_some_and(|changes| subject.is_in_changes(changes, fields))
}

/// The outcome without anything that a row or a user said.
fn blank(outcome: &Outcome) -> Outcome {
    let reason = outcome.reason.as_ref().map(|Reason { line, error }| {
        let message = "what was said about the row was erased".to_owned();
        let error = RowError { code: error.code, column: error.column.clone(), value: None, message };
        Reason { line: *line, error }
    });
    Outcome { reason, changes: None, ..outcome.clone() }
}

/// Makes the rows of a plan that name the person fail when the plan is applied, and say nothing.
fn scrub_plan(staging: &Staging, name: &str, subject: &Subject, fields: &FieldSet) -> Result<()> {
    let mut from = match staging.read(name, 0) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        from => from?,
    };
    let (mut to, mut buffer, mut changed) = (staging.create()?, Vec::new(), false);
    while frames::read(&mut from, &mut buffer)?.is_some() {
        let prepared: PreparedRow = frames::decode(&buffer)?;
        if is_planned(&prepared, subject, fields) {
            let row = Row { key: Key::Id(subject.id()), edits: Vec::new(), ..prepared.row };
            let blank = PreparedRow { expected: Some(NO_VERSION), ..PreparedRow::new(Some(subject.id()), row) };
            frames::write(&mut to, &frames::encode(&blank)?)?;
            changed = true;
        } else {
            frames::write(&mut to, &buffer)?;
        }
    }
    if changed {
        to.publish(staging, name)?;
    }
    Ok(())
}

/// Goes through the file of a job and looks for the person in every record.
struct Search<'a> {
    records: Option<Records<BufReader<File>>>,
    record: Record,
    columns: Option<&'a Columns>,
    parser: Option<RowParser<'a>>,
    subject: &'a Subject,
    fields: &'a FieldSet,
    is_theirs: bool,
    found: bool,
}

impl<'a> Search<'a> {
    /// Nothing is found where the file is gone.
    fn open(
        staging: &Staging,
        job: &'a Job,
        columns: Option<&'a Columns>,
        subject: &'a Subject,
        fields: &'a FieldSet,
    ) -> Result<Self> {
        let file = job.source.file.as_ref().filter(|_| job.file_erased_at.is_none());
        let records = file.map(|file| open_records(staging, &job.staged, file, job.source.limits)).transpose()?;
        let parser = columns.map(|columns| RowParser::new(columns, fields, &job.options));
        Ok(Self { records, record: Record::new(), columns, parser, subject, fields, is_theirs: false, found: false })
    }

    /// Whether a record is the person's. To be asked in the order of the records.
    fn is_theirs(&mut self, number: u64) -> Result<bool> {
        while self.record.number() < number && self.read()? {}
        Ok(self.is_theirs && self.record.number() == number)
    }

    /// Looks through the rest; says whether the person was found anywhere. A file that cannot be read to its end counts as
    /// one that holds the person.
    fn finish(mut self) -> Result<bool> {
        while !self.found && self.read()? {}
        Ok(self.found)
    }

    fn read(&mut self) -> Result<bool> {
        let Some(records) = &mut self.records else { return Ok(false) };
        self.is_theirs = false;
        match records.read(&mut self.record) {
            Ok(true) => {
                let row = self.parser.as_ref().and_then(|parser| parser.parse(&self.record).ok());
                let is_row = row.is_some_and(|row| self.subject.is_in_row(&row, self.fields));
                self.is_theirs = is_row || self.subject.is_in_record(&self.record, self.columns);
                self.found |= self.is_theirs;
                Ok(true)
            }
            Ok(false) => {
                self.records = None;
                Ok(false)
            }
            Err(ReadError::Fault(_)) => {
                (self.records, self.found) = (None, true);
                Ok(false)
            }
            Err(ReadError::Io(error)) => Err(error.into()),
        }
    }
}
