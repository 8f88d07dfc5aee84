//! Rows that are tried again.

use crate::harness::{counts, drain, places};
use muster_core::Code;
use muster_core::job::{JobKind, JobState};
use muster_engine::{Fault, Faults, UndoRequest, Worker};

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_does_the_failed_rows_again_and_no_others() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import("email,points\nann@x.org,1\n").await;
        let text = "email,points,points_op\nann@x.org,1,add\nbob@x.org,1,add\nnobody,1,add\ncy@x.org,1,add\n";
        let job = bench.update(text).await;
        assert_eq!(counts(&job), [4, 0, 1, 0, 0, 3, 0]);
        bench.import("email\nbob@x.org\n").await;
        let retry = bench.finish(bench.engine.retry_job(&bench.caller, job.id).await).await;
        assert_eq!((retry.kind, counts(&retry)), (JobKind::Update, [3, 0, 1, 0, 0, 2, 0]));
        let verdicts = ["updated", "failed invalid_email", "failed user_not_found"];
        assert_eq!(bench.verdicts(retry.id).await, verdicts);
        let rows = bench.results(retry.id).await;
        assert_eq!(rows[0][3..5], ["3", "2"], "rows keep the line and the number that they have in the file");
        let twice = bench.engine.retry_job(&bench.caller, job.id).await.expect_err("it was retried");
        assert_eq!(twice.public().code, Code::AlreadyRetried);

        bench.import("email\ncy@x.org\n").await;
        let again = bench.finish(bench.engine.retry_job(&bench.caller, retry.id).await).await;
        assert_eq!(counts(&again), [2, 0, 1, 0, 0, 1, 0], "of a retry only what it could not do");
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("2"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_not_reached_are_retried_and_each_is_applied_once() {
    let rows = 5_000;
    let people: String = (0..rows).map(|i| format!("user{i}@x.org,10\n")).collect();
    let added: String = (0..rows).map(|i| format!("user{i}@x.org,5,add\n")).collect();
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(&format!("email,premium currency\n{people}")).await;
        let faults = Faults::none();
        faults.plan("apply.committed", 1, Fault::Crash);
        let first = bench.reopened(&place, faults);
        let text = format!("email,premium currency,premium currency_op\n{added}");
        let job = first.submit(JobKind::Update, &[], text.as_bytes()).await.expect("it is accepted");
        let mut worker = Worker::new(&first.engine).expect("a worker can be made");
        drain(&mut worker).await;
        // The worker is gone and holds the lease still; cancelling does not wait for it.
        let job = bench.engine.cancel_job(&bench.caller, job.id).await.expect("it is cancelled").job;
        assert_eq!(job.state, JobState::Cancelled);
        let (done, left) = (job.counts.updated, job.counts.unprocessed());
        assert!(done > 0 && left > 0 && done + left == rows, "{:?}", job.counts);
        let verdicts = bench.verdicts(job.id).await;
        assert_eq!(verdicts.iter().filter(|verdict| *verdict == "unprocessed").count() as u64, left);
        let retry = bench.finish(bench.engine.retry_job(&bench.caller, job.id).await).await;
        assert_eq!(counts(&retry), [left, 0, left, 0, 0, 0, 0]);
        let users = bench.users().await;
        assert!(users.values().all(|values| values["premium_currency"] == "15"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_began_is_retried_whole() {
    for place in places().await {
        let bench = place.set_up().await;
        let job = bench.submit(JobKind::Import, &[], b"email\nann@x.org\nbob@x.org\n").await.expect("it is accepted");
        bench.engine.cancel_job(&bench.caller, job.id).await.expect("it is cancelled");
        bench.run().await;
        let retry = bench.finish(bench.engine.retry_job(&bench.caller, job.id).await).await;
        assert_eq!(counts(&retry), [2, 2, 0, 0, 0, 0, 0]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_retried_after_an_undo() {
    for place in places().await {
        let bench = place.set_up().await;
        let job = bench.import("email\nann@x.org\nnobody\n").await;
        bench.undo(job.id).await;
        let refused = bench.engine.retry_job(&bench.caller, job.id).await.expect_err("it was undone");
        assert_eq!(refused.public().code, Code::AlreadyUndone);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applied_plan_of_an_undo_can_be_retried_like_any_job() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import("email,points\nann@x.org,1\n").await;
        let job = bench.update("email,points\nann@x.org,2\n").await;
        let request = UndoRequest { dry_run: true, ..UndoRequest::default() };
        let plan = bench.finish(bench.engine.undo_job(&bench.caller, job.id, &request).await).await;
        let applied = bench.finish(bench.engine.apply_job(&bench.caller, plan.id).await).await;
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("1"));
        let retry = bench.finish(bench.engine.retry_job(&bench.caller, applied.id).await).await;
        assert_eq!((retry.state, counts(&retry)), (JobState::Completed, [0; 7]), "nothing had failed");
        bench.check().await;
    }
}
