//! Users who are erased: nothing that is kept says who they were.

use crate::crash::release;
use crate::harness::{Bench, Place, assert_ended, counts, drain, places};
use muster_core::Code;
use muster_core::id::{JobId, UserId};
use muster_core::job::{JobKind, JobState};
use muster_engine::{Fault, Faults, HistoryQuery, Job, NewJob, OTHER_POINTS, POINTS, UndoRequest, Worker};
use muster_store::testing;
use std::path::Path;

pub const PEOPLE: &str = "Email,First Name,Points\nann@x.org,Annabelle,10\nbob@x.org,Bob,5\n";
/// What must be nowhere afterwards.
const TRACES: [&str; 4] = ["ann@x.org", "ann@old.org", "Annabelle", "Annabella"];

pub async fn erase(bench: &Bench, user: UserId) -> Job {
    let job = bench.engine.erase_user(&bench.caller, user, None).await;
    bench.finish(job).await
}

pub async fn file_code(bench: &Bench, job: JobId) -> Option<Code> {
    bench.engine.open_job_file(&bench.caller, job).await.err().map(|error| error.public().code)
}

/// Whether the text stands in any file below the folder.
fn is_staged(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).expect("it can be read").any(|entry| {
        let path = entry.expect("it is there").path();
        let is_database = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("muster.db"));
        match path.is_dir() {
            true => is_staged(&path, text),
            false => {
                let bytes = std::fs::read(&path).unwrap_or_default();
                !is_database && String::from_utf8_lossy(&bytes).contains(text)
            }
        }
    })
}

/// Everything in the tables that may hold words of users.
async fn stored(bench: &Bench) -> String {
    let mut all = Vec::new();
    for (column, table) in [
        ("coalesce(email, '') || coalesce(CAST(field_values AS TEXT), '') || coalesce(identities, '')", "users"),
        ("key", "user_keys"),
        ("key", "deleted_user_keys"),
        ("key", "user_index"),
        ("CAST(data AS TEXT)", "changes"),
        ("facet", "user_blocks"),
        ("name || options || source || actor || coalesce(error, '')", "jobs"),
    ] {
        all.extend(testing::strings(bench.engine.store(), &format!("SELECT {column} FROM {table}")).await);
    }
    all.join("\n")
}

pub async fn assert_gone(place: &Place, bench: &Bench) {
    let stored = stored(bench).await;
    for trace in TRACES {
        assert!(!stored.contains(trace), "the database holds {trace}: {stored}");
        assert!(!is_staged(place.folder.path(), trace), "the staging area holds {trace}");
    }
    bench.check().await;
}

/// A person with a past: imported, renamed, changed by a job, named by rows that failed, planned for.
struct Past {
    ann: UserId,
    imported: JobId,
    failed: JobId,
    planned: JobId,
    others: JobId,
}

async fn past(bench: &Bench) -> Past {
    let imported = bench.import("Email,First Name,Points\nann@old.org,Annabella,1\nbob@x.org,Bob,5\n").await.id;
    let ann = bench.id_of("ann@old.org").await;
    let edit = muster_engine::UserEdit {
        email: muster_core::Patch::Set("Ann@x.org".into()),
        values: vec![("first_name".into(), "Annabelle".into())],
        ..Default::default()
    };
    bench.engine.edit_user(&bench.caller, ann, &edit).await.expect("it is changed");
    // A row that fails before it names anybody: only the file says who it was about.
    let failed = bench.update("Email,Points\nANN@x.org,many\nbob@x.org,6\n").await.id;
    let record = r#"{"email":"ann@x.org","values":{"first_name":"Annabelle","city":"Annabelle"}}"#;
    bench.engine.run_batch(&bench.caller, NewJob::new(JobKind::Update), [record]).await.expect("it is answered");
    let others = bench.update("Email,Points\nbob@x.org,7\n").await.id;
    let planned =
        bench.plan(JobKind::Update, &[], "Email,First Name\nann@x.org,Annabelle\nbob@x.org,Robert\n").await.id;
    Past { ann, imported, failed, planned, others }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_user_is_nowhere_and_others_keep_everything() {
    for place in places().await {
        let bench = place.set_up().await;
        let Past { ann, imported, failed, planned, others } = past(&bench).await;
        let erased = erase(&bench, ann).await;
        assert_ended(&erased, JobState::Completed);
        assert_eq!((counts(&erased), erased.affected), ([1, 0, 1, 0, 0, 0, 0], 1));
        assert_eq!(erased.name, format!("erasure of user {ann}"));
        assert_gone(&place, &bench).await;
        assert_eq!(bench.users().await.into_keys().collect::<Vec<_>>(), ["bob@x.org"]);
        let query = HistoryQuery { user: Some(ann), limit: 10, ..HistoryQuery::default() };
        assert!(bench.engine.history(&bench.caller, &query).await.expect("it is empty").entries.is_empty());
        let query = HistoryQuery { field: Some("points".into()), limit: 10, ..HistoryQuery::default() };
        let entries = bench.engine.history(&bench.caller, &query).await.expect("it is there").entries;
        assert_eq!(entries.iter().map(|entry| entry.user).filter(|user| *user == ann).count(), 0);
        assert_eq!(entries.len(), 3, "the others' history stays");

        for job in [imported, failed, planned] {
            assert_eq!(file_code(&bench, job).await, Some(Code::FileErased));
        }
        assert_eq!(file_code(&bench, others).await, None, "whose file did not hold the person");
        let rows = bench.results(imported).await;
        assert_eq!(rows[0], ["", "", "", "", "1", "created", "", "", "", ann.to_string().as_str()]);
        assert_eq!(rows.len(), 2);
        let rows = bench.results(failed).await;
        assert_eq!(rows[0][4..7], ["failed", "invalid_number", "Points"].map(str::to_owned));
        assert!(rows[0][7].ends_with("what was said about the row was erased"), "{}", rows[0][7]);
        let groups = bench.engine.job_errors(&bench.caller, failed).await.expect("they are grouped");
        assert!(groups[0].sample_values.is_empty());

        let apply = bench.finish(bench.engine.apply_job(&bench.caller, planned).await).await;
        assert_eq!(bench.verdicts(apply.id).await, ["failed changed_since_plan", "updated"]);
        assert_eq!(file_code(&bench, apply.id).await, Some(Code::FileErased));
        let undo = bench.undo(imported).await;
        assert_eq!(counts(&undo)[0], 1, "only bob is left to be undone");
        assert_gone(&place, &bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_an_erased_file_or_an_erased_user_is_refused() {
    for place in places().await {
        let bench = place.set_up().await;
        let Past { ann, failed, .. } = past(&bench).await;
        let erased = erase(&bench, ann).await.id;
        let code = |refused: Result<_, muster_engine::EngineError>| refused.map(drop).unwrap_err().public().code;
        assert_eq!(code(bench.engine.retry_job(&bench.caller, failed).await), Code::FileErased);
        let undo = UndoRequest::default();
        assert_eq!(code(bench.engine.undo_job(&bench.caller, erased, &undo).await), Code::InvalidState);
        assert_eq!(code(bench.engine.erase_user(&bench.caller, ann, None).await), Code::NotFound);
        assert_eq!(code(bench.engine.restore_user(&bench.caller, ann).await.map(|_| unreachable())), Code::NotFound);
        bench.check().await;
    }
}

fn unreachable() -> muster_engine::JobView {
    panic!("nobody can be restored who was erased")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_is_erased_and_somebody_new_may_have_the_email() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let ann = bench.id_of("ann@x.org").await;
        bench.engine.delete_user(&bench.caller, ann, None).await.expect("it is deleted");
        assert_ended(&erase(&bench, ann).await, JobState::Completed);
        assert_gone(&place, &bench).await;
        bench.import(PEOPLE).await;
        assert_ne!(bench.id_of("ann@x.org").await, ann, "an id is never given twice");
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_waits_for_the_jobs_before_it_and_one_asked_for_twice_finds_nobody() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let ann = bench.id_of("ann@x.org").await;
        let before = bench.submit(JobKind::Import, &[], b"Email,Points\nann@x.org,99\n").await.expect("it is accepted");
        bench.engine.pause_job(&bench.caller, before.id).await.expect("it pauses");
        let twice = [
            bench.engine.erase_user(&bench.caller, ann, None).await.expect("it is accepted").job.id,
            bench.engine.erase_user(&bench.caller, ann, None).await.expect("it is accepted").job.id,
        ];
        bench.run().await;
        assert_eq!(bench.job(twice[0]).await.state, JobState::Running);
        bench.engine.resume_job(&bench.caller, before.id).await.expect("it goes on");
        bench.run().await;
        assert_eq!(counts(&bench.job(twice[0]).await), [1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(counts(&bench.job(twice[1]).await), [1, 0, 0, 1, 0, 0, 0]);
        assert_eq!(file_code(&bench, before.id).await, Some(Code::FileErased));
        assert_gone(&place, &bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_anywhere_leaves_an_erasure_that_another_finishes() {
    let passed = |point: &&&str| point.starts_with("erase") || point.starts_with("finish");
    for point in POINTS.iter().chain(OTHER_POINTS).filter(passed) {
        // Four files hold the person, one of them in a row that names nobody.
        let times = if *point == "erase.noted" { 4 } else { 1 };
        let places = places().await;
        for (place, passes) in places.iter().flat_map(|place| (0..times).map(move |passes| (place, passes))) {
            let faults = Faults::none();
            let bench = place.set_up_with(faults.clone()).await;
            let Past { ann, imported, .. } = past(&bench).await;
            let job = bench.engine.erase_user(&bench.caller, ann, None).await.expect("it is accepted").job;
            faults.plan(point, passes, Fault::Crash);
            let mut dying = Worker::new(&bench.engine).expect("a worker");
            drain(&mut dying).await;
            assert!(!bench.engine.is_passing(point), "it died at {point}");
            bench.check().await;
            release(&bench, dying.owner()).await;
            let reborn = bench.reopened(place, Faults::none());
            reborn.run().await;
            let job = reborn.job(job.id).await;
            assert_ended(&job, JobState::Completed);
            assert_eq!(counts(&job), [1, 0, 1, 0, 0, 0, 0], "{point}");
            assert_eq!(file_code(&reborn, imported).await, Some(Code::FileErased), "{point}");
            assert_gone(place, &reborn).await;
        }
    }
}
