//! Counts add up whenever somebody looks: after every step and every crash, while a job is prepared, paused, cancelled,
//! and when it failed.

use crate::crash::release;
use crate::harness::{Bench, Place, counts, places};
use muster_core::id::JobId;
use muster_core::job::{JobKind, JobState};
use muster_engine::{Fault, Faults, POINTS, Step, Tick, Worker};
use std::fmt::Write;

const ROWS: usize = 2_600;

/// Rows that make, change, leave alone, skip and fail.
fn mixed() -> String {
    let mut text = String::from("email,points,points_op,premium_currency,premium_currency_op\n");
    for i in 0..ROWS {
        let line = match i % 13 {
            0 => "nobody,1,,,".to_owned(),
            1 => format!("user{i}@x.org,,,900,subtract"),
            2 => format!("user{}@x.org,3,,,", i - 1),
            3 => format!("user{i}@x.org,0,,,"),
            _ => format!("user{i}@x.org,1,add,,"),
        };
        writeln!(text, "{line}").expect("memory");
    }
    text
}

/// What was seen of a job last.
#[derive(Default)]
struct Seen {
    received: u64,
    decided: [u64; 5],
}

impl Seen {
    /// Looks at a job and its results at this moment. Nobody works on it meanwhile.
    async fn look(&mut self, bench: &Bench, id: JobId) {
        let job = bench.job(id).await;
        let [received, decided @ .., unprocessed] = counts(&job);
        assert_eq!(received, decided.iter().sum::<u64>() + unprocessed, "{:?}", job.state);
        for (now, before) in decided.iter().zip(self.decided) {
            assert!(*now >= before, "{decided:?} follows {:?}", self.decided);
        }
        assert!(received >= self.received, "{received} follows {}", self.received);
        let verdicts = bench.verdicts(id).await;
        assert_eq!(verdicts.len() as u64, received, "{:?}: a result for each row", job.state);
        let count = |status: &str| verdicts.iter().filter(|verdict| verdict.split(' ').next() == Some(status)).count();
        let found = ["created", "updated", "unchanged", "skipped", "failed"].map(|status| count(status) as u64);
        assert_eq!((found, count("unprocessed") as u64), (decided, unprocessed), "{:?}", job.state);
        *self = Self { received, decided };
    }

    /// Lets a worker go on, one tick after the other, and looks after each; until there is nothing to do or it dies.
    async fn tick(&mut self, worker: &mut Worker, bench: &Bench, id: JobId) {
        loop {
            let tick = worker.tick().await.expect("the database answers");
            self.look(bench, id).await;
            if matches!(tick, Tick::Idle | Tick::Broke(..)) {
                return;
            }
        }
    }
}

async fn set_up(place: &Place) -> Bench {
    let bench = place.set_up().await;
    let half: String = (0..ROWS).step_by(2).map(|i| format!("user{i}@x.org,0,10\n")).collect();
    bench.import(&format!("email,points,premium_currency\n{half}")).await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_results_agree_after_every_step_and_every_crash() {
    for place in places().await {
        let bench = set_up(&place).await;
        for point in POINTS.iter().filter(|point| !point.starts_with("accept")) {
            let options = [("on_duplicate", "first"), ("dry_run", "true")];
            let job = bench.submit(JobKind::Import, &options, mixed().as_bytes()).await.expect("it is accepted");
            let mut seen = Seen::default();
            seen.look(&bench, job.id).await;
            let faults = Faults::none();
            faults.plan(point, u32::from(point.starts_with("apply")), Fault::Crash);
            let dying = bench.reopened(&place, faults);
            let mut worker = Worker::new(&dying.engine).expect("a worker can be made");
            seen.tick(&mut worker, &bench, job.id).await;
            release(&bench, worker.owner()).await;
            let mut worker = Worker::new(&bench.engine).expect("a worker can be made");
            seen.tick(&mut worker, &bench, job.id).await;
            assert_eq!(bench.job(job.id).await.state, JobState::Planned, "{point}");
            assert!(seen.decided.iter().all(|count| *count > 0), "{:?}", seen.decided);
        }
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_results_agree_while_a_job_is_paused_and_after_it_is_cancelled_or_fails() {
    for place in places().await {
        let bench = set_up(&place).await;
        for (option, end) in [
            (("queue", "x"), JobState::Cancelled),
            (("on_error", "abort"), JobState::Failed),
            (("max_failed", "250"), JobState::Failed),
        ] {
            let job = bench.submit(JobKind::Import, &[option], mixed().as_bytes()).await.expect("it is accepted");
            let mut seen = Seen::default();
            let mut worker = Worker::new(&bench.engine).expect("a worker can be made");
            while !matches!(worker.tick().await, Ok(Tick::Stepped(_, Step::Prepared))) {
                seen.look(&bench, job.id).await;
            }
            seen.look(&bench, job.id).await;
            bench.engine.pause_job(&bench.caller, job.id).await.expect("it can pause");
            seen.look(&bench, job.id).await;
            seen.tick(&mut worker, &bench, job.id).await;
            bench.engine.resume_job(&bench.caller, job.id).await.expect("it can go on");
            seen.look(&bench, job.id).await;
            if end == JobState::Cancelled {
                while !matches!(worker.tick().await, Ok(Tick::Stepped(_, Step::Applied(_)))) {}
                seen.look(&bench, job.id).await;
                bench.engine.cancel_job(&bench.caller, job.id).await.expect("it can be cancelled");
                seen.look(&bench, job.id).await;
            }
            seen.tick(&mut worker, &bench, job.id).await;
            assert_eq!(bench.job(job.id).await.state, end);
            assert!(bench.job(job.id).await.counts.unprocessed() > 0, "some rows were not reached");
        }
        bench.check().await;
    }
}
