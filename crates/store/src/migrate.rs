//! Brings the schema up to date. The migrations of the two databases are paired: the same numbers, the same names, the
//! same tables and columns (the conformance suite compares them).

use crate::connection::params;
use crate::error::{Result, StoreError};
use crate::{Store, dialect::Dialect};

/// A migration: its number, its name, its SQL for SQLite and for PostgreSQL.
type Migration = (i64, &'static str, &'static str, &'static str);

macro_rules! migration {
    ($number:literal, $name:literal, $file:literal) => {
        (
            $number,
            $name,
            include_str!(concat!("../migrations/sqlite/", $file)),
            include_str!(concat!("../migrations/postgres/", $file)),
        )
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "foundation", "0001_foundation.sql"),
    migration!(2, "bulk", "0002_bulk.sql"),
    migration!(3, "webhooks", "0003_webhooks.sql"),
    migration!(4, "user_index", "0004_user_index.sql"),
    migration!(5, "idempotency", "0005_idempotency.sql"),
    migration!(6, "history", "0006_history.sql"),
    migration!(7, "retention", "0007_retention.sql"),
    migration!(8, "bound_keys", "0008_bound_keys.sql"),
    migration!(9, "keys_of_users", "0009_keys_of_users.sql"),
    migration!(10, "oauth_tokens", "0010_oauth_tokens.sql"),
    migration!(11, "open_jobs", "0011_open_jobs.sql"),
    migration!(12, "makers_of_fields", "0012_makers_of_fields.sql"),
];

/// The number under which PostgreSQL locks migrations, so that two processes that start together do not both migrate.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(5280310)";

impl Store {
    /// Brings the schema up to date and says which migrations were run. Doing it twice, or in two processes at once,
    /// does it once.
    pub async fn migrate(&self) -> Result<Vec<&'static str>> {
        let mut tx = self.begin().await?;
        if self.dialect() == Dialect::Postgres {
            tx.batch(MIGRATION_LOCK).await?;
        }
        tx.batch(
            "CREATE TABLE IF NOT EXISTS schema_migrations (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)",
        )
        .await?;
        let current = tx.schema_version().await?;
        let known = MIGRATIONS.last().map_or(0, |migration| migration.0);
        if current > known {
            return Err(StoreError::SchemaTooNew { found: current, known });
        }
        let mut run = Vec::new();
        for (number, name, sqlite, postgres) in MIGRATIONS.iter().filter(|migration| migration.0 > current) {
            tx.batch(match self.dialect() {
                Dialect::Sqlite => sqlite,
                Dialect::Postgres => postgres,
            })
            .await?;
            tx.execute("INSERT INTO schema_migrations (number, name) VALUES ($1, $2)", params![*number, *name]).await?;
            run.push(*name);
        }
        tx.commit().await?;
        Ok(run)
    }

    /// Whether the schema is the one this program works with.
    pub async fn schema_is_current(&self) -> Result<bool> {
        let mut connection = self.read().await?;
        let exists = match self.dialect() {
            Dialect::Sqlite => "SELECT count(*) FROM sqlite_master WHERE name = 'schema_migrations'",
            Dialect::Postgres => {
                "SELECT count(*) FROM pg_tables WHERE schemaname = ANY (current_schemas(false)) AND tablename = 'schema_migrations'"
            }
        };
        if connection.query_one(exists, &[], |row| row.int(0)).await? == 0 {
            return Ok(false);
        }
        Ok(Some(connection.schema_version().await?) == MIGRATIONS.last().map(|migration| migration.0))
    }
}

impl crate::Connection {
    async fn schema_version(&mut self) -> Result<i64> {
        self.query_one("SELECT coalesce(max(number), 0) FROM schema_migrations", &[], |row| row.int(0)).await
    }
}
