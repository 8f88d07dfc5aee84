//! What became of a row.

use crate::error::RowError;
use crate::id::UserId;
use serde::{Deserialize, Serialize};

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The user was made.
    Created,
    /// The user was changed.
    Updated,
    /// The user had all the values already.
    Unchanged,
    /// The row was not applied, on purpose.
    Skipped,
    /// The row was not applied because of an error.
    Failed,
}

impl Status {
    /// The status in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The record number in the input, from 1.
    pub record: u64,
    /// How the row ended.
    pub status: Status,
    /// The user it named.
    pub user: Option<UserId>,
    /// Why it was skipped or failed.
    pub reason: Option<Reason>,
    /// What a dry run would change, as [`changes_to_stored`](crate::user::changes_to_stored) writes it.
    pub changes: Option<String>,
}

impl Outcome {
    /// An outcome that needs no reason.
    pub fn new(record: u64, status: Status, user: Option<UserId>) -> Self {
        Self { record, status, user, reason: None, changes: None }
    }
}

/// Why a row was skipped or failed, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The physical line on which the row begins.
    pub line: u64,
    /// What was wrong.
    pub error: RowError,
}
