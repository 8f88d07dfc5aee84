//! From the cells of a record to a [`Row`] (JSON records are read in `json_row`): who is meant, and what is to be changed.

use super::header::{Columns, Role};
use super::records::{Defect, Mark, Record};
use crate::email::parse_email;
use crate::error::{Code, RowError, excerpt};
use crate::field::{FieldNumber, FieldSet};
use crate::id::UserId;
use crate::job::{DEFAULT_CLEAR_TOKEN, JobOptions, MatchBy, UnknownColumns};
use crate::number::parse_integer;
use crate::patch::Patch;
use crate::plan::{Edit, Key, Row};
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
        let key = self.key(record.text(self.columns.key))?;
        let mut edits = Vec::with_capacity(self.columns.roles.len());
        for (index, role) in self.columns.roles.iter().enumerate() {
            if let Role::Field { number, operator } = role {
                let patch = self.patch(record, index, *number, *operator)?;
                edits.extend(Edit::from_patch(*number, index as u16, patch));
            }
        }
        Ok(Row { record: record.number(), line: record.line(), key, edits })
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

    fn key(&self, cell: &str) -> Result<Key, RowError> {
        let column = &self.columns.names[self.columns.key];
        let text = cell.trim();
        if text.is_empty() {
            return Err(RowError::cell(Code::MissingKey, column, cell, "the cell that names the user is empty"));
        }
        match self.columns.match_by {
            MatchBy::Email => Ok(Key::Email(self.email(column, text)?)),
            MatchBy::Id => Ok(Key::Id(self.id(column, text)?)),
        }
    }

    pub(super) fn id(&self, column: &str, text: &str) -> Result<UserId, RowError> {
        parse_integer(text).ok().filter(|id| *id > 0).map(UserId).ok_or_else(|| {
            let message = format!("\"{}\" is not a user's id", excerpt(text));
            RowError::cell(Code::InvalidId, column, text, message)
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
