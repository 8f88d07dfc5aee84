//! The decision for one row, without any I/O: create, update with these changes, unchanged, skip, or reject with a
//! reason. Every door ends here, so a rule is written once.

use crate::error::{Code, RowError};
use crate::field::{Field, FieldNumber, FieldSet, FieldType};
use crate::id::UserId;
use crate::job::{JobKind, Overdraft};
use crate::key::Key;
use crate::number;
use crate::patch::Patch;
use crate::user::{Change, Operator, User};
use crate::value::Value;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

/// What a row does to one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The field, or the email of the user.
    pub field: FieldNumber,
    /// The column that says so, counted from 0.
    pub column: u16,
    /// Nothing (and it does nothing), an operator with its operand, or a clear.
    pub patch: EditPatch,
}

/// A patch by an operator and its operand; [`Patch::Keep`] is not written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EditPatch {
    /// The field is to hold nothing.
    Clear,
    /// The operator is applied with this value.
    Set(Operator, Value),
    /// The same where the field holds nothing; else it keeps what it holds.
    SetIfEmpty(Operator, Value),
}

impl EditPatch {
    /// The value that it gives, or operates with.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Clear => None,
            Self::Set(_, value) | Self::SetIfEmpty(_, value) => Some(value),
        }
    }
}

impl Edit {
    /// The edit that a patch makes, if it makes one.
    pub fn from_patch(field: FieldNumber, column: u16, patch: Patch<(Operator, Value)>) -> Option<Self> {
        let patch = match patch {
            Patch::Keep => return None,
            Patch::Clear => EditPatch::Clear,
            Patch::Set((operator, value)) => EditPatch::Set(operator, value),
        };
        Some(Self { field, column, patch })
    }

    /// The same edit, but of a field that holds nothing only. One that clears would never do anything.
    pub fn if_empty(self) -> Option<Self> {
        match self.patch {
            EditPatch::Clear => None,
            EditPatch::Set(operator, value) | EditPatch::SetIfEmpty(operator, value) => {
                Some(Self { patch: EditPatch::SetIfEmpty(operator, value), ..self })
            }
        }
    }
}

/// A row that was read and checked by itself: it names somebody, and every value fits its field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The record number in the input, from 1.
    pub record: u64,
    /// The physical line on which it begins; 0 where the input has no lines.
    pub line: u64,
    /// Who is meant.
    pub key: Key,
    /// What is to be changed.
    pub edits: Vec<Edit>,
    /// Whether it may make a user, where the kind of the job does.
    pub creates: bool,
}

/// What a plan depends on beside the row and the user.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// What the job does.
    pub kind: JobKind,
    /// What a currency does below its minimum.
    pub overdraft: Overdraft,
    /// The community's fields.
    pub fields: &'a FieldSet,
    /// The names of the columns, for messages.
    pub columns: &'a [String],
}

/// The decision for one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Make the user with these changes.
    Create(Vec<Change>),
    /// Change the user.
    Update(Vec<Change>),
    /// Change the user, though not in all that was asked for; the error says what was left.
    UpdatePart(Vec<Change>, RowError),
    /// All is so already.
    Unchanged,
    /// Leave the user alone, on purpose.
    Skip(RowError),
    /// Fail the row.
    Reject(RowError),
}

/// Decides what a row does to the user it names, or to nobody where the key names nobody. An undo is decided by
/// [`undo`](crate::undo::plan_undo) instead.
pub fn plan(row: &Row, user: Option<&User>, rules: &Rules<'_>) -> Plan {
    let deleted = |old: Option<Value>, new| {
        Plan::Update(vec![Change { field: FieldNumber::DELETED, op: Operator::Overwrite, old, new }])
    };
    if let Some(error) = wrong_id(row, user, rules) {
        return Plan::Reject(error);
    }
    match (user, rules.kind) {
        (Some(_), JobKind::Create) => Plan::Reject(exists(&row.key, rules.fields)),
        (Some(user), JobKind::Update | JobKind::Import | JobKind::Undo) => match changes(row, user, rules) {
            Ok(changes) if changes.is_empty() => Plan::Unchanged,
            Ok(changes) => Plan::Update(changes),
            Err(error) => Plan::Reject(error),
        },
        // An erasure has no rows.
        (Some(_), JobKind::Erase) => Plan::Unchanged,
        (Some(user), JobKind::Delete) if user.deleted => Plan::Unchanged,
        (Some(_), JobKind::Delete) => deleted(None, Some(Value::Boolean(true))),
        (Some(user), JobKind::Restore) if !user.deleted => Plan::Unchanged,
        (Some(_), JobKind::Restore) => deleted(Some(Value::Boolean(true)), None),
        (None, JobKind::Import | JobKind::Create) if !row.creates => {
            let error = not_found(&row.key, rules.kind, rules.fields);
            Plan::Skip(RowError { message: format!("{}, and the record is to create none", error.message), ..error })
        }
        (None, JobKind::Import | JobKind::Create) => create(row, rules).map_or_else(Plan::Reject, Plan::Create),
        (None, JobKind::Update | JobKind::Delete | JobKind::Restore | JobKind::Undo | JobKind::Erase) => {
            Plan::Reject(not_found(&row.key, rules.kind, rules.fields))
        }
    }
}

/// What is wrong with the id that a row says beside its key. A record that was exported says both.
fn wrong_id(row: &Row, user: Option<&User>, rules: &Rules<'_>) -> Option<RowError> {
    let said = row.edits.iter().find(|edit| edit.field == FieldNumber::ID);
    let Some(EditPatch::Set(_, Value::Integer(id))) = said.map(|edit| &edit.patch) else { return None };
    let (code, message) = match user {
        Some(user) if user.id.0 == *id => return None,
        Some(user) => {
            let names = row.key.describe(rules.fields);
            (Code::AmbiguousMatch, format!("{names} names user {}, and the id says {id}", user.id))
        }
        None if !rules.kind.creates() => return None,
        None => (Code::ReadOnlyField, "the id of a new user cannot be chosen; leave it out".to_owned()),
    };
    Some(RowError::cell(code, "id", &id.to_string(), message))
}

/// Nobody has the key, and this kind of job makes nobody.
pub fn not_found(key: &Key, kind: JobKind, fields: &FieldSet) -> RowError {
    let whom = if kind == JobKind::Restore { "no user, deleted or not," } else { "no user" };
    key.error(Code::UserNotFound, format!("{whom} has {}", key.describe(fields)))
}

/// Somebody has the key, and this kind of job only makes users.
pub fn exists(key: &Key, fields: &FieldSet) -> RowError {
    key.error(Code::UserExists, format!("a user has {} already", key.describe(fields)))
}

/// Several users have the key.
pub fn ambiguous(key: &Key, fields: &FieldSet) -> RowError {
    key.error(Code::AmbiguousMatch, format!("several users have {}", key.describe(fields)))
}

fn create(row: &Row, rules: &Rules<'_>) -> Result<Vec<Change>, RowError> {
    let Some((field, value)) = row.key.value() else {
        return Err(not_found(&row.key, rules.kind, rules.fields));
    };
    let mut nobody = User::blank(UserId(0), jiff::Timestamp::UNIX_EPOCH);
    let mut all = vec![Change { field, op: Operator::Overwrite, old: None, new: Some(value) }];
    nobody.apply(&all, jiff::Timestamp::UNIX_EPOCH);
    all.extend(changes(row, &nobody, rules)?);
    for field in rules.fields.active().filter(|field| field.rules.required) {
        if !all.iter().any(|change| change.field == field.number) {
            return Err(RowError {
                code: Code::RequiredField,
                column: Some(field.name.clone()),
                value: None,
                message: format!("a new user needs a value for {}", field.name),
            });
        }
    }
    Ok(all)
}

fn changes(row: &Row, user: &User, rules: &Rules<'_>) -> Result<Vec<Change>, RowError> {
    let mut changes = Vec::with_capacity(row.edits.len());
    for edit in row.edits.iter().filter(|edit| edit.field != FieldNumber::ID) {
        let old = user.get(edit.field);
        let (op, new) = match &edit.patch {
            EditPatch::Clear => (Operator::Overwrite, None),
            EditPatch::SetIfEmpty(..) if old.is_some() => continue,
            EditPatch::Set(op, value) | EditPatch::SetIfEmpty(op, value) => (*op, Some(value)),
        };
        let new = match rules.fields.get(edit.field) {
            Some(field) => outcome(field, op, old.as_ref(), new, edit, rules)?,
            None if op == Operator::Add => joined(old.as_ref(), new),
            None => new.cloned(),
        };
        if new != old {
            changes.push(Change { field: edit.field, op, old, new });
        }
    }
    Ok(changes)
}

/// The identities that a user has after some were added, in order and each once. Those that are there already stay as they
/// are written.
fn joined(old: Option<&Value>, added: Option<&Value>) -> Option<Value> {
    let Some(Value::Identities(added)) = added else { return old.cloned() };
    let mut all = if let Some(Value::Identities(old)) = old { old.clone() } else { Vec::new() };
    for identity in added {
        if !all.iter().any(|own| own.key() == identity.key()) {
            all.push(identity.clone());
        }
    }
    all.sort();
    Some(Value::Identities(all))
}

/// What the field holds afterwards.
fn outcome(
    field: &Field,
    op: Operator,
    old: Option<&Value>,
    operand: Option<&Value>,
    edit: &Edit,
    rules: &Rules<'_>,
) -> Result<Option<Value>, RowError> {
    let column = rules.columns.get(usize::from(edit.column)).map_or(field.name.as_str(), String::as_str);
    let Some(operand) = operand else {
        return match field.rules.required {
            true => Err(RowError::cell(Code::RequiredField, column, "", format!("{} must have a value", field.name))),
            false => Ok(None),
        };
    };
    let Some(amount) = operand.as_decimal().filter(|_| field.kind.is_numeric()) else {
        return Ok(Some(operand.clone()));
    };
    let held = old.and_then(Value::as_decimal);
    let before = held.unwrap_or_default();
    let fail = |code, message| RowError::cell(code, column, &operand.to_string(), message);
    let after = match op {
        Operator::Overwrite => Ok(amount),
        Operator::Add => number::add(before, amount),
        Operator::Subtract => number::subtract(before, amount),
    };
    let after = after.map_err(|_| {
        fail(Code::OutOfRange, format!("{before} {} {amount} has more digits than can be kept exactly", op.as_str()))
    })?;
    let after = limit(field, held, after, rules.overdraft).map_err(|(code, message)| fail(code, message))?;
    match field.kind {
        FieldType::Integer => match after.to_i64() {
            Some(number) => Ok(Some(Value::Integer(number))),
            None => Err(fail(Code::OutOfRange, format!("{after} does not fit 64 bits"))),
        },
        _ => Ok(Some(Value::Decimal(after))),
    }
}

/// The number within the field's limits. A currency that is below its minimum already may rise, and falls no further
/// where it is clamped.
pub(crate) fn limit(
    field: &Field,
    held: Option<Decimal>,
    after: Decimal,
    overdraft: Overdraft,
) -> Result<Decimal, (Code, String)> {
    if let Some(max) = field.rules.max.filter(|max| after > *max) {
        return Err((Code::OutOfRange, format!("{after} is more than {max}, the most that {} may hold", field.name)));
    }
    if field.kind == FieldType::Currency {
        let floor = field.floor();
        let rises = held.is_some_and(|held| after >= held);
        return match overdraft {
            _ if after >= floor || rises => Ok(after),
            Overdraft::Allow => Ok(after),
            Overdraft::Clamp => Ok(held.map_or(floor, |held| held.min(floor))),
            Overdraft::Reject => {
                let held = held.unwrap_or_default();
                let message =
                    format!("{} holds {held} and may not fall to {after}; its minimum is {floor}", field.name);
                Err((Code::InsufficientBalance, message))
            }
        };
    }
    match field.rules.min.filter(|min| after < *min) {
        Some(min) => {
            Err((Code::OutOfRange, format!("{after} is less than {min}, the least that {} may hold", field.name)))
        }
        None => Ok(after),
    }
}
