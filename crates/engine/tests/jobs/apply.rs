//! What jobs do to users, and what they say about it.

use crate::harness::{Bench, assert_ended, counts, places};
use muster_core::job::{JobKind, JobState};
use muster_core::{Code, intake};
use muster_engine::{Clock, Engine, Faults, Limits};

const PEOPLE: &str = "Email,First Name,Points,Premium Currency\nann@x.org,Ann,10,100\nBob@x.org,Bob,5,50\n";

#[tokio::test(flavor = "multi_thread")]
async fn import_creates_users_and_update_changes_them_with_operators() {
    for place in places().await {
        let bench = place.set_up().await;
        let job = bench.import(PEOPLE).await;
        assert_ended(&job, JobState::Completed);
        assert_eq!(counts(&job), [2, 2, 0, 0, 0, 0, 0]);

        let job = bench
            .update(
                "Premium Currency_op,email,Premium Currency,Points,Points_op,Notes\r\n\
                 add,ANN@x.org,2.50,3,subtract,\"two\r\nlines\"\r\n\
                 ,bob@X.org,7,,,\\N\r\n\
                 overwrite,ann@x.org,102.5,,,\r\n",
            )
            .await;
        assert_eq!(counts(&job), [3, 0, 2, 1, 0, 0, 0]);
        assert_eq!(bench.value("ann@x.org", "premium_currency").await.as_deref(), Some("102.5"));
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("7"));
        assert_eq!(bench.value("ann@x.org", "notes").await.as_deref(), Some("two\r\nlines"));
        assert_eq!(bench.value("Bob@x.org", "premium_currency").await.as_deref(), Some("7"));
        assert_eq!(bench.verdicts(job.id).await, ["updated", "updated", "unchanged"]);

        let job = bench.import("email,points\nann@x.org,1\nnew@x.org,2\n").await;
        assert_eq!(counts(&job), [2, 1, 1, 0, 0, 0, 0]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failed_row_is_explained_with_its_line_column_and_value() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let job = bench
            .update(
                "Email,Points,Points_op,Premium Currency,Premium Currency_op,Notes\n\
                 ann@x.org,\"12,5\",,,,\n\
                 \n\
                 nobody@x.org,1,,,,\n\
                 ,1,,,,\n\
                 not an email,1,,,,\n\
                 ann@x.org,1,Add,,,\n\
                 ann@x.org,,add,,,\n\
                 ann@x.org,,,500,subtract,\n\
                 ann@x.org,1\n\
                 ann@x.org,9223372036854775807,add,,,\n\
                 bob@x.org,1,add,,,fine\n",
            )
            .await;
        assert_ended(&job, JobState::Completed);
        assert_eq!(
            bench.verdicts(job.id).await,
            [
                "failed invalid_number",
                "failed user_not_found",
                "failed missing_key",
                "failed invalid_email",
                "failed invalid_operator",
                "failed operator_without_value",
                "failed insufficient_balance",
                "failed column_count_mismatch",
                "failed out_of_range",
                "updated",
            ]
        );
        assert_eq!(counts(&job), [10, 0, 1, 0, 0, 9, 0]);
        let rows = bench.results(job.id).await;
        assert_eq!(
            rows[0],
            [
                "ann@x.org",
                "12,5",
                "",
                "",
                "",
                "",
                "2",
                "1",
                "failed",
                "invalid_number",
                "Points",
                "line 2, column Points: \"12,5\" is not a whole number",
                "",
            ]
        );
        assert_eq!(rows[1][6..8], ["4", "2"], "a blank line is not a row, and counts as a line");
        assert_eq!(rows[9][12], bench.id_of("bob@x.org").await.to_string());

        let errors = bench.engine.job_errors(&bench.caller, job.id).await.expect("there are errors");
        assert_eq!(errors.len(), 9);
        let number = errors.iter().find(|group| group.code == Code::InvalidNumber).expect("there is a group");
        assert_eq!(number.column.as_deref(), Some("Points"));
        assert_eq!(
            (number.count, &*number.sample_values, &*number.first_lines),
            (1, &["12,5".to_owned()][..], &[2][..])
        );
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_user_are_applied_in_the_order_of_the_file() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let job = bench
            .update(
                "email,points,points_op\nann@x.org,1,add\nbob@x.org,9,\nANN@X.ORG,2,overwrite\nann@x.org,5,add\nAnn@x.org,1,subtract\n",
            )
            .await;
        assert_eq!(counts(&job), [5, 0, 5, 0, 0, 0, 0]);
        assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some("6"));

        let job =
            bench.import("email,points,points_op\nc@x.org,1,add\nC@x.org,1,add\nd@x.org,,\nc@X.org,1,add\n").await;
        assert_eq!(counts(&job), [4, 2, 2, 0, 0, 0, 0], "a key that is new is made once");
        assert_eq!(bench.value("c@x.org", "points").await.as_deref(), Some("3"));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_keys_are_dealt_with_as_the_job_asks() {
    let file =
        "email,points,points_op\nann@x.org,1,add\nbob@x.org,1,add\nANN@x.org,10,add\nnew@x.org,1,\nNEW@x.org,2,\n";
    for (policy, points, new, verdict) in [
        ("apply_all", "21", "2", "updated"),
        ("first", "11", "1", "skipped duplicate_in_file"),
        ("error", "11", "1", "failed duplicate_in_file"),
        ("last", "20", "2", "updated"),
    ] {
        for place in places().await {
            let bench = place.set_up().await;
            bench.import(PEOPLE).await;
            let job = bench.apply(JobKind::Import, &[("on_duplicate", policy)], file).await;
            assert_eq!(bench.value("ann@x.org", "points").await.as_deref(), Some(points), "{policy}");
            let new_user = bench.users().await.into_iter().find(|(email, _)| email.eq_ignore_ascii_case("new@x.org"));
            assert_eq!(new_user.expect("new is there").1["points"], new, "{policy}");
            assert_eq!(bench.verdicts(job.id).await[2], verdict, "{policy}");
            bench.check().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overdraft_is_rejected_clamped_or_allowed() {
    for (policy, balance) in [("reject", "50"), ("clamp", "0"), ("allow", "-10")] {
        for place in places().await {
            let bench = place.set_up().await;
            bench.import(PEOPLE).await;
            let text = "email,Premium Currency,Premium Currency_op\nbob@x.org,60,subtract\n";
            bench.apply(JobKind::Update, &[("overdraft", policy)], text).await;
            assert_eq!(bench.value("Bob@x.org", "premium_currency").await.as_deref(), Some(balance), "{policy}");
            bench.check().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_found_by_id_and_their_emails_moved() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let (ann, bob) = (bench.id_of("ann@x.org").await, bench.id_of("bob@x.org").await);
        let text = format!("id,email\n{ann},bob@x.org\n{bob},robert@x.org\n{ann},anna@x.org\n999,x@x.org\nx,y@x.org\n");
        let job = bench.apply(JobKind::Update, &[("match_by", "id")], &text).await;
        assert_eq!(
            bench.verdicts(job.id).await,
            ["failed not_unique", "updated", "updated", "failed user_not_found", "failed invalid_id"]
        );
        assert_eq!(bench.users().await.keys().map(String::as_str).collect::<Vec<_>>(), ["anna@x.org", "robert@x.org"]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_can_never_work_are_refused_and_leave_nothing() {
    for place in places().await {
        let bench = place.set_up().await;
        let wide = (0..2_000).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",");
        for (text, code) in [
            ("", Code::EmptyFile),
            ("\n\n", Code::MissingHeader),
            ("name,points\n", Code::MissingKeyColumn),
            ("email,shoe size\n", Code::UnknownColumn),
            ("email,points,POINTS\n", Code::DuplicateColumn),
            ("email,notes_op\n", Code::OperatorNotAllowed),
            ("email,id\n", Code::ReadOnlyField),
            (&wide, Code::TooManyColumns),
            ("%PDF-1.7\n", Code::UnsupportedFormat),
        ] {
            let refused = bench.submit(JobKind::Update, &[], text.as_bytes()).await.expect_err("it is refused");
            assert_eq!(refused.public().code, code, "{}", &text[..text.len().min(40)]);
        }
        let page = bench.engine.list_jobs(&bench.caller, &Default::default(), 10).await.expect("jobs can be listed");
        assert!(page.jobs.is_empty());
        assert_eq!(bench.engine.staging().count_incoming().expect("it can be read"), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_fail_their_rows_or_their_job_and_nothing_is_lost() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(PEOPLE).await;
        let header_only = bench.update("email,points\n").await;
        assert_ended(&header_only, JobState::Completed);
        assert_eq!(counts(&header_only), [0; 7]);

        let long = "x".repeat(10 << 20);
        let mut text = format!("email,notes\rann@x.org,{long}\rbob@x.org,fine\rann@x.org,a\0b\r").into_bytes();
        text.extend(b"ann@x.org,\xc3\xa9\rann@x.org,\xff\rann@x.org,a,b\rann@x.org,\"5\" pipe\"\r");
        let job = bench.submit(JobKind::Update, &[], &text).await.expect("it is accepted");
        bench.run().await;
        assert_eq!(
            bench.verdicts(job.id).await,
            [
                "failed cell_too_long",
                "updated",
                "failed nul_character",
                "updated",
                "failed invalid_encoding",
                "failed column_count_mismatch",
                "failed malformed_quote"
            ]
        );

        let job = bench.update("email,notes\nann@x.org,\"never closed\nbob@x.org,x\n").await;
        assert_ended(&job, JobState::Failed);
        assert_eq!(job.error.as_ref().expect("it says why").code, Code::UnclosedQuote);
        assert_eq!(bench.value("Bob@x.org", "notes").await.as_deref(), Some("fine"), "nothing of it was applied");
        assert_eq!(counts(&job)[1..6], [0; 5]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_in_other_encodings_and_compressed() {
    for place in places().await {
        let bench = place.set_up().await;
        let text = "Email;First Name\r\nzoë@x.org;Zoë\r\n";
        let utf16: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
        for bytes in [utf16, latin, format!("\u{feff}sep=;\r\n{text}").into_bytes()] {
            let job = bench.submit(JobKind::Import, &[], &bytes).await.expect("it is accepted");
            bench.run().await;
            assert_eq!(counts(&bench.job(job.id).await)[4..], [0; 3]);
            assert_eq!(bench.value("zoë@x.org", "first_name").await.as_deref(), Some("Zoë"));
        }
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_under_the_limits_under_which_it_was_accepted_whoever_reads_it() {
    for place in places().await {
        let bench = place.set_up().await;
        let (store, staging) = (bench.engine.store().clone(), bench.engine.staging().clone());
        let files = intake::Limits { columns: 2, cell_bytes: 10, ..intake::Limits::default() };
        let limits = Limits { files, ..Limits::default() };
        let engine = Engine::new(store, staging, Clock::system(), Faults::none(), limits);
        let strict = Bench { engine, caller: bench.caller.clone() };
        let refused = strict.submit(JobKind::Import, &[], PEOPLE.as_bytes()).await.expect_err("it is refused");
        assert_eq!(refused.public().code, Code::TooManyColumns);
        let file = b"Email,First Name\nann@x.org,Maximiliane\nbob@x.org,Bob\n";
        let job = strict.submit(JobKind::Import, &[], file).await.expect("it is accepted");
        bench.run().await;
        assert_eq!(bench.verdicts(job.id).await, ["failed cell_too_long", "created"]);
        assert_eq!(bench.results(job.id).await, strict.results(job.id).await);
        assert_eq!(counts(&bench.import(PEOPLE).await)[4..], [0; 3], "whose own limits allow more");
        bench.check().await;
    }
}
