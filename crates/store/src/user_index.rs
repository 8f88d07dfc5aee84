//! The index over fields: which live users have a value, in the order of the values.
//!
//! It is written in the transaction of the users themselves. Keys are made by
//! [`muster_core::order::index_keys`]; here they are texts that compare by code point.

use crate::connection::{Row, params};
use crate::error::Result;
use crate::rows::Rows;
use crate::{Connection, Transaction};
use muster_core::field::FieldNumber;
use muster_core::id::{Tenant, UserId};
use std::collections::BTreeSet;

/// A live user has a value with this key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexEntry {
    /// The field.
    pub field: FieldNumber,
    /// The key of the value.
    pub key: String,
    /// The user.
    pub user: UserId,
}

fn entry_rows<'a>(entries: impl ExactSizeIterator<Item = &'a IndexEntry> + Clone) -> Rows {
    Rows::new()
        .int("field", entries.clone().map(|entry| i64::from(entry.field.0)).collect())
        .text("key", entries.clone().map(|entry| entry.key.clone()).collect())
        .int("user_id", entries.clone().map(|entry| entry.user.0).collect())
}

impl Transaction {
    /// Takes entries away and adds others. Taking away what is not there and adding what is changes nothing.
    pub async fn write_index_entries(
        &mut self,
        tenant: Tenant,
        adds: &BTreeSet<IndexEntry>,
        removes: &BTreeSet<IndexEntry>,
    ) -> Result<()> {
        // Not by `IN`, for which SQLite goes through all entries of the field.
        let sql = "DELETE FROM user_index USING {rows} AS r WHERE user_index.tenant = $1 AND
                   user_index.field = r.field AND user_index.key = r.key AND user_index.user_id = r.user_id";
        self.execute_rows(sql, params![tenant.0], &entry_rows(removes.iter())).await?;
        let sql = "INSERT INTO user_index (tenant, field, key, user_id)
                   SELECT $1, r.field, r.key, r.user_id FROM {rows} AS r ON CONFLICT DO NOTHING";
        self.execute_rows(sql, params![tenant.0], &entry_rows(adds.iter())).await.map(drop)
    }

    /// Takes every entry of a field away.
    pub async fn clear_index(&mut self, tenant: Tenant, field: FieldNumber) -> Result<()> {
        let sql = "DELETE FROM user_index WHERE tenant = $1 AND field = $2";
        self.execute(sql, params![tenant.0, i64::from(field.0)]).await.map(drop)
    }
}

impl Connection {
    /// Who has a value between two keys, both included, in order of the keys; at most so many entries.
    pub async fn find_by_index_range(
        &mut self,
        tenant: Tenant,
        field: FieldNumber,
        (low, high): (Option<&str>, Option<&str>),
        limit: u32,
    ) -> Result<Vec<UserId>> {
        let field = i64::from(field.0);
        let begin = "SELECT user_id FROM user_index WHERE tenant = $1 AND field = $2";
        let end = "ORDER BY key, user_id LIMIT $3";
        let user = |row: &Row<'_>| Ok(UserId(row.int(0)?));
        let (tenant, limit) = (tenant.0, i64::from(limit));
        match (low, high) {
            (None, None) => self.query(&format!("{begin} {end}"), params![tenant, field, limit], user).await,
            (Some(low), None) => {
                let sql = format!("{begin} AND key >= $4 {end}");
                self.query(&sql, params![tenant, field, limit, low], user).await
            }
            (None, Some(high)) => {
                let sql = format!("{begin} AND key <= $4 {end}");
                self.query(&sql, params![tenant, field, limit, high], user).await
            }
            (Some(low), Some(high)) => {
                let sql = format!("{begin} AND key >= $4 AND key <= $5 {end}");
                self.query(&sql, params![tenant, field, limit, low, high], user).await
            }
        }
    }

    /// Who has a value with one of these keys; at most so many entries.
    pub async fn find_by_index_keys(
        &mut self,
        tenant: Tenant,
        field: FieldNumber,
        keys: &[String],
        limit: u32,
    ) -> Result<Vec<UserId>> {
        let join = self.dialect().join();
        let sql = format!(
            "SELECT i.user_id FROM {{rows}} AS r
             {join} user_index AS i ON i.tenant = $1 AND i.field = $2 AND i.key = r.key LIMIT $3"
        );
        let rows = Rows::new().text("key", keys.to_vec());
        let params = params![tenant.0, i64::from(field.0), i64::from(limit)];
        self.query_rows(&sql, params, &rows, |row| Ok(UserId(row.int(0)?))).await
    }

    /// Entries of a field in order of key, equal ones by user, after one of them; at most so many.
    pub async fn list_index(
        &mut self,
        tenant: Tenant,
        field: FieldNumber,
        after: Option<(&str, UserId)>,
        descending: bool,
        limit: u32,
    ) -> Result<Vec<(String, UserId)>> {
        let field = i64::from(field.0);
        let begin = "SELECT key, user_id FROM user_index WHERE tenant = $1 AND field = $2";
        let (direction, beyond) = if descending { ("DESC", "<") } else { ("ASC", ">") };
        let order = format!("ORDER BY key {direction}, user_id LIMIT $3");
        let entry = |row: &Row<'_>| Ok((row.string(0)?, UserId(row.int(1)?)));
        let Some((key, user)) = after else {
            let sql = format!("{begin} {order}");
            return self.query(&sql, params![tenant.0, field, i64::from(limit)], entry).await;
        };
        // First the rest of the equal ones, which is a range of the index in either direction; then what lies beyond.
        let same = format!("{begin} AND key = $4 AND user_id > $5 ORDER BY user_id LIMIT $3");
        let mut entries = self.query(&same, params![tenant.0, field, i64::from(limit), key, user.0], entry).await?;
        let rest = i64::from(limit) - entries.len() as i64;
        if rest > 0 {
            let sql = format!("{begin} AND key {beyond} $4 {order}");
            entries.extend(self.query(&sql, params![tenant.0, field, rest, key], entry).await?);
        }
        Ok(entries)
    }

    /// Which of these entries are there: positions in the list.
    pub async fn find_index_entries(&mut self, tenant: Tenant, entries: &[IndexEntry]) -> Result<Vec<usize>> {
        let join = self.dialect().join();
        let sql = format!(
            "SELECT r.position FROM {{rows}} AS r {join} user_index AS i
             ON i.tenant = $1 AND i.field = r.field AND i.key = r.key AND i.user_id = r.user_id"
        );
        let rows = entry_rows(entries.iter()).int("position", (0..entries.len() as i64).collect());
        self.query_rows(&sql, params![tenant.0], &rows, |row| Ok(row.int(0)? as usize)).await
    }

    /// How many entries the community has.
    pub async fn count_index_entries(&mut self, tenant: Tenant) -> Result<u64> {
        let sql = "SELECT count(*) FROM user_index WHERE tenant = $1";
        self.query_one(sql, params![tenant.0], |row| Ok(row.int(0)? as u64)).await
    }
}
