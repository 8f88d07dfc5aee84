//! What a dry run would change: the first few rows, old and new value for each field.

use crate::cli::client::Client;
use crate::cli::failure::{Failure, Result};
use crate::cli::out::{self, Table};
use crate::cli::report::{RemoteJob, shown};
use reqwest::Method;
use serde_json::{Map, Value};

/// How many rows are shown.
const ROWS: usize = 5;

/// Prints the first rows that a dry run would change; nothing for another job.
pub(crate) async fn print_preview(client: &Client, job: &RemoteJob) -> Result<()> {
    if job.state == "planned" && job.counts.updated + job.counts.created > 0 {
        let (title, table) = preview(client, job, ROWS).await?;
        out::data(format!("\n{title}"))?;
        out::data(table)?;
    }
    Ok(())
}

/// The first rows that a dry run would change, and how many they are of how many.
pub(crate) async fn preview(client: &Client, job: &RemoteJob, most: usize) -> Result<(String, Table)> {
    let mut rows = Vec::new();
    for (status, count) in [("updated", job.counts.updated), ("created", job.counts.created)] {
        if count > 0 && rows.len() < most {
            rows.extend(first_rows(client, &job.id, status, most - rows.len()).await?);
        }
    }
    let (shown, all) = (rows.len() as u64, job.counts.updated + job.counts.created);
    let title = match shown < all {
        true => format!("The first {shown} of {} that would change something:", out::count(all, "row")),
        false => "What would change:".to_owned(),
    };
    Ok((title, table(&rows, job)))
}

/// The first rows that ended like this. The answer is not read any further than that.
async fn first_rows(client: &Client, id: &str, status: &str, most: usize) -> Result<Vec<Map<String, Value>>> {
    let request = client.request(Method::GET, &format!("/v1/jobs/{id}/results"));
    let mut response = client.send(request.query(&[("format", "ndjson"), ("status", status)])).await?;
    let (mut rows, mut text) = (Vec::new(), Vec::new());
    while let Some(bytes) = response.chunk().await.map_err(|error| client.broken(&error))? {
        text.extend_from_slice(&bytes);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let row = serde_json::from_slice(&line);
            rows.push(row.map_err(|error| Failure::caused("The server's answer is not a list of rows", &error))?);
            if rows.len() == most {
                return Ok(rows);
            }
        }
    }
    Ok(rows)
}

/// A line for each change; who it is about stands in the first one.
fn table(rows: &[Map<String, Value>], job: &RemoteJob) -> Table {
    let mut table = Table::new(&["LINE", "USER", "FIELD", "OLD → NEW"], &[0]);
    for row in rows {
        let (mut line, mut user) = (cell(row.get("_line")), who(row, job));
        let mut add = |field: &str, change: String| {
            table.row([std::mem::take(&mut line), std::mem::take(&mut user), field.to_owned(), change]);
        };
        let is_new = row.get("_status").and_then(Value::as_str) == Some("created");
        if is_new {
            add("(new user)", String::new());
        }
        for (field, change) in row.get("_changes").and_then(Value::as_object).into_iter().flatten() {
            let (old, new) = (change.get("old"), change.get("new"));
            match (field.as_str(), new.and_then(Value::as_bool)) {
                ("deleted", Some(true)) => add("(deleted)", String::new()),
                ("deleted", _) => add("(restored)", String::new()),
                (field, _) if is_new => add(field, cell(new)),
                (field, _) => add(field, format!("{} → {}", cell(old), cell(new))),
            }
        }
    }
    table
}

/// The cell or the member of a JSON record that names the user, as the file writes it; else the user's number.
fn who(row: &Map<String, Value>, job: &RemoteJob) -> String {
    let named = match job.match_by() {
        "id" => None,
        "external" => find(row, "source_id").or_else(|| row.get("identities")?.pointer("/0/source_id")),
        key => find(row, key).or_else(|| row.get("values")?.get(key)),
    };
    match (named, row.get("_user_id").and_then(Value::as_i64)) {
        (None, Some(user)) => format!("user {user}"),
        (name, _) => cell(name),
    }
}

/// The cell in the column of this name, which the file may have written in its own way.
fn find<'a>(row: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let is_key = |column: &str| column.trim().replace([' ', '-'], "_").eq_ignore_ascii_case(key);
    row.iter().find(|(column, _)| is_key(column)).map(|(_, cell)| cell)
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(job: &Value, rows: &[Value]) -> Vec<String> {
        let rows: Vec<_> = rows.iter().map(|row| row.as_object().unwrap().clone()).collect();
        table(&rows, &RemoteJob::read(job).unwrap()).to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_change_is_a_line_and_its_user_is_named_once() {
        let rows = [
            json!({"Email": "ada@example.com", "_line": 2, "_status": "updated", "_user_id": 7,
                   "_changes": {"city": {"old": "Rome", "new": null}, "points": {"old": 1, "new": 6}}}),
            json!({"Email": "\u{1b}[31mbob@example.com", "_line": 13, "_status": "created", "_user_id": null,
                   "_changes": {"city": {"old": null, "new": "Bonn"}}}),
        ];
        let expected = [
            "LINE  USER                  FIELD       OLD → NEW",
            "   2  ada@example.com       city        Rome → -",
            "                            points      1 → 6",
            "  13   [31mbob@example.com  (new user)",
            "                            city        Bonn",
        ];
        assert_eq!(shown(&json!({"source": {"format": "csv"}}), &rows), expected, "and no cell disturbs the terminal");
    }

    #[test]
    fn who_is_deleted_or_restored_is_said_so() {
        let row = |id, deleted: Value| {
            json!({"Source": "crm", "Source ID": "9", "id": id, "_line": null, "_status": "updated", "_user_id": id,
                   "_changes": {"deleted": {"old": null, "new": deleted}}})
        };
        let rows = [row(7, json!(true)), row(8, Value::Null)];
        let undo = shown(&json!({"kind": "undo"}), &rows);
        assert_eq!(undo[1..], ["   -  user 7  (deleted)", "   -  user 8  (restored)"]);
        let delete = json!({"source": {"format": "csv"}, "options": {"match_by": "external"}});
        assert_eq!(shown(&delete, &rows[..1])[1], "   -  9     (deleted)");
    }
}
