//! The decision for one row, without any I/O: create, update with these changes, unchanged, skip, or reject with a
//! reason. Every door ends here, so a rule is written once.

use crate::error::{Code, RowError};
use crate::field::{Field, FieldNumber, FieldSet, FieldType};
use crate::id::UserId;
use crate::job::{JobKind, Overdraft};
use crate::key::Key;
use crate::number;
use crate::patch::Patch;
use crate::text::fold;
use crate::user::{Change, Operator, User};
use crate::value::{Misfit, Value};
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
        let field = rules.fields.get(edit.field);
        let new = match field {
            Some(field) => outcome(field, op, old.as_ref(), new, edit, rules)?,
            None if op == Operator::Add => joined(old.as_ref(), new),
            None => replaced(old.as_ref(), new),
        };
        // Options that were added are written down as what is chosen now.
        let op = if field.is_some_and(|field| field.kind.has_options()) { Operator::Overwrite } else { op };
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

/// The identities that a user has after those of some sources were replaced, or whatever else is overwritten. One without
/// an id stands for none of its source.
fn replaced(old: Option<&Value>, new: Option<&Value>) -> Option<Value> {
    let Some(Value::Identities(new)) = new else {
        return new.cloned();
    };
    let mut all = match old {
        Some(Value::Identities(old)) => old.clone(),
        _ => Vec::new(),
    };
    all.retain(|own| !new.iter().any(|identity| fold(&identity.source) == fold(&own.source)));
    all.extend(new.iter().filter(|identity| !identity.source_id.is_empty()).cloned());
    all.sort();
    Some(Value::Identities(all)).filter(|value| *value != Value::Identities(Vec::new()))
}

/// The options that are chosen after some were added, in the order of the field's options.
fn chosen(field: &Field, old: Option<&Value>, added: &[String]) -> Value {
    let held = match old {
        Some(Value::Options(keys)) => keys.as_slice(),
        _ => &[],
    };
    let keys = field.rules.options.iter().map(|option| &option.key);
    Value::Options(keys.filter(|key| held.contains(key) || added.contains(key)).cloned().collect())
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
        return may_hold(field, None).map(|()| None).map_err(|misfit| misfit.in_cell(column, ""));
    };
    if let (Operator::Add, Value::Options(added)) = (op, operand) {
        return Ok(Some(chosen(field, old, added)));
    }
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
    let after = limit(field, held, after, rules.overdraft).map_err(|misfit| fail(misfit.code, misfit.message))?;
    match field.kind {
        FieldType::Integer => match after.to_i64() {
            Some(number) => Ok(Some(Value::Integer(number))),
            None => Err(fail(Code::OutOfRange, format!("{after} does not fit 64 bits"))),
        },
        _ => Ok(Some(Value::Decimal(after))),
    }
}

/// Whether a field may hold a value that is of its type, or none, for all that can be said without the user. What depends on
/// the user is for [`plan`] alone: who is below the minimum of a currency already may rise to what others may not fall to,
/// and a unique value may be taken.
pub fn may_hold(field: &Field, value: Option<&Value>) -> Result<(), Misfit> {
    let number = value.and_then(Value::as_decimal).filter(|_| field.kind.is_numeric());
    match (value, number) {
        (None, _) if field.rules.required => {
            Err(Misfit::new(Code::RequiredField, format!("{} must have a value", field.name)))
        }
        (_, Some(number)) => limit(field, None, number, Overdraft::Allow).map(drop),
        (_, None) => Ok(()),
    }
}

/// The number within the field's limits. A currency that is below its minimum already may rise, and falls no further
/// where it is clamped.
pub(crate) fn limit(
    field: &Field,
    held: Option<Decimal>,
    after: Decimal,
    overdraft: Overdraft,
) -> Result<Decimal, Misfit> {
    if let Some(max) = field.rules.max.filter(|max| after > *max) {
        let message = format!("{after} is more than {max}, the most that {} may hold", field.name);
        return Err(Misfit::new(Code::OutOfRange, message));
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
                Err(Misfit::new(Code::InsufficientBalance, message))
            }
        };
    }
    match field.rules.min.filter(|min| after < *min) {
        Some(min) => {
            let message = format!("{after} is less than {min}, the least that {} may hold", field.name);
            Err(Misfit::new(Code::OutOfRange, message))
        }
        None => Ok(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::sample;
    use crate::identity::Identity;

    /// What becomes of what a user holds, and by which operator the change says so.
    fn after(field: FieldNumber, old: Value, patch: EditPatch) -> Option<(Operator, Option<Value>)> {
        let mut user = User::blank(UserId(1), jiff::Timestamp::UNIX_EPOCH);
        let held = Change { field, op: Operator::Overwrite, old: None, new: Some(old) };
        user.apply(&[held], jiff::Timestamp::UNIX_EPOCH);
        let edits = vec![Edit { field, column: 0, patch }];
        let row = Row { record: 1, line: 0, key: Key::Id(UserId(1)), edits, creates: false };
        let fields = sample();
        let rules = Rules { kind: JobKind::Update, overdraft: Overdraft::Reject, fields: &fields, columns: &[] };
        match plan(&row, Some(&user), &rules) {
            Plan::Update(mut changes) => changes.pop().map(|change| (change.op, change.new)),
            Plan::Unchanged => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn identities_are_replaced_source_by_source() {
        let all = |texts: &[(&str, &str)]| {
            let identity = |(source, id): &(&str, &str)| match *id {
                "" => Identity::none_of(source).unwrap(),
                id => Identity::new(source, id, None).unwrap(),
            };
            Value::Identities(texts.iter().map(identity).collect())
        };
        let held = all(&[("crm", "7"), ("erp", "x"), ("erp", "y")]);
        let replace = |texts| {
            let patch = EditPatch::Set(Operator::Overwrite, all(texts));
            after(FieldNumber::IDENTITIES, held.clone(), patch)
        };
        let became = |texts| Some((Operator::Overwrite, Some(all(texts))));
        assert_eq!(replace(&[("ERP", "z")]), became(&[("ERP", "z"), ("crm", "7")]));
        assert_eq!(replace(&[("erp", "")]), became(&[("crm", "7")]));
        assert_eq!(replace(&[("new", "1")]), became(&[("crm", "7"), ("erp", "x"), ("erp", "y"), ("new", "1")]));
        assert_eq!(replace(&[("erp", ""), ("crm", "")]), Some((Operator::Overwrite, None)));
        assert_eq!(replace(&[("erp", "y"), ("erp", "x")]), None);
    }

    #[test]
    fn options_are_added_to_those_that_are_chosen_and_written_down_as_what_they_became() {
        let fields = sample();
        let tags = fields.find_by_key("tags").unwrap().number;
        let options = |keys: &[&str]| Value::Options(keys.iter().map(|key| (*key).to_owned()).collect());
        let add =
            |held: &[&str], added: &[&str]| after(tags, options(held), EditPatch::Set(Operator::Add, options(added)));
        assert_eq!(add(&["new"], &["vip"]), Some((Operator::Overwrite, Some(options(&["vip", "new"])))));
        assert_eq!(add(&["vip"], &["vip"]), None);
    }

    #[test]
    fn a_field_may_hold_what_the_plan_lets_somebody_have() {
        let fields = sample();
        let decimal = |text: &str| Some(Value::Decimal(text.parse().unwrap()));
        let values = [None, Some(Value::Integer(11)), Some(Value::Integer(3)), decimal("1.5"), decimal("12")];
        let mut refused = 0;
        for (key, required) in [("points", false), ("rate", true), ("premium_currency", true), ("city", true)] {
            let mut field = fields.find_by_key(key).unwrap().clone();
            field.rules.required = required;
            if field.kind.is_numeric() {
                (field.rules.min, field.rules.max) = (Some(Decimal::from(5)), Some(Decimal::from(10)));
            }
            let set = FieldSet::new(vec![field.clone()]);
            let rules = Rules { kind: JobKind::Update, overdraft: Overdraft::Reject, fields: &set, columns: &[] };
            let user = User::blank(UserId(1), jiff::Timestamp::UNIX_EPOCH);
            for value in values.iter().filter(|value| value.as_ref().is_none_or(|value| value.is_of(field.kind))) {
                let patch = value.clone().map_or(EditPatch::Clear, |value| EditPatch::Set(Operator::Overwrite, value));
                let edits = vec![Edit { field: field.number, column: 0, patch }];
                let row = Row { record: 1, line: 0, key: Key::Id(UserId(1)), edits, creates: false };
                let planned = match plan(&row, Some(&user), &rules) {
                    Plan::Reject(error) if error.code != Code::InsufficientBalance => Err((error.code, error.message)),
                    _ => Ok(()),
                };
                let may = may_hold(&field, value.as_ref()).map_err(|misfit| (misfit.code, misfit.message));
                refused += usize::from(may.is_err());
                assert_eq!(may, planned, "{key} {value:?}");
            }
        }
        assert_eq!(refused, 8);
    }
}
