//! PostgreSQL: a pool of connections.

use crate::connection::{Inner, Param, Row};
use crate::error::{Result, StoreError};
use crate::rows::{Column, Rows};
use bytes::BytesMut;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use std::error::Error;
use tokio_postgres::NoTls;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// How many statements run side by side, in transactions or not; see [`crate::Store::read`].
const CONNECTIONS: usize = 16;

/// A process that stops in the middle of a transaction, or whose machine vanishes, would keep its locks, and with them its
/// jobs and users from everybody else; after as long as a lease lasts the server ends the transaction.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '10s'";

#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    pool: Pool,
}

impl Postgres {
    pub(crate) fn open(url: &str) -> Result<Self> {
        let config: tokio_postgres::Config = url
            .parse()
            .map_err(|_| StoreError::Address("write postgres://user:password@host:port/database".to_owned()))?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config, NoTls, recycling);
        let pool = Pool::builder(manager).max_size(CONNECTIONS).build();
        Ok(Self { pool: pool.map_err(|error| StoreError::Address(error.to_string()))? })
    }

    pub(crate) async fn connection(&self) -> Result<Inner> {
        Ok(Inner::Postgres(self.handle().await?))
    }

    pub(crate) async fn begin(&self) -> Result<Inner> {
        let mut handle = self.handle().await?;
        handle.batch(BEGIN).await?;
        Ok(Inner::Postgres(handle))
    }

    async fn handle(&self) -> Result<Handle> {
        Ok(Handle(Some(self.pool.get().await?)))
    }
}

/// A connection in use; it goes back to the pool when it is dropped.
pub(crate) struct Handle(Option<Object>);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgreSQL connection")
    }
}

impl Handle {
    fn client(&self) -> &Object {
        self.0.as_ref().expect("a connection is there until it is abandoned")
    }

    pub(crate) async fn execute(&mut self, sql: &str, params: &[Param<'_>], rows: Option<&Rows>) -> Result<u64> {
        let statement = self.client().prepare_cached(sql).await?;
        Ok(self.client().execute(&statement, &all(params, rows)).await?)
    }

    pub(crate) async fn query<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        rows: Option<&Rows>,
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let statement = self.client().prepare_cached(sql).await?;
        let answer = self.client().query(&statement, &all(params, rows)).await?;
        answer.iter().map(|row| map(&Row::Postgres(row))).collect()
    }

    /// Runs a statement and forgets it.
    pub(crate) async fn query_once<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let answer = self.client().query(sql, &all(params, None)).await?;
        answer.iter().map(|row| map(&Row::Postgres(row))).collect()
    }

    pub(crate) async fn batch(&mut self, sql: &str) -> Result<()> {
        Ok(self.client().batch_execute(sql).await?)
    }

    /// Closes the connection, and with it the transaction that was left open.
    pub(crate) fn abandon(&mut self) {
        self.0.take().map(Object::take);
    }
}

fn all<'a>(params: &'a [Param<'a>], rows: Option<&'a Rows>) -> Vec<&'a (dyn ToSql + Sync)> {
    let columns = rows.into_iter().flat_map(|rows| &rows.columns).map(|(_, column)| column as &(dyn ToSql + Sync));
    params.iter().map(|param| param as &(dyn ToSql + Sync)).chain(columns).collect()
}

impl ToSql for Param<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Int(value) | Self::OptInt(Some(value)) => value.to_sql(kind, out),
            Self::Bool(value) | Self::OptBool(Some(value)) => value.to_sql(kind, out),
            Self::Text(value) | Self::OptText(Some(value)) => JsonText(value).to_sql(kind, out),
            Self::Bytes(value) => value.to_sql(kind, out),
            Self::OptInt(None) | Self::OptBool(None) | Self::OptText(None) => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl ToSql for Column {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Int(values) => values.to_sql(kind, out),
            Self::OptInt(values) => values.to_sql(kind, out),
            Self::Bool(values) => values.to_sql(kind, out),
            Self::Text(values) => values.to_sql(kind, out),
            Self::OptText(values) => values.to_sql(kind, out),
            Self::Json(values) => values.iter().map(|text| JsonText(text)).collect::<Vec<_>>().to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A text that goes into a text or a JSON column as it is.
#[derive(Debug)]
struct JsonText<'a>(&'a str);

impl ToSql for JsonText<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if *kind == Type::JSONB {
            // The version of the binary format.
            out.extend_from_slice(&[1]);
        }
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The text of a text or JSON column.
pub(crate) struct TextOrJson<'a>(pub(crate) &'a str);

impl<'a> FromSql<'a> for TextOrJson<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let raw = if *kind == Type::JSONB { raw.get(1..).unwrap_or_default() } else { raw };
        Ok(Self(std::str::from_utf8(raw)?))
    }

    fn accepts(kind: &Type) -> bool {
        [Type::TEXT, Type::VARCHAR, Type::JSON, Type::JSONB, Type::NAME].contains(kind)
    }
}
