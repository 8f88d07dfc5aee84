//! Single users: read, changed, deleted. They go the same way as the rows of a job: planned by the same rules, written by
//! the same commit.

use crate::caller::Caller;
use crate::chunk::{Chunk, Order, Source, plan_chunk, sees};
use crate::commit;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::prepare::PreparedRow;
use muster_core::email::parse_email;
use muster_core::error::{Fault, RowError, excerpt};
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::UserId;
use muster_core::job::{JobKind, Overdraft};
use muster_core::key::{Key, UserKey};
use muster_core::plan::{Edit, Row, Rules};
use muster_core::scope::Scope;
use muster_core::user::{Operator, User};
use muster_core::value::Value;
use muster_core::{Code, Error, Patch};
use muster_store::{Among, NewCommit};
use serde_json::Value as Json;

/// What somebody wants to change about a user.
#[derive(Clone, Debug, Default)]
pub struct UserEdit {
    /// The email.
    pub email: Patch<String>,
    /// Values by field key: absent keeps, null clears, `{"op","value"}` operates, anything else overwrites.
    pub values: Vec<(String, Json)>,
    /// The version that the user must have.
    pub if_version: Option<i64>,
}

/// Users in order of id, and the fields by which their values are read.
#[derive(Clone, Debug)]
pub struct UserPage {
    /// The users.
    pub users: Vec<User>,
    /// The community's fields.
    pub fields: FieldSet,
    /// The id to go on after, if there are more.
    pub next: Option<UserId>,
}

impl Engine {
    /// A live user.
    pub async fn get_user(&self, caller: &Caller, id: UserId) -> Result<(User, FieldSet)> {
        caller.require(Scope::UsersRead)?;
        let fields = self.fields(caller.tenant).await?;
        let user = self.store().read().await?.get_user(caller.tenant, id, &fields).await?;
        let user = user.filter(|user| !user.deleted).ok_or_else(|| EngineError::not_found("user"))?;
        Ok((user, fields))
    }

    /// Live users, all of them or the one of an email.
    pub async fn list_users(
        &self,
        caller: &Caller,
        email: Option<&str>,
        after: UserId,
        limit: u32,
    ) -> Result<UserPage> {
        caller.require(Scope::UsersRead)?;
        let fields = self.fields(caller.tenant).await?;
        let mut connection = self.store().read().await?;
        let mut users = match email {
            None => connection.list_users(caller.tenant, after, limit + 1, &fields).await?,
            // What cannot be an email is nobody's.
            Some(email) if parse_email(email).is_none() => Vec::new(),
            Some(email) => {
                let holder = connection.find_users(caller.tenant, Among::Live, &[UserKey::email(email)]).await?;
                let ids: Vec<UserId> = holder.into_iter().map(|(_, user)| user).collect();
                let found = connection.load_users(caller.tenant, &ids, &fields).await?;
                found.into_iter().map(|loaded| loaded.user).filter(|user| user.id > after).collect()
            }
        };
        let more = users.len() > limit as usize;
        users.truncate(limit as usize);
        let next = users.last().filter(|_| more).map(|user| user.id);
        Ok(UserPage { users, fields, next })
    }

    /// Changes a live user. Refuses with the code that the same change has as a row, or with `version_mismatch`.
    pub async fn edit_user(&self, caller: &Caller, id: UserId, edit: &UserEdit) -> Result<(User, FieldSet)> {
        caller.require(Scope::UsersWrite)?;
        loop {
            let fields = self.fields(caller.tenant).await?;
            let (edits, columns) = edits(edit, &fields)?;
            let change = OneChange { kind: JobKind::Update, id, edits, columns, if_version: edit.if_version };
            if let Some(user) = self.try_to_change_user(caller, &fields, change).await? {
                return Ok((user, fields));
            }
        }
    }

    /// Deletes a live user: it keeps everything, matches nothing, and gives up what names it. Refuses with
    /// `version_mismatch` where the user must have a version and has another.
    pub async fn delete_user(&self, caller: &Caller, id: UserId, if_version: Option<i64>) -> Result<()> {
        caller.require(Scope::UsersDelete)?;
        self.change_user(caller, JobKind::Delete, id, if_version).await.map(drop)
    }

    /// Brings a deleted user back, with its values and its history. Refuses with `not_unique` where somebody has taken
    /// what named it. One who is not deleted stays as it is.
    pub async fn restore_user(&self, caller: &Caller, id: UserId) -> Result<(User, FieldSet)> {
        caller.require(Scope::UsersDelete)?;
        self.change_user(caller, JobKind::Restore, id, None).await
    }

    /// Deletes or restores a user.
    async fn change_user(
        &self,
        caller: &Caller,
        kind: JobKind,
        id: UserId,
        if_version: Option<i64>,
    ) -> Result<(User, FieldSet)> {
        loop {
            let fields = self.fields(caller.tenant).await?;
            let change = OneChange { kind, id, edits: Vec::new(), columns: Vec::new(), if_version };
            if let Some(user) = self.try_to_change_user(caller, &fields, change).await? {
                return Ok((user, fields));
            }
        }
    }

    /// Does one thing to one user, as a job of one row would. Nothing where somebody took what names the user, or changed
    /// the fields, in this moment; the next plan sees that.
    async fn try_to_change_user(&self, caller: &Caller, fields: &FieldSet, change: OneChange) -> Result<Option<User>> {
        let OneChange { kind, id, edits, columns, if_version } = change;
        let row = Row { record: 1, line: 0, key: Key::Id(id), edits };
        let chunk = Chunk::of(PreparedRow::new(Some(id), row));
        let rules = Rules { kind, overdraft: Overdraft::Reject, fields, columns: &columns };
        let order = Order { tenant: caller.tenant, rules, dry_run: false, undoes: None };
        let (mut tx, reserved) = self.store().begin_commit(caller.tenant, 0).await?;
        let now = self.clock().now();
        let held = tx.lock_users(caller.tenant, &[id], fields).await?.pop().map(|loaded| loaded.user);
        let held = held.filter(|user| sees(kind, &Key::Id(id), user)).ok_or_else(|| EngineError::not_found("user"))?;
        check_version(&held, if_version)?;
        let planned = plan_chunk(&chunk, &order, None, now, Source::Locked(&mut tx)).await?;
        if let Some(reason) = planned.record.outcomes.iter().find_map(|outcome| outcome.reason.as_ref()) {
            return Err(refused(&reason.error, fields).into());
        }
        let commit = NewCommit { id: reserved.commit, at: now, job: None, actor: &caller.actor };
        if !commit::write(&mut tx, caller.tenant, planned, &commit).await? {
            return Ok(None);
        }
        let user = tx.get_user(caller.tenant, id, fields).await?.unwrap_or(held);
        caller.commit(tx).await?;
        Ok(Some(user))
    }
}

/// What is done to one user.
struct OneChange {
    kind: JobKind,
    id: UserId,
    edits: Vec<Edit>,
    /// The names of what is edited.
    columns: Vec<String>,
    if_version: Option<i64>,
}

fn check_version(user: &User, wanted: Option<i64>) -> Result<()> {
    match wanted {
        Some(version) if version != user.version => {
            let detail = format!("The user has version {} now.", user.version);
            Err(EngineError::refuse(Code::VersionMismatch, detail))
        }
        _ => Ok(()),
    }
}

/// The edits of a request, and the names of what they edit.
fn edits(edit: &UserEdit, fields: &FieldSet) -> Result<(Vec<Edit>, Vec<String>), Error> {
    let mut columns = vec!["email".to_owned()];
    let email = match &edit.email {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(text) => {
            let email = parse_email(text).ok_or_else(|| {
                Error::at("/email", Code::InvalidEmail, format!("\"{}\" is not an email address", excerpt(text)))
            })?;
            Patch::Set((Operator::Overwrite, Value::Text(email.to_owned())))
        }
    };
    let mut edits: Vec<Edit> = Edit::from_patch(FieldNumber::EMAIL, 0, email).into_iter().collect();
    for (key, json) in &edit.values {
        let pointer = format!("/values/{key}");
        let field = fields.find_by_key(key).filter(|field| !field.archived).ok_or_else(|| {
            Error::at(&*pointer, Code::InvalidRequest, format!("there is no field \"{}\"", excerpt(key)))
        })?;
        let patch = muster_core::value::patch_from_json(field, json)
            .map_err(|misfit| Error::at(&*pointer, misfit.code, misfit.message))?;
        edits.extend(Edit::from_patch(field.number, columns.len() as u16, patch));
        columns.push(field.key.clone());
    }
    Ok((edits, columns))
}

/// The error of a row as the refusal of a request.
fn refused(error: &RowError, fields: &FieldSet) -> Error {
    let pointer = error.column.as_deref().map(|column| match fields.find_by_key(column) {
        Some(field) => format!("/values/{}", field.key),
        None => format!("/{column}"),
    });
    let fault = Fault { column: None, pointer, code: error.code, message: error.message.clone() };
    Error { code: error.code, detail: error.sentence(0), errors: vec![fault] }
}
