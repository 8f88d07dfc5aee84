//! Webhooks: what is told, that it is signed, and that it arrives at least once.

use crate::harness::{Bench, Place, drain, places};
use crate::receiver::{Answer, Receiver};
use muster_core::Code;
use muster_core::id::WebhookId;
use muster_core::job::{JobKind, JobState};
use muster_core::webhook::{DeliveryStatus, DisabledBecause, EventType, SendError};
use muster_engine::{
    Clock, Deliverer, Delivery, DeliveryFilter, DeliveryTick, Fault, Faults, JobView, MadeWebhook, Targets, Verdict,
    WebhookEdit, WebhookRequest, Worker,
};
use muster_store::testing;
use serde_json::{Value, json};
use std::time::Duration;

const PEOPLE: &str = "email,points\nann@x.org,1\nbob@x.org,nothing\n";
const HOUR: Duration = Duration::from_secs(3_600);

fn show(view: JobView) -> Value {
    json!({"id": view.job.id.to_string(), "state": view.job.state.as_str()})
}

fn clock() -> Clock {
    Clock::fixed("2026-01-31T09:30:00.000001Z".parse().expect("it is a time"))
}

fn open(receiver: &Receiver) -> Targets {
    Targets { allow_private: true, ports: vec![receiver.address.port()] }
}

async fn set_up(place: &Place, clock: &Clock, receiver: &Receiver) -> (Bench, Deliverer, MadeWebhook) {
    let bench = place.set_up_at(clock.clone(), Faults::none()).await;
    bench.engine.allow_targets(open(receiver));
    let deliverer = Deliverer::new(&bench.engine, show).expect("a deliverer can be made");
    let made = hook(&bench, &receiver.url(), None).await;
    (bench, deliverer, made)
}

async fn hook(bench: &Bench, url: &str, events: Option<Vec<EventType>>) -> MadeWebhook {
    let new = WebhookRequest { url: url.to_owned(), events, enabled: true };
    bench.engine.create_webhook(&bench.caller, &new).await.expect("it is made")
}

async fn log(bench: &Bench, id: WebhookId) -> Vec<Delivery> {
    let listed = bench.engine.list_deliveries(&bench.caller, id, &DeliveryFilter::default(), 100).await;
    listed.expect("they are listed").deliveries
}

async fn expire_leases(bench: &Bench) {
    let sql = "UPDATE webhook_queue SET lease_expires_at = 1 WHERE lease_expires_at IS NOT NULL";
    testing::execute(bench.engine.store(), sql).await;
}

async fn tick(deliverer: &Deliverer) -> DeliveryTick {
    deliverer.tick().await.expect("the database answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_job_is_told_signed_to_those_who_want_to_know() {
    for place in places().await {
        let (receiver, clock) = (Receiver::start(&[]).await, clock());
        let (bench, deliverer, made) = set_up(&place, &clock, &receiver).await;
        let other = hook(&bench, &receiver.url(), Some(vec![EventType::JobFailed])).await;
        assert_eq!(tick(&deliverer).await, DeliveryTick::Idle);

        let job = bench.import(PEOPLE).await;
        let sent = log(&bench, made.webhook.id).await.remove(0);
        assert_eq!((sent.status, sent.event, sent.job), (DeliveryStatus::Pending, EventType::JobCompleted, job.id));
        assert_eq!(tick(&deliverer).await, DeliveryTick::Sent(sent.id, Verdict::Delivered));
        assert_eq!(tick(&deliverer).await, DeliveryTick::Idle);
        assert!(log(&bench, other.webhook.id).await.is_empty());

        let request = receiver.received().remove(0);
        assert_eq!(request.line, "POST /hook?a=b HTTP/1.1");
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["webhook-id"], sent.id.to_string());
        assert_eq!(request.headers["webhook-timestamp"], "1769851800");
        let body: Value = serde_json::from_slice(&request.body).expect("it is JSON");
        assert_eq!(
            body,
            json!({"type": "job.completed", "timestamp": "2026-01-31T09:30:00.000001Z",
                   "data": {"id": job.id.to_string(), "state": "completed"}})
        );
        let [message, seconds] = ["webhook-id", "webhook-timestamp"].map(|name| &request.headers[name]);
        let expected = by_hand::signature(made.secret.expose(), message, seconds, &request.body);
        assert_eq!(request.headers["webhook-signature"], expected);

        let delivery = log(&bench, made.webhook.id).await.remove(0);
        assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Delivered, 1));
        assert_eq!((delivery.last_status, delivery.error, delivery.due_at), (Some(204), None, None));
        let webhook = bench.engine.get_webhook(&bench.caller, made.webhook.id).await.expect("it is there");
        assert_eq!(webhook.last_delivered_at, Some(clock.now()));
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_fail_or_are_cancelled_are_told_as_that() {
    for place in places().await {
        let (receiver, clock) = (Receiver::start(&[]).await, clock());
        let (bench, deliverer, made) = set_up(&place, &clock, &receiver).await;
        let failed = bench.update("email,points\nann@x.org,\"never closed\n").await;
        assert_eq!(failed.state, JobState::Failed);
        let job = bench.submit(JobKind::Import, &[], PEOPLE.as_bytes()).await.expect("it is accepted");
        bench.engine.cancel_job(&bench.caller, job.id).await.expect("it is cancelled");
        bench.run().await;
        let mut events: Vec<_> = log(&bench, made.webhook.id).await.iter().map(|one| (one.event, one.job)).collect();
        events.sort_unstable_by_key(|(event, _)| *event);
        assert_eq!(events, [(EventType::JobFailed, failed.id), (EventType::JobCancelled, job.id)]);
        while tick(&deliverer).await != DeliveryTick::Idle {}
        assert_eq!(receiver.received().len(), 2);
        bench.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_recorded_exactly_once_whatever_dies_when() {
    for point in ["apply.committed", "finish.merged", "finish.ended"] {
        for place in places().await {
            let receiver = Receiver::start(&[]).await;
            let faults = Faults::none();
            let bench = place.set_up_at(clock(), faults.clone()).await;
            bench.engine.allow_targets(open(&receiver));
            let made = hook(&bench, &receiver.url(), None).await;
            faults.plan(point, 0, Fault::Crash);
            bench.submit(JobKind::Import, &[], PEOPLE.as_bytes()).await.expect("it is accepted");
            let mut dying = Worker::new(&bench.engine).expect("a worker");
            drain(&mut dying).await;
            let recorded = log(&bench, made.webhook.id).await.len();
            assert_eq!(recorded, usize::from(point == "finish.ended"), "after dying at {point}");
            testing::execute(
                bench.engine.store(),
                "UPDATE jobs SET lease_expires_at = 1 WHERE lease_owner IS NOT NULL",
            )
            .await;
            let reborn = bench.reopened(&place, Faults::none());
            reborn.run().await;
            assert_eq!(log(&reborn, made.webhook.id).await.len(), 1, "after dying at {point}");
            reborn.check().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_sent_again_later_and_later_under_the_same_id() {
    for place in places().await {
        let answers: [Answer; 4] = [Some("500 Oh"), Some("302 Found\r\nlocation: /other"), None, Some("404 No")];
        let (receiver, clock) = (Receiver::start(&answers).await, clock());
        let (bench, deliverer, made) = set_up(&place, &clock, &receiver).await;
        bench.import(PEOPLE).await;
        let waits = [5, 300, 1_800, 7_200];
        for (i, wait) in waits.into_iter().enumerate() {
            let DeliveryTick::Sent(_, Verdict::Again(at)) = tick(&deliverer).await else {
                panic!("attempt {i} did not fail");
            };
            let seconds = at.duration_since(clock.now()).as_secs_f64();
            let wait = f64::from(wait);
            assert!((wait..=wait * 1.1).contains(&seconds), "{seconds} after attempt {i}");
            assert_eq!(tick(&deliverer).await, DeliveryTick::Idle, "it is not due yet");
            let delivery = log(&bench, made.webhook.id).await.remove(0);
            assert_eq!(
                (delivery.status, delivery.attempts, delivery.due_at),
                (DeliveryStatus::Pending, i as u32 + 1, Some(at))
            );
            assert_eq!(delivery.last_status, [Some(500), Some(302), None, Some(404)][i]);
            let error = if i == 2 { SendError::Unreachable } else { SendError::Status };
            assert_eq!(delivery.error, Some(error));
            clock.advance(Duration::from_secs_f64(seconds + 0.001));
        }
        assert!(matches!(tick(&deliverer).await, DeliveryTick::Sent(_, Verdict::Delivered)));
        let received = receiver.received();
        assert_eq!(received.len(), 5, "redirects are not followed");
        assert!(received.iter().all(|one| one.headers["webhook-id"] == received[0].headers["webhook-id"]));
        assert!(received.iter().all(|one| one.body == received[0].body));
        assert_ne!(received[0].headers["webhook-timestamp"], received[4].headers["webhook-timestamp"]);
        assert_ne!(received[0].headers["webhook-signature"], received[4].headers["webhook-signature"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_taken_is_given_up_and_disables_its_webhook() {
    for place in places().await {
        let (receiver, clock) = (Receiver::start(&[Some("503 Busy"); 10]).await, clock());
        let (bench, deliverer, made) = set_up(&place, &clock, &receiver).await;
        bench.import(PEOPLE).await;
        for attempt in 1..10 {
            let sent = tick(&deliverer).await;
            assert!(matches!(sent, DeliveryTick::Sent(_, Verdict::Again(_))), "attempt {attempt}: {sent:?}");
            clock.advance(27 * HOUR);
        }
        let given_up = Verdict::GivenUp(Some(DisabledBecause::Failing));
        assert!(matches!(tick(&deliverer).await, DeliveryTick::Sent(_, verdict) if verdict == given_up));
        let webhook = bench.engine.get_webhook(&bench.caller, made.webhook.id).await.expect("it is there");
        assert_eq!((webhook.enabled, webhook.disabled_because), (false, Some(DisabledBecause::Failing)));
        let delivery = log(&bench, webhook.id).await.remove(0);
        assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Failed, 10));

        bench.update(PEOPLE).await;
        assert_eq!(log(&bench, webhook.id).await.len(), 1, "nothing is recorded for it");
        let refused = bench.engine.resend_delivery(&bench.caller, webhook.id, delivery.id).await;
        assert_eq!(refused.expect_err("it is disabled").public().code, Code::WebhookDisabled);
        let edit = WebhookEdit { enabled: Some(true), ..WebhookEdit::default() };
        let enabled = bench.engine.edit_webhook(&bench.caller, webhook.id, edit).await.expect("it is enabled");
        assert_eq!((enabled.enabled, enabled.disabled_because), (true, None));
        bench.engine.resend_delivery(&bench.caller, webhook.id, delivery.id).await.expect("it is queued");
        assert_eq!(tick(&deliverer).await, DeliveryTick::Sent(delivery.id, Verdict::Delivered));
        let ids: Vec<_> = receiver.received().into_iter().map(|one| one.headers["webhook-id"].clone()).collect();
        assert_eq!(ids, vec![delivery.id.to_string(); 11]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_not_asked_again() {
    for place in places().await {
        let (receiver, clock) = (Receiver::start(&[Some("410 Gone")]).await, clock());
        let (bench, deliverer, made) = set_up(&place, &clock, &receiver).await;
        bench.import(PEOPLE).await;
        bench.import(PEOPLE).await;
        let gone = Verdict::GivenUp(Some(DisabledBecause::Gone));
        assert!(matches!(tick(&deliverer).await, DeliveryTick::Sent(_, verdict) if verdict == gone));
        assert_eq!(tick(&deliverer).await, DeliveryTick::Idle, "what was pending is given up");
        let webhook = bench.engine.get_webhook(&bench.caller, made.webhook.id).await.expect("it is there");
        assert_eq!((webhook.enabled, webhook.disabled_because), (false, Some(DisabledBecause::Gone)));
        assert_eq!(receiver.received().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deliverer_that_dies_between_sending_and_recording_sends_again_under_the_same_id() {
    for place in places().await {
        let (receiver, clock) = (Receiver::start(&[]).await, clock());
        let (bench, dying, made) = set_up(&place, &clock, &receiver).await;
        bench.import(PEOPLE).await;
        let claimed = dying.claim().await.expect("the database answers").expect("it is due");
        let came = dying.send(&claimed).await.expect("it is sent");
        assert_eq!(came.status, Some(204));

        let other = Deliverer::new(&bench.engine, show).expect("a deliverer can be made");
        assert_eq!(tick(&other).await, DeliveryTick::Idle, "the lease has not expired");
        expire_leases(&bench).await;
        assert_eq!(tick(&other).await, DeliveryTick::Sent(claimed.delivery.id, Verdict::Delivered));
        let ids: Vec<_> = receiver.received().into_iter().map(|one| one.headers["webhook-id"].clone()).collect();
        assert_eq!(ids, vec![claimed.delivery.id.to_string(); 2]);
        // The first one was not dead after all.
        let late = dying.record(&claimed, &came).await.expect("the database answers");
        assert_eq!(late, DeliveryTick::Lost(claimed.delivery.id));
        assert_eq!(log(&bench, made.webhook.id).await[0].attempts, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_deliverers_at_once_send_each_delivery_once() {
    for place in places().await {
        let (receiver, clock) = (Receiver::start(&[]).await, clock());
        let (bench, _, made) = set_up(&place, &clock, &receiver).await;
        for _ in 0..12 {
            bench.import(PEOPLE).await;
        }
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                // As another process has it.
                let engine = place.open_at(clock.clone(), Faults::none());
                engine.allow_targets(open(&receiver));
                let deliverer = Deliverer::new(&engine, show).expect("a deliverer can be made");
                tokio::spawn(async move { while tick(&deliverer).await != DeliveryTick::Idle {} })
            })
            .collect();
        for task in tasks {
            task.await.expect("it does not panic");
        }
        let mut ids: Vec<_> = receiver.received().into_iter().map(|one| one.headers["webhook-id"].clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), receiver.received().len()), (12, 12));
        let log = log(&bench, made.webhook.id).await;
        assert!(log.iter().all(|one| one.status == DeliveryStatus::Delivered && one.attempts == 1), "{log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_an_address_that_is_not_public() {
    for place in places().await {
        let (receiver, clock) = (Receiver::start(&[]).await, clock());
        let port = receiver.address.port();
        let bench = place.set_up_at(clock.clone(), Faults::none()).await;
        // What is allowed to one process, which makes the webhooks, …
        bench.engine.allow_targets(open(&receiver));
        let by_number = hook(&bench, &format!("http://127.0.0.1:{port}/"), None).await;
        let by_name = hook(&bench, &format!("http://localhost:{port}/"), None).await;
        bench.import(PEOPLE).await;
        // … is not to the one that sends.
        let engine = place.open_at(clock.clone(), Faults::none());
        engine.allow_targets(Targets { allow_private: false, ports: vec![port] });
        let deliverer = Deliverer::new(&engine, show).expect("a deliverer can be made");
        for _ in 0..2 {
            assert!(matches!(tick(&deliverer).await, DeliveryTick::Sent(_, Verdict::Again(_))));
        }
        for made in [&by_number, &by_name] {
            let delivery = log(&bench, made.webhook.id).await.remove(0);
            assert_eq!((delivery.error, delivery.last_status), (Some(SendError::RefusedAddress), None));
        }
        assert!(receiver.received().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_replaced_both_sign_and_then_only_the_new_one() {
    for place in places().await {
        let (receiver, clock) = (Receiver::start(&[]).await, clock());
        let (bench, deliverer, old) = set_up(&place, &clock, &receiver).await;
        let new = bench.engine.rotate_webhook_secret(&bench.caller, old.webhook.id).await.expect("it is replaced");
        assert_ne!(new.secret, old.secret);
        bench.import(PEOPLE).await;
        tick(&deliverer).await;
        clock.advance(24 * HOUR);
        bench.import(PEOPLE).await;
        tick(&deliverer).await;
        let received = receiver.received();
        let by = |secret: &MadeWebhook, i: usize| {
            let [message, seconds] = ["webhook-id", "webhook-timestamp"].map(|name| &received[i].headers[name]);
            by_hand::signature(secret.secret.expose(), message, seconds, &received[i].body)
        };
        assert_eq!(received[0].headers["webhook-signature"], format!("{} {}", by(&new, 0), by(&old, 0)));
        assert_eq!(received[1].headers["webhook-signature"], by(&new, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_deliverer_sends_what_is_due_and_ends_when_it_is_asked_to() {
    for place in places().await {
        let (receiver, clock) = (Receiver::start(&[]).await, clock());
        let (bench, deliverer, made) = set_up(&place, &clock, &receiver).await;
        for _ in 0..6 {
            bench.import(PEOPLE).await;
        }
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(deliverer.run(async move { drop(stopped.await) }));
        while log(&bench, made.webhook.id).await.iter().any(|one| one.status == DeliveryStatus::Pending) {
            tokio::task::yield_now().await;
        }
        stop.send(()).expect("it waits for it");
        running.await.expect("it ends well");
        assert_eq!(receiver.received().len(), 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_refused_where_they_can_never_work_and_are_limited_in_number() {
    for place in places().await {
        let bench = place.set_up().await;
        let make = async |url: &str, events| {
            let new = WebhookRequest { url: url.to_owned(), events, enabled: true };
            bench.engine.create_webhook(&bench.caller, &new).await
        };
        let code = |refused: Result<MadeWebhook, muster_engine::EngineError>| {
            refused.expect_err("it is refused").public().code
        };
        assert_eq!(code(make("http://127.0.0.1/", None).await), Code::InvalidUrl);
        assert_eq!(code(make("https://example.com", Some(vec![])).await), Code::InvalidRequest);
        let twice = Some(vec![EventType::JobFailed, EventType::JobCompleted, EventType::JobFailed]);
        let made = make("https://example.com", twice).await.expect("it is made");
        assert_eq!(made.webhook.events, [EventType::JobCompleted, EventType::JobFailed]);
        let edit = WebhookEdit { url: Some("http://10.0.0.1".into()), ..WebhookEdit::default() };
        let refused = bench.engine.edit_webhook(&bench.caller, made.webhook.id, edit).await;
        assert_eq!(refused.expect_err("it is refused").public().code, Code::InvalidUrl);
        for _ in 1..20 {
            make("https://example.com", None).await.expect("it is made");
        }
        assert_eq!(code(make("https://example.com", None).await), Code::TooManyWebhooks);
        bench.engine.delete_webhook(&bench.caller, made.webhook.id).await.expect("it is deleted");
        make("https://example.com", None).await.expect("there is room again");
    }
}

/// Signatures computed without the library that the product signs with.
mod by_hand {
    use sha2::{Digest, Sha256};

    /// What the header says by the specification: HMAC (RFC 2104) over SHA-256, in base64 (RFC 4648).
    pub fn signature(secret: &str, id: &str, seconds: &str, body: &[u8]) -> String {
        let key = from_base64(secret.strip_prefix("whsec_").expect("it begins so"));
        assert!((24..=64).contains(&key.len()), "a secret has {} bytes", key.len());
        let padded = |with: u8| (0..64).map(|i| key.get(i).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
        let inner = [&padded(0x36)[..], format!("{id}.{seconds}.").as_bytes(), body].concat();
        let outer = [&padded(0x5c)[..], &Sha256::digest(inner)].concat();
        format!("v1,{}", to_base64(&Sha256::digest(outer)))
    }

    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    fn from_base64(text: &str) -> Vec<u8> {
        let digits = text.bytes().filter(|byte| *byte != b'=');
        let sixes = digits.map(|byte| DIGITS.iter().position(|digit| *digit == byte).expect("it is a digit"));
        let bits: Vec<usize> = sixes.flat_map(|six| (0..6).rev().map(move |bit| (six >> bit) & 1)).collect();
        bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| (byte << 1) | *bit as u8)).collect()
    }

    fn to_base64(bytes: &[u8]) -> String {
        let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1)).collect();
        let digit = |bits: &[u8]| {
            let six = (0..6).fold(0, |six, i| (six << 1) | usize::from(bits.get(i).copied().unwrap_or(0)));
            char::from(DIGITS[six])
        };
        let mut text: String = bits.chunks(6).map(digit).collect();
        while !text.len().is_multiple_of(4) {
            text.push('=');
        }
        text
    }
}
