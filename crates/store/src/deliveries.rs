//! Deliveries: one event for one webhook, queued in the transaction of what it tells of, and sent until it is taken.
//!
//! A pending delivery has a row in `webhook_queue`, which says when it is due. Whoever sends it claims that row: by a lease
//! that expires by the database's clock, and an attempt number that every later write names. When it is due is a time
//! of the engine's clock, so that tests can let it come.

use crate::connection::{Param, Row, params};
use crate::error::{Result, StoreError};
use crate::rows::Rows;
use crate::webhooks::Webhook;
use crate::{Connection, JobRef, Transaction};
use jiff::Timestamp;
use muster_core::id::{DeliveryId, JobId, Tenant, WebhookId};
use muster_core::webhook::{DeliveryStatus, DisabledBecause, EventType, SendError};

/// How long somebody may take to send a delivery and say what came of it, in seconds.
const LEASE_SECONDS: i64 = 30;

/// A delivery as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The community it belongs to.
    pub tenant: Tenant,
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub webhook: WebhookId,
    /// The job that it tells of.
    pub job: JobId,
    /// What it tells.
    pub event: EventType,
    /// When that happened.
    pub occurred_at: Timestamp,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// How often it was sent, by what is known.
    pub attempts: u32,
    /// When it was sent last.
    pub last_attempt_at: Option<Timestamp>,
    /// The status of the answer to that.
    pub last_status: Option<u16>,
    /// How long that took.
    pub last_milliseconds: Option<u64>,
    /// Why it is not delivered.
    pub error: Option<SendError>,
    /// When it is due, while it is pending.
    pub due_at: Option<Timestamp>,
}

/// What came of sending a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it was sent.
    pub at: Timestamp,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why it failed.
    pub error: Option<SendError>,
    /// How long it took.
    pub milliseconds: u64,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Delivered,
    /// It is sent again then.
    Again(Timestamp),
    /// It is given up, and the webhook may be disabled with it.
    GivenUp(Option<DisabledBecause>),
}

/// A delivery that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueDelivery {
    /// Its community.
    pub tenant: Tenant,
    /// Where it goes.
    pub webhook: WebhookId,
    /// Its id.
    pub id: DeliveryId,
}

/// A delivery that was claimed.
#[derive(Clone, Debug)]
pub struct ClaimedDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// The number of this claim, since it was queued.
    pub attempt: u32,
    /// Where it goes.
    pub webhook: Webhook,
}

/// Which deliveries to list. Every part narrows the answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeliveryFilter {
    /// Only those that stand so.
    pub status: Option<DeliveryStatus>,
    /// Only older ones than this.
    pub before: Option<(Timestamp, DeliveryId)>,
}

const SELECT: &str = "SELECT d.tenant, d.id, d.webhook_id, d.job_id, d.event, d.occurred_at, d.status, d.attempts,
        d.last_attempt_at, d.last_status, d.last_error, d.last_milliseconds, q.due_at
    FROM webhook_deliveries AS d LEFT JOIN webhook_queue AS q ON q.tenant = d.tenant AND q.delivery_id = d.id";

fn word<T>(text: &str, parse: fn(&str) -> Option<T>) -> Result<T> {
    parse(text).ok_or_else(|| StoreError::Corrupt(format!("a delivery holds the word \"{text}\"")))
}

fn delivery(row: &Row<'_>) -> Result<Delivery> {
    Ok(Delivery {
        tenant: Tenant(row.int(0)?),
        id: row.parsed(1)?,
        webhook: row.parsed(2)?,
        job: row.parsed(3)?,
        event: word(row.text(4)?, EventType::parse)?,
        occurred_at: row.time(5)?,
        status: word(row.text(6)?, DeliveryStatus::parse)?,
        attempts: row.int(7)? as u32,
        last_attempt_at: row.opt_time(8)?,
        last_status: row.opt_int(9)?.and_then(|status| u16::try_from(status).ok()),
        error: row.opt_text(10)?.map(|text| word(text, SendError::parse)).transpose()?,
        last_milliseconds: row.opt_int(11)?.map(|n| n as u64),
        due_at: row.opt_time(12)?,
    })
}

impl Connection {
    /// The webhooks of the community that want this event.
    pub async fn list_listeners(&mut self, tenant: Tenant, event: EventType) -> Result<Vec<WebhookId>> {
        let sql = "SELECT id, events FROM webhooks WHERE tenant = $1 AND enabled ORDER BY id";
        let map = |row: &Row<'_>| Ok((row.parsed(0)?, row.json::<Vec<EventType>>(1)?));
        let enabled = self.query(sql, params![tenant.0], map).await?;
        Ok(enabled.into_iter().filter(|(_, events)| events.contains(&event)).map(|(id, _)| id).collect())
    }

    /// The deliveries of a webhook, newest first.
    pub async fn list_deliveries(
        &mut self,
        tenant: Tenant,
        webhook: WebhookId,
        filter: &DeliveryFilter,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        let webhook = webhook.to_string();
        let mut sql = format!("{SELECT} WHERE d.tenant = $1 AND d.webhook_id = $2");
        let mut params: Vec<Param<'_>> = params![tenant.0, &webhook, i64::from(limit)].to_vec();
        let before = filter.before.map(|(at, id)| (at.as_microsecond(), id.to_string()));
        if let Some((at, id)) = &before {
            sql.push_str(" AND (d.occurred_at, d.id) < ($4, $5)");
            params.extend_from_slice(params![*at, id]);
        }
        if let Some(status) = filter.status {
            params.push(status.as_str().into());
            sql.push_str(&format!(" AND d.status = ${}", params.len()));
        }
        sql.push_str(" ORDER BY d.occurred_at DESC, d.id DESC LIMIT $3");
        self.query(&sql, &params, delivery).await
    }

    /// The delivery of an id to a webhook.
    pub async fn get_delivery(
        &mut self,
        tenant: Tenant,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<Delivery>> {
        let sql = format!("{SELECT} WHERE d.tenant = $1 AND d.webhook_id = $2 AND d.id = $3");
        self.query_opt(&sql, params![tenant.0, &webhook.to_string(), &id.to_string()], delivery).await
    }

    /// Deliveries that are due and that nobody sends, the oldest first: at most `limit`, and at most `each` for one
    /// webhook, so that one that takes nothing does not hold up the others.
    pub async fn list_due_deliveries(&mut self, now: Timestamp, each: u32, limit: u32) -> Result<Vec<DueDelivery>> {
        let sql = format!(
            "SELECT tenant, webhook_id, delivery_id FROM (
                 SELECT tenant, webhook_id, delivery_id, due_at, row_number() OVER (
                     PARTITION BY tenant, webhook_id ORDER BY due_at, delivery_id) AS place
                 FROM webhook_queue WHERE due_at <= $1 AND (lease_expires_at IS NULL OR lease_expires_at < {now})
             ) AS due WHERE place <= $2 ORDER BY due_at, delivery_id LIMIT $3",
            now = self.dialect().now()
        );
        let params = params![now.as_microsecond(), i64::from(each), i64::from(limit)];
        let map = |row: &Row<'_>| {
            Ok(DueDelivery { tenant: Tenant(row.int(0)?), webhook: row.parsed(1)?, id: row.parsed(2)? })
        };
        self.query(&sql, params, map).await
    }
}

impl Transaction {
    /// Queues an event of a job for webhooks.
    pub async fn insert_deliveries(
        &mut self,
        of: JobRef,
        event: EventType,
        at: Timestamp,
        to: &[(WebhookId, DeliveryId)],
    ) -> Result<()> {
        let rows = Rows::new()
            .text("webhook_id", to.iter().map(|(webhook, _)| webhook.to_string()).collect())
            .text("id", to.iter().map(|(_, id)| id.to_string()).collect());
        let sql =
            "INSERT INTO webhook_deliveries (tenant, id, webhook_id, job_id, event, occurred_at, status, attempts)
                   SELECT $1, r.id, r.webhook_id, $2, $3, $4, 'pending', 0 FROM {rows} AS r";
        let (job, at) = (of.id.to_string(), at.as_microsecond());
        self.execute_rows(sql, params![of.tenant.0, &job, event.as_str(), at], &rows).await?;
        let sql = "INSERT INTO webhook_queue (tenant, delivery_id, webhook_id, due_at, attempt)
                   SELECT $1, r.id, r.webhook_id, $2, 0 FROM {rows} AS r";
        self.execute_rows(sql, params![of.tenant.0, at], &rows).await.map(drop)
    }

    /// Claims a delivery that is due, if nobody else did. Claiming raises the attempt. One whose webhook is gone is
    /// forgotten, one whose webhook is disabled is given up; neither is claimed.
    pub async fn claim_delivery(&mut self, due: DueDelivery, now: Timestamp) -> Result<Option<ClaimedDelivery>> {
        let Some(webhook) = self.lock_webhook(due.tenant, due.webhook).await? else {
            self.delete_webhook(due.tenant, due.webhook).await?;
            return Ok(None);
        };
        if !webhook.enabled {
            self.give_up_deliveries(due.tenant, due.webhook, SendError::Disabled).await?;
            return Ok(None);
        }
        let sql = format!(
            "UPDATE webhook_queue SET attempt = attempt + 1, lease_expires_at = {now} + {LEASE_SECONDS} * 1000000
             WHERE tenant = $1 AND delivery_id = $2 AND due_at <= $3
               AND (lease_expires_at IS NULL OR lease_expires_at < {now})
             RETURNING attempt",
            now = self.dialect().now()
        );
        let id = due.id.to_string();
        let params = params![due.tenant.0, &id, now.as_microsecond()];
        let Some(attempt) = self.query_opt(&sql, params, |row| row.int(0)).await? else {
            return Ok(None);
        };
        let delivery = self.get_delivery(due.tenant, due.webhook, due.id).await?;
        Ok(delivery.map(|delivery| ClaimedDelivery { delivery, attempt: attempt as u32, webhook }))
    }

    /// Records what came of an attempt, and what follows. False where the lease was lost and somebody else claimed it, or
    /// where it is pending no more: then nothing is recorded.
    pub async fn finish_delivery(
        &mut self,
        claimed: &ClaimedDelivery,
        came: &Attempt,
        verdict: Verdict,
    ) -> Result<bool> {
        let (tenant, id) = (claimed.delivery.tenant, claimed.delivery.id.to_string());
        self.lock_webhook(tenant, claimed.delivery.webhook).await?;
        let attempt = i64::from(claimed.attempt);
        let ours = "WHERE tenant = $1 AND delivery_id = $2 AND attempt = $3";
        let recorded = match verdict {
            Verdict::Again(at) => {
                let sql = format!("UPDATE webhook_queue SET due_at = $4, lease_expires_at = NULL {ours}");
                self.execute(&sql, params![tenant.0, &id, attempt, at.as_microsecond()]).await? == 1
            }
            Verdict::Delivered | Verdict::GivenUp(_) => {
                let sql = format!("DELETE FROM webhook_queue {ours}");
                self.execute(&sql, params![tenant.0, &id, attempt]).await? == 1
            }
        };
        if !recorded {
            return Ok(false);
        }
        let status = match verdict {
            Verdict::Delivered => DeliveryStatus::Delivered,
            Verdict::Again(_) => DeliveryStatus::Pending,
            Verdict::GivenUp(_) => DeliveryStatus::Failed,
        };
        let sql = "UPDATE webhook_deliveries SET status = $3, attempts = attempts + 1, last_attempt_at = $4,
                       last_status = $5, last_error = $6, last_milliseconds = $7
                   WHERE tenant = $1 AND id = $2";
        let params = params![
            tenant.0,
            &id,
            status.as_str(),
            came.at.as_microsecond(),
            came.status.map(i64::from),
            came.error.map(SendError::as_str),
            came.milliseconds as i64,
        ];
        self.execute(sql, params).await?;
        self.tell_webhook(claimed, came, verdict).await?;
        Ok(true)
    }

    async fn tell_webhook(&mut self, claimed: &ClaimedDelivery, came: &Attempt, verdict: Verdict) -> Result<()> {
        let (tenant, webhook) = (claimed.delivery.tenant, claimed.delivery.webhook);
        match verdict {
            Verdict::Delivered => {
                let sql = "UPDATE webhooks SET last_delivered_at = $3 WHERE tenant = $1 AND id = $2";
                self.execute(sql, params![tenant.0, &webhook.to_string(), came.at.as_microsecond()]).await.map(drop)
            }
            Verdict::GivenUp(Some(because)) => self.disable_webhook(tenant, webhook, because).await,
            Verdict::Again(_) | Verdict::GivenUp(None) => Ok(()),
        }
    }

    /// Queues a delivery again, whatever became of it; one that is pending becomes due. `None` where the webhook has
    /// none of this id.
    pub async fn resend_delivery(
        &mut self,
        tenant: Tenant,
        webhook: WebhookId,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Option<Delivery>> {
        self.lock_webhook(tenant, webhook).await?;
        let (webhook_text, text, at) = (webhook.to_string(), id.to_string(), now.as_microsecond());
        let sql = "UPDATE webhook_deliveries SET status = 'pending' WHERE tenant = $1 AND webhook_id = $2 AND id = $3";
        if self.execute(sql, params![tenant.0, &webhook_text, &text]).await? == 0 {
            return Ok(None);
        }
        let sql = "INSERT INTO webhook_queue (tenant, delivery_id, webhook_id, due_at, attempt)
                   VALUES ($1, $2, $3, $4, 0)
                   ON CONFLICT (tenant, delivery_id) DO UPDATE SET due_at = excluded.due_at";
        self.execute(sql, params![tenant.0, &text, &webhook_text, at]).await?;
        self.get_delivery(tenant, webhook, id).await
    }

    /// Gives up everything that is pending for a webhook.
    pub(crate) async fn give_up_deliveries(
        &mut self,
        tenant: Tenant,
        webhook: WebhookId,
        error: SendError,
    ) -> Result<()> {
        let id = webhook.to_string();
        let sql = "UPDATE webhook_deliveries SET status = 'failed', last_error = $3
                   WHERE tenant = $1 AND webhook_id = $2 AND status = 'pending'";
        self.execute(sql, params![tenant.0, &id, error.as_str()]).await?;
        let sql = "DELETE FROM webhook_queue WHERE tenant = $1 AND webhook_id = $2";
        self.execute(sql, params![tenant.0, &id]).await.map(drop)
    }
}
