//! Readings for the check of the whole store.

use crate::connection::params;
use crate::error::Result;
use crate::users::{COLUMNS, loaded};
use crate::{Connection, LoadedUser};
use muster_core::field::FieldSet;
use muster_core::id::{Tenant, UserId};
use muster_core::user::{Change, changes_from_stored};

/// A change set with nothing but what the check needs.
#[derive(Clone, Debug)]
pub struct Link {
    /// The user.
    pub user: UserId,
    /// The user's version afterwards.
    pub version: i64,
    /// What changed.
    pub changes: Vec<Change>,
}

impl Connection {
    /// All users, deleted ones too, in order of id, after one id.
    pub async fn list_all_users(
        &mut self,
        tenant: Tenant,
        after: UserId,
        limit: u32,
        fields: &FieldSet,
    ) -> Result<Vec<LoadedUser>> {
        let sql =
            format!("SELECT u.id, {COLUMNS} FROM users AS u WHERE u.tenant = $1 AND u.id > $2 ORDER BY u.id LIMIT $3");
        self.query(&sql, params![tenant.0, after.0, i64::from(limit)], |row| loaded(row, fields)).await
    }

    /// Change sets in order of user and version, after one of them.
    pub async fn list_links(
        &mut self,
        tenant: Tenant,
        after: (UserId, i64),
        limit: u32,
        fields: &FieldSet,
    ) -> Result<Vec<Link>> {
        let sql = "SELECT user_id, version, data FROM changes
                   WHERE tenant = $1 AND (user_id, version) > ($2, $3) ORDER BY user_id, version LIMIT $4";
        self.query(sql, params![tenant.0, after.0.0, after.1, i64::from(limit)], |row| {
            let changes = changes_from_stored(row.text(2)?, fields)?;
            Ok(Link { user: UserId(row.int(0)?), version: row.int(1)?, changes })
        })
        .await
    }

    /// How many keys the community's live users hold.
    pub async fn count_user_keys(&mut self, tenant: Tenant) -> Result<u64> {
        let sql = "SELECT count(*) FROM user_keys WHERE tenant = $1";
        self.query_one(sql, params![tenant.0], |row| Ok(row.int(0)? as u64)).await
    }
}
