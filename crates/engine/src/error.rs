//! The errors of the engine: what a caller may know, and what ends in the log.

use muster_core::{Code, Error};
use muster_store::StoreError;
use std::io;

/// The result of most functions here.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Refused, for a reason that whoever asked may know and can mend.
    #[error(transparent)]
    Refused(#[from] Error),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// The staging area failed.
    #[error("the staging area failed")]
    Staging(#[from] io::Error),
    /// What stands in the staging area is not what was written there.
    #[error("an object of the staging area is damaged: {0}")]
    Damaged(String),
    /// There is no client for HTTP, such as where the machine has no certificates.
    #[error("the client for HTTP cannot be made")]
    Client(#[source] reqwest::Error),
    /// A fault that a test planned; the worker is to be thought of as dead.
    #[error("planned fault at {0}")]
    Planned(&'static str),
    /// A task of our own ended in a panic.
    #[error("a task panicked")]
    Panicked(#[from] tokio::task::JoinError),
}

impl EngineError {
    /// Refuses with a code and a sentence.
    pub fn refuse(code: Code, detail: impl Into<String>) -> Self {
        Self::Refused(Error::new(code, detail))
    }

    /// There is no such object in this community. The same for another community's object.
    pub fn not_found(what: &str) -> Self {
        Self::refuse(Code::NotFound, format!("There is no such {what} in this community."))
    }

    /// What a caller may know. Causes stay inside.
    pub fn public(&self) -> Error {
        match self {
            Self::Refused(error) => error.clone(),
            Self::Store(error) if error.is_full() => full(),
            Self::Staging(error) if is_full(error) => full(),
            Self::Store(error) if error.is_transient() => {
                Error::new(Code::Unavailable, "The database cannot be reached or is busy; try again.")
            }
            Self::Store(_)
            | Self::Staging(_)
            | Self::Damaged(_)
            | Self::Client(_)
            | Self::Planned(_)
            | Self::Panicked(_) => {
                Error::new(Code::Internal, "Something failed on our side; the log of the server has the cause.")
            }
        }
    }

    /// Whether the caller is not to blame, so that the cause belongs in the log.
    pub fn is_internal(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

fn full() -> Error {
    Error::new(Code::StorageFull, "The disk of the server is full; nothing was accepted.")
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// An error with all its causes, for the log.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
