//! Users and the keys that name them.

use crate::harness::{Bench, at, cases, change, email, text};
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::{Tenant, UserId};
use muster_core::identity::Identity;
use muster_core::user::User;
use muster_core::value::Value;
use muster_store::{Among, KeyMoves, LoadedUser, UserRow};
use std::collections::BTreeMap;

cases![
    a_user_is_read_back_as_it_was_written,
    users_are_loaded_by_id_with_the_position_of_each,
    users_are_locked_in_the_order_of_their_ids,
    users_are_found_by_key_deleted_ones_by_id_only,
    a_user_whose_version_moved_is_not_overwritten,
    whether_users_have_versions_is_said_of_all_of_them,
    live_users_are_listed_in_pages_of_their_ids,
    live_users_are_counted_and_found_by_their_place_and_deleted_ones_listed,
    an_empty_set_asks_for_nothing_and_changes_nothing,
    what_was_not_committed_is_not_there,
    a_large_set_is_written_and_found_at_once,
];

fn sorted(loaded: Vec<LoadedUser>) -> Vec<(usize, User)> {
    let mut users: Vec<_> = loaded.into_iter().map(|loaded| (loaded.position, loaded.user)).collect();
    users.sort_by_key(|(position, _)| *position);
    users
}

/// Deletes a user as the engine does: the row stays, the key goes.
async fn delete(bench: &Bench, tenant: Tenant, user: &mut User) {
    let changes = [change(FieldNumber::DELETED, None, Some(Value::Boolean(true)))];
    bench.change(tenant, user, &changes, 9, None).await;
    let mut tx = bench.begin().await;
    let held = email(user.email.as_deref().expect("there is one"));
    let releases = BTreeMap::from([(held, user.id)]);
    assert!(tx.move_keys(tenant, &KeyMoves { releases, ..KeyMoves::default() }).await.expect("it is released"));
    tx.commit().await.expect("it is committed");
}

async fn a_user_is_read_back_as_it_was_written(bench: Bench) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let mut user = bench.people(tenant, &["Zoë@x.org"]).await.remove(0);
    let odd = "\"quoted\" {json} \\u00e9 \u{1f600} 'single' $1 ?1 {rows} r.id\n\t\u{7f}";
    let identities = [Identity::new("CRM \"x\"", "7", Some("de")), Identity::new("a", "\u{1f600}", None)];
    let identities = Value::Identities(identities.map(|one| one.expect("it is one")).to_vec());
    let changes = [
        change(FieldNumber(16), None, text(odd)),
        change(FieldNumber(17), None, Some(Value::Integer(i64::MIN))),
        change(FieldNumber::IDENTITIES, None, Some(identities)),
    ];
    bench.change(tenant, &mut user, &changes, 5, None).await;
    let found = bench.read().await.get_user(tenant, user.id, &fields).await.expect("it is read");
    assert_eq!(found.as_ref(), Some(&user));
    assert_eq!((user.version, user.created_at, user.updated_at), (2, at(0), at(5)));

    let changes = [change(FieldNumber::EMAIL, text("Zoë@x.org"), None), change(FieldNumber(16), text(odd), None)];
    bench.change(tenant, &mut user, &changes, 6, None).await;
    let found = bench.read().await.get_user(tenant, user.id, &fields).await.expect("it is read");
    assert_eq!(found.as_ref(), Some(&user), "also without an email");
    assert_eq!(bench.read().await.get_user(tenant, UserId(99), &fields).await.expect("it is read"), None);
}

async fn users_are_loaded_by_id_with_the_position_of_each(bench: Bench) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let people = bench.people(tenant, &["a@x.org", "b@x.org", "c@x.org"]).await;
    let ids = [people[2].id, UserId(999), people[0].id];
    let loaded = bench.read().await.load_users(tenant, &ids, &fields).await.expect("they are loaded");
    assert_eq!(sorted(loaded), [(0, people[2].clone()), (2, people[0].clone())]);
}

async fn users_are_locked_in_the_order_of_their_ids(bench: Bench) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let people = bench.people(tenant, &["a@x.org", "b@x.org", "c@x.org"]).await;
    let mut tx = bench.begin().await;
    let mut ids: Vec<UserId> = people.iter().map(|user| user.id).collect();
    let locked = tx.lock_users(tenant, &ids, &fields).await.expect("they are locked");
    assert_eq!(sorted(locked).len(), 3);
    // Somebody who wants them in another order waits, and sees what was written meanwhile.
    let store = bench.store.clone();
    ids.reverse();
    let (own, mut wanted) = (fields.clone(), people[0].clone());
    let other = tokio::spawn(async move {
        let mut tx = store.begin().await.expect("a transaction begins");
        let locked = tx.lock_users(tenant, &ids, &own).await.expect("they are locked");
        locked.into_iter().map(|loaded| (loaded.user.id, loaded.user.version)).collect::<Vec<_>>()
    });
    tokio::task::yield_now().await;
    wanted.apply(&[change(FieldNumber(16), None, text("Rome"))], at(3));
    let written = tx.update_users(tenant, vec![UserRow::new(&wanted, 1, &fields)]).await;
    assert!(written.expect("it is written"));
    assert!(!other.is_finished());
    tx.commit().await.expect("it is committed");
    let mut seen = other.await.expect("it does not panic");
    if bench.store.dialect() == muster_store::dialect::Dialect::Sqlite {
        // One writer needs no order.
        seen.sort();
    }
    assert_eq!(seen, [(people[0].id, 2), (people[1].id, 1), (people[2].id, 1)]);
}

async fn users_are_found_by_key_deleted_ones_by_id_only(bench: Bench) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let mut people = bench.people(tenant, &["Ann@x.org", "bob@x.org", "Éva@x.org"]).await;
    delete(&bench, tenant, &mut people[1]).await;
    let keys = [email("ÉVA@x.org"), email("bob@x.org"), email("nobody@x.org"), email("ann@X.org")];
    let mut read = bench.read().await;
    let mut found = read.find_users(tenant, Among::Live, &keys).await.expect("they are found");
    found.sort_unstable();
    assert_eq!(found, [(0, people[2].id), (3, people[0].id)]);
    let ids: Vec<UserId> = people.iter().map(|user| user.id).chain([UserId(500)]).collect();
    for (live, expected) in [(true, &[0, 2][..]), (false, &[0, 1, 2])] {
        let mut found = read.find_users_by_id(tenant, &ids, live).await.expect("they are found");
        found.sort_unstable();
        assert_eq!(found, expected);
    }
    assert_eq!(read.load_users(tenant, &ids, &fields).await.expect("they are loaded").len(), 3);
    assert_eq!(read.count_user_keys(tenant).await.expect("they are counted"), 2);
}

async fn a_user_whose_version_moved_is_not_overwritten(bench: Bench) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let mut people = bench.people(tenant, &["a@x.org", "b@x.org"]).await;
    let mut stale: Vec<User> = people.clone();
    bench.change(tenant, &mut people[1], &[change(FieldNumber(16), None, text("Rome"))], 2, None).await;
    let mut tx = bench.begin().await;
    let rows = stale.iter_mut().map(|user| {
        user.apply(&[change(FieldNumber(16), None, text("Oslo"))], at(3));
        UserRow::new(user, 1, &fields)
    });
    assert!(!tx.update_users(tenant, rows.collect()).await.expect("it is decided"), "one of them moved");
    drop(tx);
    let mut read = bench.read().await;
    for user in &people {
        assert_eq!(read.get_user(tenant, user.id, &fields).await.expect("it is read").as_ref(), Some(user));
    }
}

async fn page(bench: &Bench, tenant: Tenant, fields: &FieldSet, after: i64, limit: u32) -> Vec<i64> {
    let users = bench.read().await.list_users(tenant, UserId(after), limit, fields).await;
    users.expect("users are listed").iter().map(|user| user.id.0).collect()
}

async fn whether_users_have_versions_is_said_of_all_of_them(bench: Bench) {
    let tenant = bench.set_up().await;
    let other = bench.community(2).await;
    let people = bench.people(tenant, &["a@x.org", "b@x.org"]).await;
    let at = |first, second| [(people[0].id, first), (people[1].id, second)];
    let mut tx = bench.begin().await;
    for (tenant, versions, expected) in
        [(tenant, at(1, 1), true), (tenant, at(1, 2), false), (tenant, at(2, 1), false), (other, at(1, 1), false)]
    {
        assert_eq!(tx.are_at_versions(tenant, &versions).await.expect("it is read"), expected);
    }
    assert!(tx.are_at_versions(tenant, &[]).await.expect("it is read"));
}

async fn live_users_are_listed_in_pages_of_their_ids(bench: Bench) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let mut people = bench.people(tenant, &["d@x.org", "c@x.org", "b@x.org", "a@x.org"]).await;
    delete(&bench, tenant, &mut people[1]).await;
    assert_eq!(page(&bench, tenant, &fields, 0, 2).await, [1, 3]);
    assert_eq!(page(&bench, tenant, &fields, 3, 2).await, [4]);
    assert_eq!(page(&bench, tenant, &fields, 4, 2).await, [0; 0]);
    let other = bench.community(2).await;
    let mut read = bench.read().await;
    assert_eq!(read.count_users(tenant).await.expect("they are counted"), 3);
    assert_eq!(read.count_users(other).await.expect("they are counted"), 0);
    drop(read);
    let all = bench.read().await.list_all_users(tenant, UserId(0), 3, &fields).await.expect("users are listed");
    assert_eq!(all.iter().map(|loaded| loaded.user.id.0).collect::<Vec<_>>(), [1, 2, 3], "deleted ones too");
    let all = bench.read().await.list_all_users(tenant, UserId(3), 3, &fields).await.expect("users are listed");
    assert_eq!(all.len(), 1);
}

async fn live_users_are_counted_and_found_by_their_place_and_deleted_ones_listed(bench: Bench) {
    let tenant = bench.set_up().await;
    let other = bench.community(2).await;
    let fields = bench.fields(tenant).await;
    let mut users = bench.people(tenant, &["a@x.org", "b@x.org", "c@x.org", "d@x.org"]).await;
    bench.people(other, &["a@x.org"]).await;
    delete(&bench, tenant, &mut users[1]).await;
    delete(&bench, tenant, &mut users[3]).await;
    let mut connection = bench.read().await;
    assert_eq!(connection.count_users(tenant).await.expect("they are counted"), 2);
    for (behind, found) in [(0, Some(users[0].id)), (1, Some(users[2].id)), (2, None), (u64::MAX, None)] {
        assert_eq!(connection.live_user_at(tenant, behind).await.expect("it is read"), found, "{behind}");
    }
    for (after, limit, found) in [(0, 9, &[1, 3][..]), (0, 1, &[1]), (users[1].id.0, 9, &[3]), (i64::MAX, 9, &[])] {
        let deleted =
            connection.list_deleted_users(tenant, UserId(after), limit, &fields).await.expect("they are read");
        let expected: Vec<User> = found.iter().map(|i| users[*i].clone()).collect();
        assert_eq!(deleted, expected, "{after} {limit}");
    }
}

async fn an_empty_set_asks_for_nothing_and_changes_nothing(bench: Bench) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let mut tx = bench.begin().await;
    assert!(tx.load_users(tenant, &[], &fields).await.expect("nobody is loaded").is_empty());
    assert!(tx.lock_users(tenant, &[], &fields).await.expect("nobody is locked").is_empty());
    assert!(tx.find_users(tenant, Among::Live, &[]).await.expect("nobody is found").is_empty());
    assert!(tx.find_users_by_id(tenant, &[], true).await.expect("nobody is found").is_empty());
    assert!(tx.find_users_by_prefix(tenant, Among::Deleted, &[]).await.expect("nobody is found").is_empty());
    assert!(tx.list_past(tenant, &[], &fields).await.expect("nothing is listed").is_empty());
    assert!(tx.move_keys(tenant, &KeyMoves::default()).await.expect("nothing is moved"));
    tx.insert_users(tenant, Vec::new()).await.expect("nobody is inserted");
    assert!(tx.update_users(tenant, Vec::new()).await.expect("nobody is written"));
}

async fn what_was_not_committed_is_not_there(bench: Bench) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let mut tx = bench.begin().await;
    let mut user = User::blank(UserId(7), at(0));
    user.apply(&[], at(0));
    tx.insert_users(tenant, vec![UserRow::new(&user, 0, &fields)]).await.expect("it is inserted");
    assert!(tx.get_user(tenant, UserId(7), &fields).await.expect("it is read").is_some());
    assert!(bench.read().await.get_user(tenant, UserId(7), &fields).await.expect("it is read").is_none());
    drop(tx);
    assert!(bench.read().await.get_user(tenant, UserId(7), &fields).await.expect("it is read").is_none());
    bench.people(tenant, &["after@x.org"]).await;
}

async fn a_large_set_is_written_and_found_at_once(bench: Bench) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let emails: Vec<String> = (0..5_000).map(|i| format!("user{i}@x.org")).collect();
    let people = bench.people(tenant, &emails.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let ids: Vec<UserId> = people.iter().map(|user| user.id).collect();
    let keys: Vec<_> = emails.iter().map(|text| email(text)).collect();
    let mut read = bench.read().await;
    assert_eq!(read.load_users(tenant, &ids, &fields).await.expect("they are loaded").len(), 5_000);
    let mut found = read.find_users(tenant, Among::Live, &keys).await.expect("they are found");
    found.sort_unstable();
    assert_eq!(found, ids.into_iter().enumerate().collect::<Vec<_>>());
}
