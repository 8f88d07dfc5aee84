//! A community never sees, changes or counts another. Every function that reads or writes is asked as a stranger.

use crate::harness::{Bench, Source, at, cases, change, email, job_id, text};
use crate::webhooks::{hook, message};
use muster_core::field::FieldNumber;
use muster_core::id::{JobId, KeyId, Tenant, UserId};
use muster_core::job::{Counts, JobState};
use muster_core::user::User;
use muster_core::webhook::{DisabledBecause, EventType, Secret};
use muster_store::{
    Among, DeliveryFilter, EndOfJob, HistoryFilter, Job, JobFilter, JobRef, KeyMoves, NewApiKey, Prepared, Progress,
    UserRow, WebhookEdit,
};
use std::collections::BTreeMap;

cases![
    a_stranger_reads_nothing_of_a_community,
    a_stranger_changes_nothing_of_a_community,
    the_same_ids_and_keys_in_two_communities_are_different_users,
    a_stranger_does_nothing_to_a_job,
];

/// A community with a user, a history, an API key, and a job with an outcome; and a stranger with fields only.
async fn set_up(bench: &Bench) -> (Tenant, Tenant, User) {
    let own = bench.set_up().await;
    let stranger = bench.community(2).await;
    let mut user = bench.people(own, &["a@x.org"]).await.remove(0);
    bench.change(own, &mut user, &[change(FieldNumber(16), None, text("Rome"))], 3, Some(job_id(1))).await;
    let of = bench.submit(own, 1, None).await;
    bench.claim(of, "w").await.expect("it is claimed");
    let mut tx = bench.begin().await;
    tx.insert_outcomes(of, 0, b"data").await.expect("they are kept");
    let key = NewApiKey {
        id: KeyId::from_bytes([1; 12]),
        hash: [1; 32],
        name: "key".into(),
        scopes: Vec::new(),
        expires_at: None,
    };
    tx.insert_api_key(own, &key, at(0)).await.expect("it is inserted");
    tx.insert_oauth_token(own, &[2; 32], key.id, at(100), at(0)).await.expect("it is inserted");
    tx.commit().await.expect("it is committed");
    crate::webhooks::insert(bench, own, 1, EventType::ALL).await;
    crate::webhooks::queue(bench, own, 5, &[(1, 1)]).await;
    (own, stranger, user)
}

/// Everything that one can read of a community, as one text for each function.
async fn all(bench: &Bench, tenant: Tenant) -> Vec<String> {
    let fields = bench.fields(tenant).await;
    let (ids, keys) = ([UserId(1)], [email("a@x.org")]);
    let of = JobRef { tenant, id: job_id(1) };
    let mut read = bench.read().await;
    let by_user = HistoryFilter { user: Some(UserId(1)), ..HistoryFilter::default() };
    let by_field = HistoryFilter { field: Some(FieldNumber(16)), ..HistoryFilter::default() };
    let by_job = HistoryFilter { job: Some(job_id(1)), ..HistoryFilter::default() };
    let jobs: Vec<Job<Source>> = read.list_jobs(tenant, &JobFilter::default(), 10).await.expect("it is read");
    let job: Option<Job<Source>> = read.get_job(tenant, job_id(1)).await.expect("it is read");
    let mut texts = vec![
        format!("{jobs:?}"),
        format!("{job:?}"),
        format!("{:?}", read.load_users(tenant, &ids, &fields).await.expect("it is read")),
        format!("{:?}", read.find_users(tenant, Among::Live, &keys).await.expect("it is read")),
        format!("{:?}", read.find_users_by_id(tenant, &ids, true).await.expect("it is read")),
        format!("{:?}", read.list_job_changes(tenant, job_id(1), -1, 10).await.expect("it is read")),
        format!("{:?}", read.list_past(tenant, &[(UserId(1), 1)], &fields).await.expect("it is read")),
        format!("{:?}", read.last_outcomes(of, 1).await.expect("it is read")),
        format!("{:?}", read.get_user(tenant, UserId(1), &fields).await.expect("it is read")),
        format!("{:?}", read.list_users(tenant, UserId(0), 10, &fields).await.expect("it is read")),
        format!("{:?}", read.list_all_users(tenant, UserId(0), 10, &fields).await.expect("it is read")),
        format!("{:?}", read.list_links(tenant, (UserId(0), 0), 10, &fields).await.expect("it is read")),
        format!("{:?}", read.count_user_keys(tenant).await.expect("it is read")),
        format!("{:?}", read.count_open_jobs(tenant).await.expect("it is read")),
        format!("{:?}", read.next_outcomes(of, 0).await.expect("it is read")),
        format!("{:?}", read.find_api_key(tenant, &[1; 32]).await.expect("it is read")),
        format!("{:?}", read.find_api_key_of_token(tenant, &[2; 32], at(1)).await.expect("it is read")),
        format!("{:?}", read.list_api_keys(tenant).await.expect("it is read")),
        format!("{:?}", read.list_webhooks(tenant).await.expect("it is read")),
        format!("{:?}", read.get_webhook(tenant, hook(1)).await.expect("it is read")),
        format!("{:?}", read.list_listeners(tenant, EventType::JobFailed).await.expect("it is read")),
        format!("{:?}", read.get_delivery(tenant, hook(1), message(1)).await.expect("it is read")),
        format!(
            "{:?}",
            read.list_deliveries(tenant, hook(1), &DeliveryFilter::default(), 9).await.expect("it is read")
        ),
    ];
    for filter in [HistoryFilter::default(), by_user, by_field, by_job] {
        let sets = read.list_changes(tenant, &filter, 10, &fields).await.expect("it is read");
        texts.push(format!("{sets:?}"));
    }
    drop(read);
    let mut tx = bench.begin().await;
    texts.push(format!("{:?}", tx.lock_users(tenant, &ids, &fields).await.expect("it is read")));
    texts
}

fn is_nothing(text: &str) -> bool {
    ["[]", "None", "0"].contains(&text)
}

async fn a_stranger_reads_nothing_of_a_community(bench: Bench) {
    let (own, stranger, _) = set_up(&bench).await;
    let (seen, strange) = (all(&bench, own).await, all(&bench, stranger).await);
    assert!(seen.iter().all(|text| !is_nothing(text)), "there is something to see: {seen:?}");
    assert!(strange.iter().all(|text| is_nothing(text)), "{strange:?}");
    let ids = |set: muster_core::field::FieldSet| set.iter().map(|field| field.id).collect::<Vec<_>>();
    let (own, strange) = (ids(bench.fields(own).await), ids(bench.fields(stranger).await));
    assert!(own.iter().all(|id| !strange.contains(id)));
}

async fn a_stranger_changes_nothing_of_a_community(bench: Bench) {
    let (own, stranger, mut user) = set_up(&bench).await;
    let before = all(&bench, own).await;
    let fields = bench.fields(stranger).await;
    user.apply(&[change(FieldNumber(16), text("Rome"), text("Oslo"))], at(9));
    let mut tx = bench.begin().await;
    let rows = vec![UserRow::new(&user, 2, &fields)];
    assert!(!tx.update_users(stranger, rows).await.expect("it is decided"));
    let held = BTreeMap::from([(email("a@x.org"), UserId(1))]);
    let theirs = KeyMoves { releases: held, ..KeyMoves::default() };
    assert!(tx.move_keys(stranger, &theirs).await.expect("nothing is released"));
    tx.insert_oauth_token(stranger, &[3; 32], KeyId::from_bytes([1; 12]), at(300), at(200))
        .await
        .expect("it is inserted");
    let revoked = tx.revoke_api_key(stranger, KeyId::from_bytes([1; 12]), at(1)).await;
    assert_eq!(revoked.expect("it is decided"), None);
    let edit = WebhookEdit { enabled: Some(false), ..WebhookEdit::default() };
    assert_eq!(tx.update_webhook(stranger, hook(1), &edit).await.expect("it is decided"), None);
    let secret = Secret::new("whsec_".into());
    assert_eq!(tx.replace_webhook_secret(stranger, hook(1), &secret, at(9)).await.expect("it is decided"), None);
    assert_eq!(tx.resend_delivery(stranger, hook(1), message(1), at(9)).await.expect("it is decided"), None);
    tx.disable_webhook(stranger, hook(1), DisabledBecause::Gone).await.expect("nothing is disabled");
    assert!(!tx.delete_webhook(stranger, hook(1)).await.expect("it is decided"));
    tx.commit().await.expect("it is committed");
    assert_eq!(all(&bench, own).await, before);
}

async fn the_same_ids_and_keys_in_two_communities_are_different_users(bench: Bench) {
    let (own, stranger, user) = set_up(&bench).await;
    let before = all(&bench, own).await;
    let mut twin = bench.people(stranger, &["A@x.org"]).await.remove(0);
    assert_eq!(twin.id, user.id, "ids are counted for each community by itself");
    bench.change(stranger, &mut twin, &[change(FieldNumber(16), None, text("Oslo"))], 4, None).await;
    let of = bench.submit(stranger, 2, None).await;
    assert_eq!(bench.job(of).await.number, 1);
    assert_eq!(all(&bench, own).await, before);
    let fields = bench.fields(stranger).await;
    let found = bench.read().await.get_user(stranger, twin.id, &fields).await.expect("it is read");
    assert_eq!(found, Some(twin));
}

async fn a_stranger_does_nothing_to_a_job(bench: Bench) {
    let (own, stranger, _) = set_up(&bench).await;
    let before = all(&bench, own).await;
    let id: JobId = job_id(1);
    let of = JobRef { tenant: stranger, id };
    let prepared = Prepared {
        rows: String::new(),
        rows_bytes: 0,
        rows_checksum: String::new(),
        outcomes: String::new(),
        listing: None,
        fields: String::new(),
    };
    let (progress, end) = (
        Progress { from: 0, to: 1, counts: Counts::default(), affected: 0 },
        EndOfJob { state: JobState::Cancelled, error: None, results: None, plan: None, received: 0, at: at(9) },
    );
    assert!(bench.claim(of, "x").await.is_none());
    let mut tx = bench.begin().await;
    assert!(!tx.heartbeat(of, 1, None).await.expect("it is decided"));
    assert!(!tx.pin_prepared(of, 1, &prepared, 0, &Counts::default()).await.expect("it is decided"));
    assert!(!tx.advance_job(of, 1, &progress).await.expect("it is decided"));
    assert!(!tx.release_job(of, 1).await.expect("it is decided"));
    assert!(!tx.lock_job(of).await.expect("it is decided"));
    assert!(!tx.cancel_job(of, at(9)).await.expect("it is decided"));
    assert!(!tx.pause_job(of).await.expect("it is decided"));
    assert!(!tx.resume_job(of).await.expect("it is decided"));
    assert!(!tx.end_job(of, 1, &end).await.expect("it is decided"));
    tx.commit().await.expect("it is committed");
    assert_eq!(all(&bench, own).await, before);
}
