//! API keys.

use crate::harness::{Bench, at, cases};
use muster_core::id::KeyId;
use muster_core::scope::Scope;
use muster_store::{ApiKey, NewApiKey};

cases![
    a_key_is_found_by_its_hash_with_everything_that_was_said_of_it,
    keys_are_listed_oldest_first_revoked_ones_too,
    a_key_is_revoked_once,
    a_hash_belongs_to_one_key_of_a_community,
    a_token_stands_for_its_key_until_its_time_is_over_and_is_then_forgotten,
];

async fn insert(bench: &Bench, number: u8, second: i64) -> ApiKey {
    let tenant = muster_core::id::Tenant(1);
    let new = NewApiKey {
        id: KeyId::from_bytes([number; 12]),
        hash: [number; 32],
        name: format!("key {number}"),
        scopes: vec![Scope::BulkUpdate, Scope::UsersRead],
        expires_at: (number == 1).then(|| at(100)),
    };
    let mut tx = bench.begin().await;
    let made = tx.insert_api_key(tenant, &new, at(second)).await.expect("it is inserted");
    tx.commit().await.expect("it is committed");
    made
}

async fn a_key_is_found_by_its_hash_with_everything_that_was_said_of_it(bench: Bench) {
    let tenant = bench.set_up().await;
    let made = insert(&bench, 1, 5).await;
    assert_eq!((made.id, made.name.as_str()), (KeyId::from_bytes([1; 12]), "key 1"));
    assert_eq!(made.scopes, [Scope::BulkUpdate, Scope::UsersRead]);
    assert_eq!((made.created_at, made.expires_at, made.revoked_at), (at(5), Some(at(100)), None));
    let mut read = bench.read().await;
    assert_eq!(read.find_api_key(tenant, &[1; 32]).await.expect("it is read"), Some(made));
    assert_eq!(read.find_api_key(tenant, &[2; 32]).await.expect("it is read"), None);
}

async fn keys_are_listed_oldest_first_revoked_ones_too(bench: Bench) {
    let tenant = bench.set_up().await;
    for (number, second) in [(3, 3), (1, 2), (2, 1)] {
        insert(&bench, number, second).await;
    }
    let mut tx = bench.begin().await;
    tx.revoke_api_key(tenant, KeyId::from_bytes([1; 12]), at(9)).await.expect("it is revoked");
    tx.commit().await.expect("it is committed");
    let listed = bench.read().await.list_api_keys(tenant).await.expect("they are listed");
    assert_eq!(listed.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["key 2", "key 1", "key 3"]);
}

async fn a_key_is_revoked_once(bench: Bench) {
    let tenant = bench.set_up().await;
    let made = insert(&bench, 1, 5).await;
    let mut tx = bench.begin().await;
    for second in [7, 8] {
        let revoked = tx.revoke_api_key(tenant, made.id, at(second)).await.expect("it is revoked");
        assert_eq!(revoked.expect("it is there").revoked_at, Some(at(7)), "doing it again changes nothing");
    }
    let other = KeyId::from_bytes([9; 12]);
    assert_eq!(tx.revoke_api_key(tenant, other, at(7)).await.expect("it is looked for"), None);
    tx.commit().await.expect("it is committed");
    let found = bench.read().await.find_api_key(tenant, &[1; 32]).await.expect("it is read");
    assert_eq!(found.expect("it is there").revoked_at, Some(at(7)));
}

async fn a_hash_belongs_to_one_key_of_a_community(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, 1, 5).await;
    let new = NewApiKey {
        id: KeyId::from_bytes([2; 12]),
        hash: [1; 32],
        name: "twin".into(),
        scopes: Vec::new(),
        expires_at: None,
    };
    let mut tx = bench.begin().await;
    tx.insert_api_key(tenant, &new, at(0)).await.expect_err("the hash is taken");
}

async fn a_token_stands_for_its_key_until_its_time_is_over_and_is_then_forgotten(bench: Bench) {
    let tenant = bench.set_up().await;
    let made = insert(&bench, 2, 5).await;
    let mut tx = bench.begin().await;
    tx.insert_oauth_token(tenant, &[7; 32], made.id, at(30), at(10)).await.expect("it is inserted");
    tx.commit().await.expect("it is committed");
    let find = async |hash: u8, second| {
        let mut read = bench.read().await;
        read.find_api_key_of_token(tenant, &[hash; 32], at(second)).await.expect("it is read")
    };
    assert_eq!(find(7, 29).await, Some(made.clone()));
    assert_eq!(find(7, 30).await, None, "its time is over");
    assert_eq!(find(2, 29).await, None, "a key is not a token");
    assert_eq!(bench.read().await.find_api_key(tenant, &[7; 32]).await.expect("it is read"), None);

    let mut tx = bench.begin().await;
    tx.insert_oauth_token(tenant, &[8; 32], made.id, at(60), at(30)).await.expect("it is inserted");
    tx.commit().await.expect("it is committed");
    assert_eq!((find(7, 20).await, find(8, 59).await), (None, Some(made)), "what is over is forgotten");
}
