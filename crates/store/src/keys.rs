//! API keys, and the tokens that they are changed into for a while. Neither is ever stored itself, only its hash.

use crate::connection::{Row, params};
use crate::error::{Result, StoreError};
use crate::{Connection, Transaction};
use jiff::Timestamp;
use muster_core::id::{KeyId, Tenant};
use muster_core::scope::Scope;

/// An API key as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The community it belongs to.
    pub tenant: Tenant,
    /// Its id.
    pub id: KeyId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// An API key to be stored.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Its id.
    pub id: KeyId,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

const COLUMNS: &str = "tenant, id, name, scopes, created_at, expires_at, revoked_at";

fn api_key(row: &Row<'_>) -> Result<ApiKey> {
    Ok(ApiKey {
        tenant: Tenant(row.int(0)?),
        id: row.parsed(1)?,
        name: row.string(2)?,
        scopes: row.json(3)?,
        created_at: row.time(4)?,
        expires_at: row.opt_time(5)?,
        revoked_at: row.opt_time(6)?,
    })
}

impl Connection {
    /// The key of this hash, valid or not.
    pub async fn find_api_key(&mut self, tenant: Tenant, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
        let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE tenant = $1 AND hash = $2");
        self.query_opt(&sql, params![tenant.0, &hash[..]], api_key).await
    }

    /// The key that a token of this hash stands for, valid or not; `None` where the token's own time is over.
    pub async fn find_api_key_of_token(
        &mut self,
        tenant: Tenant,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<ApiKey>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM api_keys WHERE tenant = $1
             AND id = (SELECT key_id FROM oauth_tokens WHERE tenant = $1 AND hash = $2 AND expires_at > $3)"
        );
        self.query_opt(&sql, params![tenant.0, &hash[..], now.as_microsecond()], api_key).await
    }

    /// Every key of the community, oldest first.
    pub async fn list_api_keys(&mut self, tenant: Tenant) -> Result<Vec<ApiKey>> {
        let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE tenant = $1 ORDER BY created_at, id");
        self.query(&sql, params![tenant.0], api_key).await
    }
}

impl Transaction {
    /// Stores a key.
    pub async fn insert_api_key(&mut self, tenant: Tenant, key: &NewApiKey, now: Timestamp) -> Result<ApiKey> {
        let scopes = serde_json::to_string(&key.scopes).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let sql = format!(
            "INSERT INTO api_keys (tenant, id, hash, name, scopes, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {COLUMNS}"
        );
        let expires = key.expires_at.map(|time| time.as_microsecond());
        let id = key.id.to_string();
        let params = params![tenant.0, &id, &key.hash[..], &key.name, &scopes, now.as_microsecond(), expires];
        self.query_one(&sql, params, api_key).await
    }

    /// Revokes a key; doing it again changes nothing. `None` where the community has no such key.
    pub async fn revoke_api_key(&mut self, tenant: Tenant, id: KeyId, now: Timestamp) -> Result<Option<ApiKey>> {
        let sql = format!(
            "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $3) WHERE tenant = $1 AND id = $2 RETURNING {COLUMNS}"
        );
        self.query_opt(&sql, params![tenant.0, &id.to_string(), now.as_microsecond()], api_key).await
    }

    /// Stores a token, and forgets those of the community whose time is over.
    pub async fn insert_oauth_token(
        &mut self,
        tenant: Tenant,
        hash: &[u8; 32],
        key: KeyId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let over = "DELETE FROM oauth_tokens WHERE tenant = $1 AND expires_at <= $2";
        self.execute(over, params![tenant.0, now.as_microsecond()]).await?;
        let sql = "INSERT INTO oauth_tokens (tenant, hash, key_id, expires_at) VALUES ($1, $2, $3, $4)";
        self.execute(sql, params![tenant.0, &hash[..], &key.to_string(), expires_at.as_microsecond()]).await?;
        Ok(())
    }
}
