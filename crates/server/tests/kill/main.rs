//! Real processes die, by `kill -9`, and are started again; nobody can tell the difference from a run in which nobody died.

// The lints for tests hold for helpers too.
#![cfg(test)]

mod client;
mod files;
mod home;
mod moments;
mod points;
mod script;
mod state;
mod uploads;
mod workers;
