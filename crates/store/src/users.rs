//! Users and what names them, loaded and written a chunk at a time.

use crate::connection::{Row, params};
use crate::error::Result;
use crate::rows::Rows;
use crate::{Connection, Store, Transaction};
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::{Tenant, UserId};
use muster_core::identity::after_prefix;
use muster_core::key::UserKey;
use muster_core::user::{User, Values, identities_from_stored, identities_to_stored};
use std::collections::{BTreeMap, BTreeSet};

/// Whose keys are looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// Those of live users; each names one.
    Live,
    /// Those of deleted users; any number may have the same.
    Deleted,
}

impl Among {
    fn table(self) -> &'static str {
        match self {
            Self::Live => "user_keys",
            Self::Deleted => "deleted_user_keys",
        }
    }
}

/// Keys that change hands in a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyMoves {
    /// Keys that live users hold afterwards and did not before, in the order in which the database keeps them.
    pub claims: BTreeMap<UserKey, UserId>,
    /// Keys that live users held before and do not afterwards.
    pub releases: BTreeMap<UserKey, UserId>,
    /// Keys by which deleted users are known afterwards and were not before.
    pub buried: BTreeSet<(UserKey, UserId)>,
    /// Keys by which deleted users were known before and are not afterwards.
    pub raised: BTreeSet<(UserKey, UserId)>,
}

/// A user who was found, and by what position of the question.
#[derive(Clone, Debug)]
pub struct LoadedUser {
    /// The position in the list that was asked for.
    pub position: usize,
    /// The user.
    pub user: User,
}

/// A user as written: with the values in their stored form, made while planning so that committing has less to do.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// The id.
    pub id: UserId,
    /// The version.
    pub version: i64,
    /// The version that must be replaced; 0 for a user who is not there yet.
    pub planned: i64,
    email: Option<String>,
    identities: Option<String>,
    deleted: bool,
    field_values: String,
    created_at: i64,
    updated_at: i64,
}

impl UserRow {
    /// The row of a user, to be written over this version.
    pub fn new(user: &User, planned: i64, fields: &FieldSet) -> Self {
        Self {
            id: user.id,
            version: user.version,
            planned,
            email: user.email.clone(),
            identities: identities_to_stored(&user.identities),
            deleted: user.deleted,
            field_values: user.values.to_stored(fields),
            created_at: user.created_at.as_microsecond(),
            updated_at: user.updated_at.as_microsecond(),
        }
    }
}

/// Numbers that nobody else has or will get.
#[derive(Clone, Copy, Debug)]
pub struct Reserved {
    /// The first of the user ids.
    pub first_user: i64,
    /// How many user ids there are.
    pub users: usize,
    /// The number of the commit.
    pub commit: i64,
}

pub(crate) const COLUMNS: &str =
    "u.id, u.version, u.email, u.deleted, u.field_values, u.created_at, u.updated_at, u.identities";

pub(crate) fn user(row: &Row<'_>, first: usize, fields: &FieldSet) -> Result<User> {
    Ok(User {
        id: UserId(row.int(first)?),
        version: row.int(first + 1)?,
        email: row.opt_text(first + 2)?.map(str::to_owned),
        deleted: row.bool(first + 3)?,
        values: Values::from_stored(row.text(first + 4)?, fields)?,
        created_at: row.time(first + 5)?,
        updated_at: row.time(first + 6)?,
        identities: identities_from_stored(row.opt_text(first + 7)?)?,
    })
}

fn positions(count: usize) -> Vec<i64> {
    (0..count as i64).collect()
}

impl Connection {
    /// The users of these ids, deleted ones too, in no particular order.
    pub async fn load_users(&mut self, tenant: Tenant, ids: &[UserId], fields: &FieldSet) -> Result<Vec<LoadedUser>> {
        self.users_by_id(tenant, ids, fields, "").await
    }

    async fn users_by_id(
        &mut self,
        tenant: Tenant,
        ids: &[UserId],
        fields: &FieldSet,
        lock: &str,
    ) -> Result<Vec<LoadedUser>> {
        let rows = Rows::new().int("id", ids.iter().map(|id| id.0).collect()).int("position", positions(ids.len()));
        let join = self.dialect().join();
        let sql = format!(
            "SELECT r.position, {COLUMNS} FROM {{rows}} AS r {join} users AS u ON u.tenant = $1 AND u.id = r.id {lock}"
        );
        self.query_rows(&sql, params![tenant.0], &rows, |row| loaded(row, fields)).await
    }

    /// Who carries these keys: positions in the list, and ids.
    pub async fn find_users(&mut self, tenant: Tenant, among: Among, keys: &[UserKey]) -> Result<Vec<(usize, UserId)>> {
        let (join, table) = (self.dialect().join(), among.table());
        let sql = format!(
            "SELECT r.position, k.user_id FROM {{rows}} AS r
             {join} {table} AS k ON k.tenant = $1 AND k.field = r.field AND k.key = r.key"
        );
        let rows = key_rows(keys);
        self.query_rows(&sql, params![tenant.0], &rows, |row| Ok((row.int(0)? as usize, UserId(row.int(1)?)))).await
    }

    /// Who carries keys that begin with these; a position occurs as often as somebody does.
    pub async fn find_users_by_prefix(
        &mut self,
        tenant: Tenant,
        among: Among,
        prefixes: &[UserKey],
    ) -> Result<Vec<(usize, UserId)>> {
        let (join, table) = (self.dialect().join(), among.table());
        let sql = format!(
            "SELECT r.position, k.user_id FROM {{rows}} AS r
             {join} {table} AS k ON k.tenant = $1 AND k.field = r.field AND k.key >= r.key AND k.key < r.until"
        );
        let until = prefixes.iter().map(|prefix| after_prefix(&prefix.key)).collect();
        let rows = key_rows(prefixes).text("until", until);
        self.query_rows(&sql, params![tenant.0], &rows, |row| Ok((row.int(0)? as usize, UserId(row.int(1)?)))).await
    }

    /// Which of these ids are users, or live ones: positions in the list.
    pub async fn find_users_by_id(&mut self, tenant: Tenant, ids: &[UserId], live: bool) -> Result<Vec<usize>> {
        let rows = Rows::new().int("id", ids.iter().map(|id| id.0).collect()).int("position", positions(ids.len()));
        let join = self.dialect().join();
        let sql = format!(
            "SELECT r.position FROM {{rows}} AS r {join} users AS u ON u.tenant = $1 AND u.id = r.id
             WHERE NOT (u.deleted AND $2)"
        );
        self.query_rows(&sql, params![tenant.0, live], &rows, |row| Ok(row.int(0)? as usize)).await
    }

    /// One user, deleted or not.
    pub async fn get_user(&mut self, tenant: Tenant, id: UserId, fields: &FieldSet) -> Result<Option<User>> {
        Ok(self.load_users(tenant, &[id], fields).await?.pop().map(|loaded| loaded.user))
    }

    /// Live users in order of id, after one id.
    pub async fn list_users(
        &mut self,
        tenant: Tenant,
        after: UserId,
        limit: u32,
        fields: &FieldSet,
    ) -> Result<Vec<User>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM users AS u WHERE u.tenant = $1 AND u.id > $2 AND NOT u.deleted ORDER BY u.id LIMIT $3"
        );
        self.query(&sql, params![tenant.0, after.0, i64::from(limit)], |row| user(row, 0, fields)).await
    }
}

pub(crate) fn loaded(row: &Row<'_>, fields: &FieldSet) -> Result<LoadedUser> {
    Ok(LoadedUser { position: row.int(0)? as usize, user: user(row, 1, fields)? })
}

fn key_rows(keys: &[UserKey]) -> Rows {
    Rows::new()
        .int("field", keys.iter().map(|key| i64::from(key.field.0)).collect())
        .text("key", keys.iter().map(|key| key.key.clone()).collect())
        .int("position", positions(keys.len()))
}

impl Store {
    /// Begins a transaction for one commit of changes, with its number and this many ids for new users.
    pub async fn begin_commit(&self, tenant: Tenant, new_users: usize) -> Result<(Transaction, Reserved)> {
        let mut tx = self.begin().await?;
        let reserved = tx.reserve(tenant, new_users).await?;
        if !self.dialect().single_writer() {
            // Not waited for: whatever uses these numbers is durable only after this is.
            tx.batch("SET LOCAL synchronous_commit = off").await?;
            tx.commit().await?;
            tx = self.begin().await?;
        }
        Ok((tx, reserved))
    }
}

impl Transaction {
    async fn reserve(&mut self, tenant: Tenant, new_users: usize) -> Result<Reserved> {
        let count = new_users as i64;
        let sql = "UPDATE counters SET next_user = next_user + $2, next_commit = next_commit + 1 WHERE tenant = $1
                   RETURNING next_user - $2, next_commit - 1";
        let read = |row: &Row<'_>| Ok(Reserved { first_user: row.int(0)?, users: new_users, commit: row.int(1)? });
        self.query_one(sql, params![tenant.0, count], read).await
    }

    /// The users of these ids, locked until the transaction ends, in the order of their ids.
    pub async fn lock_users(&mut self, tenant: Tenant, ids: &[UserId], fields: &FieldSet) -> Result<Vec<LoadedUser>> {
        let lock = self.dialect().lock("u", "u.id");
        self.users_by_id(tenant, ids, fields, &lock).await
    }

    /// Gives keys up and takes others. Says whether all that were claimed were free; where one was not, the
    /// transaction is to be given up.
    pub async fn move_keys(&mut self, tenant: Tenant, moves: &KeyMoves) -> Result<bool> {
        self.remove_keys(tenant, Among::Live, &claim_rows(&moves.releases)).await?;
        self.remove_keys(tenant, Among::Deleted, &claim_rows(pairs(&moves.raised))).await?;
        self.add_keys(tenant, Among::Deleted, &claim_rows(pairs(&moves.buried))).await?;
        let claimed = self.add_keys(tenant, Among::Live, &claim_rows(&moves.claims)).await?;
        Ok(claimed == moves.claims.len() as u64)
    }

    /// Takes the keys that values of a field are from everybody, deleted or not.
    pub async fn clear_keys(&mut self, tenant: Tenant, field: FieldNumber) -> Result<()> {
        for among in [Among::Live, Among::Deleted] {
            let sql = format!("DELETE FROM {} WHERE tenant = $1 AND field = $2", among.table());
            self.execute(&sql, params![tenant.0, i64::from(field.0)]).await?;
        }
        Ok(())
    }

    async fn add_keys(&mut self, tenant: Tenant, among: Among, keys: &Rows) -> Result<u64> {
        let sql = format!(
            "INSERT INTO {} (tenant, field, key, user_id)
             SELECT $1, r.field, r.key, r.user_id FROM {{rows}} AS r ON CONFLICT DO NOTHING",
            among.table()
        );
        self.execute_rows(&sql, params![tenant.0], keys).await
    }

    async fn remove_keys(&mut self, tenant: Tenant, among: Among, keys: &Rows) -> Result<u64> {
        let table = among.table();
        // Not by `IN`, for which SQLite goes through all keys of the field.
        let sql = format!(
            "DELETE FROM {table} USING {{rows}} AS r WHERE {table}.tenant = $1 AND {table}.field = r.field
             AND {table}.key = r.key AND {table}.user_id = r.user_id"
        );
        self.execute_rows(&sql, params![tenant.0], keys).await
    }

    /// Whether these users still have these versions.
    pub async fn are_at_versions(&mut self, tenant: Tenant, users: &[(UserId, i64)]) -> Result<bool> {
        let join = self.dialect().join();
        let sql = format!(
            "SELECT 1 FROM {{rows}} AS r {join} users AS u ON u.tenant = $1 AND u.id = r.id AND u.version = r.version"
        );
        let rows = Rows::new()
            .int("id", users.iter().map(|(id, _)| id.0).collect())
            .int("version", users.iter().map(|(_, version)| *version).collect());
        Ok(self.query_rows(&sql, params![tenant.0], &rows, |_| Ok(())).await?.len() == users.len())
    }

    /// Adds users.
    pub async fn insert_users(&mut self, tenant: Tenant, users: Vec<UserRow>) -> Result<()> {
        let sql = "INSERT INTO users (tenant, id, version, email, identities, deleted, field_values, created_at, updated_at)
                   SELECT $1, r.id, r.version, r.email, r.identities, r.deleted, r.field_values, r.created_at, r.updated_at
                   FROM {rows} AS r";
        let rows = user_rows(users);
        self.execute_rows(sql, params![tenant.0], &rows).await.map(drop)
    }

    /// Writes users who exist, each only over the version that was planned. Says whether all still had it; where one had
    /// not, the transaction is to be given up.
    pub async fn update_users(&mut self, tenant: Tenant, users: Vec<UserRow>) -> Result<bool> {
        if !self.dialect().single_writer() {
            let ids = Rows::new().int("id", users.iter().map(|user| user.id.0).collect());
            let lock = self.dialect().lock("u", "u.id");
            let sql = format!("SELECT 1 FROM {{rows}} AS r JOIN users AS u ON u.tenant = $1 AND u.id = r.id {lock}");
            self.query_rows(&sql, params![tenant.0], &ids, |_| Ok(())).await?;
        }
        let sql =
            "UPDATE users SET version = r.version, email = r.email, identities = r.identities, deleted = r.deleted,
                   field_values = r.field_values, updated_at = r.updated_at
                   FROM {rows} AS r WHERE users.tenant = $1 AND users.id = r.id AND users.version = r.planned";
        let rows = user_rows(users);
        Ok(self.execute_rows(sql, params![tenant.0], &rows).await? == rows.len() as u64)
    }
}

fn pairs(keys: &BTreeSet<(UserKey, UserId)>) -> impl Iterator<Item = (&UserKey, &UserId)> {
    keys.iter().map(|(key, user)| (key, user))
}

fn claim_rows<'a>(claims: impl IntoIterator<Item = (&'a UserKey, &'a UserId)>) -> Rows {
    let (mut fields, mut keys, mut users) = (Vec::new(), Vec::new(), Vec::new());
    for (key, user) in claims {
        fields.push(i64::from(key.field.0));
        keys.push(key.key.clone());
        users.push(user.0);
    }
    Rows::new().int("field", fields).text("key", keys).int("user_id", users)
}

fn user_rows(mut users: Vec<UserRow>) -> Rows {
    Rows::new()
        .int("id", users.iter().map(|user| user.id.0).collect())
        .int("version", users.iter().map(|user| user.version).collect())
        .opt_text("email", users.iter_mut().map(|user| user.email.take()).collect())
        .opt_text("identities", users.iter_mut().map(|user| user.identities.take()).collect())
        .bool("deleted", users.iter().map(|user| user.deleted).collect())
        .int("updated_at", users.iter().map(|user| user.updated_at).collect())
        .int("created_at", users.iter().map(|user| user.created_at).collect())
        .int("planned", users.iter().map(|user| user.planned).collect())
        .json("field_values", users.into_iter().map(|user| user.field_values).collect())
}
