//! The two schemas are the same: tables, columns, keys and indexes, after all migrations.

use muster_store::dialect::Dialect;
use muster_store::testing;
use std::collections::BTreeMap;

/// A line for each column: table, place, name, whether it must have a value, type.
fn columns(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "SELECT t.name || ' ' || (c.cid + 1) || ' ' || c.name || ' ' ||
                 CASE c.\"notnull\" WHEN 1 THEN 'required' ELSE 'optional' END || ' ' || lower(c.type)
             FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
        }
        Dialect::Postgres => {
            "SELECT table_name::text || ' ' || ordinal_position::text || ' ' || column_name::text || ' ' ||
                 CASE is_nullable WHEN 'NO' THEN 'required' ELSE 'optional' END || ' ' || data_type::text
             FROM information_schema.columns WHERE table_schema = 'public'"
        }
    }
}

/// A line for each column of an index: table, whether it is the primary key, unique or neither, name, place, column. An
/// index that a constraint made has no name of its own.
fn indexes(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "SELECT t.name || ' ' || CASE WHEN i.origin = 'pk' THEN 'primary' WHEN i.\"unique\" THEN 'unique' ELSE 'plain' END
                 || ' ' || CASE i.origin WHEN 'c' THEN i.name ELSE '-' END || ' ' || (c.seqno + 1) || ' ' || c.name
             FROM sqlite_master AS t JOIN pragma_index_list(t.name) AS i JOIN pragma_index_info(i.name) AS c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
             UNION ALL
             SELECT t.name || ' primary - 1 ' || c.name
             FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND c.pk = 1
               AND NOT EXISTS (SELECT 1 FROM pragma_index_list(t.name) AS i WHERE i.origin = 'pk')"
        }
        Dialect::Postgres => {
            "SELECT t.relname::text || ' ' ||
                 CASE WHEN i.indisprimary THEN 'primary' WHEN i.indisunique THEN 'unique' ELSE 'plain' END || ' ' ||
                 CASE WHEN k.oid IS NULL THEN n.relname::text ELSE '-' END || ' ' || c.place::text || ' ' || a.attname::text
             FROM pg_index AS i
             JOIN pg_class AS t ON t.oid = i.indrelid
             JOIN pg_class AS n ON n.oid = i.indexrelid
             JOIN pg_namespace AS s ON s.oid = t.relnamespace AND s.nspname = 'public'
             LEFT JOIN pg_constraint AS k ON k.conindid = i.indexrelid
             CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS c (number, place)
             JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = c.number"
        }
    }
}

/// The types of both databases under one name. Text that SQLite holds may be JSON in PostgreSQL.
fn same_type(line: &str) -> String {
    let (rest, kind) = line.rsplit_once(' ').expect("a line ends with the type");
    let kind = match kind {
        "integer" | "bigint" => "number",
        "text" | "jsonb" => "text",
        "blob" | "bytea" => "bytes",
        other => other,
    };
    format!("{rest} {kind}")
}

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_have_the_same_tables_columns_keys_and_indexes() {
    let mut schemas = BTreeMap::new();
    for url in testing::database_urls().await {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let store = testing::open(url.as_deref(), folder.path());
        store.migrate().await.expect("the schema is made");
        let dialect = store.dialect();
        let mut columns: Vec<String> = testing::strings(&store, columns(dialect)).await;
        columns.iter_mut().for_each(|line| *line = same_type(line));
        columns.sort();
        let mut indexes = testing::strings(&store, indexes(dialect)).await;
        indexes.sort();
        assert!(columns.len() > 60 && indexes.len() > 30, "{columns:?} {indexes:?}");
        schemas.insert(format!("{dialect:?}"), (columns, indexes));
    }
    let Some((columns, indexes)) = schemas.get("Postgres") else {
        return;
    };
    assert_eq!(&schemas["Sqlite"].0, columns);
    assert_eq!(&schemas["Sqlite"].1, indexes);
}
