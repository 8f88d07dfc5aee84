//! Single users: read, changed, deleted.

use crate::caller::Caller;
use crate::change::{Edits, OneChange, writable};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::lookup::{Found, find};
use jiff::Timestamp;
use muster_core::email::parse_email;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::UserId;
use muster_core::identity::Identity;
use muster_core::job::JobKind;
use muster_core::key::{Key, UserKey};
use muster_core::scope::Scope;
use muster_core::user::{Operator, User};
use muster_core::value::{Value, patch_from_json};
use muster_core::{Code, Error, Patch};
use muster_store::{Among, HistoryFilter, Place};
use serde_json::Value as Json;

/// How many change sets are read at a time to find how a user was.
const TAKEN_BACK: u32 = 500;

/// What somebody wants to change about a user.
#[derive(Clone, Debug, Default)]
pub struct UserEdit {
    /// The email.
    pub email: Patch<String>,
    /// Identities that the user gets beside those that it has.
    pub identities: Vec<Identity>,
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

    /// The live user whom a key names, for somebody who has the scope for what is to be done next. Refuses with
    /// `user_not_found`, or with `ambiguous_match` where there are several.
    pub async fn find_user(&self, caller: &Caller, scope: Scope, key: &Key) -> Result<(User, FieldSet)> {
        caller.require(scope)?;
        let fields = self.fields(caller.tenant).await?;
        let mut connection = self.store().read().await?;
        let found = find(&mut connection, caller.tenant, JobKind::Update, &[key]).await?.remove(0);
        if found == Found::Several {
            let detail = format!("There are several users with {}; say the language too.", key.describe(&fields));
            return Err(EngineError::refuse(Code::AmbiguousMatch, detail));
        }
        let user = match found.one() {
            Some(id) => connection.get_user(caller.tenant, id, &fields).await?.filter(|user| !user.deleted),
            None => None,
        };
        let nobody = || EngineError::refuse(Code::UserNotFound, format!("Nobody has {}.", key.describe(&fields)));
        let user = user.ok_or_else(nobody)?;
        Ok((user, fields))
    }

    /// A user as it was at a time: as the last of its versions that was made until then had left it. One who was not there
    /// yet, or was deleted then, is not found. Refuses with `history_expired` where that part of the history was pruned.
    pub async fn get_user_at(&self, caller: &Caller, id: UserId, at: Timestamp) -> Result<(User, FieldSet)> {
        caller.require(Scope::UsersRead)?;
        let fields = self.fields(caller.tenant).await?;
        let mut connection = self.store().read().await?;
        let found = connection.get_user(caller.tenant, id, &fields).await?;
        let mut user = found.ok_or_else(|| EngineError::not_found("user"))?;
        while user.version > 0 {
            // Order is by version: clocks of several processes disagree.
            let before = Some(Place::Version(user.version + 1));
            let newest = HistoryFilter { user: Some(id), before, ..HistoryFilter::default() };
            let sets = connection.list_changes(caller.tenant, &newest, TAKEN_BACK, &fields).await?;
            if sets.is_empty() {
                break;
            }
            for set in sets {
                if set.commit.at <= at {
                    user.updated_at = set.commit.at;
                    let live = Some(user).filter(|user| !user.deleted);
                    return live.map(|user| (user, fields)).ok_or_else(|| EngineError::not_found("user"));
                }
                user.take_back(&set.changes);
            }
        }
        let openings = connection.list_openings(caller.tenant, &[id], &fields).await?;
        let Some(opening) = openings.first() else { return Err(EngineError::not_found("user")) };
        if opening.version != user.version || opening.at > at {
            let detail = format!("The user's history begins at {}; what was before is over its time.", opening.at);
            return Err(EngineError::refuse(Code::HistoryExpired, detail));
        }
        user.updated_at = opening.at;
        let live = Some(user).filter(|user| !user.deleted);
        live.map(|user| (user, fields)).ok_or_else(|| EngineError::not_found("user"))
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
    pub async fn edit_user(&self, caller: &Caller, user: impl Into<Key>, edit: &UserEdit) -> Result<(User, FieldSet)> {
        caller.require(Scope::UsersWrite)?;
        let key = user.into();
        let one = |fields: &FieldSet| {
            Ok(OneChange {
                kind: JobKind::Update,
                key: key.clone(),
                edits: edits(edit, fields)?,
                if_version: edit.if_version,
            })
        };
        let changed = self.change_user(caller, one).await?;
        caller.commit(changed.tx).await?;
        Ok((changed.user, changed.fields))
    }

    /// Deletes a live user: it keeps everything, matches nothing, and gives up what names it. Refuses with
    /// `version_mismatch` where the user must have a version and has another.
    pub async fn delete_user(&self, caller: &Caller, user: impl Into<Key>, if_version: Option<i64>) -> Result<()> {
        caller.require(Scope::UsersDelete)?;
        let key = user.into();
        let one = |_: &FieldSet| {
            Ok(OneChange { kind: JobKind::Delete, key: key.clone(), edits: Edits::default(), if_version })
        };
        let changed = self.change_user(caller, one).await?;
        caller.commit(changed.tx).await
    }

    /// Brings a deleted user back, with its values and its history. Refuses with `not_unique` where somebody has taken
    /// what named it. One who is not deleted stays as it is.
    pub async fn restore_user(&self, caller: &Caller, id: UserId) -> Result<(User, FieldSet)> {
        caller.require(Scope::UsersDelete)?;
        let one = |_: &FieldSet| {
            Ok(OneChange { kind: JobKind::Restore, key: Key::Id(id), edits: Edits::default(), if_version: None })
        };
        let changed = self.change_user(caller, one).await?;
        caller.commit(changed.tx).await?;
        Ok((changed.user, changed.fields))
    }
}

/// The edits of a request. Refuses all that cannot be, with its places.
pub(crate) fn edits(edit: &UserEdit, fields: &FieldSet) -> Result<Edits, Error> {
    let mut edits = Edits::default();
    let mut wrong: Vec<Error> = edits.push_email("/email", &edit.email).err().into_iter().collect();
    if !edit.identities.is_empty() {
        let patch = Patch::Set((Operator::Add, Value::Identities(edit.identities.clone())));
        edits.push(FieldNumber::IDENTITIES, "identities", "/identities".to_owned(), patch);
    }
    for (key, json) in &edit.values {
        let pointer = format!("/values/{key}");
        let patch = |field| {
            let patch = patch_from_json(field, json);
            patch.map_err(|misfit| Error::at(&*pointer, misfit.code, misfit.message)).map(|patch| (field.number, patch))
        };
        match writable(fields, key, &pointer).and_then(patch) {
            Ok((number, patch)) => edits.push(number, key, pointer, patch),
            Err(error) => wrong.push(error),
        }
    }
    Error::all(wrong).map(|()| edits)
}
