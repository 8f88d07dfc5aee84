//! Sending what is to be told to webhooks.
//!
//! A deliverer looks for deliveries that are due, once a second, in every process that runs jobs. It claims each by a
//! lease, sends it, and records what came of it: done, again later, or given up. If it dies in between, the lease expires
//! and another one sends the same delivery again under the same id: everything arrives at least once, and whoever
//! receives it can tell by the id.
//!
//! The job is written as it is when it is sent; jobs that have ended do not change. Neither what was sent nor what was
//! answered is kept, only the status and how long it took.

use crate::clock::random;
use crate::engine::Engine;
use crate::error::{EngineError, Result, chain};
use crate::jobs::JobView;
use crate::sign::signatures;
use crate::target::{RefusedAddress, Resolver};
use muster_core::id::{DeliveryId, WebhookId};
use muster_core::webhook::{DisabledBecause, SendError, retry_after};
use muster_store::{Attempt, ClaimedDelivery, DueDelivery, Verdict};
use reqwest::{Client, redirect};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{Id, JoinSet};

/// How often deliveries are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How long an endpoint may take to answer, from the look-up of its name to the status.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many deliveries are on their way at once.
const AT_ONCE: usize = 64;
/// How many of them to one webhook, so that one that takes its time does not hold up the others.
const AT_ONCE_EACH: usize = 4;

/// Writes a job as the API shows it.
pub type ShowJob = fn(JobView) -> Value;

/// Sends what is to be told to webhooks.
#[derive(Clone, Debug)]
pub struct Deliverer {
    engine: Engine,
    client: Client,
    show: ShowJob,
}

/// What a tick of a deliverer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryTick {
    /// Nothing is due.
    Idle,
    /// A delivery was sent, and this came of it.
    Sent(DeliveryId, Verdict),
    /// A delivery was sent, and somebody else has it by now.
    Lost(DeliveryId),
}

impl Deliverer {
    /// A deliverer that writes jobs in this way.
    pub fn new(engine: &Engine, show: ShowJob) -> Result<Self> {
        // Another part of the program may have been first, with the same one.
        let _ = rustls::crypto::ring::default_provider().install_default().is_ok();
        let client = Client::builder()
            .dns_resolver(Arc::new(Resolver(engine.targets().clone())))
            .redirect(redirect::Policy::none())
            .no_proxy()
            // A connection that was kept would be one whose address was looked at long ago.
            .pool_max_idle_per_host(0)
            .timeout(PATIENCE)
            .user_agent(concat!("Muster/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(EngineError::Client)?;
        Ok(Self { engine: engine.clone(), client, show })
    }

    /// Sends one delivery that is due and records what came of it.
    pub async fn tick(&self) -> Result<DeliveryTick> {
        match self.claim().await? {
            Some(claimed) => self.bring(&claimed).await,
            None => Ok(DeliveryTick::Idle),
        }
    }

    /// Claims a delivery that is due.
    pub async fn claim(&self) -> Result<Option<ClaimedDelivery>> {
        for due in self.list_due().await? {
            if let Some(claimed) = self.claim_one(due).await? {
                return Ok(Some(claimed));
            }
        }
        Ok(None)
    }

    async fn list_due(&self) -> Result<Vec<DueDelivery>> {
        let now = self.engine.clock().now();
        let mut connection = self.engine.store().read().await?;
        Ok(connection.list_due_deliveries(now, AT_ONCE_EACH as u32, 10 * AT_ONCE as u32).await?)
    }

    async fn claim_one(&self, due: DueDelivery) -> Result<Option<ClaimedDelivery>> {
        let mut tx = self.engine.store().begin().await?;
        let claimed = tx.claim_delivery(due, self.engine.clock().now()).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    async fn bring(&self, claimed: &ClaimedDelivery) -> Result<DeliveryTick> {
        let came = self.send(claimed).await?;
        self.record(claimed, &came).await
    }

    /// Sends a delivery that was claimed.
    pub async fn send(&self, claimed: &ClaimedDelivery) -> Result<Attempt> {
        let at = self.engine.clock().now();
        let begun = self.engine.clock().moment();
        let answer = match self.body(claimed).await? {
            Some(body) => self.post(claimed, body).await,
            None => Err(SendError::JobGone),
        };
        let milliseconds = self.engine.clock().since(begun).as_millis() as u64;
        let (status, error) = match answer {
            Ok(status @ 200..=299) => (Some(status), None),
            Ok(status) => (Some(status), Some(SendError::Status)),
            Err(error) => (None, Some(error)),
        };
        Ok(Attempt { at, status, error, milliseconds })
    }

    async fn body(&self, claimed: &ClaimedDelivery) -> Result<Option<Vec<u8>>> {
        let delivery = &claimed.delivery;
        let job = self.engine.store().read().await?.get_job(delivery.tenant, delivery.job).await?;
        Ok(job.map(|job| {
            let data = (self.show)(self.engine.view(job));
            let payload = json!({"type": delivery.event, "timestamp": delivery.occurred_at, "data": data});
            payload.to_string().into_bytes()
        }))
    }

    /// The status that the endpoint answers with.
    async fn post(&self, claimed: &ClaimedDelivery, body: Vec<u8>) -> Result<u16, SendError> {
        let (webhook, now) = (&claimed.webhook, self.engine.clock().now());
        // What was allowed when the webhook was made need not be now.
        let url = self.engine.targets().read(&webhook.url).map_err(|_| SendError::RefusedAddress)?;
        let old = webhook.old_secret.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret);
        let secrets = std::iter::once(&webhook.secret).chain(old);
        let (id, seconds) = (claimed.delivery.id.to_string(), now.as_second());
        let signature = signatures(secrets, &id, seconds, &body);
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(body);
        let answer = request.send().await;
        answer.map(|response| response.status().as_u16()).map_err(|error| what_failed(&error))
    }

    /// Records what came of sending a delivery, and decides what follows.
    pub async fn record(&self, claimed: &ClaimedDelivery, came: &Attempt) -> Result<DeliveryTick> {
        let verdict = self.verdict(claimed, came);
        let mut tx = self.engine.store().begin().await?;
        let recorded = tx.finish_delivery(claimed, came, verdict).await?;
        tx.commit().await?;
        let delivery = &claimed.delivery;
        tracing::info!(
            delivery = %delivery.id, webhook = %delivery.webhook, attempt = claimed.attempt, status = came.status,
            error = came.error.map(SendError::as_str), milliseconds = came.milliseconds, "a delivery was sent"
        );
        if let (Verdict::GivenUp(Some(because)), true) = (verdict, recorded) {
            tracing::warn!(webhook = %delivery.webhook, because = because.as_str(), "a webhook was disabled");
        }
        Ok(match recorded {
            true => DeliveryTick::Sent(delivery.id, verdict),
            false => DeliveryTick::Lost(delivery.id),
        })
    }

    fn verdict(&self, claimed: &ClaimedDelivery, came: &Attempt) -> Verdict {
        match (came.error, came.status) {
            (None, _) => Verdict::Delivered,
            (Some(SendError::JobGone), _) => Verdict::GivenUp(None),
            // So says the specification.
            (Some(_), Some(410)) => Verdict::GivenUp(Some(DisabledBecause::Gone)),
            (Some(_), _) => match retry_after(claimed.attempt, u16::from_le_bytes(random())) {
                Some(wait) => Verdict::Again(self.engine.clock().now() + wait),
                None => {
                    let took_later =
                        claimed.webhook.last_delivered_at.is_some_and(|at| at > claimed.delivery.occurred_at);
                    Verdict::GivenUp((!took_later).then_some(DisabledBecause::Failing))
                }
            },
        }
    }

    /// Sends deliveries until the shutdown comes, then waits for those that are on their way.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut tasks = JoinSet::new();
        let mut on_their_way: HashMap<Id, WebhookId> = HashMap::new();
        tokio::pin!(shutdown);
        loop {
            if let Err(error) = self.fill(&mut tasks, &mut on_their_way).await {
                tracing::error!(cause = chain(&error), "no delivery could be claimed");
            }
            tokio::select! {
                () = &mut shutdown => break,
                () = tokio::time::sleep(LOOK) => {}
                Some(joined) = tasks.join_next_with_id() => {
                    on_their_way.remove(&match joined { Ok((id, ())) => id, Err(error) => error.id() });
                }
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Sends deliveries that are due, as long as there is room for them.
    async fn fill(&self, tasks: &mut JoinSet<()>, on_their_way: &mut HashMap<Id, WebhookId>) -> Result<()> {
        if on_their_way.len() >= AT_ONCE {
            return Ok(());
        }
        for due in self.list_due().await? {
            let to_the_same = on_their_way.values().filter(|webhook| **webhook == due.webhook).count();
            if to_the_same >= AT_ONCE_EACH {
                continue;
            }
            let Some(claimed) = self.claim_one(due).await? else { continue };
            let deliverer = self.clone();
            let task = tasks.spawn(async move {
                if let Err(error) = deliverer.bring(&claimed).await {
                    let id = claimed.delivery.id;
                    tracing::error!(delivery = %id, cause = chain(&error), "a delivery broke off and will be sent again");
                }
            });
            on_their_way.insert(task.id(), due.webhook);
            if on_their_way.len() >= AT_ONCE {
                break;
            }
        }
        Ok(())
    }
}

/// Why there is no answer.
fn what_failed(error: &reqwest::Error) -> SendError {
    let mut causes = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    if causes.any(|cause| cause.is::<RefusedAddress>()) {
        SendError::RefusedAddress
    } else if error.is_timeout() {
        SendError::Timeout
    } else {
        SendError::Unreachable
    }
}
