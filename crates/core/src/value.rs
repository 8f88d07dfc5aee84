//! Values of fields: read from text and JSON, written back the same.

use crate::error::{Code, RowError, excerpt};
use crate::field::{Field, FieldType};
use crate::identity::Identity;
use crate::json::{MAX_DEPTH, check_names};
use crate::number::{NumberError, parse_decimal, parse_integer};
use crate::patch::Patch;
use crate::user::Operator;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use std::fmt;

/// The value of a field. There is no null: a field without a value is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// A text, or the key of an option.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A decimal or an amount of a currency, in its shortest form.
    Decimal(#[serde(with = "rust_decimal::serde::str")] Decimal),
    /// True or false.
    Boolean(bool),
    /// A day.
    Date(Date),
    /// An instant.
    Datetime(Timestamp),
    /// The keys of options, in the order of the field's options.
    Options(Vec<String>),
    /// Compact JSON text.
    Json(String),
    /// The identities of a user in other systems, in order.
    Identities(Vec<Identity>),
}

/// Why a text or JSON value does not fit a field: the code and the sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The code of the row.
    pub code: Code,
    /// The sentence, naming the value.
    pub message: String,
}

impl Misfit {
    pub(crate) fn new(code: Code, message: String) -> Self {
        Self { code, message }
    }

    /// The same as the error of a cell.
    pub fn in_cell(self, column: &str, value: &str) -> RowError {
        RowError::cell(self.code, column, value, self.message)
    }
}

/// How dates in a file are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DateFormat(Option<String>);

impl DateFormat {
    /// Takes `DD/MM/YYYY` and its like, or directives such as `%d.%m.%Y`. `None` where no day, month and year can be
    /// read by it.
    pub fn parse(text: &str) -> Option<Self> {
        let pattern = match text.contains('%') {
            true => text.to_owned(),
            false => text.replace("YYYY", "%Y").replace("MM", "%m").replace("DD", "%d"),
        };
        let sample = Date::constant(2001, 2, 3);
        let written = jiff::fmt::strtime::format(&pattern, sample).ok()?;
        let reads_back = Date::strptime(&pattern, &written).is_ok_and(|date| date == sample);
        reads_back.then_some(Self(Some(pattern)))
    }

    fn read(&self, text: &str) -> Option<Date> {
        match &self.0 {
            Some(pattern) => Date::strptime(pattern, text).ok(),
            None => parse_iso_date(text),
        }
    }
}

/// Reads exactly `YYYY-MM-DD`.
fn parse_iso_date(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, b)| if matches!(i, 4 | 7) { *b == b'-' } else { b.is_ascii_digit() });
    if !shaped {
        return None;
    }
    Date::new(text[..4].parse().ok()?, text[5..7].parse().ok()?, text[8..].parse().ok()?).ok()
}

/// Reads RFC 3339; without a zone it is UTC. Nothing is guessed: a leap second, which would have to become another
/// second, is not a time here, and what only other standards allow (`10:00:00,5`, `+02`, `+0200`) is not either.
pub fn parse_datetime(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() >= 19
        && text.is_ascii()
        && parse_iso_date(&text[..10]).is_some()
        && matches!(bytes[10], b'T' | b't' | b' ')
        && bytes[13] == b':'
        && bytes[16] == b':'
        && &bytes[17..19] != b"60";
    if !shaped {
        return None;
    }
    let (_, rest) = text.split_at(19);
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    match zone.as_bytes() {
        [] => text.parse::<DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp()),
        b"Z" | b"z" => text.parse().ok(),
        // Offsets end before a day, which the parser would allow.
        [b'+' | b'-', b'0'..=b'1', b'0'..=b'9', b':', _, _] | [b'+' | b'-', b'2', b'0'..=b'3', b':', _, _] => {
            text.parse().ok()
        }
        _ => None,
    }
}

impl Value {
    /// Reads a cell that is neither empty nor the clear token.
    ///
    /// Texts are taken as they are; spaces around anything else do not matter. Whether a number lies within the
    /// field's limits is decided by the plan, where operators are known. The codes are those of section 4.
    pub fn from_text(field: &Field, text: &str, dates: &DateFormat) -> Result<Self, Misfit> {
        let trimmed = text.trim();
        let misfit = |code, what: &str| Err(Misfit::new(code, format!("\"{}\" is not {what}", excerpt(text))));
        match field.kind {
            FieldType::Text | FieldType::LongText => Self::text(field, text),
            FieldType::Integer => match parse_integer(trimmed) {
                Ok(number) => Ok(Self::Integer(number)),
                Err(NumberError::Invalid) => misfit(Code::InvalidNumber, "a whole number"),
                Err(NumberError::OutOfRange) => misfit(Code::OutOfRange, "a 64-bit whole number"),
            },
            FieldType::Decimal | FieldType::Currency => match parse_decimal(trimmed) {
                Ok(number) => Ok(Self::Decimal(number)),
                Err(NumberError::Invalid) => misfit(Code::InvalidNumber, "a number such as 1234.50"),
                Err(NumberError::OutOfRange) => {
                    misfit(Code::OutOfRange, "a number of at most 28 digits, 12 of them after the point")
                }
            },
            FieldType::Boolean => match trimmed.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Ok(Self::Boolean(true)),
                "false" | "no" | "0" => Ok(Self::Boolean(false)),
                _ => misfit(Code::InvalidBoolean, "true or false, yes or no, 1 or 0"),
            },
            FieldType::Date => match dates.read(trimmed) {
                Some(date) => Ok(Self::Date(date)),
                None if dates.0.is_some() => misfit(Code::InvalidDate, "a date as date_format says"),
                None => misfit(Code::InvalidDate, "a date of the form YYYY-MM-DD"),
            },
            FieldType::Datetime => match parse_datetime(trimmed) {
                Some(time) => Ok(Self::Datetime(time)),
                None => misfit(Code::InvalidDatetime, "a time as RFC 3339 writes it"),
            },
            FieldType::Select => Self::option(field, trimmed),
            FieldType::MultiSelect => Self::options(field, trimmed.split(';').map(str::trim).filter(|t| !t.is_empty())),
            FieldType::Json => match serde_json::from_str::<&RawValue>(text) {
                Ok(json) if json.get() == "null" => {
                    misfit(Code::InvalidJson, "a JSON value that can be kept; null is nothing")
                }
                Ok(json) => Self::json(json.get()),
                Err(_) => misfit(Code::InvalidJson, "a JSON value"),
            },
        }
    }

    /// Reads a cell of a spreadsheet that is a day or an instant, which its text says as ISO 8601. A day is the instant at
    /// which it begins, and the other way round, because a spreadsheet keeps both as the same number.
    pub fn from_date_cell(field: &Field, text: &str) -> Result<Self, Misfit> {
        let converted = match field.kind {
            FieldType::Date => text.strip_suffix("T00:00:00Z").map(str::to_owned),
            FieldType::Datetime if parse_iso_date(text).is_some() => Some(format!("{text}T00:00:00Z")),
            _ => None,
        };
        Self::from_text(field, converted.as_deref().unwrap_or(text), &DateFormat::default())
    }

    /// Reads a JSON value that is not null: of the field's own JSON type, or a string as a cell would hold it.
    pub fn from_json(field: &Field, json: &Json) -> Result<Self, Misfit> {
        Self::from_json_with(field, json, &DateFormat::default())
    }

    /// The same where dates in strings are written in another way.
    pub fn from_json_with(field: &Field, json: &Json, dates: &DateFormat) -> Result<Self, Misfit> {
        match (field.kind, json) {
            (FieldType::Json, json) => Self::json(&json.to_string()),
            (FieldType::MultiSelect, Json::Array(items)) if items.iter().all(Json::is_string) => {
                Self::options(field, items.iter().filter_map(Json::as_str))
            }
            (_, Json::String(text)) => Self::from_text(field, text, dates),
            (FieldType::Boolean, Json::Bool(value)) => Ok(Self::Boolean(*value)),
            (kind, Json::Number(number)) if kind.is_numeric() => Self::from_text(field, &number.to_string(), dates),
            (kind, json) => {
                let code = match kind {
                    FieldType::Integer | FieldType::Decimal | FieldType::Currency => Code::InvalidNumber,
                    FieldType::Boolean => Code::InvalidBoolean,
                    FieldType::Date => Code::InvalidDate,
                    FieldType::Datetime => Code::InvalidDatetime,
                    FieldType::Select | FieldType::MultiSelect => Code::InvalidOption,
                    FieldType::Text | FieldType::LongText | FieldType::Json => Code::InvalidText,
                };
                Err(Misfit::new(code, format!("{} does not fit the type {kind}", excerpt(&json.to_string()))))
            }
        }
    }

    /// Reads what is stored, by the type that its field has now. What was stored while the field had another type and is
    /// not written as this one is stays what it was, so that every history can be read: a number where it is one, else
    /// a text.
    pub(crate) fn from_stored_text(kind: FieldType, text: &str) -> Self {
        let exactly = |value: Option<Self>| value.filter(|value| value.to_string() == text);
        let value = match kind {
            FieldType::Text | FieldType::LongText | FieldType::Select => None,
            FieldType::Json => Some(Self::Json(text.to_owned())),
            FieldType::Integer => {
                let integer = exactly(text.parse().ok().map(Self::Integer));
                integer.or_else(|| exactly(text.parse().ok().map(Self::Decimal)))
            }
            FieldType::Decimal | FieldType::Currency => exactly(text.parse().ok().map(Self::Decimal)),
            FieldType::Boolean => exactly(text.parse().ok().map(Self::Boolean)),
            FieldType::Date => exactly(text.parse().ok().map(Self::Date)),
            FieldType::Datetime => exactly(text.parse().ok().map(Self::Datetime)),
            FieldType::MultiSelect => {
                Some(Self::Options(text.split(';').filter(|key| !key.is_empty()).map(str::to_owned).collect()))
            }
        };
        value.unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// Whether a field of this type can hold the value.
    pub fn is_of(&self, kind: FieldType) -> bool {
        match kind {
            FieldType::Text | FieldType::LongText | FieldType::Select => matches!(self, Self::Text(_)),
            FieldType::Integer => matches!(self, Self::Integer(_)),
            FieldType::Decimal | FieldType::Currency => matches!(self, Self::Decimal(_)),
            FieldType::Boolean => matches!(self, Self::Boolean(_)),
            FieldType::Date => matches!(self, Self::Date(_)),
            FieldType::Datetime => matches!(self, Self::Datetime(_)),
            FieldType::MultiSelect => matches!(self, Self::Options(_)),
            FieldType::Json => matches!(self, Self::Json(text) if serde_json::from_str::<Json>(text).is_ok()),
        }
    }

    fn text(field: &Field, text: &str) -> Result<Self, Misfit> {
        let limit = field.max_length() as usize;
        // Bytes are at least as many as characters, so short texts need no counting.
        if text.len() > limit && text.chars().count() > limit {
            let message = format!("the text has {} characters, {limit} are allowed", text.chars().count());
            return Err(Misfit::new(Code::TooLong, message));
        }
        if text.contains('\0') {
            return Err(Misfit::new(Code::NulCharacter, "the text has a NUL character".to_owned()));
        }
        Ok(Self::Text(text.to_owned()))
    }

    fn option(field: &Field, text: &str) -> Result<Self, Misfit> {
        let option = field.option(text).ok_or_else(|| unknown_option(field, text))?;
        Ok(Self::Text(option.key.clone()))
    }

    fn options<'a>(field: &Field, texts: impl Iterator<Item = &'a str>) -> Result<Self, Misfit> {
        let chosen: Vec<&str> = texts
            .map(|text| field.option(text).map(|o| o.key.as_str()).ok_or_else(|| unknown_option(field, text)))
            .collect::<Result<_, _>>()?;
        let keys = field.rules.options.iter().map(|option| &option.key);
        Ok(Self::Options(keys.filter(|key| chosen.contains(&key.as_str())).cloned().collect()))
    }

    fn json(text: &str) -> Result<Self, Misfit> {
        let unclear = |why: String| Misfit::new(Code::InvalidJson, why);
        check_names(text, MAX_DEPTH).map_err(|why| unclear(why.to_string()))?;
        let text = serde_json::from_str::<Json>(text).map_err(|why| unclear(why.to_string()))?.to_string();
        match text.contains("\\u0000") {
            true => Err(Misfit::new(Code::NulCharacter, "the value has a NUL character".to_owned())),
            false => Ok(Self::Json(text)),
        }
    }

    /// The number, of the types that are one.
    pub fn as_decimal(&self) -> Option<Decimal> {
        match self {
            Self::Integer(number) => Some(Decimal::from(*number)),
            Self::Decimal(number) => Some(*number),
            Self::Text(_)
            | Self::Boolean(_)
            | Self::Date(_)
            | Self::Datetime(_)
            | Self::Options(_)
            | Self::Json(_)
            | Self::Identities(_) => None,
        }
    }

    /// The value as the API shows it: whole numbers as JSON numbers (as strings beyond 2^53, where many readers would
    /// round), decimals as strings.
    pub fn to_wire(&self) -> Json {
        match self {
            Self::Integer(number) if number.unsigned_abs() > 1 << 53 => Json::from(number.to_string()),
            Self::Integer(number) => Json::from(*number),
            Self::Boolean(value) => Json::from(*value),
            Self::Options(keys) => Json::from(keys.clone()),
            // What was a text before its field held JSON stays one in the history.
            Self::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::from(text.as_str())),
            Self::Identities(all) => serde_json::to_value(all).unwrap_or(Json::Null),
            Self::Text(_) | Self::Decimal(_) | Self::Date(_) | Self::Datetime(_) => Json::from(self.to_string()),
        }
    }
}

fn unknown_option(field: &Field, text: &str) -> Misfit {
    let names: Vec<&str> = field.rules.options.iter().map(|option| option.name.as_str()).take(8).collect();
    let more = if field.rules.options.len() > names.len() { ", …" } else { "" };
    let message = format!("\"{}\" is not one of {}{more}", excerpt(text), names.join(", "));
    Misfit::new(Code::InvalidOption, message)
}

/// The value as a cell of a file holds it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Json(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Decimal(number) => number.fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::Date(date) => date.fmt(f),
            Self::Datetime(time) => time.fmt(f),
            Self::Options(keys) => f.write_str(&keys.join(";")),
            Self::Identities(all) => f.write_str(&all.iter().map(ToString::to_string).collect::<Vec<_>>().join(";")),
        }
    }
}

/// What a JSON value says about a field: null clears, `{"op","value"}` operates on a number, anything else overwrites.
pub fn patch_from_json(field: &Field, json: &Json) -> Result<Patch<(Operator, Value)>, Misfit> {
    patch_from_json_with(field, json, &DateFormat::default())
}

/// The same where dates in strings are written in another way.
pub fn patch_from_json_with(
    field: &Field,
    json: &Json,
    dates: &DateFormat,
) -> Result<Patch<(Operator, Value)>, Misfit> {
    let operation = json.as_object().filter(|object| field.kind != FieldType::Json && object.contains_key("op"));
    let Some(operation) = operation else {
        return match json {
            Json::Null => Ok(Patch::Clear),
            json => Ok(Patch::Set((Operator::Overwrite, Value::from_json_with(field, json, dates)?))),
        };
    };
    let misfit = |code, message: &str| Err(Misfit::new(code, message.to_owned()));
    let op = operation.get("op").and_then(Json::as_str).and_then(Operator::parse);
    let Some(op) = op.filter(|_| operation.keys().all(|key| key == "op" || key == "value")) else {
        return misfit(Code::InvalidOperator, "write {\"op\": \"add\", \"value\": 5}, with add, subtract or overwrite");
    };
    if !field.kind.is_numeric() && op != Operator::Overwrite {
        return Err(Misfit::new(Code::OperatorNotAllowed, format!("{} is not a number", field.name)));
    }
    match operation.get("value") {
        None => misfit(Code::OperatorWithoutValue, "the operator has no value"),
        Some(Json::Null) if op == Operator::Overwrite => Ok(Patch::Clear),
        Some(Json::Null) => misfit(Code::InvalidOperator, "add and subtract need a number"),
        Some(value) => Ok(Patch::Set((op, Value::from_json_with(field, value, dates)?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::sample;

    fn read(key: &str, text: &str) -> Result<String, Code> {
        let fields = sample();
        let field = fields.find_by_key(key).unwrap();
        Value::from_text(field, text, &DateFormat::default()).map(|v| v.to_string()).map_err(|misfit| misfit.code)
    }

    #[test]
    fn cells_are_read_by_the_type_of_their_field_and_never_guessed() {
        for (key, text, expected) in [
            ("first_name", " Ann ", Ok(" Ann ")),
            ("points", " 12 ", Ok("12")),
            ("points", "12,5", Err(Code::InvalidNumber)),
            ("points", "1.0", Err(Code::InvalidNumber)),
            ("points", "9223372036854775808", Err(Code::OutOfRange)),
            ("rate", "1.50", Ok("1.5")),
            ("rate", "1e5", Err(Code::InvalidNumber)),
            ("premium_currency", "0.0000000000001", Err(Code::OutOfRange)),
            ("subscribed", "YES", Ok("true")),
            ("subscribed", "0", Ok("false")),
            ("subscribed", "on", Err(Code::InvalidBoolean)),
            ("date_of_birth", "2024-02-29", Ok("2024-02-29")),
            ("date_of_birth", "2023-02-29", Err(Code::InvalidDate)),
            ("date_of_birth", "20240229", Err(Code::InvalidDate)),
            ("date_of_birth", "01/02/2024", Err(Code::InvalidDate)),
            ("last_seen", "2024-01-01T10:00:00+02:00", Ok("2024-01-01T08:00:00Z")),
            ("last_seen", "2024-01-01 10:00:00.25", Ok("2024-01-01T10:00:00.25Z")),
            ("last_seen", "2024-01-01", Err(Code::InvalidDatetime)),
            ("last_seen", "2024-01-01T23:59:60Z", Err(Code::InvalidDatetime)),
            ("last_seen", "2024-01-01T10:00:00,5Z", Err(Code::InvalidDatetime)),
            ("last_seen", "2024-01-01T10:00:00+0200", Err(Code::InvalidDatetime)),
            ("last_seen", "2024-01-01T10:00:00+24:00", Err(Code::InvalidDatetime)),
            ("last_seen", "2024-01-01T10:00:00Z[Europe/Rome]", Err(Code::InvalidDatetime)),
            ("gender", "Female", Ok("f")),
            ("gender", "x", Err(Code::InvalidOption)),
            ("tags", "new; VIP", Ok("vip;new")),
            ("extra", "{\"b\": 1}", Ok("{\"b\":1}")),
            ("extra", "{", Err(Code::InvalidJson)),
            ("extra", "null", Err(Code::InvalidJson)),
            ("extra", "{\"a\": {\"b\": 1, \"b\": 2}}", Err(Code::InvalidJson)),
            ("extra", "{\"$serde_json::private::Number\": \"5\"}", Err(Code::InvalidJson)),
            ("extra", &format!("{}{}", "[".repeat(65), "]".repeat(65)), Err(Code::InvalidJson)),
        ] {
            assert_eq!(read(key, text), expected.map(str::to_owned), "{key} {text:?}");
        }
        assert_eq!(read("first_name", &"é".repeat(1_000)).unwrap().chars().count(), 1_000);
        assert_eq!(read("first_name", &"é".repeat(1_001)), Err(Code::TooLong));
    }

    #[test]
    fn other_date_formats_are_read_only_as_they_were_asked_for() {
        let fields = sample();
        let field = fields.find_by_key("date_of_birth").unwrap();
        for format in ["DD/MM/YYYY", "%d/%m/%Y"] {
            let dates = DateFormat::parse(format).unwrap();
            assert_eq!(Value::from_text(field, "28/08/1993", &dates), Ok(Value::Date(Date::constant(1993, 8, 28))));
            assert!(Value::from_text(field, "08/28/1993", &dates).is_err());
            assert!(Value::from_text(field, "1993-08-28", &dates).is_err());
        }
        for useless in ["", "%H:%M", "DD/MM", "YY", "%Q"] {
            assert_eq!(DateFormat::parse(useless), None, "{useless}");
        }
    }

    #[test]
    fn json_numbers_are_read_from_their_text() {
        let fields = sample();
        let read = |key: &str, json: &str| {
            Value::from_json(fields.find_by_key(key).unwrap(), &serde_json::from_str(json).unwrap()).map_err(|m| m.code)
        };
        assert_eq!(read("rate", "0.1000000000000000000001"), Err(Code::OutOfRange));
        assert_eq!(read("rate", "0.10").unwrap().to_string(), "0.1");
        assert_eq!(read("points", "9007199254740993").unwrap().to_wire(), Json::from("9007199254740993"));
        assert_eq!(read("points", "\"12\"").unwrap().to_wire(), Json::from(12));
        assert_eq!(read("points", "true"), Err(Code::InvalidNumber));
        assert_eq!(read("first_name", "5"), Err(Code::InvalidText));
        assert_eq!(read("tags", "[\"vip\"]"), Ok(Value::Options(vec!["vip".into()])));
    }
}
