//! JSON in which nothing is silently lost: an object that names a member twice is refused, because of two conditions
//! under one name only the last one would count.

use crate::error::{Code, Error, excerpt};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// How deep arrays and objects may lie in each other in a value.
pub const MAX_DEPTH: usize = 64;

/// How deep they may in a body, which has values somewhere in it.
const BODY_DEPTH: usize = MAX_DEPTH + 8;

/// What names begin with by which `serde_json` tells its own readers of numbers and raw texts: an object that came from
/// outside with such a member would be taken for one of these.
const RESERVED: &str = "$serde_json::private::";

/// Reads a JSON text that may have values in it. Refuses with `invalid_request` and the place below `pointer` what is not
/// JSON, repeats a member or lies too deep.
pub fn read(text: &str, pointer: &str) -> Result<Value, Error> {
    read_to(text, pointer, BODY_DEPTH)
}

/// The same with fewer levels.
pub fn read_to(text: &str, pointer: &str, depth: usize) -> Result<Value, Error> {
    check_to(text, pointer, depth)?;
    serde_json::from_str(text).map_err(|error| malformed(pointer, &error))
}

/// Refuses what [`read`] refuses, but for what is not JSON.
pub fn check(text: &str) -> Result<(), Error> {
    check_to(text, "", BODY_DEPTH)
}

fn check_to(text: &str, pointer: &str, depth: usize) -> Result<(), Error> {
    match check_names(text, depth) {
        Ok(()) => Ok(()),
        // Once more and slowly, to find the place.
        Err(_) => read_at(text, pointer, depth, depth).map(drop),
    }
}

/// What a JSON text says that cannot be kept as it is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// A string has half of a surrogate pair.
    Surrogate,
    /// An object has two members of this name.
    Repeated(String),
    /// An object has a member of a name that stands for something else.
    Reserved(String),
    /// Brackets are nested too deep.
    TooDeep,
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Surrogate => f.write_str("a string has half of a surrogate pair, which is no character"),
            Self::Repeated(name) => write!(f, "\"{}\" stands twice in the same object", excerpt(name)),
            Self::Reserved(name) => write!(f, "no member can be called \"{}\"", excerpt(name)),
            Self::TooDeep => f.write_str("brackets are nested too deep"),
        }
    }
}

fn malformed(pointer: &str, error: &serde_json::Error) -> Error {
    Error::at(pointer, Code::InvalidRequest, format!("this is not JSON: {error}"))
}

/// Walks once over a text that is JSON: no object may have a name twice, and nothing lies deeper than so many levels.
pub(crate) fn check_names(text: &str, depth: usize) -> Result<(), Unclear> {
    let bytes = text.as_bytes();
    let mut names: Vec<Cow<'_, str>> = Vec::with_capacity(16);
    // For each open bracket, where the names of its object begin; none for arrays.
    let mut open: Vec<Option<usize>> = Vec::with_capacity(4);
    let (mut at, mut name_follows) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' => {
                open.push(Some(names.len()));
                name_follows = true;
            }
            b'[' => {
                open.push(None);
                name_follows = false;
            }
            b'}' | b']' => {
                if let Some(begin) = open.pop().flatten() {
                    names[begin..].sort_unstable();
                    if let Some(pair) = names[begin..].windows(2).find(|pair| pair[0] == pair[1]) {
                        return Err(Unclear::Repeated(pair[0].clone().into_owned()));
                    }
                    names.truncate(begin);
                }
            }
            b',' => name_follows = open.last().is_some_and(Option::is_some),
            b'"' => {
                let end = string_end(bytes, at);
                if std::mem::take(&mut name_follows) {
                    let Name(name) = serde_json::from_str(&text[at..end]).map_err(|_| Unclear::Surrogate)?;
                    if name.starts_with(RESERVED) {
                        return Err(Unclear::Reserved(name.into_owned()));
                    }
                    names.push(name);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        if open.len() > depth {
            return Err(Unclear::TooDeep);
        }
        at += 1;
    }
    Ok(())
}

/// Where the string ends that begins at this quote.
fn string_end(bytes: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        if bytes[at + found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    bytes.len()
}

/// A name that is copied only where it has escapes.
#[derive(Deserialize)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

fn read_at(text: &str, pointer: &str, depth: usize, most: usize) -> Result<Value, Error> {
    let refuse = |message: String| Error::at(pointer, Code::InvalidRequest, message);
    let malformed = |error| malformed(pointer, &error);
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
                if key.starts_with(RESERVED) {
                    let message = Unclear::Reserved(key).to_string();
                    return Err(Error::at(pointer, Code::InvalidRequest, message));
                }
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
        assert!(read(&deep(BODY_DEPTH), "").is_ok());
        assert!(refused(&deep(BODY_DEPTH + 1)).ends_with("/0"));
        assert_eq!(refused(r#"{"a":[{"$serde_json::private::Number":"5"}]}"#), "/a/0/$serde_json::private::Number");
        assert!(refused(&deep(100_000)).ends_with("/0"));
        assert!(read_to(&deep(3), "", 3).is_ok());
        assert!(read_to(&deep(3), "", 2).is_err());
    }
}
