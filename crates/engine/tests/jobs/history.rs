//! The history as it is asked for: page by page, as of a time, and with changes made one by one.

use crate::harness::{Bench, Place, places};
use jiff::Timestamp;
use muster_core::Code;
use muster_core::id::UserId;
use muster_core::scope::Scope;
use muster_engine::{Caller, Clock, Engine, EngineError, Faults, HistoryQuery, Limits, NewChange, Staging, UserEdit};
use muster_store::testing;
use serde_json::{Value as Json, json};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time of our days")
}

/// The same place as a process sees it whose clock stands still.
fn at_time(bench: &Bench, place: &Place, second: i64) -> Bench {
    let store = testing::open(place.url.as_deref(), place.folder.path());
    let staging = Staging::open(place.folder.path()).expect("the folder can be written to");
    let engine = Engine::new(store, staging, Clock::fixed(at(second)), Faults::none(), Limits::default());
    Bench { engine, caller: bench.caller.clone() }
}

/// The user as of a time, as email, version and city; or the code of the refusal.
async fn as_of(bench: &Bench, id: UserId, when: Timestamp) -> Result<(String, i64, String), Code> {
    match bench.engine.get_user_at(&bench.caller, id, when).await {
        Ok((user, fields)) => {
            let city = user.values.get(fields.number_of("city").expect("it is built in"));
            let city = city.map(ToString::to_string).unwrap_or_default();
            Ok((user.email.unwrap_or_default(), user.version, city))
        }
        Err(error) => Err(error.public().code),
    }
}

async fn set(bench: &Bench, id: UserId, field: &str, op: &str, value: Json) -> Result<bool, (Code, String)> {
    let new = NewChange { user: id, field: field.to_owned(), op: op.to_owned(), value };
    match bench.engine.make_change(&bench.caller, &new).await {
        Ok(made) => Ok(made.changed),
        Err(error) => {
            let error = error.public();
            let pointer = error.errors.first().and_then(|fault| fault.pointer.clone());
            Err((error.code, pointer.unwrap_or_default()))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_shown_as_of_any_time_by_versions_and_not_by_clocks() {
    for place in places().await {
        let bench = place.set_up().await;
        let now = async |second| at_time(&bench, &place, second);
        now(10).await.import("Email,City\nada@x.org,Rome\n").await;
        let id = bench.id_of("ada@x.org").await;
        now(20).await.edit("ada@x.org", "city", "\"Oslo\"").await;
        // The clock of another process is behind: what is recorded is its time, what counts is that it came later.
        now(15).await.edit("ada@x.org", "city", "null").await;
        let edit = UserEdit { email: muster_core::Patch::Set("ada@y.org".into()), ..UserEdit::default() };
        now(30).await.engine.edit_user(&bench.caller, id, &edit).await.expect("it is changed");
        now(40).await.engine.delete_user(&bench.caller, id, None).await.expect("it is deleted");

        let is = |email: &str, version, city: &str| Ok((email.to_owned(), version, city.to_owned()));
        for (second, expected) in [
            (-100, Err(Code::NotFound)),
            (9, Err(Code::NotFound)),
            (10, is("ada@x.org", 1, "Rome")),
            (14, is("ada@x.org", 1, "Rome")),
            (15, is("ada@x.org", 3, "")),
            (20, is("ada@x.org", 3, "")),
            (29, is("ada@x.org", 3, "")),
            (30, is("ada@y.org", 4, "")),
            (40, Err(Code::NotFound)),
            (99, Err(Code::NotFound)),
        ] {
            assert_eq!(as_of(&bench, id, at(second)).await, expected, "at {second}");
        }
        let (user, _) = bench.engine.get_user_at(&bench.caller, id, at(33)).await.expect("it was there");
        assert_eq!((user.created_at, user.updated_at), (at(10), at(30)));
        assert_eq!(as_of(&bench, UserId(99), at(99)).await, Err(Code::NotFound));
        let blind = Caller { scopes: vec![Scope::HistoryRead], ..bench.caller.clone() };
        let refused = bench.engine.get_user_at(&blind, id, at(33)).await.expect_err("the scope is missing");
        assert_eq!(refused.public().code, Code::MissingScope);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_of_now_and_of_the_future_is_the_user_as_it_is_however_long_the_history() {
    for place in places().await {
        let bench = place.set_up().await;
        at_time(&bench, &place, 0).import("Email,Points\nada@x.org,0\n").await;
        let id = bench.id_of("ada@x.org").await;
        // More than are read at a time, in one commit and in one time.
        let rows: String = (1..=1_200).map(|i| format!("ada@x.org,{i}\n")).collect();
        at_time(&bench, &place, 5).update(&format!("Email,Points\n{rows}")).await;
        let (now, fields) = bench.engine.get_user(&bench.caller, id).await.expect("it is there");
        let points = fields.number_of("points").expect("it is made");
        for second in [5, 1_000_000] {
            let (then, _) = bench.engine.get_user_at(&bench.caller, id, at(second)).await.expect("it is there");
            assert_eq!(then, now);
        }
        assert_eq!(now.version, 1_201);
        let (first, _) = bench.engine.get_user_at(&bench.caller, id, at(4)).await.expect("it was there");
        assert_eq!((first.version, first.values.get(points).map(ToString::to_string)), (1, Some("0".to_owned())));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_change_is_planned_like_a_row_and_answers_its_entry() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import("Email\nada@x.org\nbob@x.org\n").await;
        let id = bench.id_of("ada@x.org").await;
        assert_eq!(set(&bench, id, "premium_currency", "add", json!("12.50")).await, Ok(true));
        assert_eq!(set(&bench, id, "premium_currency", "subtract", json!(2)).await, Ok(true));
        assert_eq!(set(&bench, id, "premium_currency", "overwrite", json!("10.5")).await, Ok(false));
        assert_eq!(set(&bench, id, "city", "clear", Json::Null).await, Ok(false));
        assert_eq!(set(&bench, id, "email", "overwrite", json!("ada@z.org")).await, Ok(true));
        for (field, op, value, code, pointer) in [
            ("premium_currency", "subtract", json!(11), Code::InsufficientBalance, "/value"),
            ("premium_currency", "add", json!("much"), Code::InvalidNumber, "/value"),
            ("premium_currency", "add", Json::Null, Code::OperatorWithoutValue, "/value"),
            ("premium_currency", "ADD", json!(1), Code::InvalidOperator, "/op"),
            ("premium_currency", "clear", json!(1), Code::InvalidRequest, "/value"),
            ("city", "add", json!("Rome"), Code::OperatorNotAllowed, "/op"),
            ("city", "overwrite", json!({"op": "add"}), Code::InvalidText, "/value"),
            ("nothing", "overwrite", json!(1), Code::InvalidRequest, "/field"),
            ("deleted", "overwrite", json!(true), Code::InvalidRequest, "/field"),
            ("email", "overwrite", json!("BOB@x.org"), Code::NotUnique, "/value"),
            ("email", "overwrite", json!(7), Code::InvalidEmail, "/value"),
            ("email", "add", json!("a@b"), Code::OperatorNotAllowed, "/op"),
        ] {
            let refused = set(&bench, id, field, op, value.clone()).await;
            assert_eq!(refused, Err((code, pointer.to_owned())), "{field} {op} {value}");
        }
        assert_eq!(
            set(&bench, UserId(99), "city", "overwrite", json!("x")).await,
            Err((Code::NotFound, String::new()))
        );
        bench.engine.delete_user(&bench.caller, id, None).await.expect("it is deleted");
        assert_eq!(set(&bench, id, "city", "overwrite", json!("x")).await, Err((Code::NotFound, String::new())));
        let blind = Caller { scopes: vec![Scope::HistoryRead], ..bench.caller.clone() };
        let new = NewChange { user: id, field: "city".into(), op: "clear".into(), value: Json::Null };
        let refused = bench.engine.make_change(&blind, &new).await.expect_err("the scope is missing");
        assert_eq!(refused.public().code, Code::MissingScope);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_balance_at_the_same_time_are_all_in_the_ledger() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import("Email,Premium Currency\nada@x.org,100\n").await;
        let id = bench.id_of("ada@x.org").await;
        let mut tasks = Vec::new();
        for task in 0..4 {
            let bench = bench.reopened(&place, Faults::none());
            tasks.push(tokio::spawn(async move {
                for _ in 0..10 {
                    let op = if task % 2 == 0 { "add" } else { "subtract" };
                    assert_eq!(set(&bench, id, "premium_currency", op, json!(task + 1)).await, Ok(true));
                }
            }));
        }
        for task in tasks {
            task.await.expect("it does not panic");
        }
        let field = Some("premium_currency".to_owned());
        let query = HistoryQuery { user: Some(id), field, limit: 100, ..HistoryQuery::default() };
        let page = bench.engine.history(&bench.caller, &query).await.expect("the history is read");
        let ledger: Vec<_> = page.entries.iter().rev().filter_map(|entry| entry.change.ledger()).collect();
        assert_eq!(ledger.len(), 41);
        let sum = ledger.iter().try_fold(Default::default(), |balance, (delta, after)| {
            let sum = muster_core::number::add(balance, *delta);
            sum.inspect(|sum| assert_eq!(sum, after))
        });
        assert_eq!(sum.expect("the sums are small").to_string(), "80");
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_of_the_question_that_it_was_given_for() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import("Email,City,Title\na@x.org,Rome,Dr\nb@x.org,Oslo,Dr\n").await;
        let page = async |user, cursor: Option<&str>| {
            let query = HistoryQuery { user, limit: 1, cursor: cursor.map(str::to_owned), ..HistoryQuery::default() };
            bench.engine.history(&bench.caller, &query).await
        };
        let of_all = page(None, None).await.expect("it is read").next.expect("there is more");
        let of_user = page(Some(UserId(1)), None).await.expect("it is read").next.expect("there is more");
        assert!(page(None, Some(&of_all)).await.is_ok() && page(Some(UserId(1)), Some(&of_user)).await.is_ok());
        let wrong =
            [(None, of_user.as_str()), (Some(UserId(1)), &of_all), (None, "-1.1"), (None, "1.2.3.4"), (None, "")];
        for (user, cursor) in wrong {
            let refused = page(user, Some(cursor)).await.map(|page| page.entries.len());
            assert!(
                matches!(refused, Err(EngineError::Refused(error)) if error.code == Code::InvalidRequest),
                "{cursor}"
            );
        }
        let far = format!("{0}.{0}.{0}", i64::MAX);
        assert!(page(None, Some(&far)).await.is_err(), "no time is so late");
        assert!(page(Some(UserId(1)), Some(&format!("{0}.{0}", i64::MAX))).await.is_ok());
        assert!(page(Some(UserId(1)), Some("0.0")).await.expect("it is read").entries.is_empty());
    }
}
