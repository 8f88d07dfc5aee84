//! Who has the keys of rows.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::Result;
use muster_core::field::FieldNumber;
use muster_core::id::{Tenant, UserId};
use muster_core::job::JobKind;
use muster_core::key::{Key, UserKey};
use muster_core::scope::Scope;
use muster_store::{Among, Connection};

/// Whom a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nobody.
    Nobody,
    /// This user.
    One(UserId),
    /// More than one; the row has to say more.
    Several,
}

impl Found {
    /// The user, where it is one.
    pub(crate) fn one(&self) -> Option<UserId> {
        match self {
            Self::One(user) => Some(*user),
            Self::Nobody | Self::Several => None,
        }
    }

    fn and(self, user: UserId) -> Self {
        match self {
            Self::Nobody => Self::One(user),
            Self::One(same) if same == user => self,
            Self::One(_) | Self::Several => Self::Several,
        }
    }
}

impl Engine {
    /// Whether somebody has each of these keys now, for whoever may import users.
    pub async fn are_users(&self, caller: &Caller, keys: &[Key]) -> Result<Vec<bool>> {
        caller.require(Scope::BulkImport)?;
        let keys: Vec<&Key> = keys.iter().collect();
        let found = find(&mut self.store().read().await?, caller.tenant, JobKind::Import, &keys).await?;
        Ok(found.into_iter().map(|found| found != Found::Nobody).collect())
    }
}

/// Who has these keys now, as this kind of job looks for users: a restore looks among the deleted ones first, all others
/// see live users only.
pub(crate) async fn find(
    connection: &mut Connection,
    tenant: Tenant,
    kind: JobKind,
    keys: &[&Key],
) -> Result<Vec<Found>> {
    let mut found = vec![Found::Nobody; keys.len()];
    let mut exact: Vec<(UserKey, usize)> = Vec::with_capacity(keys.len());
    let mut prefixes: Vec<(UserKey, usize)> = Vec::new();
    let mut ids: Vec<(UserId, usize)> = Vec::new();
    for (i, key) in keys.iter().enumerate() {
        match key {
            Key::Id(id) => ids.push((*id, i)),
            Key::Identity(identity) if identity.language.is_none() => {
                prefixes.push((UserKey { field: FieldNumber::IDENTITIES, key: identity.key_prefix() }, i));
            }
            Key::Email(_) | Key::Identity(_) | Key::Unique(..) => exact.extend(key.user_key().map(|key| (key, i))),
        }
    }
    // Looked up in the order of the index, and each key once.
    exact.sort_unstable();
    prefixes.sort_unstable();
    ids.sort_unstable();
    let among = if kind == JobKind::Restore { &[Among::Deleted, Among::Live][..] } else { &[Among::Live] };
    for among in among {
        for (keys, is_prefix) in [(&exact, false), (&prefixes, true)] {
            let keys: Vec<_> = keys.iter().filter(|(_, i)| found[*i] == Found::Nobody).cloned().collect();
            let distinct = distinct(&keys);
            let holders = match is_prefix {
                true => connection.find_users_by_prefix(tenant, *among, &distinct).await?,
                false => connection.find_users(tenant, *among, &distinct).await?,
            };
            assign(&keys, distinct.len(), holders, &mut found);
        }
    }
    let distinct = distinct(&ids);
    let live = kind != JobKind::Restore;
    let there = connection.find_users_by_id(tenant, &distinct, live).await?;
    let holders = there.into_iter().map(|position| (position, distinct[position])).collect();
    assign(&ids, distinct.len(), holders, &mut found);
    Ok(found)
}

/// The different keys of a sorted list.
fn distinct<K: Clone + PartialEq>(sorted: &[(K, usize)]) -> Vec<K> {
    sorted.chunk_by(|a, b| a.0 == b.0).map(|same| same[0].0.clone()).collect()
}

/// Gives each row what was found for its key.
fn assign<K: PartialEq>(sorted: &[(K, usize)], distinct: usize, holders: Vec<(usize, UserId)>, found: &mut [Found]) {
    let mut of = vec![Found::Nobody; distinct];
    for (position, user) in holders {
        of[position] = of[position].and(user);
    }
    for (same, holder) in sorted.chunk_by(|a, b| a.0 == b.0).zip(of) {
        same.iter().for_each(|(_, i)| found[*i] = holder);
    }
}
