//! Goes through the values that users have of a field, to see whether they fit the field as it is wanted, and to keep them
//! as that does. A batch of users is in memory at a time; of those that do not fit, a few are named and all counted.

use crate::caller::Caller;
use crate::error::{EngineError, Result};
use crate::index::entries_of;
use muster_core::error::Fault;
use muster_core::field::{Field, FieldSet};
use muster_core::id::{Tenant, UserId};
use muster_core::key::UserKey;
use muster_core::scope::Scope;
use muster_core::user::User;
use muster_core::value::Value;
use muster_core::{Code, Error};
use muster_store::{Among, Connection, KeyMoves, Store, Transaction, UserRow};
use std::collections::BTreeSet;

/// How many users are looked at at a time.
const BATCH: u32 = 2_000;
/// How many of those that do not fit are named.
const NAMED: usize = 10;

/// A change of a field, and the fields by which the users can be read.
pub(crate) struct Refit<'a> {
    tenant: Tenant,
    before: &'a Field,
    after: &'a Field,
    fields: &'a FieldSet,
    /// Who may not see users is not told their values.
    shows_values: bool,
}

/// The values that do not fit.
#[derive(Default)]
struct Misfits {
    count: u64,
    named: Vec<Fault>,
}

impl<'a> Refit<'a> {
    pub(crate) fn new(caller: &Caller, before: &'a Field, after: &'a Field, fields: &'a FieldSet) -> Self {
        let shows_values = caller.scopes.contains(&Scope::UsersRead);
        Self { tenant: caller.tenant, before, after, fields, shows_values }
    }

    /// Refuses where values do not fit. Whether they are unique only [`Self::rewrite`] sees.
    pub(crate) async fn check(&self, store: &Store) -> Result<()> {
        let (mut after, mut misfits) = (UserId(0), Misfits::default());
        loop {
            let users = self.next(&mut store.read().await?, &mut after).await?;
            if users.is_empty() {
                return Ok(misfits.refuse()?);
            }
            for user in &users {
                self.fitted(user, &mut misfits);
            }
        }
    }

    /// Keeps every value as the field wants it, in a transaction that nobody writes users beside.
    pub(crate) async fn rewrite(&self, tx: &mut Transaction) -> Result<()> {
        let (mut after, mut misfits) = (UserId(0), Misfits::default());
        let reindexes = self.after.is_indexed() && self.before.kind != self.after.kind;
        if reindexes {
            tx.clear_index(self.tenant, self.after.number).await?;
        }
        loop {
            let users = self.next(tx, &mut after).await?;
            if users.is_empty() {
                return Ok(misfits.refuse()?);
            }
            let (mut rows, mut entries) = (Vec::new(), BTreeSet::new());
            let fitted = users.iter().filter_map(|user| Some((user, self.fitted(user, &mut misfits)?)));
            let fitted: Vec<(&User, Value)> = fitted.collect();
            for (user, value) in &fitted {
                if user.values.get(self.after.number) != Some(value) {
                    let mut user = (*user).clone();
                    user.values.put(self.after.number, Some(value.clone()));
                    rows.push(UserRow::new(&user, user.version, self.fields));
                }
                if reindexes && !user.deleted {
                    entries.extend(entries_of(user.id, self.after.number, Some(value)));
                }
            }
            if !tx.update_users(self.tenant, rows).await? {
                let detail = "Users were changed at the same moment; try again.";
                return Err(EngineError::refuse(Code::Unavailable, detail));
            }
            tx.write_index_entries(self.tenant, &entries, &BTreeSet::new()).await?;
            if self.after.rules.unique && !self.before.rules.unique {
                self.claim(tx, &fitted, &mut misfits).await?;
            }
        }
    }

    async fn next(&self, connection: &mut Connection, after: &mut UserId) -> Result<Vec<User>> {
        let users = connection.list_all_users(self.tenant, *after, BATCH, self.fields).await?;
        *after = users.last().map_or(*after, |last| last.user.id);
        Ok(users.into_iter().map(|loaded| loaded.user).collect())
    }

    /// The value of a user as the field holds it then; none where there is none, or it does not fit.
    fn fitted(&self, user: &User, misfits: &mut Misfits) -> Option<Value> {
        let Some(value) = user.values.get(self.before.number) else {
            if self.after.rules.required && !self.before.rules.required && !user.deleted {
                misfits.add(user.id, "/required", Code::RequiredField, "has no value".to_owned());
            }
            return None;
        };
        match self.after.refit(value) {
            Ok(fitted) => Some(fitted),
            Err(misfit) => {
                let message =
                    if self.shows_values { misfit.message } else { "has a value that does not fit".to_owned() };
                misfits.add(user.id, self.pointer(misfit.code), misfit.code, message);
                None
            }
        }
    }

    /// The member of the request that a value does not fit.
    fn pointer(&self, code: Code) -> &'static str {
        let (old, new) = (&self.before.rules, &self.after.rules);
        if self.before.kind != self.after.kind {
            "/type"
        } else if code == Code::InvalidOption {
            "/options"
        } else if code == Code::TooLong {
            // Keys are shorter than other texts.
            if old.max_length == new.max_length { "/unique" } else { "/max_length" }
        } else if old.min == new.min {
            "/max"
        } else {
            "/min"
        }
    }

    /// Makes values the keys of their users, the first user of each having it.
    async fn claim(&self, tx: &mut Transaction, fitted: &[(&User, Value)], misfits: &mut Misfits) -> Result<()> {
        let key = |value| UserKey::unique(self.after.number, value);
        let mut moves = KeyMoves::default();
        let (mut wanted, mut owners) = (Vec::new(), Vec::new());
        for (user, value) in fitted {
            match user.deleted {
                true => drop(moves.buried.insert((key(value), user.id))),
                false => {
                    moves.claims.entry(key(value)).or_insert(user.id);
                    wanted.push(key(value));
                    owners.push((user.id, value));
                }
            }
        }
        if tx.move_keys(self.tenant, &moves).await? && moves.claims.len() == wanted.len() {
            return Ok(());
        }
        let mut holders = tx.find_users(self.tenant, Among::Live, &wanted).await?;
        holders.sort_unstable();
        for (position, holder) in holders {
            let (user, value) = owners[position];
            if user != holder {
                let what = if self.shows_values { format!(", \"{value}\"") } else { String::new() };
                misfits.add(user, "/unique", Code::NotUnique, format!("has the value of user {holder}{what}"));
            }
        }
        Ok(())
    }
}

impl Misfits {
    fn add(&mut self, user: UserId, pointer: &str, code: Code, message: String) {
        self.count += 1;
        if self.named.len() < NAMED {
            let message = format!("user {user}: {message}");
            self.named.push(Fault { column: None, pointer: Some(pointer.to_owned()), code, message });
        }
    }

    fn refuse(self) -> Result<(), Error> {
        let Some(first) = self.named.first() else { return Ok(()) };
        let users = if self.count == 1 { "user has" } else { "users have" };
        let detail = format!("{} {users} a value that does not fit, or none; {}", self.count, first.message);
        let error = Error::new(Code::ValuesDoNotFit, detail);
        Err(Error { errors: self.named, ..error })
    }
}
