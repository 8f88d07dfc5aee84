//! What is over its time goes, and nothing that lasts longer goes with it.

use crate::harness::{Bench, counts, places};
use muster_core::id::JobId;
use muster_core::job::{JobKind, JobState};
use muster_core::settings::SettingsEdit;
use muster_core::{Code, Patch};
use muster_engine::{Clock, EngineError, Fault, Faults, ResultFormat, StatusFilter, Swept};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const PEOPLE: &str = "Email,Points\nann@x.org,10\nbob@x.org,many\n";

fn clock() -> Clock {
    Clock::fixed("2026-01-31T09:30:00Z".parse().expect("it is a time"))
}

async fn keep(bench: &Bench, files: Patch<i64>, results: Patch<i64>) {
    let edit = SettingsEdit { files, results, ..SettingsEdit::default() };
    bench.engine.edit_community(&bench.caller, None, &edit).await.expect("it is kept");
}

async fn sweep(bench: &Bench) -> Swept {
    bench.engine.sweep_expired(bench.engine.clock().now()).await.expect("it is swept")
}

fn code<T>(refused: Result<T, EngineError>) -> Option<Code> {
    refused.err().map(|error| error.public().code)
}

async fn file(bench: &Bench, job: JobId) -> Option<Code> {
    code(bench.engine.open_job_file(&bench.caller, job).await)
}

async fn results(bench: &Bench, job: JobId) -> Option<Code> {
    code(bench.engine.job_results(&bench.caller, job, StatusFilter::All, ResultFormat::Csv).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn results_go_after_their_days_files_after_theirs_and_the_counts_stay() {
    for place in places().await {
        let clock = clock();
        let bench = place.set_up_at(clock.clone(), Faults::none()).await;
        keep(&bench, Patch::Set(3), Patch::Set(2)).await;
        let job = bench.import(PEOPLE).await;
        let open = bench.submit(JobKind::Import, &[], PEOPLE.as_bytes()).await.expect("it is accepted");
        bench.engine.pause_job(&bench.caller, open.id).await.expect("it pauses");

        clock.advance(2 * DAY - Duration::from_secs(1));
        assert_eq!(sweep(&bench).await, Swept::default());
        clock.advance(Duration::from_secs(1));
        assert_eq!(sweep(&bench).await, Swept { results: 1, ..Swept::default() });
        assert_eq!(results(&bench, job.id).await, Some(Code::ResultsExpired));
        assert_eq!(code(bench.engine.job_errors(&bench.caller, job.id).await), Some(Code::ResultsExpired));
        assert_eq!(code(bench.engine.retry_job(&bench.caller, job.id).await), Some(Code::ResultsExpired));
        assert_eq!(file(&bench, job.id).await, None);
        clock.advance(DAY);
        assert_eq!(sweep(&bench).await, Swept { files: 1, ..Swept::default() });
        assert_eq!(file(&bench, job.id).await, Some(Code::FileErased));
        assert_eq!(sweep(&bench).await, Swept::default());
        let folder = place.folder.path().join(format!("jobs/1/{}", job.id));
        assert!(!folder.exists(), "nothing of the job is staged");
        bench.engine.sweep().await.expect("it can be swept");

        let after = bench.job(job.id).await;
        assert_eq!((after.state, counts(&after)), (JobState::Completed, counts(&job)));
        bench.undo(job.id).await;
        assert!(bench.users().await.is_empty(), "an undo needs the history only");
        bench.engine.resume_job(&bench.caller, open.id).await.expect("it goes on");
        bench.run().await;
        assert_eq!(counts(&bench.job(open.id).await)[..2], [2, 1], "what is open keeps what it needs");
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_outlive_their_file_have_every_row_and_no_originals() {
    for place in places().await {
        let clock = clock();
        let bench = place.set_up_at(clock.clone(), Faults::none()).await;
        keep(&bench, Patch::Set(1), Patch::Set(1)).await;
        let dry = bench.plan(JobKind::Import, &[], PEOPLE).await;
        let before = bench.results(dry.id).await;
        let tenant = bench.caller.tenant;
        clock.advance(DAY);
        // As a sweep leaves it that dies between the two, if ever files were first.
        let mut tx = bench.engine.store().begin().await.expect("it begins");
        let of = muster_store::JobRef { tenant, id: dry.id };
        tx.note_file_erased(of, clock.now()).await.expect("it is noted");
        tx.commit().await.expect("it is committed");
        let after = bench.results(dry.id).await;
        assert_eq!(after.len(), before.len());
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(after[..2], ["", ""].map(str::to_owned));
            assert_eq!(after[3..], before[3..], "our columns stay, but for the line of rows that did not fail");
        }
        assert_eq!(code(bench.engine.apply_job(&bench.caller, dry.id).await), None, "a plan does not need the file");
        sweep(&bench).await;
        assert_eq!(code(bench.engine.apply_job(&bench.caller, dry.id).await), Some(Code::ResultsExpired));
        bench.run().await;
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("10"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweeper_that_dies_leaves_nothing_that_is_shown_as_there_and_the_next_one_removes_the_rest() {
    for place in places().await {
        let (clock, faults) = (clock(), Faults::none());
        let bench = place.set_up_at(clock.clone(), faults.clone()).await;
        keep(&bench, Patch::Set(2), Patch::Set(1)).await;
        let job = bench.import(PEOPLE).await.id;
        let folder = place.folder.path().join(format!("jobs/1/{job}"));
        for (expired, left) in [(Code::ResultsExpired, 1), (Code::FileErased, 0)] {
            clock.advance(DAY);
            faults.plan("sweep.noted", 0, Fault::Crash);
            assert!(bench.engine.sweep_expired(clock.now()).await.is_err());
            let gone = [results(&bench, job).await, file(&bench, job).await];
            assert!(gone.contains(&Some(expired)), "{gone:?}");
            assert_eq!(std::fs::read_dir(&folder).expect("it is there").count(), left + 1);
            assert_eq!(sweep(&bench).await, Swept::default(), "it is counted by whoever noted it");
            assert_eq!(std::fs::read_dir(&folder).map_or(0, Iterator::count), left);
        }
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_for_ever_stays_and_of_several_sweepers_one_is_enough() {
    for place in places().await {
        let clock = clock();
        let bench = place.set_up_at(clock.clone(), Faults::none()).await;
        for _ in 0..3 {
            bench.import(PEOPLE).await;
        }
        clock.advance(1_000 * DAY);
        assert_eq!(sweep(&bench).await, Swept::default());
        keep(&bench, Patch::Set(9), Patch::Set(9)).await;
        let other = Bench { engine: place.open_at(clock, Faults::none()), caller: bench.caller.clone() };
        let (one, two) = tokio::join!(sweep(&bench), sweep(&other));
        assert!(one.files + two.files >= 3 && one.results + two.results >= 3);
        assert_eq!(sweep(&bench).await, Swept::default());
        bench.check().await;
    }
}
