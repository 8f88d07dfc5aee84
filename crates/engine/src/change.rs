//! One user changed, as a job of one row would change it: planned by the same rules, written by the same commit. There is no
//! job of it; the history has every change.

use crate::caller::Caller;
use crate::chunk::{Chunk, Order, Source, plan_chunk, sees};
use crate::commit;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::lookup::{Found, find};
use crate::prepare::PreparedRow;
use muster_core::email::parse_email;
use muster_core::error::{Fault, RowError, excerpt};
use muster_core::field::{Field, FieldNumber, FieldSet};
use muster_core::job::{JobKind, Overdraft};
use muster_core::key::Key;
use muster_core::outcome::Status;
use muster_core::plan::{Edit, Row, Rules};
use muster_core::user::{Operator, User};
use muster_core::value::Value;
use muster_core::{Code, Error, Patch};
use muster_store::{NewCommit, Reserved, Transaction};

/// What is done to one user.
pub(crate) struct OneChange {
    pub kind: JobKind,
    pub key: Key,
    pub edits: Edits,
    pub if_version: Option<i64>,
}

/// A user after that, what became of it, and the transaction in which it did.
pub(crate) struct ChangedUser {
    pub tx: Transaction,
    pub user: User,
    pub status: Status,
    pub fields: FieldSet,
}

impl Engine {
    /// Does one thing to one user, and leaves it to whoever asked to commit it. Refuses with the code that the same has as
    /// a row, or with `version_mismatch`.
    pub(crate) async fn change_user(
        &self,
        caller: &Caller,
        one: impl Fn(&FieldSet) -> Result<OneChange, Error>,
    ) -> Result<ChangedUser> {
        loop {
            let fields = self.fields(caller.tenant).await?;
            let change = one(&fields)?;
            let (mut tx, reserved) =
                self.store().begin_commit(caller.tenant, self.ids_for(caller, &change).await?).await?;
            match self.try_to_change_user(&mut tx, caller, &fields, change, reserved).await {
                Ok(Some((user, status))) => return Ok(ChangedUser { tx, user, status, fields }),
                // Somebody took what names the user, gave it up, or changed the fields in this moment: the next plan sees it.
                Ok(None) => tx.rollback().await?,
                Err(error) => {
                    tx.rollback().await?;
                    return Err(error);
                }
            }
        }
    }

    /// How many users a change makes, as far as can be told before.
    async fn ids_for(&self, caller: &Caller, OneChange { kind, key, .. }: &OneChange) -> Result<usize> {
        match kind {
            JobKind::Create => Ok(1),
            JobKind::Import => {
                let found = find(&mut self.store().read().await?, caller.tenant, *kind, &[key]).await?;
                Ok(found.iter().filter(|found| **found == Found::Nobody).count())
            }
            JobKind::Update | JobKind::Delete | JobKind::Restore | JobKind::Undo | JobKind::Erase => Ok(0),
        }
    }

    async fn try_to_change_user(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        fields: &FieldSet,
        change: OneChange,
        reserved: Reserved,
    ) -> Result<Option<(User, Status)>> {
        let OneChange { kind, key, edits: Edits { edits, columns, pointers }, if_version } = change;
        let tenant = caller.tenant;
        let hint = match &key {
            Key::Id(id) => Some(*id),
            named => find(tx, tenant, kind, &[named]).await?.remove(0).one(),
        };
        let held = tx.lock_users(tenant, hint.as_slice(), fields).await?.pop().map(|loaded| loaded.user);
        match held.filter(|user| sees(kind, &key, user)) {
            Some(user) => check_version(&user, if_version)?,
            None if matches!(key, Key::Id(_)) => return Err(EngineError::not_found("user")),
            None => {}
        }
        let row = Row { record: 1, line: 0, key, edits, creates: true };
        let chunk = Chunk::of(PreparedRow::new(hint, row));
        let rules = Rules { kind, overdraft: Overdraft::Reject, fields, columns: &columns };
        let order = Order { tenant, rules, dry_run: false, undoes: None, filter: None };
        let now = self.clock().now();
        let mut planned = plan_chunk(&chunk, &order, None, now, Source::Locked(tx)).await?;
        if let Some(reason) = planned.record.outcomes.iter().find_map(|outcome| outcome.reason.as_ref()) {
            return Err(refused(&reason.error, &columns, &pointers, fields).into());
        }
        if planned.created.len() > reserved.users {
            return Ok(None);
        }
        planned.give_ids(reserved);
        let outcome = planned.record.outcomes.first().map(|outcome| (outcome.user, outcome.status));
        let Some((Some(id), status)) = outcome else { return Err(EngineError::not_found("user")) };
        let commit = NewCommit { id: reserved.commit, at: now, job: None, actor: &caller.actor };
        if !commit::write(tx, tenant, planned, &commit).await? {
            return Ok(None);
        }
        let user = tx.get_user(tenant, id, fields).await?.ok_or_else(|| EngineError::not_found("user"))?;
        Ok(Some((user, status)))
    }
}

pub(crate) fn check_version(user: &User, wanted: Option<i64>) -> Result<()> {
    match wanted {
        Some(version) if version != user.version => {
            let detail = format!("The user has version {} now.", user.version);
            Err(EngineError::refuse(Code::VersionMismatch, detail))
        }
        _ => Ok(()),
    }
}

/// The edits of a request, the names of what they edit, and where in the request each stands.
#[derive(Default)]
pub(crate) struct Edits {
    pub(crate) edits: Vec<Edit>,
    pub(crate) columns: Vec<String>,
    pub(crate) pointers: Vec<String>,
}

impl Edits {
    /// Takes one edit.
    pub(crate) fn push(&mut self, field: FieldNumber, column: &str, pointer: String, patch: Patch<(Operator, Value)>) {
        self.edits.extend(Edit::from_patch(field, self.columns.len() as u16, patch));
        self.columns.push(column.to_owned());
        self.pointers.push(pointer);
    }

    /// What a field is to hold by them.
    pub(crate) fn value(&self, field: FieldNumber) -> Option<&Value> {
        self.edits.iter().find(|edit| edit.field == field).and_then(|edit| edit.patch.value())
    }

    /// Takes what happens to the email.
    pub(crate) fn push_email(&mut self, pointer: &str, email: &Patch<String>) -> Result<(), Error> {
        let patch = match email {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(text) => {
                let email = parse_email(text).ok_or_else(|| {
                    Error::at(pointer, Code::InvalidEmail, format!("\"{}\" is not an email address", excerpt(text)))
                })?;
                Patch::Set((Operator::Overwrite, Value::Text(email.to_owned())))
            }
        };
        self.push(FieldNumber::EMAIL, "email", pointer.to_owned(), patch);
        Ok(())
    }
}

/// The field of a key that can be written.
pub(crate) fn writable<'a>(fields: &'a FieldSet, key: &str, pointer: &str) -> Result<&'a Field, Error> {
    let field = fields.find_by_key(key).filter(|field| !field.archived);
    field.ok_or_else(|| Error::at(pointer, Code::InvalidRequest, format!("there is no field \"{}\"", excerpt(key))))
}

/// The error of a row as the refusal of a request. What is missing has its place among the values.
fn refused(error: &RowError, columns: &[String], pointers: &[String], fields: &FieldSet) -> Error {
    let said = columns.iter().position(|column| Some(column) == error.column.as_ref());
    let missing = || fields.iter().find(|field| Some(&field.name) == error.column.as_ref());
    let pointer = match said {
        Some(place) => Some(pointers[place].clone()),
        None => missing().map(|field| format!("/values/{}", field.key)),
    };
    let fault = Fault { column: None, pointer, code: error.code, message: error.message.clone() };
    Error { errors: vec![fault], ..Error::new(error.code, error.sentence(0)) }
}
