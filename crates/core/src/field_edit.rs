//! Changes of a field, and whether the values that users have still fit it.
//!
//! A value fits another type if that type writes it exactly as it is written now: the text `12` is the whole number 12,
//! and `012`, `12.0` and ` 12` are not. So a change of the type never changes what a value says, only how it is kept, it
//! can be taken back, and the history reads on through it.

use crate::error::{Code, Error, excerpt};
use crate::field::{Field, FieldSet, FieldType, Index, NewField, RESERVED, SelectOption, normalize_name};
use crate::job::is_name;
use crate::patch::Patch;
use crate::value::{DateFormat, Misfit, Value};
use rust_decimal::Decimal;

/// What somebody wants to change about a field. What is absent stays, but for rules that a new type cannot have.
#[derive(Clone, Debug, Default)]
pub struct FieldEdit {
    /// The display name. The key stays.
    pub name: Option<String>,
    /// The type.
    pub kind: Option<FieldType>,
    /// All options, in their order.
    pub options: Option<Vec<SelectOption>>,
    /// The least number allowed.
    pub min: Patch<Decimal>,
    /// The greatest number allowed.
    pub max: Patch<Decimal>,
    /// The most characters allowed.
    pub max_length: Patch<u32>,
    /// Whether every user must have a value.
    pub required: Option<bool>,
    /// Whether no two live users may have the same value.
    pub unique: Option<bool>,
    /// Whether users are to be found by it quickly. Making and dropping an index is not part of [`Self::apply`].
    pub indexed: Option<bool>,
    /// Whether who has no key may write it.
    pub anonymous_writable: Option<bool>,
}

impl FieldEdit {
    /// The field as it is wanted, or why it cannot be so beside the others. Values are not looked at.
    pub fn apply(&self, field: &Field, fields: &FieldSet) -> Result<Field, Error> {
        let mut edited = field.clone();
        edited.kind = self.kind.unwrap_or(field.kind);
        let (kind, rules) = (edited.kind, &mut edited.rules);
        if !kind.has_options() {
            rules.options.clear();
        }
        if !kind.is_numeric() {
            (rules.min, rules.max) = (None, None);
        }
        rules.max_length = rules.max_length.filter(|_| kind.is_text());
        rules.unique &= kind.can_be_unique();
        rules.anonymous_writable &= kind != FieldType::Currency;
        if !kind.can_be_indexed() {
            rules.index = if self.indexed == Some(true) { Index::Building } else { Index::None };
        }
        if let Some(options) = &self.options {
            rules.options.clone_from(options);
        }
        put(&mut rules.min, &self.min);
        put(&mut rules.max, &self.max);
        put(&mut rules.max_length, &self.max_length);
        rules.required = self.required.unwrap_or(rules.required);
        rules.unique = self.unique.unwrap_or(rules.unique);
        rules.anonymous_writable = self.anonymous_writable.unwrap_or(rules.anonymous_writable);
        if let Some(name) = &self.name {
            edited.name = renamed(name, field, fields)?;
        }
        let (name, rules) = (edited.name.clone(), edited.rules.clone());
        NewField { key: None, name, kind, rules }.check_rules()?;
        if field.built_in {
            check_built_in(field, &edited)?;
        }
        Ok(edited)
    }
}

fn put<T: Copy>(rule: &mut Option<T>, patch: &Patch<T>) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *rule = None,
        Patch::Set(value) => *rule = Some(*value),
    }
}

fn renamed(name: &str, field: &Field, fields: &FieldSet) -> Result<String, Error> {
    let name = name.trim();
    if !is_name(name, 100) || normalize_name(name).is_empty() {
        return Err(Error::at("/name", Code::InvalidRequest, "a name has 1 to 100 characters, one of them no space"));
    }
    let normal = normalize_name(name);
    if RESERVED.iter().any(|reserved| normalize_name(reserved) == normal) {
        return Err(Error::at("/name", Code::FieldExists, format!("\"{name}\" is a name of the user itself")));
    }
    match fields.find_by_name(name).filter(|other| other.id != field.id) {
        Some(other) => {
            let message = format!("\"{name}\" already names the field \"{}\" ({})", other.name, other.key);
            Err(Error::at("/name", Code::FieldExists, message))
        }
        None => Ok(name.to_owned()),
    }
}

/// What came with the product means the same everywhere: three APIs know it by its key, name and type.
fn check_built_in(field: &Field, edited: &Field) -> Result<(), Error> {
    for (pointer, what, same) in [
        ("/name", "name", field.name == edited.name),
        ("/type", "type", field.kind == edited.kind),
        ("/options", "options", field.rules.options == edited.rules.options),
    ] {
        if !same {
            let message = format!("{} came with the product and keeps its {what}", field.key);
            return Err(Error::at(pointer, Code::BuiltInField, message));
        }
    }
    Ok(())
}

impl Field {
    /// Whether a value that this field may hold may be one that the edited field may not.
    pub fn narrows_to(&self, edited: &Self) -> bool {
        let (old, new) = (&self.rules, &edited.rules);
        let lost = |option: &SelectOption| !new.options.iter().any(|other| other.key == option.key);
        self.kind != edited.kind
            || edited.max_length() < self.max_length()
            || old.options.iter().any(lost)
            || new.min.is_some_and(|min| old.min.is_none_or(|old| min > old))
            || new.max.is_some_and(|max| old.max.is_none_or(|old| max < old))
            || new.required && !old.required
            || new.unique && !old.unique
    }

    /// A value that this field held before it was edited, as it holds it now. The balance of a currency may lie below its
    /// minimum, as it may after an overdraft.
    pub fn refit(&self, value: &Value) -> Result<Value, Misfit> {
        let text = value.to_string();
        let fitted = match (self.kind, value) {
            (FieldType::MultiSelect, Value::Options(keys)) => {
                let is_option = |key: &&String| self.rules.options.iter().any(|option| option.key == **key);
                match keys.iter().find(|key| !is_option(key)) {
                    None => value.clone(),
                    Some(key) => Value::from_text(self, key, &DateFormat::default())?,
                }
            }
            _ => Value::from_text(self, &text, &DateFormat::default())?,
        };
        if fitted.to_string() != text {
            let message = format!("\"{}\" would become \"{}\"", excerpt(&text), excerpt(&fitted.to_string()));
            return Err(Misfit::new(Code::ValuesDoNotFit, message));
        }
        let Some(number) = fitted.as_decimal() else { return Ok(fitted) };
        let least = self.rules.min.filter(|_| self.kind != FieldType::Currency);
        if let Some(min) = least.filter(|min| number < *min) {
            return Err(Misfit::new(Code::OutOfRange, format!("{number} is less than {min}")));
        }
        if let Some(max) = self.rules.max.filter(|max| number > *max) {
            return Err(Misfit::new(Code::OutOfRange, format!("{number} is more than {max}")));
        }
        Ok(fitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::sample;

    fn field(key: &str) -> Field {
        sample().find_by_key(key).unwrap().clone()
    }

    fn as_type(kind: FieldType, value: &Value) -> Result<Value, Code> {
        let mut field = Field { kind, ..field("notes") };
        if kind.has_options() {
            field.rules.options = field_options();
        }
        field.refit(value).map_err(|misfit| misfit.code)
    }

    fn field_options() -> Vec<SelectOption> {
        field("tags").rules.options
    }

    #[test]
    fn a_value_fits_another_type_where_that_writes_it_the_same() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (from, kind, expected) in [
            (text("12"), FieldType::Integer, Ok(Value::Integer(12))),
            (text("012"), FieldType::Integer, Err(Code::ValuesDoNotFit)),
            (text(" 12"), FieldType::Integer, Err(Code::ValuesDoNotFit)),
            (text("12.5"), FieldType::Integer, Err(Code::InvalidNumber)),
            (text("12.5"), FieldType::Decimal, Ok(Value::Decimal("12.5".parse().unwrap()))),
            (text("12.50"), FieldType::Decimal, Err(Code::ValuesDoNotFit)),
            (text("true"), FieldType::Boolean, Ok(Value::Boolean(true))),
            (text("yes"), FieldType::Boolean, Err(Code::ValuesDoNotFit)),
            (text("vip"), FieldType::Select, Ok(text("vip"))),
            (text("VIP"), FieldType::Select, Err(Code::ValuesDoNotFit)),
            (text("vip;new"), FieldType::MultiSelect, Ok(Value::Options(vec!["vip".into(), "new".into()]))),
            (text("new;vip"), FieldType::MultiSelect, Err(Code::ValuesDoNotFit)),
            (text("2024-02-29"), FieldType::Date, Ok(Value::Date(jiff::civil::Date::constant(2024, 2, 29)))),
            (Value::Integer(12), FieldType::Text, Ok(text("12"))),
            (Value::Integer(12), FieldType::Currency, Ok(Value::Decimal(12.into()))),
            (Value::Integer(1), FieldType::Boolean, Err(Code::ValuesDoNotFit)),
            (Value::Decimal("12.5".parse().unwrap()), FieldType::Integer, Err(Code::InvalidNumber)),
            (
                Value::Options(vec!["new".into(), "vip".into()]),
                FieldType::MultiSelect,
                Ok(Value::Options(vec!["new".into(), "vip".into()])),
            ),
            (Value::Options(vec!["gone".into()]), FieldType::MultiSelect, Err(Code::InvalidOption)),
            (Value::Json("{\"a\":1}".into()), FieldType::Text, Ok(text("{\"a\":1}"))),
            (text("{\"a\": 1}"), FieldType::Json, Err(Code::ValuesDoNotFit)),
        ] {
            assert_eq!(as_type(kind, &from), expected, "{from:?} as {kind}");
            if let Ok(fitted) = expected {
                assert_eq!(Value::from_stored_text(kind, &from.to_string()), fitted, "the history reads on");
            }
        }
    }

    #[test]
    fn what_does_not_fit_stays_readable() {
        for (kind, text) in [
            (FieldType::Integer, "Rome"),
            (FieldType::Integer, "007"),
            (FieldType::Boolean, "yes"),
            (FieldType::Date, "31/12/2024"),
            (FieldType::Datetime, "today"),
            (FieldType::Json, "Rome"),
        ] {
            let value = Value::from_stored_text(kind, text);
            assert_eq!((value.to_string().as_str(), value.is_of(kind)), (text, false), "{kind} {text}");
            assert_eq!(value.to_wire(), serde_json::Value::from(text));
        }
        assert_eq!(Value::from_stored_text(FieldType::Integer, "2.5").as_decimal(), "2.5".parse().ok());
    }

    #[test]
    fn rules_that_a_new_type_cannot_have_go_with_the_old_one() {
        let fields = sample();
        let edit = FieldEdit { kind: Some(FieldType::Text), ..FieldEdit::default() };
        let edited = edit.apply(&field("tags"), &fields).unwrap();
        assert!(edited.rules.options.is_empty() && field("tags").narrows_to(&edited));
        let missing = FieldEdit { kind: Some(FieldType::Select), ..FieldEdit::default() };
        assert_eq!(missing.apply(&field("notes"), &fields).unwrap_err().code, Code::InvalidRequest);
    }

    #[test]
    fn only_what_may_refuse_a_value_narrows() {
        let (fields, points) = (sample(), field("points"));
        let narrows = |edit: FieldEdit| points.narrows_to(&edit.apply(&points, &fields).unwrap());
        assert!(narrows(FieldEdit { min: Patch::Set(0.into()), ..FieldEdit::default() }));
        assert!(narrows(FieldEdit { required: Some(true), ..FieldEdit::default() }));
        assert!(narrows(FieldEdit { unique: Some(true), ..FieldEdit::default() }));
        assert!(!narrows(FieldEdit { name: Some("Grade".into()), ..FieldEdit::default() }));
        assert!(!narrows(FieldEdit { min: Patch::Clear, anonymous_writable: Some(true), ..FieldEdit::default() }));
    }

    #[test]
    fn what_came_with_the_product_keeps_what_it_is() {
        let (fields, city) = (sample(), field("city"));
        for edit in [
            FieldEdit { name: Some("Town".into()), ..FieldEdit::default() },
            FieldEdit { kind: Some(FieldType::LongText), ..FieldEdit::default() },
        ] {
            assert_eq!(edit.apply(&city, &fields).unwrap_err().code, Code::BuiltInField);
        }
        let rules = FieldEdit { required: Some(true), unique: Some(true), ..FieldEdit::default() };
        assert!(rules.apply(&city, &fields).is_ok_and(|edited| edited.rules.unique && edited.rules.required));
        let taken = FieldEdit { name: Some("first-name".into()), ..FieldEdit::default() };
        assert_eq!(taken.apply(&field("points"), &fields).unwrap_err().code, Code::FieldExists);
    }
}
