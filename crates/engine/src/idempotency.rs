//! Requests that have their effect once, however often they are sent.
//!
//! [`Engine::reserve`] takes the key of a request before anything else looks at it: somebody has it, or its answer is
//! known, or it is reserved. The [`Reservation`] then travels with the [`Caller`]. What changes something ends in
//! [`Caller::commit`], which does not commit yet but leaves the open transaction with the reservation; the face renders
//! its answer, and [`Engine::keep`] writes it beside the key and commits both. So a key has its answer if and only if
//! the request had its effect, whoever dies when.
//!
//! What makes a job and waits for its end ([`crate::batch`]) has its effect long before its answer. There the key is bound
//! to the job in the transaction that makes it: whoever sends the request again, however the first one ended, waits for
//! that job and answers from it.
//!
//! A reservation is a lease by the database's clock. Who lost it commits nothing; see [`muster_store::KeyOwner`].

use crate::caller::Caller;
use crate::clock::random;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use muster_core::Code;
use muster_core::id::JobId;
use muster_store::{KeptRequest, KeptState, KeyOwner, RESERVATION_SECONDS, StoredAnswer, Transaction};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How many expired keys are removed in one transaction.
const SWEPT_AT_ONCE: i64 = 1_000;

/// A request whose effect and answer are to be committed together.
#[derive(Clone, Debug)]
pub struct Reservation(Arc<Request>);

#[derive(Debug)]
struct Request {
    owner: KeyOwner,
    /// What the request is, as far as it was read.
    fingerprint: Fingerprint,
    /// The job that an earlier request with the key made, and what that request was.
    begun: Option<(JobId, Vec<u8>)>,
    /// The transaction with the effect, from [`Caller::commit`] until the answer is kept.
    effect: Mutex<Option<Transaction>>,
}

impl Reservation {
    fn new(owner: KeyOwner, fingerprint: &Fingerprint, begun: Option<(JobId, Vec<u8>)>) -> Self {
        Self(Arc::new(Request { owner, fingerprint: fingerprint.clone(), begun, effect: Mutex::default() }))
    }

    /// How often it is to be extended.
    pub const PULSE: Duration = Duration::from_secs(RESERVATION_SECONDS as u64 / 3);

    /// Whether the request has changed what it is to change, and only its answer is missing.
    pub fn has_effect(&self) -> bool {
        self.0.effect.lock().expect("no one panics with the lock").is_some()
    }

    /// The job of an earlier request with the same key, if it has made one. Refuses as [`Self::is_repeated`] does.
    pub(crate) fn begun_job(&self) -> Result<Option<JobId>> {
        match &self.0.begun {
            Some(begun) if begun.1 != self.0.fingerprint.digest() => Err(reused()),
            begun => Ok(begun.as_ref().map(|begun| begun.0)),
        }
    }

    /// Binds the key to the job that the transaction makes.
    pub(crate) async fn bind(&self, tx: &mut Transaction, job: JobId) -> Result<()> {
        let days = tx.get_settings(self.0.owner.tenant).await?.retention_days.idempotency_keys;
        match tx.bind_key(&self.0.owner, &self.0.fingerprint.digest(), job, days).await? {
            true => Ok(()),
            false => Err(running()),
        }
    }

    /// Whether the request only waits for the job of an earlier one. Refuses with `idempotency_key_reused` where that was
    /// another request. The whole of this one must have been read.
    pub fn is_repeated(&self) -> Result<bool> {
        self.begun_job().map(|begun| begun.is_some())
    }

    fn take_effect(&self) -> Option<Transaction> {
        self.0.effect.lock().expect("no one panics with the lock").take()
    }
}

/// What came of looking at a key.
#[derive(Debug)]
pub enum Reserved {
    /// The request is to be run.
    First(Reservation),
    /// It had its effect: its fingerprint, and what was answered.
    Answered(Vec<u8>, StoredAnswer),
}

impl Caller {
    /// Commits what a request changed: at once, or together with the answer where the request has an idempotency key. It
    /// is the last thing that a function of the engine does with the database, and there is one for each request: on SQLite
    /// whoever begins another transaction after it waits for this one, and on both nobody else sees the change yet.
    pub(crate) async fn commit(&self, tx: Transaction) -> Result<()> {
        let Some(reservation) = &self.reservation else {
            return Ok(tx.commit().await?);
        };
        *reservation.0.effect.lock().expect("no one panics with the lock") = Some(tx);
        Ok(())
    }
}

impl Engine {
    /// Takes a key for a request. Refuses with `idempotency_key_in_use` where another caller of the community used it, and
    /// with `idempotency_key_running` where a request with it runs.
    pub async fn reserve(&self, caller: &Caller, key: &str, fingerprint: &Fingerprint) -> Result<Reserved> {
        let owner = KeyOwner { tenant: caller.tenant, key: Sha256::digest(key).into(), holder: random() };
        // Without the name, which may change.
        let actor = serde_json::to_string(&(caller.actor.kind, &caller.actor.id)).expect("it is made of plain values");
        let mut tx = self.store().begin().await?;
        if tx.reserve_key(&owner, &actor).await? {
            tx.commit().await?;
            return Ok(Reserved::First(Reservation::new(owner, fingerprint, None)));
        }
        match tx.find_kept_request(owner.tenant, &owner.key).await? {
            Some(kept) if kept.actor != actor => Err(EngineError::refuse(
                Code::IdempotencyKeyInUse,
                "Another API key of the community uses this Idempotency-Key; choose another one.",
            )),
            Some(KeptRequest { state: KeptState::Answered(answer), fingerprint, .. }) => {
                Ok(Reserved::Answered(fingerprint, answer))
            }
            Some(KeptRequest { state: KeptState::Bound(job), fingerprint: known, .. }) => {
                Ok(Reserved::First(Reservation::new(owner, fingerprint, Some((job, known)))))
            }
            Some(KeptRequest { state: KeptState::Running, .. }) | None => Err(running()),
        }
    }

    /// Says that the request of a reservation still runs; to be done every [`Reservation::PULSE`].
    pub async fn extend(&self, reservation: &Reservation) -> Result<()> {
        let mut tx = self.store().begin().await?;
        tx.extend_reservation(&reservation.0.owner).await?;
        Ok(tx.commit().await?)
    }

    /// Keeps the answer of a request that is not repeated, and commits it together with what the request changed. Refuses with
    /// `idempotency_key_running` where the reservation was lost meanwhile; then nothing was changed.
    pub async fn keep(&self, reservation: &Reservation, answer: &StoredAnswer) -> Result<()> {
        let mut tx = match reservation.take_effect() {
            Some(tx) => tx,
            None => self.store().begin().await?,
        };
        let days = tx.get_settings(reservation.0.owner.tenant).await?.retention_days.idempotency_keys;
        if !tx.keep_answer(&reservation.0.owner, &reservation.0.fingerprint.digest(), answer, days).await? {
            return Err(running());
        }
        self.faults().pass("accept.answered").await?;
        tx.commit().await?;
        self.faults().pass("accept.committed").await?;
        // There may be a job now that no worker could see when it was rung for.
        self.submitted().notify_one();
        Ok(())
    }

    /// Gives a reservation back whose request was refused or failed, and undoes what it had not committed.
    pub async fn release(&self, reservation: &Reservation) -> Result<()> {
        drop(reservation.take_effect());
        let mut tx = self.store().begin().await?;
        tx.release_reservation(&reservation.0.owner).await?;
        Ok(tx.commit().await?)
    }

    /// Gives back the reservations of requests whose process died. Only for a process that is the only one.
    pub(crate) async fn release_all_reservations(&self) -> Result<()> {
        let mut tx = self.store().begin().await?;
        tx.release_all_reservations().await?;
        Ok(tx.commit().await?)
    }

    /// Removes all keys that have expired, some in each transaction, and says how many. A worker does it once a minute.
    pub async fn sweep_idempotency_keys(&self) -> Result<u64> {
        let mut all = 0;
        loop {
            let mut tx = self.store().begin().await?;
            let removed = tx.delete_expired_keys(SWEPT_AT_ONCE).await?;
            tx.commit().await?;
            all += removed;
            if removed < SWEPT_AT_ONCE as u64 {
                return Ok(all);
            }
        }
    }
}

/// The key belongs to another request.
pub fn reused() -> EngineError {
    let detail = "This Idempotency-Key was used for another request; send a new request with a new key.";
    EngineError::refuse(Code::IdempotencyKeyReused, detail)
}

fn running() -> EngineError {
    EngineError::refuse(
        Code::IdempotencyKeyRunning,
        "A request with this Idempotency-Key still runs; send the same again in a moment.",
    )
}

/// What makes two requests the same: method, path, options in any order, and each part's name and content. It is filled
/// while the content streams; clones fill the same one.
#[derive(Clone, Debug)]
pub struct Fingerprint(Arc<Mutex<Parts>>);

#[derive(Debug)]
struct Parts {
    head: Sha256,
    done: Vec<(String, [u8; 32])>,
    open: Option<(String, Sha256)>,
}

impl Fingerprint {
    /// That of a request without content. The options are those of the address, decoded.
    pub fn new(method: &str, path: &str, mut options: Vec<(String, String)>) -> Self {
        options.sort_unstable();
        let mut head = Sha256::new();
        let texts = [method, path].into_iter();
        let options = options.iter().flat_map(|(name, text)| [name.as_str(), text.as_str()]);
        texts.chain(options).for_each(|text| put(&mut head, text.as_bytes()));
        Self(Arc::new(Mutex::new(Parts { head, done: Vec::new(), open: None })))
    }

    /// Begins a part; a body that is no form is one without a name.
    pub fn begin_part(&self, name: &str) {
        let mut parts = self.0.lock().expect("no one panics with the lock");
        parts.close();
        parts.open = Some((name.to_owned(), Sha256::new()));
    }

    /// Takes the next bytes of the part.
    pub fn update(&self, bytes: &[u8]) {
        let mut parts = self.0.lock().expect("no one panics with the lock");
        if let Some((_, hash)) = &mut parts.open {
            hash.update(bytes);
        }
    }

    /// The fingerprint of what came until now.
    pub fn digest(&self) -> Vec<u8> {
        let mut parts = self.0.lock().expect("no one panics with the lock");
        parts.close();
        // Parts of one name stay in their order, which may mean something.
        parts.done.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut all = parts.head.clone();
        for (name, digest) in &parts.done {
            put(&mut all, name.as_bytes());
            all.update(digest);
        }
        all.finalize().to_vec()
    }
}

impl Parts {
    fn close(&mut self) {
        self.done.extend(self.open.take().map(|(name, hash)| (name, hash.finalize().into())));
    }
}

/// Hashes a text so that where it ends cannot be moved.
fn put(hash: &mut Sha256, text: &[u8]) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, path: &str, options: &[(&str, &str)], parts: &[(&str, &[&str])]) -> Vec<u8> {
        let options = options.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let print = Fingerprint::new(method, path, options.collect());
        for (name, pieces) in parts {
            print.begin_part(name);
            pieces.iter().for_each(|piece| print.update(piece.as_bytes()));
        }
        print.digest()
    }

    #[test]
    fn the_order_of_options_and_parts_and_the_size_of_pieces_do_not_matter() {
        let one = of("POST", "/a", &[("x", "1"), ("y", "2")], &[("p", &["abc"]), ("q", &["d"])]);
        let other = of("POST", "/a", &[("y", "2"), ("x", "1")], &[("q", &["", "d"]), ("p", &["a", "bc"])]);
        assert_eq!(one, other);
    }

    #[test]
    fn anything_else_makes_another_request() {
        let all = [
            of("POST", "/a", &[], &[]),
            of("PUT", "/a", &[], &[]),
            of("POST", "/b", &[], &[]),
            of("POST", "/a", &[("x", "")], &[]),
            of("POST", "/a", &[("", "x")], &[]),
            of("POST", "/a", &[("x", ""), ("x", "")], &[]),
            of("POST", "/a", &[], &[("", &[""])]),
            of("POST", "/a", &[], &[("x", &[""])]),
            of("POST", "/a", &[], &[("x", &["y"])]),
            of("POST", "/a", &[], &[("xy", &[""])]),
            of("POST", "/a", &[("x", "y")], &[]),
            of("POST", "/a", &[], &[("x", &["1"]), ("x", &["2"])]),
            of("POST", "/a", &[], &[("x", &["2"]), ("x", &["1"])]),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
