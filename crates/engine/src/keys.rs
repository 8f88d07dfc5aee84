//! API keys: made, listed, revoked, and checked.
//!
//! A key is 64 characters: the 24 hex digits of its community, so that looking it up goes to one place, and 40 letters and
//! digits of which each is one of 62 (238 random bits). It is shown once; what is stored is its SHA-256, which needs no
//! salt and no slowness because nobody can guess 238 bits.
//!
//! A token stands for a key for half an hour and dies with it. It is made and stored as keys are: with a signature nothing
//! would have to be stored, but whoever read the secret to sign with in the database could make a token of any key.

use crate::caller::Caller;
use crate::clock::key_id;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use jiff::{SignedDuration, Timestamp};
use muster_core::actor::{Actor, ActorKind};
use muster_core::id::{CommunityId, KeyId, Tenant};
use muster_core::job::is_name;
use muster_core::scope::Scope;
use muster_core::{Code, Error};
use muster_store::{ApiKey, Community, NewApiKey, Transaction};
use rand::distr::{Alphanumeric, SampleString};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};

/// The length of a key.
const KEY_LENGTH: usize = 64;
/// The length of a token, by which it is told from a key.
const TOKEN_LENGTH: usize = 72;
/// How much of either names the community.
const COMMUNITY_LENGTH: usize = 24;
/// How long a token can be used.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(30);

/// A key that somebody wants to have.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// A key that was made. Nothing shows the text again.
#[derive(Clone, Debug)]
pub struct MadeKey {
    /// What is known about it.
    pub key: ApiKey,
    /// The key itself.
    pub secret: String,
}

/// A token that was issued. Nothing shows the text again.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token itself.
    pub secret: String,
    /// The key that it stands for.
    pub key: ApiKey,
    /// Who the key makes somebody.
    pub caller: Caller,
    /// The community of the key.
    pub community: Community,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// What came of looking at a key.
#[derive(Clone, Debug)]
pub enum KeyCheck {
    /// It is good.
    Valid(Caller),
    /// It is none of ours, was revoked, or has expired.
    Invalid,
}

impl Engine {
    /// Makes a key for a community.
    pub async fn create_key(&self, community: &Community, new: &NewKey) -> Result<MadeKey> {
        let (tx, made) = self.insert_key(community.tenant, community.id, new).await?;
        tx.commit().await?;
        Ok(made)
    }

    pub(crate) async fn insert_key(
        &self,
        tenant: Tenant,
        of: CommunityId,
        new: &NewKey,
    ) -> Result<(Transaction, MadeKey)> {
        let name = checked_name(&new.name)?;
        let secret = secret(of, KEY_LENGTH);
        let mut scopes = new.scopes.clone();
        scopes.sort_unstable();
        scopes.dedup();
        let stored = NewApiKey {
            id: key_id(),
            hash: Sha256::digest(&secret).into(),
            name: name.to_owned(),
            scopes,
            expires_at: new.expires_at,
        };
        let mut tx = self.store().begin().await?;
        let key = tx.insert_api_key(tenant, &stored, self.clock().now()).await?;
        Ok((tx, MadeKey { key, secret }))
    }

    /// Makes a key for the caller's community. It cannot have a scope that the caller lacks (`scope_escalation`), nor an end
    /// that is past.
    pub async fn grant_key(&self, caller: &Caller, new: &NewKey) -> Result<MadeKey> {
        caller.require(Scope::KeysWrite)?;
        self.check_new_key(caller, new)?;
        let (tx, made) = self.insert_key(caller.tenant, caller.community, new).await?;
        caller.commit(tx).await?;
        Ok(made)
    }

    /// Refuses a key that the caller cannot make for somebody.
    pub(crate) fn check_new_key(&self, caller: &Caller, new: &NewKey) -> Result<()> {
        if new.expires_at.is_some_and(|end| end <= self.clock().now()) {
            let message = "this time is past; send a later one, or none for a key without an end";
            return Err(Error::at("/expires_at", Code::InvalidRequest, message).into());
        }
        check_granted(caller, &new.scopes)
    }

    /// The keys of a community.
    pub async fn list_keys(&self, community: &Community) -> Result<Vec<ApiKey>> {
        Ok(self.store().read().await?.list_api_keys(community.tenant).await?)
    }

    /// Revokes a key of a community, from this moment on and for good.
    pub async fn revoke_key(&self, community: &Community, id: KeyId) -> Result<ApiKey> {
        let mut tx = self.store().begin().await?;
        let revoked = tx.revoke_api_key(community.tenant, id, self.clock().now()).await?;
        tx.commit().await?;
        revoked.ok_or_else(|| EngineError::not_found("key"))
    }

    /// The keys of the caller's community.
    pub async fn granted_keys(&self, caller: &Caller) -> Result<Vec<ApiKey>> {
        caller.require(Scope::KeysWrite)?;
        self.list_keys(&self.find_community(caller.community).await?).await
    }

    /// Revokes a key of the caller's community, which may be the caller's own.
    pub async fn withdraw_key(&self, caller: &Caller, id: KeyId) -> Result<ApiKey> {
        caller.require(Scope::KeysWrite)?;
        let mut tx = self.store().begin().await?;
        let revoked = tx.revoke_api_key(caller.tenant, id, self.clock().now()).await?;
        let revoked = revoked.ok_or_else(|| EngineError::not_found("key"))?;
        caller.commit(tx).await?;
        Ok(revoked)
    }

    /// Looks at a key, or a token of one, that somebody sent.
    pub async fn check_key(&self, secret: &str) -> Result<KeyCheck> {
        let found = self.find_key(secret).await?;
        Ok(found.map_or(KeyCheck::Invalid, |(community, key)| KeyCheck::Valid(caller_of(&community, &key))))
    }

    /// Issues a token for a key, if that is valid and has this id.
    pub async fn issue_token(&self, key_id: &str, secret_of_key: &str) -> Result<Option<IssuedToken>> {
        // A token does not beget tokens.
        let found = match secret_of_key.len() {
            KEY_LENGTH => self.find_key(secret_of_key).await?,
            _ => None,
        };
        let Some((community, key)) = found.filter(|(_, key)| key.id.to_string() == key_id) else {
            return Ok(None);
        };
        let issued_at = self.clock().now();
        let end = issued_at.checked_add(TOKEN_LIFE).unwrap_or(Timestamp::MAX);
        let expires_at = key.expires_at.map_or(end, |end_of_key| end.min(end_of_key));
        let secret = secret(community.id, TOKEN_LENGTH);
        let hash = Sha256::digest(&secret).into();
        let mut tx = self.store().begin().await?;
        tx.insert_oauth_token(community.tenant, &hash, key.id, expires_at, issued_at).await?;
        tx.commit().await?;
        let caller = caller_of(&community, &key);
        Ok(Some(IssuedToken { secret, key, caller, community, issued_at, expires_at }))
    }

    /// The valid key that a text is or stands for.
    async fn find_key(&self, secret: &str) -> Result<Option<(Community, ApiKey)>> {
        let is_token = secret.len() == TOKEN_LENGTH;
        let community = secret.get(..COMMUNITY_LENGTH).filter(|_| is_token || secret.len() == KEY_LENGTH);
        let Some(id) = community.and_then(|id| id.parse::<CommunityId>().ok()) else {
            return Ok(None);
        };
        let mut connection = self.store().read().await?;
        let Some(community) = connection.find_community(id).await? else {
            return Ok(None);
        };
        let (hash, now) = (Sha256::digest(secret).into(), self.clock().now());
        let found = match is_token {
            true => connection.find_api_key_of_token(community.tenant, &hash, now).await?,
            false => connection.find_api_key(community.tenant, &hash).await?,
        };
        let valid = |key: &ApiKey| key.is_valid(now);
        Ok(found.filter(valid).map(|key| (community, key)))
    }
}

fn caller_of(community: &Community, key: &ApiKey) -> Caller {
    Caller {
        tenant: community.tenant,
        community: community.id,
        actor: Actor { kind: ActorKind::ApiKey, id: key.id.to_string(), name: key.name.clone() },
        scopes: key.scopes.clone(),
        reservation: None,
    }
}

/// A secret of this length that begins with its community.
fn secret(community: CommunityId, length: usize) -> String {
    let random = Alphanumeric.sample_string(&mut UnwrapErr(SysRng), length - COMMUNITY_LENGTH);
    format!("{community}{random}")
}

/// The name of a key without spaces around it. Refuses with `invalid_request` what cannot be one.
pub(crate) fn checked_name(name: &str) -> Result<&str> {
    let message = "A key has a name of 1 to 100 characters, none of them a control character.";
    let name = name.trim();
    if is_name(name, 100) { Ok(name) } else { Err(EngineError::refuse(Code::InvalidRequest, message)) }
}

/// Refuses with `scope_escalation` to grant what the caller lacks.
pub(crate) fn check_granted(caller: &Caller, scopes: &[Scope]) -> Result<()> {
    match scopes.iter().find(|scope| !caller.scopes.contains(scope)) {
        None => Ok(()),
        Some(scope) => {
            let detail = format!("Your key does not have the scope {scope} and cannot grant it.");
            Err(EngineError::refuse(Code::ScopeEscalation, detail))
        }
    }
}
