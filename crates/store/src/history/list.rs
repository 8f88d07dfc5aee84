//! The history found again. Every question is answered from one range of an index, whatever the other changes are:
//!
//! | asked for | read from |
//! | --- | --- |
//! | everything, a time | `commits (tenant, at, id)` |
//! | a job | `commits (tenant, job_id, at, id)` |
//! | a field | `commit_fields (tenant, field, at, commit_id)`, which names the change sets |
//! | a field of a job | `commit_fields (tenant, job_id, field, at, commit_id)` |
//! | a user | `changes (tenant, user_id, version)` |
//! | a user's field, job or time | blocks of versions that have it: `user_blocks (tenant, user_id, facet, block)` |
//!
//! What one user did is in the order of versions. All else is in the order of the times of commits, and of commits of the
//! same time in that of their numbers: clocks of several processes disagree, and a list by number could not be narrowed to
//! a time without reading what lies around it.

use super::blocks::{ALL, BLOCK, of_field, of_job};
use super::touched::Runs;
use super::{COMMIT_SPAN, ChangeSet, CommitInfo, HistoryFilter, Place};
use crate::Connection;
use crate::connection::{Param, Row, params};
use crate::dialect::Dialect;
use crate::error::{Result, StoreError};
use crate::rows::Rows;
use jiff::Timestamp;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::{Tenant, UserId};
use muster_core::user::{Change, changes_from_stored};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// How many blocks of a user are read at first, and at a time at most when those hold too little.
const BLOCKS: (i64, i64) = (2, 16);

/// A range of times in microseconds, the end not included.
#[derive(Clone, Copy)]
struct Times {
    since: i64,
    until: i64,
}

impl Times {
    fn of(filter: &HistoryFilter) -> Self {
        // Times are stored to the microsecond: what is not later than a part of one is before the next.
        let micros = |time: Timestamp| {
            let cut = time.as_microsecond();
            let exact = Timestamp::from_microsecond(cut).is_ok_and(|whole| whole >= time);
            if exact { cut } else { cut.saturating_add(1) }
        };
        Self { since: filter.since.map_or(i64::MIN, micros), until: filter.until.map_or(i64::MAX, micros) }
    }
}

/// A commit, and which of its change sets may be what is asked for.
struct Commit {
    id: i64,
    at: i64,
    sets: Runs,
}

impl Connection {
    /// Change sets, newest first: of one user in the order of the user's versions, else in that of the times of commits.
    /// A set that is listed for a field touches it.
    pub async fn list_changes(
        &mut self,
        tenant: Tenant,
        filter: &HistoryFilter,
        limit: u32,
        fields: &FieldSet,
    ) -> Result<Vec<ChangeSet>> {
        match filter.user {
            Some(user) => self.list_changes_of_user(tenant, user, filter, limit, fields).await,
            None => self.list_changes_of_all(tenant, filter, limit, fields).await,
        }
    }

    async fn list_changes_of_all(
        &mut self,
        tenant: Tenant,
        filter: &HistoryFilter,
        limit: u32,
        fields: &FieldSet,
    ) -> Result<Vec<ChangeSet>> {
        let limit = limit as usize;
        let times = Times::of(filter);
        let (mut end, last) = match filter.before {
            // A commit of which some sets were listed is looked at again.
            Some(Place::Set(at, seq)) => ((at.as_microsecond(), seq / COMMIT_SPAN + 1), seq),
            Some(Place::Version(_)) | None => ((i64::MAX, 0), i64::MAX),
        };
        end = end.min((times.until, 0));
        let mut found = Vec::new();
        loop {
            let commits = self.list_commits(tenant, filter, times.since, end, limit).await?;
            let Some(oldest) = commits.last() else { return Ok(found) };
            end = (oldest.at, oldest.id);
            let numbers = |commit: &Commit| {
                let first = commit.id * COMMIT_SPAN;
                commit.sets.iter_backwards().map(move |place| first + i64::from(place)).collect::<Vec<_>>()
            };
            let mut numbers = commits.iter().flat_map(numbers).filter(|seq| {
                // Only the first commit can hold the place where the page before ended.
                *seq < last || last / COMMIT_SPAN != seq / COMMIT_SPAN
            });
            loop {
                let some: Vec<i64> = numbers.by_ref().take(limit).collect();
                if some.is_empty() {
                    break;
                }
                found.extend(self.load_sets(tenant, some, filter.field, fields).await?);
                if found.len() >= limit {
                    found.truncate(limit);
                    return Ok(found);
                }
            }
        }
    }

    /// Commits that may hold what is asked for, from the newest before the end to the first of a time.
    async fn list_commits(
        &mut self,
        tenant: Tenant,
        filter: &HistoryFilter,
        since: i64,
        end: (i64, i64),
        limit: usize,
    ) -> Result<Vec<Commit>> {
        let job = filter.job.map(|job| job.to_string());
        let mut params = params![tenant.0, since, end.0, end.1, limit as i64].to_vec();
        params.extend(job.as_deref().map(Param::from));
        params.extend(filter.field.map(|field| Param::from(i64::from(field.0))));
        let sql = commits_sql(job.is_some(), filter.field.is_some());
        self.query(&sql, &params, |row| {
            let sets = match row.opt_text(2)? {
                Some(text) => Runs::parse(text),
                None => Some(Runs::first(row.opt_int(3)?.map_or(0, |last| (last % COMMIT_SPAN) as u32 + 1))),
            };
            let sets = sets.ok_or_else(|| StoreError::Corrupt("a commit has no such change sets".to_owned()))?;
            Ok(Commit { id: row.int(0)?, at: row.int(1)?, sets })
        })
        .await
    }

    /// Change sets by their numbers, in the order of the numbers given. One that does not touch the field is left out.
    async fn load_sets(
        &mut self,
        tenant: Tenant,
        numbers: Vec<i64>,
        field: Option<FieldNumber>,
        fields: &FieldSet,
    ) -> Result<Vec<ChangeSet>> {
        let places: HashMap<i64, usize> = numbers.iter().enumerate().map(|(place, seq)| (*seq, place)).collect();
        let rows = Rows::new().int("seq", numbers);
        let sql = sets_sql(self.dialect());
        let mut sets = self.query_rows(&sql, params![tenant.0], &rows, |row| stored_set(row, fields)).await?;
        sets.retain(|set| touches(&set.changes, field));
        sets.sort_unstable_by_key(|set| places.get(&set.seq));
        self.with_commits(tenant, sets).await
    }

    /// Adds when, by whom and why.
    async fn with_commits(&mut self, tenant: Tenant, sets: Vec<StoredSet>) -> Result<Vec<ChangeSet>> {
        let ids: BTreeSet<i64> = sets.iter().map(|set| set.seq / COMMIT_SPAN).collect();
        let rows = Rows::new().int("id", ids.into_iter().collect());
        let sql = infos_sql(self.dialect());
        let read = |row: &Row<'_>| Ok((row.int(0)?, commit_info(row)?));
        let infos = self.query_rows(&sql, params![tenant.0], &rows, read).await?;
        let infos: HashMap<i64, CommitInfo> = infos.into_iter().collect();
        let with = |set: StoredSet| {
            let info = infos.get(&(set.seq / COMMIT_SPAN)).cloned();
            let commit = info.ok_or_else(|| StoreError::Corrupt("a change set has no commit".to_owned()))?;
            let StoredSet { seq, user, version, line, changes } = set;
            Ok(ChangeSet { seq, user, version, line, commit, changes })
        };
        sets.into_iter().map(with).collect()
    }

    async fn list_changes_of_user(
        &mut self,
        tenant: Tenant,
        user: UserId,
        filter: &HistoryFilter,
        limit: u32,
        fields: &FieldSet,
    ) -> Result<Vec<ChangeSet>> {
        let before = match filter.before {
            Some(Place::Version(version)) => version,
            Some(Place::Set(..)) | None => i64::MAX,
        };
        let times = Times::of(filter);
        let wanted = |set: &ChangeSet| {
            let at = set.commit.at.as_microsecond();
            let in_time = times.since <= at && at < times.until;
            in_time
                && set.version < before
                && filter.job.is_none_or(|job| set.commit.job == Some(job))
                && touches(&set.changes, filter.field)
        };
        let narrowed =
            filter.field.is_some() || filter.job.is_some() || filter.since.is_some() || filter.until.is_some();
        let limit = limit as usize;
        let (mut found, whole) = match narrowed {
            false => (self.latest_versions(tenant, user, 1..before, limit as i64, fields).await?, 0),
            true => {
                let last = self.query_one(LAST_VERSION, params![tenant.0, user.0], |row| row.int(0)).await?;
                // What is in no whole block yet, which for most users is everything.
                let (whole, end) = (last / BLOCK, before.min(last + 1));
                (self.latest_versions(tenant, user, whole * BLOCK + 1..end, BLOCK, fields).await?, whole)
            }
        };
        found.retain(wanted);
        let facets = facets(filter, fields);
        let mut end = whole.min(before.saturating_sub(2) / BLOCK + 1);
        let mut count = BLOCKS.0;
        while found.len() < limit && end > 0 {
            let blocks = self.list_blocks(tenant, user, &facets, times, (end, count)).await?;
            let Some(oldest) = blocks.last() else { break };
            (end, count) = (*oldest, BLOCKS.1.min(2 * count));
            let sets = self.load_blocks(tenant, user, blocks, fields).await?;
            found.extend(sets.into_iter().filter(wanted));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Whole blocks of a user that have these facets and touch a time, newest first: so many before one of them.
    async fn list_blocks(
        &mut self,
        tenant: Tenant,
        user: UserId,
        facets: &[String],
        times: Times,
        (end, count): (i64, i64),
    ) -> Result<Vec<i64>> {
        let mut params = params![tenant.0, user.0, end, times.since, times.until, count].to_vec();
        params.extend(facets.iter().map(Param::from));
        self.query(&blocks_sql(facets.len()), &params, |row| row.int(0)).await
    }

    /// The newest of a user's change sets in a range of versions.
    async fn latest_versions(
        &mut self,
        tenant: Tenant,
        user: UserId,
        versions: Range<i64>,
        limit: i64,
        fields: &FieldSet,
    ) -> Result<Vec<ChangeSet>> {
        let params = params![tenant.0, user.0, versions.start, versions.end, limit];
        let sets = self.query(VERSIONS, params, |row| stored_set(row, fields)).await?;
        self.with_commits(tenant, sets).await
    }

    /// A user's change sets in some blocks, newest first.
    async fn load_blocks(
        &mut self,
        tenant: Tenant,
        user: UserId,
        blocks: Vec<i64>,
        fields: &FieldSet,
    ) -> Result<Vec<ChangeSet>> {
        let rows = Rows::new().int("block", blocks);
        let sql = block_sets_sql(self.dialect());
        let mut sets = self.query_rows(&sql, params![tenant.0, user.0], &rows, |row| stored_set(row, fields)).await?;
        sets.sort_unstable_by_key(|set| Reverse(set.version));
        self.with_commits(tenant, sets).await
    }
}

/// What blocks must have to be read. The first one leads to them.
fn facets(filter: &HistoryFilter, fields: &FieldSet) -> Vec<String> {
    let job = filter.job.map(|job| of_job(&job.to_string()));
    let field = filter.field.and_then(|field| fields.key_of(field)).map(of_field);
    let facets: Vec<String> = job.into_iter().chain(field).collect();
    if facets.is_empty() { vec![ALL.to_owned()] } else { facets }
}

fn touches(changes: &[Change], field: Option<FieldNumber>) -> bool {
    field.is_none_or(|field| changes.iter().any(|change| change.field == field))
}

// Each statement asks one table, and its condition and order name the key of one index: no planner can find another way,
// whatever it knows or does not know about the table yet.

/// Commits of a job, of a field, of both or any, from `$2` on, before `$3` and `$4`.
fn commits_sql(job: bool, field: bool) -> String {
    let (table, id, sets) = match field {
        true => ("commit_fields", "f.commit_id", "f.sets"),
        false => ("commits", "f.id", "NULL"),
    };
    let keys: &[(&str, &str)] = match (job, field) {
        (false, false) => &[],
        (true, false) => &[("f.job_id", "$6")],
        (false, true) => &[("f.field", "$6")],
        (true, true) => &[("f.job_id", "$6"), ("f.field", "$7")],
    };
    let columns: String = keys.iter().map(|(column, _)| format!("{column}, ")).collect();
    let values: String = keys.iter().map(|(_, value)| format!("{value}, ")).collect();
    let order: String = keys.iter().map(|(column, _)| format!("{column} DESC, ")).collect();
    format!(
        "SELECT {id}, f.at, {sets},
             CASE WHEN {sets} IS NULL THEN (
                 SELECT max(c.seq) FROM changes AS c
                 WHERE c.tenant = f.tenant AND c.seq >= {id} * {COMMIT_SPAN} AND c.seq < ({id} + 1) * {COMMIT_SPAN}
             ) END
         FROM {table} AS f
         WHERE f.tenant = $1 AND ({columns}f.at, {id}) >= ({values}$2, 0) AND ({columns}f.at, {id}) < ({values}$3, $4)
         ORDER BY {order}f.at DESC, {id} DESC LIMIT $5"
    )
}

/// Change sets by number.
fn sets_sql(dialect: Dialect) -> String {
    let changes = dialect.look_up("changes", "c", "c.tenant = $1 AND c.seq = r.seq");
    format!("SELECT c.seq, c.user_id, c.version, c.line, c.data FROM {{rows}} AS r {changes}")
}

/// When, by whom and why, by the numbers of commits.
fn infos_sql(dialect: Dialect) -> String {
    let commits = dialect.look_up("commits", "m", "m.tenant = $1 AND m.id = r.id");
    format!("SELECT m.id, m.at, m.job_id, m.actor FROM {{rows}} AS r {commits}")
}

/// The newest version of a user that has a history.
const LAST_VERSION: &str = "SELECT coalesce(max(version), 0) FROM changes WHERE tenant = $1 AND user_id = $2";

/// A user's change sets from version `$3` on and before `$4`.
const VERSIONS: &str = "SELECT seq, user_id, version, line, data FROM changes
     WHERE tenant = $1 AND user_id = $2 AND version >= $3 AND version < $4 ORDER BY version DESC LIMIT $5";

/// A user's change sets in blocks.
fn block_sets_sql(dialect: Dialect) -> String {
    let range = format!("c.version > r.block * {BLOCK} AND c.version <= (r.block + 1) * {BLOCK}");
    let changes = dialect.look_up("changes", "c", &format!("c.tenant = $1 AND c.user_id = $2 AND {range}"));
    format!("SELECT c.seq, c.user_id, c.version, c.line, c.data FROM {{rows}} AS r {changes}")
}

/// Blocks of a user with one facet or two, before `$3`, of which some time is from `$4` on and some before `$5`.
fn blocks_sql(facets: usize) -> String {
    let second = "AND EXISTS (SELECT 1 FROM user_blocks AS o WHERE o.tenant = b.tenant AND o.user_id = b.user_id
                  AND o.facet = $8 AND o.block = b.block)";
    format!(
        "SELECT b.block FROM user_blocks AS b
         WHERE b.tenant = $1 AND b.user_id = $2 AND b.facet = $7 AND b.block < $3
         AND b.newest_at >= $4 AND b.oldest_at < $5 {}
         ORDER BY b.block DESC LIMIT $6",
        if facets > 1 { second } else { "" }
    )
}

/// A change set without its commit.
struct StoredSet {
    seq: i64,
    user: UserId,
    version: i64,
    line: u64,
    changes: Vec<Change>,
}

fn stored_set(row: &Row<'_>, fields: &FieldSet) -> Result<StoredSet> {
    Ok(StoredSet {
        seq: row.int(0)?,
        user: UserId(row.int(1)?),
        version: row.int(2)?,
        line: row.int(3)? as u64,
        changes: changes_from_stored(row.text(4)?, fields)?,
    })
}

fn commit_info(row: &Row<'_>) -> Result<CommitInfo> {
    let job = row.opt_text(2)?.map(str::parse).transpose();
    Ok(CommitInfo {
        at: row.time(1)?,
        job: job.map_err(|_| StoreError::Corrupt("a commit names no job".to_owned()))?,
        actor: row.json(3)?,
    })
}

/// Every statement that reads the history, as it is sent.
#[cfg(feature = "testing")]
pub(crate) fn statements(dialect: Dialect) -> Vec<String> {
    let commits = [(false, false), (true, false), (false, true), (true, true)];
    let mut all: Vec<String> = commits.map(|(job, field)| commits_sql(job, field)).into();
    all.extend([LAST_VERSION.to_owned(), VERSIONS.to_owned(), blocks_sql(1), blocks_sql(2)]);
    let some = |name, sql: String, first| Rows::new().int(name, vec![0]).expand(&sql, first, dialect);
    all.push(some("seq", sets_sql(dialect), 2));
    all.push(some("id", infos_sql(dialect), 2));
    all.push(some("block", block_sets_sql(dialect), 3));
    all
}
