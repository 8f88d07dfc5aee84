//! SQLite: one writer connection, a few readers, all in this process.
//!
//! Durability: WAL with `synchronous=FULL`, so that a commit is on the disk before it is answered. `NORMAL` would lose
//! the last commits with the power; measured, it is not faster when commits are chunks.
//!
//! Statements run on the caller's thread inside `block_in_place`, so the runtime must be a multi-threaded one. A hop to
//! another thread for each call costs more than most statements (docs/adr/0001-sql-library.md).

use crate::connection::{Inner, Param, Row};
use crate::error::Result;
use crate::rows::Rows;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{OpenFlags, Statement};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// How many reads run side by side; see [`crate::Store::read`].
const READERS: usize = 6;
/// How long a writer waits for writers of other processes, in steps of [`BUSY_STEP`].
const BUSY_STEPS: i32 = 15_000;
/// Short and constant, so that a process beside a busy server finds the gap between two of its chunks.
const BUSY_STEP: Duration = Duration::from_millis(2);

#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    writer: Arc<tokio::sync::Mutex<rusqlite::Connection>>,
    readers: Arc<Readers>,
    permits: Arc<Semaphore>,
}

#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<rusqlite::Connection>>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut writer = rusqlite::Connection::open(path)?;
        writer.busy_handler(Some(wait))?;
        writer.execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;",
        )?;
        writer.set_prepared_statement_cache_capacity(128);
        let readers = Readers { path: path.to_owned(), idle: Mutex::default() };
        Ok(Self {
            writer: Arc::new(tokio::sync::Mutex::new(writer)),
            readers: Arc::new(readers),
            permits: Arc::new(Semaphore::new(READERS)),
        })
    }

    pub(crate) async fn reader(&self) -> Result<Inner> {
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let idle = self.readers.idle.lock().expect("no one panics with the lock").pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.readers.open()?,
        };
        let pool = self.readers.clone();
        Ok(Inner::Sqlite(Handle::Reader { connection: Some(connection), pool, _permit: permit }))
    }

    pub(crate) async fn begin(&self) -> Result<Inner> {
        // Tokio's mutex is first come, first served: jobs and single edits take turns, commit by commit.
        let mut handle = Handle::Writer(self.writer.clone().lock_owned().await);
        handle.batch("BEGIN IMMEDIATE")?;
        Ok(Inner::Sqlite(handle))
    }
}

impl Readers {
    fn open(&self) -> Result<rusqlite::Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut reader = rusqlite::Connection::open_with_flags(&self.path, flags)?;
        reader.busy_handler(Some(wait))?;
        reader.execute_batch("PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;")?;
        reader.set_prepared_statement_cache_capacity(64);
        Ok(reader)
    }
}

fn wait(attempt: i32) -> bool {
    std::thread::sleep(BUSY_STEP);
    attempt < BUSY_STEPS
}

/// A connection in use. Readers go back to the pool when they are dropped.
#[derive(Debug)]
pub(crate) enum Handle {
    Writer(OwnedMutexGuard<rusqlite::Connection>),
    Reader { connection: Option<rusqlite::Connection>, pool: Arc<Readers>, _permit: OwnedSemaphorePermit },
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Self::Reader { connection, pool, .. } = self {
            pool.idle.lock().expect("no one panics with the lock").extend(connection.take());
        }
    }
}

impl Handle {
    fn connection(&mut self) -> &mut rusqlite::Connection {
        match self {
            Self::Writer(connection) => connection,
            Self::Reader { connection, .. } => connection.as_mut().expect("a reader is there until it is dropped"),
        }
    }

    pub(crate) fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        tokio::task::block_in_place(|| {
            let mut statement = self.connection().prepare_cached(&numbered(sql))?;
            bind(&mut statement, params, None)?;
            Ok(statement.raw_execute()? as u64)
        })
    }

    /// Runs a statement once for each row.
    pub(crate) fn execute_each(&mut self, sql: &str, params: &[Param<'_>], rows: &Rows) -> Result<u64> {
        tokio::task::block_in_place(|| {
            let mut statement = self.connection().prepare_cached(&numbered(sql))?;
            bind(&mut statement, params, None)?;
            let mut touched = 0;
            for row in 0..rows.len() {
                for column in 0..rows.columns.len() {
                    statement.raw_bind_parameter(params.len() + 1 + column, rows.cell(column, row))?;
                }
                touched += statement.raw_execute()? as u64;
            }
            Ok(touched)
        })
    }

    pub(crate) fn query<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        rows: Option<&Rows>,
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        tokio::task::block_in_place(|| {
            let mut statement = self.connection().prepare_cached(&numbered(sql))?;
            bind(&mut statement, params, rows)?;
            let mut answer = statement.raw_query();
            let mut mapped = Vec::new();
            while let Some(row) = answer.next()? {
                mapped.push(map(&Row::Sqlite(row))?);
            }
            Ok(mapped)
        })
    }

    pub(crate) fn batch(&mut self, sql: &str) -> Result<()> {
        tokio::task::block_in_place(|| Ok(self.connection().execute_batch(sql)?))
    }

    pub(crate) fn roll_back(&mut self) {
        // A connection that cannot roll back had its transaction ended by the error that led here.
        if let Err(error) = self.connection().execute_batch("ROLLBACK") {
            tracing::debug!(%error, "nothing to roll back");
        }
    }
}

/// To SQLite `$1` is a name, numbered by where it first occurs; `?1` is the number.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn bind(statement: &mut Statement<'_>, params: &[Param<'_>], rows: Option<&Rows>) -> Result<()> {
    for (i, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(i + 1, *param)?;
    }
    if let Some(rows) = rows {
        statement.raw_bind_parameter(params.len() + 1, rows.to_json())?;
    }
    Ok(())
}

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(value) | Self::OptInt(Some(value)) => ToSqlOutput::Owned(Value::Integer(*value)),
            Self::Bool(value) | Self::OptBool(Some(value)) => ToSqlOutput::Owned(Value::Integer(i64::from(*value))),
            Self::Text(value) | Self::OptText(Some(value)) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Self::OptInt(None) | Self::OptBool(None) | Self::OptText(None) => ToSqlOutput::Owned(Value::Null),
        })
    }
}
