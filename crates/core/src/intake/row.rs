//! From the cells of a record to a [`Row`] (JSON records are read in `json_row`): who is meant, and what is to be changed.

use super::header::{Columns, IdentityColumns, Matching, Role};
use super::records::{Defect, Mark, Record};
use crate::email::parse_email;
use crate::error::{Code, RowError, excerpt};
use crate::field::{FieldNumber, FieldSet};
use crate::id::UserId;
use crate::identity::Identity;
use crate::job::{DEFAULT_CLEAR_TOKEN, JobOptions, UnknownColumns};
use crate::key::Key;
use crate::number::parse_integer;
use crate::patch::Patch;
use crate::plan::{Edit, Row};
use crate::user::Operator;
use crate::value::{DateFormat, Value};

/// Reads the records of one file.
#[derive(Clone, Debug)]
pub struct RowParser<'a> {
    pub(super) columns: &'a Columns,
    pub(super) fields: &'a FieldSet,
    pub(super) ignore_unknown: bool,
    clear_token: &'a str,
    pub(super) dates: DateFormat,
}

impl<'a> RowParser<'a> {
    /// A parser for files with these columns and options.
    pub fn new(columns: &'a Columns, fields: &'a FieldSet, options: &'a JobOptions) -> Self {
        let dates = options.date_format.as_deref().and_then(DateFormat::parse).unwrap_or_default();
        let ignore_unknown = options.unknown_columns == Some(UnknownColumns::Ignore);
        let clear_token = options.clear_token.as_deref().unwrap_or(DEFAULT_CLEAR_TOKEN);
        Self { columns, fields, ignore_unknown, clear_token, dates }
    }

    /// Reads a record, or says what is wrong with it. The first fault fails the row.
    pub fn parse(&self, record: &Record) -> Result<Row, RowError> {
        if let Some(text) = record.json() {
            return self.parse_json(record, text);
        }
        if record.len() != self.columns.names.len() {
            let message = format!("the row has {} cells, the header {}", record.len(), self.columns.names.len());
            return Err(RowError::row(Code::ColumnCountMismatch, message));
        }
        if let Some(defect) = record.defect() {
            return Err(self.defective(defect));
        }
        if let Some(column) = record.stray_quote() {
            let message = "the cell goes on after its closing quote; a quote inside is written twice";
            let column = self.columns.names.get(column).cloned();
            return Err(RowError { column, ..RowError::row(Code::MalformedQuote, message) });
        }
        self.check_marks(record)?;
        let key = self.key(record)?;
        let mut edits = Vec::with_capacity(self.columns.roles.len());
        for (index, role) in self.columns.roles.iter().enumerate() {
            if let Role::Field { number, operator } = role {
                let patch = self.patch(record, index, *number, *operator)?;
                edits.extend(Edit::from_patch(*number, index as u16, patch));
            }
        }
        if let Some(columns) = self.columns.identity.filter(|_| self.columns.matching != Matching::Identity) {
            let patch = match self.identity(record, columns)? {
                Some(identity) => Patch::Set((Operator::Add, Value::Identities(vec![identity]))),
                None => Patch::Keep,
            };
            edits.extend(Edit::from_patch(FieldNumber::IDENTITIES, columns.source_id as u16, patch));
        }
        Ok(Row { record: record.number(), line: record.line(), key, edits, creates: true })
    }

    /// Refuses cells that a spreadsheet could not compute, where they are read.
    fn check_marks(&self, record: &Record) -> Result<(), RowError> {
        let wrong = |(index, role): (usize, &Role)| *role != Role::Ignored && record.mark(index) == Some(Mark::Error);
        let Some(index) = self.columns.roles.iter().enumerate().position(wrong) else { return Ok(()) };
        let text = record.text(index);
        let message = match text {
            "" => {
                "the cell has a formula that was never computed; open the file in a spreadsheet and save it".to_owned()
            }
            text => format!("the cell holds the error {}", excerpt(text)),
        };
        Err(RowError::cell(Code::CellError, &self.columns.names[index], text, message))
    }

    fn defective(&self, defect: Defect) -> RowError {
        let (code, column, message) = match defect {
            Defect::CellTooLong { column } => (Code::CellTooLong, column, "the cell is longer than 64 KiB"),
            Defect::NulCharacter { column } => (Code::NulCharacter, column, "the cell has a NUL character"),
            Defect::InvalidEncoding { column } => {
                (Code::InvalidEncoding, column, "the cell has bytes that are not valid in the file's encoding")
            }
            Defect::RecordTooLong => return RowError::row(Code::RecordTooLong, "the record is longer than 8 MiB"),
        };
        RowError { column: self.columns.names.get(column).cloned(), ..RowError::row(code, message) }
    }

    fn key(&self, record: &Record) -> Result<Key, RowError> {
        let cell = record.text(self.columns.key);
        let column = &self.columns.names[self.columns.key];
        let text = cell.trim();
        let missing = || RowError::cell(Code::MissingKey, column, cell, "the cell that names the user is empty");
        if let (Matching::Identity, Some(columns)) = (self.columns.matching, self.columns.identity) {
            return self.identity(record, columns)?.map(Key::Identity).ok_or_else(missing);
        }
        if text.is_empty() {
            return Err(missing());
        }
        match self.columns.matching {
            Matching::Email | Matching::Identity => Ok(Key::Email(self.email(column, text)?)),
            Matching::Unique(number) => {
                let field = self.fields.get(number).ok_or_else(missing)?;
                let value =
                    Value::from_text(field, text, &self.dates).map_err(|misfit| misfit.in_cell(column, text))?;
                Ok(Key::Unique(number, value))
            }
            Matching::Id => Ok(Key::Id(self.id(column, text)?)),
        }
    }

    pub(super) fn id(&self, column: &str, text: &str) -> Result<UserId, RowError> {
        parse_integer(text).ok().filter(|id| *id > 0).map(UserId).ok_or_else(|| {
            let message = format!("\"{}\" is not a user's id", excerpt(text));
            RowError::cell(Code::InvalidId, column, text, message)
        })
    }

    /// The identity of a record; none where all its cells are empty.
    fn identity(&self, record: &Record, columns: IdentityColumns) -> Result<Option<Identity>, RowError> {
        let cell = |index: usize| record.text(index).trim();
        let language = columns.language.map(cell);
        let parts = [columns.source, columns.source_id];
        if parts.iter().all(|index| cell(*index).is_empty()) && language.is_none_or(str::is_empty) {
            return Ok(None);
        }
        if let Some(empty) = parts.iter().find(|index| cell(**index).is_empty()) {
            let message = "an identity needs both a source and a source_id";
            return Err(RowError::cell(Code::MissingKey, &self.columns.names[*empty], "", message));
        }
        let text = cell(columns.source_id);
        let identity = Identity::new(cell(columns.source), text, language);
        identity.map(Some).map_err(|message| {
            RowError::cell(Code::InvalidIdentity, &self.columns.names[columns.source_id], text, message)
        })
    }

    pub(super) fn email(&self, column: &str, text: &str) -> Result<String, RowError> {
        let email = parse_email(text).ok_or_else(|| {
            RowError::cell(Code::InvalidEmail, column, text, format!("\"{}\" is not an email address", excerpt(text)))
        })?;
        Ok(email.to_owned())
    }

    /// What the cell and its operator say about the field.
    fn patch(
        &self,
        record: &Record,
        index: usize,
        number: FieldNumber,
        operator: Option<usize>,
    ) -> Result<Patch<(Operator, Value)>, RowError> {
        let cell = record.text(index);
        let column = &self.columns.names[index];
        let word = operator.map_or("", |index| record.text(index));
        let named = || operator.map_or("", |index| &self.columns.names[index]);
        let op = match word {
            "" => Operator::Overwrite,
            word => Operator::parse(word).ok_or_else(|| {
                let message = format!("\"{}\" is not add, subtract or overwrite", excerpt(word));
                RowError::cell(Code::InvalidOperator, named(), word, message)
            })?,
        };
        if cell.is_empty() {
            return match word {
                "" => Ok(Patch::Keep),
                word => Err(RowError::cell(
                    Code::OperatorWithoutValue,
                    named(),
                    word,
                    format!("\"{word}\" has no value in {column}"),
                )),
            };
        }
        if cell == self.clear_token {
            return match op {
                Operator::Overwrite => Ok(Patch::Clear),
                Operator::Add | Operator::Subtract => {
                    let message = format!("\"{word}\" needs a number, and {column} says to clear");
                    Err(RowError::cell(Code::InvalidOperator, named(), word, message))
                }
            };
        }
        let value = match self.fields.get(number) {
            Some(field) => {
                let value = match record.mark(index) {
                    Some(Mark::Date) => Value::from_date_cell(field, cell),
                    Some(Mark::Error) | None => Value::from_text(field, cell, &self.dates),
                };
                value.map_err(|misfit| misfit.in_cell(column, cell))?
            }
            None => Value::Text(self.email(column, cell)?),
        };
        Ok(Patch::Set((op, value)))
    }
}
