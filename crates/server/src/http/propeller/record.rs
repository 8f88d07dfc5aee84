//! A user as the product writes it, and the same as a record of ours: `{"id", "identities", "email", "values"}`.
//!
//! What is of the wrong JSON type or not known is a fault of the schema. Whether a value fits its field is not looked at here:
//! that is for the same rules to decide as everywhere.

use super::directives::Directives;
use super::schema::{Object, Schema};
use jiff::civil::Date;
use muster_core::Code;
use muster_core::field::key_from_name;
use serde_json::{Value, json};

/// What names the user of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The product's own id.
    Id,
    /// An id in another system.
    SourceId,
}

impl Lookup {
    /// The member that holds it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::SourceId => "sourceId",
        }
    }
}

/// How a member is written.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// A text.
    Text,
    /// A text, or a number that stands for its digits.
    TextOrNumber,
    /// A day: `YYYY-MM-DD`, `DD/MM/YYYY`, or as users are shown.
    Date,
    /// `m`, `f`, `u` or the words that they stand for.
    Gender,
    /// A list of addresses.
    Addresses,
    /// What names the group of a user.
    Parent,
}

/// The members that are fields: how the product calls them, how we do, and how they are written.
const MEMBERS: &[(&str, &str, Shape)] = &[
    ("abbreviation", "abbreviation", Shape::Text),
    ("addresses", "addresses", Shape::Addresses),
    ("cocNumber", "coc_number", Shape::TextOrNumber),
    ("company", "company", Shape::Text),
    ("dateOfBirth", "date_of_birth", Shape::Date),
    ("debtorId", "debtor_id", Shape::TextOrNumber),
    ("email", "email", Shape::Text),
    ("firstName", "first_name", Shape::Text),
    ("fullName", "full_name", Shape::Text),
    ("gender", "gender", Shape::Gender),
    ("lastName", "last_name", Shape::Text),
    ("login", "username", Shape::Text),
    ("middleName", "middle_name", Shape::Text),
    ("mobile", "mobile", Shape::TextOrNumber),
    ("parent", "parent", Shape::Parent),
    ("phone", "phone", Shape::TextOrNumber),
    ("primaryLanguage", "language", Shape::Text),
    ("taxNumber", "tax_number", Shape::TextOrNumber),
    ("title", "title", Shape::Text),
];

/// The members of an address, all of them texts.
const ADDRESS: [&str; 20] = [
    "city",
    "code",
    "company",
    "country",
    "email",
    "firstName",
    "icp",
    "isDefault",
    "lastName",
    "middleName",
    "mobile",
    "notes",
    "number",
    "numberExtension",
    "phone",
    "postalCode",
    "region",
    "street",
    "type",
    "url",
];

/// The members and our fields, as users are shown.
pub fn members() -> impl Iterator<Item = (&'static str, &'static str)> {
    MEMBERS.iter().map(|(name, field, _)| (*name, *field))
}

/// What the product calls one of our fields, if it is no attribute.
pub fn name_of(field: &str) -> Option<&'static str> {
    let member = members().find(|(_, ours)| *ours == field).map(|(name, _)| name);
    member.or_else(|| (field == "identities").then_some("sourceId"))
}

/// What is wrong with the value of one of our fields, as the product's clients know it.
pub fn say_of_value(field: &str, code: Code, message: &str) -> String {
    match code {
        Code::InvalidDate if field == "date_of_birth" => format!("{message}, or DD/MM/YYYY"),
        _ => message.to_owned(),
    }
}

/// The members of a user of a request.
pub struct UserRecord<'v> {
    place: &'v str,
    object: &'v Object,
}

/// What a user of a request says, in our words.
#[derive(Debug, Default)]
pub struct Said {
    /// The identity.
    pub identity: Option<Value>,
    /// The email, or null to take it away.
    pub email: Option<Value>,
    /// The values by field key; null clears.
    pub values: Object,
    /// The keys of those that are attributes.
    pub attributes: Vec<String>,
}

impl<'v> UserRecord<'v> {
    /// The members of a user, of which each must be known; `others` are those that are known here beside what every user has.
    pub fn new(place: &'v str, value: &'v Value, others: &[&str], schema: &mut Schema) -> Option<Self> {
        const ALWAYS: [&str; 4] = ["source", "sourceId", "language", "attributes"];
        let known = |name: &str| {
            ALWAYS.contains(&name) || others.contains(&name) || members().any(|(member, _)| member == name)
        };
        let object = schema.object(place, value, known)?;
        Some(Self { place, object })
    }

    /// What the user says.
    pub fn read(&self, lookup: Lookup, schema: &mut Schema) -> Said {
        let mut said = Said { identity: self.identity(lookup, schema), ..Said::default() };
        for (name, field, shape) in MEMBERS {
            let Some(value) = self.object.get(*name) else {
                continue;
            };
            let value = shape.read(&format!("{}/{name}", self.place), value, schema);
            match *field {
                "email" => said.email = Some(value),
                field => drop(said.values.insert(field.to_owned(), value)),
            }
        }
        if let Some(attributes) = self.object.get("attributes") {
            let place = format!("{}/attributes", self.place);
            for (i, attribute) in schema.array(&place, attributes).iter().enumerate() {
                let place = format!("{place}/{i}");
                let Some((key, value)) = attribute_of(&place, attribute, schema) else {
                    continue;
                };
                if said.values.insert(key.clone(), value).is_some() {
                    schema.fault(
                        &place,
                        Code::InvalidRequest,
                        "this attribute is there twice, or is a member of users",
                    );
                }
                said.attributes.push(key);
            }
        }
        said
    }

    /// The record in our words, and the key that names the user, as it was written.
    pub fn translate(&self, lookup: Lookup, directives: &Directives, schema: &mut Schema) -> (Value, Value) {
        let said = self.read(lookup, schema);
        let mut directives = directives.clone();
        if let Some(own) = self.object.get("directives") {
            directives.read(&format!("{}/directives", self.place), own, schema);
        }
        let mut record = Object::new();
        if lookup == Lookup::Id {
            match self.object.get("id") {
                None => schema.missing(self.place, "id", Code::MissingKey),
                Some(id) => {
                    schema.integer(&format!("{}/id", self.place), id);
                    record.insert("id".to_owned(), id.clone());
                }
            }
        }
        let mut gentle: Vec<&str> = Vec::new();
        for name in &directives.skip_if_not_empty {
            match MEMBERS.iter().find(|(member, ..)| member == name) {
                Some((_, field, _)) => gentle.push(field),
                None => gentle.extend(said.attributes.iter().map(String::as_str)),
            }
        }
        gentle.extend(directives.skip_move.then_some("parent"));
        if !gentle.is_empty() {
            record.insert("only_if_empty".to_owned(), json!(gentle));
        }
        if directives.skip_create {
            record.insert("create".to_owned(), Value::Bool(false));
        }
        record.extend(said.identity.map(|identity| ("identities".to_owned(), json!([identity]))));
        record.extend(said.email.map(|email| ("email".to_owned(), email)));
        record.insert("values".to_owned(), Value::Object(said.values));
        (Value::Object(record), self.object.get(lookup.as_str()).cloned().unwrap_or_default())
    }

    fn identity(&self, lookup: Lookup, schema: &mut Schema) -> Option<Value> {
        let [source, id, language] = ["source", "sourceId", "language"].map(|name| self.object.get(name));
        if lookup == Lookup::Id && source.is_none() && id.is_none() && language.is_none() {
            return None;
        }
        if id.is_none() {
            let code = if lookup == Lookup::SourceId { Code::MissingKey } else { Code::InvalidRequest };
            schema.missing(self.place, "sourceId", code);
        }
        if source.is_none() {
            schema.missing(self.place, "source", Code::InvalidRequest);
        }
        let source = source.and_then(|source| schema.text(&format!("{}/source", self.place), source));
        let id = id.and_then(|id| schema.source_id(&format!("{}/sourceId", self.place), id));
        let place = format!("{}/language", self.place);
        let language = language.filter(|value| !value.is_null()).and_then(|value| schema.text(&place, value));
        Some(json!({"source": source?, "source_id": id?, "language": language}))
    }
}

impl Shape {
    /// The value that a field gets; null to clear it, which an empty text does too: the product has no other word for it.
    fn read(self, place: &str, value: &Value, schema: &mut Schema) -> Value {
        if value.is_null() || value.as_str() == Some("") {
            return Value::Null;
        }
        match self {
            Self::Text => drop(schema.text(place, value)),
            Self::TextOrNumber => return schema.text_or_number(place, value).map_or(Value::Null, Value::from),
            Self::Date => return schema.text(place, value).map_or(Value::Null, |text| iso_date(text).into()),
            Self::Gender => {
                let undefined = schema.text(place, value).is_some_and(|text| text.eq_ignore_ascii_case("undefined"));
                return if undefined { "u".into() } else { value.clone() };
            }
            Self::Addresses => addresses(place, value, schema),
            Self::Parent => parent(place, value, schema),
        }
        value.clone()
    }
}

fn addresses(place: &str, value: &Value, schema: &mut Schema) {
    for (i, address) in schema.array(place, value).iter().enumerate() {
        let place = format!("{place}/{i}");
        for (name, value) in schema.object(&place, address, |name| ADDRESS.contains(&name)).into_iter().flatten() {
            if !value.is_null() {
                schema.text_or_number(&format!("{place}/{name}"), value);
            }
        }
    }
}

fn parent(place: &str, value: &Value, schema: &mut Schema) {
    let Some(parent) = schema.object(place, value, |name| ["id", "source", "sourceId", "language"].contains(&name))
    else {
        return;
    };
    for (name, value) in parent {
        let place = format!("{place}/{name}");
        match name.as_str() {
            "id" => drop(schema.integer(&place, value)),
            "sourceId" => drop(schema.source_id(&place, value)),
            _ => drop(schema.text(&place, value)),
        }
    }
    match (parent.contains_key("id"), parent.contains_key("sourceId"), parent.contains_key("source")) {
        (true, _, _) | (false, true, true) => {}
        (false, true, false) => schema.missing(place, "source", Code::InvalidRequest),
        (false, false, _) => schema.missing(place, "id", Code::InvalidRequest),
    }
}

/// The key and the value of an attribute of a user; without a value it is cleared.
fn attribute_of(place: &str, attribute: &Value, schema: &mut Schema) -> Option<(String, Value)> {
    let attribute = schema.object(place, attribute, |name| ["class", "name", "type", "value"].contains(&name))?;
    for name in ["class", "type"] {
        attribute.get(name).map(|value| schema.text(&format!("{place}/{name}"), value));
    }
    let value = attribute_value(&format!("{place}/value"), attribute.get("value"), schema);
    let Some(name) = attribute.get("name") else {
        schema.missing(place, "name", Code::InvalidRequest);
        return None;
    };
    let name = schema.text(&format!("{place}/name"), name)?;
    let class = attribute.get("class").and_then(Value::as_str).unwrap_or("user");
    Some((attribute_key(name, class), value))
}

/// The key of the field that an attribute is. An attribute of another class names no field, and neither does one whose
/// name is that of a member: that is for whoever looks for the field to find out.
pub fn attribute_key(name: &str, class: &str) -> String {
    let key = key_from_name(name);
    match class == "user" && name_of(&key).is_none() && !key.is_empty() {
        true => key,
        false => format!("{name} ({class})"),
    }
}

/// The value of an attribute in the JSON of our fields.
pub fn attribute_value(place: &str, value: Option<&Value>, schema: &mut Schema) -> Value {
    match value {
        None | Some(Value::Null) => Value::Null,
        Some(Value::String(text)) if text.is_empty() => Value::Null,
        Some(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => value.clone(),
        Some(Value::Array(items)) => {
            for (i, item) in items.iter().enumerate() {
                schema.text(&format!("{place}/{i}"), item);
            }
            Value::Array(items.clone())
        }
        Some(object @ Value::Object(_)) => {
            schema.text(place, object);
            Value::Null
        }
    }
}

/// The English names of the months, as the product writes them.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// `28/08/1993` and `August, 28 1993 00:00:00 +0000` as `1993-08-28`; anything else, such as a day that there is not, as it is.
fn iso_date(text: &str) -> String {
    let day = rearranged(text).filter(|day| day.parse::<Date>().is_ok());
    day.unwrap_or_else(|| text.to_owned())
}

fn rearranged(text: &str) -> Option<String> {
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if let [day, month, year] = text.split('/').collect::<Vec<_>>()[..]
        && digits(day, 2)
        && digits(month, 2)
        && digits(year, 4)
    {
        return Some(format!("{year}-{month}-{day}"));
    }
    let long = text.strip_suffix(" 00:00:00 +0000").and_then(|text| text.split_once(", "));
    if let Some((month, (day, year))) = long.and_then(|(month, rest)| Some((month, rest.split_once(' ')?)))
        && let Some(month) = MONTHS.iter().position(|name| *name == month)
        && digits(day, 2)
        && digits(year, 4)
    {
        return Some(format!("{year}-{:02}-{day}", month + 1));
    }
    None
}
