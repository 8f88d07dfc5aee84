//! Webhooks: made, listed, changed, removed; and the log of what was sent to them.

use crate::caller::Caller;
use crate::clock::webhook_id;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::sign::new_secret;
use jiff::{SignedDuration, Timestamp};
use muster_core::id::{DeliveryId, WebhookId};
use muster_core::scope::Scope;
use muster_core::webhook::{EventType, Secret};
use muster_core::{Code, Error};
use muster_store::{Delivery, DeliveryFilter, NewWebhook, Webhook, WebhookEdit};

/// How many webhooks a community may have.
const MAX_WEBHOOKS: usize = 20;
/// How long the secret that was replaced signs too.
const OLD_SECRET: SignedDuration = SignedDuration::from_hours(24);

/// A webhook that somebody wants to have.
#[derive(Clone, Debug)]
pub struct WebhookRequest {
    /// Where events are to be sent.
    pub url: String,
    /// Which events; none named: all.
    pub events: Option<Vec<EventType>>,
    /// Whether events are to be sent.
    pub enabled: bool,
}

/// A webhook whose secret was just made. Nothing shows the secret again.
#[derive(Clone, Debug)]
pub struct MadeWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// What signs its deliveries.
    pub secret: Secret,
}

/// Deliveries, newest first.
#[derive(Clone, Debug)]
pub struct DeliveryPage {
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
    /// Where the next page begins, if there is one.
    pub next: Option<(Timestamp, DeliveryId)>,
}

impl Engine {
    /// Makes a webhook.
    pub async fn create_webhook(&self, caller: &Caller, new: &WebhookRequest) -> Result<MadeWebhook> {
        caller.require(Scope::WebhooksWrite)?;
        let secret = new_secret();
        let stored = NewWebhook {
            id: webhook_id(),
            url: self.targets().read(&new.url)?.into(),
            events: events(new.events.clone().unwrap_or_else(|| EventType::ALL.to_vec()))?,
            secret: secret.clone(),
            enabled: new.enabled,
        };
        let mut tx = self.store().begin().await?;
        if tx.list_webhooks(caller.tenant).await?.len() >= MAX_WEBHOOKS {
            let detail = format!("The community has {MAX_WEBHOOKS} webhooks, which is as many as it may have.");
            return Err(EngineError::refuse(Code::TooManyWebhooks, detail));
        }
        let webhook = tx.insert_webhook(caller.tenant, &stored, self.clock().now()).await?;
        caller.commit(tx).await?;
        Ok(MadeWebhook { webhook, secret })
    }

    /// The webhooks of the caller's community, oldest first.
    pub async fn list_webhooks(&self, caller: &Caller) -> Result<Vec<Webhook>> {
        caller.require(Scope::WebhooksWrite)?;
        Ok(self.store().read().await?.list_webhooks(caller.tenant).await?)
    }

    /// A webhook of the caller's community.
    pub async fn get_webhook(&self, caller: &Caller, id: WebhookId) -> Result<Webhook> {
        caller.require(Scope::WebhooksWrite)?;
        let found = self.store().read().await?.get_webhook(caller.tenant, id).await?;
        found.ok_or_else(|| EngineError::not_found("webhook"))
    }

    /// Changes a webhook. Disabling it gives up what is pending.
    pub async fn edit_webhook(&self, caller: &Caller, id: WebhookId, mut edit: WebhookEdit) -> Result<Webhook> {
        caller.require(Scope::WebhooksWrite)?;
        edit.url = edit.url.map(|url| self.targets().read(&url)).transpose()?.map(String::from);
        edit.events = edit.events.map(events).transpose()?;
        let mut tx = self.store().begin().await?;
        let changed = tx.update_webhook(caller.tenant, id, &edit).await?;
        let changed = changed.ok_or_else(|| EngineError::not_found("webhook"))?;
        caller.commit(tx).await?;
        Ok(changed)
    }

    /// Gives a webhook another secret. The one before signs too for a day, so that receivers can be changed meanwhile.
    pub async fn rotate_webhook_secret(&self, caller: &Caller, id: WebhookId) -> Result<MadeWebhook> {
        caller.require(Scope::WebhooksWrite)?;
        let (secret, until) = (new_secret(), self.clock().now() + OLD_SECRET);
        let mut tx = self.store().begin().await?;
        let webhook = tx.replace_webhook_secret(caller.tenant, id, &secret, until).await?;
        let webhook = webhook.ok_or_else(|| EngineError::not_found("webhook"))?;
        caller.commit(tx).await?;
        Ok(MadeWebhook { webhook, secret })
    }

    /// Removes a webhook with its log. What is being sent at this moment may still arrive.
    pub async fn delete_webhook(&self, caller: &Caller, id: WebhookId) -> Result<()> {
        caller.require(Scope::WebhooksWrite)?;
        let mut tx = self.store().begin().await?;
        let found = tx.delete_webhook(caller.tenant, id).await?;
        found.then_some(()).ok_or_else(|| EngineError::not_found("webhook"))?;
        caller.commit(tx).await
    }

    /// What was sent to a webhook, and what is to be.
    pub async fn list_deliveries(
        &self,
        caller: &Caller,
        id: WebhookId,
        filter: &DeliveryFilter,
        limit: u32,
    ) -> Result<DeliveryPage> {
        self.get_webhook(caller, id).await?;
        let mut connection = self.store().read().await?;
        let mut deliveries = connection.list_deliveries(caller.tenant, id, filter, limit + 1).await?;
        let more = deliveries.len() > limit as usize;
        deliveries.truncate(limit as usize);
        let next = deliveries.last().filter(|_| more).map(|last| (last.occurred_at, last.id));
        Ok(DeliveryPage { deliveries, next })
    }

    /// Has a delivery sent again, under its old id and whatever became of it. One that is pending is sent at once.
    pub async fn resend_delivery(&self, caller: &Caller, webhook: WebhookId, id: DeliveryId) -> Result<Delivery> {
        let found = self.get_webhook(caller, webhook).await?;
        if self.store().read().await?.get_delivery(caller.tenant, webhook, id).await?.is_none() {
            return Err(EngineError::not_found("delivery"));
        }
        if !found.enabled {
            return Err(EngineError::refuse(Code::WebhookDisabled, "The webhook is disabled; enable it first."));
        }
        let mut tx = self.store().begin().await?;
        let queued = tx.resend_delivery(caller.tenant, webhook, id, self.clock().now()).await?;
        let queued = queued.ok_or_else(|| EngineError::not_found("delivery"))?;
        caller.commit(tx).await?;
        Ok(queued)
    }
}

/// Each event once, in the order of the contract; at least one.
fn events(mut events: Vec<EventType>) -> Result<Vec<EventType>, Error> {
    events.sort_unstable();
    events.dedup();
    match events.is_empty() {
        true => {
            Err(Error::at("/events", Code::InvalidRequest, "Name at least one event, or leave events out for all."))
        }
        false => Ok(events),
    }
}
