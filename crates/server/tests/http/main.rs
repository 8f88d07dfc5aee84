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
mod multipart;
mod odd;
mod operations;
mod propeller;
mod queries;
mod results;
mod returning_ai_anonymous;
mod returning_ai_bulk;
mod returning_ai_fields;
mod returning_ai_filter;
mod returning_ai_histories;
mod returning_ai_keys;
mod returning_ai_log;
mod returning_ai_users;
mod uploads;
mod users;
mod webhooks;

use app::{App, on_every_database};
