//! The schema is made once, by whoever comes first.

use crate::harness::{Bench, cases};
use muster_store::{StoreError, testing};

cases![
    a_schema_is_made_once,
    two_processes_that_migrate_at_the_same_time_make_the_schema_once,
    a_schema_that_is_newer_than_the_program_is_refused,
    a_schema_that_is_not_there_is_not_current,
];

async fn a_schema_is_made_once(bench: Bench) {
    let made = bench.store.migrate().await.expect("it is made");
    assert_eq!(made.first(), Some(&"foundation"));
    assert!(bench.store.schema_is_current().await.expect("it is read"));
    let tenant = bench.community(1).await;
    assert_eq!(bench.store.migrate().await.expect("it is there"), [""; 0]);
    assert!(bench.again().migrate().await.expect("it is there").is_empty());
    let community = bench.read().await.get_community(tenant).await.expect("it is read");
    assert!(community.is_some(), "nothing was lost");
}

async fn two_processes_that_migrate_at_the_same_time_make_the_schema_once(bench: Bench) {
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let store = bench.again();
            tokio::spawn(async move { !store.migrate().await.expect("it is made").is_empty() })
        })
        .collect();
    let mut run = 0;
    for task in tasks {
        run += usize::from(task.await.expect("it does not panic"));
    }
    assert_eq!(run, 1);
    assert!(bench.store.schema_is_current().await.expect("it is read"));
}

async fn a_schema_that_is_newer_than_the_program_is_refused(bench: Bench) {
    bench.store.migrate().await.expect("it is made");
    testing::execute(&bench.store, "INSERT INTO schema_migrations (number, name) VALUES (999, 'future')").await;
    let refused = bench.store.migrate().await.expect_err("it is too new");
    assert!(matches!(refused, StoreError::SchemaTooNew { found: 999, .. }), "{refused}");
    assert!(!refused.is_transient() && !refused.is_full());
    assert!(!bench.store.schema_is_current().await.expect("it is read"));
}

async fn a_schema_that_is_not_there_is_not_current(bench: Bench) {
    assert!(!bench.store.schema_is_current().await.expect("it is read"));
    testing::execute(&bench.store, "CREATE TABLE schema_migrations (number BIGINT NOT NULL, name TEXT NOT NULL)").await;
    assert!(!bench.store.schema_is_current().await.expect("it is read"), "nor is one without a migration");
}
