//! Erasures beside jobs that hold the person and are not over.

use crate::erase::{PEOPLE, assert_gone, erase, file_code};
use crate::harness::{Bench, assert_ended, counts, drain, places};
use muster_core::Code;
use muster_core::id::{JobId, UserId};
use muster_core::job::{JobKind, JobState};
use muster_engine::{Clock, Fault, Faults, Worker};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const HOUR: Duration = Duration::from_secs(3_600);

async fn ask_to_erase(bench: &Bench, user: UserId) -> JobId {
    bench.engine.erase_user(&bench.caller, user, None).await.expect("it is accepted").job.id
}

/// Runs what can be run up to a point, and waits there until it is woken.
async fn run_to(bench: &Bench, faults: &Faults, point: &str) -> (Arc<Notify>, JoinHandle<()>) {
    let wake = Arc::new(Notify::new());
    faults.plan(point, 0, Fault::Stall(wake.clone()));
    let mut worker = Worker::new(&bench.engine).expect("a worker");
    let run = tokio::spawn(async move { drop(drain(&mut worker).await) });
    while bench.engine.is_passing(point) {
        tokio::task::yield_now().await;
    }
    (wake, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_submitted_after_the_erasure_and_has_begun_is_waited_for_and_cleared() {
    for point in ["prepare.claimed", "apply.planned", "apply.committed", "finish.merged"] {
        for place in places().await {
            let faults = Faults::none();
            let bench = place.set_up_with(faults.clone()).await;
            bench.import(PEOPLE).await;
            let ann = bench.id_of("ann@x.org").await;
            let erasure = ask_to_erase(&bench, ann).await;
            bench.engine.pause_job(&bench.caller, erasure).await.expect("it pauses");
            let text = b"Email,First Name\nann@x.org,Annabelle\nbob@x.org,Robert\n";
            let later = bench.submit(JobKind::Update, &[], text).await.expect("it is accepted");
            let (wake, run) = run_to(&bench, &faults, point).await;
            bench.engine.resume_job(&bench.caller, erasure).await.expect("it goes on");
            bench.run().await;
            assert_eq!(bench.job(erasure).await.state, JobState::Running, "{point}");
            wake.notify_one();
            run.await.expect("it does not panic");
            bench.run().await;
            assert_ended(&bench.job(later.id).await, JobState::Completed);
            assert_eq!(counts(&bench.job(erasure).await), [1, 0, 1, 0, 0, 0, 0], "{point}");
            assert_eq!(file_code(&bench, later.id).await, Some(Code::FileErased), "{point}");
            assert_eq!(bench.value("bob@x.org", "first_name").await.as_deref(), Some("Robert"));
            assert_gone(&place, &bench).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_begins_and_ends_while_others_are_looked_at_is_cleared_too() {
    for place in places().await {
        let faults = Faults::none();
        let bench = place.set_up_with(faults.clone()).await;
        bench.import(PEOPLE).await;
        let ann = bench.id_of("ann@x.org").await;
        let erasure = ask_to_erase(&bench, ann).await;
        let (wake, run) = run_to(&bench, &faults, "erase.answered").await;
        // It changes nobody, so only that it has begun tells of it.
        let plan = bench.plan(JobKind::Update, &[], "Email,First Name\nann@x.org,Ann\nbob@x.org,Robert\n").await;
        let waiting = bench.submit(JobKind::Update, &[], b"Email,Points\nbob@x.org,6\n").await.expect("it is accepted");
        bench.engine.pause_job(&bench.caller, waiting.id).await.expect("it pauses");
        wake.notify_one();
        run.await.expect("it does not panic");
        assert_ended(&bench.job(erasure).await, JobState::Completed);
        assert_eq!(file_code(&bench, plan.id).await, Some(Code::FileErased));
        assert_eq!(file_code(&bench, waiting.id).await, None);
        assert_gone(&place, &bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_jobs_that_hold_the_person_are_waited_for() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let ann = bench.id_of("ann@x.org").await;
        let other = bench.submit(JobKind::Import, &[], b"Email,Points\nbob@x.org,99\n").await.expect("it is accepted");
        bench.engine.pause_job(&bench.caller, other.id).await.expect("it pauses");
        assert_ended(&erase(&bench, ann).await, JobState::Completed);
        assert_gone(&place, &bench).await;
        bench.engine.resume_job(&bench.caller, other.id).await.expect("it goes on");
        bench.run().await;
        assert_eq!(bench.value("bob@x.org", "points").await.as_deref(), Some("99"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_rests_for_a_day_with_the_person_in_it_is_cancelled() {
    for place in places().await {
        let clock = Clock::fixed("2026-01-31T09:30:00Z".parse().expect("it is a time"));
        let bench = place.set_up_at(clock.clone(), Faults::none()).await;
        bench.import(PEOPLE).await;
        let ann = bench.id_of("ann@x.org").await;
        let queue = [("queue", "crm")];
        let paused = bench.submit(JobKind::Import, &queue, b"Email,Points\nbob@x.org,9\n").await.expect("accepted");
        bench.engine.pause_job(&bench.caller, paused.id).await.expect("it pauses");
        // It cannot begin while the one before it is paused.
        let behind = bench.submit(JobKind::Import, &queue, b"Email,Points\nann@x.org,9\n").await.expect("accepted");
        let erasure = ask_to_erase(&bench, ann).await;
        for (hours, state) in [(23, JobState::Queued), (1, JobState::Cancelled)] {
            bench.run().await;
            assert_eq!(bench.job(erasure).await.state, JobState::Running);
            clock.advance(hours * HOUR);
            bench.engine.sweep_expired(clock.now()).await.expect("it is swept");
            assert_eq!(bench.job(behind.id).await.state, state);
        }
        bench.run().await;
        assert_ended(&bench.job(erasure).await, JobState::Completed);
        assert_eq!(bench.job(paused.id).await.state, JobState::Paused, "nobody is erased who is in it");
        assert_eq!(file_code(&bench, behind.id).await, Some(Code::FileErased));
        assert_gone(&place, &bench).await;
    }
}
