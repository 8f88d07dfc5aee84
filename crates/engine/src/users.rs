//! Single users: read, changed, deleted. They go the same way as the rows of a job: planned by the same rules, written by
//! the same commit.

use crate::caller::Caller;
use crate::chunk::{Chunk, PlannedChunk, Source, plan_chunk};
use crate::commit;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::index::IndexChanges;
use crate::prepare::{PreparedRow, email_user_key};
use muster_core::email::parse_email;
use muster_core::error::{Fault, RowError, excerpt};
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::UserId;
use muster_core::job::{JobKind, Overdraft};
use muster_core::plan::{Edit, Key, Row, Rules};
use muster_core::scope::Scope;
use muster_core::user::{Change, Operator, User, changes_to_stored};
use muster_core::value::Value;
use muster_core::{Code, Error, Patch};
use muster_store::{NewChangeSet, NewCommit, UserRow};
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
                let found = connection.load_users_by_key(caller.tenant, &[email_user_key(email)], &fields).await?;
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
            let row = Row { record: 1, line: 0, key: Key::Id(id), edits };
            let chunk = Chunk { from: 0, to: 0, rows: vec![PreparedRow { user: Some(id), row }] };
            let rules =
                Rules { kind: JobKind::Update, overdraft: Overdraft::Reject, fields: &fields, columns: &columns };
            let (mut tx, reserved) = self.store().begin_commit(caller.tenant, 0).await?;
            let now = self.clock().now();
            let held = tx.lock_users(caller.tenant, &[id], &fields).await?.pop().map(|loaded| loaded.user);
            let held = held.filter(|user| !user.deleted).ok_or_else(|| EngineError::not_found("user"))?;
            check_version(&held, edit.if_version)?;
            let planned = plan_chunk(&chunk, caller.tenant, &rules, now, Source::Locked(&mut tx)).await?;
            if let Some(reason) = planned.outcomes.iter().find_map(|outcome| outcome.reason.as_ref()) {
                return Err(refused(&reason.error, &fields).into());
            }
            let commit = NewCommit { id: reserved.commit, at: now, job: None, actor: &caller.actor };
            if !commit::write(&mut tx, caller.tenant, planned, &commit).await? {
                // Somebody took the email or changed the fields in this moment; the next plan sees that.
                continue;
            }
            let user = tx.get_user(caller.tenant, id, &fields).await?.unwrap_or(held);
            tx.commit().await?;
            return Ok((user, fields));
        }
    }

    /// Deletes a live user: it keeps everything, matches nothing, and gives up its email. Refuses with `version_mismatch`
    /// where the user must have a version and has another.
    pub async fn delete_user(&self, caller: &Caller, id: UserId, if_version: Option<i64>) -> Result<()> {
        caller.require(Scope::UsersDelete)?;
        loop {
            let fields = self.fields(caller.tenant).await?;
            let (mut tx, reserved) = self.store().begin_commit(caller.tenant, 0).await?;
            let held = tx.lock_users(caller.tenant, &[id], &fields).await?.pop().map(|loaded| loaded.user);
            let mut user = held.filter(|user| !user.deleted).ok_or_else(|| EngineError::not_found("user"))?;
            check_version(&user, if_version)?;
            let (version, now) = (user.version, self.clock().now());
            let new = Some(Value::Boolean(true));
            let changes = vec![Change { field: FieldNumber::DELETED, op: Operator::Overwrite, old: None, new }];
            let mut planned = PlannedChunk { index: IndexChanges::new(&fields), ..PlannedChunk::default() };
            planned.index.note(&user, &changes, &fields);
            user.apply(&changes, now);
            planned.releases.extend(user.email.as_deref().map(|email| (email_user_key(email), id)));
            let data = changes_to_stored(&changes, &fields);
            planned.sets.push(NewChangeSet { user: id, version: user.version, line: 0, data });
            planned.touched.insert(FieldNumber::DELETED);
            planned.updated.push(UserRow::new(&user, version, &fields));
            let commit = NewCommit { id: reserved.commit, at: now, job: None, actor: &caller.actor };
            if commit::write(&mut tx, caller.tenant, planned, &commit).await? {
                return Ok(tx.commit().await?);
            }
        }
    }
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
