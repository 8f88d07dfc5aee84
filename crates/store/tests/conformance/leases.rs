//! Leases: who may work on a job, and that nobody else writes.

use crate::harness::{Bench, Source, at, cases, claim, insert_job, job_id};
use muster_core::job::{Counts, JobKind, JobOptions, JobState};
use muster_store::{EndOfJob, JobRef, Prepared, Progress, testing};

cases![
    a_job_is_claimed_once_however_many_try_at_the_same_time,
    an_expired_lease_is_claimed_again_by_the_next_attempt,
    a_heartbeat_extends_the_lease_and_says_how_far_reading_is,
    a_stale_attempt_writes_nothing,
    what_was_prepared_is_pinned_once,
    a_chunk_moves_the_cursor_only_from_where_it_begins,
    claims_without_progress_are_counted_until_there_is_some,
    jobs_are_claimable_oldest_first_and_by_size,
    jobs_of_one_queue_wait_for_those_before_them,
    looking_for_work_passes_over_jobs_that_ended,
    the_leases_of_an_owner_who_is_gone_are_released,
];

fn prepared() -> Prepared {
    Prepared {
        rows: "rows".into(),
        rows_bytes: 100,
        rows_checksum: "cd".into(),
        outcomes: "outcomes".into(),
        listing: None,
        fields: String::new(),
    }
}

fn counts() -> Counts {
    Counts { received: 10, created: 1, updated: 2, unchanged: 3, skipped: 1, failed: 2 }
}

fn progress(from: u64, to: u64) -> Progress {
    Progress { from, to, counts: counts(), affected: 3 }
}

async fn a_job_is_claimed_once_however_many_try_at_the_same_time(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let mut tasks = Vec::new();
    for i in 0..8 {
        let store = bench.again();
        tasks.push(tokio::spawn(async move { claim(&store, of, &format!("w{i}")).await }));
    }
    let mut claims = Vec::new();
    for task in tasks {
        claims.extend(task.await.expect("it does not panic"));
    }
    assert_eq!(claims.len(), 1);
    assert_eq!((claims[0].job.attempt, claims[0].job.state), (1, JobState::Running));
    assert_eq!(claims[0].job.started_at, Some(at(5)));
    assert!(bench.claimable().await.is_empty());
}

async fn an_expired_lease_is_claimed_again_by_the_next_attempt(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    assert!(bench.claim(of, "first").await.is_some());
    assert!(bench.claim(of, "second").await.is_none());
    bench.expire_leases().await;
    assert_eq!(bench.claimable().await, [of.id]);
    let again = bench.claim(of, "second").await.expect("it is claimed");
    assert_eq!((again.job.attempt, again.fruitless_attempts), (2, 2));
    let owners = bench.read().await.list_lease_owners().await.expect("they are listed");
    assert_eq!(owners, ["second"]);
}

async fn a_heartbeat_extends_the_lease_and_says_how_far_reading_is(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let attempt = bench.claim(of, "w").await.expect("it is claimed").job.attempt;
    bench.expire_leases().await;
    let mut tx = bench.begin().await;
    let heard = tx.heartbeat(of, attempt, Some((50, 4))).await.expect("it is heard");
    assert!(heard);
    tx.heartbeat(of, attempt, None).await.expect("it is heard");
    tx.commit().await.expect("it is committed");
    assert!(bench.claimable().await.is_empty(), "it lives again, nobody else was faster");
    let job = bench.job(of).await;
    assert_eq!((job.bytes_done, job.counts.received), (50, 4), "and a beat that says nothing keeps it");
}

async fn a_stale_attempt_writes_nothing(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let stale = bench.claim(of, "first").await.expect("it is claimed").job.attempt;
    bench.expire_leases().await;
    let fresh = bench.claim(of, "second").await.expect("it is claimed").job.attempt;
    let before = format!("{:?}", bench.job(of).await);
    let end = EndOfJob { state: JobState::Completed, error: None, results: None, plan: None, received: 0, at: at(9) };
    let mut tx = bench.begin().await;
    assert!(!tx.heartbeat(of, stale, Some((1, 1))).await.expect("it is decided"));
    assert!(!tx.pin_prepared(of, stale, &prepared(), 1, &counts()).await.expect("it is decided"));
    assert!(!tx.advance_job(of, stale, &progress(0, 10)).await.expect("it is decided"));
    assert!(!tx.release_job(of, stale).await.expect("it is decided"));
    assert!(!tx.end_job(of, stale, &end).await.expect("it is decided"));
    tx.commit().await.expect("it is committed");
    assert_eq!(format!("{:?}", bench.job(of).await), before);
    assert!(bench.claimable().await.is_empty());
    let mut tx = bench.begin().await;
    assert!(tx.end_job(of, fresh, &end).await.expect("it is decided"));
    assert!(!tx.heartbeat(of, fresh, None).await.expect("it is decided"), "it is over");
    tx.commit().await.expect("it is committed");
}

async fn what_was_prepared_is_pinned_once(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let attempt = bench.claim(of, "w").await.expect("it is claimed").job.attempt;
    let mut tx = bench.begin().await;
    assert!(tx.pin_prepared(of, attempt, &prepared(), 77, &counts()).await.expect("it is pinned"));
    let other = Prepared { rows: "other".into(), ..prepared() };
    assert!(!tx.pin_prepared(of, attempt, &other, 78, &counts()).await.expect("it is decided"));
    tx.commit().await.expect("it is committed");
    let job = bench.job(of).await;
    assert_eq!((job.prepared, job.bytes_done), (Some(prepared()), 77));
    let decided = Counts { received: 10, skipped: 1, failed: 2, ..Counts::default() };
    assert_eq!(job.counts, decided, "preparing applies nothing");
}

async fn a_chunk_moves_the_cursor_only_from_where_it_begins(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let attempt = bench.claim(of, "w").await.expect("it is claimed").job.attempt;
    for (from, to, moves) in [(0, 40, true), (0, 40, false), (41, 90, false), (40, 90, true)] {
        let mut tx = bench.begin().await;
        let moved = tx.advance_job(of, attempt, &progress(from, to)).await.expect("it is decided");
        assert_eq!(moved, moves, "{from} to {to}");
        tx.commit().await.expect("it is committed");
    }
    let job = bench.job(of).await;
    let twice = Counts { received: 0, created: 2, updated: 4, unchanged: 6, skipped: 2, failed: 4 };
    assert_eq!((job.cursor, job.counts, job.affected), (90, twice, 6));
}

async fn claims_without_progress_are_counted_until_there_is_some(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let mut attempt = 0;
    for fruitless in 1..=3 {
        let claim = bench.claim(of, "w").await.expect("it is claimed");
        assert_eq!(claim.fruitless_attempts, fruitless);
        attempt = claim.job.attempt;
        bench.expire_leases().await;
    }
    let mut tx = bench.begin().await;
    assert!(tx.advance_job(of, attempt, &progress(0, 1)).await.expect("it is decided"));
    tx.commit().await.expect("it is committed");
    bench.expire_leases().await;
    let claim = bench.claim(of, "w").await.expect("it is claimed");
    assert_eq!((claim.fruitless_attempts, claim.job.attempt), (1, 4));
    let mut tx = bench.begin().await;
    assert!(tx.release_job(of, 4).await.expect("it is given back"));
    tx.commit().await.expect("it is committed");
    assert_eq!(bench.claim(of, "w").await.expect("it is claimed").fruitless_attempts, 1);
}

async fn jobs_are_claimable_oldest_first_and_by_size(bench: Bench) {
    let first = bench.set_up().await;
    let second = bench.community(2).await;
    let mut tx = bench.begin().await;
    for (tenant, number) in [(first, 3), (second, 1), (first, 2)] {
        insert_job(&mut tx, tenant, number, JobKind::Update, &JobOptions::default(), "ab").await;
    }
    tx.commit().await.expect("it is committed");
    assert_eq!(bench.claimable().await, [job_id(1), job_id(2), job_id(3)], "of all communities");
    let mut read = bench.read().await;
    let small = read.list_claimable(20, 10).await.expect("the queue is read");
    let ids: Vec<_> = small.iter().map(|of| (of.tenant, of.id)).collect();
    assert_eq!(ids, [(second, job_id(1)), (first, job_id(2))]);
    assert_eq!(read.list_claimable(u64::MAX, 1).await.expect("the queue is read").len(), 1);
}

async fn jobs_of_one_queue_wait_for_those_before_them(bench: Bench) {
    let tenant = bench.set_up().await;
    let other = bench.community(2).await;
    let mut refs: Vec<JobRef> = Vec::new();
    for (number, queue) in [(1, Some("a")), (2, Some("a")), (3, Some("b")), (4, None)] {
        refs.push(bench.submit(tenant, number, queue).await);
    }
    let elsewhere = bench.submit(other, 5, Some("a")).await;
    let free = [refs[0].id, refs[2].id, refs[3].id, elsewhere.id];
    assert_eq!(bench.claimable().await, free, "a queue belongs to a community");
    bench.claim(refs[0], "w").await.expect("it is claimed");
    assert_eq!(bench.claimable().await, free[1..], "the second waits while the first runs");
    let mut tx = bench.begin().await;
    assert!(tx.pause_job(refs[0]).await.expect("it is paused"));
    tx.commit().await.expect("it is committed");
    assert_eq!(bench.claimable().await, free[1..], "and while it is paused");
    let mut tx = bench.begin().await;
    assert!(tx.cancel_job(refs[0], at(9)).await.expect("it is cancelled"));
    tx.commit().await.expect("it is committed");
    let free = [refs[0].id, refs[1].id, refs[2].id, refs[3].id, elsewhere.id];
    assert_eq!(bench.claimable().await, free, "the first to be tidied up");
    let mut tx = bench.begin().await;
    assert!(tx.pause_job(refs[1]).await.expect("it is paused"));
    tx.commit().await.expect("it is committed");
    let behind = bench.submit(tenant, 6, Some("a")).await;
    assert!(!bench.claimable().await.contains(&behind.id));
    let mut tx = bench.begin().await;
    assert!(tx.cancel_job(behind, at(9)).await.expect("it is cancelled"));
    tx.commit().await.expect("it is committed");
    assert!(bench.claimable().await.contains(&behind.id), "what is to be tidied up waits for nobody");
}

async fn looking_for_work_passes_over_jobs_that_ended(bench: Bench) {
    bench.set_up().await;
    let plans = testing::job_plans(&bench.store).await;
    assert!(plans[0].contains("open_jobs_by_queue"), "{}", plans[0]);
    for plan in plans {
        let words: Vec<&str> = plan.split_whitespace().collect();
        let scans = words.windows(2).any(|two| two[0] == "SCAN" && ["j", "e", "jobs"].contains(&two[1]));
        assert!(!scans && !plan.contains("Seq Scan on jobs"), "{plan}");
    }
}

async fn the_leases_of_an_owner_who_is_gone_are_released(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut refs = Vec::new();
    for (number, owner) in [(1, "gone"), (2, "here"), (3, "gone")] {
        let of = bench.submit(tenant, number, None).await;
        assert!(bench.claim(of, owner).await.is_some());
        refs.push(of);
    }
    let mut owners = bench.read().await.list_lease_owners().await.expect("they are listed");
    owners.sort();
    assert_eq!(owners, ["gone", "here"]);
    let mut tx = bench.begin().await;
    assert_eq!(tx.release_leases("gone").await.expect("they are released"), 2);
    assert_eq!(tx.release_leases("nobody").await.expect("they are released"), 0);
    tx.commit().await.expect("it is committed");
    assert_eq!(bench.claimable().await, [refs[0].id, refs[2].id]);
    let claim: muster_store::Claim<Source> = bench.claim(refs[0], "next").await.expect("it is claimed");
    assert_eq!(claim.job.attempt, 2);
}
