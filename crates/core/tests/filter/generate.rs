//! Users and filters of all kinds, from few values, so that they meet.

use crate::FIELDS;
use muster_core::field::FieldType;
use muster_core::user::User;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Texts that a value of the type may be written as.
pub fn cells(kind: FieldType) -> &'static [&'static str] {
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

const EMAILS: &[&str] = &["Ann@x.org", "bob@x.org", "É@x.org"];

pub fn users() -> impl Strategy<Value = User> {
    let values: Vec<_> = FIELDS
        .iter()
        .map(|(key, kind, _)| {
            proptest::option::of(proptest::sample::select(cells(*kind))).prop_map(|text| (*key, text))
        })
        .collect();
    (1..12i64, proptest::option::of(proptest::sample::select(EMAILS)), values).prop_map(|(id, email, values)| {
        let values: Vec<_> = values.into_iter().filter_map(|(key, text)| Some((key, text?))).collect();
        crate::user(id, email, &values)
    })
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

/// Any JSON at all, of words that filters are made of.
pub fn anything() -> impl Strategy<Value = Json> {
    let word = proptest::sample::select(
        &[
            "city", "points", "tags", "extra", "and", "or", "not", "all", "in", "eq", "gt", "contains", "is_set", "id",
            "é",
        ][..],
    );
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        ".{0,6}".prop_map(Json::from),
        word.clone().prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::vec((word.clone(), inner), 0..4)
                .prop_map(|members| members.into_iter().map(|(key, json)| (key.to_owned(), json)).collect()),
        ]
    })
}
