//! Jobs: submitted, listed, asked to stop, and their outcomes.

use crate::harness::{Bench, Source, actor, at, cases, insert_job, job_id};
use muster_core::id::Tenant;
use muster_core::job::{Counts, JobKind, JobOptions, JobState, Overdraft};
use muster_core::{Code, Error};
use muster_store::{EndOfJob, Job, JobFilter, JobRef};

cases![
    a_job_is_read_back_as_it_was_submitted,
    an_earlier_job_with_the_same_bytes_and_kind_is_named,
    jobs_are_listed_newest_first_and_narrowed,
    open_jobs_are_counted_until_they_end,
    outcomes_are_read_chunk_by_chunk_until_the_job_ends,
    a_queued_job_is_paused_at_once_and_resumed_to_the_queue,
    a_running_job_is_paused_when_its_worker_gives_it_back,
    a_paused_job_that_is_cancelled_can_be_claimed_to_be_ended,
    nothing_is_asked_of_a_job_that_is_over_or_not_there,
    a_job_that_is_to_be_cancelled_is_not_paused,
];

async fn a_job_is_read_back_as_it_was_submitted(bench: Bench) {
    let tenant = bench.set_up().await;
    let options = JobOptions {
        overdraft: Some(Overdraft::Clamp),
        queue: Some("crm".into()),
        mapping: Some([("Å \"x\"".to_owned(), None)].into()),
        ..JobOptions::default()
    };
    let mut tx = bench.begin().await;
    let made = insert_job(&mut tx, tenant, 3, JobKind::Import, &options, "ab").await;
    tx.commit().await.expect("it is committed");
    let of = JobRef { tenant, id: made.id };
    let job = bench.job(of).await;
    assert_eq!(format!("{job:?}"), format!("{made:?}"));
    assert_eq!((job.tenant, job.id, job.number, job.kind), (tenant, job_id(3), 1, JobKind::Import));
    assert_eq!((job.state, job.name.as_str(), &job.options), (JobState::Queued, "a job", &options));
    assert_eq!((job.source.as_str(), job.staged.as_str(), job.size_bytes), ("a source", "jobs/input", 30));
    assert_eq!((job.actor, job.submitted_at, job.started_at, job.finished_at), (actor(), at(3), None, None));
    assert_eq!((job.attempt, job.cursor, job.bytes_done, job.counts), (0, 0, 0, Counts::default()));
    assert!(job.error.is_none() && job.prepared.is_none() && job.results.is_none() && job.same_file_as.is_none());
    assert!(!job.cancel_requested && !job.pause_requested);
    let other: Option<Job<Source>> = bench.read().await.get_job(tenant, job_id(9)).await.expect("it is read");
    assert!(other.is_none());
}

async fn an_earlier_job_with_the_same_bytes_and_kind_is_named(bench: Bench) {
    let tenant = bench.set_up().await;
    let other = bench.community(2).await;
    let options = JobOptions::default();
    let mut tx = bench.begin().await;
    let mut same = Vec::new();
    for (tenant, number, kind, sha256) in [
        (tenant, 1, JobKind::Update, "aa"),
        (tenant, 2, JobKind::Import, "aa"),
        (tenant, 3, JobKind::Update, "bb"),
        (tenant, 4, JobKind::Update, "aa"),
        (tenant, 5, JobKind::Update, "aa"),
        (other, 6, JobKind::Update, "aa"),
    ] {
        same.push(insert_job(&mut tx, tenant, number, kind, &options, sha256).await.same_file_as);
    }
    tx.commit().await.expect("it is committed");
    assert_eq!(same, [None, None, None, Some(job_id(1)), Some(job_id(4)), None], "the latest of them");
}

async fn list(bench: &Bench, tenant: Tenant, filter: &JobFilter, limit: u32) -> Vec<i64> {
    let jobs: Vec<Job<Source>> = bench.read().await.list_jobs(tenant, filter, limit).await.expect("jobs are listed");
    jobs.iter().map(|job| job.number).collect()
}

async fn jobs_are_listed_newest_first_and_narrowed(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut tx = bench.begin().await;
    for (number, kind) in [(4, JobKind::Update), (1, JobKind::Import), (2, JobKind::Update), (3, JobKind::Update)] {
        insert_job(&mut tx, tenant, number, kind, &JobOptions::default(), "aa").await;
    }
    tx.commit().await.expect("it is committed");
    bench.claim(JobRef { tenant, id: job_id(4) }, "w").await.expect("it is claimed");
    let all = JobFilter::default();
    assert_eq!(list(&bench, tenant, &all, 10).await, [4, 3, 2, 1], "in the order of submission, not of clocks");
    assert_eq!(list(&bench, tenant, &all, 3).await, [4, 3, 2]);
    let before = JobFilter { before: Some(2), ..all.clone() };
    assert_eq!(list(&bench, tenant, &before, 3).await, [1]);
    let state = JobFilter { state: Some(JobState::Queued), ..all.clone() };
    assert_eq!(list(&bench, tenant, &state, 10).await, [4, 3, 2]);
    let kind = JobFilter { kind: Some(JobKind::Update), ..state.clone() };
    assert_eq!(list(&bench, tenant, &kind, 10).await, [4, 3]);
    let since = JobFilter { since: Some(at(3)), ..all };
    assert_eq!(list(&bench, tenant, &since, 10).await, [4, 1]);
}

async fn end(bench: &Bench, of: JobRef, attempt: i64, state: JobState) -> bool {
    let error = Error::new(Code::UnclosedQuote, "a \"quote\"");
    let end = EndOfJob {
        state,
        error: (state == JobState::Failed).then_some(&error),
        results: Some("merged"),
        received: 7,
        at: at(60),
    };
    let mut tx = bench.begin().await;
    let ended = tx.end_job(of, attempt, &end).await.expect("it is decided");
    tx.commit().await.expect("it is committed");
    ended
}

async fn open_jobs_are_counted_until_they_end(bench: Bench) {
    let tenant = bench.set_up().await;
    let (first, second) = (bench.submit(tenant, 1, None).await, bench.submit(tenant, 2, None).await);
    assert_eq!(bench.read().await.count_open_jobs(tenant).await.expect("they are counted"), 2);
    for (of, state) in [(first, JobState::Failed), (second, JobState::Completed)] {
        assert!(!end(&bench, of, 0, state).await, "nobody ends a job that nobody claimed");
        let claim = bench.claim(of, "w").await.expect("it is claimed");
        assert!(end(&bench, of, claim.job.attempt, state).await);
        assert!(!end(&bench, of, claim.job.attempt, state).await, "and nobody ends it twice");
    }
    assert_eq!(bench.read().await.count_open_jobs(tenant).await.expect("they are counted"), 0);
    let job = bench.job(first).await;
    assert_eq!((job.state, job.finished_at, job.counts.received), (JobState::Failed, Some(at(60)), 7));
    assert_eq!(job.results.as_deref(), Some("merged"));
    assert_eq!(job.error, Some(Error::new(Code::UnclosedQuote, "a \"quote\"")));
    assert!(bench.claimable().await.is_empty());
}

async fn outcomes_are_read_chunk_by_chunk_until_the_job_ends(bench: Bench) {
    let tenant = bench.set_up().await;
    let (of, other) = (bench.submit(tenant, 1, None).await, bench.submit(tenant, 2, None).await);
    let claim = bench.claim(of, "w").await.expect("it is claimed");
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut tx = bench.begin().await;
    for (cursor, data) in [(500, b"later".as_slice()), (0, &every_byte), (100, b"")] {
        tx.insert_outcomes(of, cursor, data).await.expect("they are kept");
    }
    tx.insert_outcomes(other, 0, b"other").await.expect("they are kept");
    tx.commit().await.expect("it is committed");
    let mut read = bench.read().await;
    let (mut cursor, mut seen) = (0, Vec::new());
    while let Some((at, data)) = read.next_outcomes(of, cursor).await.expect("they are read") {
        cursor = at + 1;
        seen.push((at, data));
    }
    assert_eq!(seen, [(0, every_byte), (100, Vec::new()), (500, b"later".to_vec())]);
    drop(read);
    assert!(end(&bench, of, claim.job.attempt, JobState::Completed).await);
    let mut read = bench.read().await;
    assert_eq!(read.next_outcomes(of, 0).await.expect("they are read"), None);
    assert!(read.next_outcomes(other, 0).await.expect("they are read").is_some());
}

#[derive(Clone, Copy, Debug)]
enum Ask {
    Cancel,
    Pause,
    Resume,
}

async fn ask(bench: &Bench, of: JobRef, what: Ask) -> bool {
    let mut tx = bench.begin().await;
    let asked = match what {
        Ask::Cancel => tx.request_cancel(of).await,
        Ask::Pause => tx.request_pause(of).await,
        Ask::Resume => tx.request_resume(of).await,
    };
    tx.commit().await.expect("it is committed");
    asked.expect("it is decided")
}

async fn a_queued_job_is_paused_at_once_and_resumed_to_the_queue(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    for _ in 0..2 {
        assert!(ask(&bench, of, Ask::Pause).await, "asking again changes nothing");
        assert_eq!(bench.job(of).await.state, JobState::Paused);
    }
    assert!(bench.claimable().await.is_empty());
    assert!(bench.claim(of, "w").await.is_none());
    for _ in 0..2 {
        assert!(ask(&bench, of, Ask::Resume).await);
        let job = bench.job(of).await;
        assert_eq!((job.state, job.pause_requested), (JobState::Queued, false));
    }
    assert_eq!(bench.claimable().await, [of.id]);
}

async fn a_running_job_is_paused_when_its_worker_gives_it_back(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let claim = bench.claim(of, "w").await.expect("it is claimed");
    assert!(ask(&bench, of, Ask::Pause).await);
    assert_eq!(bench.job(of).await.state, JobState::Running, "its worker has it still");
    let mut tx = bench.begin().await;
    let heard = tx.heartbeat(of, claim.job.attempt, None).await.expect("it is heard");
    assert_eq!(heard, Some((false, true)));
    assert!(tx.release_job(of, claim.job.attempt).await.expect("it is given back"));
    tx.commit().await.expect("it is committed");
    assert_eq!(bench.job(of).await.state, JobState::Paused);
    assert!(bench.claimable().await.is_empty());
    assert!(ask(&bench, of, Ask::Resume).await);
    assert_eq!(bench.job(of).await.state, JobState::Running, "it had begun");
    let again = bench.claim(of, "v").await.expect("it is claimed");
    assert_eq!((again.job.attempt, again.job.started_at), (2, claim.job.started_at));
}

async fn a_paused_job_that_is_cancelled_can_be_claimed_to_be_ended(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    assert!(ask(&bench, of, Ask::Pause).await);
    assert!(ask(&bench, of, Ask::Cancel).await);
    let claim = bench.claim(of, "w").await.expect("it is claimed");
    assert!(claim.job.cancel_requested);
    assert!(end(&bench, of, claim.job.attempt, JobState::Cancelled).await);
    assert_eq!(bench.job(of).await.state, JobState::Cancelled);
}

async fn nothing_is_asked_of_a_job_that_is_over_or_not_there(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let claim = bench.claim(of, "w").await.expect("it is claimed");
    assert!(end(&bench, of, claim.job.attempt, JobState::Completed).await);
    let nowhere = JobRef { tenant, id: job_id(9) };
    for what in [Ask::Cancel, Ask::Pause, Ask::Resume] {
        assert!(!ask(&bench, of, what).await, "{what:?}");
        assert!(!ask(&bench, nowhere, what).await, "{what:?}");
    }
    assert_eq!(bench.job(of).await.state, JobState::Completed);
}

async fn a_job_that_is_to_be_cancelled_is_not_paused(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    assert!(ask(&bench, of, Ask::Cancel).await && ask(&bench, of, Ask::Cancel).await);
    assert!(!ask(&bench, of, Ask::Pause).await);
    assert_eq!(bench.claimable().await, [of.id], "a worker gives it its end");
}
