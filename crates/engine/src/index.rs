//! What a change does to the index over fields: entries that go, and entries that come.
//!
//! A live user has an entry for each value of a field that is marked as indexed, a deleted one has none. Entries are
//! written in the commit that changes the user. That they are complete rests on one thing: whoever writes users knows
//! which fields are indexed. So each plan remembers the epoch of the fields by which it was made, and a commit of another
//! epoch is planned again ([`IndexChanges::hold_fields`]).

use crate::error::Result;
use muster_core::field::{FieldNumber, FieldSet, FieldsEpoch};
use muster_core::id::{Tenant, UserId};
use muster_core::order::index_keys;
use muster_core::user::{Change, User};
use muster_core::value::Value;
use muster_store::{IndexEntry, Transaction};
use std::collections::BTreeSet;

/// The entries of a live user; a deleted one has none.
pub(crate) fn entries(user: &User, fields: &FieldSet) -> Vec<IndexEntry> {
    let live = fields.indexed().iter().filter(|_| !user.deleted);
    live.flat_map(|field| entries_of(user.id, *field, user.values.get(*field))).collect()
}

/// The entries of one value.
pub(crate) fn entries_of(user: UserId, field: FieldNumber, value: Option<&Value>) -> Vec<IndexEntry> {
    let keys = value.map(index_keys).unwrap_or_default();
    keys.into_iter().map(|key| IndexEntry { field, key, user }).collect()
}

/// What a commit does to the index.
#[derive(Debug, Default)]
pub(crate) struct IndexChanges {
    epoch: FieldsEpoch,
    adds: BTreeSet<IndexEntry>,
    removes: BTreeSet<IndexEntry>,
}

impl IndexChanges {
    /// No changes yet, by a plan that knows these fields.
    pub(crate) fn new(fields: &FieldSet) -> Self {
        Self { epoch: fields.epoch(), ..Self::default() }
    }

    /// What goes with a user who is taken away.
    pub(crate) fn removing(user: &User, fields: &FieldSet) -> Self {
        Self { removes: entries(user, fields).into_iter().collect(), ..Self::new(fields) }
    }

    /// Adds what a change set does to a user, who is as before it. Where no field is indexed it does nothing.
    pub(crate) fn note(&mut self, before: &User, changes: &[Change], fields: &FieldSet) {
        let indexed = fields.indexed();
        if indexed.is_empty() {
            return;
        }
        let last = |field| changes.iter().rev().find(|change| change.field == field);
        let was_live = !before.deleted;
        let is_live = last(FieldNumber::DELETED).map_or(was_live, |change| change.new != Some(Value::Boolean(true)));
        for field in indexed {
            let change = last(*field);
            if change.is_none() && was_live == is_live {
                continue;
            }
            let held = before.values.get(*field);
            let holds = change.map_or(held, |change| change.new.as_ref());
            let old = entries_of(before.id, *field, held.filter(|_| was_live));
            let new = entries_of(before.id, *field, holds.filter(|_| is_live));
            old.iter().filter(|entry| !new.contains(entry)).for_each(|entry| self.remove(entry));
            new.into_iter().filter(|entry| !old.contains(entry)).for_each(|entry| self.add(entry));
        }
    }

    /// What comes after it went in the same commit does neither, and the other way round.
    fn add(&mut self, entry: IndexEntry) {
        if !self.removes.remove(&entry) {
            self.adds.insert(entry);
        }
    }

    fn remove(&mut self, entry: &IndexEntry) {
        if !self.adds.remove(entry) {
            self.removes.insert(entry.clone());
        }
    }

    /// Gives users who are to be made their ids; see [`crate::chunk::PlannedChunk::give_ids`].
    pub(crate) fn give_ids(&mut self, give: impl Fn(&mut UserId)) {
        let adds = std::mem::take(&mut self.adds).into_iter();
        self.adds = adds
            .map(|mut entry| {
                give(&mut entry.user);
                entry
            })
            .collect();
    }

    /// Whether the fields are as they were when it was planned, and stay so until the transaction ends. Where not, the
    /// transaction is to be given up.
    pub(crate) async fn hold_fields(&self, tx: &mut Transaction, tenant: Tenant) -> Result<bool> {
        Ok(tx.hold_fields(tenant, self.epoch).await?)
    }

    /// Writes it, after the users: whoever holds a user may write its entries, so that two commits never wait for each
    /// other.
    pub(crate) async fn write(&self, tx: &mut Transaction, tenant: Tenant) -> Result<()> {
        Ok(tx.write_index_entries(tenant, &self.adds, &self.removes).await?)
    }
}
