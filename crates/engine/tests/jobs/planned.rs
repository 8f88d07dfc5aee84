//! Dry runs, and plans that are applied.

use crate::harness::{Bench, counts, drain, places};
use muster_core::job::{JobKind, JobState};
use muster_core::{Code, Patch};
use muster_engine::{Fault, Faults, UserEdit, Worker};

const PEOPLE: &str = "Email,First Name,Points,Premium Currency\nann@x.org,Ann,10,100\nbob@x.org,Bob,5,50\n";
const CHANGES: &str = "email,points,points_op,premium currency,premium currency_op\n\
                       ann@x.org,5,add,30,subtract\nbob@x.org,,,60,subtract\nnew@x.org,1,,,\nANN@x.org,1,add,80,subtract\n\
                       NEW@x.org,2,add,,\nnobody,1,,,\nann@x.org,16,,,\n";
const VERDICTS: [&str; 7] = [
    "updated",
    "failed insufficient_balance",
    "created",
    "failed insufficient_balance",
    "updated",
    "failed invalid_email",
    "updated",
];

async fn changes(bench: &Bench, id: muster_core::id::JobId) -> Vec<String> {
    bench.results(id).await.iter().map(|row| row[row.len() - 1].clone()).collect()
}

async fn refusal(bench: &Bench, id: muster_core::id::JobId) -> Code {
    bench.engine.apply_job(&bench.caller, id).await.expect_err("it is refused").public().code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_writes_nothing_and_says_what_would_change() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let before = bench.users().await;
        let plan = bench.plan(JobKind::Import, &[], CHANGES).await;
        assert_eq!(counts(&plan), [7, 1, 3, 0, 0, 3, 0]);
        assert_eq!(plan.affected, 2);
        assert_eq!(bench.users().await, before);
        assert_eq!(bench.verdicts(plan.id).await, VERDICTS);
        let changes = changes(&bench, plan.id).await;
        assert_eq!(changes[0], r#"{"points":{"old":10,"new":15},"premium_currency":{"old":"100","new":"70"}}"#);
        assert_eq!(changes[1], "");
        assert_eq!(changes[2], r#"{"email":{"old":null,"new":"new@x.org"},"points":{"old":null,"new":1}}"#);
        assert_eq!(changes[4], r#"{"points":{"old":1,"new":3}}"#, "each row sees what those before it would do");
        assert_eq!(changes[6], r#"{"points":{"old":15,"new":16}}"#);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_applied_exactly_and_once() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let plan = bench.plan(JobKind::Import, &[], CHANGES).await;
        let applied = bench.finish(bench.engine.apply_job(&bench.caller, plan.id).await).await;
        assert_eq!((applied.state, counts(&applied)), (JobState::Completed, counts(&plan)));
        assert_eq!(applied.family.parent.map(|(id, _)| id), Some(plan.id));
        assert_eq!(bench.verdicts(applied.id).await, VERDICTS);
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("16"));
        assert_eq!(bench.value("new@x.org", "points").await.as_deref(), Some("3"));
        assert_eq!(refusal(&bench, plan.id).await, Code::AlreadyApplied);
        assert_eq!(refusal(&bench, applied.id).await, Code::InvalidState);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_users_who_changed_since_the_plan_fail_and_no_others() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let plan = bench.plan(JobKind::Import, &[], CHANGES).await;
        bench.edit("ann@x.org", "notes", "\"touched\"").await;
        let applied = bench.finish(bench.engine.apply_job(&bench.caller, plan.id).await).await;
        let mut expected = VERDICTS;
        (expected[0], expected[6]) = ("failed changed_since_plan", "failed changed_since_plan");
        assert_eq!(bench.verdicts(applied.id).await, expected);
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("10"));
        assert_eq!(bench.value("new@x.org", "points").await.as_deref(), Some("3"));

        // Somebody who was to be made was made by another; somebody who was to be changed is gone.
        let plan = bench.plan(JobKind::Import, &[], "email,points\nlate@x.org,1\nbob@x.org,9\nlate@x.org,2\n").await;
        bench.import("email\nlate@x.org\n").await;
        bench.apply(JobKind::Delete, &[], "email\nbob@x.org\n").await;
        let applied = bench.finish(bench.engine.apply_job(&bench.caller, plan.id).await).await;
        assert_eq!(bench.verdicts(applied.id).await, ["failed changed_since_plan"; 3]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_of_one_user_are_planned_and_applied_across_chunks_and_deaths() {
    let rows = 5_000;
    let mut text = "email,points,points_op\n".to_owned();
    for email in ["ann@x.org", "new@x.org"] {
        text.extend((0..rows).map(|_| format!("{email},1,add\n")));
    }
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let faults = Faults::none();
        faults.plan("apply.committed", 1, Fault::Crash);
        let first = bench.reopened(&place, faults);
        let options = [("dry_run", "true"), ("max_affected", "2")];
        let plan = first.submit(JobKind::Import, &options, text.as_bytes()).await.expect("it is accepted");
        let mut worker = Worker::new(&first.engine).expect("a worker can be made");
        drain(&mut worker).await;
        crate::crash::release(&first, worker.owner()).await;
        bench.run().await;
        let plan = bench.job(plan.id).await;
        assert_eq!((plan.state, plan.affected, plan.counts.created), (JobState::Planned, 2, 1), "{:?}", plan.error);
        let changes = changes(&bench, plan.id).await;
        assert_eq!(changes[rows - 1], r#"{"points":{"old":5009,"new":5010}}"#);
        assert_eq!(changes[2 * rows - 1], r#"{"points":{"old":4999,"new":5000}}"#);

        let applied = bench.finish(bench.engine.apply_job(&bench.caller, plan.id).await).await;
        assert_eq!((counts(&applied), applied.affected), (counts(&plan), 2));
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("5010"));
        assert_eq!(bench.value("new@x.org", "points").await.as_deref(), Some("5000"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_needs_an_end_and_fields_that_are_as_they_were() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let open = bench.submit(JobKind::Import, &[("dry_run", "true")], CHANGES.as_bytes()).await.expect("accepted");
        assert_eq!(refusal(&bench, open.id).await, Code::JobNotFinished);
        bench.run().await;
        let sql = "UPDATE fields SET rules = '{\"max\":\"3\"}' WHERE key = 'points'";
        muster_store::testing::execute(bench.engine.store(), sql).await;
        assert_eq!(refusal(&bench, open.id).await, Code::PlanOutdated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_is_no_earlier_job_with_the_same_file() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.plan(JobKind::Import, &[], PEOPLE).await;
        let first = bench.import(PEOPLE).await;
        assert_eq!(first.same_file_as, None);
        assert_eq!(bench.import(PEOPLE).await.same_file_as, Some(first.id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_applied_to_whom_it_was_made_for_though_another_with_the_same_version_has_the_email_now() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import("email,points\nann@x.org,1\nbob@x.org,2\n").await;
        bench.update("email,points\nann@x.org,3\n").await;
        let (ann, bob) = (bench.id_of("ann@x.org").await, bench.id_of("bob@x.org").await);
        let plan = bench.plan(JobKind::Update, &[], "email,points\nann@x.org,9\n").await;
        // Now Bob has Ann's email, and the version that Ann had.
        for (id, email) in [(ann, "old@x.org"), (bob, "ann@x.org")] {
            let edit = UserEdit { email: Patch::Set(email.to_owned()), ..UserEdit::default() };
            bench.engine.edit_user(&bench.caller, id, &edit).await.expect("it is renamed");
        }
        let job = bench.finish(bench.engine.apply_job(&bench.caller, plan.id).await).await;
        assert_eq!(bench.verdicts(job.id).await, ["failed changed_since_plan"]);
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("2"));
        bench.check().await;
    }
}
