//! The fields that the model knows: one of every type, with and without limits. Some come with the product.

use muster_core::field::{FieldType, Index, Rules, SelectOption};

/// A field as the model sees it.
#[derive(Debug)]
pub struct Field {
    pub key: &'static str,
    pub name: &'static str,
    pub kind: FieldType,
    pub min: Option<&'static str>,
    pub max: Option<&'static str>,
    pub max_length: Option<u32>,
    pub required: bool,
    pub options: &'static [(&'static str, &'static str)],
    /// Whether every community has it.
    pub built_in: bool,
}

const fn built_in(key: &'static str, name: &'static str, kind: FieldType) -> Field {
    Field { built_in: true, ..custom(key, name, kind) }
}

const fn custom(key: &'static str, name: &'static str, kind: FieldType) -> Field {
    Field { key, name, kind, min: None, max: None, max_length: None, required: false, options: &[], built_in: false }
}

/// Those that are indexed, where the product makes them.
const INDEXED: &[&str] = &["points", "rate", "badge", "last_seen", "tags"];

pub const ALL: &[Field] = &[
    built_in("premium_currency", "Premium Currency", FieldType::Currency),
    custom("points", "Points", FieldType::Integer),
    custom("rate", "Rate", FieldType::Decimal),
    custom("subscribed", "Subscribed", FieldType::Boolean),
    custom("notes", "Notes", FieldType::LongText),
    Field { min: Some("-50"), max: Some("1000.5"), ..custom("credit", "Credit", FieldType::Currency) },
    Field { min: Some("-10"), max: Some("100"), ..custom("level", "Level", FieldType::Integer) },
    Field { min: Some("0.5"), ..custom("factor", "Factor", FieldType::Decimal) },
    Field { max_length: Some(5), required: true, ..custom("badge", "Badge", FieldType::Text) },
    Field { required: true, ..custom("tier", "Tier", FieldType::Integer) },
    custom("last_seen", "Last seen", FieldType::Datetime),
    Field {
        options: &[("vip", "VIP"), ("new", "New one"), ("old", "Old")],
        ..custom("tags", "Tags", FieldType::MultiSelect)
    },
    Field {
        options: &[("m", "Male"), ("f", "Female"), ("u", "Unknown")],
        ..built_in("gender", "Gender", FieldType::Select)
    },
    built_in("date_of_birth", "Date of Birth", FieldType::Date),
    built_in("city", "City", FieldType::Text),
    built_in("parent", "Parent", FieldType::Json),
];

impl Field {
    pub fn most_characters(&self) -> usize {
        match (self.max_length, self.kind) {
            (Some(length), _) => length as usize,
            (None, FieldType::LongText) => 65_536,
            (None, _) => 1_000,
        }
    }

    /// The same, for the product.
    pub fn rules(&self) -> Rules {
        let number = |text: &str| text.parse().expect("bounds are numbers");
        let option = |(key, name): &(&str, &str)| SelectOption { key: (*key).to_owned(), name: (*name).to_owned() };
        Rules {
            options: self.options.iter().map(option).collect(),
            min: self.min.map(number),
            max: self.max.map(number),
            max_length: self.max_length,
            required: self.required,
            index: if INDEXED.contains(&self.key) { Index::Ready } else { Index::None },
            ..Rules::default()
        }
    }
}
