//! One user made or changed by whatever names it, as a job of one record would.

use crate::caller::Caller;
use crate::change::{Edits, OneChange};
use crate::engine::Engine;
use crate::error::Result;
use muster_core::Patch;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::job::JobKind;
use muster_core::key::Key;
use muster_core::outcome::Status;
use muster_core::scope::Scope;
use muster_core::user::{Operator, User};
use muster_core::value::Value;

/// What is to be done with one user.
#[derive(Clone, Debug)]
pub struct UserPut {
    /// `update` changes a user who is there, `create` makes one who is not, `import` does either.
    pub kind: JobKind,
    /// Who is meant. A user that is made has it.
    pub key: Key,
    /// What happens to it.
    pub edits: Vec<PutEdit>,
}

/// What happens to one field.
#[derive(Clone, Debug)]
pub struct PutEdit {
    /// The name of the field, as errors are to say it.
    pub name: String,
    /// The field.
    pub field: FieldNumber,
    /// What happens to it.
    pub patch: Patch<(Operator, Value)>,
}

/// The user afterwards.
#[derive(Clone, Debug)]
pub struct PutUser {
    /// The user.
    pub user: User,
    /// The community's fields.
    pub fields: FieldSet,
    /// Whether it was made just now.
    pub created: bool,
}

impl Engine {
    /// Does it. Refuses with the code that the same change has as a row, and with `/values/NAME` as the place of what is
    /// wrong.
    pub async fn put_user(&self, caller: &Caller, put: &UserPut) -> Result<PutUser> {
        caller.require(Scope::UsersWrite)?;
        let one = |_: &FieldSet| {
            let mut edits = Edits::default();
            for PutEdit { name, field, patch } in &put.edits {
                edits.push(*field, name, format!("/values/{name}"), patch.clone());
            }
            Ok(OneChange { kind: put.kind, key: put.key.clone(), edits, if_version: None })
        };
        let changed = self.change_user(caller, one).await?;
        caller.commit(changed.tx).await?;
        Ok(PutUser { user: changed.user, fields: changed.fields, created: changed.status == Status::Created })
    }
}
