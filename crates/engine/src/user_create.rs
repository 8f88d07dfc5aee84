//! Makes one user, as a job of one row of the kind `create` would.

use crate::caller::Caller;
use crate::change::{Edits, OneChange};
use crate::engine::Engine;
use crate::error::Result;
use crate::users::{UserEdit, edits};
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::identity::Identity;
use muster_core::job::JobKind;
use muster_core::key::Key;
use muster_core::scope::Scope;
use muster_core::user::User;
use muster_core::value::Value;
use muster_core::{Code, Error, Patch};
use serde_json::Value as Json;

/// Somebody who is to be made.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    /// The email.
    pub email: Option<String>,
    /// What names the user in other systems.
    pub identities: Vec<Identity>,
    /// Values by field key; null and absent are the same.
    pub values: Vec<(String, Json)>,
}

impl Engine {
    /// Makes a user, who needs an email, an identity or the value of a unique field. Refuses with `user_exists` where
    /// somebody is called so, with `not_unique` where somebody has something else of it, and else with the code that the
    /// same has as a row.
    pub async fn create_user(&self, caller: &Caller, new: &NewUser) -> Result<(User, FieldSet)> {
        caller.require(Scope::UsersWrite)?;
        let said = new.said();
        let one = |fields: &FieldSet| {
            let edits = edits(&said, fields)?;
            Ok(OneChange { kind: JobKind::Create, key: name_of(new, &edits, fields)?, edits, if_version: None })
        };
        let made = self.change_user(caller, one).await?;
        caller.commit(made.tx).await?;
        Ok((made.user, made.fields))
    }

    /// Refuses what cannot be about somebody who is to be made, as far as nobody has to be looked at for it.
    pub async fn check_new_user(&self, caller: &Caller, new: &NewUser) -> Result<()> {
        let fields = self.fields_for(caller, Scope::UsersWrite).await?;
        Ok(edits(&new.said(), &fields).map(drop)?)
    }
}

impl NewUser {
    fn said(&self) -> UserEdit {
        let email = self.email.clone().map_or(Patch::Keep, Patch::Set);
        UserEdit { email, identities: self.identities.clone(), values: self.values.clone(), if_version: None }
    }
}

/// What names the user: the email, else the first identity, else the first value of a unique field.
fn name_of(new: &NewUser, said: &Edits, fields: &FieldSet) -> Result<Key, Error> {
    if let Some(Value::Text(email)) = said.value(FieldNumber::EMAIL) {
        return Ok(Key::Email(email.clone()));
    }
    if let Some(identity) = new.identities.first() {
        return Ok(Key::Identity(identity.clone()));
    }
    let mut unique = said.edits.iter().filter(|edit| fields.is_unique(edit.field));
    let value = unique.find_map(|edit| Some((edit.field, edit.patch.value()?.clone())));
    let (field, value) = value.ok_or_else(|| {
        let message = "a user needs an email, an identity or the value of a unique field, by which it is found again";
        Error::at("/email", Code::MissingKey, message)
    })?;
    Ok(Key::Unique(field, value))
}
