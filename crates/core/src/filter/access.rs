//! How users that match a filter can be found without looking at everybody: an over-approximation. Whoever matches can
//! be found by the access of the filter; who is found need not match.

use super::{Comparison, Filter, Subject, Test};
use crate::field::{Field, FieldNumber, FieldSet, FieldType};
use crate::id::UserId;
use crate::order::{index_key, order_key};
use crate::value::Value;
use rust_decimal::prelude::ToPrimitive;

/// Where users that may match are to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anywhere.
    Scan,
    /// Under these ids.
    Ids(Vec<UserId>),
    /// By these emails, in the form in which they are compared.
    Emails(Vec<String>),
    /// In the index of a field, under these keys.
    Keys(FieldNumber, Vec<String>),
    /// In the index of a field, between two keys, both of them included.
    Range(FieldNumber, Option<String>, Option<String>),
    /// In all of these places at once.
    Both(Vec<Self>),
    /// In one of these places.
    Either(Vec<Self>),
}

impl Filter {
    /// Where the users that match are to be found.
    pub fn access(&self, fields: &FieldSet) -> Access {
        access(self, false, fields)
    }
}

fn access(filter: &Filter, negated: bool, fields: &FieldSet) -> Access {
    match (filter, negated) {
        (Filter::Not(filter), negated) => access(filter, !negated, fields),
        (Filter::All(filters), false) | (Filter::Any(filters), true) => {
            both(filters.iter().map(|filter| access(filter, negated, fields)), fields)
        }
        (Filter::Any(filters), false) | (Filter::All(filters), true) => {
            let either: Vec<Access> = filters.iter().map(|filter| access(filter, negated, fields)).collect();
            match either.contains(&Access::Scan) {
                true => Access::Scan,
                false => Access::Either(either),
            }
        }
        // Who has no value matches as well, and indexes hold values only.
        (Filter::Is(..), true) => Access::Scan,
        (Filter::Is(Subject::Id, test), false) => ids(test),
        (Filter::Is(Subject::Email, test), false) => emails(test),
        (Filter::Is(Subject::CreatedAt | Subject::UpdatedAt, _), false) => Access::Scan,
        (Filter::Is(Subject::Field(number), test), false) => match fields.get(*number) {
            Some(field) if field.is_index_ready() => indexed(field, test),
            Some(_) | None => Access::Scan,
        },
    }
}

/// Several places at once. Ranges of a field become one range; of several options each has a range of its own.
fn both(places: impl Iterator<Item = Access>, fields: &FieldSet) -> Access {
    let mut both: Vec<Access> = Vec::new();
    let mut flat = Vec::new();
    for place in places {
        match place {
            Access::Both(places) => flat.extend(places),
            place => flat.push(place),
        }
    }
    let single = |number| fields.get(number).is_some_and(|field| field.kind != FieldType::MultiSelect);
    for place in flat.into_iter().filter(|place| *place != Access::Scan) {
        if let Access::Range(number, low, high) = &place
            && single(*number)
            && let Some(Access::Range(_, held_low, held_high)) =
                both.iter_mut().find(|held| matches!(held, Access::Range(other, ..) if other == number))
        {
            // No low end comes before any, and no high end after any.
            *held_low = held_low.take().max(low.clone());
            *held_high = match (held_high.take(), high.clone()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            continue;
        }
        both.push(place);
    }
    match both.len() {
        0 => Access::Scan,
        1 => both.remove(0),
        _ => Access::Both(both),
    }
}

fn operands(test: &Test) -> Option<&[Value]> {
    match test {
        Test::Equals(value) => Some(std::slice::from_ref(value)),
        Test::In(values) => Some(values),
        Test::IsSet | Test::Compare(..) | Test::Contains(_) | Test::StartsWith(_) => None,
        Test::HasOption(_) | Test::Text(_) => None,
    }
}

fn ids(test: &Test) -> Access {
    let id = |value: &Value| value.as_decimal().filter(rust_decimal::Decimal::is_integer)?.to_i64().map(UserId);
    operands(test).map_or(Access::Scan, |values| Access::Ids(values.iter().filter_map(id).collect()))
}

fn emails(test: &Test) -> Access {
    operands(test).map_or(Access::Scan, |values| Access::Emails(values.iter().map(Value::to_string).collect()))
}

fn indexed(field: &Field, test: &Test) -> Access {
    let anywhere = match field.kind {
        // A choice of no option is a value, and has no entry.
        FieldType::MultiSelect => Access::Scan,
        _ => Access::Range(field.number, None, None),
    };
    if let Some(values) = operands(test) {
        let keys: Option<Vec<String>> = values.iter().map(key).collect();
        return keys.map_or(anywhere, |keys| Access::Keys(field.number, keys));
    }
    match test {
        Test::HasOption(option) => Access::Keys(field.number, vec![index_key(option).to_owned()]),
        Test::Compare(comparison, value) => match (comparison, key(value)) {
            (Comparison::Gt | Comparison::Gte, Some(key)) => Access::Range(field.number, Some(key), None),
            (Comparison::Lt | Comparison::Lte, Some(key)) => Access::Range(field.number, None, Some(key)),
            (_, None) => anywhere,
        },
        Test::IsSet | Test::Equals(_) | Test::In(_) | Test::Contains(_) | Test::StartsWith(_) | Test::Text(_) => {
            anywhere
        }
    }
}

/// A key under which whoever has the value is found; of several options one is enough.
fn key(value: &Value) -> Option<String> {
    let key = match value {
        Value::Options(keys) => keys.first().cloned(),
        value => order_key(value),
    };
    key.map(|key| index_key(&key).to_owned())
}

impl Access {
    /// Whether the user can be found here. What the databases do with their indexes, in memory.
    pub fn finds(&self, user: &crate::user::User) -> bool {
        let keys = |number: &FieldNumber| user.values.get(*number).map(crate::order::index_keys).unwrap_or_default();
        match self {
            Self::Scan => true,
            Self::Ids(ids) => ids.contains(&user.id),
            Self::Emails(emails) => {
                user.email.as_deref().is_some_and(|own| emails.contains(&crate::email::email_key(own)))
            }
            Self::Keys(number, wanted) => keys(number).iter().any(|key| wanted.contains(key)),
            Self::Range(number, low, high) => keys(number)
                .iter()
                .any(|key| low.as_ref().is_none_or(|low| low <= key) && high.as_ref().is_none_or(|high| key <= high)),
            Self::Both(places) => places.iter().all(|place| place.finds(user)),
            Self::Either(places) => places.iter().any(|place| place.finds(user)),
        }
    }
}
