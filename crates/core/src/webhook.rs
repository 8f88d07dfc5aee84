//! Webhooks: what is told to other systems, when it is tried again, and how it is given up.

use crate::job::JobState;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Something that other systems can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventType {
    /// Every row of a job has its outcome.
    #[serde(rename = "job.completed")]
    JobCompleted,
    /// A job was ended by an error.
    #[serde(rename = "job.failed")]
    JobFailed,
    /// A job was ended by somebody.
    #[serde(rename = "job.cancelled")]
    JobCancelled,
    /// A dry run is over.
    #[serde(rename = "job.planned")]
    JobPlanned,
}

impl EventType {
    /// Every one.
    pub const ALL: &[Self] = &[Self::JobCompleted, Self::JobFailed, Self::JobCancelled, Self::JobPlanned];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JobCompleted => "job.completed",
            Self::JobFailed => "job.failed",
            Self::JobCancelled => "job.cancelled",
            Self::JobPlanned => "job.planned",
        }
    }

    /// The one of exactly this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.as_str() == text)
    }

    /// What a job that has just come to a state tells, if anything.
    pub fn of(state: JobState) -> Option<Self> {
        match state {
            JobState::Completed => Some(Self::JobCompleted),
            JobState::Planned => Some(Self::JobPlanned),
            JobState::Failed => Some(Self::JobFailed),
            JobState::Cancelled => Some(Self::JobCancelled),
            JobState::Queued | JobState::Running | JobState::Paused => None,
        }
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It is to be sent, for the first time or again.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// It was given up; somebody can have it sent again.
    Failed,
}

impl DeliveryStatus {
    /// Every one.
    pub const ALL: &[Self] = &[Self::Pending, Self::Delivered, Self::Failed];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The one of exactly this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.as_str() == text)
    }
}

/// Why sending a delivery failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendError {
    /// The endpoint answered with another status than 2xx.
    Status,
    /// The endpoint took too long.
    Timeout,
    /// There was no connection, or it broke.
    Unreachable,
    /// The address, or what its name stands for, is one that nothing is sent to.
    RefusedAddress,
    /// The webhook was disabled while this was pending.
    Disabled,
    /// The job that it tells of is not there any more.
    JobGone,
}

impl SendError {
    /// Every one.
    pub const ALL: &[Self] =
        &[Self::Status, Self::Timeout, Self::Unreachable, Self::RefusedAddress, Self::Disabled, Self::JobGone];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::RefusedAddress => "refused_address",
            Self::Disabled => "disabled",
            Self::JobGone => "job_gone",
        }
    }

    /// The one of exactly this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|error| error.as_str() == text)
    }
}

/// Why the server disabled a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledBecause {
    /// A delivery was given up, and nothing was delivered since its event.
    Failing,
    /// The endpoint answered 410: it does not want anything any more.
    Gone,
}

impl DisabledBecause {
    /// Every one.
    pub const ALL: &[Self] = &[Self::Failing, Self::Gone];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }

    /// The one of exactly this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|because| because.as_str() == text)
    }
}

/// A secret that signs deliveries: `whsec_` and base64. It is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of this text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for who stores it, signs with it, or shows it the one time.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// How long to wait after the first attempt, the second and so on, in seconds, as Standard Webhooks suggests. After the
/// attempt that has none here a delivery is given up: two and a half days after the event.
const RETRIES: [u64; 9] = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/// How long to wait after so many attempts that failed; `None`: no more. Up to a tenth is added by `random`, so that what
/// failed together is not tried again together.
pub fn retry_after(attempts: u32, random: u16) -> Option<Duration> {
    let seconds = RETRIES.get(usize::try_from(attempts).ok()?.checked_sub(1)?)?;
    Some(Duration::from_millis(seconds * 1_000 + seconds * 100 * u64::from(random) / u64::from(u16::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_as_written() {
        for event in EventType::ALL {
            assert_eq!(EventType::parse(event.as_str()), Some(*event));
            assert_eq!(serde_json::to_string(event).unwrap(), format!("\"{}\"", event.as_str()));
        }
        for status in DeliveryStatus::ALL {
            assert_eq!(DeliveryStatus::parse(status.as_str()), Some(*status));
            assert_eq!(serde_json::to_string(status).unwrap(), format!("\"{}\"", status.as_str()));
        }
        for error in SendError::ALL {
            assert_eq!(SendError::parse(error.as_str()), Some(*error));
            assert_eq!(serde_json::to_string(error).unwrap(), format!("\"{}\"", error.as_str()));
        }
        for because in DisabledBecause::ALL {
            assert_eq!(DisabledBecause::parse(because.as_str()), Some(*because));
        }
        assert_eq!((EventType::parse("job"), DeliveryStatus::parse("Pending")), (None, None));
    }

    #[test]
    fn a_job_tells_of_its_end_and_of_nothing_before() {
        for state in JobState::ALL {
            let told = EventType::of(*state).map(EventType::as_str);
            let expected = state.is_final().then(|| format!("job.{state}"));
            assert_eq!(told, expected.as_deref(), "{state}");
        }
    }

    #[test]
    fn retries_come_later_and_later_with_a_little_chance_until_it_is_given_up() {
        assert_eq!(retry_after(1, 0), Some(Duration::from_secs(5)));
        assert_eq!(retry_after(2, u16::MAX), Some(Duration::from_secs(330)));
        assert_eq!(retry_after(9, u16::MAX), Some(Duration::from_secs(24 * HOUR / 10 * 11)));
        assert!((1..9).all(|attempts| retry_after(attempts, u16::MAX) < retry_after(attempts + 1, 0)));
        assert_eq!((retry_after(0, 0), retry_after(10, 0), retry_after(u32::MAX, 0)), (None, None, None));
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert!(!format!("{:?}", Secret::new("whsec_abc".to_owned())).contains("abc"));
    }
}
