//! Webhooks and their deliveries.

use crate::harness::{Bench, at, cases, job_id};
use muster_core::id::{DeliveryId, Tenant, WebhookId};
use muster_core::webhook::{DeliveryStatus, DisabledBecause, EventType, Secret, SendError};
use muster_store::{
    Attempt, ClaimedDelivery, Delivery, DeliveryFilter, DueDelivery, JobRef, NewWebhook, Store, Verdict, Webhook,
    WebhookEdit, testing,
};

cases![
    a_webhook_is_read_back_with_everything_that_was_said_of_it,
    webhooks_are_changed_by_what_is_given,
    a_secret_that_is_replaced_is_kept_until_then,
    listeners_are_enabled_webhooks_that_want_the_event,
    a_delivery_is_queued_once_for_each_webhook_and_listed_newest_first,
    a_delivery_is_due_at_its_time_and_claimed_by_one,
    many_who_claim_at_once_get_each_delivery_once,
    a_lease_of_a_delivery_that_expired_is_claimed_again_and_its_old_holder_records_nothing,
    one_webhook_does_not_hold_up_the_others,
    an_attempt_is_recorded_with_what_follows,
    a_webhook_that_is_disabled_gives_up_what_is_pending,
    a_webhook_that_was_deleted_leaves_nothing,
    a_delivery_is_sent_again_whatever_became_of_it,
    deliveries_that_end_while_their_webhook_is_changed_do_not_block_each_other,
];

pub fn hook(number: u8) -> WebhookId {
    WebhookId::from_bytes([number; 12])
}

pub fn message(number: u8) -> DeliveryId {
    DeliveryId::from_bytes([number; 12])
}

pub async fn insert(bench: &Bench, tenant: Tenant, number: u8, events: &[EventType]) -> Webhook {
    let new = NewWebhook {
        id: hook(number),
        url: format!("https://example.com/{number}"),
        events: events.to_vec(),
        secret: Secret::new(format!("whsec_{number}")),
        enabled: true,
    };
    let mut tx = bench.begin().await;
    let made = tx.insert_webhook(tenant, &new, at(i64::from(number))).await.expect("it is inserted");
    tx.commit().await.expect("it is committed");
    made
}

/// Queues deliveries of a job that ended at a second: (webhook, delivery).
pub async fn queue(bench: &Bench, tenant: Tenant, second: i64, to: &[(u8, u8)]) {
    let to: Vec<_> = to.iter().map(|(webhook, number)| (hook(*webhook), message(*number))).collect();
    let mut tx = bench.begin().await;
    let of = JobRef { tenant, id: job_id(1) };
    tx.insert_deliveries(of, EventType::JobCompleted, at(second), &to).await.expect("they are queued");
    tx.commit().await.expect("it is committed");
}

async fn due(store: &Store, second: i64) -> Vec<DueDelivery> {
    let mut read = store.read().await.expect("the database answers");
    read.list_due_deliveries(at(second), 4, 100).await.expect("they are listed")
}

async fn claim(store: &Store, due: DueDelivery, second: i64) -> Option<ClaimedDelivery> {
    let mut tx = store.begin().await.expect("a transaction begins");
    let claimed = tx.claim_delivery(due, at(second)).await.expect("it is decided");
    tx.commit().await.expect("it is committed");
    claimed
}

async fn claim_first(bench: &Bench, second: i64) -> ClaimedDelivery {
    let first = due(&bench.store, second).await[0];
    claim(&bench.store, first, second).await.expect("nobody else has it")
}

async fn finish(bench: &Bench, claimed: &ClaimedDelivery, came: &Attempt, verdict: Verdict) -> bool {
    let mut tx = bench.begin().await;
    let recorded = tx.finish_delivery(claimed, came, verdict).await.expect("it is decided");
    tx.commit().await.expect("it is committed");
    recorded
}

async fn get(bench: &Bench, tenant: Tenant, webhook: u8, number: u8) -> Delivery {
    let found = bench.read().await.get_delivery(tenant, hook(webhook), message(number)).await.expect("it is read");
    found.expect("the delivery is there")
}

async fn expire_leases(bench: &Bench) {
    let sql = "UPDATE webhook_queue SET lease_expires_at = 1 WHERE lease_expires_at IS NOT NULL";
    testing::execute(&bench.store, sql).await;
}

fn refused(second: i64) -> Attempt {
    Attempt { at: at(second), status: Some(500), error: Some(SendError::Status), milliseconds: 7 }
}

fn taken(second: i64) -> Attempt {
    Attempt { at: at(second), status: Some(204), error: None, milliseconds: 3 }
}

async fn a_webhook_is_read_back_with_everything_that_was_said_of_it(bench: Bench) {
    let tenant = bench.set_up().await;
    let made = insert(&bench, tenant, 2, &[EventType::JobFailed, EventType::JobPlanned]).await;
    assert_eq!((made.id, made.url.as_str(), made.created_at), (hook(2), "https://example.com/2", at(2)));
    assert_eq!(made.events, [EventType::JobFailed, EventType::JobPlanned]);
    assert_eq!((made.secret.expose(), &made.old_secret), ("whsec_2", &None));
    assert_eq!((made.enabled, made.disabled_because, made.last_delivered_at), (true, None, None));
    let earlier = insert(&bench, tenant, 1, EventType::ALL).await;
    let mut read = bench.read().await;
    assert_eq!(read.list_webhooks(tenant).await.expect("they are read"), [earlier, made.clone()]);
    assert_eq!(read.get_webhook(tenant, hook(2)).await.expect("it is read"), Some(made));
    assert_eq!(read.get_webhook(tenant, hook(3)).await.expect("it is read"), None);
}

async fn webhooks_are_changed_by_what_is_given(bench: Bench) {
    let tenant = bench.set_up().await;
    let made = insert(&bench, tenant, 1, EventType::ALL).await;
    let mut tx = bench.begin().await;
    let nothing = tx.update_webhook(tenant, hook(1), &WebhookEdit::default()).await.expect("it is changed");
    assert_eq!(nothing, Some(made.clone()));
    let edit = WebhookEdit { url: Some("https://b.example".into()), ..WebhookEdit::default() };
    let changed = tx.update_webhook(tenant, hook(1), &edit).await.expect("it is changed").expect("it is there");
    assert_eq!(changed, Webhook { url: "https://b.example".into(), ..made.clone() });

    tx.disable_webhook(tenant, hook(1), DisabledBecause::Gone).await.expect("it is disabled");
    let edit = WebhookEdit { events: Some(vec![EventType::JobFailed]), ..WebhookEdit::default() };
    let changed = tx.update_webhook(tenant, hook(1), &edit).await.expect("it is changed").expect("it is there");
    assert_eq!((changed.enabled, changed.disabled_because), (false, Some(DisabledBecause::Gone)));
    assert_eq!(changed.events, [EventType::JobFailed]);
    for enabled in [true, false] {
        let edit = WebhookEdit { enabled: Some(enabled), ..WebhookEdit::default() };
        let changed = tx.update_webhook(tenant, hook(1), &edit).await.expect("it is changed").expect("it is there");
        assert_eq!((changed.enabled, changed.disabled_because), (enabled, None));
    }
    let absent = tx.update_webhook(tenant, hook(2), &WebhookEdit::default()).await.expect("it is looked for");
    assert_eq!(absent, None);
    tx.commit().await.expect("it is committed");
}

async fn a_secret_that_is_replaced_is_kept_until_then(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    let mut tx = bench.begin().await;
    for (new, old) in [("whsec_b", "whsec_1"), ("whsec_c", "whsec_b")] {
        let secret = Secret::new(new.into());
        let changed = tx.replace_webhook_secret(tenant, hook(1), &secret, at(50)).await.expect("it is replaced");
        let changed = changed.expect("it is there");
        assert_eq!((changed.secret.expose(), changed.old_secret), (new, Some((Secret::new(old.into()), at(50)))));
    }
    let absent = tx.replace_webhook_secret(tenant, hook(2), &Secret::new("whsec_".into()), at(50)).await;
    assert_eq!(absent.expect("it is looked for"), None);
    tx.commit().await.expect("it is committed");
}

async fn listeners_are_enabled_webhooks_that_want_the_event(bench: Bench) {
    let tenant = bench.set_up().await;
    let mut read = bench.read().await;
    assert_eq!(read.list_listeners(tenant, EventType::JobFailed).await.expect("they are read"), []);
    insert(&bench, tenant, 1, EventType::ALL).await;
    insert(&bench, tenant, 2, &[EventType::JobFailed]).await;
    insert(&bench, tenant, 3, EventType::ALL).await;
    let mut tx = bench.begin().await;
    tx.disable_webhook(tenant, hook(3), DisabledBecause::Failing).await.expect("it is disabled");
    tx.commit().await.expect("it is committed");
    assert_eq!(read.list_listeners(tenant, EventType::JobFailed).await.expect("they are read"), [hook(1), hook(2)]);
    assert_eq!(read.list_listeners(tenant, EventType::JobPlanned).await.expect("they are read"), [hook(1)]);
}

async fn a_delivery_is_queued_once_for_each_webhook_and_listed_newest_first(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    insert(&bench, tenant, 2, EventType::ALL).await;
    queue(&bench, tenant, 5, &[(1, 1), (2, 9)]).await;
    queue(&bench, tenant, 6, &[(1, 3)]).await;
    queue(&bench, tenant, 6, &[(1, 2)]).await;
    queue(&bench, tenant, 6, &[]).await;
    let expected = Delivery {
        tenant,
        id: message(1),
        webhook: hook(1),
        job: job_id(1),
        event: EventType::JobCompleted,
        occurred_at: at(5),
        status: DeliveryStatus::Pending,
        attempts: 0,
        last_attempt_at: None,
        last_status: None,
        last_milliseconds: None,
        error: None,
        due_at: Some(at(5)),
    };
    assert_eq!(get(&bench, tenant, 1, 1).await, expected);
    let mut read = bench.read().await;
    assert_eq!(read.get_delivery(tenant, hook(2), message(1)).await.expect("it is read"), None, "it is another's");
    let mut list = async |before, status, limit| {
        let filter = DeliveryFilter { status, before };
        let listed = read.list_deliveries(tenant, hook(1), &filter, limit).await.expect("they are read");
        listed.into_iter().map(|delivery| delivery.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 10).await, [message(3), message(2), message(1)]);
    assert_eq!(list(None, None, 2).await, [message(3), message(2)]);
    assert_eq!(list(Some((at(6), message(3))), None, 10).await, [message(2), message(1)]);
    assert_eq!(list(Some((at(6), message(2))), Some(DeliveryStatus::Pending), 10).await, [message(1)]);
    assert_eq!(list(None, Some(DeliveryStatus::Failed), 10).await, []);
}

async fn a_delivery_is_due_at_its_time_and_claimed_by_one(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    queue(&bench, tenant, 5, &[(1, 1)]).await;
    let expected = DueDelivery { tenant, webhook: hook(1), id: message(1) };
    assert_eq!(due(&bench.store, 4).await, []);
    assert!(claim(&bench.store, expected, 4).await.is_none());
    assert_eq!(due(&bench.store, 5).await, [expected]);
    let claimed = claim(&bench.store, expected, 5).await.expect("nobody else has it");
    assert_eq!((claimed.attempt, claimed.delivery.id, claimed.webhook.id), (1, message(1), hook(1)));
    assert_eq!(due(&bench.again(), 99).await, []);
    assert!(claim(&bench.again(), expected, 99).await.is_none());
}

async fn many_who_claim_at_once_get_each_delivery_once(bench: Bench) {
    let tenant = bench.set_up().await;
    for webhook in 1..=4 {
        insert(&bench, tenant, webhook, EventType::ALL).await;
        for number in 0..4 {
            queue(&bench, tenant, 5, &[(webhook, 4 * webhook + number)]).await;
        }
    }
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let store = bench.again();
            tokio::spawn(async move {
                let mut claimed = Vec::new();
                for one in due(&store, 5).await {
                    claimed.extend(claim(&store, one, 5).await.map(|claimed| claimed.delivery.id));
                }
                claimed
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for task in tasks {
        claimed.extend(task.await.expect("it does not panic"));
    }
    claimed.sort();
    assert_eq!(claimed, (4..20).map(message).collect::<Vec<_>>());
}

async fn a_lease_of_a_delivery_that_expired_is_claimed_again_and_its_old_holder_records_nothing(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    queue(&bench, tenant, 5, &[(1, 1)]).await;
    let stalled = claim_first(&bench, 5).await;
    expire_leases(&bench).await;
    let second = claim_first(&bench, 5).await;
    assert_eq!((stalled.attempt, second.attempt), (1, 2));
    for verdict in [Verdict::Delivered, Verdict::Again(at(9)), Verdict::GivenUp(Some(DisabledBecause::Gone))] {
        assert!(!finish(&bench, &stalled, &taken(6), verdict).await);
    }
    assert_eq!((get(&bench, tenant, 1, 1).await.attempts, due(&bench.store, 99).await), (0, vec![]));
    assert!(finish(&bench, &second, &taken(7), Verdict::Delivered).await);
    assert!(!finish(&bench, &second, &taken(7), Verdict::Delivered).await, "it is done");
    assert_eq!(get(&bench, tenant, 1, 1).await.attempts, 1);
    let webhook = bench.read().await.get_webhook(tenant, hook(1)).await.expect("it is read").expect("it is there");
    assert!(webhook.enabled);
}

async fn one_webhook_does_not_hold_up_the_others(bench: Bench) {
    let tenant = bench.set_up().await;
    let other = bench.community(2).await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    insert(&bench, other, 1, EventType::ALL).await;
    for number in 0..20 {
        queue(&bench, tenant, i64::from(number), &[(1, number)]).await;
    }
    queue(&bench, other, 30, &[(1, 0)]).await;
    let mut read = bench.read().await;
    let listed = read.list_due_deliveries(at(99), 3, 100).await.expect("they are listed");
    let numbers: Vec<_> = listed.iter().map(|due| (due.tenant, due.id)).collect();
    assert_eq!(numbers, [(tenant, message(0)), (tenant, message(1)), (tenant, message(2)), (other, message(0))]);
    assert_eq!(read.list_due_deliveries(at(99), 3, 2).await.expect("they are listed").len(), 2);
}

async fn an_attempt_is_recorded_with_what_follows(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    queue(&bench, tenant, 5, &[(1, 1)]).await;
    let claimed = claim_first(&bench, 5).await;
    assert!(finish(&bench, &claimed, &refused(6), Verdict::Again(at(20))).await);
    let delivery = get(&bench, tenant, 1, 1).await;
    assert_eq!((delivery.status, delivery.attempts, delivery.due_at), (DeliveryStatus::Pending, 1, Some(at(20))));
    assert_eq!((delivery.last_attempt_at, delivery.last_status), (Some(at(6)), Some(500)));
    assert_eq!((delivery.last_milliseconds, delivery.error), (Some(7), Some(SendError::Status)));
    assert_eq!(due(&bench.store, 19).await, []);

    let claimed = claim_first(&bench, 20).await;
    assert_eq!(claimed.attempt, 2);
    assert!(finish(&bench, &claimed, &taken(21), Verdict::Delivered).await);
    let delivery = get(&bench, tenant, 1, 1).await;
    assert_eq!((delivery.status, delivery.attempts, delivery.due_at), (DeliveryStatus::Delivered, 2, None));
    assert_eq!((delivery.last_status, delivery.error), (Some(204), None));
    let webhook = bench.read().await.get_webhook(tenant, hook(1)).await.expect("it is read").expect("it is there");
    assert_eq!(webhook.last_delivered_at, Some(at(21)));

    queue(&bench, tenant, 30, &[(1, 2)]).await;
    let claimed = claim_first(&bench, 30).await;
    let broken = Attempt { at: at(31), status: None, error: Some(SendError::Timeout), milliseconds: 10_000 };
    assert!(finish(&bench, &claimed, &broken, Verdict::GivenUp(None)).await);
    let delivery = get(&bench, tenant, 1, 2).await;
    assert_eq!((delivery.status, delivery.error), (DeliveryStatus::Failed, Some(SendError::Timeout)));
    assert_eq!((delivery.last_status, delivery.due_at), (None, None));
    assert_eq!(due(&bench.store, 99).await, []);
}

async fn a_webhook_that_is_disabled_gives_up_what_is_pending(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    insert(&bench, tenant, 2, EventType::ALL).await;
    queue(&bench, tenant, 5, &[(1, 1), (2, 9)]).await;
    queue(&bench, tenant, 6, &[(1, 2)]).await;
    let claimed = claim_first(&bench, 5).await;
    assert!(finish(&bench, &claimed, &refused(6), Verdict::GivenUp(Some(DisabledBecause::Gone))).await);
    let webhook = bench.read().await.get_webhook(tenant, hook(1)).await.expect("it is read").expect("it is there");
    assert_eq!((webhook.enabled, webhook.disabled_because), (false, Some(DisabledBecause::Gone)));
    assert_eq!(get(&bench, tenant, 1, 1).await.error, Some(SendError::Status));
    let other = get(&bench, tenant, 1, 2).await;
    assert_eq!((other.status, other.error, other.attempts), (DeliveryStatus::Failed, Some(SendError::Disabled), 0));
    assert_eq!(get(&bench, tenant, 2, 9).await.status, DeliveryStatus::Pending, "it goes to another webhook");

    // Recorded by somebody who had read the webhook before it was disabled.
    queue(&bench, tenant, 7, &[(1, 3)]).await;
    let late = DueDelivery { tenant, webhook: hook(1), id: message(3) };
    assert!(claim(&bench.store, late, 7).await.is_none());
    assert_eq!(get(&bench, tenant, 1, 3).await.error, Some(SendError::Disabled));

    let mut tx = bench.begin().await;
    let edit = WebhookEdit { enabled: Some(false), ..WebhookEdit::default() };
    tx.update_webhook(tenant, hook(2), &edit).await.expect("it is disabled");
    tx.commit().await.expect("it is committed");
    assert_eq!(get(&bench, tenant, 2, 9).await.error, Some(SendError::Disabled));
    assert_eq!(due(&bench.store, 99).await, []);
}

async fn a_webhook_that_was_deleted_leaves_nothing(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    insert(&bench, tenant, 2, EventType::ALL).await;
    queue(&bench, tenant, 5, &[(1, 1), (2, 2)]).await;
    let claimed = claim_first(&bench, 5).await;
    let mut tx = bench.begin().await;
    assert!(tx.delete_webhook(tenant, hook(1)).await.expect("it is deleted"));
    assert!(!tx.delete_webhook(tenant, hook(1)).await.expect("it is looked for"));
    tx.commit().await.expect("it is committed");
    assert!(!finish(&bench, &claimed, &taken(6), Verdict::Delivered).await);
    // Recorded by somebody who had read the webhook before it was deleted.
    queue(&bench, tenant, 5, &[(1, 3)]).await;
    let late = DueDelivery { tenant, webhook: hook(1), id: message(3) };
    assert!(claim(&bench.store, late, 5).await.is_none());
    let ids = |due: Vec<DueDelivery>| due.into_iter().map(|due| due.id).collect::<Vec<_>>();
    assert_eq!(ids(due(&bench.store, 99).await), [message(2)]);
    for table in ["webhooks", "webhook_deliveries", "webhook_queue"] {
        let rows = testing::strings(&bench.store, &format!("SELECT 'a row' FROM {table}")).await;
        assert_eq!(rows.len(), 1, "{table} has that of the other webhook");
    }
}

async fn a_delivery_is_sent_again_whatever_became_of_it(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    queue(&bench, tenant, 5, &[(1, 1)]).await;
    let resend = async |webhook, number, second| {
        let mut tx = bench.begin().await;
        let queued =
            tx.resend_delivery(tenant, hook(webhook), message(number), at(second)).await.expect("it is decided");
        tx.commit().await.expect("it is committed");
        queued
    };
    let claimed = claim_first(&bench, 5).await;
    assert!(finish(&bench, &claimed, &taken(6), Verdict::Delivered).await);
    let again = resend(1, 1, 10).await.expect("it is there");
    assert_eq!((again.status, again.attempts, again.due_at), (DeliveryStatus::Pending, 1, Some(at(10))));
    let claimed = claim_first(&bench, 10).await;
    assert_eq!(claimed.attempt, 1, "retries are counted anew");
    assert!(finish(&bench, &claimed, &refused(11), Verdict::Again(at(500))).await);
    resend(1, 1, 12).await.expect("it is there");
    let claimed = claim_first(&bench, 12).await;
    // While it is being sent, nobody else gets it.
    resend(1, 1, 13).await.expect("it is there");
    assert_eq!(due(&bench.store, 99).await, []);
    assert!(finish(&bench, &claimed, &taken(14), Verdict::Delivered).await);
    assert_eq!(get(&bench, tenant, 1, 1).await.attempts, 3);
    assert_eq!((resend(2, 1, 15).await, resend(1, 2, 15).await), (None, None));
}

async fn deliveries_that_end_while_their_webhook_is_changed_do_not_block_each_other(bench: Bench) {
    let tenant = bench.set_up().await;
    insert(&bench, tenant, 1, EventType::ALL).await;
    let edit = |enabled| WebhookEdit { enabled: Some(enabled), ..WebhookEdit::default() };
    for round in 0..10 {
        let numbers: Vec<u8> = (0..8).map(|number| 8 * round + number).collect();
        let mut tx = bench.begin().await;
        tx.update_webhook(tenant, hook(1), &edit(true)).await.expect("it is enabled");
        tx.commit().await.expect("it is committed");
        for number in &numbers {
            queue(&bench, tenant, 5, &[(1, *number)]).await;
        }
        let mut tasks = tokio::task::JoinSet::new();
        for number in numbers {
            let store = bench.store.clone();
            tasks.spawn(async move {
                let one = DueDelivery { tenant, webhook: hook(1), id: message(number) };
                let Some(claimed) = claim(&store, one, 5).await else { return };
                let verdict = match number % 8 {
                    0 => Verdict::GivenUp(Some(DisabledBecause::Gone)),
                    1 => Verdict::Again(at(9)),
                    _ => Verdict::Delivered,
                };
                let mut tx = store.begin().await.expect("a transaction begins");
                tx.finish_delivery(&claimed, &taken(6), verdict).await.expect("nobody blocks it");
                tx.commit().await.expect("it is committed");
            });
            let (store, edit) = (bench.store.clone(), edit(false));
            tasks.spawn(async move {
                let mut tx = store.begin().await.expect("a transaction begins");
                match number % 8 {
                    7 => drop(tx.update_webhook(tenant, hook(1), &edit).await.expect("nobody blocks it")),
                    _ => drop(
                        tx.resend_delivery(tenant, hook(1), message(number), at(6)).await.expect("nobody blocks it"),
                    ),
                }
                tx.commit().await.expect("it is committed");
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("it does not panic");
        }
        let mut tx = bench.begin().await;
        tx.update_webhook(tenant, hook(1), &edit(false)).await.expect("it is disabled");
        tx.commit().await.expect("it is committed");
        assert_eq!(due(&bench.store, 99).await, []);
        let pending = "SELECT id FROM webhook_deliveries WHERE status = 'pending'";
        assert!(testing::strings(&bench.store, pending).await.is_empty());
    }
}
