//! The faces over HTTP: the real router on a free port, a real database, a real worker.

mod app;
mod authorization;
mod bulk;
mod children;
mod community;
mod docs;
mod erasure;
mod errors;
mod export;
mod fields;
mod formats;
mod history;
mod idempotency;
mod idempotency_of_operations;
mod job_events;
mod jobs;
mod keys;
mod limits;
mod metrics;
mod multipart;
mod odd;
mod operations;
mod propeller;
mod queries;
mod results;
mod returning_ai;
mod uploads;
mod users;
mod webhooks;

use app::{App, on_every_database};
