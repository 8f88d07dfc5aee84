//! Watching a job as it goes on.

use crate::harness::{drain, places};
use muster_core::Code;
use muster_core::job::{JobKind, JobState};
use muster_engine::{Fault, Faults, Worker};
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::Notify;

fn people(count: usize) -> String {
    let mut text = String::from("email,points\n");
    (0..count).for_each(|i| writeln!(text, "user{i}@x.org,0").expect("memory"));
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_sees_the_job_move_and_end_and_one_task_looks_for_all() {
    for place in places().await {
        let faults = Faults::none();
        let bench = place.set_up_with(faults.clone()).await;
        let job = bench.submit(JobKind::Import, &[], people(50).as_bytes()).await.expect("it is accepted");
        let mut watches = Vec::new();
        for _ in 0..5 {
            let mut watch = bench.engine.watch_job(&bench.caller, job.id).await.expect("it can be watched");
            assert_eq!(watch.now().job.state, JobState::Queued);
            watches.push(watch);
        }
        assert_eq!(bench.engine.count_watched_jobs(), 1);

        let wake = Arc::new(Notify::new());
        faults.plan("apply.planned", 0, Fault::Stall(wake.clone()));
        let mut worker = Worker::new(&bench.engine).expect("a worker");
        let run = tokio::spawn(async move { drain(&mut worker).await });
        for watch in &mut watches {
            let view = watch.changed().await.expect("it goes on");
            assert_eq!(view.job.state, JobState::Running);
        }
        wake.notify_one();
        run.await.expect("it does not panic");
        for watch in &mut watches {
            let mut last = watch.now();
            while let Some(view) = watch.changed().await {
                assert!(view.rows_done >= last.rows_done);
                last = view;
            }
            assert_eq!((last.job.state, last.rows_done), (JobState::Completed, 50));
        }
        assert_eq!(bench.engine.count_watched_jobs(), 0);

        let mut late = bench.engine.watch_job(&bench.caller, job.id).await.expect("it can be looked at");
        assert_eq!(late.now().job.state, JobState::Completed);
        assert!(late.changed().await.is_none());
        assert_eq!(bench.engine.count_watched_jobs(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_when_nobody_watches_or_the_process_is_to_end() {
    for place in places().await {
        let bench = place.set_up().await;
        let job = bench.submit(JobKind::Import, &[], people(5).as_bytes()).await.expect("it is accepted");
        drop(bench.engine.watch_job(&bench.caller, job.id).await.expect("it can be watched"));
        while bench.engine.count_watched_jobs() > 0 {
            tokio::task::yield_now().await;
        }
        let mut watch = bench.engine.watch_job(&bench.caller, job.id).await.expect("it can be watched");
        assert_eq!(bench.engine.count_watched_jobs(), 1);
        bench.engine.end_watches();
        assert!(watch.changed().await.is_none());
        let mut late = bench.engine.watch_job(&bench.caller, job.id).await.expect("it can be looked at");
        assert_eq!(late.now().job.state, JobState::Queued);
        assert!(late.changed().await.is_none());
        assert_eq!(bench.engine.count_watched_jobs(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_communitys_job_cannot_be_watched() {
    for place in places().await {
        let bench = place.set_up().await;
        let job = bench.submit(JobKind::Import, &[], people(5).as_bytes()).await.expect("it is accepted");
        let other = bench.engine.create_community("Theirs").await.expect("it can be made");
        let stranger = muster_engine::Caller { tenant: other.tenant, community: other.id, ..bench.caller.clone() };
        let _watched = bench.engine.watch_job(&bench.caller, job.id).await.expect("it can be watched");
        let refused = bench.engine.watch_job(&stranger, job.id).await.expect_err("it is not theirs");
        assert_eq!(refused.public().code, Code::NotFound);
    }
}
