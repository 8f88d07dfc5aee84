//! The history that is over its time goes; the rest goes on from what it left, and whatever needs it says so.

use crate::harness::{Bench, assert_ended, counts, places};
use muster_core::id::UserId;
use muster_core::job::JobState;
use muster_core::settings::SettingsEdit;
use muster_core::value::Value;
use muster_core::{Code, Patch};
use muster_engine::{Clock, EngineError, Fault, Faults, HistoryQuery, Swept, UndoRequest};
use muster_store::testing;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn clock() -> Clock {
    Clock::fixed("2026-01-31T09:30:00Z".parse().expect("it is a time"))
}

async fn keep_history(bench: &Bench, days: i64) {
    let edit = SettingsEdit { history: Patch::Set(days), ..SettingsEdit::default() };
    bench.engine.edit_community(&bench.caller, None, &edit).await.expect("it is kept");
}

async fn sweep(bench: &Bench) -> u64 {
    let swept = bench.engine.sweep_expired(bench.engine.clock().now()).await.expect("it is swept");
    assert_eq!(swept, Swept { changes: swept.changes, ..Swept::default() });
    swept.changes
}

fn code<T>(refused: Result<T, EngineError>) -> Option<Code> {
    refused.err().map(|error| error.public().code)
}

/// The entries of the history: field, old and new.
async fn history(bench: &Bench, user: UserId) -> Vec<String> {
    let query = HistoryQuery { user: Some(user), limit: 1_000, ..HistoryQuery::default() };
    let page = bench.engine.history(&bench.caller, &query).await.expect("it is listed");
    page.entries.iter().map(|entry| format!("{} {:?}", entry.field, entry.change.new)).collect()
}

async fn undo_code(bench: &Bench, job: muster_core::id::JobId, dry_run: bool) -> Option<Code> {
    let request = UndoRequest { dry_run, ..UndoRequest::default() };
    code(bench.engine.undo_job(&bench.caller, job, &request).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn pruned_history_leaves_what_the_users_held_and_the_rest_goes_on_from_there() {
    for place in places().await {
        let clock = clock();
        let bench = place.set_up_at(clock.clone(), Faults::none()).await;
        keep_history(&bench, 10).await;
        let first = bench.import("Email,First Name,Points\nann@x.org,Ann,1\nbob@x.org,Bob,5\n").await.id;
        let (ann, bob) = (bench.id_of("ann@x.org").await, bench.id_of("bob@x.org").await);
        clock.advance(DAY);
        let second = bench.update("Email,First Name,Points,Points_op\nann@x.org,\\N,2,add\n").await.id;
        clock.advance(9 * DAY);
        let third = bench.update("Email,Points,Points_op\nann@x.org,4,add\n").await.id;
        assert_eq!(sweep(&bench).await, 0, "ten days are not over yet");
        let begun = clock.now();
        clock.advance(DAY);
        assert_eq!(sweep(&bench).await, 2, "the first job");
        bench.check().await;
        clock.advance(DAY);
        assert_eq!(sweep(&bench).await, 1, "the second job");
        assert_eq!(sweep(&bench).await, 0);
        bench.check().await;

        assert_eq!(history(&bench, ann).await, ["points Some(Integer(7))"]);
        assert!(history(&bench, bob).await.is_empty());
        let at = async |user, time| {
            let (user, fields) = bench.engine.get_user_at(&bench.caller, user, time).await?;
            let points = fields.number_of("points").and_then(|number| user.values.get(number).cloned());
            Ok::<_, EngineError>((user.version, points))
        };
        assert_eq!(at(ann, begun).await.expect("its history is there"), (3, Some(Value::Integer(7))));
        assert_eq!(at(ann, begun - DAY).await.expect("that is the opening"), (2, Some(Value::Integer(3))));
        assert_eq!(code(at(ann, begun - 10 * DAY).await), Some(Code::HistoryExpired));
        assert_eq!(at(bob, begun - 10 * DAY).await.expect("it never changed since").0, 1);
        assert_eq!(code(at(bob, begun - 11 * DAY).await), Some(Code::HistoryExpired));

        for job in [first, second] {
            assert_eq!(undo_code(&bench, job, false).await, Some(Code::HistoryExpired));
            assert_eq!(undo_code(&bench, job, true).await, Some(Code::HistoryExpired));
        }
        assert_eq!(counts(&bench.undo(third).await)[2], 1);
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("3"));
        bench.update("Email,Points\nbob@x.org,9\n").await;
        assert_eq!(history(&bench, bob).await, ["points Some(Integer(9))"]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_to_be_undone_keeps_the_history_until_then() {
    for place in places().await {
        let clock = clock();
        let bench = place.set_up_at(clock.clone(), Faults::none()).await;
        keep_history(&bench, 1).await;
        let job = bench.import("Email,Points\nann@x.org,1\n").await.id;
        let dry = UndoRequest { dry_run: true, ..UndoRequest::default() };
        let planned = bench.finish(bench.engine.undo_job(&bench.caller, job, &dry).await).await.id;
        let undo =
            bench.engine.undo_job(&bench.caller, job, &UndoRequest::default()).await.expect("it is accepted").job;
        bench.engine.pause_job(&bench.caller, undo.id).await.expect("it pauses");
        clock.advance(2 * DAY);
        assert_eq!(sweep(&bench).await, 0, "an undo is open");
        bench.engine.cancel_job(&bench.caller, undo.id).await.expect("it is cancelled");
        bench.run().await;
        assert_eq!(sweep(&bench).await, 1);
        assert_eq!(code(bench.engine.apply_job(&bench.caller, planned).await), Some(Code::HistoryExpired));
        assert_eq!(code(bench.engine.retry_job(&bench.caller, undo.id).await), Some(Code::HistoryExpired));
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("1"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_dies_prunes_nothing_and_the_next_one_prunes_it_all() {
    for place in places().await {
        let (clock, faults) = (clock(), Faults::none());
        let bench = place.set_up_at(clock.clone(), faults.clone()).await;
        keep_history(&bench, 1).await;
        bench.import("Email,Points\nann@x.org,1\nbob@x.org,5\n").await;
        let ann = bench.id_of("ann@x.org").await;
        clock.advance(2 * DAY);
        faults.plan("sweep.pruned", 0, Fault::Crash);
        assert!(bench.engine.sweep_expired(clock.now()).await.is_err());
        assert_eq!(history(&bench, ann).await.len(), 2);
        bench.check().await;
        let other = bench.reopened(&place, Faults::none());
        let (one, two) = tokio::join!(sweep(&bench), async {
            other.engine.sweep_expired(clock.now()).await.expect("it is swept").changes
        });
        assert_eq!(one + two, 2, "each once, whoever does it");
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_pruned_in_pieces_and_found_by_field_afterwards() {
    for place in places().await {
        let clock = clock();
        let bench = place.set_up_at(clock.clone(), Faults::none()).await;
        keep_history(&bench, 1).await;
        bench.import("Email,Points,First Name\nann@x.org,0,Ann\n").await;
        let ann = bench.id_of("ann@x.org").await;
        let add = async || {
            let file = format!("Email,Points,Points_op\n{}", "ann@x.org,1,add\n".repeat(70));
            assert_ended(&bench.update(&file).await, JobState::Completed);
        };
        add().await;
        clock.advance(2 * DAY);
        add().await;
        assert_eq!(sweep(&bench).await, 71);
        assert_eq!(history(&bench, ann).await.len(), 70);
        let query = |field: &str| HistoryQuery {
            user: Some(ann),
            field: Some(field.to_owned()),
            limit: 1_000,
            ..HistoryQuery::default()
        };
        let found = async |field: &str| {
            bench.engine.history(&bench.caller, &query(field)).await.expect("it is listed").entries.len()
        };
        assert_eq!((found("points").await, found("first_name").await), (70, 0));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_erased_after_its_names_were_pruned_leaves_no_file_that_may_hold_them() {
    for place in places().await {
        let clock = clock();
        let bench = place.set_up_at(clock.clone(), Faults::none()).await;
        let days = SettingsEdit { history: Patch::Set(1), results: Patch::Set(1), ..SettingsEdit::default() };
        bench.engine.edit_community(&bench.caller, None, &days).await.expect("it is kept");
        let old = bench.import("Email,Points\nann@old.org,1\n").await.id;
        let ann = bench.id_of("ann@old.org").await;
        rename(&bench, ann).await;
        clock.advance(2 * DAY);
        let other = bench.import("Email,Points\nbob@x.org,1\n").await.id;
        bench.engine.sweep_expired(clock.now()).await.expect("it is swept");
        let job = bench.engine.erase_user(&bench.caller, ann, None).await;
        assert_ended(&bench.finish(job).await, JobState::Completed);
        assert_eq!(code(bench.engine.open_job_file(&bench.caller, old).await), Some(Code::FileErased));
        assert_eq!(code(bench.engine.open_job_file(&bench.caller, other).await), None);
        let openings = testing::strings(bench.engine.store(), "SELECT data FROM user_openings").await;
        assert!(openings.is_empty(), "{openings:?}");
        bench.check().await;
    }
}

async fn rename(bench: &Bench, user: UserId) {
    let edit = muster_engine::UserEdit { email: Patch::Set("ann@x.org".into()), ..Default::default() };
    bench.engine.edit_user(&bench.caller, user, &edit).await.expect("it is changed");
}
