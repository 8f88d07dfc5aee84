//! A filter as SQL, to spare the engine users who cannot match. It lets through everybody who matches and possibly others:
//! a condition becomes SQL only where both databases decide it exactly; any other becomes true. `not` is pushed down to
//! the conditions first, because the opposite of "possibly others" would lose somebody.

use muster_core::field::{FieldSet, FieldType};
use muster_core::filter::{Comparison, Filter, Subject, Test};
use muster_core::value::Value;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// How many conditions become SQL; a statement cannot grow without end.
const MAX_CONDITIONS: usize = 100;
/// How many values of an `in` become SQL.
const MAX_IN: usize = 100;
/// What everybody fulfils.
const ANYBODY: &str = "TRUE";

/// A condition on `users AS u`, and its parameters.
#[derive(Clone, Debug)]
pub struct Prefilter {
    pub(crate) sql: String,
    pub(crate) params: Vec<Operand>,
}

/// A parameter.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Int(i64),
    Text(String),
}

impl Prefilter {
    /// The condition of a filter; its parameters begin at `$first`.
    pub(crate) fn new(filter: &Filter, fields: &FieldSet, first: usize) -> Self {
        let mut writer = Writer { fields, first, conditions: 0, params: Vec::new() };
        let sql = writer.filter(filter, false);
        Self { sql, params: writer.params }
    }
}

struct Writer<'a> {
    fields: &'a FieldSet,
    first: usize,
    conditions: usize,
    params: Vec<Operand>,
}

impl Writer<'_> {
    fn filter(&mut self, filter: &Filter, negated: bool) -> String {
        match (filter, negated) {
            (Filter::Not(filter), negated) => self.filter(filter, !negated),
            (Filter::All(filters), false) | (Filter::Any(filters), true) => {
                let parts = filters.iter().map(|filter| self.filter(filter, negated));
                let parts: Vec<String> = parts.filter(|part| part != ANYBODY).collect();
                if parts.is_empty() { ANYBODY.to_owned() } else { format!("({})", parts.join(" AND ")) }
            }
            (Filter::Any(filters), false) | (Filter::All(filters), true) => {
                let before = self.params.len();
                let parts: Vec<String> = filters.iter().map(|filter| self.filter(filter, negated)).collect();
                match parts.iter().any(|part| part == ANYBODY) {
                    true => {
                        // What the other parts were to be compared with is not asked any more.
                        self.params.truncate(before);
                        ANYBODY.to_owned()
                    }
                    false if parts.is_empty() => "FALSE".to_owned(),
                    false => format!("({})", parts.join(" OR ")),
                }
            }
            (Filter::Is(subject, test), negated) => {
                self.conditions += 1;
                let condition = if self.conditions > MAX_CONDITIONS { None } else { self.condition(*subject, test) };
                match (condition, negated) {
                    (None, _) => ANYBODY.to_owned(),
                    (Some(condition), false) => condition,
                    (Some(condition), true) => format!("({condition}) IS NOT TRUE"),
                }
            }
        }
    }

    fn param(&mut self, operand: Operand) -> String {
        self.params.push(operand);
        format!("${}", self.first + self.params.len() - 1)
    }

    /// A condition in SQL, if both databases decide it exactly.
    fn condition(&mut self, subject: Subject, test: &Test) -> Option<String> {
        match subject {
            Subject::Id => self.number(number("u.id", test)?),
            // Users hold whole microseconds.
            Subject::CreatedAt => self.number(micros("u.created_at", test)?),
            Subject::UpdatedAt => self.number(micros("u.updated_at", test)?),
            Subject::Email => match test {
                Test::IsSet => Some("u.email IS NOT NULL".to_owned()),
                Test::Equals(_) | Test::In(_) | Test::Compare(..) => None,
                Test::Contains(_) | Test::StartsWith(_) | Test::HasOption(_) | Test::Text(_) => None,
            },
            Subject::Field(field) => {
                let field = self.fields.get(field)?;
                match (field.kind, test) {
                    (_, Test::IsSet) => Some(format!("{} IS NOT NULL", self.value(&field.key))),
                    (FieldType::Text | FieldType::LongText | FieldType::Select, test) => self.text(&field.key, test),
                    (FieldType::Integer, test) => {
                        let compare = number("", test)?;
                        let column = format!("CAST({} AS BIGINT)", self.value(&field.key));
                        self.number(Compare { column, ..compare })
                    }
                    (FieldType::Decimal | FieldType::Currency | FieldType::Boolean, _) => None,
                    (FieldType::Date | FieldType::Datetime | FieldType::MultiSelect | FieldType::Json, _) => None,
                }
            }
        }
    }

    /// A value as a text, or null.
    fn value(&mut self, key: &str) -> String {
        let key = self.param(Operand::Text(key.to_owned()));
        format!("(u.field_values ->> CAST({key} AS TEXT))")
    }

    fn text(&mut self, key: &str, test: &Test) -> Option<String> {
        let operands = match test {
            Test::Equals(value) => std::slice::from_ref(value),
            Test::In(values) if values.len() <= MAX_IN && !values.is_empty() => values,
            // Which text is less is decided by rules of a language on PostgreSQL.
            Test::In(_) | Test::Compare(..) | Test::Contains(_) | Test::StartsWith(_) => return None,
            Test::IsSet | Test::HasOption(_) | Test::Text(_) => return None,
        };
        let value = self.value(key);
        let list: Vec<String> = operands.iter().map(|operand| self.param(Operand::Text(operand.to_string()))).collect();
        Some(format!("{value} IN ({})", list.join(", ")))
    }

    fn number(&mut self, compare: Compare) -> Option<String> {
        let operand = self.param(Operand::Int(compare.operand));
        Some(format!("{} {} {operand}", compare.column, compare.sign))
    }
}

/// A whole number compared with another one.
struct Compare {
    column: String,
    sign: &'static str,
    operand: i64,
}

fn micros(column: &str, test: &Test) -> Option<Compare> {
    whole(column, test, |value| match value {
        Value::Datetime(time) => Decimal::try_from_i128_with_scale(time.as_nanosecond(), 3).ok(),
        Value::Text(_) | Value::Integer(_) | Value::Decimal(_) | Value::Boolean(_) | Value::Date(_) => None,
        Value::Options(_) | Value::Identities(_) | Value::Json(_) => None,
    })
}

fn number(column: &str, test: &Test) -> Option<Compare> {
    whole(column, test, Value::as_decimal)
}

/// A whole number is greater than a fraction where it is greater than the whole number below it, and so on.
fn whole(column: &str, test: &Test, read: impl Fn(&Value) -> Option<Decimal>) -> Option<Compare> {
    let (sign, operand) = match test {
        Test::Compare(Comparison::Gt, value) => (">", read(value)?.floor()),
        Test::Compare(Comparison::Gte, value) => (">=", read(value)?.ceil()),
        Test::Compare(Comparison::Lt, value) => ("<", read(value)?.ceil()),
        Test::Compare(Comparison::Lte, value) => ("<=", read(value)?.floor()),
        Test::Equals(value) => ("=", read(value).filter(Decimal::is_integer)?),
        Test::IsSet | Test::In(_) | Test::Contains(_) => return None,
        Test::StartsWith(_) | Test::HasOption(_) | Test::Text(_) => return None,
    };
    Some(Compare { column: column.to_owned(), sign, operand: operand.to_i64()? })
}
