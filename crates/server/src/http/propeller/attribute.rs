//! Attributes: our fields, but for those that are members of users. Which of our types is which of theirs, how they are
//! shown, and how a definition is read.

use super::error::invalid_lookup;
use super::record::{attribute_key, name_of};
use super::schema::{Object, Schema};
use muster_core::error::excerpt;
use muster_core::field::{
    Field, FieldNumber, FieldSet, FieldType, Index, NewField, Rules, SelectOption, key_from_name,
};
use muster_core::field_edit::FieldEdit;
use muster_core::{Code, Error};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The types of the product, older words and newer ones, and ours.
const TYPES: &[(&str, FieldType)] = &[
    ("text", FieldType::Text),
    ("list", FieldType::Json),
    ("enum", FieldType::Select),
    ("enumlist", FieldType::MultiSelect),
    ("integer", FieldType::Integer),
    ("decimal", FieldType::Decimal),
    ("date", FieldType::Date),
    ("datetime", FieldType::Datetime),
    // Where one of our types has no word of its own, it is shown as the nearest.
    ("text", FieldType::LongText),
    ("decimal", FieldType::Currency),
    ("text", FieldType::Boolean),
    ("int", FieldType::Integer),
    ("color", FieldType::Text),
];

/// What a definition may say.
const MEMBERS: [&str; 13] = [
    "name",
    "class",
    "type",
    "typeParam",
    "isPublic",
    "isSearchable",
    "isSystem",
    "isHidden",
    "descriptions",
    "units",
    "group",
    "value",
    "defaultLanguage",
];

/// The definition of an attribute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PropellerAttribute)]
pub struct Attribute {
    #[schema(example = "user")]
    class: &'static str,
    #[serde(rename = "defaultLanguage")]
    #[schema(example = "EN")]
    default_language: &'static str,
    /// The name for people.
    descriptions: Vec<Description>,
    group: &'static str,
    /// The id.
    #[schema(example = 668)]
    id: u16,
    #[serde(rename = "isHidden")]
    is_hidden: bool,
    #[serde(rename = "isPublic")]
    is_public: bool,
    /// Whether users are found by it quickly.
    #[serde(rename = "isSearchable")]
    is_searchable: bool,
    /// Whether it came with Muster.
    #[serde(rename = "isSystem")]
    is_system: bool,
    /// Upper-case letters, digits and `_`.
    #[schema(example = "SHOE_SIZE")]
    name: String,
    #[serde(rename = "type")]
    #[schema(example = "enum")]
    kind: &'static str,
    /// The options of an `enum` or `enumlist`, with semicolons between them.
    #[serde(rename = "typeParam")]
    #[schema(example = "RED;GREEN")]
    type_param: String,
    #[schema(value_type = Vec<Object>)]
    units: [(); 0],
    /// No attribute has a default value.
    value: &'static str,
}

/// A text in a language.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PropellerDescription)]
struct Description {
    #[schema(example = "EN")]
    language: &'static str,
    value: String,
}

impl From<&Field> for Attribute {
    fn from(field: &Field) -> Self {
        let options: Vec<&str> = field.rules.options.iter().map(|option| option.name.as_str()).collect();
        Self {
            class: "user",
            default_language: "EN",
            descriptions: vec![Description { language: "EN", value: field.name.clone() }],
            group: "",
            id: field.number.0,
            is_hidden: false,
            is_public: true,
            is_searchable: field.is_index_ready(),
            is_system: field.built_in,
            name: name(field),
            kind: type_of(field.kind),
            type_param: options.join(";"),
            units: [],
            value: "",
        }
    }
}

/// The name of an attribute.
pub fn name(field: &Field) -> String {
    field.key.to_uppercase()
}

/// The product's word for a type.
pub fn type_of(kind: FieldType) -> &'static str {
    TYPES.iter().find(|(_, ours)| *ours == kind).map_or("text", |(word, _)| word)
}

/// Every attribute, in the order in which they were made.
pub fn all(fields: &FieldSet) -> impl Iterator<Item = &Field> {
    fields.active().filter(|field| is_attribute(field))
}

/// Whether a field is an attribute, and no member of users.
pub fn is_attribute(field: &Field) -> bool {
    name_of(&field.key).is_none()
}

/// The attribute of an id or a name. The class says of which attribute of a name; there are none but those of users.
pub fn find<'a>(fields: &'a FieldSet, lookup: &str, value: &str, class: Option<&str>) -> Result<&'a Field, Error> {
    let found = match lookup {
        "id" => {
            let field = value.parse().ok().and_then(|number| fields.get(FieldNumber(number)));
            field.filter(|field| field.number.0.to_string() == value)
        }
        "name" => fields.find_by_key(&attribute_key(value, class.unwrap_or("user"))),
        _ => return Err(invalid_lookup(lookup, "id,name")),
    };
    let found = found.filter(|field| !field.archived && is_attribute(field));
    found.ok_or_else(|| Error::new(Code::UnknownField, not_found(lookup, value, class)))
}

/// What the product says of an attribute that is not there.
fn not_found(lookup: &str, value: &str, class: Option<&str>) -> String {
    match class {
        Some(class) if lookup == "name" => {
            format!("Attribute with name [{}] and attributeClass [{}] not found.", excerpt(value), excerpt(class))
        }
        _ => format!("Attribute with {lookup} [{}] not found.", excerpt(value)),
    }
}

/// A definition that was read.
#[derive(Debug)]
pub struct Definition {
    /// The name.
    name: Option<String>,
    /// The name for people.
    description: Option<String>,
    /// Whether users are to be found by it quickly.
    searchable: Option<bool>,
    /// The options.
    options: Option<Vec<SelectOption>>,
    /// The class, which is `user`.
    pub class: Option<String>,
    kind: Option<String>,
    /// What was said and is not kept.
    not_kept: Vec<&'static str>,
}

impl Definition {
    /// Reads a definition; `others` are the members that are known here beside its own.
    pub fn read(place: &str, value: &Value, others: &[&str], schema: &mut Schema) -> Option<Self> {
        let object = schema.object(place, value, |name| MEMBERS.contains(&name) || others.contains(&name))?;
        let mut text = |name: &str| {
            let value = object.get(name).filter(|value| !value.is_null())?;
            schema.text(&format!("{place}/{name}"), value).map(str::to_owned)
        };
        let [name, class, kind, group, type_param] = ["name", "class", "type", "group", "typeParam"].map(&mut text);
        let mut flag = |name: &str| {
            let value = object.get(name).filter(|value| !value.is_null())?;
            schema.boolean(&format!("{place}/{name}"), value)
        };
        let [public, searchable, system, hidden] = ["isPublic", "isSearchable", "isSystem", "isHidden"].map(&mut flag);
        let descriptions = texts(place, "descriptions", object, schema);
        let units = texts(place, "units", object, schema);
        let value = object.get("value").is_some_and(|value| !value.is_null() && value.as_str() != Some(""));
        let not_kept = [
            ("isPublic", public == Some(false)),
            ("isSystem", system == Some(true)),
            ("isHidden", hidden == Some(true)),
            ("descriptions", descriptions.len() > 1),
            ("units", units.iter().any(|(_, text)| !text.is_empty())),
            ("group", group.is_some_and(|group| !group.is_empty())),
            ("value", value),
        ];
        let english = descriptions.iter().find(|(language, _)| language.eq_ignore_ascii_case("en"));
        let description = english.or(descriptions.first()).map(|(_, text)| text.trim().to_owned());
        Some(Self {
            name,
            description: description.filter(|text| !text.is_empty()),
            searchable,
            options: type_param.filter(|text| !text.trim().is_empty()).map(|text| options(&text)),
            class,
            kind,
            not_kept: not_kept.into_iter().filter(|(_, said)| *said).map(|(name, _)| name).collect(),
        })
    }

    /// The field that the definition asks for.
    pub fn new_field(&self) -> Result<NewField, Error> {
        let refuse = |message: String| Err(Error::new(Code::InvalidOption, message));
        let name = self.name.as_deref().unwrap_or_default();
        let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(fits) {
            let what = excerpt(name);
            return refuse(format!("Invalid name [{what}]: a name has upper-case letters, digits and _ only."));
        }
        let class = self.class.as_deref().unwrap_or_default();
        if class != "user" {
            return refuse(format!(
                "Invalid class [{}]: the attributes here are those of the class [user].",
                excerpt(class)
            ));
        }
        let kind = self.kind.as_deref().unwrap_or_default().to_ascii_lowercase();
        let Some((_, kind)) = TYPES.iter().find(|(word, _)| *word == kind) else {
            return refuse(format!(
                "Invalid type [{}]; it is one of text, list, enum, enumlist, integer, decimal, date, datetime.",
                excerpt(&kind)
            ));
        };
        if kind.has_options() != self.options.is_some() {
            return refuse(
                "typeParam holds the options of an enum or enumlist, with semicolons between them.".to_owned(),
            );
        }
        let index = if self.searchable == Some(true) && kind.can_be_indexed() { Index::Ready } else { Index::None };
        Ok(NewField {
            key: Some(key_from_name(name)),
            name: self.description.clone().unwrap_or_else(|| name.to_owned()),
            kind: *kind,
            rules: Rules { options: self.options.clone().unwrap_or_default(), index, ..Rules::default() },
        })
    }

    /// What the definition changes about an attribute that is there. Name, class and type stay.
    pub fn edit(&self, field: &Field) -> FieldEdit {
        let options = self.options.as_ref().filter(|_| field.kind.has_options());
        // An option that is there keeps what is stored of it.
        let known = |option: &SelectOption| field.rules.options.iter().find(|known| known.name == option.name);
        let options = options.map(|all| all.iter().map(|one| known(one).unwrap_or(one).clone()).collect());
        let indexed = self.searchable.filter(|searchable| *searchable != field.is_index_ready());
        FieldEdit {
            name: self.description.clone().filter(|name| *name != field.name),
            options,
            indexed: indexed.filter(|searchable| !searchable || field.kind.can_be_indexed()),
            ..FieldEdit::default()
        }
    }

    /// Whether the definition says what cannot be changed.
    pub fn names_what_stays(&self) -> bool {
        self.name.is_some() || self.class.is_some() || self.kind.is_some()
    }

    /// What is to be said of members that are not kept, if there are any.
    pub fn say_not_kept(&self) -> Option<String> {
        (!self.not_kept.is_empty()).then(|| format!("Not kept: {}.", self.not_kept.join(", ")))
    }
}

/// `[{"language", "value"}]`.
fn texts(place: &str, name: &str, object: &Object, schema: &mut Schema) -> Vec<(String, String)> {
    let Some(value) = object.get(name).filter(|value| !value.is_null()) else {
        return Vec::new();
    };
    let place = format!("{place}/{name}");
    let mut texts = Vec::new();
    for (i, one) in schema.array(&place, value).iter().enumerate() {
        let place = format!("{place}/{i}");
        let Some(one) = schema.object(&place, one, |name| ["language", "value"].contains(&name)) else {
            continue;
        };
        let mut part = |name: &str| match one.get(name) {
            Some(text) => schema.text(&format!("{place}/{name}"), text).map(str::to_owned),
            None => {
                schema.missing(&place, name, Code::InvalidRequest);
                None
            }
        };
        texts.extend(part("language").zip(part("value")));
    }
    texts
}

fn options(text: &str) -> Vec<SelectOption> {
    let names = text.split(';').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| SelectOption { key: key_from_name(name), name: name.to_owned() }).collect()
}
