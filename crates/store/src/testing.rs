//! Fresh databases for tests: SQLite always, PostgreSQL where `MUSTER_TEST_POSTGRES_URL` names a server.
//!
//! Only built with the feature `testing`, which nothing but tests turns on.

use crate::Store;
use crate::dialect::Dialect;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable that names a PostgreSQL server on which tests may make databases.
pub const POSTGRES_VARIABLE: &str = "MUSTER_TEST_POSTGRES_URL";

/// The databases that a test runs on, as values of `--database-url`; `None` is SQLite in the folder.
///
/// PostgreSQL is left out only where nobody named a server, and that is said aloud.
pub async fn database_urls() -> Vec<Option<String>> {
    let Ok(server) = std::env::var(POSTGRES_VARIABLE) else {
        eprintln!("SKIPPED ON POSTGRESQL: {POSTGRES_VARIABLE} is not set; scripts/test sets it");
        return vec![None];
    };
    vec![None, Some(create_database(&server).await)]
}

async fn create_database(server: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("muster_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut admin = Store::open_postgres(server).expect("the address is valid").read().await.expect("it answers");
    // Two databases cannot be copied from the template at once.
    admin.batch("SELECT pg_advisory_lock(5280311)").await.expect("it can be locked");
    admin.batch(&format!("CREATE DATABASE {name}")).await.expect("tests may make databases");
    admin.batch("SELECT pg_advisory_unlock(5280311)").await.expect("it can be unlocked");
    let (base, rest) = server.rsplit_once('/').expect("the address names a database");
    let options = rest.find('?').map_or("", |at| &rest[at..]);
    format!("{base}/{name}{options}")
}

/// Opens the database of an address, or SQLite in the folder.
pub fn open(url: Option<&str>, folder: &Path) -> Store {
    match url {
        Some(url) => Store::open_postgres(url).expect("the address is valid"),
        None => Store::open_sqlite(&folder.join("muster.db")).expect("the folder can be written to"),
    }
}

/// A connection's raw SQL, for looking at what no function shows.
pub async fn strings(store: &Store, sql: &str) -> Vec<String> {
    let mut connection = store.read().await.expect("the database answers");
    connection.query(sql, &[], |row| row.string(0)).await.expect("the statement is right")
}

/// Runs statements that no function offers, such as letting a lease expire.
pub async fn execute(store: &Store, sql: &str) {
    let mut tx = store.begin().await.expect("the database answers");
    tx.batch(sql).await.expect("the statement is right");
    tx.commit().await.expect("it can be committed");
}

/// How a database would answer a statement that begins with `EXPLAIN`: its words, line by line.
pub async fn plan(store: &Store, sql: &str) -> Vec<String> {
    let column = match store.dialect() {
        Dialect::Sqlite => 3,
        Dialect::Postgres => 0,
    };
    let mut connection = store.read().await.expect("the database answers");
    connection.query(sql, &[], |row| row.string(column)).await.expect("the statement is right")
}

/// How the database would answer each statement that reads the history if the tables were large: the statement and the
/// lines of its plan.
pub async fn history_plans(store: &Store) -> Vec<(String, Vec<String>)> {
    let mut plans = Vec::new();
    for sql in crate::history::list::statements(store.dialect()) {
        let lines = explain(store, &sql).await;
        plans.push((sql, lines));
    }
    plans
}

/// How it would answer what workers ask all the time.
pub async fn job_plans(store: &Store) -> Vec<String> {
    use crate::jobs::{RELEASE_LEASES, claimable, lease_owners};
    let mut plans = Vec::new();
    for sql in [claimable(store.dialect()), lease_owners(store.dialect()), RELEASE_LEASES.to_owned()] {
        plans.push(explain(store, &sql).await.join("\n"));
    }
    plans
}

async fn explain(store: &Store, sql: &str) -> Vec<String> {
    let mut tx = store.begin().await.expect("the database answers");
    let (column, explain) = match store.dialect() {
        Dialect::Sqlite => (3, format!("EXPLAIN QUERY PLAN {}", sql.replace('$', "?"))),
        Dialect::Postgres => {
            // To small tables the planner prefers to read them whole.
            let large =
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off;
                         SET LOCAL plan_cache_mode = force_generic_plan";
            tx.batch(&format!("{large}; DEALLOCATE ALL; PREPARE planned AS {sql}")).await.expect("it is a statement");
            let count = (1..).take_while(|i| sql.contains(&format!("${i}"))).count();
            let given = if count > 0 { format!("({})", vec!["NULL"; count].join(", ")) } else { String::new() };
            (0, format!("EXPLAIN (COSTS OFF) EXECUTE planned {given}"))
        }
    };
    tx.query(&explain, &[], |row| row.string(column)).await.expect("the statement is right")
}
