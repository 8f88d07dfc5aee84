//! Time and randomness, passed in.

use jiff::Timestamp;
use muster_core::id::{CommunityId, FieldId, JobId, KeyId};
use rand::TryRng;
use rand::rngs::SysRng;
use std::time::{Duration, Instant};

/// The time of day, the time that passes, and ids that nobody can guess.
///
/// Leases are not measured by it but by the database's clock; it dates what happens.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    fixed: Option<Timestamp>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that always says this, for tests.
    pub fn fixed(at: Timestamp) -> Self {
        Self { fixed: Some(at) }
    }

    /// Now, to the microsecond, which is what is stored.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    pub fn now(&self) -> Timestamp {
        let now = self.fixed.unwrap_or_else(Timestamp::now);
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
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
