//! Several at once: jobs on the same users, edits between load and commit, small jobs beside large ones.

use crate::harness::{Bench, counts, drain, places};
use muster_core::job::{JobKind, JobState};
use muster_engine::{Fault, Faults, Step, Tick, Worker};
use muster_store::Connection;
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::Notify;

pub fn people(count: usize) -> String {
    let mut text = String::from("email,points\n");
    (0..count).for_each(|i| writeln!(text, "user{i}@x.org,0").expect("memory"));
    text
}

pub fn additions(count: usize) -> String {
    let mut text = String::from("email,points,points_op\n");
    (0..count).for_each(|i| writeln!(text, "user{i}@x.org,1,add").expect("memory"));
    text
}

/// Lets a job plan its first chunk, does something, and lets it go on.
pub async fn between_plan_and_commit(
    bench: &Bench,
    faults: &Faults,
    text: &str,
    act: impl AsyncFnOnce(&Bench),
) -> muster_engine::Job {
    let job = bench.submit(JobKind::Import, &[], text.as_bytes()).await.expect("it is accepted");
    let wake = Arc::new(Notify::new());
    faults.plan("apply.planned", 0, Fault::Stall(wake.clone()));
    let mut worker = Worker::new(&bench.engine).expect("a worker");
    let run = tokio::spawn(async move { drain(&mut worker).await });
    while bench.engine.is_passing("apply.planned") {
        tokio::task::yield_now().await;
    }
    act(bench).await;
    wake.notify_one();
    run.await.expect("it does not panic");
    bench.job(job.id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_between_load_and_commit_is_not_lost() {
    for place in places().await {
        let faults = Faults::none();
        let bench = place.set_up_with(faults.clone()).await;
        bench.import(&people(10)).await;
        let job = between_plan_and_commit(&bench, &faults, &additions(10), async |bench| {
            bench.edit("user3@x.org", "points", r#"{"op":"add","value":100}"#).await;
            bench.edit("user3@x.org", "city", r#""Rome""#).await;
        })
        .await;
        assert_eq!(counts(&job)[2], 10);
        assert_eq!(bench.value("user3@x.org", "points").await.as_deref(), Some("101"));
        assert_eq!(bench.value("user3@x.org", "city").await.as_deref(), Some("Rome"));
        bench.check().await;
    }
}

/// As many connections as there are, but for so many.
async fn take_all_but(bench: &Bench, left: usize) -> Vec<Connection> {
    let all = if bench.engine.store().dialect().single_writer() { 6 } else { 16 };
    let mut taken = Vec::new();
    for _ in left..all {
        taken.push(bench.engine.store().read().await.expect("the database answers"));
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_planned_again_needs_no_connection_beside_that_of_its_transaction() {
    for place in places().await {
        let faults = Faults::none();
        let bench = place.set_up_with(faults.clone()).await;
        bench.import(&people(10)).await;
        let wake = Arc::new(Notify::new());
        let mut waiter = None;
        let job = between_plan_and_commit(&bench, &faults, &additions(10), async |bench| {
            bench.edit("user3@x.org", "points", r#"{"op":"add","value":100}"#).await;
            let writer = usize::from(!bench.engine.store().dialect().single_writer());
            let taken = take_all_but(bench, writer).await;
            faults.plan("apply.committed", 0, Fault::Stall(wake.clone()));
            let engine = bench.engine.clone();
            let wake = wake.clone();
            waiter = Some(tokio::spawn(async move {
                while engine.is_passing("apply.committed") {
                    tokio::task::yield_now().await;
                }
                drop(taken);
                wake.notify_one();
            }));
        })
        .await;
        waiter.expect("it was begun").await.expect("it does not panic");
        assert_eq!(counts(&job)[2], 10);
        assert_eq!(bench.value("user3@x.org", "points").await.as_deref(), Some("101"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_rows_are_checked_once_however_often_a_chunk_is_planned_again() {
    for place in places().await {
        let faults = Faults::none();
        let bench = place.set_up_with(faults.clone()).await;
        bench.import(&people(1_500)).await;
        let abort = [("on_error", "abort")];
        let job = bench.submit(JobKind::Update, &abort, additions(1_500).as_bytes()).await.expect("it is accepted");
        let wake = Arc::new(Notify::new());
        faults.plan("apply.planned", 1, Fault::Stall(wake.clone()));
        let mut worker = Worker::new(&bench.engine).expect("a worker");
        let run = tokio::spawn(async move { drain(&mut worker).await });
        while bench.engine.is_passing("apply.planned") {
            tokio::task::yield_now().await;
        }
        // Now the second chunk ends at another row; and the first one cannot be read again.
        let last = bench.id_of("user998@x.org").await;
        bench.engine.delete_user(&bench.caller, last, None).await.expect("it is deleted");
        let rows = place.folder.path().join(format!("jobs/1/{}/rows-1", job.id));
        let mut bytes = std::fs::read(&rows).expect("it is there");
        bytes[20] ^= 1;
        std::fs::write(&rows, bytes).expect("it is changed");
        wake.notify_one();
        run.await.expect("it does not panic");
        let job = bench.job(job.id).await;
        assert_eq!(job.state, JobState::Failed);
        assert_eq!(counts(&job)[2..], [1_496, 0, 0, 1, 3]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_deleted_or_renamed_between_prepare_and_apply_is_not_changed_by_mistake() {
    for place in places().await {
        let faults = Faults::none();
        let bench = place.set_up_with(faults.clone()).await;
        bench.import(&people(4)).await;
        let (one, two) = (bench.id_of("user1@x.org").await, bench.id_of("user2@x.org").await);
        let job = between_plan_and_commit(&bench, &faults, &additions(4), async |bench| {
            bench.engine.delete_user(&bench.caller, one, None).await.expect("it is deleted");
            let email = muster_core::Patch::Set("renamed@x.org".to_owned());
            let edit = muster_engine::UserEdit { email, ..Default::default() };
            bench.engine.edit_user(&bench.caller, two, &edit).await.expect("it is renamed");
        })
        .await;
        assert_eq!(counts(&job), [4, 2, 2, 0, 0, 0, 0], "import makes who is not there any more");
        assert_eq!(bench.value("renamed@x.org", "points").await.as_deref(), Some("0"));
        assert_ne!(bench.id_of("user1@x.org").await, one);
        assert_ne!(bench.id_of("user2@x.org").await, two);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_imports_of_the_same_new_emails_make_each_user_once() {
    for place in places().await {
        let bench = place.set_up().await;
        let mut workers = Vec::new();
        for _ in 0..2 {
            bench.submit(JobKind::Import, &[], additions(3_000).as_bytes()).await.expect("it is accepted");
        }
        for _ in 0..2 {
            let engine = bench.reopened(&place, Faults::none()).engine;
            let mut worker = Worker::new(&engine).expect("a worker");
            workers.push(tokio::spawn(async move {
                while matches!(worker.tick().await.expect("the database answers"), Tick::Claimed(_)) {}
                drain(&mut worker).await;
            }));
        }
        for worker in workers {
            worker.await.expect("it does not panic");
        }
        let users = bench.users().await;
        assert_eq!(users.len(), 3_000);
        assert!(users.values().all(|values| values["points"] == "2"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_single_edits_on_the_same_users_lose_no_update() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(&people(2_000)).await;
        for _ in 0..3 {
            bench.submit(JobKind::Update, &[], additions(2_000).as_bytes()).await.expect("it is accepted");
        }
        let mut tasks = Vec::new();
        for _ in 0..3 {
            let bench = bench.reopened(&place, Faults::none());
            tasks.push(tokio::spawn(async move { bench.run().await }));
        }
        for i in 0..20 {
            bench.edit(&format!("user{}@x.org", i * 90), "points", r#"{"op":"add","value":1000}"#).await;
        }
        for task in tasks {
            task.await.expect("it does not panic");
        }
        bench.run().await;
        let users = bench.users().await;
        let sum: i64 = users.values().map(|values| values["points"].parse::<i64>().expect("a number")).sum();
        assert_eq!(sum, 3 * 2_000 + 20 * 1_000);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_job_ends_while_a_large_one_runs() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(&people(20_000)).await;
        let large = bench.submit(JobKind::Update, &[], additions(20_000).as_bytes()).await.expect("it is accepted");
        let mut worker = Worker::new(&bench.engine).expect("a worker");
        loop {
            match worker.tick().await.expect("the database answers") {
                Tick::Stepped(_, Step::Applied(_)) => break,
                Tick::Idle => panic!("the large job is over"),
                Tick::Claimed(_) | Tick::Stepped(..) | Tick::Broke(..) => {}
            }
        }
        let small = bench.submit(JobKind::Update, &[], additions(10).as_bytes()).await.expect("it is accepted");
        for _ in 0..8 {
            worker.tick().await.expect("the database answers");
        }
        assert_eq!(bench.job(small.id).await.state, JobState::Completed);
        assert_eq!(bench.job(large.id).await.state, JobState::Running);
        drain(&mut worker).await;
        assert_eq!(bench.job(large.id).await.state, JobState::Completed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_one_queue_run_strictly_in_order() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(&people(1)).await;
        for points in 1..=5 {
            let text = format!("email,points\nuser0@x.org,{points}\n");
            bench.submit(JobKind::Update, &[("queue", "crm")], text.as_bytes()).await.expect("it is accepted");
        }
        let mut worker = Worker::new(&bench.engine).expect("a worker");
        assert!(matches!(worker.tick().await, Ok(Tick::Claimed(_))));
        assert!(matches!(worker.tick().await, Ok(Tick::Stepped(..))), "the second waits for the first");
        drain(&mut worker).await;
        assert_eq!(bench.value("user0@x.org", "points").await.as_deref(), Some("5"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_paused_resumed_and_cancelled_between_chunks() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(&people(5_000)).await;
        let job = bench.submit(JobKind::Update, &[], additions(5_000).as_bytes()).await.expect("it is accepted");
        let mut worker = Worker::new(&bench.engine).expect("a worker");
        while !matches!(worker.tick().await, Ok(Tick::Stepped(_, Step::Applied(_)))) {}
        bench.engine.pause_job(&bench.caller, job.id).await.expect("it can pause");
        drain(&mut worker).await;
        let paused = bench.job(job.id).await;
        assert_eq!(paused.state, JobState::Paused);
        assert!(paused.counts.unprocessed() > 0 && paused.counts.updated > 0);
        bench.check().await;

        bench.engine.resume_job(&bench.caller, job.id).await.expect("it can go on");
        while !matches!(worker.tick().await, Ok(Tick::Stepped(_, Step::Applied(_)))) {}
        bench.engine.cancel_job(&bench.caller, job.id).await.expect("it can be cancelled");
        drain(&mut worker).await;
        let cancelled = bench.job(job.id).await;
        assert_eq!(cancelled.state, JobState::Cancelled);
        let verdicts = bench.verdicts(job.id).await;
        let unprocessed = verdicts.iter().filter(|verdict| *verdict == "unprocessed").count() as u64;
        assert_eq!((verdicts.len(), unprocessed), (5_000, cancelled.counts.unprocessed()));
        let sum: i64 =
            bench.users().await.values().map(|values| values["points"].parse::<i64>().expect("a number")).sum();
        assert_eq!(sum as u64, cancelled.counts.updated);
        bench.check().await;
    }
}
