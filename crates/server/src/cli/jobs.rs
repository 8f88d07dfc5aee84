//! `muster jobs`: looking at the jobs of a server, controlling them, and making jobs of jobs.

use crate::cli::client::{Client, RemoteArgs};
use crate::cli::failure::Result;
use crate::cli::once::once;
use crate::cli::out::{self, Table};
use crate::cli::progress::{Progress, watch};
use crate::cli::report::RemoteJob;
use crate::cli::see::{SeeArgs, see_through, tell, verdict};
use clap::{Args, Subcommand, ValueEnum};
use muster_core::id::JobId;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use std::io::{self, Write};

/// `muster jobs`
#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List jobs, the newest first
    List {
        /// Only those in this state
        #[arg(long)]
        state: Option<String>,
        /// Only those of this kind
        #[arg(long)]
        kind: Option<String>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Show a job, its counts and its errors
    Show(OneJob),
    /// Watch a job until it ends; exits like import and update do
    Watch(OneJob),
    /// End a job; what is applied stays
    Cancel(OneJob),
    /// Let a job rest before its next rows
    Pause(OneJob),
    /// Let a paused job go on
    Resume(OneJob),
    /// Do what a dry run planned, exactly that; rows whose user changed since fail
    Apply(Child),
    /// Take back what a job did; what somebody changed since is kept
    Undo {
        #[command(flatten)]
        child: Child,
        /// Only plan it: write nothing, and show what would change
        #[arg(long)]
        dry_run: bool,
        /// What a currency does that would fall below its minimum [default: as in the job]
        #[arg(long, value_name = "POLICY", value_parser = ["reject", "clamp", "allow"])]
        overdraft: Option<String>,
    },
    /// Do the rows again that failed or were not reached
    Retry(Child),
    /// Print what became of each row, in the order of the file
    Results {
        /// The job's id
        id: JobId,
        /// Only rows that ended like this: created, updated, unchanged, skipped, failed, unprocessed
        #[arg(long)]
        status: Option<String>,
        /// How the rows are written
        #[arg(long, value_enum, default_value = "csv")]
        format: Format,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

/// A job on a server.
#[derive(Args, Clone, Debug)]
pub(crate) struct OneJob {
    /// The job's id
    id: JobId,
    /// Print the job as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// A job that is made of a job on a server.
#[derive(Args, Clone, Debug)]
pub(crate) struct Child {
    /// The job's id
    id: JobId,
    #[command(flatten)]
    see: SeeArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// How results and users are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line for each, under a header
    Csv,
    /// One JSON object a line
    Ndjson,
}

/// `muster jobs …`
pub(crate) async fn jobs(command: &JobsCommand) -> Result<()> {
    match command {
        JobsCommand::List { state, kind, limit, json, remote } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(state.iter().map(|state| ("state", state.clone())));
            query.extend(kind.iter().map(|kind| ("kind", kind.clone())));
            list(&remote.client()?, &query, *json).await
        }
        JobsCommand::Show(job) => {
            let client = job.remote.client()?;
            let answer: Value = client.get(&format!("/v1/jobs/{}", job.id)).await?;
            tell(&client, &answer, job.json).await?;
            // Why it failed. That was the job; to show it has worked.
            if let (Err(why), false) = (RemoteJob::read(&answer)?.verdict(), job.json) {
                let _ = write!(io::stderr(), "{why}").is_ok();
            }
            Ok(())
        }
        JobsCommand::Watch(job) => {
            let client = job.remote.client()?;
            let answer = watch(&client, &job.id.to_string(), &mut Progress::new()).await?;
            tell(&client, &answer, job.json).await?;
            verdict(&answer, job.json)
        }
        JobsCommand::Cancel(job) => control(job, "cancel").await,
        JobsCommand::Pause(job) => control(job, "pause").await,
        JobsCommand::Resume(job) => control(job, "resume").await,
        JobsCommand::Apply(child) => make_child(child, "apply", &[]).await,
        JobsCommand::Undo { child, dry_run, overdraft } => {
            let mut query = vec![("dry_run", dry_run.to_string())];
            query.extend(overdraft.iter().map(|policy| ("overdraft", policy.clone())));
            make_child(child, "undo", &query).await
        }
        JobsCommand::Retry(child) => make_child(child, "retry", &[]).await,
        JobsCommand::Results { id, status, format, remote } => {
            let format = match format {
                Format::Csv => "csv",
                Format::Ndjson => "ndjson",
            };
            let mut query = vec![("format", format.to_owned())];
            query.extend(status.iter().map(|status| ("status", status.clone())));
            results(&remote.client()?, *id, &query).await
        }
    }
}

async fn list(client: &Client, query: &[(&str, String)], json: bool) -> Result<()> {
    let request = client.request(Method::GET, "/v1/jobs").query(query);
    let answer: Value = client.json(request).await?;
    if json {
        return out::json(&answer);
    }
    let mut table = Table::new(&["ID", "KIND", "STATE", "ROWS", "FAILED", "SUBMITTED", "NAME"], &[3, 4]);
    for job in answer.get("data").and_then(Value::as_array).into_iter().flatten() {
        let job = RemoteJob::read(job)?;
        let submitted = job.submitted_at.get(..19).unwrap_or_default().replace('T', " ");
        let (rows, failed) = (out::number(job.counts.received), out::number(job.counts.failed));
        table.row([job.id, job.kind, job.state, rows, failed, submitted, job.name]);
    }
    out::data(table)?;
    if answer.get("next_cursor").is_some_and(|next| !next.is_null()) {
        out::talk("There are more; --limit shows them.");
    }
    Ok(())
}

async fn make_child(child: &Child, verb: &str, query: &[(&str, String)]) -> Result<()> {
    let client = child.remote.client()?;
    let path = format!("/v1/jobs/{}/{verb}", child.id);
    let mut progress = Progress::new();
    let accepted = once(&progress, true, async |key| {
        let request = client.request(Method::POST, &path).query(query);
        client.json(request.header("Idempotency-Key", key)).await
    });
    let accepted = accepted.await.inspect_err(|_| progress.clear())?;
    see_through(&client, &accepted, child.see, &mut progress).await
}

async fn control(job: &OneJob, verb: &str) -> Result<()> {
    let client = job.remote.client()?;
    let request = client.request(Method::POST, &format!("/v1/jobs/{}/{verb}", job.id));
    let answer: Value = client.json(request).await?;
    match job.json {
        true => out::json(&answer),
        false => {
            let state = RemoteJob::read(&answer)?.state;
            out::talk(format!("The job is {state}."));
            Ok(())
        }
    }
}

async fn results(client: &Client, id: JobId, query: &[(&str, String)]) -> Result<()> {
    print_body(client, client.request(Method::GET, &format!("/v1/jobs/{id}/results")).query(query)).await
}

/// Prints what is answered as it comes. What breaks off is a failure, so that nobody takes it for all.
pub(crate) async fn print_body(client: &Client, request: RequestBuilder) -> Result<()> {
    let mut response = client.send(request).await?;
    let mut out = io::stdout();
    while let Some(bytes) = response.chunk().await.map_err(|error| client.broken(&error))? {
        out.write_all(&bytes)?;
    }
    Ok(out.flush()?)
}
