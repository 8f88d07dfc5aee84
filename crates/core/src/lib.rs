//! What things are in Muster, and what is to be done with a row.
//!
//! This room holds the words of the product (communities, users, fields, values, operators, jobs), the catalogue of
//! errors, [`intake`] (bytes become rows with positions) and [`plan`] (the pure decision for one row).
//! It knows no clock, no randomness, no database, no network and no `async`: everything here can be tested by calling it.

pub mod actor;
pub mod command;
pub mod email;
pub mod error;
pub mod field;
pub mod field_edit;
pub mod filter;
pub mod id;
pub mod identity;
pub mod intake;
pub mod job;
pub mod json;
pub mod key;
pub mod number;
pub mod order;
pub mod outcome;
pub mod patch;
pub mod plan;
pub mod scope;
pub mod settings;
pub mod sort;
pub mod text;
pub mod undo;
pub mod user;
pub mod value;
pub mod webhook;

pub use error::{Code, Error, RowError};
pub use patch::Patch;
