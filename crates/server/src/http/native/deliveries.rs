//! The log of what was sent to a webhook, and sending again.

use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Id, Json, NoParams, Params};
use crate::http::failure::Failure;
use crate::http::page::{Cursor, Limit, Page};
use crate::http::problem::Problems;
use crate::http::words;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use jiff::Timestamp;
use muster_core::id::{DeliveryId, JobId, WebhookId};
use muster_core::webhook::{DeliveryStatus, EventType, SendError};
use muster_engine::{Delivery, DeliveryFilter};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_deliveries)).routes(routes!(resend_delivery))
}

/// One event on its way to a webhook. What was sent and answered is not kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryBody {
    /// The id, which is the header `webhook-id` however often it is sent.
    #[schema(value_type = String, example = "msg_0123456789abcdef01234567")]
    id: DeliveryId,
    /// What it tells.
    #[serde(rename = "type")]
    #[schema(schema_with = words::event_type)]
    kind: EventType,
    /// The job that it tells of.
    #[schema(value_type = String, example = "job_0123456789abcdef01234567")]
    job_id: JobId,
    /// When that happened.
    occurred_at: Timestamp,
    /// Where it stands.
    #[schema(schema_with = words::delivery_status)]
    status: DeliveryStatus,
    /// How often it was sent.
    attempts: u32,
    /// When it was sent last.
    last_attempt_at: Option<Timestamp>,
    /// The HTTP status of the answer to that.
    last_status: Option<u16>,
    /// How long that took.
    last_milliseconds: Option<u64>,
    /// Why it is not delivered.
    #[schema(schema_with = words::send_error)]
    error: Option<SendError>,
    /// When it is sent next, while it is pending.
    next_attempt_at: Option<Timestamp>,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            kind: delivery.event,
            job_id: delivery.job,
            occurred_at: delivery.occurred_at,
            status: delivery.status,
            attempts: delivery.attempts,
            last_attempt_at: delivery.last_attempt_at,
            last_status: delivery.last_status,
            last_milliseconds: delivery.last_milliseconds,
            error: delivery.error,
            next_attempt_at: delivery.due_at,
        }
    }
}

/// Which deliveries are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListDeliveries {
    /// Only those that stand so.
    #[param(schema_with = words::delivery_status)]
    status: Option<DeliveryStatus>,
    /// How many, from 1 to 1,000.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1_000, default = 100)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// The place of a delivery in the list, as a cursor has it: microseconds and id.
struct Place(Timestamp, DeliveryId);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.0.as_microsecond(), self.1)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once(':').ok_or(())?;
        let at = Timestamp::from_microsecond(at.parse().map_err(drop)?).map_err(drop)?;
        Ok(Self(at, id.parse().map_err(drop)?))
    }
}

/// List the deliveries of a webhook, newest first
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/deliveries", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook."), ListDeliveries),
    responses((status = 200, description = "A page of deliveries.", body = Page<DeliveryBody>), Problems),
    security(("key" = ["webhooks:write"])),
)]
async fn list_deliveries(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<WebhookId>,
    Params(list): Params<ListDeliveries>,
) -> Result<Json<Page<DeliveryBody>>, Failure> {
    let before = list.cursor.map(|cursor| cursor.open::<Place>()).transpose()?;
    let filter = DeliveryFilter { status: list.status, before: before.map(|place| (place.0, place.1)) };
    let page = app.engine.list_deliveries(&caller, id, &filter, list.limit.0).await?;
    let next = page.next.map(|(at, id)| Place(at, id));
    Ok(Json(Page::new(page.deliveries.into_iter().map(DeliveryBody::from), next)))
}

/// Send a delivery again
///
/// Whatever became of it, under its old id. One that is pending is sent at once.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/deliveries/{delivery}/resend", tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The webhook."),
        ("delivery" = String, Path, description = "The delivery."),
    ),
    responses((status = 202, description = "The delivery, which is pending now.", body = DeliveryBody), Problems),
    security(("key" = ["webhooks:write"])),
)]
async fn resend_delivery(
    State(app): State<App>,
    Auth(caller): Auth,
    Id((webhook, delivery)): Id<(WebhookId, DeliveryId)>,
    _: NoParams,
) -> Result<impl IntoResponse, Failure> {
    let queued = app.engine.resend_delivery(&caller, webhook, delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryBody::from(queued))))
}
