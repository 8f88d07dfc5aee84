//! Users, their values, and the changes that happened to them.

use crate::field::{FieldNumber, FieldSet, FieldType};
use crate::id::UserId;
use crate::identity::Identity;
use crate::number;
use crate::value::Value;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::fmt;

/// The values of one user, in order of field number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values(Vec<(FieldNumber, Value)>);

impl Values {
    /// The value of a field.
    pub fn get(&self, field: FieldNumber) -> Option<&Value> {
        self.0.binary_search_by_key(&field, |(number, _)| *number).ok().map(|i| &self.0[i].1)
    }

    /// Gives the field this value, or none.
    pub fn put(&mut self, field: FieldNumber, value: Option<Value>) {
        match (self.0.binary_search_by_key(&field, |(number, _)| *number), value) {
            (Ok(i), Some(value)) => self.0[i].1 = value,
            (Ok(i), None) => drop(self.0.remove(i)),
            (Err(i), Some(value)) => self.0.insert(i, (field, value)),
            (Err(_), None) => {}
        }
    }

    /// Keeps the values of these fields only.
    pub fn retain(&mut self, keep: impl Fn(FieldNumber) -> bool) {
        self.0.retain(|(number, _)| keep(*number));
    }

    /// Every field that has a value.
    pub fn iter(&self) -> impl Iterator<Item = (FieldNumber, &Value)> {
        self.0.iter().map(|(number, value)| (*number, value))
    }

    /// The JSON object that is stored: field key → value. Whole numbers are numbers, booleans booleans, several
    /// options an array, all else strings; so that nothing is ever read through a float, on either database.
    pub fn to_stored(&self, fields: &FieldSet) -> String {
        let mut out = Vec::with_capacity(32 * self.0.len() + 2);
        out.push(b'{');
        for (number, value) in &self.0 {
            if out.len() > 1 {
                out.push(b',');
            }
            write_string(&mut out, fields.key_of(*number).unwrap_or_default());
            out.push(b':');
            write_value(&mut out, Some(value));
        }
        out.push(b'}');
        into_text(out)
    }

    /// Reads what [`Self::to_stored`] wrote. Fails with the key of a field that the set does not know, which means
    /// that the set is older than the values.
    pub fn from_stored(text: &str, fields: &FieldSet) -> Result<Self, StoredError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let mut values = reader.deserialize_map(ValuesVisitor(fields)).map_err(StoredError::from)?;
        values.0.sort_by_key(|(number, _)| *number);
        Ok(values)
    }
}

/// What stands in the database cannot be read: it was not written by this program, or by a newer one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stored values cannot be read: {0}")]
pub struct StoredError(String);

impl From<serde_json::Error> for StoredError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

fn into_text(json: Vec<u8>) -> String {
    String::from_utf8(json).expect("JSON made of texts is a text")
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("writing to memory does not fail");
}

fn write_value(out: &mut Vec<u8>, value: Option<&Value>) {
    match value {
        None => out.extend_from_slice(b"null"),
        Some(value @ (Value::Integer(_) | Value::Boolean(_))) => out.extend_from_slice(value.to_string().as_bytes()),
        Some(Value::Options(keys)) => serde_json::to_writer(out, keys).expect("writing to memory does not fail"),
        Some(Value::Text(text) | Value::Json(text)) => write_string(out, text),
        Some(Value::Identities(all)) => write_identities(out, all),
        Some(value @ (Value::Decimal(_) | Value::Date(_) | Value::Datetime(_))) => {
            write_string(out, &value.to_string())
        }
    }
}

/// `[["crm","7",null]]`.
fn write_identities(out: &mut Vec<u8>, all: &[Identity]) {
    let rows: Vec<_> = all.iter().map(|one| (&one.source, &one.source_id, &one.language)).collect();
    serde_json::to_writer(out, &rows).expect("writing to memory does not fail");
}

/// The JSON that is stored for the identities of a user; none for a user without.
pub fn identities_to_stored(all: &[Identity]) -> Option<String> {
    let mut out = Vec::new();
    write_identities(&mut out, all);
    (!all.is_empty()).then(|| into_text(out))
}

/// Reads what [`identities_to_stored`] wrote.
pub fn identities_from_stored(text: Option<&str>) -> Result<Vec<Identity>, StoredError> {
    let rows: Vec<(String, String, Option<String>)> =
        text.map(serde_json::from_str).transpose().map_err(StoredError::from)?.unwrap_or_default();
    let identity = |(source, source_id, language)| Identity { source, source_id, language };
    Ok(rows.into_iter().map(identity).collect())
}

struct ValuesVisitor<'a>(&'a FieldSet);

impl<'de> Visitor<'de> for ValuesVisitor<'_> {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        let mut values = Vec::with_capacity(12);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let number = self.0.number_of(&key).ok_or_else(|| A::Error::custom(format!("unknown field {key}")))?;
            if let Some(value) = map.next_value_seed(ValueSeed::of(self.0, number))? {
                values.push((number, value));
            }
        }
        Ok(Values(values))
    }
}

/// How a number's values are stored.
#[derive(Clone, Copy)]
enum ValueSeed {
    Field(FieldType),
    Identities,
}

impl ValueSeed {
    fn of(fields: &FieldSet, number: FieldNumber) -> Self {
        match number {
            FieldNumber::EMAIL => Self::Field(FieldType::Text),
            FieldNumber::DELETED => Self::Field(FieldType::Boolean),
            FieldNumber::IDENTITIES => Self::Identities,
            number => Self::Field(fields.get(number).map_or(FieldType::Text, |field| field.kind)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        let Self::Field(kind) = self else {
            let rows = Option::<Vec<(String, String, Option<String>)>>::deserialize(deserializer)?;
            let identity = |(source, source_id, language)| Identity { source, source_id, language };
            return Ok(rows.map(|rows| Value::Identities(rows.into_iter().map(identity).collect())));
        };
        deserializer.deserialize_any(Stored(kind))
    }
}

/// A value of a field as it is stored: by the type of the field, or as a type that the field had before stored it.
struct Stored(FieldType);

impl<'de> Visitor<'de> for Stored {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stored value")
    }

    fn visit_unit<E>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<Value>, E> {
        Ok(Some(Value::from_stored_text(self.0, text)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Option<Value>, E> {
        Ok(Some(match self.0 {
            FieldType::Integer => Value::Integer(number),
            kind => Value::from_stored_text(kind, &number.to_string()),
        }))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Option<Value>, E> {
        self.visit_i64(i64::try_from(number).map_err(E::custom)?)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Option<Value>, E> {
        Ok(Some(match self.0 {
            FieldType::Boolean => Value::Boolean(value),
            kind => Value::from_stored_text(kind, &value.to_string()),
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<Value>, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = seq.next_element()? {
            keys.push(key);
        }
        let options = Value::Options(keys);
        Ok(Some(match self.0 {
            FieldType::MultiSelect => options,
            kind => Value::from_stored_text(kind, &options.to_string()),
        }))
    }
}

/// A user as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// How often the user was changed: each change set counts one, so versions of a user have no gaps.
    pub version: i64,
    /// The email as it was written.
    pub email: Option<String>,
    /// What names the user in other systems, in order.
    pub identities: Vec<Identity>,
    /// Whether the user is deleted. Deleted users keep everything and match nothing.
    pub deleted: bool,
    /// The values.
    pub values: Values,
    /// When the user was made.
    pub created_at: Timestamp,
    /// When the user was changed last.
    pub updated_at: Timestamp,
}

impl User {
    /// A user who is not there yet: nothing set, version 0. The first change set makes the user.
    pub fn blank(id: UserId, now: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            email: None,
            identities: Vec::new(),
            deleted: false,
            values: Values::default(),
            created_at: now,
            updated_at: now,
        }
    }

    /// The value that changes call by this number.
    pub fn get(&self, field: FieldNumber) -> Option<Value> {
        match field {
            FieldNumber::EMAIL => self.email.clone().map(Value::Text),
            FieldNumber::DELETED => self.deleted.then_some(Value::Boolean(true)),
            FieldNumber::IDENTITIES => {
                (!self.identities.is_empty()).then(|| Value::Identities(self.identities.clone()))
            }
            field => self.values.get(field).cloned(),
        }
    }

    /// Applies a change set: one version later, at this time.
    pub fn apply(&mut self, changes: &[Change], now: Timestamp) {
        changes.iter().for_each(|change| self.put(change.field, change.new.as_ref()));
        self.version += 1;
        self.updated_at = now;
    }

    /// Takes the newest change set back: one version earlier. When that one was made the set does not say.
    pub fn take_back(&mut self, changes: &[Change]) {
        changes.iter().rev().for_each(|change| self.put(change.field, change.old.as_ref()));
        self.version -= 1;
    }

    fn put(&mut self, field: FieldNumber, value: Option<&Value>) {
        match (field, value) {
            (FieldNumber::EMAIL, Some(Value::Text(email))) => self.email = Some(email.clone()),
            (FieldNumber::EMAIL, _) => self.email = None,
            (FieldNumber::DELETED, value) => self.deleted = value == Some(&Value::Boolean(true)),
            (FieldNumber::IDENTITIES, Some(Value::Identities(all))) => self.identities.clone_from(all),
            (FieldNumber::IDENTITIES, _) => self.identities.clear(),
            (field, value) => self.values.put(field, value.cloned()),
        }
    }
}

/// What a value does to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// The field holds the value from now on.
    Overwrite,
    /// The value is added; an unset field counts as 0.
    Add,
    /// The value is subtracted; an unset field counts as 0.
    Subtract,
}

impl Operator {
    /// The operator's name, in files and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overwrite => "overwrite",
            Self::Add => "add",
            Self::Subtract => "subtract",
        }
    }

    /// The operator of exactly this name, lower case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Overwrite, Self::Add, Self::Subtract].into_iter().find(|operator| operator.as_str() == text)
    }
}

/// One field of one user went from an old value to a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The field, or a property of the user itself.
    pub field: FieldNumber,
    /// How.
    pub op: Operator,
    /// What it held; none: nothing.
    pub old: Option<Value>,
    /// What it holds now; none: nothing.
    pub new: Option<Value>,
}

impl Change {
    /// The operation's name in histories: an overwrite with nothing is called `clear`.
    pub fn op_name(&self) -> &'static str {
        match self.new {
            None => "clear",
            Some(_) => self.op.as_str(),
        }
    }

    /// By how much a number changed, and what it is afterwards; an unset one counts as 0. None for values that are no
    /// numbers, and where the difference has more digits than numbers may have.
    pub fn ledger(&self) -> Option<(Decimal, Decimal)> {
        self.old.as_ref().or(self.new.as_ref())?;
        let number = |value: &Option<Value>| value.as_ref().map_or(Some(Decimal::ZERO), Value::as_decimal);
        let (old, new) = (number(&self.old)?, number(&self.new)?);
        Some((number::subtract(new, old).ok()?, new))
    }
}

/// The JSON that is stored for a change set: `[["points","add",1,3],["city","overwrite",null,"Rome"]]`.
pub fn changes_to_stored(changes: &[Change], fields: &FieldSet) -> String {
    let mut out = Vec::with_capacity(48 * changes.len() + 2);
    out.push(b'[');
    for change in changes {
        out.extend_from_slice(if out.len() > 1 { b",[" } else { b"[" });
        write_string(&mut out, fields.key_of(change.field).unwrap_or_default());
        out.extend_from_slice(b",\"");
        out.extend_from_slice(change.op.as_str().as_bytes());
        out.extend_from_slice(b"\",");
        write_value(&mut out, change.old.as_ref());
        out.push(b',');
        write_value(&mut out, change.new.as_ref());
        out.push(b']');
    }
    out.push(b']');
    into_text(out)
}

/// Reads what [`changes_to_stored`] wrote.
pub fn changes_from_stored(text: &str, fields: &FieldSet) -> Result<Vec<Change>, StoredError> {
    struct Set<'a>(&'a FieldSet);
    impl<'de> Visitor<'de> for Set<'_> {
        type Value = Vec<Change>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of changes")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Change>, A::Error> {
            let mut changes = Vec::new();
            while let Some(change) = seq.next_element_seed(One(self.0))? {
                changes.push(change);
            }
            Ok(changes)
        }
    }
    struct One<'a>(&'a FieldSet);
    impl<'de> DeserializeSeed<'de> for One<'_> {
        type Value = Change;
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Change, D::Error> {
            deserializer.deserialize_seq(self)
        }
    }
    impl<'de> Visitor<'de> for One<'_> {
        type Value = Change;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a change: [field, op, old, new]")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Change, A::Error> {
            let short = || A::Error::custom("a change has four members");
            let key: Cow<'de, str> = seq.next_element()?.ok_or_else(short)?;
            let field = self.0.number_of(&key).ok_or_else(|| A::Error::custom(format!("unknown field {key}")))?;
            let op = seq.next_element()?.ok_or_else(short)?;
            let seed = ValueSeed::of(self.0, field);
            let old = seq.next_element_seed(seed)?.ok_or_else(short)?;
            let new = seq.next_element_seed(seed)?.ok_or_else(short)?;
            Ok(Change { field, op, old, new })
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_seq(Set(fields)).map_err(StoredError::from)
}

/// A value, or null where there is none, as the API shows it.
pub fn wire_or_null(value: Option<&Value>) -> Json {
    value.map_or(Json::Null, Value::to_wire)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::sample;
    use crate::value::DateFormat;

    #[test]
    fn values_and_changes_are_read_back_as_stored() {
        let fields = sample();
        let mut values = Values::default();
        for (key, text) in [
            ("first_name", "Zoë \"Z\" \u{1f600}\n"),
            ("points", "-9223372036854775808"),
            ("rate", "0.000000000001"),
            ("premium_currency", "9999999999999999999999999999"),
            ("subscribed", "no"),
            ("date_of_birth", "1970-01-01"),
            ("last_seen", "2024-01-01T08:00:00.123456Z"),
            ("gender", "f"),
            ("tags", "vip;new"),
            ("extra", "{\"a\":[1e2,{\"b\":null}]}"),
        ] {
            let field = fields.find_by_key(key).unwrap();
            values.put(field.number, Some(Value::from_text(field, text, &DateFormat::default()).unwrap()));
        }
        assert_eq!(Values::from_stored(&values.to_stored(&fields), &fields), Ok(values.clone()));

        let changes: Vec<Change> = values
            .iter()
            .map(|(field, value)| Change { field, op: Operator::Add, old: None, new: Some(value.clone()) })
            .chain([
                Change {
                    field: FieldNumber::EMAIL,
                    op: Operator::Overwrite,
                    old: Some(Value::Text("a@b".into())),
                    new: None,
                },
                Change {
                    field: FieldNumber::IDENTITIES,
                    op: Operator::Add,
                    old: None,
                    new: Some(Value::Identities(vec![Identity::new("crm", "7", Some("de")).unwrap()])),
                },
            ])
            .collect();
        assert_eq!(changes_from_stored(&changes_to_stored(&changes, &fields), &fields), Ok(changes));
        assert!(Values::from_stored("{\"nobody\":1}", &fields).is_err(), "a key that is not known is never dropped");
    }

    #[test]
    fn taking_back_what_was_applied_is_the_identity() {
        let now = Timestamp::UNIX_EPOCH;
        let mut user = User::blank(UserId(1), now);
        let change = |field, old: Option<Value>, new| Change { field, op: Operator::Overwrite, old, new };
        let (city, rome, oslo) = (FieldNumber(30), Value::Text("Rome".into()), Value::Text("Oslo".into()));
        let mail = Value::Text("a@b".into());
        user.apply(
            &[change(FieldNumber::EMAIL, None, Some(mail.clone())), change(city, None, Some(rome.clone()))],
            now,
        );
        let before = user.clone();
        let changes = [
            change(city, Some(rome), Some(oslo.clone())),
            change(city, Some(oslo), None),
            change(FieldNumber::EMAIL, Some(mail), None),
            change(FieldNumber::DELETED, None, Some(Value::Boolean(true))),
        ];
        user.apply(&changes, now);
        assert_ne!(user, before);
        user.take_back(&changes);
        assert_eq!(user, before);
    }

    #[test]
    fn a_ledger_counts_from_nothing_and_only_numbers() {
        let ledger = |old: Option<Value>, new: Option<Value>| {
            let change = Change { field: FieldNumber::FIRST, op: Operator::Add, old, new };
            change.ledger().map(|(delta, balance)| (delta.to_string(), balance.to_string()))
        };
        let number = |text: &str| Some(Value::Decimal(text.parse().unwrap()));
        let is = |delta: &str, balance: &str| Some((delta.to_owned(), balance.to_owned()));
        assert_eq!(ledger(None, number("2.5")), is("2.5", "2.5"));
        assert_eq!(ledger(number("2.5"), number("-1")), is("-3.5", "-1"));
        assert_eq!(ledger(Some(Value::Integer(7)), None), is("-7", "0"));
        assert_eq!(ledger(Some(Value::Text("7".into())), None), None);
        assert_eq!(ledger(None, None), None);
        let most = "9999999999999999999999999999";
        assert_eq!(ledger(number(&format!("-{most}")), number(most)), None, "never rounded");
    }
}
