//! Time and randomness, passed in.

use jiff::Timestamp;
use muster_core::id::{CommunityId, DeliveryId, FieldId, JobId, KeyId, WebhookId};
use rand::TryRng;
use rand::rngs::SysRng;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The time of day, the time that passes, and ids that nobody can guess.
///
/// Leases are not measured by it but by the database's clock; it dates what happens.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Microseconds since 1970, where a test says what time it is.
    fixed: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that says this until [`Self::advance`], for tests.
    pub fn fixed(at: Timestamp) -> Self {
        Self { fixed: Some(Arc::new(AtomicI64::new(at.as_microsecond()))) }
    }

    /// Moves a fixed clock, and every clone of it. The machine's clock goes by itself.
    pub fn advance(&self, by: Duration) {
        if let Some(fixed) = &self.fixed {
            fixed.fetch_add(by.as_micros() as i64, Ordering::Relaxed);
        }
    }

    /// Now, to the microsecond, which is what is stored.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    pub fn now(&self) -> Timestamp {
        let fixed = self.fixed.as_ref().map(|fixed| fixed.load(Ordering::Relaxed));
        let microseconds = fixed.unwrap_or_else(|| Timestamp::now().as_microsecond());
        Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::MAX)
    }

    /// How long this process has run: it never goes back, whatever is done to the time of day. A fixed clock tells how long
    /// 1970 is ago.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    pub fn uptime(&self) -> Duration {
        static BEGUN: OnceLock<Instant> = OnceLock::new();
        match &self.fixed {
            Some(fixed) => Duration::from_micros(fixed.load(Ordering::Relaxed).unsigned_abs()),
            None => BEGUN.get_or_init(Instant::now).elapsed(),
        }
    }

    /// A moment to measure from with [`Self::since`].
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    pub fn moment(&self) -> Instant {
        Instant::now()
    }

    /// How long ago a moment was.
    pub fn since(&self, moment: Instant) -> Duration {
        moment.elapsed()
    }
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

pub(crate) fn community_id() -> CommunityId {
    CommunityId::from_bytes(random())
}

pub(crate) fn field_id() -> FieldId {
    FieldId::from_bytes(random())
}

pub(crate) fn key_id() -> KeyId {
    KeyId::from_bytes(random())
}

pub(crate) fn job_id() -> JobId {
    JobId::from_bytes(random())
}

pub(crate) fn webhook_id() -> WebhookId {
    WebhookId::from_bytes(random())
}

pub(crate) fn delivery_id() -> DeliveryId {
    DeliveryId::from_bytes(random())
}
