//! Pruning the history: change sets that are over their time go, and what each user held after the last of them stays as
//! the opening, from which the rest goes on.
//!
//! A user's history goes up to a version, never out of the middle, so the chain of changes has no gap. A batch of commits
//! is one transaction. Who needs the history to be whole, an undo or an erasure, locks the community when it is made, as
//! pruning does; while such a job is open nothing is pruned.

use crate::engine::Engine;
use crate::error::Result;
use jiff::Timestamp;
use muster_core::id::{JobId, Tenant, UserId};
use muster_core::user::{Change, Operator};
use muster_store::{OldCommit, OldSet, Opening};
use std::collections::{BTreeMap, BTreeSet};

/// At most how many commits are pruned in one transaction, and about how many change sets.
const COMMITS_AT_ONCE: u32 = 500;
const SETS_AT_ONCE: u64 = 4_000;

impl Engine {
    /// Prunes what happened before a time, and says how many change sets that were.
    pub(super) async fn prune_history(&self, tenant: Tenant, until: Timestamp, now: Timestamp) -> Result<u64> {
        let mut pruned = 0;
        while let Some(sets) = self.prune_some(tenant, until, now).await? {
            pruned += sets;
        }
        Ok(pruned)
    }

    async fn prune_some(&self, tenant: Tenant, until: Timestamp, now: Timestamp) -> Result<Option<u64>> {
        let mut tx = self.store().begin().await?;
        tx.lock_community(tenant).await?;
        if tx.is_history_needed(tenant).await? {
            return Ok(None);
        }
        let commits = some(tx.list_old_commits(tenant, until, COMMITS_AT_ONCE).await?);
        let Some(last) = commits.last() else { return Ok(None) };
        let fields = tx.list_fields(tenant).await?;
        let versions = tx.list_last_versions(tenant, &commits).await?;
        let users: Vec<UserId> = versions.iter().map(|(user, _)| *user).collect();
        let openings = tx.list_openings(tenant, &users, &fields).await?;
        let sets = tx.list_old_sets(tenant, &versions, &fields).await?;
        let jobs: BTreeSet<JobId> = sets.iter().filter_map(|set| set.job).collect();
        tx.note_history_expired(tenant, &jobs.into_iter().collect::<Vec<_>>(), now).await?;
        tx.put_openings(tenant, &carry(openings, sets), &fields).await?;
        let pruned = tx.delete_old_sets(tenant, &versions).await?;
        tx.delete_old_commits(tenant, last, &fields).await?;
        self.faults().pass("sweep.pruned").await?;
        tx.commit().await?;
        Ok(Some(pruned))
    }
}

/// The first commits, until they have enough change sets: one at least.
fn some(mut commits: Vec<OldCommit>) -> Vec<OldCommit> {
    let mut sets = 0;
    let full = commits.iter().position(|commit| {
        sets += commit.sets;
        sets >= SETS_AT_ONCE
    });
    commits.truncate(full.map_or(commits.len(), |last| last + 1));
    commits
}

/// What users held after these change sets, which begin where the openings are.
fn carry(openings: Vec<Opening>, sets: Vec<OldSet>) -> Vec<Opening> {
    let mut carried: BTreeMap<UserId, Opening> = openings.into_iter().map(|opening| (opening.user, opening)).collect();
    for OldSet { user, version, at, changes, .. } in sets {
        let opening = carried.entry(user).or_insert_with(|| Opening { user, version, at, changes: Vec::new() });
        (opening.version, opening.at) = (version, at);
        for change in changes {
            opening.changes.retain(|held| held.field != change.field);
            if change.new.is_some() {
                opening.changes.push(Change { op: Operator::Overwrite, old: None, ..change });
            }
        }
    }
    carried.into_values().collect()
}
