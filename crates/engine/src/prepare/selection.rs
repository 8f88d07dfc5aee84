//! The records that a retry takes from the input of the job that it repeats: those that failed there and those that were
//! not reached.

use crate::error::Result;
use crate::frames;
use crate::job::{Job, object, reference, relation};
use crate::staging::Staging;
use muster_core::job::Relation;
use muster_core::outcome::{Outcome, Status};
use std::fs::File;
use std::io::{BufReader, ErrorKind};

/// Goes through the outcomes of the job that is repeated, and of the one that it repeated itself, and so on: a record
/// is taken where each of them failed on it or did not reach it.
pub(crate) struct Selection {
    before: Vec<Past>,
}

struct Past {
    outcomes: BufReader<File>,
    buffer: Vec<u8>,
    next: Option<Outcome>,
}

/// The name under which a retry keeps the outcomes of the job that it repeats (0), of the one before that (1), …
pub(crate) fn past_outcomes(of: muster_store::JobRef, back: usize) -> String {
    object(of, &format!("parent-results-{back}"))
}

impl Selection {
    /// What the job takes. `None` where that is everything: it is no retry, or nothing was decided before.
    pub(crate) fn open(staging: &Staging, job: &Job) -> Result<Option<Self>> {
        let mut before = Vec::new();
        while relation(job) == Some(Relation::Retry) {
            match staging.read(&past_outcomes(reference(job), before.len()), 0) {
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                outcomes => before.push(Past { outcomes: outcomes?, buffer: Vec::new(), next: None }),
            }
        }
        Ok((!before.is_empty()).then_some(Self { before }))
    }

    /// Whether the job takes this record. To be asked in order of the records.
    pub(crate) fn takes(&mut self, record: u64) -> Result<bool> {
        let mut takes = true;
        for past in &mut self.before {
            takes &= past.status(record)?.is_none_or(|status| status == Status::Failed);
        }
        Ok(takes)
    }
}

impl Past {
    /// What became of a record; none where it was not reached.
    fn status(&mut self, record: u64) -> Result<Option<Status>> {
        while self.next.as_ref().is_none_or(|next| next.record < record) {
            if frames::read(&mut self.outcomes, &mut self.buffer)?.is_none() {
                return Ok(None);
            }
            self.next = Some(frames::decode(&self.buffer)?);
        }
        Ok(self.next.as_ref().filter(|next| next.record == record).map(|next| next.status))
    }
}
