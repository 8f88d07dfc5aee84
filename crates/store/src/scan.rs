//! Live users looked through in order of id, a window of ids at a time, so that no statement takes long.

use crate::Connection;
use crate::connection::{Param, params};
use crate::error::Result;
use crate::prefilter::{Operand, Prefilter};
use crate::users::{COLUMNS, user};
use muster_core::field::FieldSet;
use muster_core::filter::Filter;
use muster_core::id::{Tenant, UserId};
use muster_core::user::User;

/// The users of a community that a filter may match: as SQL as far as that goes.
#[derive(Clone, Debug)]
pub struct Scan {
    tenant: Tenant,
    prefilter: Prefilter,
}

impl Scan {
    /// A scan that lets through everybody whom the filter matches, and possibly others.
    pub fn new(tenant: Tenant, filter: &Filter, fields: &FieldSet) -> Self {
        Self { tenant, prefilter: Prefilter::new(filter, fields, 5) }
    }
}

impl Connection {
    /// The greatest id of a user; 0 where there is none.
    pub async fn last_user_id(&mut self, tenant: Tenant) -> Result<UserId> {
        let sql = "SELECT coalesce(max(id), 0) FROM users WHERE tenant = $1";
        self.query_one(sql, params![tenant.0], |row| Ok(UserId(row.int(0)?))).await
    }

    /// Live users of a scan whose ids lie after the first and not after the second, in order of id, or the other way
    /// round; at most so many.
    pub async fn scan_users(
        &mut self,
        scan: &Scan,
        (after, upto): (UserId, UserId),
        descending: bool,
        limit: u32,
        fields: &FieldSet,
    ) -> Result<Vec<User>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM users AS u
             WHERE u.tenant = $1 AND u.id > $2 AND u.id <= $3 AND NOT u.deleted AND {}
             ORDER BY u.id {} LIMIT $4",
            scan.prefilter.sql,
            if descending { "DESC" } else { "ASC" }
        );
        let mut params =
            vec![Param::Int(scan.tenant.0), Param::Int(after.0), Param::Int(upto.0), Param::Int(i64::from(limit))];
        params.extend(scan.prefilter.params.iter().map(|operand| match operand {
            Operand::Int(number) => Param::Int(*number),
            Operand::Text(text) => Param::Text(text),
        }));
        self.query_once(&sql, &params, |row| user(row, 0, fields)).await
    }
}
