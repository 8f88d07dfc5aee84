//! Checks the whole store: for every user and field the changes form a chain, each `old` is the `new` before it, and the
//! last `new` is the current value, and where a history was pruned it goes on from its opening; every live user holds its keys and its entries in the
//! index, and nobody else does; the counts of jobs add up.

use crate::engine::Engine;
use crate::error::Result;
use crate::index::entries;
use crate::job::Job;
use muster_core::field::{Field, FieldSet};
use muster_core::id::UserId;
use muster_core::job::JobState;
use muster_core::key::UserKey;
use muster_core::user::User;
use muster_store::{Among, Community, Connection, IndexEntry, JobFilter, Link, LoadedUser, Opening};
use std::collections::VecDeque;

/// How many breaks are told.
const TOLD: usize = 20;
/// How many rows are read at a time.
const BATCH: u32 = 5_000;

/// What the check found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Users looked at.
    pub users: u64,
    /// Change sets looked at.
    pub change_sets: u64,
    /// Jobs looked at.
    pub jobs: u64,
    /// How many things are wrong.
    pub broken: u64,
    /// The first of them, as sentences.
    pub breaks: Vec<String>,
}

impl Verified {
    fn report(&mut self, community: &Community, sentence: String) {
        self.broken += 1;
        if self.breaks.len() < TOLD {
            self.breaks.push(format!("community {}: {sentence}", community.id));
        }
    }
}

/// The history of a community in order of user and version, read as it is needed.
struct Links<'a> {
    community: &'a Community,
    fields: &'a FieldSet,
    read: VecDeque<Link>,
    after: (UserId, i64),
    ended: bool,
}

impl Links<'_> {
    async fn peek(&mut self, connection: &mut Connection) -> Result<Option<&Link>> {
        if self.read.is_empty() && !self.ended {
            let more = connection.list_links(self.community.tenant, self.after, BATCH, self.fields).await?;
            self.ended = more.len() < BATCH as usize;
            self.after = more.last().map_or(self.after, |link| (link.user, link.version));
            self.read.extend(more);
        }
        Ok(self.read.front())
    }
}

impl Engine {
    /// Checks everything. Nothing may be written meanwhile, or what is being written may look broken.
    pub async fn verify(&self) -> Result<Verified> {
        let mut found = Verified::default();
        let mut connection = self.store().read().await?;
        for community in connection.list_communities().await? {
            verify_users(&mut connection, &community, &mut found).await?;
            verify_jobs(&mut connection, &community, &mut found).await?;
        }
        Ok(found)
    }
}

async fn verify_users(connection: &mut Connection, community: &Community, found: &mut Verified) -> Result<()> {
    let fields = connection.list_fields(community.tenant).await?;
    let mut links = Links { community, fields: &fields, read: VecDeque::new(), after: (UserId(0), 0), ended: false };
    let (mut after, mut keys, mut entries, mut openings) = (UserId(0), 0, 0, 0);
    loop {
        let users = connection.list_all_users(community.tenant, after, BATCH, &fields).await?;
        let Some(last) = users.last() else { break };
        after = last.user.id;
        let ids: Vec<UserId> = users.iter().map(|loaded| loaded.user.id).collect();
        let mut opened = connection.list_openings(community.tenant, &ids, &fields).await?.into_iter().peekable();
        for user in users.iter().map(|loaded| &loaded.user) {
            let opening = opened.next_if(|opening| opening.user == user.id);
            openings += u64::from(opening.is_some());
            verify_user(connection, &mut links, user, opening.as_ref(), found).await?;
        }
        let live = users.iter().map(|loaded| &loaded.user).filter(|user| !user.deleted);
        let holders: Vec<(UserKey, UserId)> =
            live.flat_map(|user| UserKey::of_user(user, &fields).into_iter().map(|key| (key, user.id))).collect();
        let wanted: Vec<UserKey> = holders.iter().map(|(key, _)| key.clone()).collect();
        let mut held = vec![None; wanted.len()];
        for (position, user) in connection.find_users(community.tenant, Among::Live, &wanted).await? {
            held[position] = Some(user);
        }
        for ((key, user), held) in holders.iter().zip(held).filter(|((_, user), held)| *held != Some(*user)) {
            let name = fields.key_of(key.field).unwrap_or_default();
            found.report(community, format!("user {user} does not hold its {name}, {held:?} does"));
        }
        keys += wanted.len() as u64;
        entries += verify_entries(connection, community, &users, &fields, found).await?;
    }
    if let Some(link) = links.peek(connection).await? {
        let sentence = format!("user {} has a history and is not there", link.user);
        found.report(community, sentence);
    }
    let stored = connection.count_openings(community.tenant).await?;
    if stored != openings {
        found.report(community, format!("{stored} histories have an opening, and {openings} users who are there"));
    }
    let stored = connection.count_user_keys(community.tenant).await?;
    if stored != keys {
        found.report(community, format!("{stored} keys are held, and live users have {keys}"));
    }
    let stored = connection.count_index_entries(community.tenant).await?;
    if stored != entries {
        found.report(community, format!("the index has {stored} entries, of which {entries} are a live user's value"));
    }
    Ok(())
}

/// Looks for the entries that the values of users have in the index, and says how many there are.
async fn verify_entries(
    connection: &mut Connection,
    community: &Community,
    users: &[LoadedUser],
    fields: &FieldSet,
    found: &mut Verified,
) -> Result<u64> {
    let wanted: Vec<IndexEntry> = users.iter().flat_map(|loaded| entries(&loaded.user, fields)).collect();
    let mut held = vec![false; wanted.len()];
    for position in connection.find_index_entries(community.tenant, &wanted).await? {
        held[position] = true;
    }
    let ready = |entry: &IndexEntry| fields.get(entry.field).is_some_and(Field::is_index_ready);
    for (entry, _) in wanted.iter().zip(&held).filter(|(entry, held)| !**held && ready(entry)) {
        let key = fields.key_of(entry.field).unwrap_or("?");
        found.report(community, format!("user {} has a value of {key} that is not in the index", entry.user));
    }
    Ok(held.into_iter().filter(|held| *held).count() as u64)
}

/// Follows one user's history from nothing, or from what is left of its beginning, to what is stored.
async fn verify_user(
    connection: &mut Connection,
    links: &mut Links<'_>,
    user: &User,
    opening: Option<&Opening>,
    found: &mut Verified,
) -> Result<()> {
    found.users += 1;
    let (community, fields) = (links.community, links.fields);
    let mut state = User::blank(user.id, user.created_at);
    if let Some(opening) = opening {
        state.apply(&opening.changes, opening.at);
        state.version = opening.version;
    }
    while let Some(link) = links.peek(connection).await?.filter(|link| link.user <= user.id) {
        found.change_sets += 1;
        if link.user < user.id {
            found.report(community, format!("user {} has a history and is not there", link.user));
        } else {
            if link.version != state.version + 1 {
                found
                    .report(community, format!("user {}: version {} follows {}", user.id, link.version, state.version));
            }
            for change in link.changes.iter().filter(|change| state.get(change.field) != change.old) {
                let key = fields.key_of(change.field).unwrap_or("?");
                found.report(
                    community,
                    format!("user {}, version {}: {key} did not hold what the change says", user.id, link.version),
                );
            }
            state.apply(&link.changes, user.updated_at);
            state.version = link.version;
        }
        links.read.pop_front();
    }
    let same = state.version == user.version
        && state.email == user.email
        && state.identities == user.identities
        && state.deleted == user.deleted
        && state.values == user.values;
    if !same {
        found.report(community, format!("user {}: the last change is not what the user holds", user.id));
    }
    Ok(())
}

async fn verify_jobs(connection: &mut Connection, community: &Community, found: &mut Verified) -> Result<()> {
    let mut filter = JobFilter::default();
    loop {
        let jobs: Vec<Job> = connection.list_jobs(community.tenant, &filter, BATCH).await?;
        let Some(last) = jobs.last() else { return Ok(()) };
        filter.before = Some(last.number);
        for job in &jobs {
            found.jobs += 1;
            let (decided, received) = (job.counts.decided(), job.counts.received);
            if decided > received || job.state == JobState::Completed && decided != received {
                found.report(community, format!("{} received {received} rows and decided {decided}", job.id));
            }
        }
    }
}
