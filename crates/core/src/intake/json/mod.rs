//! Records of NDJSON and JSON arrays: `{"id", "email", "identities", "values"}`.
//!
//! Text stays text until its type is known: a number goes from its digits to a decimal, never through a float.

pub(super) mod split;
pub mod table;

use super::header::RESULT_COLUMNS;
use crate::json::{Name, Unclear, check_names};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// How deep brackets may be nested in a record.
const DEPTH: usize = 100;

/// The members of an object in their order, the values as they are written.
pub(super) struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Why a text is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is not one JSON value.
    Grammar(Grammar),
    /// It is JSON, but no object.
    NoObject,
    /// It says something that cannot be kept as it is said.
    Unclear(Unclear),
}

/// Why a text is not one JSON value, and where, lines and characters counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grammar {
    pub why: String,
    pub line: u64,
    pub character: usize,
}

/// Whether a text is one JSON value.
pub(super) fn check_grammar(text: &str) -> Result<(), Grammar> {
    serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|error| {
        let why = error.to_string();
        let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why).to_owned();
        Grammar { why, line: error.line() as u64, character: error.column() }
    })
}

/// The members of a record in which no object has a name twice.
pub(super) fn parse_object(text: &str) -> Result<Members<'_>, Flaw> {
    let members = serde_json::from_str(text).map_err(|_| match check_grammar(text) {
        Err(grammar) => Flaw::Grammar(grammar),
        Ok(()) if text.trim_start().starts_with('{') => Flaw::Unclear(Unclear::Surrogate),
        Ok(()) => Flaw::NoObject,
    })?;
    check_names(text, DEPTH).map_err(Flaw::Unclear)?;
    Ok(members)
}

/// The text of a JSON string, or any other value as it is written.
pub(super) fn text_of(value: &RawValue) -> Cow<'_, str> {
    let raw = value.get();
    match raw.starts_with('"').then(|| serde_json::from_str::<Name<'_>>(raw)) {
        Some(Ok(Name(text))) => text,
        Some(Err(_)) | None => Cow::Borrowed(raw),
    }
}

/// The record with members added, for results in NDJSON: the members of earlier results are gone, the others as they were
/// written. What is no object stands under `_input`.
pub fn with_members(record: &str, ours: &serde_json::Map<String, serde_json::Value>) -> String {
    let mut out = String::with_capacity(record.len() + 160);
    out.push('{');
    let mut add = |name: &str, value: &str| {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&serde_json::Value::from(name).to_string());
        out.push(':');
        // Line breaks between the tokens of an element of an array; in strings there are none.
        out.extend(value.chars().map(|c| if c == '\n' || c == '\r' { ' ' } else { c }));
    };
    match serde_json::from_str::<Members<'_>>(record) {
        Ok(Members(members)) => {
            let kept = members.iter().filter(|(name, _)| !RESULT_COLUMNS.contains(&name.as_ref()));
            kept.for_each(|(name, value)| add(name, value.get()));
        }
        Err(_) => add("_input", &serde_json::Value::from(record).to_string()),
    }
    ours.iter().for_each(|(name, value)| add(name, &value.to_string()));
    out.push('}');
    out
}
