//! The engine agrees with the plain model: random small jobs of all kinds, one after the other, planned and applied, tried
//! again and taken back, with single edits between them and under them, and workers that die at random points.
//!
//! Each round has a seed, which is printed where the round fails: `MUSTER_TEST_SEED=… cargo test the_engine_does` runs it
//! again.

mod decide;
mod edits;
mod file;
mod takeback;
mod world;

#[path = "../../../../core/tests/model/mod.rs"]
#[expect(dead_code, reason = "it has a community of its own, which core's tests use")]
mod reference;

use crate::crash::release;
use crate::harness::{Bench, Place, counts, drain, places};
use decide::{Ruling, Rulings};
use file::{CARD, File};
use muster_core::field::NewField;
use muster_core::id::{JobId, UserId};
use muster_core::job::{JobKind, JobState, Overdraft};
use muster_engine::{Fault, Faults, HistoryQuery, Job, POINTS, Tick, UndoRequest, Worker};
use reference::generate::{self, Choose};
use reference::{Delta, Rules};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::sync::Notify;
use world::World;

/// How many rounds each database gets, and how many files a round has.
const ROUNDS: usize = 12;
const FILES: usize = 5;

/// A generator of random numbers (SplitMix64), and the seed that it began with.
struct Seeded {
    seed: u64,
    state: u64,
}

impl Choose for Seeded {
    fn below(&mut self, count: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % count as u64) as usize
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this round again: MUSTER_TEST_SEED={}", self.seed);
        }
    }
}

/// The seeds of all rounds; the one that was asked for, where one was.
fn seeds() -> Vec<u64> {
    match std::env::var("MUSTER_TEST_SEED") {
        Ok(seed) => vec![seed.parse().expect("MUSTER_TEST_SEED is a number")],
        Err(_) => (0..ROUNDS).map(|_| RandomState::new().hash_one(0)).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_does_what_the_plain_model_does() {
    let seeds = seeds();
    for place in places().await {
        for seed in &seeds {
            let mut choose = Seeded { seed: *seed, state: *seed };
            let bench = community(&place).await;
            // In every other round nobody but jobs does anything, so taking everything back leads to the beginning.
            let edits = choose.percent(50);
            let world = World::default();
            let mut round = Round { place: &place, bench, world, edits, done: Vec::new() };
            Box::pin(round.run(&mut choose)).await;
        }
    }
}

/// A community of its own with every field that the model knows.
async fn community(place: &Place) -> Bench {
    let bench = place.set_up().await;
    for field in reference::fields::ALL.iter().filter(|field| !field.built_in).chain([&CARD]) {
        let rules = muster_core::field::Rules { unique: field.key == CARD.key, ..field.rules() };
        let new = NewField { key: Some(field.key.to_owned()), name: field.name.to_owned(), kind: field.kind, rules };
        match bench.engine.create_field(&bench.caller, &new).await {
            Ok(_) => {}
            // The bench made it, with the same type.
            Err(error) => assert_eq!(error.public().code, muster_core::Code::FieldExists),
        }
    }
    bench
}

/// A job that wrote, and the living before it and after it.
struct Done {
    job: JobId,
    overdraft: Overdraft,
    before: Living,
}

/// Who lives, by number: email, identities and values.
type Living = BTreeMap<i64, BTreeMap<String, String>>;

struct Round<'a> {
    place: &'a Place,
    bench: Bench,
    world: World,
    edits: bool,
    done: Vec<Done>,
}

impl Round<'_> {
    async fn run(&mut self, choose: &mut Seeded) {
        // Now and then a job has more rows than a chunk.
        let large = choose.percent(5);
        let mut emails: Vec<String> = generate::EMAILS.iter().map(|email| (*email).to_owned()).collect();
        if large {
            emails.extend((0..600).map(|i| format!("user{i}@x.org")));
        }
        for number in 0..FILES {
            self.edit_some(choose).await;
            let file = File::new(choose, &self.world, &emails, number == 0);
            let job = match choose.percent(30) {
                true => Box::pin(self.plan_and_apply(choose, &file)).await,
                false => Some(self.write(choose, &file).await),
            };
            if let Some((job, rulings)) = job.filter(|_| choose.percent(40)) {
                self.edit_some(choose).await;
                self.retry(choose, &file, job, &rulings).await;
            }
        }
        let end = self.living();
        self.bench.check().await;
        self.compare_histories().await;
        let undos = self.take_all_back(choose).await;
        if !self.edits {
            // And what was taken back comes again.
            self.done = undos;
            self.take_all_back(choose).await;
            assert_eq!(self.living(), end);
        }
        self.bench.check().await;
        self.compare_histories().await;
    }

    async fn edit_some(&mut self, choose: &mut Seeded) {
        for _ in 0..if self.edits { choose.below(4) } else { 0 } {
            self.edit(choose).await;
        }
    }

    async fn write(&mut self, choose: &mut Seeded, file: &File) -> (JobId, Rulings) {
        let job = self.submit(file, false).await;
        let before = self.living();
        self.work(choose, self.edits).await;
        let actual = self.bench.verdicts(job).await;
        let mut work = self.world.begin(file.kind, &file.rules, Some(job), None);
        let rulings = self.world.decide(&mut work, file, None, &actual);
        self.compare(job, &rulings).await;
        self.done.push(Done { job, overdraft: file.rules.overdraft, before });
        (job, rulings)
    }

    async fn plan_and_apply(&mut self, choose: &mut Seeded, file: &File) -> Option<(JobId, Rulings)> {
        let planned = self.submit(file, true).await;
        self.work(choose, false).await;
        let actual = self.bench.verdicts(planned).await;
        let mut work = self.world.begin(file.kind, &file.rules, None, None);
        let plan = self.world.clone().decide(&mut work, file, None, &actual);
        self.compare(planned, &plan).await;
        if plan.error.is_some() {
            return None;
        }
        self.edit_some(choose).await;
        let before = self.living();
        let applied = self.bench.engine.apply_job(&self.bench.caller, planned).await.expect("it is accepted").job.id;
        self.work(choose, false).await;
        let actual = self.bench.verdicts(applied).await;
        let mut work = self.world.begin(file.kind, &file.rules, Some(applied), None);
        let rulings = self.world.apply_plan(&mut work, file, &plan, &actual);
        self.compare(applied, &rulings).await;
        self.done.push(Done { job: applied, overdraft: file.rules.overdraft, before });
        Some((applied, rulings))
    }

    async fn retry(&mut self, choose: &mut Seeded, file: &File, of: JobId, rulings: &Rulings) {
        let open = |ruling: &Ruling| ruling.verdict.starts_with("failed") || ruling.verdict == "unprocessed";
        let only: Vec<usize> = rulings.rows.iter().filter(|(_, ruling)| open(ruling)).map(|(i, _)| *i).collect();
        let before = self.living();
        let job = self.bench.engine.retry_job(&self.bench.caller, of).await.expect("it is accepted").job.id;
        self.work(choose, self.edits).await;
        let actual = self.bench.verdicts(job).await;
        let mut work = self.world.begin(file.kind, &file.rules, Some(job), None);
        let rulings = self.world.decide(&mut work, file, Some(&only), &actual);
        self.compare(job, &rulings).await;
        self.done.push(Done { job, overdraft: file.rules.overdraft, before });
    }

    /// Takes back every job, the last one first: the jobs that did it, in the order in which they did.
    async fn take_all_back(&mut self, choose: &mut Seeded) -> Vec<Done> {
        let mut undos = Vec::new();
        for Done { job, overdraft, before } in std::mem::take(&mut self.done).into_iter().rev() {
            let living = self.living();
            let request = UndoRequest::default();
            let undo =
                self.bench.engine.undo_job(&self.bench.caller, job, &request).await.expect("it is accepted").job.id;
            self.work(choose, false).await;
            let rules = Rules { import: false, overdraft, clear_token: String::new() };
            let mut work = self.world.begin(JobKind::Undo, &rules, Some(undo), Some(job));
            let verdicts = self.world.take_back(&mut work, job);
            assert_eq!(self.bench.verdicts(undo).await, verdicts, "{undo} takes back {job}");
            self.compare_people().await;
            if !self.edits {
                let histories =
                    || self.world.people.iter().map(|person| (person.id, &person.history)).collect::<Vec<_>>();
                assert!(self.living() == before, "{undo} takes back {job}: {verdicts:?} {:#?}", histories());
            }
            undos.push(Done { job: undo, overdraft, before: living });
        }
        undos
    }

    async fn submit(&self, file: &File, dry_run: bool) -> JobId {
        let options = file.options();
        let mut options: Vec<(&str, &str)> = options.iter().map(|(name, text)| (*name, text.as_str())).collect();
        options.extend(dry_run.then_some(("dry_run", "true")));
        self.bench.submit(file.kind, &options, file.text().as_bytes()).await.expect("it is accepted").id
    }

    /// Has everything worked on, with luck or without.
    async fn work(&mut self, choose: &mut Seeded, edits: bool) {
        let faults = Faults::none();
        let first = self.bench.reopened(self.place, faults.clone());
        let mut worker = Worker::new(&first.engine).expect("a worker can be made");
        match choose.below(if edits { 4 } else { 2 }) {
            0 => {}
            1 => {
                let points: Vec<&str> = POINTS.iter().copied().filter(|point| !point.starts_with("accept")).collect();
                faults.plan(choose.one_of(&points), choose.below(2) as u32, Fault::Crash);
            }
            2 => {
                while matches!(worker.tick().await.expect("the database answers"), Tick::Claimed(_)) {}
                self.edit_value(choose).await;
            }
            _ => {
                let wake = Arc::new(Notify::new());
                faults.plan("apply.planned", 0, Fault::Stall(wake.clone()));
                let mut run = tokio::spawn(async move {
                    drain(&mut worker).await;
                    worker
                });
                // It stalls, unless there is nothing to apply.
                while first.engine.is_passing("apply.planned") && !run.is_finished() {
                    tokio::task::yield_now().await;
                }
                self.edit_value(choose).await;
                wake.notify_one();
                worker = (&mut run).await.expect("it does not panic");
            }
        }
        drain(&mut worker).await;
        release(&first, worker.owner()).await;
        self.bench.reopened(self.place, Faults::none()).run().await;
    }

    /// What became of a job must be as the model says, and so must everybody.
    async fn compare(&mut self, id: JobId, rulings: &Rulings) {
        let job: Job = self.bench.job(id).await;
        let verdicts = rulings.verdicts();
        assert_eq!(self.bench.verdicts(id).await, verdicts, "{} by {:?}", job.kind, job.options.match_by);
        let state = match rulings.error {
            Some(_) => JobState::Failed,
            None if job.dry_run => JobState::Planned,
            None => JobState::Completed,
        };
        assert_eq!((job.state, job.error.as_ref().map(|error| error.code.as_str())), (state, rulings.error));
        let count = |status: &str| verdicts.iter().filter(|verdict| verdict.split(' ').next() == Some(status)).count();
        let all =
            ["created", "updated", "unchanged", "skipped", "failed", "unprocessed"].map(|status| count(status) as u64);
        assert_eq!(counts(&job), [verdicts.len() as u64, all[0], all[1], all[2], all[3], all[4], all[5]]);
        if !job.dry_run {
            for (ruling, row) in rulings.rows.values().zip(self.bench.results(id).await) {
                if let Some(made) = ruling.about.filter(|_| ruling.verdict == "created") {
                    self.world.people[made].id = row[row.len() - 1].parse().ok();
                }
            }
        }
        self.compare_people().await;
    }

    async fn compare_people(&self) {
        let (bench, mut living) = (&self.bench, Living::new());
        let page = bench.engine.list_users(&bench.caller, None, UserId(0), 100_000).await.expect("users can be listed");
        for user in &page.users {
            let mut values: BTreeMap<String, String> = user
                .values
                .iter()
                .map(|(number, value)| (page.fields.key_of(number).expect("it is there").to_owned(), value.to_string()))
                .collect();
            values.extend(user.email.clone().map(|email| ("email".to_owned(), email)));
            let identities: Vec<String> = user.identities.iter().map(ToString::to_string).collect();
            values.extend((!identities.is_empty()).then(|| ("identities".to_owned(), identities.join(";"))));
            living.insert(user.id.0, values);
        }
        assert_eq!(living, self.living());
    }

    /// The living, as the model has them.
    fn living(&self) -> Living {
        let flat = |person: &world::Person| {
            let mut values = person.values.clone();
            for key in ["email", "identities"] {
                values.extend(person.get(key).map(|value| (key.to_owned(), value)));
            }
            (person.id.expect("it is known"), values)
        };
        self.world.living().map(|(_, person)| flat(person)).collect()
    }

    /// Everything that ever happened to everybody, and in which job.
    async fn compare_histories(&self) {
        // Large communities take long, and their people are like any others.
        for person in self.world.people.iter().take(40) {
            let query = HistoryQuery { user: person.id.map(UserId), limit: 10_000, ..HistoryQuery::default() };
            let page = self.bench.engine.history(&self.bench.caller, &query).await.expect("there is a history");
            let text = |value: &Option<muster_core::value::Value>| value.as_ref().map(ToString::to_string);
            let entry = |entry: &muster_engine::HistoryEntry| {
                let (op, change) = (entry.change.op.as_str().to_owned(), &entry.change);
                let delta = Delta { field: entry.field.clone(), op, old: text(&change.old), new: text(&change.new) };
                (entry.commit.job, delta)
            };
            let expected = person.history.iter().rev();
            let expected = expected.flat_map(|set| set.deltas.iter().map(|delta| (set.job, delta.clone())));
            let found: Vec<_> = page.entries.iter().map(entry).collect();
            assert_eq!(found, expected.collect::<Vec<_>>(), "of {:?}", person.id);
        }
    }
}
