//! Users by their place, for faces whose product counts pages, and users who are deleted.

use crate::Connection;
use crate::connection::params;
use crate::error::Result;
use crate::users::{COLUMNS, user};
use muster_core::field::FieldSet;
use muster_core::id::{Tenant, UserId};
use muster_core::user::User;

impl Connection {
    /// How many live users there are.
    pub async fn count_users(&mut self, tenant: Tenant) -> Result<u64> {
        let sql = "SELECT count(*) FROM users WHERE tenant = $1 AND NOT deleted";
        self.query_one(sql, params![tenant.0], |row| Ok(row.int(0)? as u64)).await
    }

    /// The live user behind so many others in order of id.
    pub async fn live_user_at(&mut self, tenant: Tenant, behind: u64) -> Result<Option<UserId>> {
        let sql = "SELECT id FROM users WHERE tenant = $1 AND NOT deleted ORDER BY id LIMIT 1 OFFSET $2";
        let behind = i64::try_from(behind).unwrap_or(i64::MAX);
        self.query_opt(sql, params![tenant.0, behind], |row| Ok(UserId(row.int(0)?))).await
    }

    /// Deleted users in order of id, after one id.
    pub async fn list_deleted_users(
        &mut self,
        tenant: Tenant,
        after: UserId,
        limit: u32,
        fields: &FieldSet,
    ) -> Result<Vec<User>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM users AS u WHERE u.tenant = $1 AND u.id > $2 AND u.deleted ORDER BY u.id LIMIT $3"
        );
        self.query(&sql, params![tenant.0, after.0, i64::from(limit)], |row| user(row, 0, fields)).await
    }
}
