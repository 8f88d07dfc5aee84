//! What the engine keeps with a job.

use muster_core::intake::sniff::Source;
use muster_store::JobRef;
use serde::{Deserialize, Serialize};

/// A job as the engine knows it.
pub type Job = muster_store::Job<Input>;

/// The input of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The name that the sender gave the file.
    pub file_name: Option<String>,
    /// How long it is.
    pub size_bytes: u64,
    /// Its hash, in hex.
    pub sha256: String,
    /// What was found out about it.
    pub file: Source,
}

/// The place of one of a job's objects in the staging area.
pub(crate) fn object(job: JobRef, what: &str) -> String {
    format!("{}/{what}", folder(job))
}

/// The place of all of a job's objects in the staging area.
pub(crate) fn folder(job: JobRef) -> String {
    format!("jobs/{}/{}", job.tenant.0, job.id)
}

/// The job by which the store knows it.
pub(crate) fn reference(job: &Job) -> JobRef {
    JobRef { tenant: job.tenant, id: job.id }
}

/// The objects that a job needs: its input, what is prepared until it ends, and then its results.
pub(crate) fn needed(job: &Job) -> Vec<&str> {
    let prepared = job.prepared.as_ref().filter(|_| !job.state.is_final());
    let prepared = prepared.into_iter().flat_map(|made| [&made.rows, &made.outcomes]);
    let objects = std::iter::once(&job.staged).chain(prepared).chain(&job.results);
    objects.map(String::as_str).collect()
}
