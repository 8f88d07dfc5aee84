//! Users and filters of all kinds, from few values, so that they meet.

use super::FIELDS;
use muster_core::field::FieldType;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Texts that a value of the type may be written as.
fn cells(kind: FieldType) -> &'static [&'static str] {
    match kind {
        FieldType::Text | FieldType::LongText => &["", "Rome", "rome", "Oslo", "É", "e\u{301}", "z", "Rome 2"],
        FieldType::Integer => &["-9223372036854775808", "-10", "-1", "0", "1", "9", "10", "100", "9223372036854775807"],
        FieldType::Decimal | FieldType::Currency => {
            &["-10", "-1.5", "-0.000000000001", "0", "0.05", "0.5", "1", "1.5", "10", "9999999999999999999999999999"]
        }
        FieldType::Boolean => &["true", "false"],
        FieldType::Date => &["0001-01-01", "1999-12-31", "2000-01-01", "9999-12-31"],
        FieldType::Datetime => &["1969-12-31T23:59:59Z", "2000-01-01T00:00:00.000000001Z", "2000-01-01T00:00:00Z"],
        FieldType::Select => &["a", "b", "c"],
        FieldType::MultiSelect => &["a", "b", "a;b", "c;a", ";"],
        FieldType::Json => &["1", "1.0", "{\"a\":1}", "{\"a\":1.0}", "[]"],
    }
}

pub const EMAILS: &[&str] = &["Ann@x.org", "bob@x.org", "É@x.org"];

/// What a user may hold: cells by the keys of fields.
pub type Cells = Vec<(&'static str, &'static str)>;

/// The values of a user.
pub fn values() -> impl Strategy<Value = Cells> {
    let cell = |(key, kind, _): &(&'static str, FieldType, bool)| {
        let key = *key;
        proptest::option::of(proptest::sample::select(cells(*kind))).prop_map(move |text| Some((key, text?)))
    };
    let values: Vec<_> = FIELDS.iter().map(cell).collect();
    values.prop_map(|values| values.into_iter().flatten().collect())
}

fn operand(kind: FieldType, text: &str) -> Json {
    match kind {
        FieldType::Json => serde_json::from_str(text).expect("it is JSON"),
        _ => json!(text),
    }
}

/// A condition that fits the type of its field.
fn condition() -> impl Strategy<Value = Json> {
    let field = proptest::sample::select(FIELDS).prop_flat_map(|(key, kind, _)| {
        let cell = proptest::sample::select(cells(kind));
        let operators: &[&str] = match kind {
            FieldType::Text | FieldType::LongText => {
                &["eq", "ne", "gt", "gte", "lt", "lte", "in", "contains", "starts_with", "is_set", "null"]
            }
            FieldType::MultiSelect => &["eq", "ne", "in", "contains", "is_set", "null"],
            FieldType::Boolean | FieldType::Select | FieldType::Json => &["eq", "ne", "in", "is_set", "null"],
            FieldType::Integer | FieldType::Decimal | FieldType::Currency | FieldType::Date | FieldType::Datetime => {
                &["eq", "ne", "gt", "gte", "lt", "lte", "in", "is_set", "null"]
            }
        };
        let operator = proptest::sample::select(operators);
        (operator, cell.clone(), cell, any::<bool>()).prop_map(move |(operator, a, b, yes)| match operator {
            "null" => json!({key: null}),
            "is_set" => json!({key: {"is_set": yes}}),
            "in" if yes => json!({key: {"in": [operand(kind, a), operand(kind, b), null]}}),
            "in" => json!({key: {"in": [operand(kind, a), operand(kind, b)]}}),
            "contains" if kind == FieldType::MultiSelect => json!({key: {"contains": if yes { "a" } else { "b" }}}),
            operator => json!({key: {operator: operand(kind, a)}}),
        })
    });
    let own = prop_oneof![
        (proptest::sample::select(&["eq", "ne", "gt", "gte", "lt", "lte"][..]), 0..13i64)
            .prop_map(|(operator, id)| json!({"id": {operator: id}})),
        (proptest::sample::select(&["eq", "ne", "contains", "starts_with"][..]), proptest::sample::select(EMAILS))
            .prop_map(|(operator, email)| json!({"email": {operator: email}})),
        (proptest::sample::select(&["gt", "gte", "lt", "lte", "eq"][..]), 0..13i64).prop_map(|(operator, second)| {
            let time = jiff::Timestamp::from_second(1_700_000_000 + second).expect("a time of our days");
            json!({"created_at": {operator: time.to_string()}})
        }),
    ];
    prop_oneof![4 => field, 1 => own]
}

/// Any filter that is right.
pub fn filters() -> impl Strategy<Value = Json> {
    condition().prop_recursive(3, 12, 3, |inner| {
        let list = proptest::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            list.clone().prop_map(|list| json!({"and": list})),
            list.prop_map(|list| json!({"or": list})),
            inner.prop_map(|filter| json!({"not": filter})),
        ]
    })
}
