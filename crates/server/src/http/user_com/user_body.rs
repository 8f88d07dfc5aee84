//! A user as this product shows it.

use super::attribute::{CUSTOM_ID, STANDARD, id_of, is_standard, show_time, show_value};
use muster_core::field::{Field, FieldSet};
use muster_core::user::User;
use muster_core::value::Value;
use serde::Serialize;
use serde_json::{Map, Value as Any};
use utoipa::ToSchema;

/// The key of the field that holds tags.
pub const TAGS: &str = "tags";

/// A user. What is not known is null.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserComUser)]
pub struct UserBody {
    /// The id.
    #[schema(example = 5577)]
    id: i64,
    /// Always null: Muster gives users no second id.
    key: Option<String>,
    /// The id that the community itself gave the user: its identity of the source `custom_id`.
    custom_id: Option<String>,
    /// The email.
    email: Option<String>,
    /// The full name, else the first and the last one.
    name: String,
    /// The standard attributes, each by its name; `gender` is `male`, `female` or `unknown`.
    #[serde(flatten)]
    #[schema(value_type = std::collections::BTreeMap<String, Any>)]
    standard: Map<String, Any>,
    /// The tags.
    tags: Vec<Tag>,
    /// Always empty: Muster has no lists.
    #[schema(value_type = Vec<Any>)]
    lists: [(); 0],
    /// The custom attributes that have a value.
    attributes: Vec<AttributeValue>,
    /// When the user was made.
    #[schema(example = "2017-06-07T09:41:13.466897Z")]
    created_at: String,
    /// When the user was changed last.
    #[schema(example = "2017-06-07T09:41:13.466897Z")]
    updated_at: String,
    /// Always null, as is all that follows: Muster does not watch users.
    first_seen: Option<String>,
    /// Always null.
    last_seen: Option<String>,
    /// Always null.
    last_contacted: Option<String>,
    /// Always null.
    os_type: Option<String>,
    /// Always null.
    browser: Option<String>,
}

/// A tag.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserComTag)]
struct Tag {
    /// What it says.
    name: String,
    /// Its number, from 1 on in each community.
    id: usize,
}

/// The value of a custom attribute.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserComAttributeValue)]
struct AttributeValue {
    /// The value; what is chosen of choices is a list.
    value: Any,
    /// The name of the attribute.
    name: String,
    /// Its name for programs.
    name_std: String,
    /// Its id.
    id: u16,
}

impl UserBody {
    /// The user with what these fields say of it.
    pub fn new(user: &User, fields: &FieldSet) -> Self {
        let custom_id = user.identities.iter().find(|identity| identity.source == CUSTOM_ID);
        Self {
            id: user.id.0,
            key: None,
            custom_id: custom_id.map(|identity| identity.source_id.clone()),
            email: user.email.clone(),
            name: name(user, fields),
            standard: STANDARD.iter().map(|(name, key)| ((*name).to_owned(), standard(user, fields, key))).collect(),
            tags: tags(user, fields),
            lists: [],
            attributes: attributes(user, fields),
            created_at: show_time(user.created_at),
            updated_at: show_time(user.updated_at),
            first_seen: None,
            last_seen: None,
            last_contacted: None,
            os_type: None,
            browser: None,
        }
    }
}

fn name(user: &User, fields: &FieldSet) -> String {
    let of = |key| fields.shown_value(user, key).map(|(_, value)| value.to_string());
    of("full_name").unwrap_or_else(|| {
        let both: Vec<String> = ["first_name", "last_name"].into_iter().filter_map(of).collect();
        both.join(" ")
    })
}

fn standard(user: &User, fields: &FieldSet, key: &str) -> Any {
    match (key, fields.shown_value(user, key)) {
        ("gender", None) => Any::from("unknown"),
        ("gender", Some((field, value))) => {
            let key = value.to_string();
            let option = field.rules.options.iter().find(|option| option.key == key);
            Any::from(option.map_or(key, |option| option.name.to_lowercase()))
        }
        (_, Some((field, value))) => show_value(field, value),
        (_, None) => Any::Null,
    }
}

fn tags(user: &User, fields: &FieldSet) -> Vec<Tag> {
    let Some((field, Value::Options(chosen))) = fields.shown_value(user, TAGS) else { return Vec::new() };
    let all = field.rules.options.iter().enumerate();
    let chosen = all.filter(|(_, option)| chosen.contains(&option.key));
    chosen.map(|(i, option)| Tag { name: option.name.clone(), id: i + 1 }).collect()
}

fn attributes(user: &User, fields: &FieldSet) -> Vec<AttributeValue> {
    let shown = fields.shown(user).filter(|(field, _)| !is_standard(field) && field.key != TAGS);
    let show = |(field, value): (&Field, &Value)| AttributeValue {
        value: show_value(field, value),
        name: field.name.clone(),
        name_std: field.key.clone(),
        id: id_of(field),
    };
    shown.map(show).collect()
}
