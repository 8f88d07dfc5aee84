//! A job as it is shown.

use crate::http::problem::FaultBody;
use crate::http::words;
use jiff::Timestamp;
use muster_core::actor::Actor;
use muster_core::intake::compression::Compression;
use muster_core::intake::encoding::Encoding;
use muster_core::intake::sniff::Format;
use muster_core::job::{Counts, JobKind, JobOptions, JobState};
use muster_engine::{ErrorGroup, Input, JobView};
use serde::Serialize;
use utoipa::ToSchema;

/// One bulk change: a file whose every row names a user and says what becomes of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobBody {
    /// The id: `job_` and 24 hex digits.
    id: String,
    /// What it does.
    #[schema(schema_with = words::job_kind)]
    kind: JobKind,
    /// Its name in the log.
    name: String,
    /// Where it stands: `queued → running → completed | failed | cancelled`, `running ⇄ paused`, `running → planned` (a dry
    /// run).
    #[schema(schema_with = words::job_state)]
    state: JobState,
    /// Whether it only plans.
    dry_run: bool,
    /// What is known about the file.
    source: SourceBody,
    /// The options that were given.
    #[schema(value_type = Object)]
    options: JobOptions,
    /// How many rows ended how. They always add up to `received`, which is final once the file was read.
    counts: CountsBody,
    /// How far it is.
    progress: ProgressBody,
    /// Why it failed.
    error: Option<JobErrorBody>,
    /// The latest earlier job of the same kind with the same bytes.
    same_file_as: Option<String>,
    /// The job that this one applies, undoes or tries again.
    parent_job_id: Option<String>,
    /// The job that undid this one, or is doing so.
    undo_job_id: Option<String>,
    /// Who submitted it.
    submitted_by: ActorBody,
    /// When.
    submitted_at: Timestamp,
    /// When its first row was looked at.
    started_at: Option<Timestamp>,
    /// When it ended.
    finished_at: Option<Timestamp>,
}

/// What is known about the file; nothing for a job without one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Source)]
pub struct SourceBody {
    /// The name that the sender gave it.
    file_name: Option<String>,
    /// Its length as it was sent.
    size_bytes: u64,
    /// Its SHA-256, in hex.
    sha256: Option<String>,
    /// What kind of file it is: `csv`, `ndjson`, `json` or `xlsx`.
    #[schema(value_type = Option<String>, example = "csv")]
    format: Option<Format>,
    /// Its encoding.
    #[schema(value_type = Option<String>, example = "utf-8")]
    encoding: Option<Encoding>,
    /// The character between cells; only CSV has one.
    #[schema(value_type = Option<String>, example = ",")]
    delimiter: Option<char>,
    /// `gzip` or `zstd`, if it is compressed.
    #[schema(value_type = Option<String>)]
    compression: Option<Compression>,
    /// The columns as the file writes them; JSON has none.
    header: Vec<String>,
    /// The sheet of a workbook that is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    sheet: Option<String>,
}

/// How many rows ended how.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Counts)]
pub struct CountsBody {
    /// Rows read.
    received: u64,
    /// Users made.
    created: u64,
    /// Rows that changed a user.
    updated: u64,
    /// Rows that said what was so already.
    unchanged: u64,
    /// Rows that were not applied on purpose.
    skipped: u64,
    /// Rows with an error.
    failed: u64,
    /// Rows that are not decided: not yet, or not any more.
    unprocessed: u64,
}

/// How far a job is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Progress)]
pub struct ProgressBody {
    /// Rows that are decided.
    rows_done: u64,
    /// Bytes of the file that were read.
    bytes_done: u64,
    /// Bytes of the file.
    bytes_total: u64,
    /// Decided rows for each second since the job began.
    rows_per_second: f64,
    /// How many seconds it will take at that rate, once the number of rows is known.
    eta_seconds: Option<f64>,
}

/// Why a job failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobError)]
pub struct JobErrorBody {
    /// The stable code.
    code: &'static str,
    /// What happened.
    detail: String,
    /// Every fault, where there are several or one has a place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FaultBody>,
}

/// Rows that failed or were skipped for the same reason in the same column.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErrorGroup)]
pub struct ErrorGroupBody {
    /// The stable code.
    code: &'static str,
    /// The column, where one is to blame.
    column: Option<String>,
    /// How many rows.
    count: u64,
    /// Some of the values, each once.
    sample_values: Vec<String>,
    /// The lines of the first such rows.
    first_lines: Vec<u64>,
}

impl From<ErrorGroup> for ErrorGroupBody {
    fn from(group: ErrorGroup) -> Self {
        Self {
            code: group.code.as_str(),
            column: group.column,
            count: group.count,
            sample_values: group.sample_values,
            first_lines: group.first_lines,
        }
    }
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Actor)]
pub struct ActorBody {
    /// `api_key`, `anonymous` for whoever had none, or `system` for the server's own command line.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "api_key")]
    kind: muster_core::actor::ActorKind,
    /// The id, such as that of the key.
    id: String,
    /// The name, as it was then.
    name: String,
}

impl From<Actor> for ActorBody {
    fn from(actor: Actor) -> Self {
        Self { kind: actor.kind, id: actor.id, name: actor.name }
    }
}

impl From<Input> for SourceBody {
    fn from(input: Input) -> Self {
        Self {
            file_name: input.file_name,
            size_bytes: input.size_bytes,
            sha256: Some(input.sha256).filter(|hash| !hash.is_empty()),
            format: input.file.as_ref().map(|file| file.format),
            encoding: input.file.as_ref().map(|file| file.encoding),
            delimiter: input.file.as_ref().and_then(|file| file.delimiter),
            compression: input.file.as_ref().and_then(|file| file.compression),
            sheet: input.file.as_ref().and_then(|file| file.sheet.clone()),
            header: input.file.map(|file| file.header).unwrap_or_default(),
        }
    }
}

impl From<Counts> for CountsBody {
    fn from(counts: Counts) -> Self {
        Self {
            received: counts.received,
            created: counts.created,
            updated: counts.updated,
            unchanged: counts.unchanged,
            skipped: counts.skipped,
            failed: counts.failed,
            unprocessed: counts.unprocessed(),
        }
    }
}

impl From<muster_core::Error> for JobErrorBody {
    fn from(error: muster_core::Error) -> Self {
        Self {
            code: error.code.as_str(),
            detail: error.detail,
            errors: error.errors.into_iter().map(FaultBody::from).collect(),
        }
    }
}

impl From<JobView> for JobBody {
    fn from(view: JobView) -> Self {
        let job = view.job;
        Self {
            id: job.id.to_string(),
            kind: job.kind,
            name: job.name,
            state: job.state,
            dry_run: job.dry_run,
            options: job.options,
            counts: job.counts.into(),
            progress: ProgressBody {
                rows_done: view.rows_done,
                bytes_done: job.bytes_done,
                bytes_total: job.source.size_bytes,
                rows_per_second: view.rows_per_second,
                eta_seconds: view.eta_seconds,
            },
            source: job.source.into(),
            error: job.error.map(JobErrorBody::from),
            same_file_as: job.same_file_as.map(|id| id.to_string()),
            parent_job_id: job.family.parent.map(|(id, _)| id.to_string()),
            undo_job_id: job.undo_job_id.map(|id| id.to_string()),
            submitted_by: job.actor.into(),
            submitted_at: job.submitted_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}
