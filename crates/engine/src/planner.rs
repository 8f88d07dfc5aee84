//! Plans the rows of a chunk, one after the other, each on what those before it left.

use crate::chunk::{Carry, Chunk, Order, PlannedChunk, sees};
use crate::index::IndexChanges;
use crate::prepare::PreparedRow;
use jiff::Timestamp;
use muster_core::Code;
use muster_core::error::RowError;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::UserId;
use muster_core::key::{Key, UserKey};
use muster_core::outcome::{Outcome, Reason, Status};
use muster_core::plan::{Plan, Row, ambiguous, plan};
use muster_core::undo::{Past, plan_undo};
use muster_core::user::{Change, User, changes_to_stored};
use muster_core::value::Value;
use muster_store::{NewChangeSet, UserRow};
use std::collections::HashMap;

/// Whom a row names, as an index into the users of its chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RowUser {
    #[default]
    Nobody,
    One(usize),
    Several,
}

/// A user during a chunk.
struct Working {
    user: User,
    /// The version in the database; 0: not there.
    stored: i64,
    /// Whether it was deleted, and the keys it had, before the first change that moves keys.
    before: Option<(bool, Vec<UserKey>)>,
    /// Whether the change counts: no chunk before has counted it.
    counts: bool,
}

impl Working {
    fn new(user: User, stored: i64) -> Self {
        Self { user, stored, before: None, counts: true }
    }

    fn is_changed(&self) -> bool {
        self.user.version > self.stored
    }
}

pub(crate) struct Planner<'a> {
    order: Order<'a>,
    planned: PlannedChunk,
    users: Vec<Working>,
    /// Users made by this chunk, by their key.
    made: HashMap<UserKey, usize>,
    /// Who has the keys that rows want to give away.
    taken: HashMap<UserKey, UserId>,
    past: HashMap<UserId, Vec<Past>>,
    /// The keys that the row at hand may not take: a row before it in the file claims them for another user.
    lost: Vec<UserKey>,
    now: Timestamp,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(
        order: Order<'a>,
        users: Vec<User>,
        taken: HashMap<UserKey, UserId>,
        past: HashMap<UserId, Vec<Past>>,
        now: Timestamp,
    ) -> Self {
        let users = users.into_iter().map(|user| Working::new(user.clone(), user.version)).collect();
        let index = IndexChanges::new(order.rules.fields);
        let planned = PlannedChunk { at: now, index, ..PlannedChunk::default() };
        Self { order, planned, users, made: HashMap::new(), taken, past, lost: Vec::new(), now }
    }

    pub(crate) fn run(mut self, chunk: &Chunk, row_users: &[RowUser], carry: Option<Carry>) -> PlannedChunk {
        let carry = carry.filter(|carry| chunk.rows.first().is_some_and(|row| row.is_about_the_same(&carry.about)));
        let mut outdated = carry.as_ref().is_some_and(|carry| carry.outdated);
        let counted = carry.as_ref().is_some_and(|carry| carry.affected);
        if let Some((user, stored)) = carry.as_ref().and_then(|carry| carry.state.clone()) {
            self.go_on_with(user, stored, &chunk.rows[0].row.key);
        }
        let mut last: Option<&PreparedRow> = carry.as_ref().map(|carry| &carry.about);
        let mut last_user = None;
        for (prepared, row_user) in chunk.rows.iter().zip(row_users) {
            let first = !last.is_some_and(|last| last.is_about_the_same(prepared));
            let (outcome, user) = match self.resolve(&prepared.row, *row_user) {
                Err(error) => (self.failed(&prepared.row, None, error), None),
                Ok(user) => {
                    if let Some(expected) = prepared.expected.filter(|_| first) {
                        let (id, stored) =
                            user.map_or((None, 0), |i| (Some(self.users[i].user.id), self.users[i].stored));
                        outdated = stored != expected || stored > 0 && id != prepared.user;
                    }
                    self.lost = prepared.lost_keys(self.order.rules.fields);
                    let outdated = outdated && prepared.expected.is_some();
                    let outcome =
                        if outdated { self.outdated(&prepared.row, user) } else { self.row(&prepared.row, user) };
                    (outcome, user.or_else(|| self.made_by(&prepared.row)))
                }
            };
            if let Some(user) = user.filter(|_| counted && last_user.is_none() && !first) {
                self.users[user].counts = false;
            }
            if self.order.dry_run {
                self.planned.record.versions.push(user.map_or(0, |i| self.users[i].stored));
            }
            self.planned.counts.count(outcome.status);
            self.planned.record.outcomes.push(outcome);
            (last, last_user) = (Some(prepared), Some(user));
        }
        if let Some(last) = last.filter(|_| chunk.goes_on) {
            let user = last_user.flatten();
            let state = user.filter(|_| self.order.dry_run).map(|i| (self.users[i].user.clone(), self.users[i].stored));
            let affected = user.is_some_and(|i| self.users[i].is_changed() || !self.users[i].counts);
            let about = PreparedRow { row: Row { edits: Vec::new(), ..last.row.clone() }, ..last.clone() };
            self.planned.record.carry = Some(Carry { about, affected, outdated, state });
        }
        self.finish()
    }

    /// A dry run goes on with a user as the chunk before would have left it.
    fn go_on_with(&mut self, user: User, stored: i64, key: &Key) {
        match self.users.iter().position(|working| working.user.id == user.id) {
            Some(index) if self.users[index].stored == stored => self.users[index].user = user,
            Some(_) => {}
            None => {
                self.made.extend(key.user_key().map(|key| (key, self.users.len())));
                self.users.push(Working::new(user, stored));
            }
        }
    }

    fn made_by(&self, row: &Row) -> Option<usize> {
        row.key.user_key().and_then(|key| self.made.get(&key).copied())
    }

    /// Whom a row names now: an earlier row of this chunk may have made the user, or taken the key from the one who was
    /// found.
    fn resolve(&self, row: &Row, found: RowUser) -> Result<Option<usize>, RowError> {
        match found {
            RowUser::Several => Err(ambiguous(&row.key, self.order.rules.fields)),
            RowUser::One(i) if sees(self.order.rules.kind, &row.key, &self.users[i].user) => Ok(Some(i)),
            RowUser::One(_) | RowUser::Nobody => Ok(self.made_by(row)),
        }
    }

    fn row(&mut self, row: &Row, user: Option<usize>) -> Outcome {
        if let Some(filter) = self.order.filter
            && !user.is_some_and(|i| filter.matches(&self.users[i].user))
        {
            let message = "the user does not match the filter any more";
            let error = row.key.error(Code::NoLongerMatches, message.to_owned());
            return self.outcome(row, Status::Skipped, user.map(|i| self.users[i].user.id), Some(error));
        }
        let decided = match (self.order.undoes, user) {
            (Some(undone), Some(i)) => {
                let user = &self.users[i].user;
                let past = self.past.get(&user.id).map_or(&[][..], Vec::as_slice);
                plan_undo(user, undone, past, &self.order.rules)
            }
            (_, user) => plan(row, user.map(|i| &self.users[i].user), &self.order.rules),
        };
        let id = user.map(|i| self.users[i].user.id);
        match (decided, user) {
            (Plan::Reject(error), _) => self.failed(row, id, error),
            (Plan::Unchanged, _) => self.outcome(row, Status::Unchanged, id, None),
            (Plan::Skip(error), _) => self.outcome(row, Status::Skipped, id, Some(error)),
            (Plan::Update(changes), Some(i)) => self.update(i, row, &changes, None),
            (Plan::UpdatePart(changes, left), Some(i)) => self.update(i, row, &changes, Some(left)),
            (Plan::Create(changes) | Plan::Update(changes) | Plan::UpdatePart(changes, _), _) => {
                self.create(row, &changes)
            }
        }
    }

    fn update(&mut self, index: usize, row: &Row, changes: &[Change], left: Option<RowError>) -> Outcome {
        let id = Some(self.users[index].user.id);
        match self.change(index, row, changes) {
            Ok(changes) => Outcome { changes, ..self.outcome(row, Status::Updated, id, left) },
            Err(error) => self.failed(row, id, error),
        }
    }

    fn create(&mut self, row: &Row, changes: &[Change]) -> Outcome {
        let blank = User::blank(UserId(-1 - self.made.len() as i64), self.now);
        let (id, index) = (blank.id, self.users.len());
        self.users.push(Working::new(blank, 0));
        match self.change(index, row, changes) {
            Ok(changes) => {
                self.made.extend(row.key.user_key().map(|key| (key, index)));
                Outcome { changes, ..self.outcome(row, Status::Created, Some(id), None) }
            }
            Err(error) => {
                self.users.pop();
                self.failed(row, None, error)
            }
        }
    }

    fn failed(&self, row: &Row, user: Option<UserId>, error: RowError) -> Outcome {
        self.outcome(row, Status::Failed, user, Some(error))
    }

    fn outdated(&self, row: &Row, user: Option<usize>) -> Outcome {
        let message = match user {
            Some(_) => "the user was changed after the dry run",
            None => "the user is not there any more",
        };
        let error = row.key.error(Code::ChangedSincePlan, message.to_owned());
        self.failed(row, user.map(|i| self.users[i].user.id), error)
    }

    fn outcome(&self, row: &Row, status: Status, user: Option<UserId>, error: Option<RowError>) -> Outcome {
        // Who would be made in a dry run has no id.
        let user = user.filter(|id| !self.order.dry_run || id.0 > 0);
        let reason = error.map(|error| Reason { line: row.line, error });
        Outcome { reason, ..Outcome::new(row.record, status, user) }
    }

    /// Applies a change set, taking the keys that go with it. In a dry run it gives the changes in their stored form.
    fn change(&mut self, index: usize, row: &Row, changes: &[Change]) -> Result<Option<String>, RowError> {
        let fields = self.order.rules.fields;
        let working = &mut self.users[index];
        if changes.iter().any(|change| moves_keys(change.field, fields)) {
            let mut after = working.user.clone();
            after.apply(changes, self.now);
            let before = UserKey::of_user(&working.user, fields);
            if !after.deleted {
                let gained = UserKey::of_user(&after, fields);
                let gained = gained.into_iter().filter(|key| working.user.deleted || !before.contains(key));
                let free = |key: &UserKey| self.taken.get(key).is_none_or(|holder| *holder == after.id);
                // First, because whether the row before it was applied already depends on the order between users.
                if let Some(lost) = gained.clone().find(|key| self.lost.contains(key)) {
                    return Err(taken_in_file(&lost, row, changes, &self.order));
                }
                if let Some(taken) = gained.clone().find(|key| !free(key)) {
                    return Err(not_unique(&taken, working.stored > 0, row, changes, &self.order));
                }
                self.taken.extend(gained.map(|key| (key, after.id)).collect::<Vec<_>>());
            }
            working.before.get_or_insert((working.user.deleted, before));
            self.planned.index.note(&working.user, changes, fields);
            working.user = after;
        } else {
            self.planned.index.note(&working.user, changes, fields);
            working.user.apply(changes, self.now);
        }
        let data = changes_to_stored(changes, fields);
        if self.order.dry_run {
            return Ok(Some(data));
        }
        self.planned.touched.add(changes);
        let Working { user, .. } = &self.users[index];
        self.planned.sets.push(NewChangeSet { user: user.id, version: user.version, line: row.line, data });
        Ok(None)
    }

    fn finish(mut self) -> PlannedChunk {
        let fields = self.order.rules.fields;
        let held = self.users.iter().filter(|working| !working.is_changed() && working.stored > 0);
        self.planned.held = held.map(|working| (working.user.id, working.stored)).collect();
        for working in self.users.iter().filter(|working| working.is_changed()) {
            self.planned.affected += u64::from(working.counts);
            if self.order.dry_run {
                continue;
            }
            let row = UserRow::new(&working.user, working.stored, fields);
            match working.stored {
                0 => self.planned.created.push(row),
                _ => self.planned.updated.push(row),
            }
            if let Some((was_deleted, before)) = &working.before {
                let before = if working.stored == 0 { &[][..] } else { before.as_slice() };
                move_keys(&mut self.planned, &working.user, *was_deleted, before, fields);
            }
        }
        // In order of id, as the database keeps them; the new ones are in order already.
        self.planned.updated.sort_unstable_by_key(|user| user.id);
        self.planned
    }
}

/// What a user gives up and takes, from what it was called before the chunk to what it is called after it.
fn move_keys(planned: &mut PlannedChunk, user: &User, was_deleted: bool, before: &[UserKey], fields: &FieldSet) {
    let after = UserKey::of_user(user, fields);
    let moves = &mut planned.moves;
    for key in before.iter().filter(|key| was_deleted != user.deleted || !after.contains(key)) {
        match was_deleted {
            true => drop(moves.raised.insert((key.clone(), user.id))),
            false => drop(moves.releases.insert(key.clone(), user.id)),
        }
    }
    for key in after.into_iter().filter(|key| was_deleted != user.deleted || !before.contains(key)) {
        match user.deleted {
            true => drop(moves.buried.insert((key, user.id))),
            false => drop(moves.claims.insert(key, user.id)),
        }
    }
}

fn moves_keys(field: FieldNumber, fields: &FieldSet) -> bool {
    matches!(field, FieldNumber::EMAIL | FieldNumber::IDENTITIES | FieldNumber::DELETED) || fields.is_unique(field)
}

/// A row before it in the file gives the key to another user.
fn taken_in_file(lost: &UserKey, row: &Row, changes: &[Change], order: &Order<'_>) -> RowError {
    let message = "another row of the file gives the same value to another user, and comes first";
    RowError { code: Code::NotUnique, message: message.to_owned(), ..not_unique(lost, false, row, changes, order) }
}

/// Somebody else has the key. Where the row names its user by one thing and gives another, which names somebody else, it
/// names two.
fn not_unique(taken: &UserKey, exists: bool, row: &Row, changes: &[Change], order: &Order<'_>) -> RowError {
    let fields = order.rules.fields;
    let edit = row.edits.iter().find(|edit| edit.field == taken.field);
    let name = fields.get(taken.field).map(|field| field.name.as_str()).or_else(|| fields.key_of(taken.field));
    let column = edit.and_then(|edit| order.rules.columns.get(usize::from(edit.column))).map(String::as_str);
    let given = changes.iter().find(|change| change.field == taken.field).and_then(|change| change.new.as_ref());
    let shown = match given {
        // Of several only the one that is taken.
        Some(Value::Identities(all)) => {
            all.iter().find(|one| UserKey::identity(one) == *taken).map(ToString::to_string)
        }
        given => given.map(ToString::to_string),
    };
    let shown = shown.unwrap_or_else(|| taken.key.replace('\u{1f}', ":"));
    let (column, shown) = (column.or(name).unwrap_or_default(), muster_core::error::excerpt(&shown));
    let name = if taken.field == FieldNumber::IDENTITIES { "identity" } else { name.unwrap_or_default() };
    let two = match row.key {
        Key::Identity(_) => taken.field == FieldNumber::EMAIL,
        Key::Email(_) => taken.field == FieldNumber::IDENTITIES,
        Key::Id(_) | Key::Unique(..) => false,
    };
    let (code, message) = match two && exists {
        true => (
            Code::AmbiguousMatch,
            format!("{} names one user, the {name} \"{shown}\" another", row.key.describe(fields)),
        ),
        false => (Code::NotUnique, format!("another user has the {name} \"{shown}\"")),
    };
    RowError::cell(code, column, &shown, message)
}
