//! Watching an upload and a job: a bar on a terminal, a quiet line now and then elsewhere.

use crate::cli::client::Client;
use crate::cli::failure::{Failure, Result};
use crate::cli::out;
use crate::cli::report::{RemoteJob, duration};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde_json::Value;
use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

/// How often a job is looked at for the bar.
const LOOK: Duration = Duration::from_millis(150);
/// Elsewhere a line is written this often.
const QUIET_SECONDS: u64 = 10;
/// How often a server that cannot be reached is tried again, once a second: it may be starting again.
pub(crate) const PATIENCE: u32 = 60;

/// The progress of one upload or job.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    stage: Option<Stage>,
}

/// What a job is doing, as far as a bar can show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reading,
    Preparing,
    Planning,
    Applying,
    Resting,
}

impl Stage {
    fn style(self) -> ProgressStyle {
        match self {
            Self::Reading => style("Reading  {wide_bar} {spinner} {bytes}/{total_bytes}"),
            // A job without a file: how long it will be is not known before it is.
            Self::Preparing => style("Preparing {spinner} {human_len} rows"),
            Self::Planning => style("Planning {wide_bar} {human_pos}/{human_len} rows  {rate}  {left}"),
            Self::Applying => style("Applying {wide_bar} {human_pos}/{human_len} rows  {rate}  {left}"),
            Self::Resting => style("{msg} {spinner}"),
        }
    }
}

impl Progress {
    /// A bar where there is a terminal.
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(style("{spinner}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, stage: None }
    }

    /// Says that a file of so many bytes is being sent.
    pub(crate) fn sending(&self, bytes: Option<u64>) {
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_style(match bytes {
                Some(_) => style("Sending  {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}"),
                None => style("Sending  {spinner} {bytes}  {bytes_per_sec}"),
            });
            bar.set_length(bytes.unwrap_or(0));
        }
    }

    /// The bar that an upload moves.
    pub(crate) fn bar(&self) -> Option<ProgressBar> {
        self.bar.clone()
    }

    /// Shows how far a job is.
    fn show(&mut self, job: &RemoteJob) {
        let Some(bar) = &self.bar else {
            out::talk(quiet_line(job));
            return;
        };
        let progress = &job.progress;
        let (stage, position, length) = match job.state.as_str() {
            "running" if progress.bytes_done < progress.bytes_total => {
                (Stage::Reading, progress.bytes_done, progress.bytes_total)
            }
            "running" if progress.bytes_total == 0 && progress.rows_done == 0 => {
                (Stage::Preparing, 0, job.counts.received)
            }
            "running" if job.dry_run => (Stage::Planning, progress.rows_done, job.counts.received),
            "running" => (Stage::Applying, progress.rows_done, job.counts.received),
            _ => (Stage::Resting, 0, 0),
        };
        let begins = self.stage.replace(stage) != Some(stage);
        if begins {
            bar.set_style(stage.style());
        }
        if stage == Stage::Resting {
            bar.set_message(format!("The job is {}", job.state));
        }
        bar.set_length(length);
        bar.set_position(position);
        if begins {
            // What was done before does not count for the rate.
            bar.reset_eta();
        }
    }

    /// Says something beside the bar.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| out::talk(line)),
            None => out::talk(line),
        }
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style
        .progress_chars("━━╌")
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{} rows/s", out::number(state.per_sec() as u64)).is_ok();
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Before the first rows nobody knows.
            let left = (state.per_sec() > 0.0).then(|| duration(state.eta().as_secs_f64()));
            let _ = left.is_none_or(|left| write!(out, "{left} left").is_ok());
        })
}

fn rate(job: &RemoteJob) -> String {
    let per_second = format!("{} rows/s", out::number(job.progress.rows_per_second as u64));
    match job.progress.eta_seconds {
        Some(seconds) => format!("{per_second}  {} left", duration(seconds)),
        None => per_second,
    }
}

fn quiet_line(job: &RemoteJob) -> String {
    let (done, all) = (out::number(job.progress.rows_done), out::count(job.counts.received, "row"));
    format!("{} {}: {done} of {all}, {}", job.id, job.state, rate(job))
}

/// Watches a job until it is over or Ctrl-C, and gives what the server says of it then.
pub(crate) async fn watch(client: &Client, id: &str, progress: &mut Progress) -> Result<Value> {
    let watching = follow(client, id, progress);
    let watched = tokio::select! {
        watched = watching => watched,
        _ = tokio::signal::ctrl_c() => {
            progress.clear();
            out::talk(format!("The job goes on without you: muster jobs watch {id}"));
            Err(Failure::quiet(130))
        }
    };
    progress.clear();
    watched
}

/// Watches a job until it is over.
pub(crate) async fn follow(client: &Client, id: &str, progress: &mut Progress) -> Result<Value> {
    let wait = if progress.bar.is_some() { 0 } else { QUIET_SECONDS };
    let path = format!("/v1/jobs/{id}?wait={wait}");
    let mut missed = 0;
    loop {
        let answer = match client.get::<Value>(&path).await {
            Err(failure) if failure.is_unreachable() && missed < PATIENCE => {
                if missed == 0 {
                    progress.say("The server does not answer; trying again, the job is safe.");
                }
                missed += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            answer => answer?,
        };
        missed = 0;
        let job = RemoteJob::read(&answer)?;
        if job.is_over() {
            return Ok(answer);
        }
        progress.show(&job);
        if progress.bar.is_some() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
