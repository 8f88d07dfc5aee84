//! Jobs for whose end the request waits that makes them.

use crate::crash::release;
use crate::harness::{Bench, Place, places};
use muster_core::Code;
use muster_core::job::{JobKind, JobState};
use muster_engine::{
    Batch, Caller, Clock, Engine, EngineError, Fault, Faults, Fingerprint, Limits, NewJob, POINTS, Reserved, Staging,
    Worker,
};
use muster_store::testing;
use std::time::Duration;

const RECORDS: &str = r#"{"email":"ann@x.org","values":{"points":{"op":"add","value":5}}}
{"email":"bob@x.org","values":{"points":1}}
{"email":"nobody","values":{}}
{"email":"cyd@x.org","create":false,"values":{"points":1}}
{"email":"ann@x.org","only_if_empty":["points","notes"],"values":{"points":99,"notes":"new"}}
{"email":"ann@x.org","values":{"notes":"new"}}
"#;

async fn import(bench: &Bench, caller: &Caller) -> Result<Batch, EngineError> {
    let new = NewJob { name: "Sync".to_owned(), ..NewJob::new(JobKind::Import) };
    bench.engine.run_batch(caller, new, RECORDS.lines()).await
}

fn verdicts(batch: &Batch) -> Vec<String> {
    let one = |outcome: &muster_core::outcome::Outcome| {
        let code = outcome.reason.as_ref().map_or("", |reason| reason.error.code.as_str());
        format!("{} {} {code}", outcome.record, outcome.status.as_str()).trim().to_owned()
    };
    batch.outcomes.iter().map(one).collect()
}

/// The caller of a request with an idempotency key and this content.
async fn keyed(bench: &Bench, content: &str) -> Caller {
    let print = Fingerprint::new("POST", "/", Vec::new());
    print.begin_part("");
    print.update(content.as_bytes());
    match bench.engine.reserve(&bench.caller, "key", &print).await.expect("the key is free or bound") {
        Reserved::First(reservation) => Caller { reservation: Some(reservation), ..bench.caller.clone() },
        Reserved::Answered(..) => panic!("nothing was answered"),
    }
}

/// An engine on a place, whose requests do not wait.
async fn impatient(place: &Place, faults: Faults) -> Bench {
    limited(place, faults, Limits { answer_within: Duration::ZERO, ..Limits::default() }).await
}

async fn limited(place: &Place, faults: Faults, limits: Limits) -> Bench {
    let bench = place.set_up().await;
    let staging = Staging::open(place.folder.path()).expect("the folder can be written to");
    let store = testing::open(place.url.as_deref(), place.folder.path());
    Bench { engine: Engine::new(store, staging, Clock::system(), faults, limits), caller: bench.caller }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_staged_one_by_one_and_never_gathered() {
    for place in places().await {
        let limits = Limits { upload_bytes: 10_000, ..Limits::default() };
        let bench = limited(&place, Faults::none(), limits).await;
        let endless = std::iter::repeat(r#"{"email":"ann@x.org"}"#);
        let refused = bench.engine.run_batch(&bench.caller, NewJob::new(JobKind::Import), endless).await;
        assert_eq!(refused.expect_err("they do not end").public().code, Code::FileTooLarge);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_is_answered_in_order_and_the_job_can_be_undone() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import("email,points\nann@x.org,1\n").await;
        let before = bench.users().await;
        let batch = import(&bench, &bench.caller).await.expect("it runs without a worker");
        assert_eq!(
            verdicts(&batch),
            [
                "1 updated",
                "2 created",
                "3 failed invalid_email",
                "4 skipped user_not_found",
                "5 updated",
                "6 unchanged"
            ]
        );
        assert_eq!(batch.outcomes[1].user, Some(bench.id_of("bob@x.org").await));
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("6"), "it held something");
        assert_eq!(bench.value("ann@x.org", "notes").await.as_deref(), Some("new"), "it held nothing");
        let job = bench.job(batch.job.id).await;
        assert_eq!((job.state, job.name.as_str(), job.counts), (JobState::Completed, "Sync", batch.job.counts));
        assert_eq!(bench.results(job.id).await.len(), 6);
        bench.undo(job.id).await;
        assert_eq!(bench.users().await, before);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_when_a_request_with_a_key_has_one_job_that_any_worker_ends() {
    for place in places().await {
        for point in POINTS.iter().filter(|point| !point.starts_with("accept")) {
            let place = Place { folder: tempfile::tempdir().expect("a folder"), url: fresh(&place).await };
            let faults = Faults::none();
            let bench = impatient(&place, faults.clone()).await;
            faults.plan(point, 0, Fault::Crash);
            let refused = import(&bench, &keyed(&bench, RECORDS).await).await.expect_err("nobody waits").public();
            assert_eq!(refused.code, Code::StillRunning, "{point}");
            let id = refused.job_id.expect("it names the job");

            let reborn = bench.reopened(&place, Faults::none());
            // It may not have died yet; then it loses its lease in the middle of its life.
            testing::execute(reborn.engine.store(), "UPDATE jobs SET lease_owner = NULL, lease_expires_at = NULL")
                .await;
            let worker = Worker::new(&reborn.engine).expect("a worker");
            release(&reborn, worker.owner()).await;
            while !reborn.job(id).await.state.is_final() {
                reborn.run().await;
            }
            let again = import(&reborn, &keyed(&reborn, RECORDS).await).await.expect("it is answered now");
            assert_eq!(again.job.id, id, "{point}");
            assert_eq!(verdicts(&again)[0], "1 created", "{point}");
            let other = import(&reborn, &keyed(&reborn, "another").await).await.expect_err("it is another request");
            assert_eq!(other.public().code, Code::IdempotencyKeyReused);
            assert_eq!(reborn.value("ann@x.org", "points").await.as_deref(), Some("5"), "once, at {point}");
            reborn.check().await;
        }
    }
}

async fn fresh(place: &Place) -> Option<String> {
    match place.url {
        None => None,
        Some(_) => testing::database_urls().await.into_iter().flatten().next(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_work_leaves_no_job_and_a_cancelled_one_says_so() {
    for place in places().await {
        let bench = impatient(&place, Faults::none()).await;
        let refused = bench.engine.run_batch(&bench.caller, NewJob::new(JobKind::Update), [""; 0]).await;
        assert_eq!(refused.expect_err("there are no bytes").public().code, Code::EmptyFile);
        let caller = Caller { scopes: Vec::new(), ..bench.caller.clone() };
        assert_eq!(import(&bench, &caller).await.expect_err("it may not").public().code, Code::MissingScope);

        let faults = Faults::none();
        let stalled = std::sync::Arc::new(tokio::sync::Notify::new());
        faults.plan("prepare.claimed", 0, Fault::Stall(stalled.clone()));
        let bench = bench.reopened(&place, faults);
        let (engine, caller) = (bench.engine.clone(), bench.caller.clone());
        let asked = tokio::spawn(async move { import(&Bench { engine, caller: caller.clone() }, &caller).await });
        let id = loop {
            let jobs = bench.engine.list_jobs(&bench.caller, &Default::default(), 1).await.expect("they are listed");
            if let Some(view) = jobs.jobs.first() {
                break view.job.id;
            }
        };
        bench.engine.cancel_job(&bench.caller, id).await.expect("it is cancelled");
        let refused = asked.await.expect("it ends").expect_err("it was cancelled").public();
        assert_eq!((refused.code, refused.job_id), (Code::InvalidState, Some(id)));
        stalled.notify_one();
        bench.run().await;
        assert!(bench.users().await.is_empty());
        bench.check().await;
    }
}
