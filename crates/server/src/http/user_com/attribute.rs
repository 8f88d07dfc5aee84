//! Attributes: what this product calls the fields of users, and how it writes their values.
//!
//! Its documents name the standard attributes; all other fields are custom attributes here, those too that every community
//! has. Names and keys share one space, so a standard attribute is found where a custom one is asked for, whatever fields the
//! community has: nothing else can be meant by it. The other way round a list is documented, and only what is on it is taken.

use jiff::Timestamp;
use muster_core::Code;
use muster_core::error::excerpt;
use muster_core::field::{Field, FieldSet, FieldType, normalize_name};
use muster_core::value::{Misfit, Value};
use serde_json::Value as Json;

/// The source of the identities that are custom ids.
pub const CUSTOM_ID: &str = "custom_id";

/// The standard attributes that are fields: their name here, and the key of the field.
pub const STANDARD: &[(&str, &str)] = &[
    ("assigned_to", "assigned_to"),
    ("city", "city"),
    ("company_id", "company_id"),
    ("country", "country"),
    ("facebook_url", "facebook_url"),
    ("first_name", "first_name"),
    ("gender", "gender"),
    ("google_url", "google_url"),
    ("gravatar_url", "gravatar_url"),
    ("last_name", "last_name"),
    ("linkedin_url", "linkedin_url"),
    ("notifications", "notifications"),
    ("phone_number", "phone"),
    ("region", "region"),
    ("score", "score"),
    ("status", "status"),
    ("timezone", "timezone"),
    ("twitter_url", "twitter_url"),
    ("unsubscribed", "unsubscribed"),
];

/// What a user has here beside its attributes. No attribute can be written by such a name.
const MEMBERS: &[&str] = &[
    "attributes",
    "browser",
    "created_at",
    CUSTOM_ID,
    "email",
    "first_seen",
    "id",
    "key",
    "last_contacted",
    "last_seen",
    "lists",
    "name",
    "os_type",
    "tags",
    "updated_at",
    "user_id",
];

/// The most characters of a first or last name.
const NAME_CHARS: usize = 40;

/// What an attribute is.
#[derive(Clone, Copy, Debug)]
pub enum Attribute<'a> {
    /// A field.
    Field(&'a Field),
    /// The email of the user.
    Email,
    /// The identity of the user that has the source [`CUSTOM_ID`].
    CustomId,
}

impl<'a> Attribute<'a> {
    /// The attribute of a name or key. A standard one is one too, and what this product calls so itself is never another field.
    pub fn custom(name: &str, fields: &'a FieldSet) -> Result<Self, String> {
        let field = match own_name(name) {
            Some("tags") => fields.find_by_key("tags"),
            Some(own) => STANDARD.iter().find(|(name, _)| *name == own).and_then(|(_, key)| fields.find_by_key(key)),
            None => fields.find_by_key(name).or_else(|| fields.find_by_name(name)),
        };
        let field = field.filter(|field| !field.archived);
        field.map(Self::Field).ok_or_else(|| match own_name(name) {
            Some(own @ ("email" | CUSTOM_ID | "user_id")) => format!("{own} is a standard attribute"),
            Some(own) if MEMBERS.contains(&own) && own != "tags" => {
                format!("{own} is what every user has here; it is no attribute")
            }
            _ => format!("there is no attribute \"{}\"; create it first", excerpt(name)),
        })
    }

    /// The standard attribute of a name.
    pub fn standard(name: &str, fields: &'a FieldSet) -> Result<Self, String> {
        match name {
            "email" => return Ok(Self::Email),
            // Older clients call it so.
            CUSTOM_ID | "user_id" => return Ok(Self::CustomId),
            _ => {}
        }
        let key = STANDARD.iter().find(|(own, _)| *own == name).map(|(_, key)| *key);
        let field = key.and_then(|key| fields.find_by_key(key)).filter(|field| !field.archived);
        field.map(Self::Field).ok_or_else(|| {
            let names: Vec<_> = STANDARD.iter().map(|(name, _)| *name).collect();
            let excerpt = excerpt(name);
            format!("\"{excerpt}\" is no standard attribute; these are email, custom_id, {}", names.join(", "))
        })
    }

    /// Whether a value of it names one user.
    pub fn is_unique(self) -> bool {
        match self {
            Self::Field(field) => field.rules.unique,
            Self::Email | Self::CustomId => true,
        }
    }
}

/// The name of a standard attribute, or of a member that every user has, that this name means, whichever way it is written.
pub fn own_name(name: &str) -> Option<&'static str> {
    let name = normalize_name(name);
    let all = STANDARD.iter().map(|(own, _)| own).chain(MEMBERS);
    all.copied().find(|own| normalize_name(own) == name)
}

/// The value that a request gives to a field; null clears. Objects never operate on a number: a call that is repeated
/// changes nothing more.
pub fn read_value(field: &Field, json: &Json) -> Result<Option<Value>, Misfit> {
    let is_name = matches!(field.key.as_str(), "first_name" | "last_name");
    match (field.kind, json) {
        (_, Json::String(text)) if is_name && text.chars().count() > NAME_CHARS => {
            Err(Misfit { code: Code::TooLong, message: format!("a name has at most {NAME_CHARS} characters here") })
        }
        (_, Json::Null) => Ok(None),
        // Clients get choices as lists, and send them back as they got them.
        (FieldType::Select, Json::Array(items)) if items.len() == 1 => Value::from_json(field, &items[0]).map(Some),
        (_, json) => Value::from_json(field, json).map(Some),
    }
}

/// A value as this product shows it: numbers as numbers, what is chosen of choices as a list of their names.
pub fn show_value(field: &Field, value: &Value) -> Json {
    let value = field.with_option_names(value);
    match (field.kind, &value) {
        (FieldType::Select, Value::Text(name)) => Json::from(vec![name.as_str()]),
        (_, Value::Integer(number)) => Json::from(*number),
        (_, Value::Decimal(number)) => serde_json::from_str(&number.to_string()).unwrap_or_else(|_| value.to_wire()),
        (_, value) => value.to_wire(),
    }
}

/// A time as this product shows it.
pub fn show_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Whether a field is a standard attribute; all others are custom ones.
pub fn is_standard(field: &Field) -> bool {
    STANDARD.iter().any(|(_, key)| *key == field.key)
}

/// The id of an attribute: the number of its field, which never changes and is never given twice.
pub fn id_of(field: &Field) -> u16 {
    field.number.0
}
