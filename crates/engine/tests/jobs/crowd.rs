//! Many at once, really: several workers with engines of their own, jobs of all kinds over the same users, undos and
//! single edits beside them. Nothing is lost, nothing waits for ever, and every history is a chain.

use crate::harness::{Bench, Place, places};
use muster_core::Code;
use muster_core::id::{JobId, UserId};
use muster_core::job::{JobKind, JobState};
use muster_engine::{EngineError, Faults, UndoRequest, Worker};
use std::fmt::Write;
use tokio::sync::oneshot;

const PEOPLE: usize = 1_500;

fn rows(header: &str, row: impl Fn(usize) -> String) -> String {
    // Each job goes through the people in an order of its own.
    let mut text = format!("{header}\n");
    (0..PEOPLE).for_each(|i| writeln!(text, "{}", row(i * 7 % PEOPLE)).expect("memory"));
    text
}

/// Does something while three engines run jobs in this place, until all these jobs have ended.
async fn beside_workers<T>(place: &Place, bench: &Bench, jobs: &[JobId], act: impl Future<Output = T>) -> T {
    let mut workers = Vec::new();
    for _ in 0..3 {
        let engine = bench.reopened(place, Faults::none()).engine;
        let worker = Worker::new(&engine).expect("a worker can be made");
        let (stop, stopped) = oneshot::channel::<()>();
        let run = worker.run(2, async { drop(stopped.await) });
        workers.push((stop, tokio::spawn(run)));
    }
    let done = act.await;
    for job in jobs {
        let at_most = std::time::Duration::from_secs(120);
        let view = bench.engine.wait_for_job(&bench.caller, *job, at_most).await.expect("the job is there");
        assert_eq!(view.job.state, JobState::Completed, "{:?}", view.job.error);
    }
    for (stop, worker) in workers {
        let _ = stop.send(());
        worker.await.expect("it does not panic");
    }
    done
}

async fn points(bench: &Bench) -> i64 {
    let users = bench.users().await;
    users.values().filter_map(|values| values.get("points")).map(|value| value.parse::<i64>().expect("a number")).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn jobs_an_undo_and_edits_on_the_same_users_lose_nothing() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(&rows("email,points", |i| format!("user{i}@x.org,0"))).await;
        let thousand = rows("email,points,points_op", |i| format!("user{i}@x.org,1000,add"));
        let undone = bench.update(&thousand).await;
        let mut jobs = Vec::new();
        for _ in 0..2 {
            let text = rows("email,points,points_op", |i| format!("USER{i}@x.org,1,add"));
            jobs.push(bench.submit(JobKind::Update, &[], text.as_bytes()).await.expect("it is accepted").id);
        }
        let undo = bench.engine.undo_job(&bench.caller, undone.id, &UndoRequest::default()).await;
        jobs.push(undo.expect("it is accepted").job.id);
        let edits = async {
            for i in 0..60 {
                bench.edit(&format!("user{}@x.org", i % 20), "points", r#"{"op":"add","value":10}"#).await;
            }
        };
        beside_workers(&place, &bench, &jobs, edits).await;
        assert_eq!(points(&bench).await, 2 * PEOPLE as i64 + 600, "each was added once, and a thousand taken back");
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn users_who_are_deleted_restored_and_imported_at_once_are_there_at_most_once() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(&rows("email,points", |i| format!("user{i}@x.org,0"))).await;
        let mut jobs = Vec::new();
        let emails = rows("email", |i| format!("user{i}@x.org"));
        let imports = rows("email,points,points_op", |i| format!("User{i}@x.org,1,add"));
        for (kind, text) in [
            (JobKind::Delete, &emails),
            (JobKind::Import, &imports),
            (JobKind::Restore, &emails),
            (JobKind::Import, &imports),
            (JobKind::Delete, &emails),
        ] {
            jobs.push(bench.submit(kind, &[], text.as_bytes()).await.expect("it is accepted").id);
        }
        let edits = async {
            for id in 1..=60 {
                let id = UserId(id);
                let gone = |answer: Result<(), EngineError>| match answer.map_err(|error| error.public().code) {
                    Ok(()) | Err(Code::NotFound | Code::NotUnique) => {}
                    Err(code) => panic!("{code}"),
                };
                gone(bench.engine.delete_user(&bench.caller, id, None).await);
                gone(bench.engine.restore_user(&bench.caller, id).await.map(drop));
            }
        };
        beside_workers(&place, &bench, &jobs, edits).await;
        bench.check().await;
        let list = bench.engine.list_users(&bench.caller, None, UserId(0), 100_000).await.expect("users can be listed");
        let emails = list.users.iter().flat_map(|user| &user.email).map(|email| email.to_lowercase());
        let emails: std::collections::BTreeSet<String> = emails.collect();
        assert_eq!(list.users.len(), emails.len(), "nobody has the email of somebody else");
        for job in jobs {
            let (job, verdicts) = (bench.job(job).await, bench.verdicts(job).await);
            assert_eq!((verdicts.len(), job.counts.decided()), (PEOPLE, PEOPLE as u64));
        }
    }
}
