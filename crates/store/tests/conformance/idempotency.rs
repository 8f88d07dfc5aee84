//! Idempotency keys: reserved once, answered once, gone when they have expired.

use crate::harness::{Bench, cases};
use muster_core::id::{JobId, Tenant};
use muster_store::{KeptRequest, KeptState, KeyOwner, StoredAnswer, testing};

cases![
    a_key_is_reserved_once_however_many_try_at_the_same_time,
    an_answer_is_kept_as_it_was_given,
    a_reservation_that_lapsed_belongs_to_the_next_who_asks,
    a_reservation_is_extended_and_given_back_by_its_holder_only,
    an_answer_stays_until_it_expires_and_is_then_removed,
    the_reservations_of_all_are_given_back_and_no_answer,
    a_key_is_another_one_in_another_community,
    a_key_that_is_bound_to_a_job_stays_with_it_until_it_is_answered,
];

fn owner(tenant: Tenant, holder: u8) -> KeyOwner {
    KeyOwner { tenant, key: [7; 32], holder: [holder; 16] }
}

fn answer() -> StoredAnswer {
    let headers = vec![("location".to_owned(), "/v1/jobs/1".to_owned())];
    StoredAnswer { status: 202, headers, body: vec![0, 1, 0xFF] }
}

fn job() -> JobId {
    JobId::from_bytes([7; 12])
}

fn running(actor: &str) -> KeptRequest {
    KeptRequest { actor: actor.to_owned(), fingerprint: Vec::new(), state: KeptState::Running }
}

async fn bind(bench: &Bench, owner: &KeyOwner) -> bool {
    let mut tx = bench.begin().await;
    let bound = tx.bind_key(owner, b"print", job(), 1).await.expect("it is decided");
    tx.commit().await.expect("it is committed");
    bound
}

async fn reserve(bench: &Bench, owner: &KeyOwner) -> bool {
    let mut tx = bench.begin().await;
    let reserved = tx.reserve_key(owner, "somebody").await.expect("it is decided");
    tx.commit().await.expect("it is committed");
    reserved
}

async fn keep(bench: &Bench, owner: &KeyOwner) -> bool {
    let mut tx = bench.begin().await;
    let kept = tx.keep_answer(owner, b"print", &answer(), 1).await.expect("it is decided");
    tx.commit().await.expect("it is committed");
    kept
}

async fn find(bench: &Bench, tenant: Tenant) -> Option<KeptRequest> {
    bench.read().await.find_kept_request(tenant, &[7; 32]).await.expect("it is read")
}

async fn expire(bench: &Bench) {
    testing::execute(&bench.store, "UPDATE idempotency_keys SET expires_at = 1").await;
}

async fn sweep(bench: &Bench, limit: i64) -> u64 {
    let mut tx = bench.begin().await;
    let removed = tx.delete_expired_keys(limit).await.expect("they are removed");
    tx.commit().await.expect("it is committed");
    removed
}

async fn a_key_is_reserved_once_however_many_try_at_the_same_time(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut tasks = Vec::new();
    for holder in 0..8 {
        let store = bench.again();
        tasks.push(tokio::spawn(async move {
            let mut tx = store.begin().await.expect("a transaction begins");
            let reserved = tx.reserve_key(&owner(tenant, holder), "somebody").await.expect("it is decided");
            tx.commit().await.expect("it is committed");
            reserved
        }));
    }
    let mut reserved = 0;
    for task in tasks {
        reserved += usize::from(task.await.expect("it does not panic"));
    }
    assert_eq!(reserved, 1);
    assert_eq!(find(&bench, tenant).await, Some(running("somebody")));
}

async fn an_answer_is_kept_as_it_was_given(bench: Bench) {
    let tenant = bench.set_up().await;
    assert_eq!(find(&bench, tenant).await, None);
    assert!(!keep(&bench, &owner(tenant, 1)).await, "it is not reserved");
    assert!(reserve(&bench, &owner(tenant, 1)).await);
    assert!(!keep(&bench, &owner(tenant, 2)).await, "somebody else has it");
    assert!(keep(&bench, &owner(tenant, 1)).await);
    let (actor, fingerprint) = ("somebody".to_owned(), b"print".to_vec());
    let kept = KeptRequest { actor, fingerprint, state: KeptState::Answered(answer()) };
    assert_eq!(find(&bench, tenant).await, Some(kept));
    assert!(!keep(&bench, &owner(tenant, 1)).await, "there is one answer");
}

async fn a_reservation_that_lapsed_belongs_to_the_next_who_asks(bench: Bench) {
    let tenant = bench.set_up().await;
    let (first, second) = (owner(tenant, 1), owner(tenant, 2));
    assert!(reserve(&bench, &first).await);
    expire(&bench).await;
    assert_eq!(find(&bench, tenant).await, None);
    assert!(reserve(&bench, &second).await);
    assert!(!keep(&bench, &first).await, "it has lost its key");
    assert!(keep(&bench, &second).await);
}

async fn a_reservation_is_extended_and_given_back_by_its_holder_only(bench: Bench) {
    let tenant = bench.set_up().await;
    let (holder, other) = (owner(tenant, 1), owner(tenant, 2));
    assert!(reserve(&bench, &holder).await);
    expire(&bench).await;
    let mut tx = bench.begin().await;
    assert!(!tx.extend_reservation(&other).await.expect("it is decided"));
    assert!(tx.extend_reservation(&holder).await.expect("it is decided"));
    tx.release_reservation(&other).await.expect("nothing is given back");
    tx.commit().await.expect("it is committed");
    assert!(!reserve(&bench, &other).await, "the lease has begun anew");
    let mut tx = bench.begin().await;
    tx.release_reservation(&holder).await.expect("it is given back");
    tx.commit().await.expect("it is committed");
    assert!(reserve(&bench, &other).await);
}

async fn an_answer_stays_until_it_expires_and_is_then_removed(bench: Bench) {
    let tenant = bench.set_up().await;
    let holder = owner(tenant, 1);
    assert!(reserve(&bench, &holder).await);
    assert!(keep(&bench, &holder).await);
    let mut tx = bench.begin().await;
    tx.release_reservation(&holder).await.expect("an answer is not given back");
    assert!(!tx.extend_reservation(&holder).await.expect("it is decided"));
    tx.commit().await.expect("it is committed");
    assert!(!reserve(&bench, &owner(tenant, 2)).await);
    assert_eq!(sweep(&bench, 10).await, 0);
    let now = bench.store.dialect().now();
    let rounded = format!("SELECT CAST((expires_at - {now} + 1800000000) / 3600000000 AS TEXT) FROM idempotency_keys");
    assert_eq!(testing::strings(&bench.store, &rounded).await, ["24"], "hours, however slow this was");

    let another = KeyOwner { key: [8; 32], ..holder };
    assert!(reserve(&bench, &another).await);
    expire(&bench).await;
    assert_eq!(find(&bench, tenant).await, None, "what has expired is as if it were not there");
    assert_eq!((sweep(&bench, 1).await, sweep(&bench, 10).await, sweep(&bench, 10).await), (1, 1, 0));
}

async fn the_reservations_of_all_are_given_back_and_no_answer(bench: Bench) {
    let tenant = bench.set_up().await;
    let (answered, running) = (owner(tenant, 1), KeyOwner { key: [8; 32], ..owner(tenant, 2) });
    assert!(reserve(&bench, &answered).await && reserve(&bench, &running).await);
    assert!(keep(&bench, &answered).await);
    let mut tx = bench.begin().await;
    assert_eq!(tx.release_all_reservations().await.expect("they are given back"), 1);
    tx.commit().await.expect("it is committed");
    assert!(!reserve(&bench, &answered).await);
    assert!(reserve(&bench, &running).await);
}

async fn a_key_is_another_one_in_another_community(bench: Bench) {
    let own = bench.set_up().await;
    let stranger = bench.community(2).await;
    assert!(reserve(&bench, &owner(own, 1)).await);
    assert_eq!(find(&bench, stranger).await, None);
    let strange = owner(stranger, 1);
    assert!(!keep(&bench, &strange).await);
    let mut tx = bench.begin().await;
    assert!(!tx.extend_reservation(&strange).await.expect("it is decided"));
    tx.release_reservation(&strange).await.expect("nothing is given back");
    tx.commit().await.expect("it is committed");
    assert!(reserve(&bench, &strange).await, "the same key there is free");
    assert!(keep(&bench, &owner(own, 1)).await, "and nobody touched this one");
}

async fn a_key_that_is_bound_to_a_job_stays_with_it_until_it_is_answered(bench: Bench) {
    let tenant = bench.set_up().await;
    let (holder, other) = (owner(tenant, 1), owner(tenant, 2));
    assert!(!bind(&bench, &holder).await, "it is not reserved");
    assert!(reserve(&bench, &holder).await);
    assert!(
        !bind(&bench, &other).await && !bind(&bench, &owner(bench.community(2).await, 1)).await,
        "it is not theirs"
    );
    assert!(bind(&bench, &holder).await && !bind(&bench, &holder).await, "once");
    let (actor, fingerprint) = ("somebody".to_owned(), b"print".to_vec());
    assert_eq!(find(&bench, tenant).await, Some(KeptRequest { actor, fingerprint, state: KeptState::Bound(job()) }));

    let mut tx = bench.begin().await;
    tx.release_reservation(&holder).await.expect("what has an effect is not given back");
    assert!(!tx.extend_reservation(&holder).await.expect("nor is it a lease any more"));
    assert_eq!(tx.release_all_reservations().await.expect("it is none"), 0);
    tx.commit().await.expect("it is committed");
    assert!(!reserve(&bench, &other).await && !keep(&bench, &other).await, "nobody else answers it");
    let now = bench.store.dialect().now();
    let rounded = format!("SELECT CAST((expires_at - {now} + 1800000000) / 3600000000 AS TEXT) FROM idempotency_keys");
    assert_eq!(testing::strings(&bench.store, &rounded).await, ["24"], "hours, however slow this was");
    assert!(keep(&bench, &holder).await);
    assert!(matches!(find(&bench, tenant).await, Some(KeptRequest { state: KeptState::Answered(_), .. })));

    expire(&bench).await;
    assert!(reserve(&bench, &other).await);
    assert_eq!(find(&bench, tenant).await, Some(running("somebody")), "a new request, without the job of the old one");
}
