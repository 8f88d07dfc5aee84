//! Jobs: submitted, listed, asked to stop, and their outcomes.

use crate::harness::{Bench, Source, actor, at, cases, insert_job, job_id};
use muster_core::actor::Actor;
use muster_core::id::Tenant;
use muster_core::job::{Counts, JobKind, JobOptions, JobState, Overdraft, Relation};
use muster_core::{Code, Error};
use muster_store::{EndOfJob, Family, Job, JobFilter, JobRef, NewJob};

cases![
    a_job_is_read_back_as_it_was_submitted,
    an_earlier_job_with_the_same_bytes_and_kind_is_named,
    jobs_are_listed_newest_first_and_narrowed,
    the_log_is_counted_and_given_by_kinds_page_by_page,
    open_jobs_are_counted_until_they_end,
    outcomes_are_read_chunk_by_chunk_until_the_job_ends,
    a_queued_job_is_paused_at_once_and_resumed_to_the_queue,
    a_running_job_is_paused_at_once_and_its_worker_writes_nothing_more,
    a_cancelled_job_is_over_at_once_and_claimed_only_to_be_tidied_up,
    nothing_is_asked_of_a_job_that_is_over_or_not_there,
    jobs_know_the_ones_they_come_from_and_are_listed_by_them,
    the_outcomes_of_the_chunk_before_a_cursor_are_found,
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
    assert!(!job.dry_run && job.family == Family::default() && job.undo_job_id.is_none() && job.affected == 0);
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
        plan: None,
        received: 7,
        at: at(60),
    };
    let mut tx = bench.begin().await;
    let ended = tx.end_job(of, attempt, &end).await.expect("it is decided");
    tx.commit().await.expect("it is committed");
    ended
}

async fn the_log_is_counted_and_given_by_kinds_page_by_page(bench: Bench) {
    let tenant = bench.set_up().await;
    let other = bench.community(2).await;
    let options = JobOptions::default();
    let mut tx = bench.begin().await;
    let jobs =
        [(1, JobKind::Update), (2, JobKind::Import), (3, JobKind::Update), (4, JobKind::Delete), (5, JobKind::Create)];
    for (number, kind) in jobs {
        insert_job(&mut tx, tenant, number, kind, &options, "aa").await;
    }
    insert_job(&mut tx, other, 6, JobKind::Update, &options, "aa").await;
    tx.commit().await.expect("it is committed");
    let mut connection = bench.read().await;
    let mut log = async |kinds: &[JobKind], behind, limit| {
        let total = connection.count_job_log(tenant, kinds).await.expect("they are counted");
        let page: Vec<Job<Source>> =
            connection.list_job_log(tenant, kinds, behind, limit).await.expect("they are read");
        (total, page.iter().map(|job| job.id).collect::<Vec<_>>())
    };
    let both = [JobKind::Update, JobKind::Import];
    assert_eq!(log(&both, 0, 2).await, (3, vec![job_id(3), job_id(2)]));
    assert_eq!(log(&both, 2, 2).await, (3, vec![job_id(1)]));
    assert_eq!(log(&both, u64::MAX, 2).await, (3, vec![]));
    assert_eq!(log(JobKind::ALL, 0, 9).await, (5, [5, 4, 3, 2, 1].map(job_id).to_vec()));
    assert_eq!(log(&[], 0, 9).await, (0, vec![]));
    let ours = connection.count_open_jobs_of(tenant, &actor()).await.expect("they are counted");
    let strangers = connection.count_open_jobs_of(tenant, &Actor::anonymous()).await.expect("they are counted");
    assert_eq!((ours, strangers), (5, 0));
}

async fn open_jobs_are_counted_until_they_end(bench: Bench) {
    let tenant = bench.set_up().await;
    let (first, second) = (bench.submit(tenant, 1, None).await, bench.submit(tenant, 2, None).await);
    assert_eq!(bench.read().await.count_open_jobs(tenant).await.expect("they are counted"), 2);
    let other = bench.community(2).await;
    bench.submit(other, 3, None).await;
    let open = async || {
        let jobs: Vec<Job<Source>> = bench.read().await.list_open_jobs(tenant).await.expect("they are listed");
        jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(open().await, [first.id, second.id], "the oldest first, and those of nobody else");
    for (of, state) in [(first, JobState::Failed), (second, JobState::Completed)] {
        assert!(!end(&bench, of, 0, state).await, "nobody ends a job that nobody claimed");
        let claim = bench.claim(of, "w").await.expect("it is claimed");
        assert!(end(&bench, of, claim.job.attempt, state).await);
        assert!(!end(&bench, of, claim.job.attempt, state).await, "and nobody ends it twice");
    }
    assert_eq!(bench.read().await.count_open_jobs(tenant).await.expect("they are counted"), 0);
    assert!(open().await.is_empty());
    let job = bench.job(first).await;
    assert_eq!((job.state, job.finished_at, job.counts.received), (JobState::Failed, Some(at(60)), 7));
    assert_eq!(job.results.as_deref(), Some("merged"));
    assert_eq!(job.error, Some(Error::new(Code::UnclosedQuote, "a \"quote\"")));
    assert_eq!(bench.claimable().await, [job_id(3)], "that of the other community");
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
        Ask::Cancel => tx.cancel_job(of, at(50)).await,
        Ask::Pause => tx.pause_job(of).await,
        Ask::Resume => tx.resume_job(of).await,
    };
    tx.commit().await.expect("it is committed");
    asked.expect("it is decided")
}

async fn a_queued_job_is_paused_at_once_and_resumed_to_the_queue(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    assert!(ask(&bench, of, Ask::Pause).await);
    assert!(!ask(&bench, of, Ask::Pause).await, "asking again changes nothing");
    assert_eq!(bench.job(of).await.state, JobState::Paused);
    assert!(bench.claimable().await.is_empty());
    assert!(bench.claim(of, "w").await.is_none());
    assert!(ask(&bench, of, Ask::Resume).await);
    assert!(!ask(&bench, of, Ask::Resume).await);
    assert_eq!(bench.job(of).await.state, JobState::Queued);
    assert_eq!(bench.claimable().await, [of.id]);
}

async fn a_running_job_is_paused_at_once_and_its_worker_writes_nothing_more(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let claim = bench.claim(of, "w").await.expect("it is claimed");
    assert!(ask(&bench, of, Ask::Pause).await);
    assert_eq!(bench.job(of).await.state, JobState::Paused);
    let mut tx = bench.begin().await;
    assert!(!tx.heartbeat(of, claim.job.attempt, None).await.expect("it is decided"));
    assert!(!tx.release_job(of, claim.job.attempt).await.expect("it is decided"));
    tx.commit().await.expect("it is committed");
    assert!(!end(&bench, of, claim.job.attempt, JobState::Completed).await);
    assert!(bench.claimable().await.is_empty());
    assert!(ask(&bench, of, Ask::Resume).await);
    assert_eq!(bench.job(of).await.state, JobState::Running, "it had begun");
    let again = bench.claim(of, "v").await.expect("it is claimed");
    assert_eq!((again.job.attempt, again.job.started_at), (3, claim.job.started_at));
}

async fn a_cancelled_job_is_over_at_once_and_claimed_only_to_be_tidied_up(bench: Bench) {
    let tenant = bench.set_up().await;
    let queued = bench.submit(tenant, 1, None).await;
    let (running, paused) = (bench.submit(tenant, 2, None).await, bench.submit(tenant, 3, None).await);
    let stale = bench.claim(running, "w").await.expect("it is claimed").job.attempt;
    assert!(ask(&bench, paused, Ask::Pause).await);
    for of in [queued, running, paused] {
        assert!(ask(&bench, of, Ask::Cancel).await);
        let job = bench.job(of).await;
        assert_eq!((job.state, job.finished_at), (JobState::Cancelled, Some(at(50))));
        assert!(!ask(&bench, of, Ask::Cancel).await && !ask(&bench, of, Ask::Pause).await);
    }
    assert_eq!(bench.read().await.count_open_jobs(tenant).await.expect("they are counted"), 0);
    assert!(!end(&bench, running, stale, JobState::Completed).await, "its worker lost it");
    assert_eq!(bench.claimable().await, [queued.id, running.id, paused.id]);
    for of in [queued, running, paused] {
        let claim = bench.claim(of, "w").await.expect("it is claimed");
        assert_eq!(claim.job.state, JobState::Cancelled);
        assert!(!end(&bench, of, claim.job.attempt, JobState::Completed).await, "it stays cancelled");
        assert!(end(&bench, of, claim.job.attempt, JobState::Cancelled).await);
        let job = bench.job(of).await;
        assert_eq!((job.finished_at, job.results.as_deref()), (Some(at(50)), Some("merged")));
        assert!(bench.claim(of, "w").await.is_none(), "once");
    }
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

async fn jobs_know_the_ones_they_come_from_and_are_listed_by_them(bench: Bench) {
    let tenant = bench.set_up().await;
    let parent = bench.submit(tenant, 1, None).await;
    let actor = actor();
    let options = JobOptions::default();
    let mut tx = bench.begin().await;
    assert!(tx.lock_job(parent).await.expect("it is locked"));
    for (number, relation, undoes, dry_run) in [
        (2, Relation::Undo, Some(parent.id), true),
        (3, Relation::Undo, Some(parent.id), false),
        (4, Relation::Retry, None, false),
    ] {
        let new = NewJob {
            id: job_id(number),
            kind: JobKind::Undo,
            name: "a child",
            options: &options,
            source: &"a source".to_owned(),
            staged: "",
            size_bytes: 0,
            sha256: "",
            dry_run,
            family: Family { parent: Some((parent.id, relation)), undoes },
            actor: &actor,
            submitted_at: at(9),
        };
        let job: Job<Source> = tx.insert_job(tenant, &new).await.expect("it is inserted");
        assert_eq!(
            (job.dry_run, job.family, job.same_file_as),
            (dry_run, new.family, None),
            "no bytes are no same bytes"
        );
    }
    tx.set_undo_job(parent, job_id(3)).await.expect("it is kept");
    tx.commit().await.expect("it is committed");
    assert_eq!(bench.job(parent).await.undo_job_id, Some(job_id(3)));
    let mut read = bench.read().await;
    for (relation, expected) in
        [(Relation::Undo, vec![job_id(3)]), (Relation::Retry, vec![job_id(4)]), (Relation::Apply, vec![])]
    {
        let children: Vec<Job<Source>> = read.list_children(parent, relation).await.expect("they are listed");
        assert_eq!(children.iter().map(|job| job.id).collect::<Vec<_>>(), expected, "{relation}");
    }
}

async fn the_outcomes_of_the_chunk_before_a_cursor_are_found(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let mut tx = bench.begin().await;
    for (cursor, data) in [(0, b"first".as_slice()), (100, b"second")] {
        tx.insert_outcomes(of, cursor, data).await.expect("they are kept");
    }
    tx.commit().await.expect("it is committed");
    let mut read = bench.read().await;
    for (before, expected) in [(0, None), (100, Some(b"first".to_vec())), (200, Some(b"second".to_vec()))] {
        assert_eq!(read.last_outcomes(of, before).await.expect("they are read"), expected);
    }
}
