//! JSON in which nothing is silently lost: an object that names a member twice is refused, because of two conditions
//! under one name only the last one would count.

use crate::error::{Code, Error};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;

/// How deep arrays and objects may lie in each other.
pub const MAX_DEPTH: usize = 64;

/// Reads a JSON text. Refuses with `invalid_request` and the place below `pointer` what is not JSON, repeats a member
/// or lies deeper than [`MAX_DEPTH`].
pub fn read(text: &str, pointer: &str) -> Result<Value, Error> {
    read_to(text, pointer, MAX_DEPTH)
}

/// The same with fewer levels. Each level goes over the text again, so for a long text there should be only as many as it needs.
pub fn read_to(text: &str, pointer: &str, depth: usize) -> Result<Value, Error> {
    read_at(text, pointer, depth, depth)
}

fn read_at(text: &str, pointer: &str, depth: usize, most: usize) -> Result<Value, Error> {
    let refuse = |message: String| Error::at(pointer, Code::InvalidRequest, message);
    let malformed = |error: serde_json::Error| refuse(format!("this is not JSON: {error}"));
    let nested = matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['));
    if nested && depth == 0 {
        return Err(refuse(format!("arrays and objects lie more than {most} deep in each other")));
    }
    match text.trim_start().as_bytes().first() {
        Some(b'{') => {
            let members: Members = serde_json::from_str(text).map_err(malformed)?;
            let mut object = Map::new();
            for (key, raw) in members.0 {
                let pointer = below(pointer, &key);
                let value = read_at(raw.get(), &pointer, depth - 1, most)?;
                if object.insert(key, value).is_some() {
                    return Err(Error::at(pointer, Code::InvalidRequest, "this member is there twice; keep one"));
                }
            }
            Ok(Value::Object(object))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(malformed)?;
            let read = |(i, raw): (usize, &&RawValue)| read_at(raw.get(), &format!("{pointer}/{i}"), depth - 1, most);
            items.iter().enumerate().map(read).collect()
        }
        _ => serde_json::from_str(text).map_err(malformed),
    }
}

/// The pointer (RFC 6901) of a member.
pub fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The members of an object as they are written, repeated ones too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = read(text, "").unwrap_err();
        assert_eq!(error.code, Code::InvalidRequest);
        error.errors[0].pointer.clone().unwrap()
    }

    #[test]
    fn json_is_read_as_it_is_written() {
        let text = r#"{"b":[1.50,-9223372036854775809,{"a/~":null}],"a":"é\n","c":[],"d":{}}"#;
        assert_eq!(read(text, "").unwrap().to_string(), text);
        assert_eq!(read(" 1e400 ", "").unwrap().to_string(), "1e+400");
    }

    #[test]
    fn what_is_repeated_malformed_or_endless_is_refused_with_its_place() {
        assert_eq!(refused(r#"{"a":1,"a":1}"#), "/a");
        assert_eq!(refused(r#"{"x":[0,{"a/b":{"~":1,"~":2}}]}"#), "/x/1/a~1b/~0");
        for text in ["", "{", "{\"a\":}", "[1,]", "nul", "1 2", "{} {}", "\u{feff}1"] {
            assert_eq!(refused(text), "", "{text:?}");
        }
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&deep(MAX_DEPTH), "").is_ok());
        assert!(refused(&deep(MAX_DEPTH + 1)).ends_with("/0"));
        assert!(refused(&deep(100_000)).ends_with("/0"));
        assert!(read_to(&deep(3), "", 3).is_ok());
        assert!(read_to(&deep(3), "", 2).is_err());
    }
}
