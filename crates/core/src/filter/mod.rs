//! Filters: which users are meant. [`Filter::matches`] is the only truth, on both databases; what a database does with a
//! filter only spares looking at users who cannot match ([`access`]).
//!
//! Logic is two-valued: a condition on a field without a value is false, whatever it asks except that nothing be there, and
//! `not` turns false into true. So `{"city": {"ne": "Rome"}}` is true where no city is set. Numbers compare exactly and
//! by value, dates and times by value, texts by code point; `contains` and `starts_with` ignore case by
//! [`fold`], and emails are compared in the form in which they name a user.

pub mod access;
mod parse;

pub(crate) use parse::{subject, unknown_field};

pub use parse::{MAX_CONDITIONS, MAX_DEPTH, MAX_IN};

use crate::email::email_key;
use crate::field::FieldNumber;
use crate::number::parse_decimal;
use crate::text::fold;
use crate::user::User;
use crate::value::Value;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Which users are meant, read and checked against the fields of a community. It refers to fields by number, so it can
/// be kept with a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// All of these hold; of none: everybody is meant.
    All(Vec<Self>),
    /// One of these holds; of none: nobody is meant.
    Any(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// Something about the user's own properties or values.
    Is(Subject, Test),
}

/// What a condition is about, or a sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// The user's id.
    Id,
    /// The email.
    Email,
    /// When the user was made.
    CreatedAt,
    /// When the user was changed last.
    UpdatedAt,
    /// A field.
    Field(FieldNumber),
}

/// What must hold. The operands are of the subject's type: numbers are decimals, options their keys, emails as they are
/// compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Test {
    /// There is a value.
    IsSet,
    /// The value is this one; of several options: these and no others.
    Equals(Value),
    /// The value is one of these, which are in order.
    In(Vec<Value>),
    /// The value is less, greater, or possibly equal.
    Compare(Comparison, Value),
    /// The text has this in it. Folded.
    Contains(String),
    /// The text begins with this. Folded.
    StartsWith(String),
    /// This option is among those that are chosen.
    HasOption(String),
    /// The value as a cell of a file has it, whatever its type, has a text in it. No filter that is written as JSON asks
    /// so.
    Text(TextTest),
}

/// A text that a value is to have somewhere in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextTest {
    place: TextPlace,
    text: String,
    ignores_case: bool,
}

/// Where a text is to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TextPlace {
    /// Anywhere.
    Within,
    /// At the beginning.
    Start,
    /// At the end.
    End,
}

impl TextTest {
    /// Where case is ignored both texts are compared folded.
    pub fn new(place: TextPlace, text: &str, ignores_case: bool) -> Self {
        let text = if ignores_case { fold(text) } else { text.to_owned() };
        Self { place, text, ignores_case }
    }

    fn holds(&self, value: &Value) -> bool {
        let own = value.to_string();
        let own = if self.ignores_case { fold(&own) } else { own };
        match self.place {
            TextPlace::Within => own.contains(&self.text),
            TextPlace::Start => own.starts_with(&self.text),
            TextPlace::End => own.ends_with(&self.text),
        }
    }
}

/// How a value compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
}

impl Filter {
    /// Everybody.
    pub fn everybody() -> Self {
        Self::All(Vec::new())
    }

    /// The same, to which a user without a value of a field has this one. What asks whether there is a value still asks that.
    pub fn with_default(self, field: FieldNumber, value: &Value) -> Self {
        let each = |all: Vec<Self>| all.into_iter().map(|filter| filter.with_default(field, value)).collect();
        match self {
            Self::All(all) => Self::All(each(all)),
            Self::Any(all) => Self::Any(each(all)),
            Self::Not(filter) => Self::Not(Box::new(filter.with_default(field, value))),
            Self::Is(subject, test) => {
                let fits = subject == Subject::Field(field) && test != Test::IsSet && test.holds(value);
                let unset = Self::Not(Box::new(Self::Is(subject, Test::IsSet)));
                let is = Self::Is(subject, test);
                if fits { Self::Any(vec![is, unset]) } else { is }
            }
        }
    }

    /// Whether this user is meant. Nothing is asked about being deleted: callers ask about live users only.
    pub fn matches(&self, user: &User) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.matches(user)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(user)),
            Self::Not(filter) => !filter.matches(user),
            Self::Is(subject, test) => subject.of(user).is_some_and(|value| test.holds(&value)),
        }
    }
}

impl Subject {
    /// What a user has of it, in the form in which it is compared.
    pub fn of(self, user: &User) -> Option<Cow<'_, Value>> {
        match self {
            Self::Id => Some(Cow::Owned(Value::Integer(user.id.0))),
            Self::Email => user.email.as_deref().map(|email| Cow::Owned(Value::Text(email_key(email)))),
            Self::CreatedAt => Some(Cow::Owned(Value::Datetime(user.created_at))),
            Self::UpdatedAt => Some(Cow::Owned(Value::Datetime(user.updated_at))),
            Self::Field(number) => user.values.get(number).map(Cow::Borrowed),
        }
    }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Gt => order.is_gt(),
            Self::Gte => order.is_ge(),
            Self::Lt => order.is_lt(),
            Self::Lte => order.is_le(),
        }
    }
}

impl Test {
    /// Whether it holds for a value that is there.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::IsSet => true,
            Self::Equals(operand) => same(value, operand),
            Self::In(operands) => match value {
                Value::Json(_) => operands.iter().any(|operand| same(value, operand)),
                _ => operands.binary_search_by(|operand| compare(operand, value)).is_ok(),
            },
            Self::Compare(comparison, operand) => comparison.holds(compare(value, operand)),
            Self::Contains(part) => as_text(value).is_some_and(|text| fold(text).contains(part)),
            Self::StartsWith(part) => as_text(value).is_some_and(|text| fold(text).starts_with(part)),
            Self::HasOption(key) => matches!(value, Value::Options(keys) if keys.contains(key)),
            Self::Text(test) => test.holds(value),
        }
    }
}

fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::Integer(_)
        | Value::Decimal(_)
        | Value::Boolean(_)
        | Value::Date(_)
        | Value::Datetime(_)
        | Value::Options(_)
        | Value::Identities(_)
        | Value::Json(_) => None,
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Json(a), Value::Json(b)) => {
            let (a, b) = (serde_json::from_str(a), serde_json::from_str(b));
            a.ok().zip(b.ok()).is_some_and(|(a, b): (Json, Json)| same_json(&a, &b))
        }
        (a, b) => compare(a, b).is_eq(),
    }
}

/// JSON is the same whatever the order of members and the digits of numbers.
fn same_json(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => {
            let exact = |n: &serde_json::Number| parse_decimal(&n.to_string()).ok();
            a == b || exact(a).zip(exact(b)).is_some_and(|(a, b)| a == b)
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_json(a, b)))
        }
        (a, b) => a == b,
    }
}

/// The order of two values of one type; sets of options compare as sets that are in order.
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    let number = |value: &Value| value.as_decimal().unwrap_or(Decimal::ZERO);
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Integer(_) | Value::Decimal(_), Value::Integer(_) | Value::Decimal(_)) => number(a).cmp(&number(b)),
        (Value::Text(a), Value::Text(b)) | (Value::Json(a), Value::Json(b)) => a.cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Datetime(a), Value::Datetime(b)) => a.cmp(b),
        (Value::Options(a), Value::Options(b)) => {
            let in_order = |keys: &[String]| {
                let mut keys: Vec<String> = keys.to_vec();
                keys.sort_unstable();
                keys
            };
            in_order(a).cmp(&in_order(b))
        }
        // Values of one field have one type. Should that ever not be so, they differ, always in the same way.
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Text(_) => 0,
        Value::Integer(_) | Value::Decimal(_) => 1,
        Value::Boolean(_) => 2,
        Value::Date(_) => 3,
        Value::Datetime(_) => 4,
        Value::Options(_) => 5,
        Value::Json(_) => 6,
        Value::Identities(_) => 7,
    }
}
