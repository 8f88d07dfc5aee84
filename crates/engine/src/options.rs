//! Choices that come into being where somebody chooses them.

use crate::caller::Caller;
use crate::clock::field_id;
use crate::engine::Engine;
use crate::error::Result;
use muster_core::field::{Field, FieldNumber, FieldSet, FieldType, NewField, Rules, SelectOption};
use muster_core::scope::Scope;
use muster_core::{Code, Error};

/// The most options that a field gets in this way. Fields are read by every request.
const MAX_OPTIONS: usize = 1_000;

impl Engine {
    /// Makes sure that a `multi_select` of this key has options of these names, and gives its number and their keys. The
    /// field is made if it is missing. It is committed by itself: choices that nobody has chosen harm nobody.
    ///
    /// Refuses with `invalid_option` where the field is of another type, is archived, or would have more than 1,000 options.
    pub async fn add_options(
        &self,
        caller: &Caller,
        key: &str,
        name: &str,
        wanted: &[String],
    ) -> Result<(FieldNumber, Vec<String>)> {
        caller.require(Scope::UsersWrite)?;
        let fields = self.fields(caller.tenant).await?;
        if let Some(found) = find(&fields, key)?.and_then(|field| keys(field, wanted)) {
            return Ok(found);
        }
        let mut tx = self.store().begin().await?;
        tx.lock_fields(caller.tenant).await?;
        let fields = tx.list_fields(caller.tenant).await?;
        let field = match find(&fields, key)? {
            Some(field) => {
                let mut field = field.clone();
                add(&mut field.rules, wanted, key)?;
                tx.update_field(caller.tenant, &field).await?;
                field
            }
            None => {
                let mut rules = Rules::default();
                add(&mut rules, wanted, key)?;
                let new =
                    NewField { key: Some(key.to_owned()), name: name.to_owned(), kind: FieldType::MultiSelect, rules };
                let (key, name) = new.check(&fields)?;
                let now = self.clock().now();
                tx.insert_field(caller.tenant, field_id(), &key, &name, new.kind, &new.rules, false, now).await?
            }
        };
        tx.commit().await?;
        Ok((field.number, keys(&field, wanted).map(|(_, keys)| keys).unwrap_or_default()))
    }
}

/// The field, if it is there.
fn find<'a>(fields: &'a FieldSet, key: &str) -> Result<Option<&'a Field>, Error> {
    match fields.find_by_key(key) {
        Some(field) if field.archived || field.kind != FieldType::MultiSelect => {
            let message = format!("the field \"{key}\" of this community does not hold several of some choices");
            Err(Error::at(format!("/{key}"), Code::InvalidOption, message))
        }
        found => Ok(found),
    }
}

/// The number of the field and the keys of the options, if all are there.
fn keys(field: &Field, wanted: &[String]) -> Option<(FieldNumber, Vec<String>)> {
    let keys: Option<Vec<String>> = wanted.iter().map(|name| field.option(name).map(|o| o.key.clone())).collect();
    keys.map(|keys| (field.number, keys))
}

fn add(rules: &mut Rules, wanted: &[String], key: &str) -> Result<(), Error> {
    for name in wanted {
        let lower = name.to_lowercase();
        let exact = |option: &SelectOption| option.key == *name || option.name == *name;
        let alike = |option: &&SelectOption| option.key.to_lowercase() == lower || option.name.to_lowercase() == lower;
        // As `Field::option` finds them: alike in all but case is the same, unless several are.
        if !rules.options.iter().any(exact) && rules.options.iter().filter(alike).count() != 1 {
            rules.options.push(SelectOption { key: name.clone(), name: name.clone() });
        }
    }
    match rules.options.len() > MAX_OPTIONS {
        true => {
            let message = format!("there would be more than {MAX_OPTIONS} {key}");
            Err(Error::at(format!("/{key}"), Code::InvalidOption, message))
        }
        false => Ok(()),
    }
}
