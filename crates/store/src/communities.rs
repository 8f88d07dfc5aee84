//! Communities and their counters.

use crate::connection::{Row, params};
use crate::error::{Result, StoreError};
use crate::{Connection, Transaction};
use jiff::Timestamp;
use muster_core::field::FieldNumber;
use muster_core::id::{CommunityId, Tenant};
use muster_core::settings::Settings;

/// A community.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Community {
    /// Its number in the store.
    pub tenant: Tenant,
    /// Its id on the wire.
    pub id: CommunityId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it decides for itself.
    pub settings: Settings,
}

const COLUMNS: &str = "tenant, id, name, created_at, settings";

fn community(row: &Row<'_>) -> Result<Community> {
    Ok(Community {
        tenant: Tenant(row.int(0)?),
        id: row.parsed(1)?,
        name: row.string(2)?,
        created_at: row.time(3)?,
        settings: row.json(4)?,
    })
}

impl Transaction {
    /// Makes a community without fields.
    pub async fn insert_community(&mut self, id: CommunityId, name: &str, now: Timestamp) -> Result<Community> {
        let sql = format!(
            "INSERT INTO communities (tenant, id, name, created_at)
             SELECT coalesce(max(tenant), 0) + 1, $1, $2, $3 FROM communities RETURNING {COLUMNS}"
        );
        let made = self.query_one(&sql, params![&id.to_string(), name, now.as_microsecond()], community).await?;
        self.execute(
            "INSERT INTO counters (tenant, next_user, next_commit, next_job, next_field) VALUES ($1, 1, 1, 1, $2)",
            params![made.tenant.0, i64::from(FieldNumber::FIRST.0)],
        )
        .await?;
        Ok(made)
    }

    /// A community that nobody else changes until the transaction ends.
    pub async fn lock_community(&mut self, tenant: Tenant) -> Result<Option<Community>> {
        let sql = format!("UPDATE communities SET name = name WHERE tenant = $1 RETURNING {COLUMNS}");
        self.query_opt(&sql, params![tenant.0], community).await
    }

    /// Writes the name and the settings of a community.
    pub async fn write_community(&mut self, community: &Community) -> Result<()> {
        let settings =
            serde_json::to_string(&community.settings).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let sql = "UPDATE communities SET name = $2, settings = $3 WHERE tenant = $1";
        self.execute(sql, params![community.tenant.0, &community.name, &settings]).await.map(drop)
    }
}

impl Connection {
    /// Every community, oldest first.
    pub async fn list_communities(&mut self) -> Result<Vec<Community>> {
        self.query(&format!("SELECT {COLUMNS} FROM communities ORDER BY tenant"), &[], community).await
    }

    /// The community of an id.
    pub async fn find_community(&mut self, id: CommunityId) -> Result<Option<Community>> {
        let sql = format!("SELECT {COLUMNS} FROM communities WHERE id = $1");
        self.query_opt(&sql, params![&id.to_string()], community).await
    }

    /// The community of a number.
    pub async fn get_community(&mut self, tenant: Tenant) -> Result<Option<Community>> {
        let sql = format!("SELECT {COLUMNS} FROM communities WHERE tenant = $1");
        self.query_opt(&sql, params![tenant.0], community).await
    }

    /// What a community that exists decided for itself.
    pub async fn get_settings(&mut self, tenant: Tenant) -> Result<Settings> {
        let sql = "SELECT settings FROM communities WHERE tenant = $1";
        self.query_one(sql, params![tenant.0], |row| row.json(0)).await
    }
}
