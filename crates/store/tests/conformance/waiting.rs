//! How much is to be done.

use crate::harness::{Bench, at, cases, job_id};
use crate::webhooks::{insert, queue};
use muster_core::job::{JobKind, JobState};
use muster_core::webhook::EventType;
use muster_store::{OpenJobs, testing};

cases![jobs_in_the_queue_are_counted_by_kind_and_state, deliveries_are_counted_as_long_as_they_are_pending];

async fn jobs_in_the_queue_are_counted_by_kind_and_state(bench: Bench) {
    let tenant = bench.set_up().await;
    assert_eq!(bench.read().await.count_jobs_by_state().await.expect("they are counted"), []);
    let stranger = bench.community(2).await;
    let mut jobs = Vec::new();
    for (tenant, number) in [(tenant, 1), (tenant, 2), (stranger, 3), (stranger, 4)] {
        jobs.push(bench.submit(tenant, number, None).await);
    }
    bench.claim(jobs[0], "w").await.expect("nobody else has it");
    testing::execute(&bench.store, &format!("UPDATE jobs SET kind = 'import' WHERE id = '{}'", job_id(4))).await;
    let some = |kind, state, jobs, leased, second| OpenJobs { kind, state, jobs, leased, oldest_at: at(second) };
    let (update, import) = (JobKind::Update, JobKind::Import);
    let (queued, running) = (JobState::Queued, JobState::Running);
    let counted = async || bench.read().await.count_jobs_by_state().await.expect("they are counted");
    assert_eq!(
        counted().await,
        [some(import, queued, 1, 0, 4), some(update, queued, 2, 0, 2), some(update, running, 1, 1, 1)]
    );
    bench.expire_leases().await;
    assert_eq!(counted().await[2], some(update, running, 1, 0, 1));
    testing::execute(&bench.store, &format!("DELETE FROM job_queue WHERE job_id = '{}'", job_id(4))).await;
    assert_eq!(counted().await.len(), 2, "what is over is not counted");
}

async fn deliveries_are_counted_as_long_as_they_are_pending(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    for number in 1..=3 {
        queue(&bench, tenant, i64::from(number), &[(1, number)]).await;
    }
    assert_eq!(bench.read().await.count_pending_deliveries().await.expect("they are counted"), 3);
    testing::execute(&bench.store, "DELETE FROM webhook_queue").await;
    assert_eq!(bench.read().await.count_pending_deliveries().await.expect("they are counted"), 0);
}
