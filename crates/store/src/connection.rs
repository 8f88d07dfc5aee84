//! One connection, whichever database it goes to: parameters in, rows out.

use crate::dialect::Dialect;
use crate::error::{Result, StoreError};
use crate::held::Held;
use crate::rows::Rows;
use crate::{postgres, sqlite};
use jiff::Timestamp;

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Param<'a> {
    /// A whole number.
    Int(i64),
    /// A whole number or null.
    OptInt(Option<i64>),
    /// A boolean.
    Bool(bool),
    /// A boolean or null.
    OptBool(Option<bool>),
    /// A text, or JSON where the column is JSON.
    Text(&'a str),
    /// A text or null.
    OptText(Option<&'a str>),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl Param<'_> {
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        let written = match self {
            Self::Int(value) | Self::OptInt(Some(value)) => serde_json::to_writer(out, value),
            Self::Bool(value) | Self::OptBool(Some(value)) => serde_json::to_writer(out, value),
            Self::Text(text) | Self::OptText(Some(text)) => serde_json::to_writer(out, text),
            Self::OptInt(None) | Self::OptBool(None) | Self::OptText(None) => serde_json::to_writer(out, &()),
            Self::Bytes(bytes) => serde_json::to_writer(out, bytes),
        };
        written.expect("writing to memory does not fail");
    }
}

macro_rules! param_from {
    ($($variant:ident($from:ty)),+ $(,)?) => {
        $(impl<'a> From<$from> for Param<'a> {
            fn from(value: $from) -> Self { Self::$variant(value) }
        })+
    };
}
param_from!(
    Int(i64),
    OptInt(Option<i64>),
    Bool(bool),
    OptBool(Option<bool>),
    Text(&'a str),
    OptText(Option<&'a str>),
    Bytes(&'a [u8])
);

impl<'a> From<&'a String> for Param<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

/// The parameters of a statement, in the order of their numbers.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::connection::Param::from($value)),*] };
}
pub(crate) use params;

/// One row of an answer. Columns are counted from 0.
pub(crate) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    pub(crate) fn int(&self, i: usize) -> Result<i64> {
        Ok(match self {
            Self::Sqlite(row) => row.get(i)?,
            Self::Postgres(row) => row.try_get(i)?,
        })
    }

    pub(crate) fn opt_int(&self, i: usize) -> Result<Option<i64>> {
        Ok(match self {
            Self::Sqlite(row) => row.get(i)?,
            Self::Postgres(row) => row.try_get(i)?,
        })
    }

    pub(crate) fn bool(&self, i: usize) -> Result<bool> {
        Ok(match self {
            Self::Sqlite(row) => row.get(i)?,
            Self::Postgres(row) => row.try_get(i)?,
        })
    }

    pub(crate) fn text(&self, i: usize) -> Result<&str> {
        self.opt_text(i)?.ok_or_else(|| StoreError::Corrupt(format!("column {i} is null")))
    }

    pub(crate) fn opt_text(&self, i: usize) -> Result<Option<&str>> {
        match self {
            Self::Sqlite(row) => Ok(row.get_ref(i)?.as_str_or_null().map_err(rusqlite::Error::from)?),
            Self::Postgres(row) => Ok(row.try_get::<_, Option<postgres::TextOrJson<'_>>>(i)?.map(|text| text.0)),
        }
    }

    pub(crate) fn string(&self, i: usize) -> Result<String> {
        self.text(i).map(str::to_owned)
    }

    pub(crate) fn bytes(&self, i: usize) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Sqlite(row) => row.get(i)?,
            Self::Postgres(row) => row.try_get(i)?,
        })
    }

    /// Microseconds since 1970.
    pub(crate) fn time(&self, i: usize) -> Result<Timestamp> {
        Timestamp::from_microsecond(self.int(i)?).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// Microseconds since 1970, or null.
    pub(crate) fn opt_time(&self, i: usize) -> Result<Option<Timestamp>> {
        self.opt_int(i)?.is_some().then(|| self.time(i)).transpose()
    }

    /// A text that is parsed; what cannot be parsed was not written by this program.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, i: usize) -> Result<T> {
        let text = self.text(i)?;
        text.parse().map_err(|_| StoreError::Corrupt(format!("column {i} holds \"{text}\"")))
    }

    /// A JSON text that is read into a type.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, i: usize) -> Result<T> {
        serde_json::from_str(self.text(i)?).map_err(|error| StoreError::Corrupt(format!("column {i}: {error}")))
    }

    /// A JSON text that is read into a type, or null.
    pub(crate) fn opt_json<T: serde::de::DeserializeOwned>(&self, i: usize) -> Result<Option<T>> {
        self.opt_text(i)?.is_some().then(|| self.json(i)).transpose()
    }
}

/// A connection to the database.
#[derive(Debug)]
pub struct Connection {
    inner: Inner,
    _held: Held,
}

#[derive(Debug)]
pub(crate) enum Inner {
    Sqlite(sqlite::Handle),
    Postgres(postgres::Handle),
}

impl Connection {
    pub(crate) fn new(inner: Inner, held: Held) -> Self {
        Self { inner, _held: held }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match &self.inner {
            Inner::Sqlite(_) => Dialect::Sqlite,
            Inner::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement and says how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        match &mut self.inner {
            Inner::Sqlite(handle) => handle.execute(sql, params),
            Inner::Postgres(handle) => handle.execute(sql, params, None).await,
        }
    }

    /// Runs a statement that writes a set of rows, and says how many rows it touched; see [`crate::rows`]. An empty
    /// set does nothing.
    pub(crate) async fn execute_rows(&mut self, sql: &str, params: &[Param<'_>], rows: &Rows) -> Result<u64> {
        if rows.is_empty() {
            return Ok(0);
        }
        let first = params.len() + 1;
        match &mut self.inner {
            Inner::Sqlite(handle) => handle.execute_each(&rows.expand_row(sql, first), params, rows),
            Inner::Postgres(handle) => {
                handle.execute(&rows.expand(sql, first, Dialect::Postgres), params, Some(rows)).await
            }
        }
    }

    /// Every row of the answer, mapped.
    pub(crate) async fn query<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        match &mut self.inner {
            Inner::Sqlite(handle) => handle.query(sql, params, None, map),
            Inner::Postgres(handle) => handle.query(sql, params, None, map).await,
        }
    }

    /// Every row of the answer to a statement of which nearly every text is another one, so that none is worth keeping
    /// prepared: PostgreSQL would keep each until its connection is closed.
    pub(crate) async fn query_once<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        match &mut self.inner {
            Inner::Sqlite(handle) => handle.query(sql, params, None, map),
            Inner::Postgres(handle) => handle.query_once(sql, params, map).await,
        }
    }

    /// Every row of the answer to a question about a set of rows. An empty set has no answer.
    pub(crate) async fn query_rows<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        rows: &Rows,
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let sql = rows.expand(sql, params.len() + 1, self.dialect());
        match &mut self.inner {
            Inner::Sqlite(handle) => handle.query(&sql, params, Some(rows), map),
            Inner::Postgres(handle) => handle.query(&sql, params, Some(rows), map).await,
        }
    }

    /// The first row of the answer, if there is one.
    pub(crate) async fn query_opt<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.query(sql, params, map).await?.into_iter().next())
    }

    /// The one row of the answer.
    pub(crate) async fn query_one<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        let found = self.query_opt(sql, params, map).await?;
        found.ok_or_else(|| StoreError::Corrupt("a row that must be there is not".to_owned()))
    }

    /// Runs several statements without parameters.
    pub(crate) async fn batch(&mut self, sql: &str) -> Result<()> {
        match &mut self.inner {
            Inner::Sqlite(handle) => handle.batch(sql),
            Inner::Postgres(handle) => handle.batch(sql).await,
        }
    }
}

/// A transaction that may write. It is a [`Connection`], and is rolled back when it is dropped before
/// [`Self::commit`].
#[derive(Debug)]
pub struct Transaction {
    connection: Connection,
    open: bool,
}

impl Transaction {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, open: true }
    }

    /// Makes everything that was written durable. What is answered after this survives a loss of power.
    pub async fn commit(mut self) -> Result<()> {
        self.connection.batch("COMMIT").await?;
        self.open = false;
        Ok(())
    }

    /// Takes back everything that was written, and keeps the connection. A transaction that is dropped instead costs its
    /// connection on PostgreSQL.
    pub async fn rollback(mut self) -> Result<()> {
        self.connection.batch("ROLLBACK").await?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open {
            match &mut self.connection.inner {
                Inner::Sqlite(handle) => handle.roll_back(),
                Inner::Postgres(handle) => handle.abandon(),
            }
        }
    }
}

impl std::ops::Deref for Transaction {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl std::ops::DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
