//! Jobs that are taken back.

use crate::harness::{Bench, assert_ended, counts, drain, places};
use muster_core::Code;
use muster_core::id::JobId;
use muster_core::job::{JobKind, JobState, Overdraft};
use muster_engine::{Fault, Faults, UndoRequest, Worker};

const PEOPLE: &str = "Email,First Name,Points,Premium Currency\nann@x.org,Ann,10,100\nbob@x.org,Bob,5,\n";
const CHANGES: &str = "email,first name,points,points_op,premium currency,premium currency_op\n\
                       ann@x.org,Anna,5,add,30,subtract\nbob@x.org,\\N,,,60,add\nnew@x.org,New,1,,,\nann@x.org,,1,,,\n";

async fn refusal(bench: &Bench, id: JobId) -> Code {
    let refused = bench.engine.undo_job(&bench.caller, id, &UndoRequest::default()).await;
    refused.expect_err("it is refused").public().code
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_is_the_identity_and_can_be_undone_itself() {
    for place in places().await {
        let bench = place.set_up().await;
        let made = bench.import(PEOPLE).await;
        let before = bench.users().await;
        let job = bench.import(CHANGES).await;
        let after = bench.users().await;
        assert_ne!(before, after);

        let undo = bench.undo(job.id).await;
        assert_ended(&undo, JobState::Completed);
        assert_eq!(counts(&undo), [3, 0, 3, 0, 0, 0, 0], "one row for each user");
        assert_eq!(bench.users().await, before);
        assert_eq!(bench.job(job.id).await.undo_job_id, Some(undo.id));
        assert_eq!(refusal(&bench, job.id).await, Code::AlreadyUndone);
        bench.check().await;

        let redo = bench.undo(undo.id).await;
        assert_eq!(counts(&redo), [3, 0, 3, 0, 0, 0, 0]);
        assert_eq!(bench.users().await, after);
        bench.undo(redo.id).await;
        assert_eq!(bench.users().await, before);
        bench.undo(made.id).await;
        assert!(bench.users().await.is_empty());
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_since_is_kept_and_balances_are_reversed_all_the_same() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let job = bench.import(CHANGES).await;
        bench.edit("ann@x.org", "first_name", "\"Annie\"").await;
        bench.edit("bob@x.org", "premium_currency", r#"{"op":"add","value":"10"}"#).await;
        bench.edit("new@x.org", "points", "7").await;
        let undo = bench.undo(job.id).await;
        assert_eq!(counts(&undo), [3, 0, 2, 0, 1, 0, 0]);
        let verdicts = ["updated changed_since_job", "updated", "skipped changed_since_job"];
        assert_eq!(bench.verdicts(undo.id).await, verdicts);
        let rows = bench.results(undo.id).await;
        assert_eq!(rows[0][5], "First Name");
        assert_eq!(bench.value("ann@x.org", "first_name").await.as_deref(), Some("Annie"));
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("10"));
        assert_eq!(bench.value("ann@x.org", "premium_currency").await.as_deref(), Some("100"));
        assert_eq!(bench.value("bob@x.org", "premium_currency").await.as_deref(), Some("10"), "{}", rows[1][5]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_obeys_the_overdraft_policy() {
    for (policy, verdict, balance) in [
        (None, "failed insufficient_balance", "5"),
        (Some(Overdraft::Clamp), "updated", "0"),
        (Some(Overdraft::Allow), "updated", "-25"),
    ] {
        for place in places().await {
            let bench = place.set_up().await;
            bench.import(PEOPLE).await;
            let job = bench.update("email,premium currency,premium currency_op\nbob@x.org,30,add\n").await;
            bench.edit("bob@x.org", "premium_currency", r#"{"op":"subtract","value":"25"}"#).await;
            let request = UndoRequest { dry_run: false, overdraft: policy };
            let undo = bench.finish(bench.engine.undo_job(&bench.caller, job.id, &request).await).await;
            assert_eq!(bench.verdicts(undo.id).await, [verdict]);
            assert_eq!(bench.value("bob@x.org", "premium_currency").await.as_deref(), Some(balance));
            bench.check().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_and_restored_users_come_back_and_go_again() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let before = bench.users().await;
        let job = bench.apply(JobKind::Delete, &[], "email\nann@x.org\nbob@x.org\n").await;
        bench.import("email\nBOB@x.org\n").await;
        let undo = bench.undo(job.id).await;
        assert_eq!(bench.verdicts(undo.id).await, ["updated", "failed not_unique"]);
        bench.apply(JobKind::Delete, &[], "email\nbob@x.org\n").await;
        let retried = bench.finish(bench.engine.retry_job(&bench.caller, undo.id).await).await;
        assert_eq!(counts(&retried), [1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(bench.users().await, before);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_can_be_planned_and_the_plan_applied() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let before = bench.users().await;
        let job = bench.import(CHANGES).await;
        let after = bench.users().await;
        let request = UndoRequest { dry_run: true, overdraft: None };
        let mut plans = Vec::new();
        for _ in 0..2 {
            plans.push(bench.finish(bench.engine.undo_job(&bench.caller, job.id, &request).await).await);
        }
        assert_eq!((plans[0].state, counts(&plans[0])), (JobState::Planned, [3, 0, 3, 0, 0, 0, 0]));
        assert_eq!(bench.users().await, after, "plans write nothing");
        assert_eq!(bench.job(job.id).await.undo_job_id, None);
        let rows = bench.results(plans[0].id).await;
        let bobs = rows[1].last().expect("there are changes");
        assert!(bobs.contains(r#""premium_currency":{"old":"60","new":null}"#), "unset becomes unset again: {bobs}");
        let applied = bench.finish(bench.engine.apply_job(&bench.caller, plans[0].id).await).await;
        assert_eq!(counts(&applied), counts(&plans[0]));
        assert_eq!(bench.users().await, before);
        assert_eq!(bench.job(job.id).await.undo_job_id, Some(applied.id));
        let second = bench.engine.apply_job(&bench.caller, plans[1].id).await.expect_err("it is undone");
        assert_eq!(second.public().code, Code::AlreadyUndone);
        assert_eq!(refusal(&bench, job.id).await, Code::AlreadyUndone);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_was_cancelled_goes_on_where_it_was_when_it_is_made_again() {
    let people: String = (0..3_000).map(|i| format!("user{i}@x.org,10\n")).collect();
    let added: String = (0..3_000).map(|i| format!("user{i}@x.org,5,add\n")).collect();
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(&format!("email,premium currency\n{people}")).await;
        let before = bench.users().await;
        let job = bench.update(&format!("email,premium currency,premium currency_op\n{added}")).await;
        let faults = Faults::none();
        faults.plan("apply.committed", 1, Fault::Crash);
        let first = bench.reopened(&place, faults);
        let undo = first.engine.undo_job(&bench.caller, job.id, &UndoRequest::default()).await.expect("it is accepted");
        let mut worker = Worker::new(&first.engine).expect("a worker can be made");
        drain(&mut worker).await;
        let cancelled = bench.engine.cancel_job(&bench.caller, undo.job.id).await.expect("it is cancelled");
        assert_eq!(cancelled.job.state, JobState::Cancelled);
        let done = cancelled.job.counts.updated;
        assert!(done > 0 && cancelled.job.counts.unprocessed() > 0, "{:?}", cancelled.job.counts);
        let again = bench.undo(job.id).await;
        assert_eq!(counts(&again), [3_000, 0, 3_000 - done, done, 0, 0, 0]);
        assert_eq!(bench.users().await, before, "nobody's balance is reversed twice");
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_over_or_wrote_nothing_is_not_undone() {
    for place in places().await {
        let bench = place.set_up().await;
        let open = bench.submit(JobKind::Import, &[], PEOPLE.as_bytes()).await.expect("it is accepted");
        assert_eq!(refusal(&bench, open.id).await, Code::JobNotFinished);
        bench.run().await;
        let plan = bench.plan(JobKind::Import, &[], CHANGES).await;
        assert_eq!(refusal(&bench, plan.id).await, Code::InvalidState);
        let idle = bench.update("email,points\nann@x.org,10\n").await;
        assert_eq!(counts(&bench.undo(idle.id).await), [0; 7]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_led_back_to_where_it_began_does_not_stand_in_the_way_once_it_is_undone() {
    for place in places().await {
        let bench = place.set_up().await;
        let made = bench.import("email,points\nann@x.org,5\n").await;
        let circle = bench.update("email,points\nann@x.org,6\nann@x.org,5\n").await;
        assert_eq!(bench.verdicts(bench.undo(circle.id).await.id).await, ["unchanged"]);
        assert_eq!(bench.verdicts(bench.undo(made.id).await.id).await, ["updated"]);
        assert!(bench.users().await.is_empty());
        bench.check().await;
    }
}
