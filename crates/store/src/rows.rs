//! A set of rows as one parameter of a statement. A chunk never travels row by row.
//!
//! In the SQL, `{rows}` stands for the set and is followed by its alias:
//! `UPDATE users SET version = r.version FROM {rows} AS r WHERE users.tenant = $1 AND users.id = r.id`.
//! PostgreSQL unnests one array for each column; SQLite reads one JSON document with `json_each`.

use crate::dialect::Dialect;
use std::fmt::Write;

/// The columns of a set, all of the same length.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub(crate) columns: Vec<(&'static str, Column)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Column {
    Int(Vec<i64>),
    OptInt(Vec<Option<i64>>),
    Bool(Vec<bool>),
    Text(Vec<String>),
    OptText(Vec<Option<String>>),
    Json(Vec<String>),
}

impl Rows {
    /// A set without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of whole numbers.
    pub fn int(mut self, name: &'static str, values: Vec<i64>) -> Self {
        self.columns.push((name, Column::Int(values)));
        self
    }

    /// Adds a column of whole numbers or nulls.
    pub fn opt_int(mut self, name: &'static str, values: Vec<Option<i64>>) -> Self {
        self.columns.push((name, Column::OptInt(values)));
        self
    }

    /// Adds a column of booleans.
    pub fn bool(mut self, name: &'static str, values: Vec<bool>) -> Self {
        self.columns.push((name, Column::Bool(values)));
        self
    }

    /// Adds a column of texts.
    pub fn text(mut self, name: &'static str, values: Vec<String>) -> Self {
        self.columns.push((name, Column::Text(values)));
        self
    }

    /// Adds a column of texts or nulls.
    pub fn opt_text(mut self, name: &'static str, values: Vec<Option<String>>) -> Self {
        self.columns.push((name, Column::OptText(values)));
        self
    }

    /// Adds a column of JSON texts.
    pub fn json(mut self, name: &'static str, values: Vec<String>) -> Self {
        self.columns.push((name, Column::Json(values)));
        self
    }

    /// How many rows the set has.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// Whether the set has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The statement for this database; the set's parameters begin at `$first`.
    pub(crate) fn expand(&self, sql: &str, first: usize, dialect: Dialect) -> String {
        let mut source = String::from("(SELECT ");
        for (i, (name, column)) in self.columns.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            match dialect {
                Dialect::Sqlite => write!(source, "{comma}value ->> {i} AS {name}"),
                Dialect::Postgres => write!(source, "{comma}unnest(${}::{}[]) AS {name}", first + i, column.sql_type()),
            }
            .expect("writing to memory does not fail");
        }
        if dialect == Dialect::Sqlite {
            write!(source, " FROM json_each(${first})").expect("writing to memory does not fail");
        }
        source.push(')');
        sql.replace("{rows}", &source)
    }

    /// The JSON document for SQLite: an array of arrays.
    pub(crate) fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(self.len() * 64 + 2);
        out.push(b'[');
        for row in 0..self.len() {
            out.extend_from_slice(if row == 0 { b"[" } else { b",[" });
            for (i, (_, column)) in self.columns.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                column.write_json(row, &mut out);
            }
            out.push(b']');
        }
        out.push(b']');
        String::from_utf8(out).expect("JSON made of texts is a text")
    }
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Int(values) => values.len(),
            Self::OptInt(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) | Self::Json(values) => values.len(),
            Self::OptText(values) => values.len(),
        }
    }

    fn sql_type(&self) -> &'static str {
        match self {
            Self::Int(_) | Self::OptInt(_) => "bigint",
            Self::Bool(_) => "boolean",
            Self::Text(_) | Self::OptText(_) => "text",
            Self::Json(_) => "jsonb",
        }
    }

    fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        let written = match self {
            Self::Int(values) => serde_json::to_writer(out, &values[row]),
            Self::OptInt(values) => serde_json::to_writer(out, &values[row]),
            Self::Bool(values) => serde_json::to_writer(out, &values[row]),
            Self::Text(values) | Self::Json(values) => serde_json::to_writer(out, &values[row]),
            Self::OptText(values) => serde_json::to_writer(out, &values[row]),
        };
        written.expect("writing to memory does not fail");
    }
}
