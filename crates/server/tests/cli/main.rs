//! The real binary, as people and scripts use it: what it prints, what it exits with, what it leaves behind.

// The lints for tests hold for helpers too.
#![cfg(test)]

mod admin;
mod config;
mod events;
mod generate;
mod help;
mod home;
mod plans;
mod quickstart;
mod serve;
mod transfer;
