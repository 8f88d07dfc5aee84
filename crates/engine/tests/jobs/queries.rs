//! Users found by filters: as a plain filter in memory finds them, whatever an index or a database does.

#[path = "../../../core/tests/filter/generate.rs"]
mod generate;

use crate::harness::{Bench, Place, places};
use muster_core::field::{FieldSet, FieldType, Index, NewField, Rules, SelectOption};
use muster_core::filter::Filter;
use muster_core::id::UserId;
use muster_core::json;
use muster_core::sort::Sort;
use muster_core::user::User;
use muster_engine::{Clock, Engine, Faults, FoundUsers, Limits, UserEdit, UserQuery};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};
use std::fmt::Write;

/// Key, type, whether it is indexed.
const FIELDS: &[(&str, FieldType, bool)] = &[
    ("town", FieldType::Text, true),
    ("notes", FieldType::LongText, false),
    ("points", FieldType::Integer, false),
    ("level", FieldType::Integer, true),
    ("rate", FieldType::Decimal, true),
    ("balance", FieldType::Currency, false),
    ("subscribed", FieldType::Boolean, true),
    ("born", FieldType::Date, true),
    ("seen", FieldType::Datetime, true),
    ("tier", FieldType::Select, true),
    ("grade", FieldType::Select, false),
    ("tags", FieldType::MultiSelect, true),
    ("extra", FieldType::Json, false),
    // Keys that a path into JSON could take for something else.
    ("größe_1", FieldType::Text, false),
    ("17", FieldType::Integer, false),
];

async fn make_field(bench: &Bench, (key, kind, indexed): (&str, FieldType, bool)) {
    let option = |key: &str| SelectOption { key: key.to_owned(), name: key.to_uppercase() };
    let rules = Rules {
        options: if kind.has_options() { ["a", "b", "c"].map(option).into() } else { Vec::new() },
        index: if indexed { Index::Ready } else { Index::None },
        min: (kind == FieldType::Currency).then(|| (-100).into()),
        ..Rules::default()
    };
    let new = NewField { key: None, name: key.to_owned(), kind, rules };
    // Some are there already, without an index.
    if bench.engine.list_fields(&bench.caller).await.expect("fields are listed").find_by_key(key).is_none() {
        bench.engine.create_field(&bench.caller, &new).await.expect("it is made");
    }
}

/// A community of users who hold random values, some of them deleted or without an email.
async fn community(place: &Place, runner: &mut TestRunner) -> Bench {
    let bench = place.set_up().await;
    for field in FIELDS.iter().filter(|(key, ..)| !["points", "rate", "subscribed", "notes"].contains(key)) {
        make_field(&bench, *field).await;
    }
    let keys: Vec<&str> = FIELDS.iter().map(|(key, ..)| *key).collect();
    let mut file = csv::Writer::from_writer(Vec::new());
    file.write_record([&["email"], &keys[..]].concat()).expect("memory");
    for i in 0..80 {
        let values = generate::values().new_tree(runner).expect("it is generated").current();
        let cell = |key: &&str| values.iter().find(|(other, _)| other == key).map_or("", |(_, text)| *text);
        let email = generate::EMAILS.get(i).map_or(format!("user{i}@x.org"), |email| (*email).to_owned());
        file.write_record([&[email.as_str()][..], &keys.iter().map(cell).collect::<Vec<_>>()].concat())
            .expect("memory");
    }
    let text = String::from_utf8(file.into_inner().expect("memory")).expect("it is a text");
    let job = bench.import(&text).await;
    assert_eq!(job.counts.created, 80, "{:?}", bench.verdicts(job.id).await);
    for id in [5, 6, 40] {
        bench.engine.delete_user(&bench.caller, UserId(id), None).await.expect("it is deleted");
    }
    for id in [7, 41] {
        let edit = UserEdit { email: muster_core::Patch::Clear, ..UserEdit::default() };
        bench.engine.edit_user(&bench.caller, UserId(id), &edit).await.expect("it is changed");
    }
    bench
}

/// The same community, asked by an engine that reads so many entries of an index.
fn reading(bench: &Bench, index_entries: u32) -> Bench {
    let (store, staging) = (bench.engine.store().clone(), bench.engine.staging().clone());
    let limits = Limits { index_entries, ..Limits::default() };
    let engine = Engine::new(store, staging, Clock::system(), Faults::none(), limits);
    Bench { engine, caller: bench.caller.clone() }
}

fn query(filter: &Json, sort: &Json, limit: u32) -> UserQuery {
    UserQuery {
        filter: Some(filter.to_string()),
        zero: &[],
        sort: Some(sort.to_string()),
        values: None,
        limit,
        cursor: None,
    }
}

impl Bench {
    async fn found(&self, query: &UserQuery) -> FoundUsers {
        self.engine.query_users(&self.caller, query).await.expect("it is answered")
    }

    /// Every page of a query, and how many users were looked at.
    async fn pages(&self, mut query: UserQuery) -> (Vec<i64>, u64) {
        let (mut ids, mut examined) = (Vec::new(), 0);
        loop {
            let page = self.found(&query).await;
            assert!(page.users.len() <= query.limit as usize);
            assert!(
                page.next.is_none() || page.users.len() == query.limit as usize,
                "a page that another follows is full"
            );
            ids.extend(page.users.iter().map(|user| user.id.0));
            examined += page.examined;
            let Some(next) = page.next else { return (ids, examined) };
            query.cursor = Some(next.to_string().parse().expect("it is ours"));
        }
    }

    async fn everybody(&self) -> (Vec<User>, FieldSet) {
        let page = self.engine.list_users(&self.caller, None, UserId(0), 100_000).await.expect("users are listed");
        (page.users, page.fields)
    }
}

/// What a plain filter and a plain sort give.
fn expected(users: &[User], fields: &FieldSet, filter: &Json, sort: &Json) -> Vec<i64> {
    let filter =
        Filter::read(&json::read(&filter.to_string(), "").expect("it is JSON"), "", fields).expect("it is right");
    let sort = Sort::read(sort, "", fields).expect("it is right");
    let mut found: Vec<&User> = users.iter().filter(|user| filter.matches(user)).collect();
    found.sort_by(|a, b| sort.compare(&sort.place(a), &sort.place(b)));
    found.iter().map(|user| user.id.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_filter_and_sort_give_what_a_plain_filter_in_memory_gives() {
    let mut runner = TestRunner::default();
    let sortable = FIELDS.iter().filter(|(_, kind, _)| kind.is_ordered()).map(|(key, ..)| *key);
    let keys: Vec<&str> = sortable.chain(["id", "email", "created_at", "updated_at"]).collect();
    let name = (proptest::sample::select(keys), proptest::bool::ANY)
        .prop_map(|(key, down)| format!("{}{key}", if down { "-" } else { "" }));
    let sorts = proptest::collection::vec(name, 0..=2)
        .prop_filter("each key once", |names| {
            names.len() < 2 || names[0].trim_start_matches('-') != names[1].trim_start_matches('-')
        })
        .prop_map(Json::from);
    let asked = (generate::filters(), sorts, proptest::sample::select(&[3, 20, 1_000][..]));
    for place in places().await {
        let bench = community(&place, &mut runner).await;
        let (users, fields) = bench.everybody().await;
        assert_eq!(users.len(), 77);
        for entries in [0, 10, 50_000] {
            let reader = reading(&bench, entries);
            for _ in 0..60 {
                let (filter, sort, limit) = asked.new_tree(&mut runner).expect("it is generated").current();
                let (found, _) = reader.pages(query(&filter, &sort, limit)).await;
                let expected = expected(&users, &fields, &filter, &sort);
                assert_eq!(found, expected, "{filter} by {sort}, {limit} a page, {entries} entries, {:?}", place.url);
            }
        }
        bench.check().await;
    }
}

/// So many users with a level from 0 to 999 and a text that begins alike for all.
async fn levels(place: &Place, count: usize) -> Bench {
    let bench = place.set_up().await;
    make_field(&bench, ("level", FieldType::Integer, true)).await;
    make_field(&bench, ("motto", FieldType::Text, true)).await;
    let mut text = String::from("email,level,motto,points\n");
    for i in 0..count {
        let level = if i % 10 == 9 { String::new() } else { (i * 7 % 1_000).to_string() };
        writeln!(text, "user{i}@x.org,{level},{}{},{}", "x".repeat(70), i * 31 % count, i % 3).expect("memory");
    }
    assert_eq!(bench.import(&text).await.counts.created, count as u64);
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selective_filter_over_an_indexed_field_looks_at_those_who_match_only() {
    for place in places().await {
        let bench = levels(&place, 3_000).await;
        let (users, fields) = bench.everybody().await;
        for (filter, most) in [
            (json!({"level": 21}), 3),
            (json!({"level": {"gte": 20, "lt": 30}}), 31),
            (json!({"level": {"in": [7, 14, "21.0"]}, "points": 0}), 9),
            (json!({"or": [{"level": 7}, {"id": 12}, {"email": "USER5@x.org"}]}), 5),
            (json!({"and": [{"level": {"gt": 500}}, {"level": {"lte": 505}}, {"not": {"points": 1}}]}), 16),
            (json!({"level": {"gt": 10_000}}), 0),
        ] {
            let found = bench.found(&query(&filter, &json!("-points"), 1_000)).await;
            assert!(found.examined <= most, "{filter}: {}", found.examined);
            let ids: Vec<i64> = found.users.iter().map(|user| user.id.0).collect();
            assert_eq!(ids, expected(&users, &fields, &filter, &json!("-points")), "{filter}");
        }
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_the_order_of_ids_or_of_an_index_looks_at_few_users() {
    for place in places().await {
        let bench = reading(&levels(&place, 3_000).await, 100);
        let (users, fields) = bench.everybody().await;
        for sort in [json!(null), json!("-id"), json!("level"), json!("-level")] {
            let found = bench.found(&query(&json!({}), &sort, 20)).await;
            assert!(found.examined <= 500, "{sort}: {}", found.examined);
            let (ids, _) = bench.pages(query(&json!({}), &sort, 400)).await;
            assert_eq!(ids, expected(&users, &fields, &json!({}), &sort), "{sort}");
        }
        for sort in [json!("motto"), json!(["-motto"]), json!(["-level", "-motto"]), json!(["level", "points"])] {
            let (ids, _) = bench.pages(query(&json!({"points": {"gte": 1}}), &sort, 700)).await;
            assert_eq!(ids, expected(&users, &fields, &json!({"points": {"gte": 1}}), &sort), "{sort}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_stay_right_while_users_are_added_changed_and_deleted() {
    for place in places().await {
        let bench = levels(&place, 50).await;
        let reader = reading(&bench, 5);
        for sort in [json!("id"), json!("-level"), json!("email")] {
            let mut query = query(&json!({}), &sort, 10);
            let page = reader.found(&query).await;
            let seen: Vec<i64> = page.users.iter().map(|user| user.id.0).collect();
            query.cursor = page.next;
            // Whoever is given stays given, and whoever comes before the place is not given twice.
            bench.import("email,level\na-new-one@x.org,999\nzz-new-one@x.org,0\n").await;
            bench
                .engine
                .delete_user(&bench.caller, *page.users.last().map(|user| &user.id).expect("there is one"), None)
                .await
                .expect("it is deleted");
            let (users, fields) = bench.everybody().await;
            let (rest, _) = reader.pages(query).await;
            let place = Sort::read(&sort, "", &fields).expect("it is right");
            let last = place.place(page.users.last().expect("there is one"));
            let later: Vec<i64> = expected(&users, &fields, &json!({}), &sort)
                .into_iter()
                .filter(|id| {
                    let user = users.iter().find(|user| user.id.0 == *id).expect("it is there");
                    place.compare(&place.place(user), &last).is_gt()
                })
                .collect();
            assert_eq!(rest, later, "{sort}");
            assert!(rest.iter().all(|id| !seen.contains(id)), "{sort}");
            let gone = ["a-new-one@x.org", "zz-new-one@x.org"];
            for email in gone {
                let id = bench.id_of(email).await;
                bench.engine.delete_user(&bench.caller, id, None).await.expect("it is deleted");
            }
        }
        bench.check().await;
    }
}
