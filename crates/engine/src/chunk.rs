//! A chunk of prepared rows: its users loaded, every row planned by [`Planner`], then written in one transaction.

use crate::error::Result;
use crate::index::IndexChanges;
use crate::lookup::{Found, find};
use crate::planner::{Planner, RowUser};
use crate::prepare::PreparedRow;
use jiff::Timestamp;
use muster_core::filter::Filter;
use muster_core::id::{JobId, Tenant, UserId};
use muster_core::job::{Counts, JobKind};
use muster_core::key::{Key, UserKey};
use muster_core::outcome::Outcome;
use muster_core::plan::Rules;
use muster_core::undo::Past;
use muster_core::user::User;
use muster_store::{Among, Connection, KeyMoves, NewChangeSet, PastSet, Reserved, Touched, Transaction, UserRow};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// Rows to be applied together.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    /// The cursor at which they begin.
    pub from: u64,
    /// The cursor at which each row ends.
    pub ends: Vec<u64>,
    /// The rows, those of one user in file order.
    pub rows: Vec<PreparedRow>,
    /// Whether the next chunk goes on with the user of the last row.
    pub goes_on: bool,
}

impl Chunk {
    /// A chunk of one row that is in no file.
    pub(crate) fn of(row: PreparedRow) -> Self {
        Self { from: 0, ends: vec![0], rows: vec![row], goes_on: false }
    }

    /// The cursor at which the next chunk begins.
    pub(crate) fn to(&self) -> u64 {
        self.ends.last().copied().unwrap_or(self.from)
    }

    /// Only the first rows.
    pub(crate) fn cut(mut self, rows: usize) -> Self {
        self.ends.truncate(rows);
        self.rows.truncate(rows);
        self.goes_on = false;
        self
    }
}

/// What is asked of a chunk beside its rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    pub tenant: Tenant,
    pub rules: Rules<'a>,
    /// Nothing will be written: outcomes say what would change.
    pub dry_run: bool,
    /// The job that is taken back.
    pub undoes: Option<JobId>,
    /// What users must still match, in a change by filter.
    pub filter: Option<&'a Filter>,
}

/// What a chunk has to know of the one before where both have rows of one user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Carry {
    /// Whom the last row was about.
    pub about: PreparedRow,
    /// The user was counted as changed.
    pub affected: bool,
    /// The user changed after the plan that is being applied.
    pub outdated: bool,
    /// In a dry run: the user as the rows so far would leave it, and the version that is stored.
    pub state: Option<(User, i64)>,
}

/// What is kept of a chunk until its job ends.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ChunkRecord {
    /// What became of the rows, in their order.
    pub outcomes: Vec<Outcome>,
    /// For the next chunk.
    pub carry: Option<Carry>,
    /// In a dry run: for each row the version of its user before the first row; 0 for a user to be made.
    pub versions: Vec<i64>,
}

/// What is to be written for a chunk.
///
/// Users who are to be made have no id yet: here they count from -1 downwards, and get theirs from
/// [`PlannedChunk::give_ids`].
#[derive(Debug, Default)]
pub(crate) struct PlannedChunk {
    /// When it was planned.
    pub at: Timestamp,
    pub counts: Counts,
    /// Users changed whom no chunk before has changed.
    pub affected: u64,
    pub record: ChunkRecord,
    pub created: Vec<UserRow>,
    pub updated: Vec<UserRow>,
    /// Users whom rows name and do not change, and the versions on which that was decided.
    pub held: Vec<(UserId, i64)>,
    pub sets: Vec<NewChangeSet>,
    /// Which of the change sets touch which fields.
    pub touched: Touched,
    /// The keys that change hands.
    pub moves: KeyMoves,
    /// What happens to the index over fields.
    pub index: IndexChanges,
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
        self.moves.claims.values_mut().for_each(give);
        self.index.give_ids(give);
        self.record.outcomes.iter_mut().filter_map(|outcome| outcome.user.as_mut()).for_each(give);
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

    async fn load(&mut self, order: &Order<'_>, ids: &[UserId]) -> Result<Vec<User>> {
        let fields = order.rules.fields;
        let loaded = match self {
            Self::Snapshot(connection) => connection.load_users(order.tenant, ids, fields).await?,
            Self::Locked(tx) => tx.lock_users(order.tenant, ids, fields).await?,
        };
        Ok(loaded.into_iter().map(|loaded| loaded.user).collect())
    }
}

/// Decides every row of a chunk.
pub(crate) async fn plan_chunk(
    chunk: &Chunk,
    order: &Order<'_>,
    carry: Option<Carry>,
    now: Timestamp,
    mut source: Source<'_>,
) -> Result<PlannedChunk> {
    let (users, row_users) = load(chunk, order, &mut source).await?;
    let past = load_past(chunk, order, &mut source).await?;
    let wanted: Vec<UserKey> = wanted(chunk, order, &users, &past).into_iter().collect();
    let mut taken = HashMap::new();
    for (position, user) in source.connection().find_users(order.tenant, Among::Live, &wanted).await? {
        taken.insert(wanted[position].clone(), user);
    }
    let planner = Planner::new(*order, users, taken, past, now);
    Ok(tokio::task::block_in_place(|| planner.run(chunk, &row_users, carry)))
}

/// Whether a job of this kind sees a user whom a row names: an undo sees all, a restore the deleted ones too.
pub(crate) fn sees(kind: JobKind, key: &Key, user: &User) -> bool {
    match kind {
        JobKind::Undo | JobKind::Erase => true,
        JobKind::Restore => key.is_of(user),
        JobKind::Update | JobKind::Import | JobKind::Create | JobKind::Delete => !user.deleted && key.is_of(user),
    }
}

/// The users of a chunk, and for each row whom it names.
async fn load(chunk: &Chunk, order: &Order<'_>, source: &mut Source<'_>) -> Result<(Vec<User>, Vec<RowUser>)> {
    let kind = order.rules.kind;
    let mut hints: Vec<UserId> = chunk.rows.iter().filter_map(|row| row.user).collect();
    hints.sort_unstable();
    hints.dedup();
    let mut users = source.load(order, &hints).await?;
    let mut by_id: HashMap<UserId, usize> = users.iter().enumerate().map(|(i, user)| (user.id, i)).collect();
    let hinted = |row: &PreparedRow| {
        let index = by_id.get(&row.user?).copied();
        index.filter(|i| sees(kind, &row.row.key, &users[*i])).map(RowUser::One)
    };
    let mut row_users: Vec<RowUser> = chunk.rows.iter().map(|row| hinted(row).unwrap_or_default()).collect();

    // Rows whose key named nobody, or whose user gave the key up since: who has it now?
    let open: Vec<usize> = (0..chunk.rows.len()).filter(|i| row_users[*i] == RowUser::Nobody).collect();
    let keys: Vec<&Key> = open.iter().map(|i| &chunk.rows[*i].row.key).collect();
    let found = find(source.connection(), order.tenant, kind, &keys).await?;
    let is_new = |user: &Found| matches!(user, Found::One(id) if !by_id.contains_key(id));
    let mut missing: Vec<UserId> = found.iter().filter(|user| is_new(user)).filter_map(Found::one).collect();
    missing.sort_unstable();
    missing.dedup();
    for user in source.load(order, &missing).await? {
        by_id.insert(user.id, users.len());
        users.push(user);
    }
    for (row, found) in open.into_iter().zip(found) {
        row_users[row] = match found {
            Found::Nobody => RowUser::Nobody,
            Found::Several => RowUser::Several,
            Found::One(id) => by_id.get(&id).map_or(RowUser::Nobody, |index| RowUser::One(*index)),
        };
    }
    Ok((users, row_users))
}

/// In an undo: what happened to each user from the job's first change on.
async fn load_past(chunk: &Chunk, order: &Order<'_>, source: &mut Source<'_>) -> Result<HashMap<UserId, Vec<Past>>> {
    let mut past: HashMap<UserId, Vec<Past>> = HashMap::new();
    if order.undoes.is_none() {
        return Ok(past);
    }
    let since: Vec<(UserId, i64)> = chunk.rows.iter().filter_map(|row| row.user.zip(row.since)).collect();
    for set in source.connection().list_past(order.tenant, &since, order.rules.fields).await? {
        let PastSet { user, version, job, undoes, undone, changes } = set;
        past.entry(user).or_default().push(Past { version, job, undoes, undone, changes });
    }
    Ok(past)
}

/// The keys that rows may give to users who do not have them, beside the one by which a row names its user.
fn wanted(chunk: &Chunk, order: &Order<'_>, users: &[User], past: &HashMap<UserId, Vec<Past>>) -> BTreeSet<UserKey> {
    let fields = order.rules.fields;
    let edits = chunk.rows.iter().flat_map(|row| &row.row.edits);
    let mut wanted: BTreeSet<UserKey> =
        edits.filter_map(|edit| Some(UserKey::of_value(edit.field, edit.patch.value()?, fields))).flatten().collect();
    // Who comes back wants back what the user was called.
    let back = users.iter().filter(|user| user.deleted);
    wanted.extend(back.flat_map(|user| UserKey::of_user(user, fields)));
    for change in past.values().flatten().flat_map(|set| &set.changes) {
        wanted.extend(change.old.iter().flat_map(|old| UserKey::of_value(change.field, old, fields)));
    }
    wanted
}
