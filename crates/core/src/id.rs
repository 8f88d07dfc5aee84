//! Ids as types, so that one cannot be taken for another.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The number of a community inside the store. Every statement carries it; it never leaves the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tenant(pub i64);

/// A user's id: a positive integer, counted for each community by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub i64);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text was not an id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 12]);

        impl $name {
            /// Makes an id from twelve bytes, usually random ones.
            pub fn from_bytes(bytes: [u8; 12]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let hex = text.strip_prefix($prefix).ok_or(InvalidId)?;
                if hex.len() != 24 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(InvalidId);
                }
                let mut bytes = [0; 12];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).map_err(|_| InvalidId)?;
                }
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id!(
    /// A community's id on the wire: 24 hex digits.
    CommunityId,
    ""
);
hex_id!(
    /// A field's id on the wire: 24 hex digits.
    FieldId,
    ""
);
hex_id!(
    /// An API key's id (not the key): 24 hex digits.
    KeyId,
    ""
);
hex_id!(
    /// A job's id: `job_` and 24 hex digits.
    JobId,
    "job_"
);
hex_id!(
    /// A webhook's id: `wh_` and 24 hex digits.
    WebhookId,
    "wh_"
);
hex_id!(
    /// The id of one event on its way to one webhook, the same however often it is sent: `msg_` and 24 hex digits.
    DeliveryId,
    "msg_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_as_written_and_refuse_anything_else() {
        let id = JobId::from_bytes([0xab; 12]);
        assert_eq!(id.to_string(), format!("job_{}", "ab".repeat(12)));
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "job_", "job_zz", &"ab".repeat(12), "job_éééééééééééé"] {
            assert_eq!(wrong.parse::<JobId>(), Err(InvalidId), "{wrong}");
        }
    }
}
