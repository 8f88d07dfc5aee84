//! Preparing: goes through the input once, checks every row, finds the users, and leaves the rows sorted by user.
//!
//! Users who exist come first, by id; then the keys that name nobody, by key; rows of one user stay in file order. From
//! this order the engine has its speed: each page of the database is written once, and repeated keys lie side by side.
//! Nothing is written to the database here but the name of what was made.
//!
//! Where the rows come from: [`file`], [`filter`], [`undo`], or the plan of a dry run ([`planned`]). What becomes of them: [`gather`].

mod file;
mod filter;
mod gather;
mod planned;
mod selection;
mod undo;

pub(crate) use filter::read_command;
pub(crate) use gather::fingerprint_like;
pub(crate) use selection::{Selection, past_outcomes};

use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::job::{Job, relation};
use crate::pulse::Pulse;
use muster_core::field::FieldSet;
use muster_core::id::UserId;
use muster_core::intake::ReadError;
use muster_core::job::{Counts, Relation};
use muster_core::key::{Key, UserKey};
use muster_core::plan::Row;
use muster_store::Prepared;
use serde::{Deserialize, Serialize};

/// A row that is ready to be applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PreparedRow {
    /// Who had the key when it was looked up. A hint: what counts is who has it when the row is applied.
    pub user: Option<UserId>,
    /// The row.
    pub row: Row,
    /// The version that the user had before the first row of a plan; 0: there was no such user.
    pub expected: Option<i64>,
    /// The version that the user had after the first change set of the job that is being undone.
    pub since: Option<i64>,
    /// The edits whose value a row before it in the file claims for another user. They fail the row where they would
    /// give the user something.
    pub lost: Vec<u32>,
}

impl PreparedRow {
    pub(crate) fn new(user: Option<UserId>, row: Row) -> Self {
        Self { user, row, expected: None, since: None, lost: Vec::new() }
    }

    /// The keys that the row may not take.
    pub(crate) fn lost_keys(&self, fields: &FieldSet) -> Vec<UserKey> {
        let lost = self.lost.iter().filter_map(|index| self.row.edits.get(*index as usize));
        let keys = lost.filter_map(|edit| Some(UserKey::of_value(edit.field, edit.patch.value()?, fields)));
        keys.flatten().collect()
    }

    /// Whether both are about the same user, as far as was known when they were prepared.
    pub(crate) fn is_about_the_same(&self, other: &Self) -> bool {
        match (self.user, other.user) {
            (None, None) => same_key(&self.row.key, &other.row.key),
            (mine, theirs) => mine == theirs,
        }
    }
}

fn same_key(one: &Key, other: &Key) -> bool {
    one == other || one.user_key().is_some_and(|key| Some(key) == other.user_key())
}

/// What preparing made.
pub(crate) struct Preparation {
    pub prepared: Prepared,
    pub counts: Counts,
    pub bytes: u64,
}

/// Prepares a job. `None` where the job was lost meanwhile.
pub(crate) async fn prepare(
    engine: &Engine,
    job: &Job,
    fields: &FieldSet,
    pulse: &Pulse,
) -> Result<Option<Preparation>> {
    match (relation(job), job.family.undoes) {
        (Some(Relation::Apply), _) => planned::prepare(engine, job),
        (Some(Relation::Undo | Relation::Retry) | None, Some(undone)) => {
            undo::prepare(engine, job, undone, fields, pulse).await
        }
        (Some(Relation::Undo | Relation::Retry) | None, None) => match job.source.listing.is_empty() {
            true => file::prepare(engine, job, fields, pulse).await,
            false => filter::prepare(engine, job, fields, pulse).await,
        },
    }
}

pub(crate) fn read_error(error: ReadError) -> EngineError {
    match error {
        ReadError::Fault(error) => EngineError::Refused(error),
        ReadError::Io(error) => EngineError::Staging(error),
    }
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
