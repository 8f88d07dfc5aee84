//! The engine agrees with the plain model: random small jobs, one after the other, with single edits between them and
//! under them, and workers that die at random points.
//!
//! Each round has a seed, which is printed where the round fails: `MUSTER_TEST_SEED=… cargo test the_engine_does` runs it
//! again.

#[path = "../../../core/tests/model/mod.rs"]
mod reference;

use crate::crash::release;
use crate::harness::{Bench, Place, counts, drain, places};
use muster_core::Patch;
use muster_core::field::{FieldType, NewField};
use muster_core::id::UserId;
use muster_core::job::{JobKind, JobState, OnDuplicate, Overdraft};
use muster_engine::{EngineError, Fault, Faults, Job, POINTS, Step, Tick, UserEdit, Worker};
use reference::generate::{self, Choose};
use reference::{Model, Rules, columns, folded, read_cell, read_row};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::sync::Notify;

/// How many rounds each database gets, and how many jobs a round has.
const ROUNDS: usize = 26;
const JOBS: usize = 5;

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
            round(&place, &mut choose).await;
        }
    }
}

/// A community of its own, and some jobs on it.
async fn round(place: &Place, choose: &mut Seeded) {
    let bench = place.set_up().await;
    for field in reference::fields::ALL.iter().filter(|field| !field.built_in) {
        let new = NewField {
            key: Some(field.key.to_owned()),
            name: field.name.to_owned(),
            kind: field.kind,
            rules: field.rules(),
        };
        match bench.engine.create_field(&bench.caller, &new).await {
            Ok(_) => {}
            // The bench made it, with the same type.
            Err(error) => assert_eq!(error.public().code, muster_core::Code::FieldExists),
        }
    }
    // Now and then a job has more rows than a chunk.
    let large = choose.percent(5);
    let mut emails: Vec<String> = generate::EMAILS.iter().map(|email| (*email).to_owned()).collect();
    if large {
        emails.extend((0..600).map(|i| format!("user{i}@x.org")));
    }
    let mut model = Model::default();
    for number in 0..JOBS {
        for _ in 0..choose.below(4) {
            edit(&bench, &mut model, choose).await;
        }
        let rows = if large { 2_500 } else { choose.below(25) };
        let file = File::new(choose, rows, &emails, number == 0);
        let job = file.run(place, &bench, &mut model, choose).await;
        let verdicts = file.apply(&mut model);
        compare(&bench, &job, &verdicts, &model).await;
    }
}

/// Everything that can be seen must be as the model says.
async fn compare(bench: &Bench, job: &Job, verdicts: &[String], model: &Model) {
    assert_eq!(job.state, JobState::Completed, "{:?}", job.error);
    assert_eq!(bench.verdicts(job.id).await, verdicts);
    let count =
        |status: &str| verdicts.iter().filter(|verdict| verdict.split(' ').next() == Some(status)).count() as u64;
    let [created, updated, unchanged] = ["created", "updated", "unchanged"].map(count);
    let expected = [verdicts.len() as u64, created, updated, unchanged, count("skipped"), count("failed"), 0];
    assert_eq!(counts(job), expected);
    let people = model.people.values().map(|person| (person.email.clone(), person.values.clone()));
    assert_eq!(bench.users().await, people.collect::<BTreeMap<_, _>>());
    bench.check().await;
}

/// A file and the options of its job.
struct File {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    rules: Rules,
    on_duplicate: OnDuplicate,
}

impl File {
    fn new(choose: &mut Seeded, rows: usize, emails: &[String], first: bool) -> Self {
        let mut rules = generate::rules(choose);
        rules.import |= first;
        let header = generate::header(choose);
        let rows = (0..rows).map(|_| generate::row(choose, &header, &rules, emails)).collect();
        Self { header, rows, rules, on_duplicate: choose.one_of(OnDuplicate::ALL) }
    }

    /// Submits the file and has it worked on, with luck or without.
    async fn run(&self, place: &Place, bench: &Bench, model: &mut Model, choose: &mut Seeded) -> Job {
        let bytes = generate::csv(std::iter::once(&self.header).chain(&self.rows));
        let kind = if self.rules.import { JobKind::Import } else { JobKind::Update };
        let options = [
            ("clear_token", self.rules.clear_token.as_str()),
            ("overdraft", self.rules.overdraft.as_str()),
            ("on_duplicate", self.on_duplicate.as_str()),
            ("delimiter", ","),
        ];
        let job = bench.submit(kind, &options, bytes.as_bytes()).await.expect("it is accepted");
        let faults = Faults::none();
        let first = bench.reopened(place, faults.clone());
        let mut worker = Worker::new(&first.engine).expect("a worker can be made");
        match choose.below(4) {
            0 => {}
            1 => {
                let points: Vec<&str> = POINTS
                    .iter()
                    .copied()
                    .filter(|point| !point.starts_with("accept") && !point.starts_with("erase"))
                    .collect();
                faults.plan(choose.one_of(&points), choose.below(2) as u32, Fault::Crash);
            }
            2 => {
                while !matches!(worker.tick().await.expect("the database answers"), Tick::Stepped(_, Step::Prepared)) {}
                edit_value(bench, model, choose).await;
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
                edit_value(bench, model, choose).await;
                wake.notify_one();
                worker = (&mut run).await.expect("it does not panic");
            }
        }
        drain(&mut worker).await;
        release(&first, worker.owner()).await;
        bench.reopened(place, Faults::none()).run().await;
        bench.job(job.id).await
    }

    /// Applies the file to the model: for each row the status and the code.
    fn apply(&self, model: &mut Model) -> Vec<String> {
        let columns = columns(&self.header);
        let read = |row: &Vec<String>| read_row(&columns, row, &self.rules);
        let mut rows: Vec<Result<_, String>> =
            self.rows.iter().map(|row| read(row).map_err(|code| format!("failed {code}"))).collect();
        let mut named: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, row) in rows.iter_mut().enumerate() {
            let Ok((email, _)) = row else { continue };
            match self.rules.import || model.people.contains_key(&folded(email)) {
                true => named.entry(folded(email)).or_default().push(i),
                false => *row = Err("failed user_not_found".to_owned()),
            }
        }
        for same in named.values() {
            let (first, last) = (same[0], same[same.len() - 1]);
            let (keep, status) = match self.on_duplicate {
                OnDuplicate::ApplyAll => continue,
                OnDuplicate::First => (first, "skipped"),
                OnDuplicate::Error => (first, "failed"),
                OnDuplicate::Last => (last, "skipped"),
            };
            for i in same.iter().filter(|i| **i != keep) {
                rows[*i] = Err(format!("{status} duplicate_in_file"));
            }
        }
        let apply = |row: Result<(String, Vec<reference::Wish>), String>| match row {
            Err(verdict) => verdict,
            Ok((email, wishes)) => match model.apply(&email, &wishes, &self.rules) {
                Ok((status, _)) => status.to_owned(),
                Err(code) => format!("failed {code}"),
            },
        };
        rows.into_iter().map(apply).collect()
    }
}

/// Somebody changes, renames or deletes one user.
async fn edit(bench: &Bench, model: &mut Model, choose: &mut Seeded) {
    let Some((key, id)) = somebody(bench, model, choose).await else {
        return;
    };
    match choose.below(10) {
        0 => {
            bench.engine.delete_user(&bench.caller, id, None).await.expect("it is deleted");
            model.people.remove(&key);
        }
        1 | 2 => {
            let email = choose.one_of(generate::EMAILS).trim().to_owned();
            let edit = UserEdit { email: Patch::Set(email.clone()), ..UserEdit::default() };
            let free = folded(&email) == key || !model.people.contains_key(&folded(&email));
            let answer = bench.engine.edit_user(&bench.caller, id, &edit).await;
            assert_eq!(code(answer.map(drop)), if free { "" } else { "not_unique" });
            if free {
                let mut person = model.people.remove(&key).expect("they are there");
                person.email.clone_from(&email);
                model.people.insert(folded(&email), person);
            }
        }
        _ => edit_value(bench, model, choose).await,
    }
}

/// Somebody changes one value of one user.
async fn edit_value(bench: &Bench, model: &mut Model, choose: &mut Seeded) {
    let Some((key, id)) = somebody(bench, model, choose).await else {
        return;
    };
    let field = choose.one_of(&reference::fields::ALL.iter().collect::<Vec<_>>());
    let cell = generate::cell(choose, field, true);
    // An empty cell is an empty text here; JSON is sent as it is, not inside a text.
    if cell.is_empty() || field.kind == FieldType::Json {
        return;
    }
    let rules = Rules { import: false, overdraft: Overdraft::Reject, clear_token: String::new() };
    let op = if field.kind.is_numeric() { choose.one_of(&["add", "subtract", "overwrite"]) } else { "" };
    let json = match op {
        "" => serde_json::json!(cell),
        op => serde_json::json!({ "op": op, "value": cell }),
    };
    let edit = UserEdit { values: vec![(field.key.to_owned(), json)], ..UserEdit::default() };
    let answer = bench.engine.edit_user(&bench.caller, id, &edit).await;
    let email = model.people[&key].email.clone();
    let wishes = read_cell(field, op, &cell, &rules).map(|wish| wish.into_iter().collect::<Vec<_>>());
    let expected = wishes.and_then(|wishes| model.apply(&email, &wishes, &rules));
    assert_eq!(code(answer.map(drop)), expected.err().unwrap_or_default(), "{edit:?}");
}

/// One of the users: the key in the model and the id.
async fn somebody(bench: &Bench, model: &Model, choose: &mut Seeded) -> Option<(String, UserId)> {
    let mut keys: Vec<String> = model.people.keys().cloned().collect();
    keys.sort();
    if keys.is_empty() {
        return None;
    }
    let key = choose.one_of(&keys);
    let id = bench.id_of(&key).await;
    Some((key, id))
}

fn code(answer: Result<(), EngineError>) -> &'static str {
    answer.map_or_else(|error| error.public().code.as_str(), |()| "")
}
