//! Keys that name users: claimed, released, and held by one user at a time.

use crate::harness::{Bench, cases, email};
use muster_core::field::FieldNumber;
use muster_core::id::UserId;
use muster_core::identity::Identity;
use muster_store::{Among, KeyMoves, UserKey};
use std::collections::{BTreeMap, BTreeSet};

cases![
    a_key_is_claimed_once_and_can_be_claimed_again_after_its_release,
    only_its_holder_gives_a_key_up,
    two_who_claim_a_key_at_the_same_time_do_not_both_have_it,
    deleted_users_are_known_by_keys_that_others_have_too,
    the_keys_of_a_field_are_taken_from_everybody,
    all_languages_of_an_identity_are_found_by_what_their_keys_begin_with,
];

async fn a_key_is_claimed_once_and_can_be_claimed_again_after_its_release(bench: Bench) {
    let tenant = bench.set_up().await;
    let keys = |id| BTreeMap::from([(email("a@x.org"), UserId(id)), (email(&format!("{id}@x.org")), UserId(id))]);
    let claim = |id| KeyMoves { claims: keys(id), ..KeyMoves::default() };
    let mut tx = bench.begin().await;
    assert!(tx.move_keys(tenant, &claim(1)).await.expect("they are claimed"));
    tx.commit().await.expect("it is committed");
    let mut tx = bench.begin().await;
    assert!(!tx.move_keys(tenant, &claim(2)).await.expect("one is taken"));
    drop(tx);
    let mut tx = bench.begin().await;
    let both = KeyMoves { releases: keys(1), ..claim(2) };
    assert!(tx.move_keys(tenant, &both).await.expect("they change hands"));
    tx.commit().await.expect("it is committed");
    let found = bench.read().await.find_users(tenant, Among::Live, &[email("a@x.org"), email("1@x.org")]).await;
    assert_eq!(found.expect("they are found"), [(0, UserId(2))]);
}

async fn only_its_holder_gives_a_key_up(bench: Bench) {
    let tenant = bench.set_up().await;
    let people = bench.people(tenant, &["a@x.org", "b@x.org"]).await;
    let mut tx = bench.begin().await;
    let releases = BTreeMap::from([(email("a@x.org"), people[1].id)]);
    let wrong = KeyMoves { releases, ..KeyMoves::default() };
    assert!(tx.move_keys(tenant, &wrong).await.expect("nothing is released"));
    tx.commit().await.expect("it is committed");
    let found = bench.read().await.find_users(tenant, Among::Live, &[email("a@x.org")]).await;
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
            let moves = KeyMoves { claims, ..KeyMoves::default() };
            let taken = tx.move_keys(tenant, &moves).await.expect("it is decided");
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
    let found = bench.read().await.find_users(tenant, Among::Live, &[email("a@x.org")]).await;
    assert_eq!(found.expect("they are found"), [(0, holders[0])]);
}

async fn deleted_users_are_known_by_keys_that_others_have_too(bench: Bench) {
    let tenant = bench.set_up().await;
    let other = bench.community(2).await;
    let buried = BTreeSet::from([(email("a@x.org"), UserId(1)), (email("a@x.org"), UserId(2))]);
    let mut tx = bench.begin().await;
    assert!(tx.move_keys(tenant, &KeyMoves { buried: buried.clone(), ..KeyMoves::default() }).await.expect("kept"));
    tx.commit().await.expect("it is committed");
    let mut read = bench.read().await;
    let mut found = read.find_users(tenant, Among::Deleted, &[email("a@x.org")]).await.expect("they are found");
    found.sort();
    assert_eq!(found, [(0, UserId(1)), (0, UserId(2))]);
    assert!(read.find_users(tenant, Among::Live, &[email("a@x.org")]).await.expect("they are looked for").is_empty());
    assert!(read.find_users(other, Among::Deleted, &[email("a@x.org")]).await.expect("they are looked for").is_empty());
    drop(read);
    let mut tx = bench.begin().await;
    let raised = BTreeSet::from([(email("a@x.org"), UserId(1))]);
    assert!(tx.move_keys(tenant, &KeyMoves { raised, ..KeyMoves::default() }).await.expect("one is raised"));
    tx.commit().await.expect("it is committed");
    let found = bench.read().await.find_users(tenant, Among::Deleted, &[email("a@x.org")]).await;
    assert_eq!(found.expect("they are found"), [(0, UserId(2))]);
}

async fn all_languages_of_an_identity_are_found_by_what_their_keys_begin_with(bench: Bench) {
    let tenant = bench.set_up().await;
    let identity = |id: &str, language| Identity::new("CRM", id, language).expect("it is one");
    let all = [("7", None, 1), ("7", Some("de"), 2), ("7", Some("\u{e9}n"), 3), ("70", None, 4), ("7 ", Some("x"), 5)];
    let claims = all.map(|(id, language, user)| (UserKey::identity(&identity(id, language)), UserId(user)));
    let mut tx = bench.begin().await;
    let moves = KeyMoves { claims: BTreeMap::from(claims), ..KeyMoves::default() };
    assert!(tx.move_keys(tenant, &moves).await.expect("they are claimed"));
    tx.commit().await.expect("it is committed");
    let prefix = |id| UserKey { field: FieldNumber::IDENTITIES, key: identity(id, None).key_prefix() };
    let wanted = [prefix("70"), prefix("8"), prefix("7")];
    let found = bench.read().await.find_users_by_prefix(tenant, Among::Live, &wanted).await;
    let mut found = found.expect("they are found");
    found.sort();
    let strange = bench.community(2).await;
    let strange = bench.read().await.find_users_by_prefix(strange, Among::Live, &wanted).await;
    assert!(strange.expect("they are looked for").is_empty());
    let sevens = [1, 2, 3, 5].map(|user| (2, UserId(user)));
    assert_eq!(found, [&[(0, UserId(4))][..], &sevens].concat());
}

async fn the_keys_of_a_field_are_taken_from_everybody(bench: Bench) {
    let (tenant, other) = (bench.set_up().await, bench.community(2).await);
    let key = |field, text: &str| UserKey { field: FieldNumber(field), key: text.to_owned() };
    let moves = KeyMoves {
        claims: BTreeMap::from([(key(16, "one"), UserId(1)), (key(17, "one"), UserId(1))]),
        buried: BTreeSet::from([(key(16, "two"), UserId(2)), (key(17, "two"), UserId(2))]),
        ..KeyMoves::default()
    };
    for tenant in [tenant, other] {
        let mut tx = bench.begin().await;
        assert!(tx.move_keys(tenant, &moves).await.expect("they are moved"));
        tx.commit().await.expect("it is committed");
    }
    let mut tx = bench.begin().await;
    tx.clear_keys(tenant, FieldNumber(16)).await.expect("they are taken");
    tx.commit().await.expect("it is committed");
    for (tenant, cleared) in [(tenant, true), (other, false)] {
        for (among, text) in [(Among::Live, "one"), (Among::Deleted, "two")] {
            let found = bench.read().await.find_users(tenant, among, &[key(16, text), key(17, text)]).await;
            let mut positions: Vec<usize> = found.expect("they are found").iter().map(|(at, _)| *at).collect();
            positions.sort_unstable();
            assert_eq!(positions, if cleared { vec![1] } else { vec![0, 1] });
        }
    }
}
