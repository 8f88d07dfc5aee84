//! Jobs from their bytes to their end, on both databases, one step at a time.

mod apply;
mod batch;
mod by_filter;
mod crash;
mod crowd;
mod erase;
mod field_edits;
mod fuses;
mod harness;
mod history;
mod indexing;
mod kinds;
mod model;
mod planned;
mod prune;
mod queries;
mod receiver;
mod retention;
mod retry;
mod states;
mod together;
mod undo;
mod watch;
mod webhooks;
