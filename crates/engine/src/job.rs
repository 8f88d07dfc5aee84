//! What the engine keeps with a job.

use muster_core::id::UserId;
use muster_core::intake::Limits;
use muster_core::intake::sniff::Source;
use muster_core::job::Relation;
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
    /// What was found out about it; none where the job has no file.
    pub file: Option<Source>,
    /// The columns of the list that stands for the file of a change by filter, whose input is the command; empty
    /// otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listing: Vec<String>,
    /// What the file may cost to read, as it was when the file was accepted: so every process reads it alike, for ever.
    #[serde(default)]
    pub limits: Limits,
    /// The user whom an erasure erases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erases: Option<UserId>,
}

impl Input {
    /// The input of a job that has no file.
    pub(crate) fn none() -> Self {
        Self {
            file_name: None,
            size_bytes: 0,
            sha256: String::new(),
            file: None,
            listing: Vec::new(),
            limits: Limits::default(),
            erases: None,
        }
    }
}

/// What is known about the list that stands for the file of a job without one: the ids of users, and what is done to them
/// where that is the same for all.
pub(crate) fn listing_source(job: &Job) -> Source {
    let listing = &job.source.listing;
    let header = if listing.is_empty() { vec!["id".to_owned()] } else { listing.clone() };
    Source { delimiter: Some(','), header, ..Source::default() }
}

/// The names of what a job takes over from the one it comes from, as they stand in its folder until it ends.
pub(crate) const PARENT_OUTCOMES: &str = "parent-outcomes";
pub(crate) const PARENT_PLAN: &str = "parent-plan";
/// The list of a job without a file that comes from another such job.
pub(crate) const LISTING: &str = "listing";

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

/// Whether a job that is over needs this object of its folder any more: its input and what explains it, but not what it
/// worked with.
pub(crate) fn is_kept(job: &Job, name: &str) -> bool {
    let what = name.rsplit('/').next().unwrap_or_default();
    if job.results_expired_at.is_some() && name != job.staged || job.file_erased_at.is_some() && name == job.staged {
        return false;
    }
    let attempts = ["rows-", "outcomes-", "results-", "plan-", "listing-"];
    match attempts.iter().any(|prefix| what.starts_with(prefix)) {
        // Every attempt leaves its own; only what is pinned counts.
        true => {
            let working = job.prepared.iter().filter(|_| job.results.is_none());
            let mut pinned = working.flat_map(|made| [&made.rows, &made.outcomes]);
            let listing = job.prepared.iter().flat_map(|made| &made.listing);
            pinned.any(|pinned| pinned == name) || listing.chain(&job.results).chain(&job.plan).any(|kept| kept == name)
        }
        false => what != PARENT_OUTCOMES && what != PARENT_PLAN || !job.state.is_final(),
    }
}

/// How the job comes from another one, if it does.
pub(crate) fn relation(job: &Job) -> Option<Relation> {
    job.family.parent.map(|(_, relation)| relation)
}
