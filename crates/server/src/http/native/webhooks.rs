//! Webhooks: where the ends of jobs are told.

use super::job_body::JobBody;
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Id, Json, NoParams};
use crate::http::failure::Failure;
use crate::http::idempotency::KeptInstead;
use crate::http::page::Page;
use crate::http::problem::Problems;
use crate::http::words;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::response::IntoResponse;
use jiff::Timestamp;
use muster_core::id::WebhookId;
use muster_core::webhook::EventType;
use muster_engine::{MadeWebhook, Webhook, WebhookEdit, WebhookRequest};
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new()
        .routes(routes!(list_webhooks, create_webhook))
        .routes(routes!(get_webhook, edit_webhook, delete_webhook))
        .routes(routes!(rotate_secret));
    let components = routes.get_openapi_mut().components.get_or_insert_default();
    // Nothing that is asked for has this shape; it is what webhooks receive.
    let mut schemas = vec![(EventBody::name().into_owned(), EventBody::schema())];
    EventBody::schemas(&mut schemas);
    components.schemas.extend(schemas);
    routes
}

/// What is sent to a webhook, signed as Standard Webhooks says: the headers `webhook-id`, `webhook-timestamp` and
/// `webhook-signature`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
struct EventBody {
    /// What happened.
    #[serde(rename = "type")]
    #[schema(schema_with = words::event_type)]
    kind: EventType,
    /// When.
    timestamp: Timestamp,
    /// The job. It has no values of rows.
    data: JobBody,
}

/// Where events go. The secret that signs them is shown once, when it is made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
struct WebhookBody {
    /// The id: `wh_` and 24 hex digits.
    #[schema(value_type = String, example = "wh_0123456789abcdef01234567")]
    id: WebhookId,
    /// Where events are sent.
    url: String,
    /// Which events are sent.
    #[schema(schema_with = events)]
    events: Vec<EventType>,
    /// Whether events are sent.
    enabled: bool,
    /// Why the server disabled it: `failing` after a delivery was given up and nothing was taken since, `gone` after an answer
    /// of 410.
    disabled_because: Option<&'static str>,
    /// When it took an event last.
    last_delivered_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
}

impl From<Webhook> for WebhookBody {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url,
            events: webhook.events,
            enabled: webhook.enabled,
            disabled_because: webhook.disabled_because.map(|because| because.as_str()),
            last_delivered_at: webhook.last_delivered_at,
            created_at: webhook.created_at,
        }
    }
}

fn events() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::Array::new(words::event_type())
}

/// A webhook whose secret was just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeWebhook)]
struct MadeWebhookBody {
    /// What signs its deliveries: `whsec_` and base64. Nothing shows it again: null where the first answer to this request
    /// is given again.
    secret: Option<String>,
    /// Why there is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
    /// The webhook.
    #[serde(flatten)]
    about: WebhookBody,
}

impl From<MadeWebhook> for MadeWebhookBody {
    fn from(made: MadeWebhook) -> Self {
        Self { secret: Some(made.secret.expose().to_owned()), notice: None, about: made.webhook.into() }
    }
}

/// The answer without the secret, for whoever sends the request again.
fn kept(made: &MadeWebhook) -> Extension<KeptInstead> {
    let notice = Some("The secret was shown once, in the first answer to this request.");
    KeptInstead::json(&MadeWebhookBody { secret: None, notice, about: made.webhook.clone().into() })
}

/// A webhook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewWebhook)]
#[serde(deny_unknown_fields)]
struct NewWebhookBody {
    /// Where events are to be sent: an `http` or `https` address of the public internet.
    url: String,
    /// Which events; all, if this is not given.
    #[schema(schema_with = events)]
    events: Option<Vec<EventType>>,
    /// Whether events are to be sent.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// What is to be changed of a webhook; what is not given stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookEdit)]
#[serde(deny_unknown_fields)]
struct WebhookEditBody {
    /// Where events are to be sent.
    url: Option<String>,
    /// Which events.
    #[schema(schema_with = events)]
    events: Option<Vec<EventType>>,
    /// Whether events are to be sent. Disabling gives up what is pending.
    enabled: Option<bool>,
}

/// List webhooks
///
/// Every webhook of the community, the oldest first.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "Webhooks",
    responses((status = 200, description = "All webhooks.", body = Page<WebhookBody>), Problems),
    security(("key" = ["webhooks:write"])),
)]
async fn list_webhooks(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
) -> Result<Json<Page<WebhookBody>>, Failure> {
    let webhooks = app.engine.list_webhooks(&caller).await?;
    Ok(Json(Page::only(webhooks.into_iter().map(WebhookBody::from))))
}

/// Make a webhook
///
/// The end of each job is told to it, as a POST of an `Event` that is signed and sent again until it is answered with 2xx.
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "Webhooks",
    request_body(content = NewWebhookBody, example = json!({"url": "https://example.com/muster", "events": ["job.completed"]})),
    responses(
        (status = 201, description = "The webhook and its secret.", body = MadeWebhookBody,
            headers(("Location" = String, description = "The address of the webhook."))),
        Problems,
    ),
    security(("key" = ["webhooks:write"])),
)]
async fn create_webhook(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Json(new): Json<NewWebhookBody>,
) -> Result<impl IntoResponse, Failure> {
    let new = WebhookRequest { url: new.url, events: new.events, enabled: new.enabled };
    let made = app.engine.create_webhook(&caller, &new).await?;
    let headers = [(LOCATION, format!("/v1/webhooks/{}", made.webhook.id)), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, kept(&made), Json(MadeWebhookBody::from(made))))
}

/// Get a webhook
#[utoipa::path(
    get, path = "/v1/webhooks/{id}", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook.")),
    responses((status = 200, description = "The webhook.", body = WebhookBody), Problems),
    security(("key" = ["webhooks:write"])),
)]
async fn get_webhook(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<WebhookId>,
    _: NoParams,
) -> Result<Json<WebhookBody>, Failure> {
    Ok(Json(app.engine.get_webhook(&caller, id).await?.into()))
}

/// Change a webhook
///
/// Its address, its events, or whether it is sent anything. One that the server disabled is enabled again by this.
#[utoipa::path(
    patch, path = "/v1/webhooks/{id}", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook.")),
    request_body(content = WebhookEditBody, example = json!({"enabled": true})),
    responses((status = 200, description = "The webhook.", body = WebhookBody), Problems),
    security(("key" = ["webhooks:write"])),
)]
async fn edit_webhook(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<WebhookId>,
    _: NoParams,
    Json(edit): Json<WebhookEditBody>,
) -> Result<Json<WebhookBody>, Failure> {
    let edit = WebhookEdit { url: edit.url, events: edit.events, enabled: edit.enabled };
    Ok(Json(app.engine.edit_webhook(&caller, id, edit).await?.into()))
}

/// Delete a webhook
///
/// With the log of its deliveries. What is being sent at this moment may still arrive.
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook.")),
    responses((status = 204, description = "The webhook is gone."), Problems),
    security(("key" = ["webhooks:write"])),
)]
async fn delete_webhook(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<WebhookId>,
    _: NoParams,
) -> Result<StatusCode, Failure> {
    app.engine.delete_webhook(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replace the secret of a webhook
///
/// Deliveries are signed with both secrets for 24 hours, so that receivers can change meanwhile.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/rotate-secret", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook.")),
    responses((status = 200, description = "The webhook and its new secret.", body = MadeWebhookBody), Problems),
    security(("key" = ["webhooks:write"])),
)]
async fn rotate_secret(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<WebhookId>,
    _: NoParams,
) -> Result<impl IntoResponse, Failure> {
    let made = app.engine.rotate_webhook_secret(&caller, id).await?;
    Ok(([(CACHE_CONTROL, "no-store")], kept(&made), Json(MadeWebhookBody::from(made))))
}
