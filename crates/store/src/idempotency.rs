//! Idempotency keys: which requests run, and what was answered to those that had their effect.
//!
//! A key is reserved before its request runs, under a lease by the database's clock, and gets its answer in the
//! transaction of the effect. Whoever reserves it writes its own name as the holder, and every later write names it: a
//! request that stalled past its lease, and whose key somebody else has by then, commits nothing.

use crate::connection::params;
use crate::error::{Result, StoreError};
use crate::{Connection, Transaction};
use muster_core::id::{JobId, Tenant};

/// How long a reservation lasts that nobody extends, in seconds.
pub const RESERVATION_SECONDS: i64 = 30;
const DAY_SECONDS: i64 = 24 * 60 * 60;
const MICROSECONDS: i64 = 1_000_000;

/// A key, and who holds it while its request runs.
#[derive(Clone, Copy, Debug)]
pub struct KeyOwner {
    /// The community.
    pub tenant: Tenant,
    /// SHA-256 of the key.
    pub key: [u8; 32],
    /// A name that no other request has.
    pub holder: [u8; 16],
}

/// An answer as it was given first, without what must not be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that belong to the answer.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What is known about the request of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRequest {
    /// Who sent it.
    pub actor: String,
    /// What the request was; empty while it is read.
    pub fingerprint: Vec<u8>,
    /// How far it is.
    pub state: KeptState,
}

/// How far the request of a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptState {
    /// It runs and has changed nothing yet.
    Running,
    /// It made a job, from which it is answered.
    Bound(JobId),
    /// It was answered.
    Answered(StoredAnswer),
}

impl Connection {
    /// The request of a key, running or answered.
    pub async fn find_kept_request(&mut self, tenant: Tenant, key: &[u8; 32]) -> Result<Option<KeptRequest>> {
        let sql = format!(
            "SELECT actor, fingerprint, status, headers, body, job_id FROM idempotency_keys
             WHERE tenant = $1 AND key = $2 AND expires_at > {}",
            self.dialect().now()
        );
        self.query_opt(&sql, params![tenant.0, &key[..]], |row| {
            let status = u16::try_from(row.int(2)?).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            let job = row.opt_text(5)?.map(str::parse).transpose();
            let state = match (status, job.map_err(|_| StoreError::Corrupt("the id of a job".to_owned()))?) {
                (0, None) => KeptState::Running,
                (0, Some(job)) => KeptState::Bound(job),
                _ => KeptState::Answered(StoredAnswer { status, headers: row.json(3)?, body: row.bytes(4)? }),
            };
            Ok(KeptRequest { actor: row.string(0)?, fingerprint: row.bytes(1)?, state })
        })
        .await
    }
}

impl Transaction {
    /// Reserves a key for a request that is about to run. False where somebody has it.
    pub async fn reserve_key(&mut self, owner: &KeyOwner, actor: &str) -> Result<bool> {
        let now = self.dialect().now();
        let sql = format!(
            "INSERT INTO idempotency_keys (tenant, key, actor, holder, expires_at, status, fingerprint, headers, body, job_id)
             VALUES ($1, $2, $3, $4, {now} + $5, 0, $6, '[]', $6, NULL)
             ON CONFLICT (tenant, key) DO UPDATE SET actor = excluded.actor, holder = excluded.holder,
                 expires_at = excluded.expires_at, status = excluded.status, fingerprint = excluded.fingerprint,
                 headers = excluded.headers, body = excluded.body, job_id = NULL
             WHERE idempotency_keys.expires_at <= {now}"
        );
        let (key, holder, nothing) = (&owner.key[..], &owner.holder[..], &[][..]);
        let lease = RESERVATION_SECONDS * MICROSECONDS;
        Ok(self.execute(&sql, params![owner.tenant.0, key, actor, holder, lease, nothing]).await? == 1)
    }

    /// Begins the lease of a running request anew. False where it has lost its key.
    pub async fn extend_reservation(&mut self, owner: &KeyOwner) -> Result<bool> {
        let sql = format!(
            "UPDATE idempotency_keys SET expires_at = {} + $4
             WHERE tenant = $1 AND key = $2 AND holder = $3 AND status = 0 AND job_id IS NULL",
            self.dialect().now()
        );
        let lease = RESERVATION_SECONDS * MICROSECONDS;
        Ok(self.execute(&sql, params![owner.tenant.0, &owner.key[..], &owner.holder[..], lease]).await? == 1)
    }

    /// Binds a key to the job that this transaction makes, for so many days. False where the request has lost its key;
    /// then the transaction must not be committed.
    pub async fn bind_key(&mut self, owner: &KeyOwner, fingerprint: &[u8], job: JobId, days: u32) -> Result<bool> {
        let sql = format!(
            "UPDATE idempotency_keys SET expires_at = {} + $4, fingerprint = $5, job_id = $6
             WHERE tenant = $1 AND key = $2 AND holder = $3 AND status = 0 AND job_id IS NULL",
            self.dialect().now()
        );
        let (key, holder, kept) = (&owner.key[..], &owner.holder[..], i64::from(days) * DAY_SECONDS * MICROSECONDS);
        Ok(self.execute(&sql, params![owner.tenant.0, key, holder, kept, fingerprint, &job.to_string()]).await? == 1)
    }

    /// Keeps the answer to a request that had its effect in this transaction, for so many days. False where the request has lost its key;
    /// then the transaction must not be committed.
    pub async fn keep_answer(
        &mut self,
        owner: &KeyOwner,
        fingerprint: &[u8],
        answer: &StoredAnswer,
        days: u32,
    ) -> Result<bool> {
        let sql = format!(
            "UPDATE idempotency_keys SET expires_at = {} + $4, status = $5, fingerprint = $6, headers = $7, body = $8
             WHERE tenant = $1 AND key = $2 AND holder = $3 AND status = 0",
            self.dialect().now()
        );
        let headers = serde_json::to_string(&answer.headers).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let (key, holder, kept) = (&owner.key[..], &owner.holder[..], i64::from(days) * DAY_SECONDS * MICROSECONDS);
        let status = i64::from(answer.status);
        let params = params![owner.tenant.0, key, holder, kept, status, fingerprint, &headers, &answer.body[..]];
        Ok(self.execute(&sql, params).await? == 1)
    }

    /// Gives a key back whose request had no effect. Changes nothing where it had one, or has lost its key.
    pub async fn release_reservation(&mut self, owner: &KeyOwner) -> Result<()> {
        let sql = "DELETE FROM idempotency_keys WHERE tenant = $1 AND key = $2 AND holder = $3 AND status = 0
             AND job_id IS NULL";
        self.execute(sql, params![owner.tenant.0, &owner.key[..], &owner.holder[..]]).await.map(drop)
    }

    /// Gives back the key of every request that runs. For a process that knows that none does.
    pub async fn release_all_reservations(&mut self) -> Result<u64> {
        self.execute("DELETE FROM idempotency_keys WHERE status = 0 AND job_id IS NULL", &[]).await
    }

    /// Removes at most so many keys that have expired, of every community, and says how many.
    pub async fn delete_expired_keys(&mut self, limit: i64) -> Result<u64> {
        let now = self.dialect().now();
        let sql = format!(
            "DELETE FROM idempotency_keys WHERE (tenant, key) IN (
                 SELECT tenant, key FROM idempotency_keys WHERE expires_at <= {now} ORDER BY expires_at LIMIT $1
             ) AND expires_at <= {now}"
        );
        self.execute(&sql, params![limit]).await
    }
}
