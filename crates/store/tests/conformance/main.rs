//! What the store promises, on SQLite and on PostgreSQL: every case runs the same assertions on a fresh database of each.

mod addresses;
mod claims;
mod communities;
mod erasure;
mod fields;
mod harness;
mod history;
mod idempotency;
mod jobs;
mod keys;
mod leases;
mod lookup;
mod migrate;
mod parity;
mod prune;
mod tenants;
mod user_index;
mod users;
mod webhooks;

use harness::RAN;

/// Every case of every module.
const CASES: &[&[&str]] = &[
    claims::CASES,
    communities::CASES,
    erasure::CASES,
    fields::CASES,
    history::CASES,
    idempotency::CASES,
    jobs::CASES,
    keys::CASES,
    leases::CASES,
    lookup::CASES,
    migrate::CASES,
    prune::CASES,
    tenants::CASES,
    user_index::CASES,
    users::CASES,
    webhooks::CASES,
];

/// Tests run in the order of their names, and this one waits for those that run beside it.
#[test]
fn zz_the_same_cases_ran_on_each_database() {
    if std::env::args().skip(1).any(|argument| !argument.starts_with('-')) {
        eprintln!("NOT COUNTED: only some cases were asked for");
        return;
    }
    let declared: Vec<&str> = CASES.iter().flat_map(|cases| cases.iter().copied()).collect();
    let postgres = std::env::var(muster_store::testing::POSTGRES_VARIABLE).is_ok();
    let ran = RAN.wait_for(declared.len());
    let on = |database| ran.iter().filter(|(_, on)| *on == database).count();
    assert!(!declared.is_empty());
    assert_eq!(on(muster_store::dialect::Dialect::Sqlite), declared.len(), "{ran:?}");
    match postgres {
        true => assert_eq!(on(muster_store::dialect::Dialect::Postgres), declared.len(), "{ran:?}"),
        false => eprintln!("SKIPPED ON POSTGRESQL: all {} cases of the conformance suite", declared.len()),
    }
}
