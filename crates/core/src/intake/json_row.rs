//! From a JSON record to a [`Row`]: `{"id", "email", "identities", "values"}` (sections 6 and 10 of the contract).
//!
//! Null clears, `{"op", "value"}` operates, what is absent keeps. `"create": false` makes nobody of a record that names
//! nobody, and fields named in `"only_if_empty"` are set only where they hold nothing. Members that nobody knows fail the
//! row, because a name that is written wrongly would otherwise be a change that is silently not made.
//!
//! What the API shows of a user beside that (`version`, `created_at`, `updated_at`) is passed over, so that an exported
//! record can be sent back as it is; its `id` must be that of the user whom the record names.

use super::header::{Matching, RESULT_COLUMNS, unknown};
use super::json::{Flaw, Members, parse_object, text_of};
use super::records::{Defect, Record};
use super::row::RowParser;
use crate::error::{Code, RowError, excerpt};
use crate::field::{Field, FieldNumber, normalize_name};
use crate::identity::Identity;
use crate::json::Unclear;
use crate::key::Key;
use crate::patch::Patch;
use crate::plan::{Edit, Row};
use crate::user::Operator;
use crate::value::{Value, patch_from_json_with};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The most bytes of one value, those of a cell.
const VALUE_BYTES: usize = 64 << 10;

/// What a user's record says and nobody can write.
const SHOWN_ONLY: &[&str] = &["version", "created_at", "updated_at"];

/// The members of a record that say something.
#[derive(Default)]
struct Parts<'a> {
    id: Option<&'a RawValue>,
    email: Option<&'a RawValue>,
    identities: Option<&'a RawValue>,
    values: Option<&'a RawValue>,
    create: Option<&'a RawValue>,
    only_if_empty: Option<&'a RawValue>,
}

impl RowParser<'_> {
    /// Reads a JSON record, or says what is wrong with it.
    pub(super) fn parse_json(&self, record: &Record, text: &str) -> Result<Row, RowError> {
        if let Some(defect) = record.defect() {
            return Err(defective(defect));
        }
        let parts = self.parts(parse_object(text).map_err(flawed)?)?;
        let values = parts.values.map(|values| members("values", values)).transpose()?.unwrap_or_default();
        let matching = self.columns.matching;
        let key = self.json_key(&parts, &values)?;
        let creates = parts.create.is_none_or(|create| create.get() != "false");
        let gentle = self.only_if_empty(&parts)?;
        let mut edits = Vec::with_capacity(values.len() + 2);
        let mut edit = |number: FieldNumber, patch| {
            let edit = Edit::from_patch(number, number.0, patch);
            edits.extend(if gentle.contains(&number) { edit.and_then(Edit::if_empty) } else { edit });
        };
        if let Some(id) = parts.id.filter(|id| matching != Matching::Id && id.get() != "null") {
            let id = Value::Integer(self.id("id", text_of(id).trim())?.0);
            edit(FieldNumber::ID, Patch::Set((Operator::Overwrite, id)));
        }
        if let Some(email) = parts.email.filter(|_| matching != Matching::Email) {
            let patch = match text_or_null("email", Code::InvalidEmail, email)? {
                None => Patch::Clear,
                Some(text) => Patch::Set((Operator::Overwrite, Value::Text(self.email("email", text.trim())?))),
            };
            edit(FieldNumber::EMAIL, patch);
        }
        if let Some(all) = parts.identities.filter(|_| matching != Matching::Identity) {
            edit(FieldNumber::IDENTITIES, identities_patch(all)?);
        }
        for (key, value) in &values {
            if let Some(field) = self.field(key)?.filter(|field| matching != Matching::Unique(field.number)) {
                edit(field.number, self.json_patch(field, value)?);
            }
        }
        Ok(Row { record: record.number(), line: record.line(), key, edits, creates })
    }

    fn parts<'r>(&self, Members(members): Members<'r>) -> Result<Parts<'r>, RowError> {
        let mut parts = Parts::default();
        for (name, value) in members {
            match name.as_ref() {
                "id" => parts.id = Some(value),
                "email" => parts.email = Some(value),
                "identities" => parts.identities = Some(value),
                "values" => parts.values = Some(value),
                "create" => parts.create = Some(value),
                "only_if_empty" => parts.only_if_empty = Some(value),
                ours if RESULT_COLUMNS.contains(&ours) || SHOWN_ONLY.contains(&ours) => {}
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

    /// The fields that keep what they hold.
    fn only_if_empty(&self, parts: &Parts<'_>) -> Result<Vec<FieldNumber>, RowError> {
        let wrong = |name: &str, raw: Option<&RawValue>, message| {
            Err(RowError::cell(Code::InvalidJson, name, raw.map_or("", RawValue::get), message))
        };
        if parts.create.is_some_and(|create| !matches!(create.get(), "true" | "false")) {
            return wrong("create", parts.create, "create is true or false");
        }
        let Some(raw) = parts.only_if_empty else { return Ok(Vec::new()) };
        let Ok(keys) = serde_json::from_str::<Vec<Cow<'_, str>>>(raw.get()) else {
            return wrong("only_if_empty", parts.only_if_empty, "only_if_empty is a list of field keys");
        };
        let number = |key: &Cow<'_, str>| match key.as_ref() {
            "email" => Ok(Some(FieldNumber::EMAIL)),
            key => Ok(self.field(key)?.map(|field| field.number)),
        };
        keys.iter().filter_map(|key| number(key).transpose()).collect()
    }

    fn json_key(&self, parts: &Parts<'_>, values: &[(Cow<'_, str>, &RawValue)]) -> Result<Key, RowError> {
        let matching = self.columns.matching;
        match matching {
            Matching::Email => {
                let email = parts.email.ok_or_else(|| missing("email"))?;
                let text = text_or_null("email", Code::InvalidEmail, email)?.unwrap_or_default();
                let text = Some(text.trim()).filter(|text| !text.is_empty()).ok_or_else(|| missing("email"))?;
                Ok(Key::Email(self.email("email", text)?))
            }
            Matching::Id => {
                let id = parts.id.filter(|id| id.get() != "null").ok_or_else(|| missing("id"))?;
                Ok(Key::Id(self.id("id", text_of(id).trim())?))
            }
            Matching::Identity => {
                let all = parts.identities.map(|all| identities(all, false)).transpose()?.flatten().unwrap_or_default();
                match <[Identity; 1]>::try_from(all) {
                    Ok([identity]) => Ok(Key::Identity(identity)),
                    Err(all) if all.is_empty() => Err(missing("identities")),
                    Err(_) => {
                        let message =
                            "a record has one identity, by which its user is found; give others in another job";
                        Err(wrong_identity(parts.identities.map_or("", RawValue::get), message))
                    }
                }
            }
            Matching::Unique(number) => {
                let field = self.fields.get(number).ok_or_else(|| missing("key"))?;
                let value = values.iter().find(|(key, _)| *key == field.key).map(|(_, value)| *value);
                let value = value.filter(|value| value.get() != "null").ok_or_else(|| missing(&field.key))?;
                match self.json_patch(field, value)? {
                    Patch::Set((Operator::Overwrite, value)) => Ok(Key::Unique(number, value)),
                    Patch::Set(_) | Patch::Clear | Patch::Keep => Err(missing(&field.key)),
                }
            }
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
            Err(_) => wrong(Code::InvalidJson, &Unclear::Surrogate.to_string()),
        }
    }
}

/// The members of an object that is a part of a record; null is the same as nothing.
fn members<'a>(name: &str, value: &'a RawValue) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, RowError> {
    match serde_json::from_str::<Option<Members<'a>>>(value.get()) {
        Ok(members) => Ok(members.map(|Members(members)| members).unwrap_or_default()),
        Err(_) => {
            let message = format!("{name} must be an object: field key → value");
            Err(RowError::cell(Code::InvalidJson, name, value.get(), message))
        }
    }
}

/// What a record says about identities. A list is given to the user beside those that the user has. `{"op": "overwrite",
/// "value": [...]}` puts them in the place of all that the user has of the same sources; one whose id is null stands for
/// none of its source.
fn identities_patch(value: &RawValue) -> Result<Patch<(Operator, Value)>, RowError> {
    if value.get().starts_with('{') {
        let shape = "write {\"op\": \"overwrite\", \"value\": [...]} to replace identities of the same sources";
        let wrong = || wrong_identity(value.get(), shape);
        let Members(members) = serde_json::from_str(value.get()).map_err(|_| wrong())?;
        let of = |name: &str| members.iter().find(|(own, _)| own == name).map(|(_, value)| *value);
        let list = of("value").filter(|_| members.len() == 2 && of("op").is_some_and(|op| op.get() == "\"overwrite\""));
        let all = identities(list.ok_or_else(wrong)?, true)?.filter(|all| !all.is_empty()).ok_or_else(wrong)?;
        return Ok(Patch::Set((Operator::Overwrite, Value::Identities(all))));
    }
    Ok(match identities(value, false)? {
        None => Patch::Clear,
        Some(all) if all.is_empty() => Patch::Keep,
        Some(all) => Patch::Set((Operator::Add, Value::Identities(all))),
    })
}

/// The identities of a record; `None` for null. Their ids may be numbers: `7` is `"7"`. Where they may be null, the identity
/// has an empty one.
fn identities(value: &RawValue, may_be_null: bool) -> Result<Option<Vec<Identity>>, RowError> {
    let wrong = |message: &str| wrong_identity(value.get(), message);
    let shape = "identities is a list of {\"source\", \"source_id\", \"language\"}";
    let Some(all) = serde_json::from_str::<Option<Vec<Members<'_>>>>(value.get()).map_err(|_| wrong(shape))? else {
        return Ok(None);
    };
    let one = |Members(members): Members<'_>| {
        let (mut source, mut source_id, mut language) = (None, None, None);
        for (name, value) in members {
            let part = match name.as_ref() {
                "source" => &mut source,
                "source_id" => &mut source_id,
                "language" => &mut language,
                _ => return Err(wrong(shape)),
            };
            let is_number = name == "source_id" && value.get().starts_with(|c: char| c.is_ascii_digit() || c == '-');
            *part = match is_number {
                true => Some(value.get().to_owned()),
                false => serde_json::from_str(value.get()).map_err(|_| wrong(shape))?,
            };
        }
        let source = source.unwrap_or_default();
        match source_id {
            None if may_be_null && language.is_none() => Identity::none_of(&source),
            id => Identity::new(&source, &id.unwrap_or_default(), language.as_deref()),
        }
        .map_err(wrong)
    };
    all.into_iter().map(one).collect::<Result<_, _>>().map(Some)
}

fn wrong_identity(value: &str, message: &str) -> RowError {
    RowError::cell(Code::InvalidIdentity, "identities", value, message)
}

fn missing(name: &str) -> RowError {
    let message = format!("the record has no {name}, which names the user");
    RowError { column: Some(name.to_owned()), ..RowError::row(Code::MissingKey, message) }
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
        Flaw::Unclear(unclear) => unclear.to_string(),
    };
    RowError::row(Code::InvalidJson, message)
}
