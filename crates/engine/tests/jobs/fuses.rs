//! What stops a job: rows that fail, and too many of them or of users.

use crate::harness::{assert_ended, counts, places};
use muster_core::Code;
use muster_core::job::{JobKind, JobState};

fn people(count: usize) -> String {
    (0..count).fold("email,points\n".to_owned(), |text, i| text + &format!("user{i:04}@x.org,{i}\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_preparing_refuses_stops_the_job_before_anything_is_written() {
    for place in places().await {
        let bench = place.set_up().await;
        let text = people(3) + "nobody,1\n";
        for (option, code) in [(("on_error", "abort"), Code::Aborted), (("max_failed", "0"), Code::TooManyFailures)] {
            let job = bench.apply(JobKind::Import, &[option], &text).await;
            assert_ended(&job, JobState::Failed);
            assert_eq!(job.error.as_ref().expect("it says why").code, code);
            assert_eq!(counts(&job), [4, 0, 0, 0, 0, 1, 3]);
            let verdicts = ["unprocessed", "unprocessed", "unprocessed", "failed invalid_email"];
            assert_eq!(bench.verdicts(job.id).await, verdicts);
            assert!(bench.users().await.is_empty());
        }
        let job = bench.apply(JobKind::Import, &[("max_failed", "1")], &text).await;
        assert_eq!(counts(&job), [4, 3, 0, 0, 0, 1, 0], "as many as are allowed");
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_fails_while_applying_stops_the_job_there() {
    for place in places().await {
        let bench = place.set_up().await;
        bench.import(&people(1_500)).await;
        let rows =
            |range: std::ops::Range<usize>| range.map(|i| format!("user{i:04}@x.org,1,subtract\n")).collect::<String>();
        let currency = "email,premium currency,premium currency_op\n";
        bench
            .update(&format!(
                "email,premium currency\n{}",
                (0..1_500).map(|i| format!("user{i:04}@x.org,5\n")).collect::<String>()
            ))
            .await;
        bench.edit("user1200@x.org", "premium_currency", "\"0\"").await;
        let job =
            bench.apply(JobKind::Update, &[("on_error", "abort")], &(currency.to_owned() + &rows(0..1_500))).await;
        assert_ended(&job, JobState::Failed);
        assert_eq!(job.error.as_ref().expect("it says why").code, Code::Aborted);
        // Rows are applied in the order of their users, who were made in the order of the file.
        assert_eq!(counts(&job), [1_500, 0, 1_200, 0, 0, 1, 299]);
        let verdicts = bench.verdicts(job.id).await;
        assert_eq!(
            (&*verdicts[1_199], &*verdicts[1_200], &*verdicts[1_201]),
            ("updated", "failed insufficient_balance", "unprocessed")
        );
        assert_eq!(bench.value("user1199@x.org", "premium_currency").await.as_deref(), Some("4"));
        assert_eq!(bench.value("user1201@x.org", "premium_currency").await.as_deref(), Some("5"));

        // With max_failed the chunk in which it would happen is not written at all.
        let job =
            bench.apply(JobKind::Update, &[("max_failed", "0")], &(currency.to_owned() + &rows(1_200..1_500))).await;
        assert_eq!(job.error.as_ref().expect("it says why").code, Code::TooManyFailures);
        assert_eq!(counts(&job), [300, 0, 0, 0, 0, 0, 300]);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn never_are_more_users_changed_than_allowed() {
    for place in places().await {
        let bench = place.set_up().await;
        let job = bench.apply(JobKind::Import, &[("max_affected", "3")], &people(4)).await;
        assert_ended(&job, JobState::Failed);
        assert_eq!(job.error.as_ref().expect("it says why").code, Code::TooManyAffected);
        assert_eq!(counts(&job), [4, 0, 0, 0, 0, 0, 4]);
        assert!(bench.users().await.is_empty());
        // Several rows of a user change one user, and rows that change nothing none.
        let text = people(3) + "user0000@x.org,7\nuser0001@x.org,1\n";
        let job = bench.apply(JobKind::Import, &[("max_affected", "3")], &text).await;
        assert_ended(&job, JobState::Completed);
        assert_eq!(job.affected, 3);
        let many = "email,points,points_op\n".to_owned() + &"user0002@x.org,1,add\n".repeat(9_000);
        let job = bench.apply(JobKind::Update, &[("max_affected", "1")], &many).await;
        assert_ended(&job, JobState::Completed);
        assert_eq!((job.affected, job.counts.updated), (1, 9_000), "also where they fill several chunks");
        let plan =
            bench.submit(JobKind::Update, &[("max_affected", "2"), ("dry_run", "true")], people(3).as_bytes()).await;
        bench.run().await;
        let plan = bench.job(plan.expect("it is accepted").id).await;
        assert_eq!(counts(&plan), [3, 0, 2, 1, 0, 0, 0], "who has these values already is not changed");
        bench.check().await;
    }
}
