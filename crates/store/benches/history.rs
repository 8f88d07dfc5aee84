//! How long it takes to find something in a large history.
//!
//! ```sh
//! cargo bench -p muster-store --bench history -- --sets 10000000 [--database-url postgres://…]
//! ```
//!
//! Most of the history is bulk: jobs that change two fields of everybody, 4,000 users a commit, of whom one also changes
//! a field that hardly anybody has. Beside it stands one user with a hundred thousand changes of its own, of which five
//! touch another field. Then each question is asked again and again, as a page of 100 entries asks it.

use jiff::Timestamp;
use muster_core::actor::{Actor, ActorKind};
use muster_core::field::{FieldNumber, FieldSet, FieldType, Rules};
use muster_core::id::{CommunityId, FieldId, JobId, Tenant, UserId};
use muster_core::user::{Change, Operator, changes_to_stored};
use muster_core::value::Value;
use muster_store::{HistoryFilter, NewChangeSet, NewCommit, Store, Touched, Transaction};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const CITY: FieldNumber = FieldNumber(16);
const POINTS: FieldNumber = FieldNumber(17);
const RARE: FieldNumber = FieldNumber(18);
const NEVER: FieldNumber = FieldNumber(19);
/// The change sets of a commit of a job.
const CHUNK: i64 = 4_000;
/// The users that each job changes.
const USERS: i64 = 1_000_000;
/// The user with a long history, and how long it is.
const BUSY: UserId = UserId(USERS + 1);
const BUSY_SETS: i64 = 100_000;
/// How many change sets a page asks for: its hundred, one that the page before may have given, and one to see whether
/// there is another page.
const LIMIT: u32 = 102;
/// How often each question is asked.
const TIMES: usize = 15;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("run it as: cargo bench -p muster-store --bench history");
        return Ok(());
    }
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let sets = option("--sets").map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let store = open(option("--database-url").as_deref(), folder.path())?;
    store.migrate().await?;
    let mut filler = Filler::new(&store).await?;
    let begun = now();
    filler.fill(&store, sets).await?;
    println!("{:?}, {sets} change sets in {} commits, {:.0?}\n", store.dialect(), filler.commit, begun.elapsed());
    ask(&store, &filler).await
}

#[expect(clippy::disallowed_methods, reason = "durations are what this is for")]
fn now() -> Instant {
    Instant::now()
}

fn open(url: Option<&str>, folder: &Path) -> Result<Store> {
    Ok(match url {
        Some(url) => Store::open_postgres(url)?,
        None => Store::open_sqlite(&folder.join("muster.db"))?,
    })
}

fn job(number: i64) -> JobId {
    JobId::from_bytes([number as u8; 12])
}

/// What is written, and how far.
struct Filler {
    tenant: Tenant,
    fields: FieldSet,
    actor: Actor,
    commit: i64,
}

impl Filler {
    async fn new(store: &Store) -> Result<Self> {
        let mut tx = store.begin().await?;
        let at = Timestamp::UNIX_EPOCH;
        let tenant = tx.insert_community(CommunityId::from_bytes([1; 12]), "Benchmark", at).await?.tenant;
        let fields = [("city", FieldType::Text), ("points", FieldType::Integer)];
        let fields = fields.into_iter().chain([("rare", FieldType::Text), ("never", FieldType::Text)]);
        for (i, (key, kind)) in fields.enumerate() {
            let id = FieldId::from_bytes([i as u8; 12]);
            tx.insert_field(tenant, id, key, key, kind, &Rules::default(), false, at).await?;
        }
        let fields = tx.list_fields(tenant).await?;
        tx.commit().await?;
        let actor = Actor { kind: ActorKind::ApiKey, id: "0123456789abcdef01234567".into(), name: "Benchmark".into() };
        Ok(Self { tenant, fields, actor, commit: 0 })
    }

    async fn fill(&mut self, store: &Store, sets: i64) -> Result<()> {
        let bulk = sets - BUSY_SETS;
        // Beside each chunk the busy user changes a little.
        let busy = |done: i64| BUSY_SETS * done.min(bulk) / bulk;
        for first in (0..bulk).step_by(CHUNK as usize) {
            let mut tx = store.begin().await?;
            let chunk = first..(first + CHUNK).min(bulk);
            self.write(&mut tx, Some(job(first / USERS + 1)), chunk.map(bulk_set)).await?;
            for set in busy(first)..busy(first + CHUNK) {
                self.write(&mut tx, None, [busy_set(set)].into_iter()).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Writes a commit.
    async fn write(
        &mut self,
        tx: &mut Transaction,
        job: Option<JobId>,
        sets: impl Iterator<Item = (UserId, i64, Vec<Change>)>,
    ) -> Result<()> {
        self.commit += 1;
        let mut touched = Touched::default();
        let sets = sets.map(|(user, version, changes)| {
            touched.add(&changes);
            NewChangeSet { user, version, line: 2, data: changes_to_stored(&changes, &self.fields) }
        });
        let sets = sets.collect();
        let commit = NewCommit { id: self.commit, at: self.at(self.commit), job, actor: &self.actor };
        Ok(tx.insert_changes(self.tenant, &commit, sets, &touched).await?)
    }

    fn at(&self, commit: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + commit).unwrap_or(Timestamp::MAX)
    }
}

fn change(field: FieldNumber, new: Value) -> Change {
    Change { field, op: Operator::Overwrite, old: None, new: Some(new) }
}

fn bulk_set(set: i64) -> (UserId, i64, Vec<Change>) {
    let city = Value::Text(format!("a city with the number {set}"));
    let mut changes = vec![change(CITY, city), change(POINTS, Value::Integer(set))];
    changes.extend((set % CHUNK == 1_234).then(|| change(RARE, Value::Text("seldom".to_owned()))));
    (UserId(set % USERS + 1), set / USERS + 1, changes)
}

fn busy_set(set: i64) -> (UserId, i64, Vec<Change>) {
    let changes = match set % (BUSY_SETS / 5) {
        777 => change(CITY, Value::Text("Rome".to_owned())),
        _ => change(POINTS, Value::Integer(set)),
    };
    (BUSY, set + 1, vec![changes])
}

/// Every question that there is, by what makes it hard.
fn questions(filler: &Filler) -> Vec<(&'static str, HistoryFilter)> {
    let at = |part: f64| Some(filler.at((filler.commit as f64 * part) as i64));
    let all = HistoryFilter::default();
    let field = |field| HistoryFilter { field: Some(field), ..HistoryFilter::default() };
    let user = |user| HistoryFilter { user: Some(user), ..HistoryFilter::default() };
    let of_job = |number| HistoryFilter { job: Some(job(number)), ..HistoryFilter::default() };
    let between = |filter: HistoryFilter, from, to| HistoryFilter { since: at(from), until: at(to), ..filter };
    let and = |filter: HistoryFilter, field| HistoryFilter { field: Some(field), ..filter };
    let in_job = |filter: HistoryFilter, number| HistoryFilter { job: Some(job(number)), ..filter };
    let usual = UserId(USERS / 2);
    vec![
        ("everything", all.clone()),
        ("a time in the middle", between(all.clone(), 0.5, 0.6)),
        ("a time before everything", between(all, -2.0, -1.0)),
        ("a field that everybody has", field(POINTS)),
        ("a field that one set of each commit touches", field(RARE)),
        ("the same in a time", between(field(RARE), 0.3, 0.4)),
        ("a field that nobody has", field(NEVER)),
        ("a user with ten changes", user(usual)),
        ("the same and a field that the user has not", and(user(usual), RARE)),
        ("the same and a job", in_job(user(usual), 1)),
        ("a user with 100,000 changes", user(BUSY)),
        ("the same and a field of 5 of them", and(user(BUSY), CITY)),
        ("the same and a field of none of them", and(user(BUSY), RARE)),
        ("the same and a field of nearly all, in a time", between(and(user(BUSY), POINTS), 0.1, 0.2)),
        ("the same in a time", between(user(BUSY), 0.1, 0.11)),
        ("the same and a job of none of them", in_job(user(BUSY), 1)),
        ("a job", of_job(1)),
        ("a job and a field of one set of each commit", and(of_job(1), RARE)),
        ("a job in a time", between(of_job(1), 0.05, 0.06)),
        ("a job in a time when it did not run", between(of_job(1), 0.8, 1.0)),
        ("a job that is not there", of_job(200)),
    ]
}

async fn ask(store: &Store, filler: &Filler) -> Result<()> {
    println!("{:<50}{:>8}{:>12}{:>12}{:>12}", "", "found", "first ms", "median ms", "worst ms");
    for (name, filter) in questions(filler) {
        let (mut times, mut found) = (Vec::new(), 0);
        for _ in 0..TIMES {
            let mut read = store.read().await?;
            let begun = now();
            found = read.list_changes(filler.tenant, &filter, LIMIT, &filler.fields).await?.len();
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        let first = times[0];
        times.sort_by(f64::total_cmp);
        let (median, worst) = (times[TIMES / 2], times[TIMES - 1]);
        println!("{name:<50}{found:>8}{first:>12.2}{median:>12.2}{worst:>12.2}");
    }
    Ok(())
}
