//! Jobs from their bytes to their end, on both databases, one step at a time.

mod apply;
mod crash;
mod harness;
mod history;
mod model;
mod together;
