//! What names a user: in a row ([`Key`]), and in the store ([`UserKey`]), where a key names at most one live user.

use crate::email::email_key;
use crate::error::{Code, RowError, excerpt};
use crate::field::{FieldNumber, FieldSet};
use crate::id::UserId;
use crate::identity::Identity;
use crate::user::User;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// A text that names at most one live user of a community: an email, an identity or the value of a unique field, in
/// the form in which it is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey {
    /// What kind of key: the number of the field whose value it is.
    pub field: FieldNumber,
    /// The value in the form in which it is compared.
    pub key: String,
}

impl UserKey {
    /// The key that an email is.
    pub fn email(email: &str) -> Self {
        Self { field: FieldNumber::EMAIL, key: email_key(email) }
    }

    /// The key that an identity is.
    pub fn identity(identity: &Identity) -> Self {
        Self { field: FieldNumber::IDENTITIES, key: identity.key() }
    }

    /// The key that the value of a unique field is. Texts that look the same are the same (NFC); case matters.
    pub fn unique(field: FieldNumber, value: &Value) -> Self {
        let text = value.to_string();
        Self { field, key: if text.is_ascii() { text } else { text.nfc().collect() } }
    }

    /// The keys that a value of this field is; none where the field names nobody.
    pub fn of_value(field: FieldNumber, value: &Value, fields: &FieldSet) -> Vec<Self> {
        match (field, value) {
            (FieldNumber::EMAIL, Value::Text(email)) => vec![Self::email(email)],
            (FieldNumber::IDENTITIES, Value::Identities(all)) => all.iter().map(Self::identity).collect(),
            (field, value) if fields.is_unique(field) => vec![Self::unique(field, value)],
            _ => Vec::new(),
        }
    }

    /// Every key that the user carries, or would if it were not deleted.
    pub fn of_user(user: &User, fields: &FieldSet) -> Vec<Self> {
        let email = user.email.as_deref().map(Self::email);
        let identities = user.identities.iter().map(Self::identity);
        let unique = user.values.iter().filter(|(field, _)| fields.is_unique(*field));
        email.into_iter().chain(identities).chain(unique.map(|(field, value)| Self::unique(field, value))).collect()
    }
}

/// What names the user of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Key {
    /// The email, as it was written.
    Email(String),
    /// The id.
    Id(UserId),
    /// An identity in another system; without a language it means the only one of any language.
    Identity(Identity),
    /// The value of a unique field.
    Unique(FieldNumber, Value),
}

impl From<UserId> for Key {
    fn from(id: UserId) -> Self {
        Self::Id(id)
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        key.clone()
    }
}

impl Key {
    /// Whether the user carries this key, deleted or not.
    pub fn is_of(&self, user: &User) -> bool {
        match self {
            Self::Email(email) => user.email.as_deref().is_some_and(|own| email_key(own) == email_key(email)),
            Self::Id(id) => user.id == *id,
            Self::Identity(identity) => user.identities.iter().any(|own| identity.means(own)),
            Self::Unique(field, value) => {
                let own = user.values.get(*field);
                own.is_some_and(|own| UserKey::unique(*field, own) == UserKey::unique(*field, value))
            }
        }
    }

    /// The key of the store that a user made for this row has; an id names nobody who is not there.
    pub fn user_key(&self) -> Option<UserKey> {
        match self {
            Self::Email(email) => Some(UserKey::email(email)),
            Self::Id(_) => None,
            Self::Identity(identity) => Some(UserKey::identity(identity)),
            Self::Unique(field, value) => Some(UserKey::unique(*field, value)),
        }
    }

    /// What a user made for this row holds because of its key.
    pub fn value(&self) -> Option<(FieldNumber, Value)> {
        match self {
            Self::Email(email) => Some((FieldNumber::EMAIL, Value::Text(email.clone()))),
            Self::Id(_) => None,
            Self::Identity(identity) => Some((FieldNumber::IDENTITIES, Value::Identities(vec![identity.clone()]))),
            Self::Unique(field, value) => Some((*field, value.clone())),
        }
    }

    /// The key in a sentence: `the email "a@b.c"`.
    pub fn describe(&self, fields: &FieldSet) -> String {
        match self {
            Self::Email(email) => format!("the email \"{}\"", excerpt(email)),
            Self::Id(id) => format!("the id {id}"),
            Self::Identity(identity) => format!("the identity \"{}\"", excerpt(&identity.to_string())),
            Self::Unique(field, value) => {
                let name = fields.get(*field).map_or("key", |field| field.name.as_str());
                format!("the {name} \"{}\"", excerpt(&value.to_string()))
            }
        }
    }

    /// The error of a row because of whom its key names.
    pub fn error(&self, code: Code, message: String) -> RowError {
        let value = match self {
            Self::Email(email) => email.clone(),
            Self::Id(id) => id.to_string(),
            Self::Identity(identity) => identity.to_string(),
            Self::Unique(_, value) => value.to_string(),
        };
        RowError { code, column: None, value: Some(excerpt(&value)), message }
    }
}
