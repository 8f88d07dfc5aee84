//! The index over fields, and users looked through.

use crate::harness::{Bench, cases, change, text};
use muster_core::field::{Field, FieldNumber, FieldSet, Index, Rules};
use muster_core::filter::Filter;
use muster_core::id::{Tenant, UserId};
use muster_core::json;
use muster_core::value::Value;
use muster_store::dialect::Dialect;
use muster_store::{IndexEntry, Scan, testing};
use std::collections::BTreeSet;

cases![
    entries_are_kept_in_the_order_of_code_points,
    entries_are_added_and_taken_away_once,
    an_index_is_read_in_either_direction_from_any_place,
    a_stranger_finds_no_entry,
    a_search_of_the_index_is_no_scan,
    a_scan_lets_nobody_out_who_matches,
    a_scan_goes_through_windows_of_ids_in_either_direction,
    a_commit_that_was_planned_by_old_fields_is_told,
];

fn entry(field: u16, key: &str, user: i64) -> IndexEntry {
    IndexEntry { field: FieldNumber(field), key: key.to_owned(), user: UserId(user) }
}

async fn write(bench: &Bench, tenant: Tenant, adds: &[IndexEntry], removes: &[IndexEntry]) {
    let set = |entries: &[IndexEntry]| entries.iter().cloned().collect::<BTreeSet<_>>();
    let mut tx = bench.begin().await;
    tx.write_index_entries(tenant, &set(adds), &set(removes)).await.expect("they are written");
    tx.commit().await.expect("it is committed");
}

async fn between(bench: &Bench, tenant: Tenant, low: Option<&str>, high: Option<&str>) -> Vec<i64> {
    let found = bench.read().await.find_by_index_range(tenant, FieldNumber(16), (low, high), 100).await;
    found.expect("they are found").into_iter().map(|user| user.0).collect()
}

async fn entries_are_kept_in_the_order_of_code_points(bench: Bench) {
    let tenant = bench.set_up().await;
    // In the rules of most languages a stands beside A, and é beside e.
    let keys = ["", " ", "\"\\", "A", "Z", "a", "a b", "ab", "z", "~", "é", "\u{fffd}", "\u{1f600}"];
    let entries: Vec<IndexEntry> = keys.iter().enumerate().map(|(i, key)| entry(16, key, i as i64)).collect();
    write(&bench, tenant, &entries, &[]).await;
    assert_eq!(between(&bench, tenant, None, None).await, (0..13).collect::<Vec<_>>());
    assert_eq!(between(&bench, tenant, Some("Z"), Some("ab")).await, [4, 5, 6, 7]);
    assert_eq!(between(&bench, tenant, Some("e"), None).await, [8, 9, 10, 11, 12]);
    assert_eq!(between(&bench, tenant, None, Some(" ")).await, [0, 1]);
    let keys = ["é", "A", "nothing"].map(str::to_owned);
    let mut found = bench.read().await.find_by_index_keys(tenant, FieldNumber(16), &keys, 10).await.expect("found");
    found.sort_unstable();
    assert_eq!(found, [UserId(3), UserId(10)]);
    let mut read = bench.read().await;
    assert!(read.find_by_index_keys(tenant, FieldNumber(16), &[], 10).await.expect("nobody is found").is_empty());
    assert_eq!(read.find_by_index_range(tenant, FieldNumber(16), (None, None), 4).await.expect("found").len(), 4);
    assert_eq!(read.find_by_index_keys(tenant, FieldNumber(16), &keys, 1).await.expect("found").len(), 1);
}

async fn entries_are_added_and_taken_away_once(bench: Bench) {
    let tenant = bench.set_up().await;
    let all = [entry(16, "a", 1), entry(16, "a", 2), entry(16, "b", 1), entry(17, "a", 1)];
    write(&bench, tenant, &all, &[]).await;
    write(&bench, tenant, &all, &[entry(16, "a", 3)]).await;
    assert_eq!(bench.read().await.count_index_entries(tenant).await.expect("they are counted"), 4);
    write(&bench, tenant, &[entry(16, "c", 1)], &[entry(16, "b", 1), entry(16, "b", 2)]).await;
    let wanted = [entry(16, "b", 1), entry(17, "a", 1), entry(16, "c", 1), entry(17, "c", 1)];
    let mut held = bench.read().await.find_index_entries(tenant, &wanted).await.expect("they are found");
    held.sort_unstable();
    assert_eq!(held, [1, 2]);
    let mut tx = bench.begin().await;
    tx.clear_index(tenant, FieldNumber(16)).await.expect("it is cleared");
    tx.commit().await.expect("it is committed");
    assert_eq!(bench.read().await.count_index_entries(tenant).await.expect("they are counted"), 1);
}

async fn an_index_is_read_in_either_direction_from_any_place(bench: Bench) {
    let tenant = bench.set_up().await;
    let entries = [("a", 3), ("a", 9), ("b", 1), ("b", 2), ("b", 7), ("c", 4)];
    let entries: Vec<IndexEntry> = entries.iter().map(|(key, user)| entry(16, key, *user)).collect();
    write(&bench, tenant, &entries, &[entry(17, "b", 5)]).await;
    let list = async |after: Option<(&str, i64)>, descending, limit| {
        let after = after.map(|(key, user)| (key, UserId(user)));
        let found = bench.read().await.list_index(tenant, FieldNumber(16), after, descending, limit).await;
        found.expect("it is read").into_iter().map(|(key, user)| format!("{key}{user}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list(None, false, 10).await, "a3 a9 b1 b2 b7 c4");
    assert_eq!(list(None, true, 10).await, "c4 b1 b2 b7 a3 a9", "equal ones by user either way");
    assert_eq!(list(Some(("b", 1)), false, 2).await, "b2 b7");
    assert_eq!(list(Some(("b", 2)), true, 2).await, "b7 a3");
    assert_eq!(list(Some(("b", 0)), true, 10).await, "b1 b2 b7 a3 a9");
    assert_eq!(list(Some(("bb", 0)), false, 10).await, "c4");
    assert_eq!(list(Some(("c", 4)), false, 10).await, "");
}

async fn a_stranger_finds_no_entry(bench: Bench) {
    let tenant = bench.set_up().await;
    let stranger = bench.community(2).await;
    let own = [entry(16, "a", 1)];
    write(&bench, tenant, &own, &[]).await;
    let mut read = bench.read().await;
    let field = FieldNumber(16);
    assert!(read.find_by_index_range(stranger, field, (None, None), 9).await.expect("it is read").is_empty());
    assert!(read.find_by_index_keys(stranger, field, &["a".into()], 9).await.expect("it is read").is_empty());
    assert!(read.list_index(stranger, field, None, false, 9).await.expect("it is read").is_empty());
    assert!(read.find_index_entries(stranger, &own).await.expect("it is read").is_empty());
    assert_eq!(read.count_index_entries(stranger).await.expect("it is read"), 0);
    drop(read);
    write(&bench, stranger, &[], &own).await;
    let mut tx = bench.begin().await;
    tx.clear_index(stranger, field).await.expect("it is cleared");
    tx.commit().await.expect("it is committed");
    assert_eq!(between(&bench, tenant, None, None).await, [1]);
    let people = bench.people(tenant, &["a@x.org"]).await;
    let fields = bench.fields(stranger).await;
    let scan = Scan::new(stranger, &Filter::everybody(), &fields);
    let all = (UserId(0), people[0].id);
    let mut read = bench.read().await;
    assert!(read.scan_users(&scan, all, false, 9, &fields).await.expect("it is read").is_empty());
    assert_eq!(read.last_user_id(stranger).await.expect("it is read"), UserId(0));
}

/// The databases say themselves how they would find entries.
async fn a_search_of_the_index_is_no_scan(bench: Bench) {
    let tenant = bench.set_up().await;
    let entries: Vec<IndexEntry> = (0..20_000).map(|i| entry(16, &format!("{i:05}"), i)).collect();
    write(&bench, tenant, &entries, &[]).await;
    testing::execute(&bench.store, "ANALYZE").await;
    let explain = match bench.store.dialect() {
        Dialect::Sqlite => "EXPLAIN QUERY PLAN",
        Dialect::Postgres => "EXPLAIN",
    };
    let tenant = tenant.0;
    for condition in [
        "key >= '00100' AND key <= '00200' ORDER BY key, user_id LIMIT 100",
        "key = '00100' AND user_id > 5 ORDER BY user_id LIMIT 100",
        "key < '15000' ORDER BY key DESC, user_id LIMIT 100",
    ] {
        let sql =
            format!("{explain} SELECT user_id FROM user_index WHERE tenant = {tenant} AND field = 16 AND {condition}");
        let plan = testing::plan(&bench.store, &sql).await.join("\n");
        match bench.store.dialect() {
            Dialect::Sqlite => assert!(plan.contains("SEARCH user_index USING PRIMARY KEY"), "{condition}: {plan}"),
            Dialect::Postgres => assert!(!plan.contains("Seq Scan") && plan.contains("user_index_pkey"), "{plan}"),
        }
    }
}

fn read_filter(text: &str, fields: &FieldSet) -> Filter {
    Filter::read(&json::read(text, "").expect("it is JSON"), "", fields).expect("it is right")
}

async fn a_scan_lets_nobody_out_who_matches(bench: Bench) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let mut people = bench.people(tenant, &["a@x.org", "b@x.org", "c@x.org", "d@x.org"]).await;
    let points = |number| change(FieldNumber(17), None, Some(Value::Integer(number)));
    let city = |name| change(FieldNumber(16), None, text(name));
    bench.change(tenant, &mut people[0], &[city("Rome"), points(10)], 5, None).await;
    bench.change(tenant, &mut people[1], &[city("O'Slo \"$1\" ?1"), points(i64::MIN)], 6, None).await;
    bench.change(tenant, &mut people[2], &[city(""), points(i64::MAX)], 7, None).await;
    // What is found, and whether SQL alone finds no others.
    for (filter, expected) in [
        ("{}", "1 2 3 4"),
        (r#"{"city":"Rome"}"#, "1"),
        (r#"{"city":{"ne":"Rome"}}"#, "2 3 4"),
        (r#"{"city":{"in":["Rome","O'Slo \"$1\" ?1"]}}"#, "1 2"),
        (r#"{"city":""}"#, "3"),
        (r#"{"city":null}"#, "4"),
        (r#"{"not":{"city":null,"points":{"gt":0}}}"#, "1 2 3 4"),
        (r#"{"points":{"gte":9.5}}"#, "1 3"),
        (r#"{"points":{"lt":10.000000000001}}"#, "1 2"),
        (r#"{"points":{"lte":-9223372036854775808}}"#, "2"),
        (r#"{"not":{"points":{"gt":-9223372036854775808}}}"#, "2 4"),
        (r#"{"points":10.0}"#, "1"),
        (r#"{"or":[{"points":10},{"city":""}]}"#, "1 3"),
        (r#"{"id":{"gt":1.5,"lte":3}}"#, "2 3"),
        (r#"{"updated_at":{"gte":"2023-11-14T22:13:26Z"}}"#, "2 3"),
        (r#"{"updated_at":{"lt":"2023-11-14T22:13:25.000000001Z"}}"#, "1 4"),
        (r#"{"email":null}"#, ""),
        (r#"{"or":[{"points":10},{"email":"d@x.org"}]}"#, "1 2 3 4"),
        (r#"{"points":{"gt":99999999999999999999}}"#, "1 2 3 4"),
    ] {
        let filter_read = read_filter(filter, &fields);
        let scan = Scan::new(tenant, &filter_read, &fields);
        let all = (UserId(0), UserId(99));
        let found = bench.read().await.scan_users(&scan, all, false, 9, &fields).await.expect("they are found");
        for user in people.iter().filter(|user| filter_read.matches(user)) {
            assert!(found.contains(user), "{filter}: {} matches", user.id);
        }
        let ids: Vec<String> = found.iter().map(|user| user.id.to_string()).collect();
        assert_eq!(ids.join(" "), expected, "{filter}");
    }
}

async fn a_scan_goes_through_windows_of_ids_in_either_direction(bench: Bench) {
    let tenant = bench.set_up().await;
    let fields = bench.fields(tenant).await;
    let mut people = bench.people(tenant, &["a@x.org", "b@x.org", "c@x.org", "d@x.org", "e@x.org"]).await;
    bench
        .change(tenant, &mut people[2], &[change(FieldNumber::DELETED, None, Some(Value::Boolean(true)))], 9, None)
        .await;
    let scan = Scan::new(tenant, &Filter::everybody(), &fields);
    let ids = async |after, upto, descending, limit| {
        let window = (UserId(after), UserId(upto));
        let found = bench.read().await.scan_users(&scan, window, descending, limit, &fields).await;
        found.expect("they are found").iter().map(|user| user.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(0, 99, false, 9).await, [1, 2, 4, 5], "deleted ones are not there");
    assert_eq!(ids(1, 4, false, 9).await, [2, 4]);
    assert_eq!(ids(0, 99, false, 2).await, [1, 2]);
    assert_eq!(ids(1, 4, true, 1).await, [4]);
    assert_eq!(bench.read().await.last_user_id(tenant).await.expect("it is read"), UserId(5));
}

async fn a_commit_that_was_planned_by_old_fields_is_told(bench: Bench) {
    let tenant = bench.set_up().await;
    let old = bench.fields(tenant).await;
    let mut tx = bench.begin().await;
    assert!(tx.hold_fields(tenant, old.epoch()).await.expect("it is decided"));
    drop(tx);
    let mut tx = bench.begin().await;
    let rules = Rules { index: Index::Building, ..Rules::default() };
    let field = Field { rules, ..old.get(FieldNumber(17)).expect("it is there").clone() };
    tx.update_field(tenant, &field).await.expect("it is changed");
    tx.commit().await.expect("it is committed");
    let mut tx = bench.begin().await;
    assert!(!tx.hold_fields(tenant, old.epoch()).await.expect("it is decided"));
    let new = tx.list_fields(tenant).await.expect("fields are listed");
    assert!(tx.hold_fields(tenant, new.epoch()).await.expect("it is decided"));
    assert_eq!((old.indexed(), new.indexed()), (&[][..], &[FieldNumber(17)][..]));
}
