//! Imports by people without a key, where a community lets them (section 10 of the contract, "Anonymous import").
//!
//! Nobody learns which communities there are: one that does not exist is answered like one that is closed. What such people can
//! do is little: a small CSV file, few at a time, and only the fields that the community marked for it.

use crate::accept::NewJob;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::job::Job;
use crate::staging::Incoming;
use muster_core::actor::{Actor, ActorKind};
use muster_core::error::Fault;
use muster_core::field::{Field, FieldSet, FieldType};
use muster_core::intake::header::{Columns, Role};
use muster_core::intake::records::{Record, Records};
use muster_core::intake::sniff::{Format, Source};
use muster_core::intake::{Limits, ReadError};
use muster_core::job::JobKind;
use muster_core::scope::Scope;
use muster_core::settings::AnonymousImport;
use muster_core::{Code, Error};
use muster_store::Transaction;
use std::io::{BufReader, Read, Write};

/// What people without a key may send.
#[derive(Clone, Copy, Debug)]
pub struct AnonymousLimits {
    /// Bytes of one file.
    pub bytes: u64,
    /// Rows of one file.
    pub rows: u64,
    /// Jobs of a community that come from such people and are not over.
    pub open_jobs: u64,
}

impl Default for AnonymousLimits {
    fn default() -> Self {
        Self { bytes: 10 << 20, rows: 10_000, open_jobs: 2 }
    }
}

/// A file of somebody of whom it may not be known yet which community is meant. Dropped, nothing of it stays.
pub struct AnonymousFile {
    engine: Engine,
    incoming: Incoming,
}

impl Engine {
    /// Refuses with `unauthorized`, before anything is read, where no community at all lets people without a key import.
    pub async fn check_any_open(&self) -> Result<()> {
        match self.store().read().await?.is_any_community_open().await? {
            true => Ok(()),
            false => Err(closed()),
        }
    }

    /// Somebody without a key in the community that a text names. Refuses with `unauthorized`, in the same words, one that is
    /// closed and one that does not exist.
    pub async fn anonymous(&self, community: &str) -> Result<Caller> {
        let id = community.parse().map_err(|_| closed())?;
        let found = self.store().read().await?.find_community(id).await?.ok_or_else(closed)?;
        kind(found.settings.anonymous_import)?;
        let (scopes, actor) = (vec![Scope::BulkImport], Actor::anonymous());
        Ok(Caller { tenant: found.tenant, community: found.id, actor, scopes, reservation: None })
    }

    /// Begins to take a file.
    pub fn receive_anonymous(&self) -> Result<AnonymousFile> {
        Ok(AnonymousFile { engine: self.clone(), incoming: self.staging().create()? })
    }
}

impl AnonymousFile {
    /// Takes the next bytes. Refuses with `file_too_large` or `storage_full`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let limit = self.engine.limits().anonymous.bytes;
        if self.incoming.bytes() + bytes.len() as u64 > limit {
            let detail = format!("Without a key a file may have at most {limit} bytes; send it with one.");
            return Err(EngineError::refuse(Code::FileTooLarge, detail));
        }
        tokio::task::block_in_place(|| Ok(self.incoming.write_all(bytes)?))
    }

    /// The file is complete: makes the job, of the kind that the community lets such people submit. Refuses as an upload with a
    /// key does, and what only those with a key may do.
    pub async fn submit(mut self, caller: &Caller, mut new: NewJob) -> Result<Job> {
        let community = self.engine.find_community(caller.community).await?;
        new.kind = kind(community.settings.anonymous_import)?;
        check_open(
            &self.engine,
            self.engine.store().read().await?.count_open_jobs_of(caller.tenant, &caller.actor).await?,
        )?;
        let mut upload = self.engine.submit(caller, new).await?;
        let mut file = tokio::task::block_in_place(|| self.incoming.reopen())?;
        let mut block = vec![0; 64 << 10];
        loop {
            match tokio::task::block_in_place(|| file.read(&mut block))? {
                0 => break,
                read => upload.write(&block[..read])?,
            }
        }
        upload.finish().await
    }
}

/// The kind of job that people without a key may submit.
fn kind(setting: AnonymousImport) -> Result<JobKind> {
    match setting {
        AnonymousImport::Off => Err(closed()),
        AnonymousImport::CreateOnly => Ok(JobKind::Create),
        AnonymousImport::Upsert => Ok(JobKind::Import),
    }
}

fn closed() -> EngineError {
    let detail = "There is no key, and there is no community of this id that takes files without one; send a key as \
                  Authorization: Bearer KEY, or ask the community to set anonymous_import.";
    EngineError::refuse(Code::Unauthorized, detail)
}

fn check_open(engine: &Engine, open: u64) -> Result<()> {
    if open < engine.limits().anonymous.open_jobs {
        return Ok(());
    }
    let detail = format!(
        "{open} files that came without a key are still being applied; wait until one has ended, or send a key."
    );
    Err(EngineError::refuse(Code::TooManyJobs, detail))
}

/// Refuses with `too_many_jobs` one job more than such people may have open, in the transaction that made it.
pub(crate) async fn check_open_with(engine: &Engine, tx: &mut Transaction, caller: &Caller) -> Result<()> {
    match caller.actor.kind {
        ActorKind::Anonymous => {
            let open = tx.count_open_jobs_of(caller.tenant, &caller.actor).await?;
            check_open(engine, open.saturating_sub(1))
        }
        ActorKind::ApiKey | ActorKind::System => Ok(()),
    }
}

/// Refuses a file of somebody without a key: what is not plain CSV, has too many rows, or a column that is not theirs.
pub(crate) fn check_file(
    engine: &Engine,
    caller: &Caller,
    incoming: &mut Incoming,
    file: &Source,
    (columns, fields): (&Columns, &FieldSet),
) -> Result<()> {
    match caller.actor.kind {
        ActorKind::ApiKey | ActorKind::System => return Ok(()),
        ActorKind::Anonymous => {}
    }
    if file.format != Format::Csv || file.compression.is_some() {
        return Err(EngineError::refuse(Code::UnsupportedFormat, "Without a key only plain CSV files are taken."));
    }
    check_columns(columns, fields)?;
    let most = engine.limits().anonymous.rows;
    let mut records = Records::new(BufReader::new(incoming.reopen()?), file, Limits::default());
    let mut record = Record::new();
    for read in 0.. {
        match records.read(&mut record) {
            // A fault of the file ends its job, as with a key.
            Ok(false) | Err(ReadError::Fault(_)) => break,
            Err(ReadError::Io(error)) => return Err(error.into()),
            Ok(true) if read < most => {}
            Ok(true) => {
                let detail =
                    format!("Without a key a file may have at most {most} rows; send it with one, or split it.");
                return Err(EngineError::refuse(Code::FileTooLarge, detail));
            }
        }
    }
    Ok(())
}

/// Names every column that people without a key may not write.
fn check_columns(columns: &Columns, fields: &FieldSet) -> Result<(), Error> {
    let is_theirs = |role: &Role| match role {
        Role::Key | Role::Operator | Role::Ignored => true,
        Role::Identity => false,
        Role::Field { number, .. } => fields.get(*number).is_some_and(is_open),
    };
    let fault = |name: &String| Fault {
        column: Some(name.clone()),
        pointer: None,
        code: Code::ReadOnlyField,
        message: format!("\"{}\" cannot be written without a key", muster_core::error::excerpt(name)),
    };
    let closed = columns.names.iter().zip(&columns.roles).filter(|(_, role)| !is_theirs(role));
    let errors: Vec<Fault> = closed.map(|(name, _)| fault(name)).collect();
    if errors.is_empty() {
        return Ok(());
    }
    let detail = "Without a key only fields can be written that the community marked as anonymous_writable.";
    Err(Error { errors, ..Error::new(Code::ReadOnlyField, detail) })
}

fn is_open(field: &Field) -> bool {
    field.rules.anonymous_writable && field.kind != FieldType::Currency && !field.rules.unique
}
