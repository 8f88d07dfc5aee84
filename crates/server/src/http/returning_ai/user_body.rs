//! Users as the product shows them.

use jiff::Timestamp;
use muster_core::field::{Field, FieldSet};
use muster_core::user::User;
use muster_core::value::Value;
use serde::Serialize;
use serde_json::{Map, Number, Value as Json};
use utoipa::ToSchema;

/// The source of the identities that the product calls external ids.
pub(super) const EXTERNAL_ID: &str = "external_id";

/// The fields that have names of their own here; all others are custom fields.
const OWN: &[&str] = &["first_name", "last_name", "display_name", "username", "language", "xp", "coins"];

/// Those of them that are numbers which everybody has: 0 where none were ever given.
pub(super) const ZERO: &[&str] = &["xp", "coins"];

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CommunityUser)]
pub(super) struct UserBody {
    /// The id.
    user_id: i64,
    /// The email.
    email: Option<String>,
    /// The username.
    username: Option<String>,
    /// The first name.
    first_name: Option<String>,
    /// The last name.
    last_name: Option<String>,
    /// The name that is shown to others.
    display_name: Option<String>,
    /// The language.
    language: Option<String>,
    /// What names the user in the client's own system.
    external_id: Option<String>,
    /// Experience points; 0 where none were ever given.
    #[schema(value_type = i64)]
    xp: Json,
    /// Coins; 0 where none were ever given.
    #[schema(value_type = i64)]
    coins: Json,
    /// Every other value, by the key of its field; a field without a value is not there. Numbers are numbers, and
    /// what is chosen of options is shown by their names.
    #[schema(value_type = Object)]
    custom_fields: Map<String, Json>,
    /// When the user was made.
    join_date: Timestamp,
    /// When the user was changed last.
    updated_at: Timestamp,
}

impl UserBody {
    /// The user with its values by the keys of the fields.
    pub(super) fn new(user: &User, fields: &FieldSet) -> Self {
        let value = |key: &str| fields.shown_value(user, key).map(|(_, value)| value);
        let text = |key| value(key).map(ToString::to_string);
        let custom = fields.shown(user).filter(|(field, _)| !OWN.contains(&field.key.as_str()));
        let external = user.identities.iter().find(|identity| identity.source == EXTERNAL_ID);
        Self {
            user_id: user.id.0,
            email: user.email.clone(),
            username: text("username"),
            first_name: text("first_name"),
            last_name: text("last_name"),
            display_name: text("display_name"),
            language: text("language"),
            external_id: external.map(|identity| identity.source_id.clone()),
            xp: show_value(user, fields, "xp"),
            coins: show_value(user, fields, "coins"),
            custom_fields: custom
                .map(|(field, value)| (field.key.clone(), show_of(Some(field), Some(value))))
                .collect(),
            join_date: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// A value as this product shows it: every number as a number, with all its digits.
pub(super) fn show(value: &Value) -> Json {
    match value {
        Value::Integer(number) => Json::from(*number),
        Value::Decimal(number) => {
            let text = number.to_string();
            text.parse::<Number>().map_or_else(|_| Json::from(text), Json::Number)
        }
        Value::Text(_)
        | Value::Boolean(_)
        | Value::Date(_)
        | Value::Datetime(_)
        | Value::Options(_)
        | Value::Json(_)
        | Value::Identities(_) => value.to_wire(),
    }
}

/// The value of a field, and null where there is none: what is chosen of options by their names.
pub(super) fn show_of(field: Option<&Field>, value: Option<&Value>) -> Json {
    match (field, value) {
        (Some(field), Some(value)) => show(&field.with_option_names(value)),
        (_, value) => value.map_or(Json::Null, show),
    }
}

/// What a user has of the field of a key.
pub(super) fn show_value(user: &User, fields: &FieldSet, key: &str) -> Json {
    match fields.shown_value(user, key) {
        None if ZERO.contains(&key) => Json::from(0),
        shown => show_of(shown.map(|(field, _)| field), shown.map(|(_, value)| value)),
    }
}
