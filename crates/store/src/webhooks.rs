//! Webhooks: where events go, and what signs them. Their deliveries stand in `deliveries.rs`.

use crate::connection::{Row, params};
use crate::error::{Result, StoreError};
use crate::{Connection, Transaction};
use jiff::Timestamp;
use muster_core::id::{Tenant, WebhookId};
use muster_core::webhook::{DisabledBecause, EventType, Secret, SendError};

/// A webhook as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The community it belongs to.
    pub tenant: Tenant,
    /// Its id.
    pub id: WebhookId,
    /// Where events are sent.
    pub url: String,
    /// Which events are sent.
    pub events: Vec<EventType>,
    /// What signs them.
    pub secret: Secret,
    /// What signs them too, until then.
    pub old_secret: Option<(Secret, Timestamp)>,
    /// Whether events are sent.
    pub enabled: bool,
    /// Why the server disabled it; none where somebody did.
    pub disabled_because: Option<DisabledBecause>,
    /// When it took something last.
    pub last_delivered_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A webhook to be stored.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Its id.
    pub id: WebhookId,
    /// Where events are sent.
    pub url: String,
    /// Which events are sent.
    pub events: Vec<EventType>,
    /// What signs them.
    pub secret: Secret,
    /// Whether events are sent.
    pub enabled: bool,
}

/// What becomes of a webhook; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookEdit {
    /// Where events are sent.
    pub url: Option<String>,
    /// Which events are sent.
    pub events: Option<Vec<EventType>>,
    /// Whether events are sent. Either word takes back why the server disabled it.
    pub enabled: Option<bool>,
}

/// The columns of a webhook.
const COLUMNS: &str =
    "tenant, id, url, events, secret, old_secret, old_secret_until, enabled, disabled_because, last_delivered_at,
    created_at";

fn webhook(row: &Row<'_>) -> Result<Webhook> {
    let because = row.opt_text(8)?.map(|text| {
        DisabledBecause::parse(text).ok_or_else(|| StoreError::Corrupt(format!("a webhook is disabled by \"{text}\"")))
    });
    Ok(Webhook {
        tenant: Tenant(row.int(0)?),
        id: row.parsed(1)?,
        url: row.string(2)?,
        events: row.json(3)?,
        secret: Secret::new(row.string(4)?),
        old_secret: row.opt_text(5)?.map(|text| Secret::new(text.to_owned())).zip(row.opt_time(6)?),
        enabled: row.bool(7)?,
        disabled_because: because.transpose()?,
        last_delivered_at: row.opt_time(9)?,
        created_at: row.time(10)?,
    })
}

fn to_json(events: &[EventType]) -> Result<String> {
    serde_json::to_string(events).map_err(|error| StoreError::Corrupt(error.to_string()))
}

impl Connection {
    /// Every webhook of the community, oldest first.
    pub async fn list_webhooks(&mut self, tenant: Tenant) -> Result<Vec<Webhook>> {
        let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE tenant = $1 ORDER BY created_at, id");
        self.query(&sql, params![tenant.0], webhook).await
    }

    /// The webhook of an id.
    pub async fn get_webhook(&mut self, tenant: Tenant, id: WebhookId) -> Result<Option<Webhook>> {
        let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE tenant = $1 AND id = $2");
        self.query_opt(&sql, params![tenant.0, &id.to_string()], webhook).await
    }
}

impl Transaction {
    /// The webhook of an id, which nobody else changes until the end of the transaction. Whoever writes to the deliveries
    /// of a webhook begins with this, so that two of them cannot wait for each other.
    pub(crate) async fn lock_webhook(&mut self, tenant: Tenant, id: WebhookId) -> Result<Option<Webhook>> {
        let lock = self.dialect().lock("webhooks", "id");
        let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE tenant = $1 AND id = $2 {lock}");
        self.query_opt(&sql, params![tenant.0, &id.to_string()], webhook).await
    }

    /// Stores a webhook.
    pub async fn insert_webhook(&mut self, tenant: Tenant, new: &NewWebhook, now: Timestamp) -> Result<Webhook> {
        let sql = format!(
            "INSERT INTO webhooks (tenant, id, url, events, secret, enabled, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {COLUMNS}"
        );
        let (id, events) = (new.id.to_string(), to_json(&new.events)?);
        let now = now.as_microsecond();
        let params = params![tenant.0, &id, &new.url, &events, new.secret.expose(), new.enabled, now];
        self.query_one(&sql, params, webhook).await
    }

    /// Changes a webhook. One that is disabled by this gives up what is pending. `None` where the community has none of
    /// this id.
    pub async fn update_webhook(
        &mut self,
        tenant: Tenant,
        id: WebhookId,
        edit: &WebhookEdit,
    ) -> Result<Option<Webhook>> {
        let sql = format!(
            "UPDATE webhooks SET url = coalesce($3, url), events = coalesce($4, events), enabled = coalesce($5, enabled),
                 disabled_because = CASE WHEN CAST($5 AS BOOLEAN) IS NULL THEN disabled_because ELSE NULL END
             WHERE tenant = $1 AND id = $2 RETURNING {COLUMNS}"
        );
        let events = edit.events.as_deref().map(to_json).transpose()?;
        let id_text = id.to_string();
        let params = params![tenant.0, &id_text, edit.url.as_deref(), events.as_deref(), edit.enabled];
        let changed = self.query_opt(&sql, params, webhook).await?;
        if edit.enabled == Some(false) && changed.is_some() {
            self.give_up_deliveries(tenant, id, SendError::Disabled).await?;
        }
        Ok(changed)
    }

    /// Puts another secret in the place of the present one, which signs too until then. `None` where the community has
    /// no webhook of this id.
    pub async fn replace_webhook_secret(
        &mut self,
        tenant: Tenant,
        id: WebhookId,
        secret: &Secret,
        until: Timestamp,
    ) -> Result<Option<Webhook>> {
        let sql = format!(
            "UPDATE webhooks SET old_secret = secret, old_secret_until = $4, secret = $3
             WHERE tenant = $1 AND id = $2 RETURNING {COLUMNS}"
        );
        let id = id.to_string();
        let params = params![tenant.0, &id, secret.expose(), until.as_microsecond()];
        self.query_opt(&sql, params, webhook).await
    }

    /// Disables a webhook for a reason of the server's and gives up what is pending.
    pub async fn disable_webhook(&mut self, tenant: Tenant, id: WebhookId, because: DisabledBecause) -> Result<()> {
        let sql = "UPDATE webhooks SET enabled = FALSE, disabled_because = $3 WHERE tenant = $1 AND id = $2";
        self.execute(sql, params![tenant.0, &id.to_string(), because.as_str()]).await?;
        self.give_up_deliveries(tenant, id, SendError::Disabled).await
    }

    /// Removes a webhook with all its deliveries. False where the community has none of this id.
    pub async fn delete_webhook(&mut self, tenant: Tenant, id: WebhookId) -> Result<bool> {
        let id = id.to_string();
        let sql = "DELETE FROM webhooks WHERE tenant = $1 AND id = $2";
        let found = self.execute(sql, params![tenant.0, &id]).await? == 1;
        for table in ["webhook_queue", "webhook_deliveries"] {
            let sql = format!("DELETE FROM {table} WHERE tenant = $1 AND webhook_id = $2");
            self.execute(&sql, params![tenant.0, &id]).await?;
        }
        Ok(found)
    }
}
