//! The product's permissions, and the scopes that they are here (section 2 of the contract).

use muster_core::error::excerpt;
use muster_core::scope::Scope;
use muster_core::{Code, Error};

/// What the product calls its permissions on its pages and in its API, and the scope that each is.
const NAMES: &[(&str, Scope)] = &[
    ("Bulk Update User", Scope::BulkUpdate),
    ("Get User Data", Scope::UsersRead),
    ("Delete/ Restore User", Scope::UsersDelete),
    ("userFields", Scope::FieldsWrite),
    ("createUser", Scope::UsersWrite),
];

/// Permissions of the product for what Muster does not have.
const MEANINGLESS: &[&str] = &["sendMessages", "readOwnMessages", "readOwnProfile", "updateOwnProfile"];

/// Permissions that were asked for.
#[derive(Debug)]
pub(super) struct Permissions {
    /// What they are here.
    pub(super) scopes: Vec<Scope>,
    /// Those that mean nothing here.
    pub(super) ignored: Vec<String>,
}

impl Permissions {
    /// Reads permissions of the product, however they are written, and scopes. Refuses with `invalid_option` anything else.
    pub(super) fn read(names: &[String]) -> Result<Self, Error> {
        let mut read = Self { scopes: Vec::new(), ignored: Vec::new() };
        for (i, name) in names.iter().enumerate() {
            let found = NAMES.iter().find(|(known, _)| same(known, name)).map(|(_, scope)| *scope);
            if let Some(scope) = found.or_else(|| name.parse().ok()) {
                read.scopes.push(scope);
            } else if MEANINGLESS.iter().any(|known| same(known, name)) {
                read.ignored.push(name.clone());
            } else {
                let message = format!("\"{}\" is neither a permission nor a scope", excerpt(name));
                return Err(Error::at(format!("/permissions/{i}"), Code::InvalidOption, message));
            }
        }
        Ok(read)
    }
}

/// Scopes in the product's words; those that it has none for stay as they are.
pub(super) fn permissions(scopes: &[Scope]) -> Vec<&'static str> {
    let name = |scope: &Scope| NAMES.iter().find(|(_, of)| of == scope).map_or(scope.as_str(), |(name, _)| *name);
    scopes.iter().map(name).collect()
}

/// Whether two names are the same but for case and what is no letter: `User Fields` and `userFields`.
fn same(one: &str, other: &str) -> bool {
    let letters =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    letters(one) == letters(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_scopes_however_they_are_written() {
        let read =
            |name: &str| Permissions::read(&[name.to_owned()]).map(|read| read.scopes).map_err(|error| error.code);
        for (name, scope) in [
            ("Bulk Update User", Scope::BulkUpdate),
            ("bulkUpdateUser", Scope::BulkUpdate),
            ("User Fields", Scope::FieldsWrite),
            ("Delete/Restore User", Scope::UsersDelete),
            ("Create User", Scope::UsersWrite),
            ("bulk:import", Scope::BulkImport),
        ] {
            assert_eq!(read(name), Ok(vec![scope]), "{name}");
        }
        assert_eq!(read("sendMessages"), Ok(vec![]));
        assert_eq!(read("everything"), Err(Code::InvalidOption));
        assert_eq!(permissions(&[Scope::UsersRead, Scope::JobsRead]), ["Get User Data", "jobs:read"]);
    }
}
