//! Jobs from their bytes to their end, on both databases, one step at a time.

mod apply;
mod crash;
mod harness;
mod indexing;
mod model;
mod queries;
mod receiver;
mod together;
mod watch;
mod webhooks;
