//! Every difference between the two databases that a statement has to know, each with its reason.

/// Which database a statement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, embedded.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// The database's own clock in microseconds since 1970. Leases are measured by it, because the clocks of two worker
    /// machines may differ.
    pub fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
            Self::Postgres => "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        }
    }

    /// Locks the rows that a query reads, in the order of a column, so that two jobs on the same users cannot
    /// deadlock. SQLite has one writer and needs neither the lock nor the order.
    pub fn lock(self, table: &str, order: &str) -> String {
        match self {
            Self::Sqlite => String::new(),
            Self::Postgres => format!("ORDER BY {order} FOR UPDATE OF {table}"),
        }
    }

    /// Keeps the row that a query reads as it is until the transaction ends, beside others who do the same. SQLite has one
    /// writer, and a transaction that may write is it.
    pub fn share(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR SHARE",
        }
    }

    /// Joins the rows of a set to a table. SQLite would read the JSON document again for each row of the table; it takes
    /// the order that is written only from `CROSS JOIN`.
    pub fn join(self) -> &'static str {
        match self {
            Self::Sqlite => "CROSS JOIN",
            Self::Postgres => "JOIN",
        }
    }

    /// Whether all writers queue for the whole database. Then counters are advanced in the transaction that uses them;
    /// else in one of their own before it, so that the counter's row is not locked until a whole chunk is committed.
    pub fn single_writer(self) -> bool {
        match self {
            Self::Sqlite => true,
            Self::Postgres => false,
        }
    }

    /// Looks up in a table, for each row of a set, what meets a condition; to stand behind `FROM {rows} AS r`. The planner of
    /// PostgreSQL may turn a join around and read far too much where it knows little about the table; behind `OFFSET 0` it
    /// does not look. SQLite takes the order that is written from `CROSS JOIN`.
    pub fn look_up(self, table: &str, alias: &str, condition: &str) -> String {
        match self {
            Self::Sqlite => format!("CROSS JOIN {table} AS {alias} ON {condition}"),
            Self::Postgres => {
                format!("CROSS JOIN LATERAL (SELECT * FROM {table} AS {alias} WHERE {condition} OFFSET 0) AS {alias}")
            }
        }
    }

    /// The jobs in the queue, as `q`, each with its row, as `j`. SQLite would rather go through all jobs that there ever were, of
    /// which it does not know how many there are.
    pub fn open_jobs(self) -> String {
        format!("job_queue AS q {} jobs AS j ON j.tenant = q.tenant AND j.id = q.job_id", self.join())
    }
}
