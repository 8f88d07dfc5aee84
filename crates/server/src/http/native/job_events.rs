//! A job as it goes on, as Server-Sent Events.
//!
//! ```text
//! id: running.1200.5000.38211        where the job stands
//! event: job
//! data: {"id":"job_…", …}            as GET /v1/jobs/{id} shows it
//! ```
//!
//! After a job that is over comes `event: end`, and the stream ends. A stream that ends without it (the server stops, the key
//! was revoked, the line broke) is to be opened again; with `Last-Event-ID` it goes on from there, and a client that has seen
//! the end is answered with 204, which tells a browser not to come back.

use super::job_body::JobBody;
use crate::http::App;
use crate::http::auth::{Auth, caller_of};
use crate::http::extract::{Id, NoParams};
use crate::http::failure::Failure;
use crate::http::problem::Problems;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use muster_core::id::JobId;
use muster_engine::{JobView, WatchedJob};
use std::convert::Infallible;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long nothing is sent at most; then a comment keeps the connection alive.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a client waits before it comes back.
const COME_BACK: Duration = Duration::from_secs(1);
/// How often the key of a stream is looked at again, so that one that was revoked is not good for longer than this.
const CHECK: Duration = Duration::from_secs(1);

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(watch_job))
}

/// Watch a job
///
/// Server-Sent Events: `job` with the job, as `GET /v1/jobs/{id}` shows it, at once, on every change of its state and at least
/// twice a second while its counts move; after the final state `end`, and nothing more. `Last-Event-ID` is honoured: what the
/// client has seen is not sent again.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/events", tag = "Jobs",
    params(
        ("id" = String, Path, description = "The job."),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that was received."),
    ),
    responses(
        (status = 200, description = "The events.", body = JobEvent, content_type = "text/event-stream"),
        (status = 204, description = "The job is over, and `Last-Event-ID` says that this was received."),
        Problems,
    ),
    security(("key" = ["jobs:read"])),
)]
async fn watch_job(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<JobId>,
    _: NoParams,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let mut watched = app.engine.watch_job(&caller, id).await?;
    let first = watched.now();
    let seen = headers.get("last-event-id").is_some_and(|seen| seen.as_bytes() == mark(&first).as_bytes());
    if seen && first.job.state.is_final() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut check = tokio::time::interval(CHECK);
    // The first one is due at once, and the key was looked at just now.
    check.reset();
    let watch = Watch { app, headers, watched, check };
    let events = stream::unfold(Next::Job(Box::new(watch), Box::new((!seen).then_some(first))), next_event);
    let keep_alive = KeepAlive::new().interval(SILENCE);
    Ok(([("x-accel-buffering", "no")], Sse::new(fused(events)).keep_alive(keep_alive)).into_response())
}

/// A stream that somebody reads.
struct Watch {
    app: App,
    /// Those of the request, for its key.
    headers: HeaderMap,
    watched: WatchedJob,
    /// When the key is looked at again.
    check: tokio::time::Interval,
}

/// What comes next in a stream.
enum Next {
    /// This job, or what becomes of it.
    Job(Box<Watch>, Box<Option<JobView>>),
    /// The event that says that there is nothing more.
    End,
    Nothing,
}

/// An event, as its lines say it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described here; events are written by the library")]
struct JobEvent {
    /// `job`, or `end` after the last one.
    event: String,
    /// What `Last-Event-ID` says to go on after this event.
    id: Option<String>,
    /// After how many milliseconds a client that lost the connection comes back.
    retry: Option<u32>,
    /// The job as JSON.
    data: String,
}

type Told = Result<Event, Infallible>;

fn fused(events: impl Stream<Item = Told> + Send + 'static) -> impl Stream<Item = Told> + Send + 'static {
    futures_util::StreamExt::fuse(events)
}

async fn next_event(next: Next) -> Option<(Told, Next)> {
    match next {
        Next::Job(mut watch, view) => {
            let view = match *view {
                Some(view) => view,
                None => watch.changed().await?,
            };
            let id = mark(&view);
            let is_over = view.job.state.is_final();
            let event = Event::default().event("job").id(id).retry(COME_BACK).json_data(JobBody::from(view)).ok()?;
            Some((Ok(event), if is_over { Next::End } else { Next::Job(watch, Box::new(None)) }))
        }
        Next::End => Some((Ok(Event::default().event("end").data("{}")), Next::Nothing)),
        Next::Nothing => None,
    }
}

impl Watch {
    /// The job when it has changed, as long as the key is good.
    async fn changed(&mut self) -> Option<JobView> {
        loop {
            tokio::select! {
                biased;
                _ = self.check.tick() => drop(caller_of(&self.headers, &self.app).await.ok()?),
                view = self.watched.changed() => return view,
            }
        }
    }
}

/// Where a job stands, as the id of an event.
fn mark(view: &JobView) -> String {
    let counts = view.job.counts;
    format!("{}.{}.{}.{}", view.job.state, counts.decided(), counts.received, view.job.bytes_done)
}
