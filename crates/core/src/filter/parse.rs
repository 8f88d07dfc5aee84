//! Reads filters: JSON, checked against the fields of a community, refused with the place of what is wrong.

use super::{Comparison, Filter, Subject, Test, compare};
use crate::email::email_key;
use crate::error::{Code, Error, excerpt};
use crate::field::{Field, FieldSet, FieldType};
use crate::json::below;
use crate::number::{NumberError, parse_decimal};
use crate::text::fold;
use crate::value::{Value, parse_datetime};
use serde_json::{Map, Value as Json};

/// How deep `and`, `or` and `not` may lie in each other.
pub const MAX_DEPTH: usize = 16;
/// How many conditions a filter may have.
pub const MAX_CONDITIONS: usize = 1_000;
/// How many values an `in` may list.
pub const MAX_IN: usize = 10_000;

const OPERATORS: &str = "eq, ne, gt, gte, lt, lte, in, contains, starts_with and is_set";

impl Filter {
    /// Reads a filter that stands at `pointer`. An empty object means everybody here; who must not take that for
    /// granted asks [`Self::required`].
    ///
    /// Codes: `invalid_filter` for its form, `unknown_field`, and those of values for operands.
    pub fn read(json: &Json, pointer: &str, fields: &FieldSet) -> Result<Self, Error> {
        Reader { fields, conditions: 0 }.filter(json, pointer, MAX_DEPTH)
    }

    /// Reads a filter that must say whom it means: not absent, not empty; everybody is `{"all": true}`.
    pub fn required(json: Option<&Json>, pointer: &str, fields: &FieldSet) -> Result<Self, Error> {
        match json {
            Some(Json::Object(members)) if !members.is_empty() => {}
            Some(Json::Object(_)) | None | Some(Json::Null) => {
                let message = "say who is meant: a filter, or {\"all\": true} for everybody";
                return Err(Error::at(pointer, Code::InvalidFilter, message));
            }
            Some(Json::Array(_) | Json::Bool(_) | Json::Number(_) | Json::String(_)) => {}
        }
        Self::read(json.unwrap_or(&Json::Null), pointer, fields)
    }
}

/// What a subject holds, for reading operands.
#[derive(Clone, Copy)]
enum Kind<'a> {
    Id,
    Email,
    Time,
    Field(&'a Field),
}

impl Kind<'_> {
    fn field_type(self) -> FieldType {
        match self {
            Self::Id => FieldType::Integer,
            Self::Email => FieldType::Text,
            Self::Time => FieldType::Datetime,
            Self::Field(field) => field.kind,
        }
    }
}

/// The subject that a key names, if it names one.
pub(crate) fn subject(key: &str, fields: &FieldSet) -> Option<Subject> {
    match key {
        "id" => Some(Subject::Id),
        "email" => Some(Subject::Email),
        "created_at" => Some(Subject::CreatedAt),
        "updated_at" => Some(Subject::UpdatedAt),
        key => fields.find_by_key(key).filter(|field| !field.archived).map(|field| Subject::Field(field.number)),
    }
}

/// There is no field of this key; one that is alike may be meant.
pub(crate) fn unknown_field(key: &str, pointer: String, fields: &FieldSet) -> Error {
    let alike = fields.find_by_name(key).filter(|field| !field.archived);
    let hint = alike.map_or(String::new(), |field| format!("; do you mean \"{}\"?", field.key));
    Error::at(pointer, Code::UnknownField, format!("there is no field \"{}\"{hint}", excerpt(key)))
}

struct Reader<'a> {
    fields: &'a FieldSet,
    conditions: usize,
}

fn invalid(pointer: &str, message: impl Into<String>) -> Error {
    Error::at(pointer, Code::InvalidFilter, message)
}

impl Reader<'_> {
    fn filter(&mut self, json: &Json, pointer: &str, depth: usize) -> Result<Filter, Error> {
        let Json::Object(members) = json else {
            return Err(invalid(pointer, "a filter is an object, such as {\"city\": \"Rome\"}"));
        };
        if depth == 0 {
            return Err(invalid(pointer, format!("and, or and not lie more than {MAX_DEPTH} deep in each other")));
        }
        let mut all = Vec::with_capacity(members.len());
        for (key, json) in members {
            let pointer = below(pointer, key);
            all.push(match key.as_str() {
                "and" => Filter::All(self.list(json, &pointer, depth)?),
                "or" => Filter::Any(self.list(json, &pointer, depth)?),
                "not" => Filter::Not(Box::new(self.not_empty(json, &pointer, depth)?)),
                "all" if *json == Json::Bool(true) => Filter::everybody(),
                "all" => return Err(invalid(&pointer, "everybody is meant by {\"all\": true}")),
                key => self.conditions(key, json, &pointer)?,
            });
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Filter::All(all),
        })
    }

    fn list(&mut self, json: &Json, pointer: &str, depth: usize) -> Result<Vec<Filter>, Error> {
        let items = json.as_array().filter(|items| !items.is_empty());
        let items = items.ok_or_else(|| invalid(pointer, "here stands a list of one or more filters"))?;
        let read = |(i, item)| self.not_empty(item, &format!("{pointer}/{i}"), depth);
        items.iter().enumerate().map(read).collect()
    }

    /// Inside of others an empty filter is a mistake rather than everybody.
    fn not_empty(&mut self, json: &Json, pointer: &str, depth: usize) -> Result<Filter, Error> {
        if json.as_object().is_some_and(Map::is_empty) {
            return Err(invalid(pointer, "this filter is empty; everybody is {\"all\": true}"));
        }
        self.filter(json, pointer, depth - 1)
    }

    /// What is asked of one subject: a value, or an object of operators of which all must hold.
    fn conditions(&mut self, key: &str, json: &Json, pointer: &str) -> Result<Filter, Error> {
        let subject = subject(key, self.fields).ok_or_else(|| unknown_field(key, pointer.to_owned(), self.fields))?;
        let kind = match subject {
            Subject::Id => Kind::Id,
            Subject::Email => Kind::Email,
            Subject::CreatedAt | Subject::UpdatedAt => Kind::Time,
            Subject::Field(number) => Kind::Field(self.fields.get(number).expect("it was found by its key")),
        };
        let Json::Object(operators) = json else {
            self.count(pointer)?;
            if json.is_array() && kind.field_type().is_ordered() {
                return Err(invalid(pointer, "to match one of several values write {\"in\": [...]}"));
            }
            return equals(subject, kind, json, pointer);
        };
        if operators.is_empty() {
            return Err(invalid(pointer, format!("an operator is missing; there are {OPERATORS}")));
        }
        let mut all = Vec::with_capacity(operators.len());
        for (operator, operand) in operators {
            self.count(pointer)?;
            all.push(condition(subject, kind, operator, operand, &below(pointer, operator))?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Filter::All(all),
        })
    }

    fn count(&mut self, pointer: &str) -> Result<(), Error> {
        self.conditions += 1;
        match self.conditions > MAX_CONDITIONS {
            true => Err(invalid(pointer, format!("a filter has at most {MAX_CONDITIONS} conditions"))),
            false => Ok(()),
        }
    }
}

fn is_set(subject: Subject) -> Filter {
    Filter::Is(subject, Test::IsSet)
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

/// Null means that nothing is there.
fn equals(subject: Subject, kind: Kind<'_>, json: &Json, pointer: &str) -> Result<Filter, Error> {
    match json {
        Json::Null => Ok(not(is_set(subject))),
        json => Ok(Filter::Is(subject, Test::Equals(operand(kind, json, pointer)?))),
    }
}

fn condition(subject: Subject, kind: Kind<'_>, operator: &str, json: &Json, pointer: &str) -> Result<Filter, Error> {
    let unfit = || invalid(pointer, format!("{operator} does not work on the type {}", kind.field_type()));
    let is = |test| Ok(Filter::Is(subject, test));
    match operator {
        "eq" => equals(subject, kind, json, pointer),
        "ne" => Ok(not(equals(subject, kind, json, pointer)?)),
        "in" => one_of(subject, kind, json, pointer),
        "is_set" => match json {
            Json::Bool(true) => Ok(is_set(subject)),
            Json::Bool(false) => Ok(not(is_set(subject))),
            _ => Err(invalid(pointer, "is_set is true or false")),
        },
        "gt" | "gte" | "lt" | "lte" => {
            let ordered = match kind.field_type() {
                FieldType::Boolean | FieldType::Select | FieldType::MultiSelect | FieldType::Json => false,
                FieldType::Text | FieldType::LongText | FieldType::Integer | FieldType::Decimal => true,
                FieldType::Currency | FieldType::Date | FieldType::Datetime => true,
            };
            let comparison = match operator {
                "gt" => Comparison::Gt,
                "gte" => Comparison::Gte,
                "lt" => Comparison::Lt,
                _ => Comparison::Lte,
            };
            if !ordered {
                return Err(unfit());
            }
            is(Test::Compare(comparison, operand(kind, json, pointer)?))
        }
        "contains" | "starts_with" => match kind.field_type() {
            FieldType::Text | FieldType::LongText => {
                let part = fold(text(json, pointer)?);
                is(if operator == "contains" { Test::Contains(part) } else { Test::StartsWith(part) })
            }
            FieldType::MultiSelect if operator == "contains" && json.is_string() => {
                match operand(kind, &Json::Array(vec![json.clone()]), pointer)? {
                    Value::Options(mut keys) if keys.len() == 1 => is(Test::HasOption(keys.remove(0))),
                    _ => Err(unfit()),
                }
            }
            _ => Err(unfit()),
        },
        other => {
            let message = format!("there is no operator \"{}\"; there are {OPERATORS}", excerpt(other));
            Err(invalid(pointer, message))
        }
    }
}

fn one_of(subject: Subject, kind: Kind<'_>, json: &Json, pointer: &str) -> Result<Filter, Error> {
    let items = json.as_array().ok_or_else(|| invalid(pointer, "in takes a list of values"))?;
    if items.len() > MAX_IN {
        return Err(invalid(pointer, format!("in lists at most {MAX_IN} values")));
    }
    let mut values = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate().filter(|(_, item)| !item.is_null()) {
        values.push(operand(kind, item, &format!("{pointer}/{i}"))?);
    }
    values.sort_by(compare);
    values.dedup_by(|a, b| compare(a, b).is_eq());
    let listed = Filter::Is(subject, Test::In(values));
    Ok(match items.iter().any(Json::is_null) {
        true => Filter::Any(vec![not(is_set(subject)), listed]),
        false => listed,
    })
}

fn text<'a>(json: &'a Json, pointer: &str) -> Result<&'a str, Error> {
    let text = json.as_str().ok_or_else(|| invalid(pointer, "here stands a text"))?;
    match text.contains('\0') {
        true => Err(Error::at(pointer, Code::NulCharacter, "the text has a NUL character, which no value has")),
        false => Ok(text),
    }
}

/// A value to compare with, in the form in which [`Subject::of`] gives those of users.
fn operand(kind: Kind<'_>, json: &Json, pointer: &str) -> Result<Value, Error> {
    let misfit = |code, what: &str| {
        let shown = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
        Error::at(pointer, code, format!("\"{}\" is not {what}", excerpt(&shown)))
    };
    match (kind, kind.field_type()) {
        (Kind::Email, _) => Ok(Value::Text(email_key(text(json, pointer)?))),
        (_, FieldType::Text | FieldType::LongText) => Ok(Value::Text(text(json, pointer)?.to_owned())),
        (_, FieldType::Integer | FieldType::Decimal | FieldType::Currency) => {
            let number = match json {
                Json::Number(number) => number.to_string(),
                Json::String(text) => text.trim().to_owned(),
                Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => String::new(),
            };
            parse_decimal(&number).map(Value::Decimal).map_err(|error| match error {
                NumberError::Invalid => misfit(Code::InvalidNumber, "a number"),
                NumberError::OutOfRange => {
                    misfit(Code::OutOfRange, "a number of at most 28 digits, 12 of them after the point")
                }
            })
        }
        (Kind::Id | Kind::Time, _) => match json.as_str().and_then(|text| parse_datetime(text.trim())) {
            Some(time) => Ok(Value::Datetime(time)),
            None => Err(misfit(Code::InvalidDatetime, "a time as RFC 3339 writes it")),
        },
        (Kind::Field(field), _) => {
            Value::from_json(field, json).map_err(|misfit| Error::at(pointer, misfit.code, misfit.message))
        }
    }
}
