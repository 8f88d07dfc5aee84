//! A worker dies at every named point; another goes on; nobody can tell the difference.

use crate::harness::{Bench, Place, counts, drain, places};
use muster_core::id::JobId;
use muster_core::job::{JobKind, JobState};
use muster_engine::{Fault, Faults, POINTS, Worker};
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::Notify;

/// Three thousand users, and a file that goes through them in another order, some twice, some rows broken.
fn people() -> String {
    let mut text = String::from("email,points,premium_currency\n");
    (0..3_000).for_each(|i| writeln!(text, "user{i}@x.org,{i},100").expect("memory"));
    text
}

fn changes() -> String {
    let mut text = String::from("email,points,points_op,premium_currency,premium_currency_op\n");
    for i in 0..3_500 {
        let user = i * 1_237 % 3_100;
        let (operator, amount) = [("add", 5), ("subtract", 30), ("overwrite", 7)][i % 3];
        writeln!(text, "USER{user}@x.org,1,add,{amount},{operator}").expect("memory");
    }
    text
}

async fn set_up(place: &Place) -> Bench {
    let bench = place.set_up().await;
    bench.import(&people()).await;
    bench
}

/// Everything that must not depend on what died when.
async fn state(bench: &Bench, job: JobId) -> (crate::harness::Flat, [u64; 7], Vec<String>) {
    bench.check().await;
    let found = bench.job(job).await;
    assert_eq!(found.state, JobState::Completed, "{:?}", found.error);
    (bench.users().await, counts(&found), bench.verdicts(job).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_at_any_point_leaves_a_job_that_another_finishes_exactly_once() {
    for place in places().await {
        let calm = set_up(&place).await;
        let job = calm.submit(JobKind::Import, &[], changes().as_bytes()).await.expect("it is accepted");
        calm.run().await;
        let expected = state(&calm, job.id).await;

        for point in POINTS.iter().filter(|point| !point.starts_with("accept")) {
            for passes in 0..3 {
                let place = Place { folder: tempfile::tempdir().expect("a folder"), url: fresh(&place).await };
                let faults = Faults::none();
                let bench = place.set_up_with(faults.clone()).await;
                bench.import(&people()).await;
                let job = bench.submit(JobKind::Import, &[], changes().as_bytes()).await.expect("it is accepted");
                faults.plan(point, passes, Fault::Crash);
                let mut dying = Worker::new(&bench.engine).expect("a worker");
                drain(&mut dying).await;
                release(&bench, dying.owner()).await;
                let reborn = bench.reopened(&place, Faults::none());
                reborn.run().await;
                assert_eq!(state(&reborn, job.id).await, expected, "after dying at {point}, pass {passes}");
                drop(dying);
            }
        }
    }
}

async fn fresh(place: &Place) -> Option<String> {
    match place.url {
        None => None,
        Some(_) => muster_store::testing::database_urls().await.into_iter().flatten().next(),
    }
}

/// Lets a worker's leases expire.
pub(crate) async fn release(bench: &Bench, owner: &str) {
    let mut tx = bench.engine.store().begin().await.expect("the database answers");
    tx.release_leases(owner).await.expect("they can be released");
    tx.commit().await.expect("it can be committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_that_dies_leaves_nothing_or_a_job_that_runs() {
    for place in places().await {
        let faults = Faults::none();
        let bench = place.set_up_with(faults.clone()).await;
        faults.plan("accept.staged", 0, Fault::Crash);
        assert!(bench.submit(JobKind::Import, &[], people().as_bytes()).await.is_err());
        let all = muster_engine::JobFilter::default();
        let jobs = || bench.engine.list_jobs(&bench.caller, &all, 10);
        assert!(jobs().await.expect("jobs can be listed").jobs.is_empty());
        bench.engine.sweep().await.expect("it can be swept");
        assert_eq!(std::fs::read_dir(place.folder.path().join("jobs/1")).expect("it is there").count(), 0);

        faults.plan("accept.inserted", 0, Fault::Crash);
        assert!(bench.submit(JobKind::Import, &[], people().as_bytes()).await.is_err());
        bench.run().await;
        let job = &jobs().await.expect("jobs can be listed").jobs[0].job;
        assert_eq!(counts(job)[..2], [3_000, 3_000], "accepted is durable, even if nobody could be told");
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stalls_past_its_lease_and_wakes_up_writes_nothing() {
    for point in ["prepare.sorted", "apply.planned", "finish.merged"] {
        for place in places().await {
            let faults = Faults::none();
            let bench = place.set_up_with(faults.clone()).await;
            bench.import(&people()).await;
            let job = bench.submit(JobKind::Import, &[], changes().as_bytes()).await.expect("it is accepted");
            let wake = Arc::new(Notify::new());
            faults.plan(point, 0, Fault::Stall(wake.clone()));
            let mut stalling = Worker::new(&bench.engine).expect("a worker");
            let owner = stalling.owner().to_owned();
            let stalled = tokio::spawn(async move { drain(&mut stalling).await });
            while bench.engine.is_passing(point) {
                tokio::task::yield_now().await;
            }
            release(&bench, &owner).await;
            bench.run().await;
            let expected = state(&bench, job.id).await;
            wake.notify_one();
            let steps = stalled.await.expect("it does not panic");
            assert!(matches!(steps.last(), Some((_, muster_engine::Step::Lost))), "{point}: {steps:?}");
            assert_eq!(state(&bench, job.id).await, expected, "{point}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_every_worker_is_given_up() {
    for place in places().await {
        let faults = Faults::none();
        let bench = place.set_up_with(faults.clone()).await;
        let job = bench.submit(JobKind::Import, &[], people().as_bytes()).await.expect("it is accepted");
        for _ in 0..5 {
            faults.plan("prepare.claimed", 0, Fault::Crash);
            let mut dying = Worker::new(&bench.engine).expect("a worker");
            drain(&mut dying).await;
            release(&bench, dying.owner()).await;
        }
        bench.run().await;
        let job = bench.job(job.id).await;
        assert_eq!(job.state, JobState::Failed);
        assert_eq!(job.error.expect("it says why").code, muster_core::Code::WorkerCrashed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_while_staging_is_said_and_nothing_is_half_accepted() {
    for place in places().await {
        let faults = Faults::none();
        let bench = place.set_up_with(faults.clone()).await;
        faults.plan("accept.writing", 3, Fault::DiskFull);
        let refused = bench.submit(JobKind::Import, &[], people().as_bytes()).await.expect_err("there is no room");
        assert_eq!(refused.public().code, muster_core::Code::StorageFull);
        assert_eq!(refused.public().code.status(), 507);
        assert_eq!(bench.engine.staging().count_incoming().expect("it can be read"), 0);
        let page = bench.engine.list_jobs(&bench.caller, &Default::default(), 10).await.expect("jobs can be listed");
        assert!(page.jobs.is_empty());
        bench.import(&people()).await;
        bench.check().await;
    }
}
