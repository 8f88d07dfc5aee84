//! Makes one user, as a job of one row of the kind `create` would.

use crate::caller::Caller;
use crate::chunk::{Chunk, Order, Source, plan_chunk};
use crate::commit;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::prepare::PreparedRow;
use crate::users::{Edits, UserEdit, edits, refused};
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::identity::Identity;
use muster_core::job::{JobKind, Overdraft};
use muster_core::key::Key;
use muster_core::plan::{Row, Rules};
use muster_core::scope::Scope;
use muster_core::user::User;
use muster_core::value::Value;
use muster_core::{Code, Error, Patch};
use muster_store::{NewCommit, Transaction};
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
        loop {
            let fields = self.fields(caller.tenant).await?;
            // Where somebody took what names the user in this moment, the next plan sees that.
            if let Some((tx, user)) = self.try_to_create_user(caller, &fields, new).await? {
                caller.commit(tx).await?;
                return Ok((user, fields));
            }
        }
    }

    async fn try_to_create_user(
        &self,
        caller: &Caller,
        fields: &FieldSet,
        new: &NewUser,
    ) -> Result<Option<(Transaction, User)>> {
        let email = new.email.clone().map_or(Patch::Keep, Patch::Set);
        let (identities, values) = (new.identities.clone(), new.values.clone());
        let said = edits(&UserEdit { email, identities, values, if_version: None }, fields)?;
        let key = name_of(new, &said, fields)?;
        let Edits { edits, columns, pointers } = said;
        let row = Row { record: 1, line: 0, key, edits, creates: true };
        let chunk = Chunk::of(PreparedRow::new(None, row));
        let rules = Rules { kind: JobKind::Create, overdraft: Overdraft::Reject, fields, columns: &columns };
        let order = Order { tenant: caller.tenant, rules, dry_run: false, undoes: None, filter: None };
        let (mut tx, reserved) = self.store().begin_commit(caller.tenant, 1).await?;
        let now = self.clock().now();
        let mut planned = plan_chunk(&chunk, &order, None, now, Source::Locked(&mut tx)).await?;
        if let Some(reason) = planned.record.outcomes.iter().find_map(|outcome| outcome.reason.as_ref()) {
            let mut error = refused(&reason.error, &columns, &pointers);
            if let Some(fault) = error.errors.first_mut().filter(|fault| fault.code == Code::RequiredField) {
                // What is missing has no place yet.
                let missing = fields.iter().find(|field| reason.error.column.as_ref() == Some(&field.name));
                fault.pointer = missing.map(|field| format!("/values/{}", field.key));
            }
            return Err(error.into());
        }
        planned.give_ids(reserved);
        let id = planned.record.outcomes.first().and_then(|outcome| outcome.user);
        let commit = NewCommit { id: reserved.commit, at: now, job: None, actor: &caller.actor };
        if !commit::write(&mut tx, caller.tenant, planned, &commit).await? {
            return Ok(None);
        }
        let id = id.ok_or_else(|| EngineError::Damaged("a plan makes a user without an id".to_owned()))?;
        let made = tx.get_user(caller.tenant, id, fields).await?;
        Ok(Some((tx, made.ok_or_else(|| EngineError::not_found("user"))?)))
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
