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
    let all = job.counts.updated + job.counts.created;
    if job.state != "planned" || all == 0 {
        return Ok(());
    }
    let mut rows = Vec::new();
    for (status, count) in [("updated", job.counts.updated), ("created", job.counts.created)] {
        if count > 0 && rows.len() < ROWS {
            rows.extend(first_rows(client, &job.id, status, ROWS - rows.len()).await?);
        }
    }
    out::data(match rows.len() as u64 {
        shown if shown < all => {
            format!("\nThe first {shown} of {} that would change something:", out::count(all, "row"))
        }
        _ => "\nWhat would change:".to_owned(),
    })?;
    out::data(table(&rows, job))
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
        let changes = row.get("_changes").and_then(Value::as_object);
        let new_user = row.get("_status").and_then(Value::as_str) == Some("created");
        if new_user {
            table.row([std::mem::take(&mut line), std::mem::take(&mut user), "(new user)".to_owned(), String::new()]);
        }
        for (field, change) in changes.into_iter().flatten() {
            let (old, new) = (cell(change.get("old")), cell(change.get("new")));
            let change = if new_user { new } else { format!("{old} → {new}") };
            table.row([std::mem::take(&mut line), std::mem::take(&mut user), field.clone(), change]);
        }
    }
    table
}

/// The cell that names the user, as the file writes it.
fn who(row: &Map<String, Value>, job: &RemoteJob) -> String {
    let key = match job.match_by() {
        "external" => "source_id",
        key => key,
    };
    let named = row.iter().find(|(column, _)| column.trim().replace([' ', '-'], "_").eq_ignore_ascii_case(key));
    match named {
        Some((_, cell)) => self::cell(Some(cell)),
        None => format!("user {}", cell(row.get("_user_id"))),
    }
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

    #[test]
    fn each_change_is_a_line_and_its_user_is_named_once() {
        let rows = [
            json!({"E-Mail": "x", "Email": "ada@example.com", "_line": 2, "_status": "updated", "_user_id": 7,
                   "_changes": {"city": {"old": "Rome", "new": null}, "points": {"old": 1, "new": 6}}}),
            json!({"Email": "\u{1b}[31mbob@example.com", "_line": 3, "_status": "created", "_user_id": null,
                   "_changes": {"city": {"old": null, "new": "Bonn"}}}),
        ];
        let rows: Vec<_> = rows.iter().map(|row| row.as_object().unwrap().clone()).collect();
        assert_eq!(
            table(&rows, &RemoteJob::default()).to_string(),
            "LINE  USER                 FIELD       OLD → NEW\n   \
                2  ada@example.com      city        Rome → -\n                           \
                                        points      1 → 6\n   \
                3   [31mbob@example.com  (new user)\n                           \
                                        city        Bonn"
        );
    }

    #[test]
    fn a_row_without_its_key_is_named_by_the_user() {
        let row = json!({"_user_id": 7});
        assert_eq!(who(row.as_object().unwrap(), &RemoteJob::default()), "user 7");
    }
}
