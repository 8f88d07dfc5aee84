//! Seeing a job through: waiting for it, saying what became of it, and what can be done next.

use crate::cli::client::Client;
use crate::cli::failure::Result;
use crate::cli::out;
use crate::cli::preview::print_preview;
use crate::cli::progress::{Progress, watch};
use crate::cli::report::{RemoteJob, print_errors};
use clap::Args;
use serde_json::Value;

/// What is printed of a job that was submitted, and when.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct SeeArgs {
    /// Do not wait for the job to end: print its id
    #[arg(long)]
    no_wait: bool,
    /// Print the job as JSON
    #[arg(long)]
    json: bool,
}

/// Waits for a job that was accepted and tells of it; the exit code says how it ended.
pub(crate) async fn see_through(
    client: &Client,
    accepted: &Value,
    see: SeeArgs,
    progress: &mut Progress,
) -> Result<()> {
    let job = RemoteJob::read(accepted)?;
    match (see.no_wait, see.json) {
        (true, true) => return out::json(accepted),
        (true, false) => return out::data(&job.id),
        (false, _) => {}
    }
    let answer = watch(client, &job.id, progress).await?;
    tell(client, &answer, see.json).await?;
    verdict(&answer, see.json)
}

/// Prints a job as it is: its counts, its errors in groups, and of a dry run the first changes.
pub(crate) async fn tell(client: &Client, answer: &Value, json: bool) -> Result<()> {
    if json {
        return out::json(answer);
    }
    let job = RemoteJob::read(answer)?;
    job.print()?;
    print_preview(client, &job).await?;
    print_errors(client, &job).await
}

/// Says what can be done next, and exits as the job ended.
pub(crate) fn verdict(answer: &Value, json: bool) -> Result<()> {
    let job = RemoteJob::read(answer)?;
    let steps = if json { Vec::new() } else { job.next_steps() };
    let verdict = job.verdict();
    if job.has_failed() {
        return verdict.map_err(|failure| steps.into_iter().fold(failure, |failure, step| failure.hint(step)));
    }
    for step in steps {
        out::talk(format!("hint: {step}"));
    }
    verdict
}
