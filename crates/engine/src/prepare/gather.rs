//! Gathers what the rows of a job are: those that are decided already, and those to be applied, sorted by user.

use super::{Preparation, PreparedRow, hex};
use crate::error::Result;
use crate::frames;
use crate::job::{Job, object, reference};
use crate::sort::{BUFFER_BYTES, Sorted, Sorter};
use crate::staging::{Incoming, Staging};
use muster_core::Code;
use muster_core::error::RowError;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::UserId;
use muster_core::job::{Counts, OnDuplicate};
use muster_core::key::{Key, UserKey};
use muster_core::outcome::{Outcome, Reason, Status};
use muster_core::plan::Row;
use muster_store::Prepared;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::{BufReader, BufWriter, Seek, Write};

/// What is known of a job's rows so far.
pub(super) struct Gathering<'a> {
    staging: &'a Staging,
    job: &'a Job,
    fields: &'a FieldSet,
    sorter: Sorter<'a>,
    outcomes: Incoming,
    pub(super) counts: Counts,
    /// The fields that rows name.
    named: BTreeSet<FieldNumber>,
    /// Whether rows give keys away beside the one by which they name their user.
    has_claims: bool,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(staging: &'a Staging, job: &'a Job, fields: &'a FieldSet) -> Result<Self> {
        Ok(Self {
            staging,
            job,
            fields,
            sorter: Sorter::new(staging, BUFFER_BYTES),
            outcomes: staging.create()?,
            counts: Counts::default(),
            named: BTreeSet::new(),
            has_claims: false,
        })
    }

    /// Keeps the outcome of a row that is not applied.
    pub(super) fn decide(&mut self, outcome: &Outcome) -> Result<()> {
        self.counts.count(outcome.status);
        frames::write(&mut self.outcomes, &frames::encode(outcome)?).map(drop)
    }

    /// Takes a row that is to be applied.
    pub(super) fn take(&mut self, user: Option<UserId>, row: Row) -> Result<()> {
        for edit in &row.edits {
            self.has_claims |= claimable(edit.field, self.fields);
            if self.job.dry_run {
                self.named.insert(edit.field);
            }
        }
        if let Key::Unique(field, _) = &row.key
            && self.job.dry_run
        {
            self.named.insert(*field);
        }
        self.take_prepared(PreparedRow::new(user, row))
    }

    /// Takes a row that gives no keys away.
    pub(super) fn take_prepared(&mut self, prepared: PreparedRow) -> Result<()> {
        Ok(self.sorter.push(&sort_key(&prepared.row, prepared.user), &frames::encode(&prepared)?)?)
    }

    /// Sorts the rows, deals with repeated keys as the job asks and with values that several rows claim, and publishes
    /// what was made.
    pub(super) fn finish(mut self, listing: Option<String>, bytes: u64) -> Result<Preparation> {
        tokio::task::block_in_place(|| {
            let sorter = std::mem::replace(&mut self.sorter, Sorter::new(self.staging, 0));
            let sorted = sorter.finish()?;
            let mut rows = Hashing { out: self.staging.create()?, hash: Sha256::new() };
            match self.has_claims {
                false => self.drop_repeated(sorted, |_, value| frames::write(&mut rows, value).map(drop))?,
                true => self.settle_claims(sorted, &mut rows)?,
            }
            let (of, attempt) = (reference(self.job), self.job.attempt);
            let prepared = Prepared {
                rows: object(of, &format!("rows-{attempt}")),
                rows_bytes: rows.out.bytes(),
                rows_checksum: hex(&rows.hash.finalize()),
                outcomes: object(of, &format!("outcomes-{attempt}")),
                listing,
                fields: fingerprint(self.fields, &self.named, self.job),
            };
            rows.out.publish(self.staging, &prepared.rows)?;
            self.outcomes.publish(self.staging, &prepared.outcomes)?;
            Ok(Preparation { prepared, counts: self.counts, bytes })
        })
    }

    /// Goes through the sorted rows without those that the policy on repeated keys drops.
    fn drop_repeated(&mut self, mut sorted: Sorted, mut keep: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        let policy = self.job.options.on_duplicate.unwrap_or(OnDuplicate::ApplyAll);
        let mut next = sorted.next()?;
        let mut last_group: Vec<u8> = Vec::new();
        while let Some(entry) = next {
            next = sorted.next()?;
            let repeats = last_group == group(&entry.key);
            let goes_on = next.as_ref().is_some_and(|next| group(&next.key) == group(&entry.key));
            let dropped = match policy {
                OnDuplicate::ApplyAll => None,
                OnDuplicate::First => repeats.then_some(Status::Skipped),
                OnDuplicate::Last => goes_on.then_some(Status::Skipped),
                OnDuplicate::Error => repeats.then_some(Status::Failed),
            };
            match dropped {
                None => keep(&entry.key, &entry.value)?,
                Some(status) => {
                    let PreparedRow { user, row, .. } = frames::decode(&entry.value)?;
                    let other = if policy == OnDuplicate::Last { "a later" } else { "an earlier" };
                    let message = format!("{other} row of the file names the same user");
                    let error = RowError::row(Code::DuplicateInFile, message);
                    self.decide(&Outcome { status, ..failed(&row, user, error) })?;
                }
            }
            last_group.clear();
            last_group.extend_from_slice(group(&entry.key));
        }
        Ok(())
    }

    /// Of several rows that give the same key to different users the lowest record wins (section 10 of the contract,
    /// "Order"). The others are marked: they fail where their user does not have the key already. The rows wait in a scratch file until it is known who loses.
    fn settle_claims(&mut self, sorted: Sorted, rows: &mut impl Write) -> Result<()> {
        let (staging, fields) = (self.staging, self.fields);
        let mut claims = Sorter::new(staging, BUFFER_BYTES / 4);
        let mut waiting = BufWriter::new(staging.scratch()?);
        self.drop_repeated(sorted, |key, value| {
            let prepared: PreparedRow = frames::decode(value)?;
            for (index, edit) in prepared.row.edits.iter().enumerate() {
                let Some(given) = edit.patch.value() else { continue };
                for claimed in UserKey::of_value(edit.field, given, fields) {
                    let mut entry = edit.field.0.to_be_bytes().to_vec();
                    entry.extend_from_slice(claimed.key.as_bytes());
                    entry.push(0);
                    entry.extend_from_slice(&prepared.row.record.to_be_bytes());
                    let mut claimant = (index as u32).to_be_bytes().to_vec();
                    claimant.extend_from_slice(key);
                    claims.push(&entry, &claimant)?;
                }
            }
            frames::write(&mut waiting, key)?;
            frames::write(&mut waiting, value).map(drop)
        })?;
        let mut losers = find_losers(claims.finish()?, staging)?;
        let mut waiting = waiting.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        waiting.rewind()?;
        let mut waiting = BufReader::with_capacity(256 << 10, waiting);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut next = losers.next()?;
        while frames::read(&mut waiting, &mut key)?.is_some() {
            frames::read(&mut waiting, &mut value)?;
            let mut lost: Vec<u32> = Vec::new();
            while let Some(loser) = next.take_if(|loser| loser.key == key) {
                // A row may lose more than one value.
                lost.push(frames::decode(&loser.value)?);
                next = losers.next()?;
            }
            if lost.is_empty() {
                frames::write(rows, &value)?;
            } else {
                let row = PreparedRow { lost, ..frames::decode(&value)? };
                frames::write(rows, &frames::encode(&row)?)?;
            }
        }
        Ok(())
    }
}

/// The rows that claim what a lower record of another user claims, in the order of the rows.
fn find_losers(mut claims: Sorted, staging: &Staging) -> Result<Sorted> {
    let mut losers = Sorter::new(staging, BUFFER_BYTES / 4);
    let (mut claimed, mut winner): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    while let Some(entry) = claims.next()? {
        let (index, row) = entry.value.split_at(4);
        if claimed != group(&entry.key) {
            claimed = group(&entry.key).to_vec();
            winner = group(row).to_vec();
        } else if winner != group(row) {
            let index = index.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
            losers.push(row, &frames::encode(&index)?)?;
        }
    }
    Ok(losers.finish()?)
}

/// Whether values of this field name users.
fn claimable(field: FieldNumber, fields: &FieldSet) -> bool {
    matches!(field, FieldNumber::EMAIL | FieldNumber::IDENTITIES) || fields.is_unique(field)
}

/// Users who exist by id, then new keys, then the order of the file. Ids are positive, so their first bit is 0.
fn sort_key(row: &Row, user: Option<UserId>) -> Vec<u8> {
    let mut key = Vec::with_capacity(48);
    let named = match (user, &row.key) {
        (Some(user), _) => Err(user),
        (None, Key::Id(user)) => Err(*user),
        (None, other) => Ok(other.user_key()),
    };
    match named {
        Err(user) => key.extend_from_slice(&user.0.to_be_bytes()),
        Ok(named) => {
            key.push(0xff);
            if let Some(named) = named {
                key.extend_from_slice(&named.field.0.to_be_bytes());
                key.extend_from_slice(named.key.as_bytes());
            }
            key.push(0);
        }
    }
    key.extend_from_slice(&row.record.to_be_bytes());
    key
}

/// The part of a sort key that rows of the same user share: all but the record.
fn group(key: &[u8]) -> &[u8] {
    &key[..key.len() - 8]
}

/// A row that failed.
pub(super) fn failed(row: &Row, user: Option<UserId>, error: RowError) -> Outcome {
    let reason = Some(Reason { line: row.line, error });
    Outcome { reason, ..Outcome::new(row.record, Status::Failed, user) }
}

/// What the fields are like on which a plan depends: those that rows name, and those that every new user must have.
fn fingerprint(fields: &FieldSet, named: &BTreeSet<FieldNumber>, job: &Job) -> String {
    let mut hash = Sha256::new();
    let depends = |field: &&muster_core::field::Field| {
        named.contains(&field.number) || field.rules.required && job.kind.creates()
    };
    for field in fields.iter().filter(depends) {
        hash.update(format!("{:?} {} {:?} {};", field.number, field.kind, field.rules, field.archived));
    }
    let named: Vec<String> = named.iter().map(|number| number.0.to_string()).collect();
    format!("{} {}", named.join(","), hex(&hash.finalize()))
}

/// The same for the fields that an earlier fingerprint names.
pub(crate) fn fingerprint_like(earlier: &str, fields: &FieldSet, job: &Job) -> String {
    let numbers = earlier.split(' ').next().unwrap_or_default().split(',');
    let named = numbers.filter_map(|number| number.parse().ok().map(FieldNumber)).collect();
    fingerprint(fields, &named, job)
}

/// Hashes what goes through.
pub(super) struct Hashing {
    pub(super) out: Incoming,
    pub(super) hash: Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
