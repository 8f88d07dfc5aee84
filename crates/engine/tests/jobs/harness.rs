//! An engine over a fresh database and a fresh folder, and short ways to ask it things.

use muster_core::actor::{Actor, ActorKind};
use muster_core::field::{FieldType, NewField, Rules};
use muster_core::id::{JobId, UserId};
use muster_core::job::{JobKind, JobState};
use muster_core::scope::Scope;
use muster_engine::{
    Caller, Clock, Engine, EngineError, Faults, Job, JobView, Limits, NewJob, ResultFormat, Staging, StatusFilter,
    Step, Tick, UndoRequest, UserEdit, Worker,
};
use muster_store::testing;
use std::collections::BTreeMap;
use tempfile::TempDir;

/// A database and a folder that outlive the engines opened on them.
pub struct Place {
    pub folder: TempDir,
    pub url: Option<String>,
}

/// A fresh place on each database.
pub async fn places() -> Vec<Place> {
    let mut places = Vec::new();
    for url in testing::database_urls().await {
        places.push(Place { folder: tempfile::tempdir().expect("a folder can be made"), url });
    }
    places
}

impl Place {
    /// Opens an engine, as a process that starts does.
    pub fn open(&self, faults: Faults) -> Engine {
        self.open_at(Clock::system(), faults)
    }

    /// The same, by this clock.
    pub fn open_at(&self, clock: Clock, faults: Faults) -> Engine {
        let store = testing::open(self.url.as_deref(), self.folder.path());
        let staging = Staging::open(self.folder.path()).expect("the folder can be written to");
        Engine::new(store, staging, clock, faults, Limits::default())
    }

    pub async fn set_up(&self) -> Bench {
        self.set_up_with(Faults::none()).await
    }

    /// A community with a field of every kind that the tests use.
    pub async fn set_up_with(&self, faults: Faults) -> Bench {
        self.set_up_at(Clock::system(), faults).await
    }

    /// The same, by this clock.
    pub async fn set_up_at(&self, clock: Clock, faults: Faults) -> Bench {
        let engine = self.open_at(clock, faults);
        engine.store().migrate().await.expect("the schema can be made");
        let community = engine.create_community("Test").await.expect("a community can be made");
        let caller = Caller {
            tenant: community.tenant,
            community: community.id,
            actor: Actor { kind: ActorKind::ApiKey, id: "k".into(), name: "Test".into() },
            scopes: Scope::ALL.to_vec(),
            reservation: None,
        };
        for (name, kind) in [
            ("Points", FieldType::Integer),
            ("Rate", FieldType::Decimal),
            ("Subscribed", FieldType::Boolean),
            ("Notes", FieldType::LongText),
        ] {
            let new = NewField { key: None, name: name.into(), kind, rules: Rules::default() };
            engine.create_field(&caller, &new).await.expect("the field can be made");
        }
        Bench { engine, caller }
    }
}

/// An engine and somebody who may do everything.
pub struct Bench {
    pub engine: Engine,
    pub caller: Caller,
}

/// A user as tests compare them: email and the values as texts.
pub type Flat = BTreeMap<String, BTreeMap<String, String>>;

impl Bench {
    /// The same community, asked through another engine on the same place.
    pub fn reopened(&self, place: &Place, faults: Faults) -> Self {
        Self { engine: place.open(faults), caller: self.caller.clone() }
    }

    pub async fn submit(&self, kind: JobKind, options: &[(&str, &str)], bytes: &[u8]) -> Result<Job, EngineError> {
        let mut new = NewJob::new(kind);
        for (name, text) in options {
            if *name == "dry_run" {
                new.dry_run = *text == "true";
                continue;
            }
            new.options.set(name, text).map_err(EngineError::Refused)?;
        }
        let mut upload = self.engine.submit(&self.caller, new).await?;
        for part in bytes.chunks(7_919) {
            upload.write(part)?;
        }
        upload.finish().await
    }

    /// Runs everything that can be run, with a worker of its own.
    pub async fn run(&self) {
        let mut worker = Worker::new(&self.engine).expect("a worker can be made");
        worker.release_the_dead().await.expect("the database answers");
        drain(&mut worker).await;
    }

    /// Submits a job and runs it to its end.
    pub async fn apply(&self, kind: JobKind, options: &[(&str, &str)], text: &str) -> Job {
        let job = self.submit(kind, options, text.as_bytes()).await.expect("the job is accepted");
        self.run().await;
        self.job(job.id).await
    }

    /// Plans a job and runs it to its end.
    pub async fn plan(&self, kind: JobKind, options: &[(&str, &str)], text: &str) -> Job {
        let job = self.apply(kind, &[&[("dry_run", "true")], options].concat(), text).await;
        assert_eq!(job.state, JobState::Planned, "{:?}", job.error);
        job
    }

    /// Runs a job that was made from another one.
    pub async fn finish(&self, child: Result<JobView, EngineError>) -> Job {
        let child = child.unwrap_or_else(|error| panic!("it is refused: {}", error.public().detail));
        self.run().await;
        self.job(child.job.id).await
    }

    /// Undoes a job.
    pub async fn undo(&self, id: JobId) -> Job {
        let undo = self.engine.undo_job(&self.caller, id, &UndoRequest::default()).await;
        self.finish(undo).await
    }

    pub async fn update(&self, text: &str) -> Job {
        self.apply(JobKind::Update, &[], text).await
    }

    pub async fn import(&self, text: &str) -> Job {
        self.apply(JobKind::Import, &[], text).await
    }

    pub async fn job(&self, id: JobId) -> Job {
        self.engine.get_job(&self.caller, id).await.expect("the job is there").job
    }

    /// Every live user.
    pub async fn users(&self) -> Flat {
        let page = self.engine.list_users(&self.caller, None, UserId(0), 100_000).await.expect("users can be listed");
        let flat = page.users.iter().map(|user| {
            let values = user.values.iter().map(|(number, value)| {
                (page.fields.key_of(number).expect("the field is there").to_owned(), value.to_string())
            });
            (user.email.clone().unwrap_or_default(), values.collect())
        });
        flat.collect()
    }

    pub async fn value(&self, email: &str, key: &str) -> Option<String> {
        self.users().await.get(email).and_then(|values| values.get(key).cloned())
    }

    pub async fn id_of(&self, email: &str) -> UserId {
        let page = self.engine.list_users(&self.caller, Some(email), UserId(0), 1).await.expect("users can be found");
        page.users.first().expect("the user is there").id
    }

    pub async fn edit(&self, email: &str, key: &str, json: &str) {
        let id = self.id_of(email).await;
        let values = vec![(key.to_owned(), serde_json::from_str(json).expect("it is JSON"))];
        let edit = UserEdit { values, ..UserEdit::default() };
        self.engine.edit_user(&self.caller, id, &edit).await.expect("the edit is applied");
    }

    /// The results as rows of cells, without the header.
    pub async fn results(&self, id: JobId) -> Vec<Vec<String>> {
        let (_, mut blocks) = self
            .engine
            .job_results(&self.caller, id, StatusFilter::All, ResultFormat::Csv)
            .await
            .expect("there are results");
        let mut bytes = Vec::new();
        while let Some(block) = blocks.recv().await {
            bytes.extend(block.expect("the results can be read"));
        }
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes.as_slice());
        let rows = reader.records().map(|row| row.expect("results are CSV").iter().map(str::to_owned).collect());
        rows.collect()
    }

    /// For each row its status and code.
    pub async fn verdicts(&self, id: JobId) -> Vec<String> {
        let after = if self.job(id).await.dry_run { 6 } else { 5 };
        let rows = self.results(id).await;
        let verdict = |row: &Vec<String>| format!("{} {}", row[row.len() - after], row[row.len() - after + 1]);
        rows.iter().map(|row| verdict(row).trim().to_owned()).collect()
    }

    /// The invariants that must hold whatever happened.
    pub async fn check(&self) {
        let verified = self.engine.verify().await.expect("the store can be read");
        assert_eq!(verified.breaks, Vec::<String>::new());
    }
}

/// Ticks until there is nothing to do. A run that breaks is over; what it leaves is another worker's.
pub async fn drain(worker: &mut Worker) -> Vec<(JobId, Step)> {
    let mut steps = Vec::new();
    loop {
        match worker.tick().await.expect("the database answers") {
            Tick::Idle => return steps,
            Tick::Claimed(_) => {}
            Tick::Stepped(id, step) => steps.push((id, step)),
            Tick::Broke(_, EngineError::Planned(_)) => return steps,
            Tick::Broke(id, error) => panic!("{id} broke: {}", muster_engine::chain(&error)),
        }
    }
}

/// Counts in the order of the contract: received, created, updated, unchanged, skipped, failed, unprocessed.
pub fn counts(job: &Job) -> [u64; 7] {
    let c = job.counts;
    [c.received, c.created, c.updated, c.unchanged, c.skipped, c.failed, c.unprocessed()]
}

pub fn assert_ended(job: &Job, state: JobState) {
    assert_eq!(job.state, state, "{:?}", job.error);
}
