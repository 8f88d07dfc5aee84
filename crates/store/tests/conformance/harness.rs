//! A fresh store on each database, the count of what ran, and short ways to fill a store.

use jiff::Timestamp;
use muster_core::actor::{Actor, ActorKind};
use muster_core::email::email_key;
use muster_core::field::{Field, FieldNumber, FieldSet, FieldType, Rules};
use muster_core::id::{CommunityId, FieldId, JobId, Tenant, UserId};
use muster_core::job::{JobKind, JobOptions};
use muster_core::user::{Change, Operator, User, changes_to_stored};
use muster_core::value::Value;
use muster_store::dialect::Dialect;
use muster_store::{
    Claim, Connection, Family, Job, JobRef, KeyMoves, NewChangeSet, NewCommit, NewJob, Store, Touched, Transaction,
    UserKey, UserRow, testing,
};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex};
use tempfile::TempDir;

/// Which case ended on which database, and how many cases are over.
#[derive(Debug, Default)]
pub struct Ran {
    ended: Mutex<(usize, Vec<(&'static str, Dialect)>)>,
    changed: Condvar,
}

pub static RAN: Ran = Ran { ended: Mutex::new((0, Vec::new())), changed: Condvar::new() };

impl Ran {
    fn add(&self, over: usize, case: Option<(&'static str, Dialect)>) {
        let mut ended = self.ended.lock().expect("nobody panics with the lock");
        ended.0 += over;
        ended.1.extend(case);
        self.changed.notify_all();
    }

    /// Waits until so many cases are over, passed or not, and says which ended well on which database.
    pub fn wait_for(&self, cases: usize) -> Vec<(&'static str, Dialect)> {
        let ended = self.ended.lock().expect("nobody panics with the lock");
        let ended = self.changed.wait_while(ended, |ended| ended.0 < cases);
        ended.expect("nobody panics with the lock").1.clone()
    }
}

/// Runs a case on a fresh database of each kind.
pub async fn on_each_database(name: &'static str, case: impl AsyncFn(Bench)) {
    struct Over;
    impl Drop for Over {
        fn drop(&mut self) {
            RAN.add(1, None);
        }
    }
    let _over = Over;
    for url in testing::database_urls().await {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().to_owned();
        let store = testing::open(url.as_deref(), &path);
        let dialect = store.dialect();
        let bench = Bench { store, url, path };
        case(bench).await;
        RAN.add(0, Some((name, dialect)));
        close(folder);
    }
}

fn close(folder: TempDir) {
    folder.close().expect("the folder can be removed");
}

/// Makes a test of each case, and the list of them.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        pub const CASES: &[&str] = &[$(stringify!($case)),+];
        mod on_both {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    crate::harness::on_each_database(stringify!($case), super::$case).await;
                }
            )+
        }
    };
}
pub(crate) use cases;

/// A store without a schema.
pub struct Bench {
    pub store: Store,
    url: Option<String>,
    path: PathBuf,
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a time of our days")
}

pub fn actor() -> Actor {
    Actor { kind: ActorKind::ApiKey, id: "k".into(), name: "Test".into() }
}

pub fn job_id(number: u8) -> JobId {
    JobId::from_bytes([number; 12])
}

pub fn email(text: &str) -> UserKey {
    UserKey { field: FieldNumber::EMAIL, key: email_key(text) }
}

/// What the engine knows about an input; the store does not care.
pub type Source = String;

impl Bench {
    /// Another store on the same database, as another process has.
    pub fn again(&self) -> Store {
        testing::open(self.url.as_deref(), &self.path)
    }

    pub async fn begin(&self) -> Transaction {
        self.store.begin().await.expect("a transaction begins")
    }

    pub async fn read(&self) -> Connection {
        self.store.read().await.expect("the database answers")
    }

    /// The schema, and a community with a field `city` (16) and a field `points` (17).
    pub async fn set_up(&self) -> Tenant {
        self.store.migrate().await.expect("the schema is made");
        self.community(1).await
    }

    pub async fn community(&self, number: u8) -> Tenant {
        let mut tx = self.begin().await;
        let id = CommunityId::from_bytes([number; 12]);
        let made = tx.insert_community(id, "Test", at(0)).await.expect("it is made");
        for (i, (key, kind)) in [("city", FieldType::Text), ("points", FieldType::Integer)].into_iter().enumerate() {
            let id = FieldId::from_bytes([10 * number + i as u8; 12]);
            insert_field(&mut tx, made.tenant, id, key, kind).await;
        }
        tx.commit().await.expect("it is committed");
        made.tenant
    }

    pub async fn fields(&self, tenant: Tenant) -> FieldSet {
        self.read().await.list_fields(tenant).await.expect("fields are listed")
    }

    /// Makes users with these emails, as a commit does; the ids are given in order.
    pub async fn people(&self, tenant: Tenant, emails: &[&str]) -> Vec<User> {
        let (mut tx, reserved) = self.store.begin_commit(tenant, emails.len()).await.expect("a commit begins");
        let fields = tx.list_fields(tenant).await.expect("fields are listed");
        let (mut users, mut sets, mut moves) = (Vec::new(), Vec::new(), KeyMoves::default());
        let mut touched = Touched::default();
        for (i, text) in emails.iter().enumerate() {
            let mut user = User::blank(UserId(reserved.first_user + i as i64), at(0));
            let changes = vec![change(FieldNumber::EMAIL, None, Some(Value::Text((*text).to_owned())))];
            user.apply(&changes, at(1));
            sets.push(set(&user, &changes, i as u64 + 2, &fields));
            touched.add(&changes);
            moves.claims.insert(email(text), user.id);
            users.push(user);
        }
        assert!(tx.move_keys(tenant, &moves).await.expect("keys are claimed"));
        let rows = users.iter().map(|user| UserRow::new(user, 0, &fields)).collect();
        tx.insert_users(tenant, rows).await.expect("users are inserted");
        let actor = actor();
        let commit = new_commit(reserved.commit, 1, None, &actor);
        tx.insert_changes(tenant, &commit, sets, &touched).await.expect("changes are recorded");
        tx.commit().await.expect("it is committed");
        users
    }

    /// Records one change set of a user at a second, for a job or none, and writes the user.
    pub async fn change(&self, tenant: Tenant, user: &mut User, changes: &[Change], second: i64, job: Option<JobId>) {
        let (mut tx, reserved) = self.store.begin_commit(tenant, 0).await.expect("a commit begins");
        let fields = tx.list_fields(tenant).await.expect("fields are listed");
        let planned = user.version;
        user.apply(changes, at(second));
        let rows = vec![UserRow::new(user, planned, &fields)];
        assert!(tx.update_users(tenant, rows).await.expect("users are written"));
        let mut touched = Touched::default();
        touched.add(changes);
        let actor = actor();
        let commit = new_commit(reserved.commit, second, job, &actor);
        let sets = vec![set(user, changes, 0, &fields)];
        tx.insert_changes(tenant, &commit, sets, &touched).await.expect("changes are recorded");
        tx.commit().await.expect("it is committed");
    }

    /// Submits a job.
    pub async fn submit(&self, tenant: Tenant, number: u8, queue: Option<&str>) -> JobRef {
        let mut tx = self.begin().await;
        let options = JobOptions { queue: queue.map(str::to_owned), ..JobOptions::default() };
        insert_job(&mut tx, tenant, number, JobKind::Update, &options, "ab").await;
        tx.commit().await.expect("it is committed");
        JobRef { tenant, id: job_id(number) }
    }

    pub async fn claim(&self, of: JobRef, owner: &str) -> Option<Claim<Source>> {
        claim(&self.store, of, owner).await
    }

    pub async fn job(&self, of: JobRef) -> Job<Source> {
        let found = self.read().await.get_job(of.tenant, of.id).await.expect("jobs can be read");
        found.expect("the job is there")
    }

    /// The jobs that can be claimed, as the numbers of their ids.
    pub async fn claimable(&self) -> Vec<JobId> {
        let jobs = self.read().await.list_claimable(u64::MAX, 100).await.expect("the queue can be read");
        jobs.into_iter().map(|of| of.id).collect()
    }

    /// Lets every lease expire.
    pub async fn expire_leases(&self) {
        testing::execute(&self.store, "UPDATE jobs SET lease_expires_at = 1 WHERE lease_expires_at IS NOT NULL").await;
    }
}

pub async fn claim(store: &Store, of: JobRef, owner: &str) -> Option<Claim<Source>> {
    let mut tx = store.begin().await.expect("a transaction begins");
    let claim = tx.claim_job(of, owner, at(5)).await.expect("jobs can be claimed");
    tx.commit().await.expect("it is committed");
    claim
}

pub async fn insert_field(tx: &mut Transaction, tenant: Tenant, id: FieldId, key: &str, kind: FieldType) -> Field {
    let rules = Rules::default();
    let name = key.to_uppercase();
    tx.insert_field(tenant, id, key, &name, kind, &rules, false, at(0)).await.expect("the field is inserted")
}

pub async fn insert_job(
    tx: &mut Transaction,
    tenant: Tenant,
    number: u8,
    kind: JobKind,
    options: &JobOptions,
    sha256: &str,
) -> Job<Source> {
    let new = NewJob {
        id: job_id(number),
        kind,
        name: "a job",
        options,
        source: &"a source".to_owned(),
        staged: "jobs/input",
        size_bytes: 10 * u64::from(number),
        sha256,
        dry_run: false,
        family: Family::default(),
        actor: &actor(),
        submitted_at: at(i64::from(number)),
    };
    tx.insert_job(tenant, &new).await.expect("the job is inserted")
}

pub fn change(field: FieldNumber, old: Option<Value>, new: Option<Value>) -> Change {
    Change { field, op: Operator::Overwrite, old, new }
}

pub fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

fn set(user: &User, changes: &[Change], line: u64, fields: &FieldSet) -> NewChangeSet {
    NewChangeSet { user: user.id, version: user.version, line, data: changes_to_stored(changes, fields) }
}

fn new_commit(id: i64, second: i64, job: Option<JobId>, actor: &Actor) -> NewCommit<'_> {
    NewCommit { id, at: at(second), job, actor }
}
