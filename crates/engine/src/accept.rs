//! Accepting a job: its bytes are staged and hashed while they arrive, what can never work is refused, the job row is
//! inserted, and only then is it answered. Accepted means durable: a crash between any two steps leaves nothing, or a job
//! that runs.

use crate::anonymous::{self, AnonymousLimits};
use crate::caller::Caller;
use crate::clock::job_id;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::input::describe;
use crate::job::{Input, Job, folder, is_kept, object};
use crate::prepare::hex;
use crate::staging::Incoming;
use muster_core::command::Command;
use muster_core::error::{Fault, excerpt};
use muster_core::field::normalize_name;
use muster_core::id::Tenant;
use muster_core::intake;
use muster_core::intake::encoding::Encoding;
use muster_core::intake::header::Columns;
use muster_core::intake::sniff::{Format, SniffOptions, Sniffer};
use muster_core::job::{JobKind, JobOptions, MAX_JOB_NAME_CHARS, is_name};
use muster_core::scope::Scope;
use muster_core::{Code, Error};
use muster_store::{Family, JobRef, Transaction};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::time::Duration;

/// What is refused for its size.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one upload.
    pub upload_bytes: u64,
    /// What a file may cost to read.
    pub files: intake::Limits,
    /// Jobs of a community that are not over.
    pub open_jobs: u64,
    /// Entries of an index that one look-up reads; where more would match, everybody is looked through instead. Nothing is
    /// refused for it.
    pub index_entries: u32,
    /// How long somebody waits for a job who is answered from its results.
    pub answer_within: Duration,
    /// What people without a key may send.
    pub anonymous: AnonymousLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_bytes: 5 << 30,
            files: intake::Limits::default(),
            open_jobs: 1_000,
            index_entries: 50_000,
            answer_within: Duration::from_secs(60),
            anonymous: AnonymousLimits::default(),
        }
    }
}

/// A job that somebody wants to submit.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// What it does.
    pub kind: JobKind,
    /// Its name in the log; empty: that of the file.
    pub name: String,
    /// Whether it only plans.
    pub dry_run: bool,
    /// Its options.
    pub options: JobOptions,
    /// The name of the file, as the sender says.
    pub file_name: Option<String>,
    /// The encoding that the content type names.
    pub charset: Option<String>,
    /// The format that the content type names. It decides only where the content could be of several.
    pub format: Option<Format>,
    /// The only columns that the file may have, in any order, where the door says so.
    pub exact_columns: Option<&'static [&'static str]>,
}

impl NewJob {
    /// A job with default options.
    pub fn new(kind: JobKind) -> Self {
        Self {
            kind,
            name: String::new(),
            dry_run: false,
            options: JobOptions::default(),
            file_name: None,
            charset: None,
            format: None,
            exact_columns: None,
        }
    }

    /// The name in the log: what was asked for, else the name of the file.
    fn checked_name(&self) -> Result<String, Error> {
        let (name, file_name) = (self.name.trim(), self.file_name.as_deref().unwrap_or_default());
        if !name.is_empty() && !is_name(name, MAX_JOB_NAME_CHARS) {
            let message = "name is a text of at most 200 characters, none of them a control character";
            return Err(Error::at("/name", Code::InvalidOption, message));
        }
        if !file_name.is_empty() && !is_name(file_name, 255) {
            let detail = "The name of the file has more than 255 characters or a control character.";
            return Err(Error::new(Code::InvalidRequest, detail));
        }
        Ok(if name.is_empty() { file_name } else { name }.to_owned())
    }

    fn sniff_options(&self, limits: intake::Limits) -> SniffOptions {
        // What a content type says is a hint: a charset that we do not know is passed over, an option was checked.
        let encoding = self.options.encoding.as_deref().or(self.charset.as_deref());
        SniffOptions {
            delimiter: self.options.delimiter.as_ref().and_then(|text| text.bytes().next()),
            encoding: encoding.and_then(|text| text.parse::<Encoding>().ok()),
            hint: self.format.or_else(|| Format::from_file_name(self.file_name.as_deref()?)),
            limits,
        }
    }
}

/// A file on its way in. Dropped before [`Upload::finish`], nothing of it stays.
pub struct Upload {
    engine: Engine,
    caller: Caller,
    new: NewJob,
    incoming: Incoming,
    hash: Sha256,
    sniffer: Sniffer,
}

impl Engine {
    /// Begins to accept a job. Refuses with `missing_scope` or `too_many_jobs`.
    pub async fn submit(&self, caller: &Caller, new: NewJob) -> Result<Upload> {
        caller.require(new.kind.scope())?;
        self.receive(caller, new).await
    }

    /// Refuses with `too_many_jobs` where the community has as many open ones as it may have.
    pub(crate) async fn check_open_jobs(&self, tenant: Tenant) -> Result<()> {
        let open = self.store().read().await?.count_open_jobs(tenant).await?;
        if open >= self.limits().open_jobs {
            let detail =
                format!("The community has {open} open jobs, as many as are allowed; wait until some have ended.");
            return Err(EngineError::refuse(Code::TooManyJobs, detail));
        }
        Ok(())
    }

    /// The same where the kind may be said after the file (see [`Upload::new_job`]): any kind that the caller may submit
    /// will do for now.
    pub async fn receive(&self, caller: &Caller, new: NewJob) -> Result<Upload> {
        caller.require_any(&[Scope::BulkUpdate, Scope::BulkImport, Scope::BulkDelete])?;
        self.check_open_jobs(caller.tenant).await?;
        let sniffer = Sniffer::new(new.sniff_options(self.limits().files));
        let incoming = self.staging().create()?;
        Ok(Upload { engine: self.clone(), caller: caller.clone(), new, incoming, hash: Sha256::new(), sniffer })
    }
}

impl Upload {
    /// Says the name of the file, where it is known only now.
    pub fn set_file_name(&mut self, name: String) {
        self.new.file_name = Some(name);
    }

    /// What is known about the job. All of it may change until [`Upload::finish`], which checks it.
    pub fn new_job(&mut self) -> &mut NewJob {
        &mut self.new
    }

    /// Refuses with `file_too_large` where this many more bytes would be too many, for senders who say it beforehand.
    pub fn check_room(&self, bytes: u64) -> Result<()> {
        let limit = self.engine.limits().upload_bytes;
        if self.incoming.bytes().saturating_add(bytes) > limit {
            let detail = format!("The file is larger than the {limit} bytes that this server accepts.");
            return Err(EngineError::refuse(Code::FileTooLarge, detail));
        }
        Ok(())
    }

    /// Takes the next bytes. Refuses with `file_too_large` or `storage_full`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.check_room(bytes.len() as u64)?;
        tokio::task::block_in_place(|| {
            self.engine.faults().pass_writing("accept.writing")?;
            self.incoming.write_all(bytes)?;
            self.hash.update(bytes);
            self.sniffer.push(bytes);
            Ok(())
        })
    }

    /// The file is complete: refuses what can never work, else makes the job. When this answers, the job is durable.
    pub async fn finish(self) -> Result<Job> {
        let (engine, caller) = (self.engine.clone(), self.caller.clone());
        let staged = self.stage().await?;
        let job = engine.insert(&caller, &staged).await?;
        engine.submitted().notify_one();
        Ok(job)
    }

    /// The file is complete: refuses what can never work, else keeps the file for the job that is to be made.
    pub(crate) async fn stage(self) -> Result<Staged> {
        let Self { engine, caller, mut new, mut incoming, hash, mut sniffer } = self;
        caller.require(new.kind.scope())?;
        new.name = new.checked_name()?;
        let limits = engine.limits().files;
        sniffer.tell(new.sniff_options(limits));
        let mut file = sniffer.finish()?;
        let sheet = new.options.sheet.as_deref();
        tokio::task::block_in_place(|| describe(engine.staging(), &mut incoming, &mut file, sheet, limits))?;
        let fields = engine.fields(caller.tenant).await?;
        let columns = file.columns(&fields, &new.options)?;
        if new.exact_columns.is_some() && file.format.is_json() {
            return Err(EngineError::refuse(
                Code::UnsupportedFormat,
                "Send a CSV file or a workbook; JSON has no columns.",
            ));
        }
        check_columns(&columns, &new)?;
        tokio::task::block_in_place(|| {
            anonymous::check_file(&engine, &caller, &mut incoming, &file, (&columns, &fields))
        })?;

        let of = JobRef { tenant: caller.tenant, id: job_id() };
        let (object, size_bytes) = (object(of, "input"), incoming.bytes());
        tokio::task::block_in_place(|| incoming.publish(engine.staging(), &object))?;
        let input = Input {
            file_name: new.file_name.clone(),
            size_bytes,
            sha256: hex(&hash.finalize()),
            file: Some(file),
            limits,
            ..Input::none()
        };
        Ok(Staged { of, new, object, input })
    }
}

/// A file that is kept, and the job that is to be made of it.
pub(crate) struct Staged {
    pub(crate) of: JobRef,
    new: NewJob,
    object: String,
    input: Input,
}

impl Engine {
    /// Accepts a change by filter. `new` says what was said beside the command, which must not be options. Refuses as
    /// [`Command::read`] does.
    pub async fn submit_command(&self, caller: &Caller, mut new: NewJob, bytes: &[u8]) -> Result<Job> {
        caller.require_any(&[Scope::BulkUpdate, Scope::BulkDelete])?;
        self.check_open_jobs(caller.tenant).await?;
        if new.options != JobOptions::default() {
            let detail = "The options of a change by filter stand in it, under options.";
            return Err(EngineError::refuse(Code::InvalidOption, detail));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| EngineError::refuse(Code::InvalidRequest, "The body is not UTF-8."))?;
        let command = Command::read(text, &self.fields(caller.tenant).await?)?;
        caller.require(command.kind.scope())?;
        let listing = command.cells().0;
        (new.kind, new.options) = (command.kind, command.options);
        new.dry_run |= command.dry_run;
        new.name = command.name.unwrap_or(new.name);
        new.name = new.checked_name()?;

        let of = JobRef { tenant: caller.tenant, id: job_id() };
        let object = object(of, "input");
        tokio::task::block_in_place(|| -> Result<()> {
            let mut incoming = self.staging().create()?;
            incoming.write_all(bytes)?;
            incoming.publish(self.staging(), &object)
        })?;
        let (size_bytes, sha256) = (bytes.len() as u64, hex(&Sha256::digest(bytes)));
        let input = Input { size_bytes, sha256, listing, ..Input::none() };
        let job = self.insert(caller, &Staged { of, new, object, input }).await?;
        self.submitted().notify_one();
        Ok(job)
    }

    async fn insert(&self, caller: &Caller, staged: &Staged) -> Result<Job> {
        self.faults().pass("accept.staged").await?;
        let mut tx = self.store().begin().await?;
        let job = self.insert_in(&mut tx, caller, staged).await?;
        // A commit that fails may have happened all the same, so from here on the file stays; a sweep finds it if not.
        caller.commit(tx).await?;
        self.faults().pass("accept.inserted").await?;
        Ok(job)
    }

    /// Makes the job of a file that is kept. Where that fails the file goes.
    pub(crate) async fn insert_in(&self, tx: &mut Transaction, caller: &Caller, staged: &Staged) -> Result<Job> {
        let Staged { of, new, object, input } = staged;
        let job = muster_store::NewJob {
            id: of.id,
            kind: new.kind,
            name: &new.name,
            options: &new.options,
            source: input,
            staged: object,
            size_bytes: input.size_bytes,
            sha256: &input.sha256,
            dry_run: new.dry_run,
            family: Family::default(),
            actor: &caller.actor,
            submitted_at: self.clock().now(),
        };
        let job = tx.insert_job(of.tenant, &job).await.inspect_err(|_| self.staging().remove(object))?;
        anonymous::check_open_with(self, tx, caller).await.inspect_err(|_| self.staging().remove(object))?;
        Ok(job)
    }

    /// Removes what processes left behind that died: parts of files, files of which no job knows, what jobs do not need
    /// any more, and reservations of idempotency keys. To be called only where no other process uses the staging area.
    pub async fn sweep(&self) -> Result<()> {
        self.staging().sweep()?;
        self.release_all_reservations().await?;
        let mut connection = self.store().read().await?;
        for of in self.staging().list_jobs()? {
            let job: Option<Job> = connection.get_job(of.tenant, of.id).await?;
            self.staging().keep_only(&folder(of), |name| job.as_ref().is_some_and(|job| is_kept(job, name)))?;
        }
        Ok(())
    }
}

/// Refuses every column that the door does not take, and every one that it needs and that is not there, where it takes only
/// certain ones.
fn check_columns(columns: &Columns, new: &NewJob) -> Result<(), Error> {
    let Some(exact) = new.exact_columns else { return Ok(()) };
    let is_in = |name: &str, names: &[&str]| names.iter().any(|one| normalize_name(one) == normalize_name(name));
    let names: Vec<&str> = columns.names.iter().map(String::as_str).collect();
    let fault = |name: &str, message: String| Fault {
        column: Some(name.to_owned()),
        pointer: None,
        code: Code::UnknownColumn,
        message,
    };
    let extra = names.iter().filter(|name| !is_in(name, exact));
    let extra = extra.map(|name| fault(name, format!("\"{}\" cannot be changed here", excerpt(name))));
    let missing = exact.iter().filter(|name| !is_in(name, &names));
    let missing = missing.map(|name| fault(name, format!("no column is called \"{name}\"")));
    let errors: Vec<Fault> = extra.chain(missing).collect();
    if errors.is_empty() {
        return Ok(());
    }
    let detail = format!("The columns must be exactly {}, in any order.", exact.join(", "));
    Err(Error { errors, ..Error::new(Code::UnknownColumn, detail) })
}
