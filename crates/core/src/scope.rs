//! What a key may do.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! scopes {
    ($($variant:ident = $text:literal),+ $(,)?) => {
        /// A permission of an API key, as section 2 of the contract names them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each variant is its text")]
        pub enum Scope { $($variant),+ }

        impl Scope {
            /// Every scope there is, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The scope's name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl FromStr for Scope {
            type Err = UnknownScope;
            fn from_str(text: &str) -> Result<Self, UnknownScope> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(UnknownScope(text.to_owned())) }
            }
        }
    };
}

scopes! {
    BulkUpdate = "bulk:update", BulkImport = "bulk:import", BulkDelete = "bulk:delete", BulkUndo = "bulk:undo",
    UsersRead = "users:read", UsersWrite = "users:write", UsersDelete = "users:delete",
    FieldsRead = "fields:read", FieldsWrite = "fields:write", HistoryRead = "history:read",
    JobsRead = "jobs:read", JobsWrite = "jobs:write", KeysWrite = "keys:write",
    WebhooksWrite = "webhooks:write", SettingsWrite = "settings:write",
}

/// No scope has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope \"{0}\"")]
pub struct UnknownScope(pub String);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
