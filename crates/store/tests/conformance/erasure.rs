//! What is taken away for good, of one community and nobody else's.

use crate::harness::{Bench, at, cases, change, claim, email, job_id, text};
use crate::webhooks::{insert, message, queue};
use muster_core::field::FieldNumber;
use muster_core::id::{CommunityId, Tenant, UserId};
use muster_core::job::{Counts, JobState};
use muster_core::settings::{AnonymousImport, RetentionDays, Settings};
use muster_core::user::User;
use muster_core::webhook::EventType;
use muster_store::{
    Community, EndOfJob, HistoryFilter, JobRef, KeptOfJob, KeyOwner, Opening, Progress, StoredAnswer, testing,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

cases![
    a_community_keeps_its_name_and_settings,
    an_erased_user_leaves_no_row_and_others_stay,
    the_jobs_of_a_user_are_those_that_changed_it,
    jobs_that_ended_until_a_time_are_cleared_once_each,
    kept_answers_are_listed_and_replaced,
    old_deliveries_go_and_pending_ones_stay,
    a_lease_belongs_to_one_until_it_expires,
    an_erasure_waits_for_the_job_that_it_was_put_off_for,
    no_job_is_made_or_begins_while_they_are_held_back,
];

const CITY: FieldNumber = FieldNumber(16);

async fn a_community_keeps_its_name_and_settings(bench: Bench) {
    let tenant = bench.set_up().await;
    let other = bench.community(2).await;
    let mut tx = bench.begin().await;
    let held = tx.lock_community(tenant).await.expect("it is read").expect("it is there");
    assert_eq!(held.settings, Settings::default());
    let retention_days = RetentionDays { files: Some(9), results: Some(8), ..RetentionDays::default() };
    let settings = Settings { anonymous_import: AnonymousImport::Upsert, retention_days };
    let written = Community { name: "New".to_owned(), settings, ..held };
    assert!(!tx.is_any_community_open().await.expect("it is read"), "no community is open by default");
    tx.write_community(&written).await.expect("it is written");
    assert!(tx.is_any_community_open().await.expect("it is read"));
    assert_eq!(tx.lock_community(Tenant(99)).await.expect("it is read"), None);
    tx.commit().await.expect("it is committed");
    let mut read = bench.read().await;
    assert_eq!(read.find_community(CommunityId::from_bytes([1; 12])).await.expect("it is read"), Some(written));
    let other = read.get_community(other).await.expect("it is read").expect("it is there");
    assert_eq!((other.name.as_str(), other.settings), ("Test", Settings::default()));
    assert_eq!(read.get_settings(tenant).await.expect("they are read"), settings);
}

async fn an_erased_user_leaves_no_row_and_others_stay(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut users = bench.people(tenant, &["a@x.org", "b@x.org"]).await;
    for i in 0..70 {
        let changes = [change(CITY, users[0].values.get(CITY).cloned(), text(&i.to_string()))];
        bench.change(tenant, &mut users[0], &changes, 2, None).await;
    }
    let stranger = bench.community(2).await;
    bench.people(stranger, &["a@x.org"]).await;
    let opening =
        |user: &User| Opening { user: user.id, version: 1, at: at(1), changes: vec![change(CITY, None, text("x"))] };
    let mut tx = bench.begin().await;
    let fields = bench.fields(tenant).await;
    tx.put_openings(tenant, &[opening(&users[0]), opening(&users[1])], &fields).await.expect("they are put");
    tx.erase_user(tenant, users[0].id).await.expect("it is erased");
    tx.commit().await.expect("it is committed");
    let fields = bench.fields(tenant).await;
    let mut read = bench.read().await;
    assert_eq!(read.get_user(tenant, users[0].id, &fields).await.expect("it is read"), None);
    assert_eq!(read.get_user(tenant, users[1].id, &fields).await.expect("it is read").as_ref(), Some(&users[1]));
    let all = read.list_changes(tenant, &HistoryFilter::default(), 100, &fields).await.expect("it is read");
    assert_eq!(all.iter().map(|set| set.user).collect::<Vec<_>>(), [users[1].id]);
    assert_eq!(read.count_openings(tenant).await.expect("they are counted"), 1);
    let blocks = format!("SELECT facet FROM user_blocks WHERE tenant = {}", tenant.0);
    assert!(testing::strings(&bench.store, &blocks).await.is_empty());
    let fields = bench.fields(stranger).await;
    assert!(bench.read().await.get_user(stranger, UserId(1), &fields).await.expect("it is read").is_some());
    let held = bench.read().await.find_users(tenant, muster_store::Among::Live, &[email("b@x.org")]).await;
    assert_eq!(held.expect("it is read"), [(0, users[1].id)]);
}

async fn the_jobs_of_a_user_are_those_that_changed_it(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut users = bench.people(tenant, &["a@x.org", "b@x.org"]).await;
    for (user, job) in [(0, Some(1)), (0, None), (0, Some(2)), (1, Some(3)), (0, Some(2))] {
        let old = users[user].values.get(CITY).cloned();
        let new = text(&format!("{user}{job:?}{}", users[user].version));
        bench.change(tenant, &mut users[user], &[change(CITY, old, new)], 2, job.map(job_id)).await;
    }
    let jobs = bench.read().await.list_jobs_of_user(tenant, users[0].id).await.expect("they are listed");
    assert_eq!(jobs.into_iter().collect::<Vec<_>>(), [job_id(1), job_id(2)]);
    assert!(bench.read().await.list_jobs_of_user(tenant, UserId(99)).await.expect("they are listed").is_empty());
}

async fn end(bench: &Bench, of: JobRef, second: i64) {
    let attempt = bench.claim(of, "w").await.expect("nobody else has it").job.attempt;
    let mut tx = bench.begin().await;
    let progress = Progress { from: 0, to: 1, counts: Counts::default(), affected: 0 };
    assert!(tx.advance_job(of, attempt, &progress).await.expect("it advances"));
    let state = JobState::Completed;
    let end = EndOfJob { state, error: None, results: None, plan: None, received: 0, at: at(second) };
    assert!(tx.end_job(of, attempt, &end).await.expect("it ends"));
    tx.commit().await.expect("it is committed");
}

async fn jobs_that_ended_until_a_time_are_cleared_once_each(bench: Bench) {
    let tenant = bench.set_up().await;
    let stranger = bench.community(2).await;
    let mut jobs = Vec::new();
    for number in 1..=4 {
        jobs.push(bench.submit(tenant, number, None).await);
    }
    end(&bench, jobs[1], 10).await;
    end(&bench, jobs[0], 20).await;
    end(&bench, jobs[2], 30).await;
    let list = async |tenant, what, second, limit| {
        let listed = bench.read().await.list_jobs_to_clear(tenant, what, at(second), limit).await;
        listed.expect("they are listed").into_iter().map(|of| of.id).collect::<Vec<_>>()
    };
    assert_eq!(list(tenant, KeptOfJob::File, 20, 9).await, [job_id(2), job_id(1)]);
    assert_eq!(list(tenant, KeptOfJob::File, 99, 1).await, [job_id(2)]);
    assert!(list(tenant, KeptOfJob::Results, 9, 9).await.is_empty());
    assert!(list(stranger, KeptOfJob::File, 99, 9).await.is_empty());
    for second in [40, 50] {
        let mut tx = bench.begin().await;
        tx.note_file_erased(jobs[1], at(second)).await.expect("it is noted");
        tx.note_results_expired(jobs[0], at(second)).await.expect("it is noted");
        tx.commit().await.expect("it is committed");
    }
    assert_eq!(list(tenant, KeptOfJob::File, 99, 9).await, [job_id(1), job_id(3)]);
    assert_eq!(list(tenant, KeptOfJob::Results, 99, 9).await, [job_id(2), job_id(3)]);
    let (first, second) = (bench.job(jobs[0]).await, bench.job(jobs[1]).await);
    assert_eq!((first.file_erased_at, first.results_expired_at), (None, Some(at(40))));
    assert_eq!((second.file_erased_at, second.results_expired_at), (Some(at(40)), None));
}

async fn kept_answers_are_listed_and_replaced(bench: Bench) {
    let tenant = bench.set_up().await;
    let stranger = bench.community(2).await;
    for (tenant, number) in [(tenant, 1), (tenant, 2), (tenant, 3), (stranger, 4)] {
        let owner = KeyOwner { tenant, key: [number; 32], holder: [1; 16] };
        let mut tx = bench.begin().await;
        assert!(tx.reserve_key(&owner, "somebody").await.expect("it is decided"));
        let answer = StoredAnswer { status: 200, headers: Vec::new(), body: vec![number] };
        // The last one still runs.
        assert!(number == 3 || tx.keep_answer(&owner, b"p", &answer, 1).await.expect("it is decided"));
        tx.commit().await.expect("it is committed");
    }
    let list = async |after: &[u8], limit| bench.read().await.list_answers(tenant, after, limit).await.expect("listed");
    assert_eq!(list(&[], 9).await, [(vec![1; 32], vec![1]), (vec![2; 32], vec![2])]);
    assert_eq!(list(&[1; 32], 1).await, [(vec![2; 32], vec![2])]);
    let mut tx = bench.begin().await;
    tx.replace_answer(tenant, &[2; 32], b"x").await.expect("it is replaced");
    tx.replace_answer(tenant, &[4; 32], b"x").await.expect("that is another community's");
    tx.commit().await.expect("it is committed");
    assert_eq!(list(&[], 9).await[1].1, b"x");
    let theirs = bench.read().await.list_answers(stranger, &[], 9).await.expect("they are listed");
    assert_eq!(theirs, [(vec![4; 32], vec![4])]);
}

async fn old_deliveries_go_and_pending_ones_stay(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    for number in 1..=4 {
        queue(&bench, tenant, i64::from(number) * 10, &[(1, number)]).await;
    }
    let ended = format!("UPDATE webhook_deliveries SET status = 'delivered' WHERE id <> '{}'", message(2));
    testing::execute(&bench.store, &ended).await;
    let delete = async |tenant, second, limit| {
        let mut tx = bench.begin().await;
        let deleted = tx.delete_old_deliveries(tenant, at(second), limit).await.expect("they are removed");
        tx.commit().await.expect("it is committed");
        deleted
    };
    assert_eq!(delete(bench.community(2).await, 99, 9).await, 0);
    assert_eq!((delete(tenant, 30, 1).await, delete(tenant, 30, 9).await, delete(tenant, 30, 9).await), (1, 1, 0));
    let left = testing::strings(&bench.store, "SELECT id FROM webhook_deliveries ORDER BY id").await;
    assert_eq!(left, [message(2).to_string(), message(4).to_string()]);
}

async fn a_lease_belongs_to_one_until_it_expires(bench: Bench) {
    bench.set_up().await;
    let take = async |name: &str, owner: &str| {
        let mut tx = bench.begin().await;
        let taken = tx.take_lease(name, owner, 60).await.expect("it is decided");
        tx.commit().await.expect("it is committed");
        taken
    };
    assert!(take("sweep", "a").await && take("sweep", "a").await && take("other", "b").await);
    assert!(!take("sweep", "b").await);
    testing::execute(&bench.store, "UPDATE leases SET expires_at = 1").await;
    assert!(take("sweep", "b").await && !take("sweep", "a").await);
}

async fn an_erasure_waits_for_the_job_that_it_was_put_off_for(bench: Bench) {
    let tenant = bench.set_up().await;
    let first = bench.submit(tenant, 1, None).await;
    let erasure = bench.submit(tenant, 2, None).await;
    let kind = format!("UPDATE jobs SET kind = 'erase' WHERE id = '{}'", erasure.id);
    testing::execute(&bench.store, &kind).await;
    assert!(bench.read().await.has_open_erasure(tenant).await.expect("it is read"));
    assert!(!bench.read().await.has_open_erasure(Tenant(99)).await.expect("it is read"));
    let attempt = bench.claim(erasure, "w").await.expect("it is claimed").job.attempt;
    let mut tx = bench.begin().await;
    assert!(tx.put_off_job(erasure, attempt, first.id).await.expect("it is decided"));
    assert!(!tx.put_off_job(erasure, attempt, first.id).await.expect("it is decided"), "it was given back");
    tx.commit().await.expect("it is committed");
    assert_eq!(bench.claimable().await, [first.id]);
    let in_the_way = async |second| {
        let listed = bench.read().await.list_jobs_in_the_way(tenant, at(second)).await;
        listed.expect("they are listed").into_iter().map(|of| of.id).collect::<Vec<_>>()
    };
    assert_eq!(in_the_way(2).await, [first.id]);
    assert!(in_the_way(1).await.is_empty(), "it was asked for later");
    end(&bench, first, 9).await;
    assert_eq!(bench.claimable().await, [erasure.id]);
    assert!(in_the_way(2).await.is_empty());
}

async fn no_job_is_made_or_begins_while_they_are_held_back(bench: Bench) {
    let tenant = bench.set_up().await;
    let of = bench.submit(tenant, 1, None).await;
    let mut tx = bench.begin().await;
    tx.lock_community(tenant).await.expect("it is locked");
    tx.hold_jobs_back(tenant).await.expect("they are held back");
    let (began, store) = (Arc::new(AtomicBool::new(false)), bench.again());
    let begins = {
        let began = began.clone();
        tokio::spawn(async move {
            let claimed = claim(&store, of, "w").await.is_some();
            began.store(claimed, Ordering::SeqCst);
        })
    };
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!began.load(Ordering::SeqCst));
    tx.commit().await.expect("it is committed");
    begins.await.expect("it does not panic");
    assert!(began.load(Ordering::SeqCst));
}
