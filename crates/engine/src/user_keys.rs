//! API keys that are made for a user of the community and can be changed. What they may do is said by their scopes, as for every
//! key: that they belong to somebody only says for whom they are.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::keys::{MadeKey, NewKey, check_granted, checked_name};
use jiff::Timestamp;
use muster_core::Patch;
use muster_core::id::{KeyId, UserId};
use muster_core::scope::Scope;
use muster_store::{ApiKey, Connection};

/// What somebody wants to change about a key. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct KeyEdit {
    /// Its name.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Option<Vec<Scope>>,
    /// From when on it is refused.
    pub expires_at: Patch<Timestamp>,
    /// Whether it may be used now.
    pub active: Option<bool>,
}

impl Engine {
    /// Makes a key for a live user of the caller's community, or for nobody. Refuses as [`Engine::grant_key`] does, and with
    /// `not_found` for a user who is not there.
    pub async fn grant_key_for(&self, caller: &Caller, new: &NewKey, user: Option<UserId>) -> Result<MadeKey> {
        caller.require(Scope::KeysWrite)?;
        self.check_new_key(caller, new)?;
        if let Some(user) = user {
            check_user(&mut self.store().read().await?, caller, user).await?;
        }
        let (mut tx, mut made) = self.insert_key(caller.tenant, caller.community, new).await?;
        made.key.user = user;
        tx.update_api_key(&made.key).await?;
        caller.commit(tx).await?;
        Ok(made)
    }

    /// Changes a key of a user, or one that was made for nobody. Refuses with `scope_escalation` to grant what the caller lacks,
    /// and with `not_found` a user or a key that is not there, the key of another user, and one that was revoked.
    pub async fn edit_user_key(&self, caller: &Caller, user: UserId, id: KeyId, edit: &KeyEdit) -> Result<ApiKey> {
        caller.require(Scope::KeysWrite)?;
        check_granted(caller, edit.scopes.as_deref().unwrap_or_default())?;
        let mut tx = self.store().begin().await?;
        check_user(&mut tx, caller, user).await?;
        let held = tx.get_api_key(caller.tenant, id).await?.filter(|key| key.revoked_at.is_none());
        let mut key = held.filter(|key| is_of(key, user)).ok_or_else(|| EngineError::not_found("key"))?;
        let before = end_of(&key);
        if let Some(name) = &edit.name {
            key.name = checked_name(name)?.to_owned();
        }
        if let Some(scopes) = &edit.scopes {
            key.scopes = scopes.clone();
            key.scopes.sort_unstable();
            key.scopes.dedup();
        }
        match edit.expires_at {
            Patch::Keep => {}
            Patch::Clear => key.expires_at = None,
            Patch::Set(time) => key.expires_at = Some(time),
        }
        key.active = edit.active.unwrap_or(key.active);
        // Whoever makes a key usable again, or for longer, gives all that it may do.
        if end_of(&key) > before {
            check_granted(caller, &key.scopes)?;
        }
        tx.update_api_key(&key).await?;
        caller.commit(tx).await?;
        Ok(key)
    }

    /// Revokes a key of a user, or one that was made for nobody, for good. Refuses with `not_found` as above.
    pub async fn withdraw_user_key(&self, caller: &Caller, user: UserId, id: KeyId) -> Result<ApiKey> {
        caller.require(Scope::KeysWrite)?;
        let mut connection = self.store().read().await?;
        check_user(&mut connection, caller, user).await?;
        let held = connection.get_api_key(caller.tenant, id).await?.filter(|key| is_of(key, user));
        drop(connection);
        self.withdraw_key(caller, held.ok_or_else(|| EngineError::not_found("key"))?.id).await
    }

    /// The caller's own key. Whoever has one may know what it may do.
    pub async fn own_key(&self, caller: &Caller) -> Result<ApiKey> {
        let id = caller.actor.id.parse().map_err(|_| EngineError::not_found("key"))?;
        let found = self.store().read().await?.get_api_key(caller.tenant, id).await?;
        found.ok_or_else(|| EngineError::not_found("key"))
    }
}

/// Until when a key may be used; none where it may not at all.
fn end_of(key: &ApiKey) -> Option<Timestamp> {
    key.active.then(|| key.expires_at.unwrap_or(Timestamp::MAX))
}

fn is_of(key: &ApiKey, user: UserId) -> bool {
    key.user.is_none_or(|of| of == user)
}

async fn check_user(connection: &mut Connection, caller: &Caller, user: UserId) -> Result<()> {
    let found = connection.find_users_by_id(caller.tenant, &[user], true).await?;
    found.first().map(drop).ok_or_else(|| EngineError::not_found("user"))
}
