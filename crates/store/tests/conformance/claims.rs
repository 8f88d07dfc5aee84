//! Keys that name users: claimed, released, and held by one user at a time.

use crate::harness::{Bench, cases, email};
use muster_core::id::UserId;
use std::collections::BTreeMap;

cases![
    a_key_is_claimed_once_and_can_be_claimed_again_after_its_release,
    only_its_holder_gives_a_key_up,
    two_who_claim_a_key_at_the_same_time_do_not_both_have_it,
];

async fn a_key_is_claimed_once_and_can_be_claimed_again_after_its_release(bench: Bench) {
    let tenant = bench.set_up().await;
    let claim = |id| BTreeMap::from([(email("a@x.org"), UserId(id)), (email(&format!("{id}@x.org")), UserId(id))]);
    let mut tx = bench.begin().await;
    assert!(tx.claim_keys(tenant, &claim(1)).await.expect("they are claimed"));
    tx.commit().await.expect("it is committed");
    let mut tx = bench.begin().await;
    assert!(!tx.claim_keys(tenant, &claim(2)).await.expect("one is taken"));
    drop(tx);
    let mut tx = bench.begin().await;
    tx.release_keys(tenant, &claim(1)).await.expect("they are released");
    assert!(tx.claim_keys(tenant, &claim(2)).await.expect("they are claimed"));
    tx.commit().await.expect("it is committed");
    let found = bench.read().await.find_users(tenant, &[email("a@x.org"), email("1@x.org")]).await;
    assert_eq!(found.expect("they are found"), [(0, UserId(2))]);
}

async fn only_its_holder_gives_a_key_up(bench: Bench) {
    let tenant = bench.set_up().await;
    let people = bench.people(tenant, &["a@x.org", "b@x.org"]).await;
    let mut tx = bench.begin().await;
    let wrong = BTreeMap::from([(email("a@x.org"), people[1].id)]);
    tx.release_keys(tenant, &wrong).await.expect("nothing is released");
    tx.commit().await.expect("it is committed");
    let found = bench.read().await.find_users(tenant, &[email("a@x.org")]).await;
    assert_eq!(found.expect("they are found"), [(0, people[0].id)]);
}

async fn two_who_claim_a_key_at_the_same_time_do_not_both_have_it(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut tasks = Vec::new();
    for id in 1..=8 {
        let store = bench.again();
        tasks.push(tokio::spawn(async move {
            let mut tx = store.begin().await.expect("a transaction begins");
            let claims = BTreeMap::from([(email("a@x.org"), UserId(id))]);
            let taken = tx.claim_keys(tenant, &claims).await.expect("it is decided");
            if taken {
                tx.commit().await.expect("it is committed");
            }
            taken.then_some(UserId(id))
        }));
    }
    let mut holders = Vec::new();
    for task in tasks {
        holders.extend(task.await.expect("it does not panic"));
    }
    assert_eq!(holders.len(), 1);
    let found = bench.read().await.find_users(tenant, &[email("a@x.org")]).await;
    assert_eq!(found.expect("they are found"), [(0, holders[0])]);
}
