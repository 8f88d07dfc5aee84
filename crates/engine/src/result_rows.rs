//! The rows of results: the original columns or members, then ours.

use crate::error::{EngineError, Result};
use crate::job::Job;
use crate::results::ResultFormat;
use muster_core::Code;
use muster_core::field::FieldSet;
use muster_core::intake::formula::{ESCAPED_COLUMN, defuse};
use muster_core::intake::header::{RESULT_COLUMNS, map_header};
use muster_core::intake::json::{table::Table, with_members};
use muster_core::intake::records::Record;
use muster_core::outcome::Outcome;
use muster_core::user::{changes_from_stored, wire_or_null};
use serde_json::{Map, Value as Json, json};
use std::borrow::Cow;
use std::io::Write;

/// The columns that results add to the original ones.
const OURS: [&str; 7] = ["_line", "_record", "_status", "_code", "_column", "_message", "_user_id"];
/// The column that the results of a dry run add to those.
const CHANGES: &str = "_changes";

/// What a dry run would change: field → {old, new}.
fn changes_to_wire(stored: &str, fields: &FieldSet) -> Result<Json> {
    let changes = changes_from_stored(stored, fields).map_err(|error| EngineError::Damaged(error.to_string()))?;
    let mut object = Map::new();
    for change in &changes {
        let both = json!({ "old": wire_or_null(change.old.as_ref()), "new": wire_or_null(change.new.as_ref()) });
        object.insert(fields.key_of(change.field).unwrap_or_default().to_owned(), both);
    }
    Ok(Json::Object(object))
}

/// Writes result rows in one of the formats.
pub(crate) struct RowWriter<'a, W: Write> {
    fields: &'a FieldSet,
    /// Whether the job has lines and changes to show.
    has_lines: bool,
    dry_run: bool,
    /// The indexes of the original columns that are shown: all but those of earlier results.
    shown: Vec<usize>,
    header: &'a [String],
    /// The columns of JSON records.
    table: Option<Table>,
    /// Where the whole of a row goes whose cells cannot be told apart: away from what names the user, so that the row is
    /// refused again until somebody has mended it.
    whole: Option<usize>,
    /// Whether a spreadsheet is to open the file, so that it must not run what it holds.
    defuses: bool,
    out: Out<W>,
}

enum Out<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Ndjson(W),
}

impl<'a, W: Write> RowWriter<'a, W> {
    pub(crate) fn new(
        format: ResultFormat,
        job: &Job,
        fields: &'a FieldSet,
        header: &'a [String],
        table: Option<Table>,
        out: W,
    ) -> Result<Self> {
        let shown: Vec<usize> = (0..header.len()).filter(|i| !RESULT_COLUMNS.contains(&header[*i].trim())).collect();
        let defuses = format == ResultFormat::Spreadsheet;
        let key = map_header(header, fields, &job.options).map_or(0, |columns| columns.key);
        let whole = shown.iter().find(|index| **index != key).or(shown.first()).copied();
        let out = match format {
            ResultFormat::Ndjson => Out::Ndjson(out),
            ResultFormat::Csv | ResultFormat::Spreadsheet => {
                let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
                let names = shown.iter().map(|i| header[*i].as_str()).chain(OURS);
                let names = names.chain(job.dry_run.then_some(CHANGES)).chain(defuses.then_some(ESCAPED_COLUMN));
                let harmless =
                    names.map(|name: &str| defuse(name).filter(|_| defuses).map_or(Cow::from(name), Cow::from));
                writer.write_record(harmless.map(Cow::into_owned)).map_err(csv_error)?;
                Out::Csv(Box::new(writer))
            }
        };
        Ok(Self {
            fields,
            has_lines: job.source.file.is_some(),
            dry_run: job.dry_run,
            shown,
            header,
            table,
            whole,
            defuses,
            out,
        })
    }

    /// Writes a row of which nothing is left but what became of it.
    pub(crate) fn write_blank(&mut self, number: u64, outcome: Option<&Outcome>) -> Result<()> {
        let line = outcome.and_then(|outcome| outcome.reason.as_ref()).map_or(0, |reason| reason.line);
        self.write_row(&Record::new(), (number, line), outcome)
    }

    pub(crate) fn write(&mut self, record: &Record, outcome: Option<&Outcome>) -> Result<()> {
        self.write_row(record, (record.number(), record.line()), outcome)
    }

    fn write_row(&mut self, record: &Record, (number, line): (u64, u64), outcome: Option<&Outcome>) -> Result<()> {
        let reason = outcome.and_then(|outcome| outcome.reason.as_ref());
        let changes = outcome.and_then(|outcome| outcome.changes.as_deref());
        let changes = changes.map(|stored| changes_to_wire(stored, self.fields)).transpose()?;
        let ours = [
            if self.has_lines && line > 0 { line.to_string() } else { String::new() },
            number.to_string(),
            outcome.map_or("unprocessed", |outcome| outcome.status.as_str()).to_owned(),
            reason.map_or(String::new(), |reason| reason.error.code.to_string()),
            reason.and_then(|reason| reason.error.column.clone()).unwrap_or_default(),
            reason.map_or(String::new(), |reason| reason.error.sentence(reason.line)),
            outcome.and_then(|outcome| outcome.user).map_or(String::new(), |user| user.to_string()),
        ];
        let table = self.table.as_ref().zip(record.json()).map(|(table, text)| table.cells(text));
        let says_nothing = table.as_ref().is_some_and(|cells| cells.iter().all(String::is_empty));
        let whole = match record.json() {
            Some(text) => says_nothing.then(|| text.to_owned()),
            None => reason.and_then(|reason| line_of(record, reason.error.code)),
        };
        let cell = |i: &usize| match &whole {
            Some(whole) if self.whole == Some(*i) => whole.as_str(),
            Some(_) => "",
            None => table.as_ref().map_or_else(|| record.text(*i), |cells| &cells[*i]),
        };
        match &mut self.out {
            Out::Csv(writer) => {
                let cells = self.shown.iter().map(cell);
                let changes = self.dry_run.then(|| changes.map_or(String::new(), |changes| changes.to_string()));
                let cells = cells.chain(ours.iter().map(String::as_str)).chain(changes.as_deref());
                match self.defuses {
                    false => writer.write_record(cells).map_err(csv_error),
                    true => {
                        let names = self.shown.iter().map(|i| self.header[*i].trim()).chain(OURS).chain([CHANGES]);
                        write_defused(writer, names.zip(cells))
                    }
                }
            }
            Out::Ndjson(out) => {
                let mut object = Map::new();
                for i in &self.shown {
                    object.insert(self.header[*i].clone(), cell(i).into());
                }
                for (name, text) in OURS.iter().zip(ours) {
                    let numeric = matches!(*name, "_line" | "_record" | "_user_id");
                    let value = match text.as_str() {
                        "" => Json::Null,
                        text if numeric => text.parse::<u64>().map_or(Json::Null, Json::from),
                        _ => Json::String(text),
                    };
                    object.insert((*name).to_owned(), value);
                }
                if self.dry_run {
                    object.insert(CHANGES.to_owned(), changes.unwrap_or(Json::Null));
                }
                let mut line = match record.json() {
                    Some(text) => with_members(text, &object),
                    None => Json::Object(object).to_string(),
                };
                line.push('\n');
                Ok(out.write_all(line.as_bytes())?)
            }
        }
    }

    pub(crate) fn finish(self) -> Result<()> {
        match self.out {
            Out::Csv(mut writer) => Ok(writer.flush()?),
            Out::Ndjson(mut out) => Ok(out.flush()?),
        }
    }
}

/// The whole of a row whose cells cannot be told apart, as it would stand in a file.
fn line_of(record: &Record, code: Code) -> Option<String> {
    if !matches!(code, Code::ColumnCountMismatch | Code::MalformedQuote) {
        return None;
    }
    let mut line = csv::WriterBuilder::new().from_writer(Vec::new());
    line.write_record((0..record.len()).map(|index| record.text(index))).ok()?;
    Some(String::from_utf8(line.into_inner().ok()?).ok()?.trim_end().to_owned())
}

/// Writes cells so that no spreadsheet runs one, and names those that were changed for it.
fn write_defused<'a, W: Write>(
    writer: &mut csv::Writer<W>,
    cells: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<()> {
    let mut defused = Vec::new();
    for (name, cell) in cells {
        let harmless = defuse(cell).inspect(|_| defused.push(name));
        writer.write_field(harmless.as_deref().unwrap_or(cell)).map_err(csv_error)?;
    }
    let escaped = if defused.is_empty() { String::new() } else { json!(defused).to_string() };
    writer.write_field(escaped).map_err(csv_error)?;
    writer.write_record(None::<&[u8]>).map_err(csv_error)
}

fn csv_error(error: csv::Error) -> EngineError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => EngineError::Staging(error),
        other => EngineError::Damaged(format!("{other:?}")),
    }
}
