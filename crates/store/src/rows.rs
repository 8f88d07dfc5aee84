//! A set of rows as one parameter of a statement.
//!
//! In the SQL, `{rows} AS r` stands for the set: `UPDATE users SET version = r.version FROM {rows} AS r WHERE
//! users.tenant = $1 AND users.id = r.id`. What is sent depends on the database and on what was measured
//! (docs/adr/0001-sql-library.md):
//!
//! * PostgreSQL unnests one array for each column, always.
//! * SQLite reads one JSON document with `json_each` where it answers a question: one statement for the whole set.
//! * SQLite runs a prepared statement for each row where it writes: `r.version` becomes a parameter and the `FROM` goes.
//!   A call costs well under a microsecond, and finding its row by a key beats every way to pass many columns at once.

use crate::connection::Param;
use crate::dialect::Dialect;

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

    /// The statement over the whole set; the set's parameters begin at `$first`.
    pub(crate) fn expand(&self, sql: &str, first: usize, dialect: Dialect) -> String {
        let columns = self.columns.iter().enumerate().map(|(i, (name, column))| match dialect {
            Dialect::Sqlite => format!("value ->> {i} AS {name}"),
            Dialect::Postgres => format!("unnest(${}::{}[]) AS {name}", first + i, column.sql_type()),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let source = match dialect {
            Dialect::Sqlite => format!("(SELECT {columns} FROM json_each(${first}))"),
            Dialect::Postgres => format!("(SELECT {columns})"),
        };
        sql.replace("{rows}", &source)
    }

    /// The statement for one row at a time; the row's parameters begin at `$first`, in the order of the columns.
    pub(crate) fn expand_row(&self, sql: &str, first: usize) -> String {
        // `VALUES` instead of `SELECT`: SQLite then knows that it is one row, and keeps no journal for the statement.
        let sql = match sql.split_once("FROM {rows} AS r") {
            Some((insert, rest)) if insert.starts_with("INSERT") => {
                format!("{}){rest}", insert.replacen("SELECT", "VALUES (", 1))
            }
            _ => sql.replace("USING {rows} AS r", "").replace("FROM {rows} AS r", ""),
        };
        let mut parts = sql.split("r.");
        let mut expanded = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_reference = !expanded.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let name = &part[..part.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(part.len())];
            match self.columns.iter().position(|(column, _)| is_reference && *column == name) {
                Some(i) => {
                    expanded.push_str(&format!("${}", first + i));
                    expanded.push_str(&part[name.len()..]);
                }
                None => {
                    expanded.push_str("r.");
                    expanded.push_str(part);
                }
            }
        }
        expanded
    }

    /// The cell of a row as a parameter.
    pub(crate) fn cell(&self, column: usize, row: usize) -> Param<'_> {
        match &self.columns[column].1 {
            Column::Int(values) => Param::Int(values[row]),
            Column::OptInt(values) => Param::OptInt(values[row]),
            Column::Bool(values) => Param::Bool(values[row]),
            Column::Text(values) | Column::Json(values) => Param::Text(&values[row]),
            Column::OptText(values) => Param::OptText(values[row].as_deref()),
        }
    }

    /// The JSON document for SQLite: an array of arrays.
    pub(crate) fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(self.len() * 32 + 2);
        out.push(b'[');
        for row in 0..self.len() {
            out.extend_from_slice(if row == 0 { b"[" } else { b",[" });
            for column in 0..self.columns.len() {
                if column > 0 {
                    out.push(b',');
                }
                self.cell(column, row).write_json(&mut out);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_written_once_for_both_databases() {
        let rows = Rows::new().int("id", vec![1]).opt_text("email", vec![Some("a\"b".into())]);
        let sql = "UPDATE users SET email = r.email FROM {rows} AS r WHERE users.tenant = $1 AND users.id = r.id";
        assert_eq!(
            rows.expand(sql, 2, Dialect::Postgres),
            "UPDATE users SET email = r.email FROM (SELECT unnest($2::bigint[]) AS id, unnest($3::text[]) AS email) AS r \
             WHERE users.tenant = $1 AND users.id = r.id"
        );
        assert_eq!(rows.expand_row(sql, 2), "UPDATE users SET email = $3  WHERE users.tenant = $1 AND users.id = $2");
        let sql = "DELETE FROM users USING {rows} AS r WHERE users.tenant = $1 AND users.id = r.id";
        assert_eq!(rows.expand_row(sql, 2), "DELETE FROM users  WHERE users.tenant = $1 AND users.id = $2");
        let sql = "INSERT INTO users (tenant, id) SELECT $1, r.id FROM {rows} AS r ON CONFLICT DO NOTHING";
        assert_eq!(rows.expand_row(sql, 2), "INSERT INTO users (tenant, id) VALUES ( $1, $2 ) ON CONFLICT DO NOTHING");
        assert_eq!(rows.to_json(), r#"[[1,"a\"b"]]"#);
    }
}
