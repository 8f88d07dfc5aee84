//! Directives: how a request in bulk treats users who are there, or are not.

use super::record::members;
use super::schema::Schema;
use muster_core::Code;
use serde_json::Value;

/// What the product's own examples name and a user of Muster does not have: there is nothing to keep of it.
const PASSED_OVER: [&str; 2] = ["name", "names"];

/// The directives that hold for a user.
#[derive(Clone, Debug, Default)]
pub struct Directives {
    /// The members that are set only where the user has nothing.
    pub skip_if_not_empty: Vec<String>,
    /// Whether users who are not there are not made.
    pub skip_create: bool,
    /// Whether users who have a parent keep it.
    pub skip_move: bool,
}

impl Directives {
    /// Reads both shapes: `{"skipIfNotEmpty": ["email"]}` and `[{"operation": "skipIfNotEmpty", "fields": ["email"]}]`.
    pub fn read(&mut self, place: &str, value: &Value, schema: &mut Schema) {
        const KNOWN: [&str; 4] = ["skipIfNotEmpty", "skipCreate", "skipMoveOnUpdate", "mergeTranslationsOnUpdate"];
        if let Value::Array(all) = value {
            for (i, one) in all.iter().enumerate() {
                let place = format!("{place}/{i}");
                let Some(one) = schema.object(&place, one, |name| ["operation", "fields"].contains(&name)) else {
                    continue;
                };
                let nothing = Value::Array(Vec::new());
                let fields = one.get("fields").unwrap_or(&nothing);
                match one.get("operation") {
                    None => schema.missing(&place, "operation", Code::InvalidRequest),
                    Some(Value::String(name)) if KNOWN.contains(&name.as_str()) => {
                        self.take(name, &format!("{place}/fields"), fields, schema);
                    }
                    Some(other) => {
                        let message = format!("{other} is not a valid enum value; it is one of {}", KNOWN.join(", "));
                        schema.fault(&format!("{place}/operation"), Code::InvalidRequest, &message);
                    }
                }
            }
        } else if let Some(all) = schema.object(place, value, |name| KNOWN.contains(&name)) {
            for (name, fields) in all {
                self.take(name, &format!("{place}/{name}"), fields, schema);
            }
        }
    }

    fn take(&mut self, name: &str, place: &str, fields: &Value, schema: &mut Schema) {
        let fields = schema.array(place, fields);
        match name {
            "skipCreate" => self.skip_create = true,
            "skipMoveOnUpdate" => self.skip_move = true,
            "skipIfNotEmpty" => {
                for (i, field) in fields.iter().enumerate() {
                    let place = format!("{place}/{i}");
                    let Some(field) = schema.text(&place, field) else {
                        continue;
                    };
                    if field == "attributes" || members().any(|(name, _)| name == field) {
                        self.skip_if_not_empty.push(field.to_owned());
                    } else if !PASSED_OVER.contains(&field) {
                        schema.fault(&place, Code::InvalidRequest, "this is no field of users");
                    }
                }
            }
            // Nothing of a user is there in several languages, so nothing is to be merged.
            _ => {}
        }
    }
}
