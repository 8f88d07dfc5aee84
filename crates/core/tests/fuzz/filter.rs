//! Filters and commands: what is read means the same when it is kept and read again, the opposite of it means the others,
//! and an index is never narrower than it.

use super::json::fields;
use super::*;
use jiff::Timestamp;
use muster_core::command::Command;
use muster_core::field::{FieldNumber, FieldSet, Index};
use muster_core::filter::Filter;
use muster_core::id::UserId;
use muster_core::user::User;
use muster_core::value::{DateFormat, Value};
use proptest::{prop_assert, prop_assert_eq};
use serde_json::json;

const WORDS: &[&[u8]] = &[
    b"{\"and\":[",
    b"{\"or\":[",
    b"{\"not\":",
    b"{\"all\":true}",
    b"\"eq\":",
    b"\"ne\":",
    b"\"gt\":",
    b"\"lte\":",
    b"\"in\":[",
    b"\"contains\":",
    b"\"starts_with\":",
    b"\"is_set\":false",
    b"\"city\":",
    b"\"premium_currency\":",
    b"\"email\":",
    b"\"created_at\":\"1970-01-01T00:00:00Z\"",
    b"null",
    b"\"Rome\"",
    b"1e3",
    b"-0.0",
    b"}",
    b"]",
    b",",
];

/// People with little in common.
fn people(fields: &FieldSet) -> Vec<User> {
    let values = [
        vec![("city", "Rome"), ("premium_currency", "10"), ("gender", "f")],
        vec![("city", "rome"), ("premium_currency", "-0.5"), ("date_of_birth", "2000-01-01")],
        vec![("first_name", "Ann"), ("in_game_currency", "9999999999999999999999999999")],
        vec![],
    ];
    let person = |(i, values): (usize, Vec<(&str, &str)>)| {
        let mut user = User::blank(UserId(1 + i as i64), Timestamp::UNIX_EPOCH);
        user.email = (i != 3).then(|| format!("Person{i}@x.org"));
        for (key, text) in values {
            let field = fields.find_by_key(key).expect("it is a field");
            let value = Value::from_text(field, text, &DateFormat::default()).expect("it fits");
            user.values.put(field.number, Some(value));
        }
        user
    };
    values.into_iter().enumerate().map(person).collect()
}

#[test]
fn filters_and_commands() {
    let fields = fields();
    // Every other field has an index, so that some conditions find one and some do not.
    let indexed = FieldSet::new(
        fields
            .iter()
            .cloned()
            .map(|mut field| {
                let even = (field.number.0 - FieldNumber::FIRST.0).is_multiple_of(2);
                if even && field.kind.can_be_indexed() {
                    field.rules.index = Index::Ready;
                }
                field
            })
            .collect(),
    );
    let people = people(&fields);
    fuzz("filter", WORDS, |case| {
        let text = String::from_utf8_lossy(&case.bytes);
        let command = match Command::read(&text, &fields) {
            Ok(command) => command,
            Err(error) => {
                prop_assert!(!error.detail.is_empty());
                let pointer = error.errors.first().and_then(|fault| fault.pointer.clone()).unwrap_or_default();
                prop_assert!(pointer.is_empty() || pointer.starts_with('/'), "{pointer}");
                return Ok(());
            }
        };
        let kept = serde_json::to_string(&command.filter).expect("it can be kept");
        prop_assert_eq!(serde_json::from_str::<Filter>(&kept).ok(), Some(command.filter.clone()));
        let (header, cells) = command.cells();
        prop_assert_eq!(header.len(), cells.len() + 1);
        let whole: serde_json::Value = serde_json::from_str(&text).expect("it was read");
        let opposite = Filter::read(&json!({ "not": whole["where"] }), "", &fields);
        let access = command.filter.access(&indexed);
        for user in &people {
            let matches = command.filter.matches(user);
            if let Ok(opposite) = &opposite {
                prop_assert_eq!(opposite.matches(user), !matches);
            }
            prop_assert!(!matches || access.finds(user), "{access:?}");
        }
        Ok(())
    });
}
