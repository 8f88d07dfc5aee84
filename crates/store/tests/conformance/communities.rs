//! Communities and the numbers that are counted for each of them.

use crate::harness::{Bench, at, cases};
use muster_core::id::{CommunityId, Tenant};
use std::collections::HashSet;

cases![
    the_database_answers,
    a_community_is_found_by_its_id_and_by_its_number,
    communities_are_listed_oldest_first,
    an_id_of_a_community_is_given_once,
    numbers_that_were_reserved_are_never_given_twice,
    numbers_are_given_once_to_many_who_ask_at_the_same_time,
    numbers_of_a_commit_that_was_given_up_are_given_to_nobody_who_committed,
];

async fn the_database_answers(bench: Bench) {
    bench.store.ping().await.expect("it answers");
    assert_eq!(bench.store.dialect(), bench.again().dialect());
}

async fn a_community_is_found_by_its_id_and_by_its_number(bench: Bench) {
    bench.store.migrate().await.expect("the schema is made");
    let id = CommunityId::from_bytes([9; 12]);
    let mut tx = bench.begin().await;
    let made = tx.insert_community(id, "Zoë & co", at(3)).await.expect("it is made");
    tx.commit().await.expect("it is committed");
    assert_eq!((made.id, made.name.as_str(), made.created_at), (id, "Zoë & co", at(3)));
    let mut read = bench.read().await;
    assert_eq!(read.find_community(id).await.expect("it is read").as_ref(), Some(&made));
    assert_eq!(read.get_community(made.tenant).await.expect("it is read"), Some(made));
    let nobody = CommunityId::from_bytes([8; 12]);
    assert_eq!(read.find_community(nobody).await.expect("it is read"), None);
    assert_eq!(read.get_community(Tenant(77)).await.expect("it is read"), None);
}

async fn communities_are_listed_oldest_first(bench: Bench) {
    bench.store.migrate().await.expect("the schema is made");
    let mut made = Vec::new();
    for number in [3, 1, 2] {
        made.push(bench.community(number).await);
    }
    let listed = bench.read().await.list_communities().await.expect("they are listed");
    assert_eq!(listed.iter().map(|community| community.tenant).collect::<Vec<_>>(), made);
}

async fn an_id_of_a_community_is_given_once(bench: Bench) {
    bench.set_up().await;
    let mut tx = bench.begin().await;
    let again = tx.insert_community(CommunityId::from_bytes([1; 12]), "Again", at(0)).await;
    assert!(!again.expect_err("the id is taken").is_transient());
    drop(tx);
    assert_eq!(bench.read().await.list_communities().await.expect("they are listed").len(), 1);
}

async fn numbers_that_were_reserved_are_never_given_twice(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut commits = HashSet::new();
    let mut next = 1;
    for users in [0, 3, 1, 0, 5] {
        let (tx, reserved) = bench.store.begin_commit(tenant, users).await.expect("a commit begins");
        tx.commit().await.expect("it is committed");
        assert_eq!(reserved.first_user, next);
        assert!(commits.insert(reserved.commit));
        next += users as i64;
    }
    assert_eq!(commits, (1..=5).collect());
}

async fn numbers_are_given_once_to_many_who_ask_at_the_same_time(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let store = bench.store.clone();
        tasks.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            for _ in 0..10 {
                let (tx, reserved) = store.begin_commit(tenant, 2).await.expect("a commit begins");
                tx.commit().await.expect("it is committed");
                mine.push(reserved);
            }
            mine
        }));
    }
    let (mut users, mut commits) = (HashSet::new(), HashSet::new());
    for task in tasks {
        for reserved in task.await.expect("it does not panic") {
            assert!(users.insert(reserved.first_user) && users.insert(reserved.first_user + 1));
            assert!(commits.insert(reserved.commit));
        }
    }
    assert_eq!((users.len(), commits.len()), (160, 80));
}

async fn numbers_of_a_commit_that_was_given_up_are_given_to_nobody_who_committed(bench: Bench) {
    let tenant = bench.set_up().await;
    let before = bench.people(tenant, &["a@x.org"]).await;
    let (tx, _) = bench.store.begin_commit(tenant, 4).await.expect("a commit begins");
    drop(tx);
    let after = bench.people(tenant, &["b@x.org"]).await;
    assert!(before[0].id < after[0].id);
}
