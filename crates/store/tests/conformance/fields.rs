//! Fields.

use crate::harness::{Bench, at, cases, change, insert_field, text};
use muster_core::actor::Actor;
use muster_core::field::{Field, FieldNumber, FieldType, Index, Rules, SelectOption};
use muster_core::id::FieldId;
use muster_core::value::Value;
use muster_store::{FieldOrigin, HistoryFilter};

cases![
    fields_are_listed_with_everything_that_was_said_of_them,
    the_numbers_of_fields_are_counted_for_each_community,
    a_key_names_one_field_of_a_community,
    who_locks_the_fields_makes_others_wait,
    communities_that_lack_built_in_fields_are_named,
    a_field_is_changed_in_all_but_its_number_id_and_key,
    the_history_of_a_field_is_read_by_the_type_that_it_has_now,
];

async fn fields_are_listed_with_everything_that_was_said_of_them(bench: Bench) {
    let tenant = bench.set_up().await;
    let rules = Rules {
        unique: false,
        options: vec![SelectOption { key: "ü".into(), name: "Über \"alles\"".into() }],
        min: Some("-0.000000000001".parse().expect("a number")),
        max: Some("9999999999999999999999999999".parse().expect("a number")),
        max_length: Some(7),
        required: true,
        index: Index::Ready,
        anonymous_writable: true,
    };
    let mut tx = bench.begin().await;
    let id = FieldId::from_bytes([77; 12]);
    let made = tx.insert_field(tenant, id, "größe", "Größe", FieldType::MultiSelect, &rules, true, at(0)).await;
    let made = made.expect("it is inserted");
    tx.commit().await.expect("it is committed");
    assert_eq!((made.number, made.id, &made.rules), (FieldNumber(18), id, &rules));
    assert_eq!((made.key.as_str(), made.name.as_str(), made.kind), ("größe", "Größe", FieldType::MultiSelect));
    assert!(made.built_in && !made.archived);
    let fields = bench.fields(tenant).await;
    assert_eq!(fields.get(FieldNumber(18)), Some(&made));
    let origin =
        |created_by, updated_at| FieldOrigin { number: made.number, created_at: at(0), created_by, updated_at };
    let origins = bench.read().await.list_field_origins(tenant).await.expect("they are read");
    assert_eq!((origins.len(), origins.last()), (fields.iter().count(), Some(&origin(None, None))));
    let mut tx = bench.begin().await;
    tx.set_field_maker(tenant, made.number, &Actor::anonymous()).await.expect("it is kept");
    tx.commit().await.expect("it is committed");
    let origins = bench.read().await.list_field_origins(tenant).await.expect("they are read");
    assert_eq!(origins.last(), Some(&origin(Some(Actor::anonymous()), Some(at(0)))));
    let mut tx = bench.begin().await;
    tx.touch_field(tenant, made.number, at(9)).await.expect("it is kept");
    tx.commit().await.expect("it is committed");
    let origins = bench.read().await.list_field_origins(tenant).await.expect("they are read");
    assert_eq!(origins.last(), Some(&origin(Some(Actor::anonymous()), Some(at(9)))));
    assert!(origins.iter().filter(|origin| origin.number != made.number).all(|origin| origin.updated_at.is_none()));
    let keys: Vec<&str> = fields.iter().map(|field| field.key.as_str()).collect();
    assert_eq!(keys, ["city", "points", "größe"], "in the order of their numbers");
}

async fn the_numbers_of_fields_are_counted_for_each_community(bench: Bench) {
    let first = bench.set_up().await;
    let second = bench.community(2).await;
    for tenant in [first, second] {
        let numbers: Vec<u16> = bench.fields(tenant).await.iter().map(|field| field.number.0).collect();
        assert_eq!(numbers, [16, 17]);
    }
}

async fn a_key_names_one_field_of_a_community(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut tx = bench.begin().await;
    let (id, rules) = (FieldId::from_bytes([99; 12]), Rules::default());
    let again = tx.insert_field(tenant, id, "city", "Other", FieldType::Text, &rules, false, at(0)).await;
    again.expect_err("the key is taken");
    drop(tx);
    assert_eq!(bench.fields(tenant).await.iter().count(), 2);
}

async fn who_locks_the_fields_makes_others_wait(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut first = bench.begin().await;
    first.lock_fields(tenant).await.expect("it is locked");
    let store = bench.store.clone();
    let second = tokio::spawn(async move {
        let mut tx = store.begin().await.expect("a transaction begins");
        tx.lock_fields(tenant).await.expect("it is locked");
        tx.list_fields(tenant).await.expect("fields are listed").iter().count()
    });
    insert_field(&mut first, tenant, FieldId::from_bytes([98; 12]), "third", FieldType::Text).await;
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    first.commit().await.expect("it is committed");
    assert_eq!(second.await.expect("it does not panic"), 3, "it sees what was done meanwhile");
}

async fn communities_that_lack_built_in_fields_are_named(bench: Bench) {
    let (one, other) = (bench.set_up().await, bench.community(2).await);
    let mut tx = bench.begin().await;
    let id = FieldId::from_bytes([78; 12]);
    let made = tx.insert_field(one, id, "score", "Score", FieldType::Integer, &Rules::default(), true, at(0)).await;
    made.expect("it is inserted");
    tx.commit().await.expect("it is committed");
    let mut read = bench.read().await;
    for (count, lacking) in [(0, vec![]), (1, vec![other]), (2, vec![one, other])] {
        assert_eq!(read.list_lacking_built_in_fields(count).await.expect("they are listed"), lacking, "{count}");
    }
}

async fn a_field_is_changed_in_all_but_its_number_id_and_key(bench: Bench) {
    let (tenant, other) = (bench.set_up().await, bench.community(2).await);
    let before = bench.fields(tenant).await;
    let city = before.get(FieldNumber(16)).expect("it is there").clone();
    let rules = Rules { required: true, ..Rules::default() };
    let edited = Field { name: "Town".into(), kind: FieldType::LongText, rules, archived: true, ..city };
    let mut tx = bench.begin().await;
    tx.update_field(tenant, &edited).await.expect("it is changed");
    tx.commit().await.expect("it is committed");
    let after = bench.fields(tenant).await;
    assert_eq!(after.get(FieldNumber(16)), Some(&edited));
    assert_eq!(after.get(FieldNumber(17)), before.get(FieldNumber(17)));
    assert_ne!(after.epoch(), before.epoch());
    assert_eq!(bench.fields(other).await.get(FieldNumber(16)).map(|field| field.kind), Some(FieldType::Text));
}

async fn the_history_of_a_field_is_read_by_the_type_that_it_has_now(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut user = bench.people(tenant, &["a@x.org"]).await.remove(0);
    let city = FieldNumber(16);
    bench.change(tenant, &mut user, &[change(city, None, text("Rome"))], 2, None).await;
    bench.change(tenant, &mut user, &[change(city, text("Rome"), text("12"))], 3, None).await;
    let field = bench.fields(tenant).await.get(city).expect("it is there").clone();
    let mut tx = bench.begin().await;
    tx.update_field(tenant, &Field { kind: FieldType::Integer, ..field }).await.expect("it is changed");
    tx.commit().await.expect("it is committed");
    let (fields, filter) =
        (bench.fields(tenant).await, HistoryFilter { field: Some(city), ..HistoryFilter::default() });
    let sets = bench.read().await.list_changes(tenant, &filter, 10, &fields).await.expect("they are listed");
    let news: Vec<Option<Value>> = sets.into_iter().map(|set| set.changes[0].new.clone()).collect();
    assert_eq!(news, [Some(Value::Integer(12)), text("Rome")]);
    let read = bench.read().await.get_user(tenant, user.id, &fields).await.expect("it is read").expect("it is there");
    assert_eq!(read.values.get(city), Some(&Value::Integer(12)));
}
