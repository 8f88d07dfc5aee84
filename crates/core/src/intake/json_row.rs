//! From a JSON record to a [`Row`]: `{"id", "email", "identities", "values"}` (sections 6 and 10 of the contract).
//!
//! Null clears, `{"op", "value"}` operates, what is absent keeps. Members that nobody knows fail the row, because a name
//! that is written wrongly would otherwise be a change that is silently not made.

use super::header::{RESULT_COLUMNS, unknown};
use super::json::{Flaw, Members, parse_object, text_of};
use super::records::{Defect, Record};
use super::row::RowParser;
use crate::error::{Code, RowError, excerpt};
use crate::field::{Field, FieldNumber, normalize_name};
use crate::job::MatchBy;
use crate::patch::Patch;
use crate::plan::{Edit, Key, Row};
use crate::user::Operator;
use crate::value::{Value, patch_from_json_with};
use serde_json::value::RawValue;

/// The most bytes of one value, those of a cell.
const VALUE_BYTES: usize = 64 << 10;

/// The members of a record that say something.
#[derive(Default)]
struct Parts<'a> {
    id: Option<&'a RawValue>,
    email: Option<&'a RawValue>,
    identities: Option<&'a RawValue>,
    values: Option<&'a RawValue>,
}

impl RowParser<'_> {
    /// Reads a JSON record, or says what is wrong with it.
    pub(super) fn parse_json(&self, record: &Record, text: &str) -> Result<Row, RowError> {
        if let Some(defect) = record.defect() {
            return Err(defective(defect));
        }
        let parts = self.parts(parse_object(text).map_err(flawed)?)?;
        let values = parts.values.map(|values| members("values", values)).transpose()?.unwrap_or_default();
        if let Some(identities) = parts.identities.filter(|identities| !matches!(identities.get(), "null" | "[]")) {
            let message = "identities cannot be written yet";
            return Err(RowError::cell(Code::UnknownField, "identities", identities.get(), message));
        }
        let key = self.json_key(&parts)?;
        let mut edits = Vec::with_capacity(values.len() + 1);
        if self.columns.match_by != MatchBy::Email
            && let Some(email) = parts.email
        {
            let patch = match text_or_null("email", Code::InvalidEmail, email)? {
                None => Patch::Clear,
                Some(text) => Patch::Set((Operator::Overwrite, Value::Text(self.email("email", text.trim())?))),
            };
            edits.extend(Edit::from_patch(FieldNumber::EMAIL, FieldNumber::EMAIL.0, patch));
        }
        for (key, value) in &values {
            if let Some(field) = self.field(key)? {
                edits.extend(Edit::from_patch(field.number, field.number.0, self.json_patch(field, value)?));
            }
        }
        Ok(Row { record: record.number(), line: record.line(), key, edits })
    }

    fn parts<'r>(&self, Members(members): Members<'r>) -> Result<Parts<'r>, RowError> {
        let mut parts = Parts::default();
        for (name, value) in members {
            match name.as_ref() {
                "id" => parts.id = Some(value),
                "email" => parts.email = Some(value),
                "identities" => parts.identities = Some(value),
                "values" => parts.values = Some(value),
                ours if RESULT_COLUMNS.contains(&ours) => {}
                name => {
                    let what = excerpt(name);
                    let message = match self.fields.find_by_name(name) {
                        Some(field) => format!(
                            "\"{what}\" stands beside id and email; write {{\"values\": {{\"{}\": …}}}}",
                            field.key
                        ),
                        None => format!("a record has id, email, identities and values, and no \"{what}\""),
                    };
                    return Err(RowError { column: Some(what), ..RowError::row(Code::UnknownField, message) });
                }
            }
        }
        Ok(parts)
    }

    fn json_key(&self, parts: &Parts<'_>) -> Result<Key, RowError> {
        let (name, member) = match self.columns.match_by {
            MatchBy::Email => ("email", parts.email),
            MatchBy::Id => ("id", parts.id),
        };
        let missing = || RowError {
            column: Some(name.into()),
            ..RowError::row(Code::MissingKey, format!("the record has no {name}, which names the user"))
        };
        let code = if name == "id" { Code::InvalidId } else { Code::InvalidEmail };
        let member = member.ok_or_else(missing)?;
        let text = match (name, member.get().as_bytes().first()) {
            ("id", Some(b'0'..=b'9' | b'-')) => member.get().to_owned(),
            _ => text_or_null(name, code, member)?.ok_or_else(missing)?,
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(missing());
        }
        match self.columns.match_by {
            MatchBy::Email => {
                if parts.id.is_some_and(|id| id.get() != "null") {
                    let message = "the id of a user cannot be written; use match_by=id to find users by it";
                    return Err(RowError { column: Some("id".into()), ..RowError::row(Code::ReadOnlyField, message) });
                }
                Ok(Key::Email(self.email(name, text)?))
            }
            MatchBy::Id => Ok(Key::Id(self.id(name, text)?)),
        }
    }

    /// The field of a key; `None` where nobody knows it and that does not matter.
    fn field(&self, key: &str) -> Result<Option<&Field>, RowError> {
        match self.fields.find_by_key(key).filter(|field| !field.archived) {
            Some(field) => Ok(Some(field)),
            None if self.ignore_unknown => Ok(None),
            None => {
                let message = match self.fields.find_by_name(key).filter(|field| !field.archived) {
                    Some(field) => format!("no field has the key \"{}\"; write \"{}\"", excerpt(key), field.key),
                    None => unknown(key, &normalize_name(key), self.fields),
                };
                Err(RowError { column: Some(excerpt(key)), ..RowError::row(Code::UnknownField, message) })
            }
        }
    }

    /// What a value says about its field.
    fn json_patch(&self, field: &Field, value: &RawValue) -> Result<Patch<(Operator, Value)>, RowError> {
        let wrong = |code, message: &str| Err(RowError::cell(code, &field.key, &text_of(value), message));
        if value.get().len() > VALUE_BYTES && text_of(value).len() > VALUE_BYTES {
            return wrong(Code::CellTooLong, "the value is longer than 64 KiB");
        }
        match serde_json::from_str(value.get()) {
            Ok(json) => patch_from_json_with(field, &json, &self.dates)
                .map_err(|misfit| misfit.in_cell(&field.key, &text_of(value))),
            Err(_) => wrong(Code::InvalidJson, HALF),
        }
    }
}

const HALF: &str = "a string has half of a surrogate pair, which is no character";

/// The members of an object that is a part of a record; null is the same as nothing.
fn members<'a>(name: &str, value: &'a RawValue) -> Result<Vec<(std::borrow::Cow<'a, str>, &'a RawValue)>, RowError> {
    match serde_json::from_str::<Option<Members<'a>>>(value.get()) {
        Ok(members) => Ok(members.map(|Members(members)| members).unwrap_or_default()),
        Err(_) => {
            let message = format!("{name} must be an object: field key → value");
            Err(RowError::cell(Code::InvalidJson, name, value.get(), message))
        }
    }
}

/// The text of a string; `None` for null.
fn text_or_null(name: &str, code: Code, value: &RawValue) -> Result<Option<String>, RowError> {
    serde_json::from_str(value.get()).map_err(|_| {
        RowError::cell(code, name, value.get(), format!("{name} must be a string, not {}", excerpt(value.get())))
    })
}

fn defective(defect: Defect) -> RowError {
    let (code, message) = match defect {
        Defect::CellTooLong { .. } | Defect::RecordTooLong => (Code::RecordTooLong, "the record is longer than 8 MiB"),
        Defect::NulCharacter { .. } => (Code::NulCharacter, "the record has a NUL character"),
        Defect::InvalidEncoding { .. } => {
            (Code::InvalidEncoding, "the record has bytes that are not valid in the file's encoding")
        }
    };
    RowError::row(code, message)
}

fn flawed(flaw: Flaw) -> RowError {
    let message = match flaw {
        Flaw::Grammar(grammar) => format!("the line is not JSON: {} at character {}", grammar.why, grammar.character),
        Flaw::NoObject => "a record is an object such as {\"email\": …, \"values\": {…}}".to_owned(),
        Flaw::Surrogate => HALF.to_owned(),
        Flaw::Repeated(name) => format!("\"{}\" stands twice in the same object", excerpt(&name)),
        Flaw::TooDeep => "brackets are nested more than 100 deep".to_owned(),
    };
    RowError::row(Code::InvalidJson, message)
}
