//! Jobs: submitted, claimed by a lease, advanced chunk by chunk, ended.
//!
//! A lease is an owner, a time at which it expires by the database's clock, and the number of the attempt. Whoever claims a
//! job raises the attempt, and every write names the attempt it belongs to: a worker that stalled past its lease and
//! wakes up writes nothing.

use crate::connection::{Param, Row, params};
use crate::dialect::Dialect;
use crate::error::{Result, StoreError};
use crate::{Connection, Transaction};
use jiff::Timestamp;
use muster_core::Error;
use muster_core::actor::Actor;
use muster_core::id::{JobId, Tenant};
use muster_core::job::{Counts, JobKind, JobOptions, JobState, Relation};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// How long a lease lasts that nobody extends, in seconds.
pub const LEASE_SECONDS: i64 = 10;

/// A job as stored. `S` is what the engine knows about the input.
#[derive(Clone, Debug)]
pub struct Job<S> {
    /// Its community.
    pub tenant: Tenant,
    /// Its id.
    pub id: JobId,
    /// Its place in the order of submission.
    pub number: i64,
    /// What it does.
    pub kind: JobKind,
    /// Where it stands.
    pub state: JobState,
    /// Its name in the log.
    pub name: String,
    /// The options that were given.
    pub options: JobOptions,
    /// What is known about the input.
    pub source: S,
    /// The name of the input in the staging area.
    pub staged: String,
    /// How long the input is.
    pub size_bytes: u64,
    /// The latest earlier job with the same bytes and kind that was no dry run.
    pub same_file_as: Option<JobId>,
    /// Whether it only plans.
    pub dry_run: bool,
    /// What it has to do with other jobs.
    pub family: Family,
    /// The job that took this one back, or is doing so.
    pub undo_job_id: Option<JobId>,
    /// Who submitted it.
    pub actor: Actor,
    /// When.
    pub submitted_at: Timestamp,
    /// When it was claimed first.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<Error>,
    /// The number of the latest claim.
    pub attempt: i64,
    /// The sorted rows, once preparing ended.
    pub prepared: Option<Prepared>,
    /// How many bytes of the prepared rows are applied.
    pub cursor: u64,
    /// How many bytes of the input were read.
    pub bytes_done: u64,
    /// How many rows ended how.
    pub counts: Counts,
    /// The name of the merged outcomes in the staging area, once the job ended.
    pub results: Option<String>,
    /// The name of the planned rows in the staging area, once a dry run ended.
    pub plan: Option<String>,
    /// How many users it changed, or would change.
    pub affected: u64,
    /// Since when its file is gone.
    pub file_erased_at: Option<Timestamp>,
    /// Since when what became of its rows is gone.
    pub results_expired_at: Option<Timestamp>,
    /// Since when some of what it changed is no longer known.
    pub history_expired_at: Option<Timestamp>,
}

/// What a job has to do with the jobs before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// The job that it comes from, and how.
    pub parent: Option<(JobId, Relation)>,
    /// The job that it takes back; where a planned undo is applied, that is not its parent.
    pub undoes: Option<JobId>,
}

/// A job to be inserted.
#[derive(Clone, Debug)]
pub struct NewJob<'a, S> {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// Its name in the log.
    pub name: &'a str,
    /// Its options.
    pub options: &'a JobOptions,
    /// What is known about the input.
    pub source: &'a S,
    /// The name of the input in the staging area.
    pub staged: &'a str,
    /// How long the input is.
    pub size_bytes: u64,
    /// The hash of the input, in hex; empty where there is no file of its own.
    pub sha256: &'a str,
    /// Whether it only plans.
    pub dry_run: bool,
    /// What it has to do with other jobs.
    pub family: Family,
    /// Who submits it.
    pub actor: &'a Actor,
    /// When.
    pub submitted_at: Timestamp,
}

/// What preparing left in the staging area. From the moment that this is pinned nobody prepares again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The name of the sorted rows.
    pub rows: String,
    /// How long they are.
    pub rows_bytes: u64,
    /// Their checksum, in hex.
    pub rows_checksum: String,
    /// The name of the outcomes that preparing decided.
    pub outcomes: String,
    /// The name of the list of what the rows are about, where the job has no file of its own.
    #[serde(default)]
    pub listing: Option<String>,
    /// What the fields that the rows name were like, so that a plan is not applied after they changed.
    #[serde(default)]
    pub fields: String,
}

/// A job that can be worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobRef {
    /// Its community.
    pub tenant: Tenant,
    /// Its id.
    pub id: JobId,
}

/// A job that was claimed.
#[derive(Clone, Debug)]
pub struct Claim<S> {
    /// The job; its attempt is that of this claim.
    pub job: Job<S>,
    /// How many claims in a row, this one included, followed one that made no progress.
    pub fruitless_attempts: i64,
}

/// How far a chunk brings a job.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The cursor that the chunk begins at.
    pub from: u64,
    /// The cursor that it ends at.
    pub to: u64,
    /// The rows that it decides.
    pub counts: Counts,
    /// How many users it changes whom no chunk before has changed.
    pub affected: u64,
}

/// How a job ends.
#[derive(Clone, Debug)]
pub struct EndOfJob<'a> {
    /// A final state.
    pub state: JobState,
    /// Why it failed.
    pub error: Option<&'a Error>,
    /// The name of the merged outcomes.
    pub results: Option<&'a str>,
    /// The name of the planned rows.
    pub plan: Option<&'a str>,
    /// The rows received.
    pub received: u64,
    /// When.
    pub at: Timestamp,
}

/// Which jobs to list. Every part narrows the answer.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only of this kind.
    pub kind: Option<JobKind>,
    /// Only submitted at this time or later.
    pub since: Option<Timestamp>,
    /// Only older ones than this number.
    pub before: Option<i64>,
}

pub(crate) const COLUMNS: &str = "tenant, id, number, kind, state, name, options, source, staged, size_bytes, same_file_as, actor,
    submitted_at, started_at, finished_at, error, attempt, prepared, cursor,
    bytes_done, received, created, updated, unchanged, skipped, failed, results, dry_run, parent_job_id, relation, undoes,
    undo_job_id, plan, affected, file_erased_at, results_expired_at,
    history_expired_at";
/// How many columns these are.
const COLUMN_COUNT: usize = 37;

fn word<T>(text: &str, parse: fn(&str) -> Option<T>) -> Result<T> {
    parse(text).ok_or_else(|| StoreError::Corrupt(format!("a job holds the word \"{text}\"")))
}

fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

pub(crate) fn job<S: DeserializeOwned>(row: &Row<'_>) -> Result<Job<S>> {
    let count = |i| row.int(i).map(|n| n as u64);
    Ok(Job {
        tenant: Tenant(row.int(0)?),
        id: row.parsed(1)?,
        number: row.int(2)?,
        kind: word(row.text(3)?, JobKind::parse)?,
        state: word(row.text(4)?, JobState::parse)?,
        name: row.string(5)?,
        options: row.json(6)?,
        source: row.json(7)?,
        staged: row.string(8)?,
        size_bytes: count(9)?,
        same_file_as: opt_id(row, 10)?,
        actor: row.json(11)?,
        submitted_at: row.time(12)?,
        started_at: row.opt_time(13)?,
        finished_at: row.opt_time(14)?,
        error: row.opt_json(15)?,
        attempt: row.int(16)?,
        prepared: row.opt_json(17)?,
        cursor: count(18)?,
        bytes_done: count(19)?,
        counts: Counts {
            received: count(20)?,
            created: count(21)?,
            updated: count(22)?,
            unchanged: count(23)?,
            skipped: count(24)?,
            failed: count(25)?,
        },
        results: row.opt_text(26)?.map(str::to_owned),
        dry_run: row.bool(27)?,
        family: Family {
            parent: opt_id(row, 28)?.zip(row.opt_text(29)?.map(|text| word(text, Relation::parse)).transpose()?),
            undoes: opt_id(row, 30)?,
        },
        undo_job_id: opt_id(row, 31)?,
        plan: row.opt_text(32)?.map(str::to_owned),
        affected: count(33)?,
        file_erased_at: row.opt_time(34)?,
        results_expired_at: row.opt_time(35)?,
        history_expired_at: row.opt_time(36)?,
    })
}

fn opt_id(row: &Row<'_>, i: usize) -> Result<Option<JobId>> {
    row.opt_text(i)?.is_some().then(|| row.parsed(i)).transpose()
}

/// The statement of [`Connection::list_claimable`]. A job of a named queue waits for every earlier one of that queue, an erasure
/// for the one that it was put off for. A cancelled one waits for nothing but to be tidied up.
pub(crate) fn claimable(dialect: Dialect) -> String {
    format!(
        "SELECT j.tenant, j.id FROM {open}
         WHERE j.state IN ('queued', 'running', 'cancelled') AND j.size_bytes <= $1
           AND (j.lease_expires_at IS NULL OR j.lease_expires_at < {now})
           AND (j.state = 'cancelled' OR NOT EXISTS (
                    SELECT 1 FROM jobs AS e WHERE e.tenant = j.tenant AND e.queue = j.queue
                    AND e.number < j.number AND e.state IN ('queued', 'running', 'paused'))
                AND NOT EXISTS (SELECT 1 FROM job_queue AS o WHERE o.job_id = j.waits_for))
         ORDER BY q.submitted_at, j.number LIMIT $2",
        open = dialect.open_jobs(),
        now = dialect.now()
    )
}

/// The statement of [`Connection::list_lease_owners`].
pub(crate) fn lease_owners(dialect: Dialect) -> String {
    format!("SELECT DISTINCT j.lease_owner FROM {} WHERE j.lease_owner IS NOT NULL", dialect.open_jobs())
}

/// The statement of [`Transaction::release_leases`].
pub(crate) const RELEASE_LEASES: &str = "UPDATE jobs SET lease_owner = NULL, lease_expires_at = NULL
    WHERE (tenant, id) IN (SELECT tenant, job_id FROM job_queue) AND lease_owner = $1";

impl Connection {
    /// The job of an id.
    pub async fn get_job<S: DeserializeOwned>(&mut self, tenant: Tenant, id: JobId) -> Result<Option<Job<S>>> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE tenant = $1 AND id = $2");
        self.query_opt(&sql, params![tenant.0, &id.to_string()], job).await
    }

    /// Jobs, newest first.
    pub async fn list_jobs<S: DeserializeOwned>(
        &mut self,
        tenant: Tenant,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<Job<S>>> {
        let mut sql = format!("SELECT {COLUMNS} FROM jobs WHERE tenant = $1 AND number < $2");
        let mut params: Vec<Param<'_>> =
            params![tenant.0, filter.before.unwrap_or(i64::MAX), i64::from(limit)].to_vec();
        let mut and = |condition: &str, param| {
            params.push(param);
            sql.push_str(&format!(" AND {condition} ${}", params.len()));
        };
        if let Some(state) = filter.state {
            and("state =", state.as_str().into());
        }
        if let Some(kind) = filter.kind {
            and("kind =", kind.as_str().into());
        }
        if let Some(since) = filter.since {
            and("submitted_at >=", since.as_microsecond().into());
        }
        sql.push_str(" ORDER BY number DESC LIMIT $3");
        self.query(&sql, &params, job).await
    }

    /// The jobs that came from this one in a certain way, or take it back, and wrote or may still write; the oldest first.
    pub async fn list_children<S: DeserializeOwned>(&mut self, of: JobRef, relation: Relation) -> Result<Vec<Job<S>>> {
        let related = match relation {
            Relation::Undo => "undoes = $2",
            Relation::Apply => "parent_job_id = $2 AND relation = 'apply'",
            Relation::Retry => "parent_job_id = $2 AND relation = 'retry'",
        };
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE tenant = $1 AND {related} AND NOT dry_run ORDER BY number");
        self.query(&sql, params![of.tenant.0, &of.id.to_string()], job).await
    }

    /// How many jobs of the community are not over.
    pub async fn count_open_jobs(&mut self, tenant: Tenant) -> Result<u64> {
        // One that was cancelled and still has to be tidied up is over.
        let sql = format!(
            "SELECT count(*) FROM {} WHERE q.tenant = $1 AND j.state <> 'cancelled'",
            self.dialect().open_jobs()
        );
        self.query_one(&sql, params![tenant.0], |row| Ok(row.int(0)? as u64)).await
    }

    /// The jobs of the community that are not over, the oldest first.
    pub async fn list_open_jobs<S: DeserializeOwned>(&mut self, tenant: Tenant) -> Result<Vec<Job<S>>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE tenant = $1 AND state IN ('queued', 'running', 'paused')
             AND id IN (SELECT job_id FROM job_queue WHERE tenant = $1) ORDER BY number"
        );
        self.query(&sql, params![tenant.0], job).await
    }

    /// Jobs that nobody works on and that nothing holds up, the oldest first: at most `limit`, and only inputs of at
    /// most `size_bytes`.
    pub async fn list_claimable(&mut self, size_bytes: u64, limit: u32) -> Result<Vec<JobRef>> {
        let sql = claimable(self.dialect());
        let params = params![i64::try_from(size_bytes).unwrap_or(i64::MAX), i64::from(limit)];
        self.query(&sql, params, |row| Ok(JobRef { tenant: Tenant(row.int(0)?), id: row.parsed(1)? })).await
    }

    /// Who has leases, those that expired among them.
    pub async fn list_lease_owners(&mut self) -> Result<Vec<String>> {
        self.query(&lease_owners(self.dialect()), &[], |row| row.string(0)).await
    }
}

impl Transaction {
    /// Inserts a job: from the commit on it is accepted, and somebody will run it.
    pub async fn insert_job<S: Serialize + DeserializeOwned>(
        &mut self,
        tenant: Tenant,
        new: &NewJob<'_, S>,
    ) -> Result<Job<S>> {
        let next = "UPDATE counters SET next_job = next_job + 1 WHERE tenant = $1 RETURNING next_job - 1";
        let number = self.query_one(next, params![tenant.0], |row| row.int(0)).await?;
        let (id, at) = (new.id.to_string(), new.submitted_at.as_microsecond());
        let sql = format!(
            "INSERT INTO jobs (tenant, id, number, kind, state, name, queue, options, source, staged, size_bytes, sha256,
                 same_file_as, actor, submitted_at, attempt, fruitless_attempts, cancel_requested, pause_requested,
                 cursor, bytes_done, received, created, updated, unchanged, skipped, failed, dry_run, parent_job_id,
                 relation, undoes)
             VALUES ($1, $2, $3, $4, 'queued', $5, $6, $7, $8, $9, $10, $11,
                 (SELECT e.id FROM jobs AS e WHERE e.tenant = $1 AND e.sha256 = $11 AND e.kind = $4 AND e.sha256 <> '' AND NOT e.dry_run
                  ORDER BY e.number DESC LIMIT 1),
                 $12, $13, 0, 0, FALSE, FALSE, 0, 0, 0, 0, 0, 0, 0, 0, $14, $15, $16, $17) RETURNING {COLUMNS}"
        );
        let (parent, relation) = new.family.parent.unzip();
        let (parent, undoes) = (parent.map(|id| id.to_string()), new.family.undoes.map(|id| id.to_string()));
        let (options, source, actor) = (to_json(new.options)?, to_json(new.source)?, to_json(new.actor)?);
        let params = params![
            tenant.0,
            &id,
            number,
            new.kind.as_str(),
            new.name,
            new.options.queue.as_deref(),
            &options,
            &source,
            new.staged,
            new.size_bytes as i64,
            new.sha256,
            &actor,
            at,
            new.dry_run,
            parent.as_deref(),
            relation.map(Relation::as_str),
            undoes.as_deref(),
        ];
        let inserted = self.query_one(&sql, params, job).await?;
        let hint = "INSERT INTO job_queue (job_id, tenant, submitted_at) VALUES ($1, $2, $3)";
        self.execute(hint, params![&id, tenant.0, at]).await?;
        Ok(inserted)
    }

    /// Waits until nobody else makes a job from this one. False where it is not there.
    pub async fn lock_job(&mut self, of: JobRef) -> Result<bool> {
        let sql = "UPDATE jobs SET number = number WHERE tenant = $1 AND id = $2";
        Ok(self.execute(sql, params![of.tenant.0, &of.id.to_string()]).await? == 1)
    }

    /// Keeps which job takes this one back.
    pub async fn set_undo_job(&mut self, of: JobRef, undo: JobId) -> Result<()> {
        let sql = "UPDATE jobs SET undo_job_id = $3 WHERE tenant = $1 AND id = $2";
        self.execute(sql, params![of.tenant.0, &of.id.to_string(), &undo.to_string()]).await.map(drop)
    }

    /// Claims a job, if nobody else did. Claiming raises the attempt.
    pub async fn claim_job<S: DeserializeOwned>(
        &mut self,
        of: JobRef,
        owner: &str,
        at: Timestamp,
    ) -> Result<Option<Claim<S>>> {
        let now = self.dialect().now();
        let sql = format!(
            "UPDATE jobs SET state = CASE WHEN state = 'queued' THEN 'running' ELSE state END,
                 started_at = CASE WHEN state = 'queued' THEN coalesce(started_at, $4) ELSE started_at END,
                 attempt = attempt + 1, fruitless_attempts = fruitless_attempts + 1, lease_owner = $3,
                 lease_expires_at = {now} + {LEASE_SECONDS} * 1000000
             WHERE tenant = $1 AND id = $2 AND (state IN ('queued', 'running') OR (state = 'cancelled' AND EXISTS
                   (SELECT 1 FROM job_queue AS q WHERE q.job_id = $2)))
               AND (lease_expires_at IS NULL OR lease_expires_at < {now})
             RETURNING {COLUMNS}, fruitless_attempts"
        );
        self.query_opt(&sql, params![of.tenant.0, &of.id.to_string(), owner, at.as_microsecond()], |row| {
            Ok(Claim { job: job(row)?, fruitless_attempts: row.int(COLUMN_COUNT)? })
        })
        .await
    }

    /// Extends the lease and reports what was read while preparing. False where the lease was lost: somebody else has
    /// the job, or it was cancelled or paused.
    pub async fn heartbeat(&mut self, of: JobRef, attempt: i64, reading: Option<(u64, u64)>) -> Result<bool> {
        let (bytes, rows) = reading.unzip();
        let sql = format!(
            "UPDATE jobs SET lease_expires_at = {now} + {LEASE_SECONDS} * 1000000,
                 bytes_done = coalesce($4, bytes_done), received = coalesce($5, received)
             WHERE tenant = $1 AND id = $2 AND attempt = $3 AND lease_owner IS NOT NULL",
            now = self.dialect().now()
        );
        let id = of.id.to_string();
        let params = params![of.tenant.0, &id, attempt, bytes.map(|n| n as i64), rows.map(|n| n as i64)];
        Ok(self.execute(&sql, params).await? == 1)
    }

    /// Pins what preparing made. False where the lease was lost.
    pub async fn pin_prepared(
        &mut self,
        of: JobRef,
        attempt: i64,
        prepared: &Prepared,
        bytes: u64,
        counts: &Counts,
    ) -> Result<bool> {
        let sql = "UPDATE jobs SET prepared = $4, bytes_done = $5, received = $6, skipped = $7, failed = $8,
                       fruitless_attempts = 0
                   WHERE tenant = $1 AND id = $2 AND attempt = $3 AND state = 'running' AND prepared IS NULL";
        let id = of.id.to_string();
        let prepared = to_json(prepared)?;
        let params = params![
            of.tenant.0,
            &id,
            attempt,
            &prepared,
            bytes as i64,
            counts.received as i64,
            counts.skipped as i64,
            counts.failed as i64,
        ];
        Ok(self.execute(sql, params).await? == 1)
    }

    /// Moves the cursor, counts the chunk's rows and extends the lease. False where the lease was lost or the cursor
    /// is elsewhere. It locks the job until the transaction ends.
    pub async fn advance_job(&mut self, of: JobRef, attempt: i64, by: &Progress) -> Result<bool> {
        let sql = format!(
            "UPDATE jobs SET cursor = $5, created = created + $6, updated = updated + $7, unchanged = unchanged + $8,
                 skipped = skipped + $9, failed = failed + $10, affected = affected + $11, fruitless_attempts = 0,
                 lease_expires_at = {now} + {LEASE_SECONDS} * 1000000
             WHERE tenant = $1 AND id = $2 AND attempt = $3 AND state = 'running' AND cursor = $4",
            now = self.dialect().now()
        );
        let counts = by.counts;
        let id = of.id.to_string();
        let params = params![
            of.tenant.0,
            &id,
            attempt,
            by.from as i64,
            by.to as i64,
            counts.created as i64,
            counts.updated as i64,
            counts.unchanged as i64,
            counts.skipped as i64,
            counts.failed as i64,
            by.affected as i64,
        ];
        Ok(self.execute(&sql, params).await? == 1)
    }

    /// Ends a job that is claimed. False where the lease was lost. One that was cancelled stays so, and ended then.
    pub async fn end_job(&mut self, of: JobRef, attempt: i64, end: &EndOfJob<'_>) -> Result<bool> {
        let sql = "UPDATE jobs SET state = $4, error = $5, results = $6, received = $7,
                       finished_at = coalesce(finished_at, $8), plan = $9, lease_owner = NULL, lease_expires_at = NULL
                   WHERE tenant = $1 AND id = $2 AND attempt = $3 AND state IN ('running', $4)
                     AND lease_owner IS NOT NULL";
        let (id, error) = (of.id.to_string(), end.error.map(to_json).transpose()?);
        let params = params![
            of.tenant.0,
            &id,
            attempt,
            end.state.as_str(),
            error.as_deref(),
            end.results,
            end.received as i64,
            end.at.as_microsecond(),
            end.plan,
        ];
        let ended = self.execute(sql, params).await? == 1;
        if ended {
            self.forget_open_job(of).await?;
        }
        Ok(ended)
    }

    /// Gives a claimed job back without an end, for the next worker. False where the lease was lost.
    pub async fn release_job(&mut self, of: JobRef, attempt: i64) -> Result<bool> {
        let sql = "UPDATE jobs SET lease_owner = NULL, lease_expires_at = NULL, fruitless_attempts = 0
                   WHERE tenant = $1 AND id = $2 AND attempt = $3 AND lease_owner IS NOT NULL";
        Ok(self.execute(sql, params![of.tenant.0, &of.id.to_string(), attempt]).await? == 1)
    }

    /// Lets go of the leases of an owner who is known to be gone, so that nobody waits for them to expire.
    pub async fn release_leases(&mut self, owner: &str) -> Result<u64> {
        self.execute(RELEASE_LEASES, params![owner]).await
    }

    /// Gives a claimed job back until another one is over. False where the lease was lost.
    pub async fn put_off_job(&mut self, of: JobRef, attempt: i64, other: JobId) -> Result<bool> {
        let sql = "UPDATE jobs SET lease_owner = NULL, lease_expires_at = NULL, fruitless_attempts = 0, waits_for = $4
                   WHERE tenant = $1 AND id = $2 AND attempt = $3 AND lease_owner IS NOT NULL";
        let (id, other) = (of.id.to_string(), other.to_string());
        Ok(self.execute(sql, params![of.tenant.0, &id, attempt, &other]).await? == 1)
    }

    /// Cancels a job at once, whoever works on it: the attempt is raised, so that worker writes nothing more. A worker
    /// gathers the results later. False where the job is over or not there.
    pub async fn cancel_job(&mut self, of: JobRef, at: Timestamp) -> Result<bool> {
        let sql =
            "UPDATE jobs SET state = 'cancelled', finished_at = $3, attempt = attempt + 1, fruitless_attempts = 0,
                       lease_owner = NULL, lease_expires_at = NULL
                   WHERE tenant = $1 AND id = $2 AND state IN ('queued', 'running', 'paused')";
        Ok(self.execute(sql, params![of.tenant.0, &of.id.to_string(), at.as_microsecond()]).await? == 1)
    }

    /// Pauses a job at once, in the same way. False where it is over or not there, or is paused.
    pub async fn pause_job(&mut self, of: JobRef) -> Result<bool> {
        let sql = "UPDATE jobs SET state = 'paused', attempt = attempt + 1, fruitless_attempts = 0,
                       lease_owner = NULL, lease_expires_at = NULL
                   WHERE tenant = $1 AND id = $2 AND state IN ('queued', 'running')";
        Ok(self.execute(sql, params![of.tenant.0, &of.id.to_string()]).await? == 1)
    }

    /// Lets a paused job go on. False where it is not paused or not there.
    pub async fn resume_job(&mut self, of: JobRef) -> Result<bool> {
        let sql = "UPDATE jobs SET state = CASE WHEN started_at IS NULL THEN 'queued' ELSE 'running' END
                   WHERE tenant = $1 AND id = $2 AND state = 'paused'";
        Ok(self.execute(sql, params![of.tenant.0, &of.id.to_string()]).await? == 1)
    }

    async fn forget_open_job(&mut self, of: JobRef) -> Result<()> {
        let id = of.id.to_string();
        self.execute("DELETE FROM job_queue WHERE job_id = $1", params![&id]).await?;
        let sql = "DELETE FROM job_outcomes WHERE tenant = $1 AND job_id = $2";
        self.execute(sql, params![of.tenant.0, &id]).await.map(drop)
    }
}
