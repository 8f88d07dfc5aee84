//! What can go wrong with the database. None of it is for users: the engine turns it into `internal`, `unavailable` or
//! `storage_full` and logs the cause.

use muster_core::user::StoredError;

/// The result of every function of this room.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A failure of the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite failed.
    #[error("SQLite failed")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL failed.
    #[error("PostgreSQL failed")]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection to PostgreSQL could be had.
    #[error("no connection to PostgreSQL could be had")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// The address of the database is not one.
    #[error("the address of the database is not valid: {0}")]
    Address(String),
    /// A row holds what this program cannot read.
    #[error("a stored row cannot be read")]
    Stored(#[from] StoredError),
    /// A row holds what this program cannot read.
    #[error("a stored row cannot be read: {0}")]
    Corrupt(String),
    /// The schema is newer than this program.
    #[error("the schema has version {found}, this program knows {known}; run a newer muster")]
    SchemaTooNew {
        /// The version of the schema.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
}

impl StoreError {
    /// Whether the same may succeed when it is tried again: a lost connection, a deadlock, a busy database.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
            ),
            Self::Postgres(error) => {
                error.is_closed()
                    || error.code().is_none_or(|state| {
                        use tokio_postgres::error::SqlState as S;
                        [
                            &S::T_R_DEADLOCK_DETECTED,
                            &S::T_R_SERIALIZATION_FAILURE,
                            &S::ADMIN_SHUTDOWN,
                            &S::CRASH_SHUTDOWN,
                            &S::CANNOT_CONNECT_NOW,
                            &S::TOO_MANY_CONNECTIONS,
                            &S::LOCK_NOT_AVAILABLE,
                        ]
                        .contains(&state)
                    })
            }
            Self::Pool(_) => true,
            Self::Address(_) | Self::Stored(_) | Self::Corrupt(_) | Self::SchemaTooNew { .. } => false,
        }
    }

    /// Whether there is no room left on the disk.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            Self::Postgres(error) => error.code() == Some(&tokio_postgres::error::SqlState::DISK_FULL),
            _ => false,
        }
    }
}
