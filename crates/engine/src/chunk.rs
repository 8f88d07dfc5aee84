//! A chunk of prepared rows: planned against the users as they are, then written in one transaction.

use crate::error::Result;
use crate::prepare::{PreparedRow, email_user_key};
use jiff::Timestamp;
use muster_core::Code;
use muster_core::error::RowError;
use muster_core::field::FieldNumber;
use muster_core::id::{Tenant, UserId};
use muster_core::job::Counts;
use muster_core::outcome::{Outcome, Reason, Status};
use muster_core::plan::{EditPatch, Key, Plan, Row, Rules, plan};
use muster_core::user::{Change, User, changes_to_stored};
use muster_core::value::Value;
use muster_store::{Connection, NewChangeSet, Reserved, Touched, Transaction, UserKey, UserRow};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Rows to be applied together.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    /// The cursor at which they begin.
    pub from: u64,
    /// The cursor at which the next chunk begins.
    pub to: u64,
    /// The rows, those of one user in file order.
    pub rows: Vec<PreparedRow>,
}

/// What is to be written for a chunk.
///
/// Users who are to be made have no id yet: here they count from -1 downwards, and get theirs from
/// [`PlannedChunk::give_ids`].
#[derive(Debug, Default)]
pub(crate) struct PlannedChunk {
    pub from: u64,
    pub to: u64,
    /// When it was planned.
    pub at: Timestamp,
    pub counts: Counts,
    pub outcomes: Vec<Outcome>,
    pub created: Vec<UserRow>,
    pub updated: Vec<UserRow>,
    pub sets: Vec<NewChangeSet>,
    /// Which of the change sets touch which fields.
    pub touched: Touched,
    /// Keys that users hold afterwards and did not before, in the order in which the database keeps them.
    pub claims: BTreeMap<UserKey, UserId>,
    /// Keys that users held before and do not afterwards.
    pub releases: BTreeMap<UserKey, UserId>,
}

impl PlannedChunk {
    /// Replaces the stand-ins for new users by ids that nobody has.
    pub(crate) fn give_ids(&mut self, reserved: Reserved) {
        let give = |id: &mut UserId| {
            if id.0 < 0 {
                id.0 = reserved.first_user - 1 - id.0;
            }
        };
        self.created.iter_mut().for_each(|user| give(&mut user.id));
        self.sets.iter_mut().for_each(|set| give(&mut set.user));
        self.claims.values_mut().for_each(give);
        self.outcomes.iter_mut().filter_map(|outcome| outcome.user.as_mut()).for_each(give);
    }
}

/// Where the users of a chunk come from.
pub(crate) enum Source<'a> {
    /// As they are committed now; they may change until the chunk is written.
    Snapshot(&'a mut Connection),
    /// Locked in the transaction that will write the chunk.
    Locked(&'a mut Transaction),
}

impl Source<'_> {
    fn connection(&mut self) -> &mut Connection {
        match self {
            Self::Snapshot(connection) => connection,
            Self::Locked(tx) => tx,
        }
    }
}

/// Decides every row of a chunk.
pub(crate) async fn plan_chunk(
    chunk: &Chunk,
    tenant: Tenant,
    rules: &Rules<'_>,
    now: Timestamp,
    mut source: Source<'_>,
) -> Result<PlannedChunk> {
    let (users, row_users) = load(chunk, tenant, rules, &mut source).await?;
    let wanted = wanted_emails(&chunk.rows);
    let mut taken = HashMap::new();
    for (position, user) in source.connection().find_users(tenant, &wanted).await? {
        taken.insert(wanted[position].clone(), user);
    }
    Ok(tokio::task::block_in_place(|| Planner::new(chunk, users, taken, now).run(&chunk.rows, &row_users, rules)))
}

/// The users of a chunk, and for each row the index of its user.
async fn load(
    chunk: &Chunk,
    tenant: Tenant,
    rules: &Rules<'_>,
    source: &mut Source<'_>,
) -> Result<(Vec<User>, Vec<Option<usize>>)> {
    let mut hints: Vec<UserId> = chunk.rows.iter().filter_map(|row| row.user).collect();
    hints.sort_unstable();
    hints.dedup();
    let loaded = match source {
        Source::Snapshot(connection) => connection.load_users(tenant, &hints, rules.fields).await?,
        Source::Locked(tx) => tx.lock_users(tenant, &hints, rules.fields).await?,
    };
    let mut users: Vec<User> = loaded.into_iter().map(|loaded| loaded.user).collect();
    let mut by_id: HashMap<UserId, usize> = users.iter().enumerate().map(|(i, user)| (user.id, i)).collect();
    let mut row_users: Vec<Option<usize>> = chunk
        .rows
        .iter()
        .map(|row| by_id.get(&row.user?).copied().filter(|i| row.row.key.matches(&users[*i])))
        .collect();

    // Rows whose key named nobody, or whose user gave the key up since: who has it now?
    let mut keys: Vec<UserKey> = Vec::new();
    let mut positions: HashMap<UserKey, usize> = HashMap::new();
    for (row, _) in chunk.rows.iter().zip(&row_users).filter(|(_, user)| user.is_none()) {
        if let Key::Email(email) = &row.row.key {
            let key = email_user_key(email);
            if !positions.contains_key(&key) {
                positions.insert(key.clone(), keys.len());
                keys.push(key);
            }
        }
    }
    let mut found = HashMap::new();
    for loaded in by_key(tenant, &keys, rules, source).await? {
        let index = *by_id.entry(loaded.user.id).or_insert_with(|| {
            users.push(loaded.user);
            users.len() - 1
        });
        found.insert(loaded.position, index);
    }
    for (row, user) in chunk.rows.iter().zip(&mut row_users).filter(|(_, user)| user.is_none()) {
        if let Key::Email(email) = &row.row.key {
            *user = found.get(&positions[&email_user_key(email)]).copied();
        }
    }
    Ok((users, row_users))
}

async fn by_key(
    tenant: Tenant,
    keys: &[UserKey],
    rules: &Rules<'_>,
    source: &mut Source<'_>,
) -> Result<Vec<muster_store::LoadedUser>> {
    let Source::Locked(tx) = source else {
        return Ok(source.connection().load_users_by_key(tenant, keys, rules.fields).await?);
    };
    // Locked in order of id, then asked for again: what was found before the lock may have changed until it.
    let mut ids: Vec<UserId> = tx.find_users(tenant, keys).await?.into_iter().map(|(_, user)| user).collect();
    ids.sort_unstable();
    ids.dedup();
    tx.lock_users(tenant, &ids, rules.fields).await?;
    Ok(tx.load_users_by_key(tenant, keys, rules.fields).await?)
}

/// The emails that rows give to users whom they name by something else.
fn wanted_emails(rows: &[PreparedRow]) -> Vec<UserKey> {
    let emails = rows.iter().flat_map(|row| &row.row.edits).filter_map(|edit| match (edit.field, &edit.patch) {
        (FieldNumber::EMAIL, EditPatch::Set(_, Value::Text(email))) => Some(email_user_key(email)),
        _ => None,
    });
    let different: HashSet<UserKey> = emails.collect();
    different.into_iter().collect()
}

/// A user during a chunk.
struct Working {
    user: User,
    /// The version in the database; 0: not there.
    stored: i64,
}

struct Planner {
    planned: PlannedChunk,
    users: Vec<Working>,
    /// Users made by this chunk, by their key.
    made: HashMap<UserKey, usize>,
    /// Who has the keys that rows want to give away.
    taken: HashMap<UserKey, UserId>,
    now: Timestamp,
}

impl Planner {
    fn new(chunk: &Chunk, users: Vec<User>, taken: HashMap<UserKey, UserId>, now: Timestamp) -> Self {
        let users = users.into_iter().map(|user| Working { stored: user.version, user }).collect();
        let planned = PlannedChunk { from: chunk.from, to: chunk.to, at: now, ..PlannedChunk::default() };
        Self { planned, users, made: HashMap::new(), taken, now }
    }

    fn run(mut self, rows: &[PreparedRow], row_users: &[Option<usize>], rules: &Rules<'_>) -> PlannedChunk {
        for (PreparedRow { row, .. }, user) in rows.iter().zip(row_users) {
            let outcome = self.row(row, *user, rules);
            self.planned.counts.add(outcome.status);
            self.planned.outcomes.push(outcome);
        }
        for Working { user, stored } in &self.users {
            let row = || UserRow::new(user, *stored, rules.fields);
            match stored {
                0 => self.planned.created.push(row()),
                stored if user.version > *stored => self.planned.updated.push(row()),
                _ => {}
            }
        }
        // In order of id, as the database keeps them; the new ones are in order already.
        self.planned.updated.sort_unstable_by_key(|user| user.id);
        self.planned
    }

    fn row(&mut self, row: &Row, user: Option<usize>, rules: &Rules<'_>) -> Outcome {
        let key = match &row.key {
            Key::Email(email) => Some(email_user_key(email)),
            Key::Id(_) => None,
        };
        // An earlier row of this chunk may have made the user, or taken the key from the one who was found.
        let user = user
            .filter(|i| row.key.matches(&self.users[*i].user))
            .or_else(|| key.as_ref().and_then(|key| self.made.get(key).copied()));
        let decided = plan(row, user.map(|i| &self.users[i].user), rules);
        let outcome = |status, user, error: Option<RowError>| {
            let reason = error.map(|error| Reason { line: row.line, error });
            Outcome { record: row.record, status, user, reason }
        };
        let id = user.map(|i| self.users[i].user.id);
        match (decided, user) {
            (Plan::Reject(error), _) => outcome(Status::Failed, id, Some(error)),
            (Plan::Unchanged, _) => outcome(Status::Unchanged, id, None),
            (Plan::Update(changes), Some(index)) => match self.change(index, row, &changes, rules) {
                Ok(id) => outcome(Status::Updated, Some(id), None),
                Err(error) => outcome(Status::Failed, id, Some(error)),
            },
            (Plan::Create(changes) | Plan::Update(changes), _) => {
                let blank = User::blank(UserId(-1 - self.made.len() as i64), self.now);
                let index = self.users.len();
                self.users.push(Working { user: blank, stored: 0 });
                match self.change(index, row, &changes, rules) {
                    Ok(id) => {
                        self.made.extend(key.map(|key| (key, index)));
                        outcome(Status::Created, Some(id), None)
                    }
                    Err(error) => {
                        self.users.pop();
                        outcome(Status::Failed, None, Some(error))
                    }
                }
            }
        }
    }

    /// Applies a change set, taking and giving up the keys that go with it.
    fn change(&mut self, index: usize, row: &Row, changes: &[Change], rules: &Rules<'_>) -> Result<UserId, RowError> {
        let Working { user, .. } = &mut self.users[index];
        if let Some(change) = changes.iter().find(|change| change.field == FieldNumber::EMAIL) {
            let key = |value: &Option<Value>| match value {
                Some(Value::Text(email)) => Some(email_user_key(email)),
                _ => None,
            };
            let (old, new) = (key(&change.old), key(&change.new));
            if old != new {
                if let Some(new) = new {
                    if self.taken.get(&new).is_some_and(|other| *other != user.id) {
                        let shown = change.new.as_ref().map(Value::to_string).unwrap_or_default();
                        let message = format!("another user has the email \"{shown}\"");
                        return Err(RowError::cell(Code::NotUnique, "email", &shown, message));
                    }
                    self.taken.insert(new.clone(), user.id);
                    // Taking back what was given up in this chunk is neither.
                    if self.planned.releases.remove(&new).is_none() {
                        self.planned.claims.insert(new, user.id);
                    }
                }
                if let Some(old) = old
                    && self.planned.claims.remove(&old).is_none()
                {
                    self.planned.releases.insert(old, user.id);
                }
            }
        }
        user.apply(changes, self.now);
        self.planned.touched.add(changes);
        let data = changes_to_stored(changes, rules.fields);
        self.planned.sets.push(NewChangeSet { user: user.id, version: user.version, line: row.line, data });
        Ok(user.id)
    }
}
