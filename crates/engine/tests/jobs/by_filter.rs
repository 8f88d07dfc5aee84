//! Changes of all users that a filter matches.

use crate::harness::{Bench, assert_ended, counts, drain, places};
use muster_core::Code;
use muster_core::job::{JobKind, JobState};
use muster_engine::{EngineError, Fault, Faults, Job, NewJob, Step, Tick, Worker};

const PEOPLE: &str = "Email,City,Points\nann@x.org,Rome,10\nbob@x.org,Oslo,5\ncy@x.org,Rome,\ndora@x.org,rome,1\n";

async fn submit(bench: &Bench, command: &str) -> Result<Job, EngineError> {
    bench.engine.submit_command(&bench.caller, NewJob::new(JobKind::Update), command.as_bytes()).await
}

async fn apply(bench: &Bench, command: &str) -> Job {
    let job = submit(bench, command).await.unwrap_or_else(|error| panic!("{}", error.public().detail));
    bench.run().await;
    bench.job(job.id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_matches_is_changed_and_can_be_taken_back() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let before = bench.users().await;
        let command = r#"{"where":{"city":"Rome"},"set":{"points":{"op":"add","value":7},"notes":"hi"},"options":{"name":"June"}}"#;
        let job = apply(&bench, command).await;
        assert_ended(&job, JobState::Completed);
        assert_eq!((job.name.as_str(), counts(&job)), ("June", [2, 0, 2, 0, 0, 0, 0]));
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("17"));
        assert_eq!(bench.value("cy@x.org", "points").await.as_deref(), Some("7"));
        assert_eq!(bench.value("dora@x.org", "points").await.as_deref(), Some("1"));
        let rows = bench.results(job.id).await;
        let ann = bench.id_of("ann@x.org").await.to_string();
        assert_eq!(rows[0], [ann.as_str(), "7", "add", "hi", "", "1", "updated", "", "", "", ann.as_str()]);

        let undo = bench.undo(job.id).await;
        assert_eq!(counts(&undo), [2, 0, 2, 0, 0, 0, 0]);
        assert_eq!(bench.users().await, before);
        let gone = apply(&bench, r#"{"kind":"delete","where":{"points":{"is_set":false}}}"#).await;
        assert_eq!(counts(&gone), [1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(bench.users().await.len(), 3);
        let nobody = apply(&bench, r#"{"where":{"city":"Paris"},"set":{"points":1}}"#).await;
        assert_eq!((nobody.state, counts(&nobody)), (JobState::Completed, [0; 7]));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_no_longer_matches_is_left_alone_and_who_matches_only_later_is_not_meant() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let job = submit(&bench, r#"{"where":{"city":"Rome"},"set":{"notes":"x"}}"#).await.expect("it is accepted");
        let mut worker = Worker::new(&bench.engine).expect("a worker can be made");
        while !matches!(worker.tick().await.expect("the database answers"), Tick::Stepped(_, Step::Prepared)) {}
        bench.edit("ann@x.org", "city", "\"Oslo\"").await;
        bench.edit("bob@x.org", "city", "\"Rome\"").await;
        let cy = bench.id_of("cy@x.org").await;
        bench.engine.delete_user(&bench.caller, cy, None).await.expect("it is deleted");
        drain(&mut worker).await;
        assert_eq!(bench.verdicts(job.id).await, ["skipped no_longer_matches", "skipped no_longer_matches"]);
        assert_eq!(bench.value("bob@x.org", "notes").await, None);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_planned_applied_retried_and_finished_by_another_worker_like_any_job() {
    let people: String = (0..3_000).map(|i| format!("user{i:04}@x.org,{}\n", i % 2)).collect();
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(&format!("email,points\n{people}")).await;
        let command = r#"{"where":{"points":1},"set":{"premium_currency":{"op":"subtract","value":"1"}},"options":{"dry_run":true,"overdraft":"allow"}}"#;
        let plan = apply(&bench, command).await;
        assert_eq!((plan.state, counts(&plan)), (JobState::Planned, [1_500, 0, 1_500, 0, 0, 0, 0]));
        bench.edit("user0001@x.org", "points", "2").await;
        let applied = bench.finish(bench.engine.apply_job(&bench.caller, plan.id).await).await;
        assert_eq!(counts(&applied), [1_500, 0, 1_499, 0, 0, 1, 0]);
        assert_eq!(bench.verdicts(applied.id).await[0], "failed changed_since_plan");

        let faults = Faults::none();
        faults.plan("apply.committed", 0, Fault::Crash);
        let first = bench.reopened(&place, faults);
        let command = r#"{"where":{"all":true},"set":{"premium_currency":{"op":"subtract","value":"1"}}}"#;
        let job = submit(&first, command).await.expect("it is accepted");
        let mut worker = Worker::new(&first.engine).expect("a worker can be made");
        drain(&mut worker).await;
        crate::crash::release(&first, worker.owner()).await;
        bench.run().await;
        let job = bench.job(job.id).await;
        assert_eq!(counts(&job), [3_000, 0, 0, 0, 0, 3_000, 0], "nobody may overdraw");
        bench.update(&format!("email,premium_currency\n{}", "user0007@x.org,5\n")).await;
        let retry = bench.finish(bench.engine.retry_job(&bench.caller, job.id).await).await;
        assert_eq!(counts(&retry), [3_000, 0, 1, 0, 0, 2_999, 0]);
        assert_eq!(bench.value("user0007@x.org", "premium_currency").await.as_deref(), Some("4"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_work_is_refused_at_once() {
    for place in places().await {
        let bench = place.set_up().await;
        for (command, code) in [
            (r#"{"where":{},"set":{"points":1}}"#, Code::InvalidFilter),
            (r#"{"where":{"nothing":1},"set":{"points":1}}"#, Code::UnknownField),
            (r#"{"where":{"all":true},"set":{"points":"x"}}"#, Code::InvalidNumber),
            (r#"{"where":{"all":true},"set":{"points":1},"options":{"colour":1}}"#, Code::InvalidOption),
            (r#"{"where":{"all":true}"#, Code::InvalidRequest),
        ] {
            let refused = submit(&bench, command).await.expect_err("it is refused").public();
            assert_eq!(refused.code, code, "{command}: {}", refused.detail);
        }
        let mut options = NewJob::new(JobKind::Update);
        options.options.set("on_duplicate", "first").expect("it is an option");
        let command = br#"{"where":{"all":true},"set":{"points":1}}"#;
        let refused = bench.engine.submit_command(&bench.caller, options, command).await;
        assert_eq!(refused.expect_err("options stand in it").public().code, Code::InvalidOption);
    }
}
