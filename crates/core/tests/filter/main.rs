//! The filter language: what matches, what is refused and where, and laws that hold for any filter.

mod generate;
mod laws;
mod matching;
mod refusals;

use jiff::Timestamp;
use muster_core::field::{Field, FieldNumber, FieldSet, FieldType, Index, Rules, SelectOption};
use muster_core::filter::Filter;
use muster_core::id::{FieldId, UserId};
use muster_core::user::User;
use muster_core::value::{DateFormat, Value};
use muster_core::{Error, json};

/// Key, type, whether it is indexed.
const FIELDS: &[(&str, FieldType, bool)] = &[
    ("city", FieldType::Text, true),
    ("notes", FieldType::LongText, false),
    ("points", FieldType::Integer, true),
    ("rate", FieldType::Decimal, true),
    ("balance", FieldType::Currency, false),
    ("subscribed", FieldType::Boolean, true),
    ("born", FieldType::Date, true),
    ("seen", FieldType::Datetime, true),
    ("tier", FieldType::Select, true),
    ("tags", FieldType::MultiSelect, true),
    ("extra", FieldType::Json, false),
];

fn fields() -> FieldSet {
    let option = |key: &str| SelectOption { key: key.to_owned(), name: key.to_uppercase() };
    let fields = FIELDS.iter().enumerate().map(|(i, (key, kind, indexed))| Field {
        number: FieldNumber(FieldNumber::FIRST.0 + i as u16),
        id: FieldId::from_bytes([i as u8; 12]),
        key: (*key).to_owned(),
        name: key.to_uppercase(),
        kind: *kind,
        rules: Rules {
            options: if kind.has_options() { ["a", "b", "c"].map(option).into() } else { Vec::new() },
            index: if *indexed { Index::Ready } else { Index::None },
            ..Rules::default()
        },
        built_in: false,
        archived: false,
    });
    FieldSet::new(fields.collect())
}

/// A user of this id, with values as cells of a file write them.
fn user(id: i64, email: Option<&str>, values: &[(&str, &str)]) -> User {
    let set = fields();
    let time = Timestamp::from_second(1_700_000_000 + id).expect("a time of our days");
    let mut user = User { email: email.map(str::to_owned), ..User::blank(UserId(id), time) };
    for (key, text) in values {
        let field = set.find_by_key(key).expect("there is such a field");
        let value = Value::from_text(field, text, &DateFormat::default()).expect("it fits");
        user.values.put(field.number, Some(value));
    }
    user
}

fn read(text: &str) -> Result<Filter, Error> {
    Filter::read(&json::read(text, "/filter")?, "/filter", &fields())
}
