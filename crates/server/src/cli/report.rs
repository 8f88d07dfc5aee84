//! What became of a job, for people: its counts, and its errors in groups.

use crate::cli::client::{Client, ProblemEntry};
use crate::cli::failure::{EXIT_PARTLY, Failure, Result};
use crate::cli::out::{self, Table};
use serde::Deserialize;
use serde_json::Value;

/// A job as the server shows it, as much of it as the command line needs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RemoteJob {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) dry_run: bool,
    options: RemoteOptions,
    pub(crate) source: RemoteSource,
    pub(crate) counts: RemoteCounts,
    pub(crate) progress: RemoteProgress,
    pub(crate) error: Option<Value>,
    pub(crate) same_file_as: Option<String>,
    parent_job_id: Option<String>,
    undo_job_id: Option<String>,
    pub(crate) submitted_at: String,
    pub(crate) started_at: Option<jiff::Timestamp>,
    pub(crate) finished_at: Option<jiff::Timestamp>,
}

/// The options of a job that its report depends on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct RemoteOptions {
    match_by: Option<String>,
}

/// The file of a job, if it has one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RemoteSource {
    pub(crate) format: Option<String>,
}

/// How many rows ended how.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RemoteCounts {
    pub(crate) received: u64,
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) unchanged: u64,
    pub(crate) skipped: u64,
    pub(crate) failed: u64,
    pub(crate) unprocessed: u64,
}

/// How far a job is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RemoteProgress {
    pub(crate) rows_done: u64,
    pub(crate) bytes_done: u64,
    pub(crate) bytes_total: u64,
    pub(crate) rows_per_second: f64,
    pub(crate) eta_seconds: Option<f64>,
}

/// Rows that failed for the same reason.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RemoteErrors {
    code: String,
    column: Option<String>,
    count: u64,
    sample_values: Vec<String>,
    first_lines: Vec<u64>,
}

impl RemoteJob {
    /// Reads a job from what the server said.
    pub(crate) fn read(json: &Value) -> Result<Self> {
        Self::deserialize(json).map_err(|error| Failure::caused("The server's answer is not a job", &error))
    }

    /// Whether the job is over.
    pub(crate) fn is_over(&self) -> bool {
        ["completed", "failed", "cancelled", "planned"].contains(&self.state.as_str())
    }

    /// Whether it ended without doing all that it was to do.
    pub(crate) fn has_failed(&self) -> bool {
        ["failed", "cancelled"].contains(&self.state.as_str())
    }

    /// Why it failed, if it did.
    fn error_code(&self) -> Option<&str> {
        self.error.as_ref()?.get("code")?.as_str()
    }

    /// What names the users in its rows: that of an undo is made by us.
    pub(crate) fn match_by(&self) -> &str {
        match self.source.format {
            Some(_) => self.options.match_by.as_deref().unwrap_or("email"),
            None => "id",
        }
    }

    /// What its reader may want to do next, as sentences with the command that does it.
    pub(crate) fn next_steps(&self) -> Vec<String> {
        let (id, counts) = (&self.id, &self.counts);
        let affected = counts.created + counts.updated > 0;
        let mut steps = Vec::new();
        match self.state.as_str() {
            "planned" if affected => {
                steps.push(format!("nothing is written yet; to do exactly this: muster jobs apply {id}"));
            }
            "planned" => steps.push("nothing would change".to_owned()),
            _ => {}
        }
        if counts.failed > 0 {
            steps.push(format!(
                "the failed rows, to mend and send again: muster jobs results {id} --status failed > failed.csv"
            ));
        }
        let undone = self.undo_job_id.is_some();
        if self.has_failed() && counts.unprocessed > 0 {
            match self.error_code() {
                // What stopped the job would stop it again.
                Some("aborted" | "too_many_failures" | "too_many_affected") => {
                    steps.push(format!(
                        "the rows that were not reached: muster jobs results {id} --status unprocessed > rest.csv"
                    ));
                }
                None | Some("worker_crashed") if !undone => {
                    steps.push(format!("to do what is missing: muster jobs retry {id}"));
                }
                None | Some(_) => {}
            }
        }
        if self.is_over() && self.state != "planned" && affected && !undone {
            steps.push(format!("to take it back: muster jobs undo {id}"));
        }
        steps
    }

    /// How long it took, in seconds.
    pub(crate) fn seconds(&self) -> Option<f64> {
        let span = self.finished_at?.duration_since(self.started_at?);
        Some(span.as_secs_f64())
    }

    /// What to exit with: nothing wrong, some rows failed, or the job did.
    pub(crate) fn verdict(&self) -> Result<()> {
        match self.state.as_str() {
            "failed" => {
                let words = self.error.as_ref().and_then(|error| error.get("detail")).and_then(Value::as_str);
                let entries = self.error.as_ref().and_then(|error| error.get("errors")).cloned();
                let entries: Vec<ProblemEntry> =
                    entries.and_then(|entries| serde_json::from_value(entries).ok()).unwrap_or_default();
                let reasons = entries.iter().map(ProblemEntry::sentence);
                Err(Failure::listed(words.unwrap_or("The job failed."), reasons))
            }
            "cancelled" => Err(Failure::new("The job was cancelled.")),
            _ if self.counts.failed > 0 => Err(Failure::quiet(EXIT_PARTLY)),
            _ => Ok(()),
        }
    }

    /// Prints how it ended, or how far it is.
    pub(crate) fn print(&self) -> Result<()> {
        let mut title = format!("{} {}", self.kind, self.id);
        if let Some(parent) = &self.parent_job_id {
            title.push_str(&format!(" from {parent}"));
        }
        if self.dry_run {
            title.push_str(" (dry run)");
        }
        title.push_str(&format!(": {}", self.state));
        if let Some(seconds) = self.seconds() {
            title.push_str(&format!(" in {}", duration(seconds)));
            if self.progress.rows_done > 0 {
                title.push_str(&format!(", {} rows/s", out::number(self.progress.rows_per_second as u64)));
            }
        }
        out::data(title)?;
        let counts = &self.counts;
        let lines = [
            ("received", counts.received),
            ("created", counts.created),
            ("updated", counts.updated),
            ("unchanged", counts.unchanged),
            ("skipped", counts.skipped),
            ("failed", counts.failed),
            ("unprocessed", counts.unprocessed),
        ];
        for (word, count) in lines {
            if count > 0 || ["received", "failed"].contains(&word) {
                out::data(format!("  {word:<12}{:>12}", out::number(count)))?;
            }
        }
        if let Some(undo) = &self.undo_job_id {
            out::data(format!("  its undo is {undo}"))?;
        }
        Ok(())
    }
}

/// Prints the errors of a job in groups, if there are any.
pub(crate) async fn print_errors(client: &Client, job: &RemoteJob) -> Result<()> {
    // Of a row that was undone in part the rest is told too.
    let in_part = job.kind == "undo" && job.counts.updated > 0;
    if job.counts.failed + job.counts.skipped == 0 && !in_part {
        return Ok(());
    }
    let groups = errors(client, &job.id).await?;
    if groups.is_empty() {
        return Ok(());
    }
    out::data("")?;
    out::data(error_table(&groups))
}

/// The errors of a job in groups.
pub(crate) async fn errors(client: &Client, id: &str) -> Result<Vec<RemoteErrors>> {
    let answer: Value = client.get(&format!("/v1/jobs/{id}/errors")).await?;
    let groups = answer.get("data").unwrap_or(&answer);
    Vec::deserialize(groups).map_err(|error| Failure::caused("The server's answer is not a list of errors", &error))
}

/// The groups as a table, the largest first.
pub(crate) fn error_table(groups: &[RemoteErrors]) -> Table {
    let mut groups: Vec<&RemoteErrors> = groups.iter().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    let mut table = Table::new(&["CODE", "COLUMN", "ROWS", "FIRST LINES", "VALUES"], &[2]);
    for group in groups {
        let lines: Vec<String> = group.first_lines.iter().map(ToString::to_string).collect();
        let lines = if lines.is_empty() { "-".to_owned() } else { lines.join(" ") };
        let values = group.sample_values.iter().take(3);
        let values: Vec<String> = values.map(|value| format!("\"{}\"", shown(value))).collect();
        table.row([
            group.code.clone(),
            group.column.clone().unwrap_or_else(|| "-".to_owned()),
            out::number(group.count),
            lines,
            values.join(" "),
        ]);
    }
    table
}

/// A value that fits a table.
pub(crate) fn shown(value: &str) -> String {
    let mut chars = value.chars();
    let mut short: String = chars.by_ref().take(30).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

/// A time that passed, for people.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 10.0 => format!("{seconds:.1} s"),
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3_600.0),
    }
}
