//! One user made or changed by whatever names it, as a job of one record would. Nothing of it stands in the log of jobs; the
//! history has every change.

use crate::caller::Caller;
use crate::chunk::{Chunk, Order, Source, plan_chunk};
use crate::commit;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::prepare::PreparedRow;
use muster_core::Error;
use muster_core::error::{Fault, RowError};
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::job::{JobKind, Overdraft};
use muster_core::key::Key;
use muster_core::outcome::Status;
use muster_core::plan::{Edit, EditPatch, Row, Rules};
use muster_core::scope::Scope;
use muster_core::user::User;
use muster_store::NewCommit;

/// What is to be done with one user.
#[derive(Clone, Debug)]
pub struct UserPut {
    /// `update` changes a user who is there, `create` makes one who is not, `import` does either.
    pub kind: JobKind,
    /// Who is meant. A user that is made has it.
    pub key: Key,
    /// The name of what each edit changes, as errors are to say it, and what happens to it.
    pub edits: Vec<(String, FieldNumber, EditPatch)>,
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
    /// Does it. Refuses with the code that the same change has as a row, with the name of what is wrong as its column.
    pub async fn put_user(&self, caller: &Caller, put: &UserPut) -> Result<PutUser> {
        caller.require(Scope::UsersWrite)?;
        loop {
            let fields = self.fields(caller.tenant).await?;
            // Somebody took what names the user, or changed the user or the fields, in this moment; the next plan sees that.
            if let Some((user, created)) = self.try_to_put_user(caller, put, &fields).await? {
                return Ok(PutUser { user, fields, created });
            }
        }
    }

    async fn try_to_put_user(&self, caller: &Caller, put: &UserPut, fields: &FieldSet) -> Result<Option<(User, bool)>> {
        let (tenant, now) = (caller.tenant, self.clock().now());
        let edit = |(column, (_, field, patch)): (usize, &(String, FieldNumber, EditPatch))| Edit {
            field: *field,
            column: column as u16,
            patch: patch.clone(),
        };
        let columns: Vec<String> = put.edits.iter().map(|(name, ..)| name.clone()).collect();
        let edits = put.edits.iter().enumerate().map(edit).collect();
        let chunk =
            Chunk::of(PreparedRow::new(None, Row { creates: true, record: 1, line: 0, key: put.key.clone(), edits }));
        let rules = Rules { kind: put.kind, overdraft: Overdraft::Reject, fields, columns: &columns };
        let order = Order { tenant, rules, dry_run: false, undoes: None, filter: None };
        let mut planned = {
            let mut connection = self.store().read().await?;
            plan_chunk(&chunk, &order, None, now, Source::Snapshot(&mut connection)).await?
        };
        if let Some(reason) = planned.record.outcomes.iter().find_map(|outcome| outcome.reason.clone()) {
            return Err(refused(reason.error));
        }
        let (mut tx, reserved) = self.store().begin_commit(tenant, planned.created.len()).await?;
        planned.give_ids(reserved);
        let outcome = planned.record.outcomes.pop().expect("a row has an outcome");
        let commit = NewCommit { id: reserved.commit, at: now, job: None, actor: &caller.actor };
        if !commit::write(&mut tx, tenant, planned, &commit).await? {
            return Ok(None);
        }
        let id = outcome.user.expect("a row that did not fail is about somebody");
        let user = tx.get_user(tenant, id, fields).await?.expect("it was written, or held, in this transaction");
        caller.commit(tx).await?;
        Ok(Some((user, outcome.status == Status::Created)))
    }
}

fn refused(error: RowError) -> EngineError {
    let detail = error.sentence(0);
    let fault = Fault { column: error.column, pointer: None, code: error.code, message: error.message };
    Error { errors: vec![fault], ..Error::new(error.code, detail) }.into()
}
