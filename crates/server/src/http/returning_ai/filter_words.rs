//! Filters in the words of this product made those of the native face: names as people write them, and `join_date`, in which a
//! day stands for all of it.

use super::user_filter::JOIN_DATE;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use muster_core::error::excerpt;
use muster_core::field::{FieldSet, key_from_name};
use muster_core::json::below;
use muster_core::value::parse_datetime;
use muster_core::{Code, Error};
use serde_json::{Map, Value as Any, json};

/// What filters call the time at which a user was made.
const CREATED_AT: &str = "created_at";

/// The key of the field that a name means, whichever way it is written.
pub(super) fn key_of(name: &str, fields: &FieldSet) -> String {
    let field = fields.find_by_name(name).filter(|field| !field.archived);
    field.map_or_else(|| key_from_name(name), |field| field.key.clone())
}

/// A filter in the words of the native face.
#[derive(Debug)]
pub(super) struct NativeFilter<'a> {
    fields: &'a FieldSet,
    /// Where the engine will say something is wrong, and where that is in the request.
    pub(super) places: Vec<(String, String)>,
}

impl<'a> NativeFilter<'a> {
    /// A translator by these fields.
    pub(super) fn new(fields: &'a FieldSet) -> Self {
        Self { fields, places: Vec::new() }
    }

    /// The filter; none where everybody is meant. What is no filter stays as it is: the engine says what is wrong with it.
    pub(super) fn read(&mut self, filter: Map<String, Any>) -> Result<Option<Any>, Error> {
        let native = self.level(filter, "/filter")?;
        Ok((!native.is_empty()).then_some(Any::Object(native)))
    }

    fn level(&mut self, filter: Map<String, Any>, pointer: &str) -> Result<Map<String, Any>, Error> {
        let (mut native, mut more) = (Map::new(), Vec::new());
        for (name, condition) in filter {
            let place = below(pointer, &name);
            let (key, condition) = match name.as_str() {
                "and" | "or" | "not" => (name.clone(), Some(self.nested(condition, &place)?)),
                "all" => (name.clone(), Some(condition)),
                _ => match key_of(&name, self.fields) {
                    key if key == JOIN_DATE => (CREATED_AT.to_owned(), on_days(condition, &place, &mut more)?),
                    key => (key, Some(condition)),
                },
            };
            if native.contains_key(&key) {
                let message = format!("\"{}\" means a field that is there already", excerpt(&name));
                return Err(Error::at(place, Code::InvalidRequest, message));
            }
            self.places.extend((key != name).then(|| (below(pointer, &key), place)));
            native.extend(condition.map(|condition| (key, condition)));
        }
        if !more.is_empty() {
            // Behind those that were sent, whose places stay.
            let all = native.entry("and").or_insert_with(|| json!([]));
            all.as_array_mut().into_iter().for_each(|all| all.append(&mut more));
        }
        Ok(native)
    }

    fn nested(&mut self, json: Any, pointer: &str) -> Result<Any, Error> {
        match json {
            Any::Object(filter) => self.level(filter, pointer).map(Any::Object),
            Any::Array(all) => {
                let each = |(i, json)| self.nested(json, &format!("{pointer}/{i}"));
                all.into_iter().enumerate().map(each).collect()
            }
            other => Ok(other),
        }
    }
}

/// A condition on a time, in which a day stands for all of it. What takes a filter of its own goes to `more`.
fn on_days(condition: Any, pointer: &str, more: &mut Vec<Any>) -> Result<Option<Any>, Error> {
    let Any::Object(tests) = condition else {
        return Ok(Some(day(&condition).map_or(condition, |(begin, end)| json!({"gte": begin, "lt": end}))));
    };
    let (mut native, empty) = (Map::new(), tests.is_empty());
    for (operator, operand) in tests {
        let (operator, operand) = match (operator.as_str(), day(&operand)) {
            ("gte" | "lt", Some((begin, _))) => (operator, json!(begin)),
            ("gt", Some((_, end))) => ("gte".to_owned(), json!(end)),
            ("lte", Some((_, end))) => ("lt".to_owned(), json!(end)),
            ("eq", Some(day)) => {
                more.push(within(day));
                continue;
            }
            ("ne", Some(day)) => {
                more.push(json!({"not": within(day)}));
                continue;
            }
            ("in", None) if operand.is_array() => {
                more.push(one_of(operand, &below(pointer, "in"))?);
                continue;
            }
            _ => (operator, operand),
        };
        match native.contains_key(&operator) {
            // `lt` and `lte` of one day, say: both must hold.
            true => more.push(json!({CREATED_AT: {operator: operand}})),
            false => drop(native.insert(operator, operand)),
        }
    }
    Ok((empty || !native.is_empty()).then_some(Any::Object(native)))
}

/// One of several days and times.
fn one_of(operand: Any, pointer: &str) -> Result<Any, Error> {
    let (mut times, mut any) = (Vec::new(), Vec::new());
    for (i, item) in operand.as_array().into_iter().flatten().enumerate() {
        match (day(item), item.as_str().and_then(parse_datetime)) {
            (Some(day), _) => any.push(within(day)),
            (None, None) if !item.is_null() => {
                let message =
                    format!("{} is neither a day nor a time as RFC 3339 writes it", excerpt(&item.to_string()));
                return Err(Error::at(format!("{pointer}/{i}"), Code::InvalidDatetime, message));
            }
            (None, _) => times.push(item.clone()),
        }
    }
    any.push(json!({CREATED_AT: {"in": times}}));
    Ok(json!({"or": any}))
}

fn within((begin, end): (Timestamp, Timestamp)) -> Any {
    json!({CREATED_AT: {"gte": begin, "lt": end}})
}

/// The first moment of a day, and of the one after it, in UTC.
fn day(operand: &Any) -> Option<(Timestamp, Timestamp)> {
    let text = operand.as_str().filter(|text| text.len() == "YYYY-MM-DD".len())?;
    let begin = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let date: Date = text.parse().ok()?;
    Some((begin(date)?, begin(date.tomorrow().ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Any, String> {
        let filter: Any = serde_json::from_str(text).unwrap();
        let fields = FieldSet::new(Vec::new());
        let native = NativeFilter::new(&fields).read(filter.as_object().cloned().unwrap_or_default());
        native.map(Option::unwrap_or_default).map_err(|error| error.detail)
    }

    #[test]
    fn a_day_stands_for_all_of_it_wherever_it_is_asked_for() {
        let (first, second) = ("2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z");
        let all = format!(r#"{{"created_at":{{"gte":"{first}","lt":"{second}"}}}}"#);
        for (text, native) in [
            (r#"{"join_date":"2026-01-31"}"#, all.clone()),
            (r#"{"Join Date":{"eq":"2026-01-31"}}"#, format!(r#"{{"and":[{all}]}}"#)),
            (r#"{"join_date":{"ne":"2026-01-31"}}"#, format!(r#"{{"and":[{{"not":{all}}}]}}"#)),
            (r#"{"not":{"join_date":"2026-01-31"}}"#, format!(r#"{{"not":{all}}}"#)),
            (r#"{"or":[{"join_date":"2026-01-31"},{"xp":1}]}"#, format!(r#"{{"or":[{all},{{"xp":1}}]}}"#)),
            (
                r#"{"and":[{"xp":1}],"join_date":{"in":["2026-01-31","2026-01-31T09:00:00Z"]}}"#,
                format!(
                    r#"{{"and":[{{"xp":1}},{{"or":[{all},{{"created_at":{{"in":["2026-01-31T09:00:00Z"]}}}}]}}]}}"#
                ),
            ),
            (r#"{"join_date":{"lte":"2026-01-31"}}"#, format!(r#"{{"created_at":{{"lt":"{second}"}}}}"#)),
            (r#"{"join_date":{"gt":"2026-01-31"}}"#, format!(r#"{{"created_at":{{"gte":"{second}"}}}}"#)),
            (
                r#"{"join_date":{"lt":"2026-01-31","lte":"2026-01-31"}}"#,
                format!(r#"{{"and":[{{"created_at":{{"lt":"{second}"}}}}],"created_at":{{"lt":"{first}"}}}}"#),
            ),
            (
                r#"{"join_date":{"gte":"2026-01-31T09:00:00Z"}}"#,
                r#"{"created_at":{"gte":"2026-01-31T09:00:00Z"}}"#.to_owned(),
            ),
            (r#"{"join_date":"20260131"}"#, r#"{"created_at":"20260131"}"#.to_owned()),
            (r#"{"join_date":{}}"#, r#"{"created_at":{}}"#.to_owned()),
            (r#"{"Shoe-Size":{"gte":1}}"#, r#"{"shoe_size":{"gte":1}}"#.to_owned()),
            ("{}", "null".to_owned()),
        ] {
            assert_eq!(read(text), Ok(serde_json::from_str(&native).unwrap()), "{text}");
        }
        assert!(read(r#"{"join_date":{"in":["2026-01-31","soon"]}}"#).is_err());
        assert!(read(r#"{"shoe size":1,"shoe-size":2}"#).is_err());
    }
}
