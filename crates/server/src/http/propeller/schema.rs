//! Looks at JSON by the product's rules. A fault refuses the whole request and says its place as the product does:
//! `#/users/0: extraneous key [company] is not permitted`.

use muster_core::error::{Fault, excerpt};
use muster_core::json;
use muster_core::{Code, Error};
use serde_json::{Map, Value};

/// How many faults are said at once.
const MOST_FAULTS: usize = 20;

/// How deep a body may be. The deepest that the product documents has five levels.
const MOST_LEVELS: usize = 8;

/// An object of JSON.
pub type Object = Map<String, Value>;

/// Reads a body. What is no JSON, or repeats a member, is refused with its place.
pub fn read(bytes: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::new(Code::InvalidJson, "The body is not UTF-8."))?;
    json::read_to(text, "#", MOST_LEVELS).map_err(|error| {
        let place = error.errors.first().and_then(|fault| fault.pointer.as_deref()).unwrap_or("#");
        Error::new(Code::InvalidJson, format!("{place}: {}", error.detail))
    })
}

/// The faults that were found.
#[derive(Debug, Default)]
pub struct Schema(Vec<Fault>);

impl Schema {
    /// Takes a fault.
    pub fn fault(&mut self, place: &str, code: Code, message: &str) {
        if self.0.len() < MOST_FAULTS {
            let message = format!("{place}: {message}");
            self.0.push(Fault { column: None, pointer: Some(place.to_owned()), code, message });
        }
    }

    fn wrong_type(&mut self, place: &str, expected: &str, value: &Value) {
        let found = match value {
            Value::Null => "Null",
            Value::Bool(_) => "Boolean",
            Value::Number(_) => "Number",
            Value::String(_) => "String",
            Value::Array(_) => "JSONArray",
            Value::Object(_) => "JSONObject",
        };
        self.fault(place, Code::InvalidRequest, &format!("expected type: {expected}, found: {found}"));
    }

    /// A member that must be there. Of the key by which things are looked up the product says so with a number of its own.
    pub fn missing(&mut self, place: &str, name: &str, code: Code) {
        self.fault(place, code, &format!("required key [{name}] not found"));
    }

    /// The members of an object, of which each must be one of these.
    pub fn object<'v>(&mut self, place: &str, value: &'v Value, known: impl Fn(&str) -> bool) -> Option<&'v Object> {
        let Value::Object(object) = value else {
            self.wrong_type(place, "JSONObject", value);
            return None;
        };
        for name in object.keys().filter(|name| !known(name)) {
            let message = format!("extraneous key [{}] is not permitted", excerpt(name));
            self.fault(place, Code::InvalidRequest, &message);
        }
        Some(object)
    }

    /// The items of an array.
    pub fn array<'v>(&mut self, place: &str, value: &'v Value) -> &'v [Value] {
        match value {
            Value::Array(items) => items,
            value => {
                self.wrong_type(place, "JSONArray", value);
                &[]
            }
        }
    }

    /// A text.
    pub fn text<'v>(&mut self, place: &str, value: &'v Value) -> Option<&'v str> {
        if !value.is_string() {
            self.wrong_type(place, "String", value);
        }
        value.as_str()
    }

    /// True or false.
    pub fn boolean(&mut self, place: &str, value: &Value) -> Option<bool> {
        if !value.is_boolean() {
            self.wrong_type(place, "Boolean", value);
        }
        value.as_bool()
    }

    /// A text, or a number as it is written.
    pub fn text_or_number(&mut self, place: &str, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            value => {
                self.wrong_type(place, "String", value);
                None
            }
        }
    }

    /// A whole number as it is written.
    pub fn integer(&mut self, place: &str, value: &Value) -> Option<String> {
        let text = value.as_number().map(ToString::to_string);
        let whole = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'));
        if whole.is_none() {
            self.wrong_type(place, "Integer", value);
        }
        whole
    }

    /// An id of another system: a text or a whole number.
    pub fn source_id(&mut self, place: &str, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            value => self.integer(place, value),
        }
    }

    /// Refuses the request if there are faults. The first one says which number the answer has.
    pub fn finish(self) -> Result<(), Error> {
        let Some(first) = self.0.first() else {
            return Ok(());
        };
        Err(Error { errors: self.0.clone(), ..Error::new(first.code, first.message.clone()) })
    }
}
