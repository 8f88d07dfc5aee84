//! The order in which users are given: by one or two of their properties or values, ties by id, and who has no value last,
//! whichever the direction.

use crate::error::{Code, Error, excerpt};
use crate::field::FieldSet;
use crate::filter::Subject;
use crate::filter::{subject, unknown_field};
use crate::id::UserId;
use crate::order::order_key;
use crate::user::User;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// How many properties a sort may name.
pub const MAX_KEYS: usize = 2;

/// An order of users. Naming nothing, it is by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    keys: Vec<SortKey>,
    text: String,
}

/// One property of a sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// What is compared.
    pub subject: Subject,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// Where a user stands in an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The key of each property that is compared; none where the user has no value.
    pub keys: Vec<Option<String>>,
    /// The user.
    pub id: UserId,
}

impl Sort {
    /// Reads `"points"`, `"-points"` for the greatest first, or a list of one or two of them. Null and an empty list
    /// are by id. Codes: `unknown_field`, `invalid_request`.
    pub fn read(json: &Json, pointer: &str, fields: &FieldSet) -> Result<Self, Error> {
        let invalid = |pointer: &str, message: String| Error::at(pointer, Code::InvalidRequest, message);
        let texts: Vec<(String, &Json)> = match json {
            Json::Null => Vec::new(),
            Json::Array(items) if items.len() > MAX_KEYS => {
                return Err(invalid(pointer, format!("a sort names at most {MAX_KEYS} fields")));
            }
            Json::Array(items) => items.iter().enumerate().map(|(i, item)| (format!("{pointer}/{i}"), item)).collect(),
            item => vec![(pointer.to_owned(), item)],
        };
        let mut sort = Self::default();
        for (pointer, json) in texts {
            let Some(text) = json.as_str() else {
                return Err(invalid(
                    &pointer,
                    "a sort is the key of a field, with - before it for descending".to_owned(),
                ));
            };
            let name = text.strip_prefix('-').unwrap_or(text);
            let subject = subject(name, fields).ok_or_else(|| unknown_field(name, pointer.clone(), fields))?;
            if let Subject::Field(number) = subject
                && let Some(field) = fields.get(number).filter(|field| !field.kind.is_ordered())
            {
                let message = format!("fields of the type {} have no order", field.kind);
                return Err(invalid(&pointer, message));
            }
            if sort.keys.iter().any(|key| key.subject == subject) {
                return Err(invalid(&pointer, format!("\"{}\" is named twice", excerpt(name))));
            }
            if !sort.keys.is_empty() {
                sort.text.push(',');
            }
            sort.text.push_str(text);
            sort.keys.push(SortKey { subject, descending: text.starts_with('-') });
        }
        Ok(sort)
    }

    /// What is compared, the most important first.
    pub fn keys(&self) -> &[SortKey] {
        &self.keys
    }

    /// Where a user stands.
    pub fn place(&self, user: &User) -> Place {
        let key = |key: &SortKey| key.subject.of(user).and_then(|value| order_key(&value));
        Place { keys: self.keys.iter().map(key).collect(), id: user.id }
    }

    /// Who of two comes first.
    pub fn compare(&self, a: &Place, b: &Place) -> Ordering {
        let keys = self.keys.iter().zip(a.keys.iter().zip(&b.keys));
        let by_key = keys.map(|(key, places)| match places {
            (Some(a), Some(b)) if key.descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
        by_key.fold(Ordering::Equal, Ordering::then).then(a.id.cmp(&b.id))
    }

    /// The cursor of a page that begins after this place.
    pub fn cursor(&self, after: Place) -> SortCursor {
        SortCursor { sort: self.text.clone(), after }
    }

    /// The place after which a page begins, if the cursor was made by this sort.
    pub fn after(&self, cursor: &SortCursor) -> Result<Place, Error> {
        match cursor.sort == self.text && cursor.after.keys.len() == self.keys.len() {
            true => Ok(cursor.after.clone()),
            false => Err(Error::at("/cursor", Code::InvalidRequest, "the cursor belongs to a page of another sort")),
        }
    }
}

/// Where a page begins. It says nothing about users who come or go, so pages stay right while users are added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortCursor {
    sort: String,
    after: Place,
}

impl fmt::Display for SortCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// The text is not a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct InvalidCursor;

impl FromStr for SortCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let cursor: Self = serde_json::from_str(text).map_err(|_| InvalidCursor)?;
        // No value has one, and PostgreSQL takes none.
        let nul = cursor.after.keys.iter().flatten().any(|key| key.contains('\0'));
        if nul { Err(InvalidCursor) } else { Ok(cursor) }
    }
}
