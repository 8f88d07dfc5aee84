//! Rows of a plan that is applied: sorted already, and those that the plan refused are decided already.

use super::gather::Hashing;
use super::{Preparation, hex};
use crate::engine::Engine;
use crate::error::Result;
use crate::frames;
use crate::job::{Job, LISTING, PARENT_OUTCOMES, PARENT_PLAN, object, reference};
use muster_core::job::Counts;
use muster_core::outcome::{Outcome, Status};
use muster_store::Prepared;
use sha2::{Digest, Sha256};
use std::io::ErrorKind;

pub(super) fn prepare(engine: &Engine, job: &Job) -> Result<Option<Preparation>> {
    let (staging, of) = (engine.staging(), reference(job));
    tokio::task::block_in_place(|| {
        let mut counts = Counts::default();
        let mut decided = staging.create()?;
        let mut outcomes = staging.read(&object(of, PARENT_OUTCOMES), 0)?;
        let mut buffer = Vec::new();
        while frames::read(&mut outcomes, &mut buffer)?.is_some() {
            let outcome: Outcome = frames::decode(&buffer)?;
            counts.received += 1;
            match outcome.status {
                // What the plan refused ends the same.
                Status::Failed | Status::Skipped => {
                    counts.count(outcome.status);
                    frames::write(&mut decided, &buffer)?;
                }
                Status::Created | Status::Updated | Status::Unchanged => {}
            }
        }
        let mut rows = Hashing { out: staging.create()?, hash: Sha256::new() };
        std::io::copy(&mut staging.read(&object(of, PARENT_PLAN), 0)?, &mut rows)?;
        let listing = object(of, LISTING);
        let listing = match staging.read(&listing, 0) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            file => file.map(|_| Some(listing))?,
        };
        let prepared = Prepared {
            rows: object(of, &format!("rows-{}", job.attempt)),
            rows_bytes: rows.out.bytes(),
            rows_checksum: hex(&rows.hash.finalize()),
            outcomes: object(of, &format!("outcomes-{}", job.attempt)),
            listing,
            fields: String::new(),
        };
        rows.out.publish(staging, &prepared.rows)?;
        decided.publish(staging, &prepared.outcomes)?;
        Ok(Some(Preparation { prepared, counts, bytes: job.source.size_bytes }))
    })
}
