//! Two workers on PostgreSQL. One is stopped in the middle of a job, loses its lease, and wakes up again; whatever it wanted
//! to do is too late.

use crate::client::Client;
use crate::files::{changes, people};
use crate::home::{Backend, Home, Process, backends};
use crate::script::calm;
use crate::state::{State, inspect};
use futures_util::{StreamExt, stream};
use muster_engine::{Store, testing};

const USERS: usize = 4_000;
const ROWS: usize = 12_000;
/// How many pairs of workers run side by side.
const SIDE_BY_SIDE: usize = 2;

fn files() -> [(&'static str, String); 3] {
    let rest = changes(USERS, 200);
    [("people", people(USERS)), ("changes", changes(USERS, ROWS)), ("rest", rest)]
}

/// When a worker is stopped, and when it goes on.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// Not before so many rows are done; none: it may be preparing.
    rows: u64,
    /// Whether it holds an open transaction, and with it the job.
    inside: bool,
    /// Whether the job has ended when it wakes up; else the other one works on it.
    after: bool,
}

const CASES: [Case; 5] = [
    Case { rows: 0, inside: false, after: false },
    Case { rows: 1, inside: false, after: false },
    Case { rows: 1, inside: false, after: true },
    Case { rows: 1, inside: true, after: false },
    Case { rows: 1, inside: true, after: true },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_past_its_lease_and_goes_on_applies_nothing_twice() {
    if !backends().await.contains(&Backend::Postgres) {
        return;
    }
    let files = files();
    let reference = calm(&Home::new(Backend::Postgres).await, &files).await;
    let cases = stream::iter(CASES).map(async |case| (case, run(case, &files).await));
    let states: Vec<(Case, State)> = cases.buffer_unordered(SIDE_BY_SIDE).collect().await;
    for (case, state) in states {
        reference.assert_same(&state, &format!("{case:?}"));
    }
}

async fn run(case: Case, files: &[(&str, String); 3]) -> State {
    let home = Home::new(Backend::Postgres).await;
    let store = testing::open(home.url.as_deref(), home.path());
    let server = home.serve(&["--no-worker"]).await;
    let key = home.make_key().await;
    let client = server.client(&key);
    client.make_points().await;
    let mut workers = Workers::start(&home).await;

    let [people, changes, rest] = files;
    let job = client.submit(people.0, &people.1).await.expect("the server lives");
    client.ended(&job).await.expect("the server lives");
    let job = client.submit(changes.0, &changes.1).await.expect("the server lives");
    while client.rows_done(&job).await < case.rows {}
    let stopped = workers.take(&owner(&store, None).await);
    stop(&stopped, &store, case.inside).await;
    take_lease(&store, &stopped.0).await;
    let successor = owner(&store, Some(&stopped.0)).await;
    assert_eq!(successor, workers.0[0].0, "the other worker goes on");
    if !case.after {
        stopped.1.signal("CONT").await;
    }
    client.ended(&job).await.expect("the server lives");
    if case.after {
        stopped.1.signal("CONT").await;
    }
    // On a busy machine the lease runs out by itself while the right moment is looked for, and the job is taken over twice.
    let taken_over = testing::strings(&store, "SELECT (attempt > 1)::text FROM jobs ORDER BY number").await;
    assert_eq!(taken_over, ["false", "true"], "one job was taken over");

    // The one that was stopped is awake when it has done another job, and has nothing more in mind when it has left.
    workers.take(&successor).1.stop().await;
    finish(&client, rest).await;
    stopped.1.stop().await;
    inspect(&home, server, &key).await
}

async fn finish(client: &Client, (name, csv): &(&str, String)) {
    let job = client.submit(name, csv).await.expect("the server lives");
    client.ended(&job).await.expect("the server lives");
}

/// Workers and the names under which they lease jobs.
struct Workers(Vec<(String, Process)>);

impl Workers {
    async fn start(home: &Home) -> Self {
        let mut workers = Self(Vec::new());
        for _ in 0..2 {
            let process = home.start(&["worker"]);
            let name = loop {
                let known = |name: &String| workers.0.iter().any(|(other, _)| other == name);
                match home.owners().into_iter().find(|name| !known(name)) {
                    Some(name) => break name,
                    None => tokio::task::yield_now().await,
                }
            };
            workers.0.push((name, process));
        }
        workers
    }

    fn take(&mut self, name: &str) -> (String, Process) {
        let position = self.0.iter().position(|(other, _)| other == name);
        self.0.remove(position.expect("it is one of ours"))
    }
}

/// Who has leased a job, once it is somebody else than this one.
async fn owner(store: &Store, than: Option<&str>) -> String {
    let sql = "SELECT lease_owner FROM jobs WHERE lease_owner IS NOT NULL";
    loop {
        let owners = testing::strings(store, sql).await;
        if let Some(owner) = owners.into_iter().find(|owner| Some(owner.as_str()) != than) {
            return owner;
        }
    }
}

/// Stops a worker where it holds an open transaction, or where it holds none.
async fn stop(worker: &(String, Process), store: &Store, inside: bool) {
    loop {
        worker.1.signal("STOP").await;
        if open_transactions(store).await == inside {
            return;
        }
        worker.1.signal("CONT").await;
    }
}

/// Whether a transaction is open, once no statement runs any more. Nobody but the worker of the job opens one.
async fn open_transactions(store: &Store) -> bool {
    let sql = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
               AND state IN ('active', 'idle in transaction')";
    loop {
        let states = testing::strings(store, sql).await;
        if !states.iter().any(|state| state == "active") {
            return !states.is_empty();
        }
    }
}

/// Lets ten seconds pass: PostgreSQL ends the transaction that was left open, and the lease expires.
async fn take_lease(store: &Store, owner: &str) {
    let end = "SELECT pg_terminate_backend(pid, 10000)::text FROM pg_stat_activity
               WHERE datname = current_database() AND state = 'idle in transaction'";
    testing::strings(store, end).await;
    let expire = format!("UPDATE jobs SET lease_expires_at = 0 WHERE lease_owner = '{owner}'");
    testing::execute(store, &expire).await;
}
