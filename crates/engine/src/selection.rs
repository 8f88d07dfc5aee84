//! The users that a filter means, in order of id and a batch at a time. The databases only narrow down who is looked at;
//! [`Filter::matches`] decides about each of them, so the answer is the same on both.
//!
//! Where an index leads to few users, they are looked up; where it would lead to many, or there is none, everybody is
//! looked through by id, which costs the same for each batch however many there are.
//!
//! A connection is taken for each batch, so whoever goes through a large community keeps nobody from reading.

use crate::error::Result;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::filter::Filter;
use muster_core::filter::access::Access;
use muster_core::id::{Tenant, UserId};
use muster_core::user::User;
use muster_store::{Among, Connection, Scan, Store, UserKey};
use std::collections::BTreeSet;

/// How many ids one statement of a scan goes through.
const WINDOW: i64 = 50_000;
/// How many users are loaded at a time.
const BATCH: usize = 1_000;
/// How many places of one filter are looked up in indexes, and how many entries they may have together, as a multiple of
/// those of one.
const MAX_LOOKUPS: usize = 100;
const MAX_FULL_LOOKUPS: u64 = 4;

/// A selection on its way through a community.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    store: &'a Store,
    tenant: Tenant,
    filter: &'a Filter,
    fields: &'a FieldSet,
    descending: bool,
    scan: Scan,
    /// Everybody who may match, in order of id, where indexes tell.
    candidates: Option<Vec<UserId>>,
    /// Where the next batch begins: below it, or above it where ids descend.
    place: Option<UserId>,
    ended: bool,
    /// How many users the next look takes in: more each time, up to [`BATCH`].
    look: usize,
    examined: u64,
}

impl<'a> Selection<'a> {
    /// Asks the indexes; `entries` is how many of their entries are read before everybody is looked through instead.
    pub(crate) async fn open(
        store: &'a Store,
        tenant: Tenant,
        filter: &'a Filter,
        fields: &'a FieldSet,
        entries: u32,
    ) -> Result<Self> {
        let mut budget = Budget { each: entries, lookups: MAX_LOOKUPS, all: MAX_FULL_LOOKUPS * u64::from(entries) };
        let access = filter.access(fields);
        let candidates = candidates(&mut store.read().await?, tenant, &access, &mut budget).await?;
        let candidates = candidates.map(|found| found.into_iter().collect());
        let scan = Scan::new(tenant, filter, fields);
        let (place, ended, look, examined) = (None, false, 1, 0);
        Ok(Self { store, tenant, filter, fields, descending: false, scan, candidates, place, ended, look, examined })
    }

    /// The same, the greatest id first.
    pub(crate) fn descending(self, descending: bool) -> Self {
        Self { descending, ..self }
    }

    /// The same, beginning after a user.
    pub(crate) fn after(self, user: Option<UserId>) -> Self {
        Self { place: user, ..self }
    }

    /// Whether indexes told who may match.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.candidates.is_some()
    }

    /// How many users were looked at.
    pub(crate) fn examined(&self) -> u64 {
        self.examined
    }

    /// The next users who match, as they are now; none: there are no more. `wanted` is a hint: there may be fewer, though
    /// more follow, and more.
    pub(crate) async fn next(&mut self, wanted: usize) -> Result<Vec<User>> {
        let mut matching = Vec::new();
        while matching.is_empty() && !self.ended {
            self.look = (2 * self.look).max(wanted).min(BATCH);
            let users = match self.candidates.is_some() {
                true => self.next_candidates(self.look).await?,
                false => self.next_scanned(self.look).await?,
            };
            self.examined += users.len() as u64;
            matching.extend(users.into_iter().filter(|user| self.filter.matches(user)));
        }
        Ok(matching)
    }

    async fn next_candidates(&mut self, limit: usize) -> Result<Vec<User>> {
        let candidates = self.candidates.as_deref().unwrap_or_default();
        let ids: Vec<UserId> = match (self.descending, self.place) {
            (false, place) => {
                let from = place.map_or(0, |place| candidates.partition_point(|id| *id <= place));
                candidates[from..].iter().copied().take(limit).collect()
            }
            (true, place) => {
                let to = place.map_or(candidates.len(), |place| candidates.partition_point(|id| *id < place));
                candidates[..to].iter().rev().copied().take(limit).collect()
            }
        };
        self.ended = ids.len() < limit;
        self.place = ids.last().copied().or(self.place);
        let loaded = self.store.read().await?.load_users(self.tenant, &ids, self.fields).await?;
        let mut users: Vec<User> = loaded.into_iter().map(|loaded| loaded.user).filter(|user| !user.deleted).collect();
        users.sort_unstable_by_key(|user| if self.descending { -user.id.0 } else { user.id.0 });
        Ok(users)
    }

    async fn next_scanned(&mut self, limit: usize) -> Result<Vec<User>> {
        let mut connection = self.store.read().await?;
        let last = connection.last_user_id(self.tenant).await?;
        let (after, upto) = match (self.descending, self.place) {
            (false, place) => {
                let after = place.map_or(0, |place| place.0);
                (after, after.saturating_add(WINDOW))
            }
            (true, place) => {
                let upto = place.map_or(last.0, |place| place.0.saturating_sub(1).min(last.0));
                (upto.saturating_sub(WINDOW).max(0), upto)
            }
        };
        let window = (UserId(after), UserId(upto));
        let users = connection.scan_users(&self.scan, window, self.descending, limit as u32, self.fields).await?;
        match (users.last(), self.descending) {
            // The window may hold more.
            (Some(user), _) if users.len() == limit => self.place = Some(user.id),
            (_, false) => {
                self.place = Some(UserId(upto));
                self.ended = upto >= last.0;
            }
            (_, true) => {
                self.place = Some(UserId(after + 1));
                self.ended = after <= 0;
            }
        }
        Ok(users)
    }
}

/// How much may be read of indexes.
struct Budget {
    /// Entries of one place.
    each: u32,
    /// Places.
    lookups: usize,
    /// Entries of all places.
    all: u64,
}

/// Everybody who may match as indexes tell; none where they tell nothing, or of too many.
async fn candidates(
    connection: &mut Connection,
    tenant: Tenant,
    access: &Access,
    budget: &mut Budget,
) -> Result<Option<BTreeSet<UserId>>> {
    match access {
        Access::Scan => Ok(None),
        Access::Both(places) => {
            let mut all: Option<BTreeSet<UserId>> = None;
            for place in places {
                let found = Box::pin(candidates(connection, tenant, place, budget)).await?;
                all = match (all, found) {
                    (Some(a), Some(b)) => Some(a.intersection(&b).copied().collect()),
                    (a, b) => a.or(b),
                };
                // Those who are left are looked at sooner than another index.
                if all.as_ref().is_some_and(|all| all.len() <= BATCH) {
                    break;
                }
            }
            Ok(all)
        }
        Access::Either(places) => {
            let mut all = BTreeSet::new();
            for place in places {
                match Box::pin(candidates(connection, tenant, place, budget)).await? {
                    Some(found) => all.extend(found),
                    None => return Ok(None),
                }
            }
            Ok(Some(all).filter(|all| all.len() <= budget.each as usize))
        }
        Access::Ids(_) | Access::Emails(_) | Access::Keys(..) | Access::Range(..) => {
            if budget.lookups == 0 || budget.all < u64::from(budget.each) {
                return Ok(None);
            }
            let found = look_up(connection, tenant, access, budget.each).await?;
            budget.lookups -= 1;
            budget.all -= u64::from(budget.each).min(found.as_ref().map_or(u64::MAX, |found| found.len() as u64));
            Ok(found)
        }
    }
}

async fn look_up(
    connection: &mut Connection,
    tenant: Tenant,
    access: &Access,
    entries: u32,
) -> Result<Option<BTreeSet<UserId>>> {
    let found: Vec<UserId> = match access {
        Access::Ids(ids) => ids.clone(),
        Access::Emails(emails) => {
            let key = |email: &String| UserKey { field: FieldNumber::EMAIL, key: email.clone() };
            let keys: Vec<UserKey> = emails.iter().map(key).collect();
            connection.find_users(tenant, Among::Live, &keys).await?.into_iter().map(|(_, user)| user).collect()
        }
        Access::Keys(field, keys) => connection.find_by_index_keys(tenant, *field, keys, entries + 1).await?,
        Access::Range(field, low, high) => {
            let range = (low.as_deref(), high.as_deref());
            connection.find_by_index_range(tenant, *field, range, entries + 1).await?
        }
        Access::Scan | Access::Both(_) | Access::Either(_) => return Ok(None),
    };
    let few = found.len() <= entries as usize;
    Ok(few.then(|| found.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Engine, Faults, Limits, Staging};
    use muster_store::testing;

    /// How many connections for reading there are on each database.
    fn all(store: &Store) -> usize {
        if store.dialect().single_writer() { 6 } else { 16 }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nobody_waits_for_a_connection_while_a_selection_is_on_its_way() {
        for url in testing::database_urls().await {
            let folder = tempfile::tempdir().unwrap();
            let store = testing::open(url.as_deref(), folder.path());
            let staging = Staging::open(folder.path()).unwrap();
            let engine = Engine::new(store, staging, Clock::system(), Faults::none(), Limits::default());
            engine.store().migrate().await.unwrap();
            let tenant = engine.create_community("Test").await.unwrap().tenant;
            let users = "INSERT INTO users (tenant, id, version, deleted, field_values, created_at, updated_at)
                         VALUES (1, 1, 0, FALSE, '{}', 0, 0), (1, 2, 0, FALSE, '{}', 0, 0), (1, 3, 0, FALSE, '{}', 0, 0)";
            testing::execute(engine.store(), users).await;
            let (filter, fields) = (Filter::everybody(), engine.fields(tenant).await.unwrap());
            let mut selection = Selection::open(engine.store(), tenant, &filter, &fields, 1).await.unwrap();
            let mut found = Vec::new();
            while let Some(user) = selection.next(1).await.unwrap().first() {
                found.push(user.id.0);
                let mut taken = Vec::new();
                while taken.len() < all(engine.store()) {
                    taken.push(engine.store().read().await.unwrap());
                }
            }
            assert_eq!(found[0], 1);
        }
    }
}
