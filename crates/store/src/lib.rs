//! The only room with SQL: one [`Store`] over SQLite and PostgreSQL.
//!
//! A statement is written once, with `$1` placeholders. What differs between the databases stands in [`dialect`];
//! sets of rows travel as [`rows::Rows`]. Nothing here decides anything about users or jobs: rules live in the core and
//! in the engine, which calls these functions inside the transactions it opens.
//!
//! Every statement on data of a community carries its [`Tenant`](muster_core::id::Tenant).

mod communities;
mod connection;
mod deliveries;
pub mod dialect;
mod erasure;
mod error;
mod fields;
mod held;
mod history;
mod idempotency;
mod job_log;
mod jobs;
mod keys;
mod migrate;
mod outcomes;
mod postgres;
mod prefilter;
pub mod rows;
mod scan;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod user_index;
mod user_pages;
mod users;
mod verify;
mod waiting;
mod webhooks;

pub use communities::Community;
pub use connection::{Connection, Transaction};
pub use deliveries::{Attempt, ClaimedDelivery, Delivery, DeliveryFilter, DueDelivery, Verdict};
pub use erasure::KeptOfJob;
pub use error::{Result, StoreError};
pub use fields::FieldOrigin;
pub use history::{
    ChangeSet, CommitInfo, HistoryFilter, JobChange, NewChangeSet, NewCommit, OldCommit, OldSet, Opening, PastSet,
    Place, Touched,
};
pub use idempotency::{KeptRequest, KeptState, KeyOwner, RESERVATION_SECONDS, StoredAnswer};
pub use jobs::{Claim, EndOfJob, Family, Job, JobFilter, JobRef, LEASE_SECONDS, NewJob, Prepared, Progress};
pub use keys::{ApiKey, NewApiKey};
pub use muster_core::key::UserKey;
pub use scan::Scan;
pub use user_index::IndexEntry;
pub use users::{Among, KeyMoves, LoadedUser, Reserved, UserRow};
pub use verify::Link;
pub use waiting::OpenJobs;
pub use webhooks::{NewWebhook, Webhook, WebhookEdit};

use dialect::Dialect;
use held::Held;
use postgres::Postgres;
use sqlite::Sqlite;
use std::path::Path;

/// The database of a Muster: SQLite in a file, or PostgreSQL.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens a SQLite file, making it where there is none.
    pub fn open_sqlite(path: &Path) -> Result<Self> {
        Ok(Self { backend: Backend::Sqlite(Sqlite::open(path)?) })
    }

    /// Prepares connections to PostgreSQL; nothing is sent before the first use.
    pub fn open_postgres(url: &str) -> Result<Self> {
        Ok(Self { backend: Backend::Postgres(Postgres::open(url)?) })
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match &self.backend {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A connection for reading. Each statement sees what is committed when it begins.
    ///
    /// There are few, and whoever comes when all are taken waits: take one for a batch and give it back, and never a second one
    /// with one in hand, which as many tasks as there are connections would wait for for ever. Inside of a transaction,
    /// read through it.
    pub async fn read(&self) -> Result<Connection> {
        let held = Held::new();
        let inner = match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.reader().await?,
            Backend::Postgres(postgres) => postgres.connection().await?,
        };
        Ok(Connection::new(inner, held))
    }

    /// Begins a transaction that may write. On SQLite it waits for its turn and then has the database to itself. What
    /// [`Self::read`] says of connections holds for it too.
    ///
    /// A transaction that is dropped without [`Transaction::commit`] is rolled back.
    pub async fn begin(&self) -> Result<Transaction> {
        let held = Held::new();
        let inner = match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.begin().await?,
            Backend::Postgres(postgres) => postgres.begin().await?,
        };
        Ok(Transaction::new(Connection::new(inner, held)))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.read().await?.query_one("SELECT CAST(1 AS BIGINT)", &[], |row| row.int(0)).await.map(drop)
    }
}
