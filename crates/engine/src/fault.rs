//! Named points at which tests make the worker fail. In production every point is passed at the cost of one look at an
//! empty list.

use crate::error::{EngineError, Result};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// Every point that a job from a file passes, in this order.
pub const POINTS: &[&str] = &[
    "accept.writing",
    "accept.staged",
    "accept.inserted",
    "accept.answered",
    "accept.committed",
    "prepare.claimed",
    "prepare.sorted",
    "prepare.pinned",
    "apply.planned",
    "apply.written",
    "apply.committed",
    "finish.merged",
    "finish.ended",
];

/// The points of an erasure before it ends as other jobs do, of the removal of what is over its time, and of the purge of a
/// field.
pub const OTHER_POINTS: &[&str] = &[
    "erase.claimed",
    "erase.noted",
    "erase.scrubbed",
    "erase.answered",
    "erase.written",
    "erase.committed",
    "sweep.noted",
    "sweep.pruned",
    "purge.committed",
];

fn is_point(name: &str) -> bool {
    POINTS.iter().chain(OTHER_POINTS).any(|point| *point == name)
}

/// What happens at a point.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The worker dies there: nothing is released or tidied up.
    Crash,
    /// The whole process is killed, as by `kill -9`.
    Kill,
    /// The disk is full.
    DiskFull,
    /// The worker waits there until it is notified.
    Stall(Arc<Notify>),
}

/// The faults that are planned: for each point, how often it is passed before it happens, and what happens then.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<HashMap<String, (u32, Fault)>>>);

impl Faults {
    /// Nothing fails.
    pub fn none() -> Self {
        Self::default()
    }

    /// Plans a fault for when the point was passed so often. It happens once.
    pub fn plan(&self, point: &str, passes: u32, fault: Fault) {
        assert!(is_point(point), "there is no point {point}");
        self.0.lock().expect("no one panics with the lock").insert(point.to_owned(), (passes, fault));
    }

    /// Reads a plan such as `apply.committed:3`: kill the process when the point is passed for the fourth time.
    pub fn from_text(text: &str) -> Option<Self> {
        let (point, passes) = text.split_once(':').unwrap_or((text, "0"));
        let faults = Self::none();
        if !is_point(point) {
            return None;
        }
        faults.plan(point, passes.parse().ok()?, Fault::Kill);
        Some(faults)
    }

    /// Passes a point.
    pub(crate) async fn pass(&self, point: &'static str) -> Result<()> {
        match self.due(point) {
            None => Ok(()),
            Some(Fault::Crash) => Err(EngineError::Planned(point)),
            Some(Fault::DiskFull) => Err(EngineError::Staging(io::ErrorKind::StorageFull.into())),
            Some(Fault::Kill) => {
                kill();
                std::future::pending().await
            }
            Some(Fault::Stall(notify)) => {
                notify.notified().await;
                Ok(())
            }
        }
    }

    /// Passes a point in the middle of writing to the disk.
    pub(crate) fn pass_writing(&self, point: &'static str) -> io::Result<()> {
        match self.due(point) {
            Some(Fault::DiskFull) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Kill) => {
                kill();
                loop {
                    std::thread::park();
                }
            }
            Some(Fault::Crash | Fault::Stall(_)) | None => Ok(()),
        }
    }

    /// Whether something happens when the point is passed next.
    pub(crate) fn is_due(&self, point: &str) -> bool {
        let faults = self.0.lock().expect("no one panics with the lock");
        faults.get(point).is_some_and(|(passes, _)| *passes == 0)
    }

    /// Whether something is still to happen at the point.
    pub(crate) fn is_planned(&self, point: &str) -> bool {
        self.0.lock().expect("no one panics with the lock").contains_key(point)
    }

    fn due(&self, point: &str) -> Option<Fault> {
        let mut faults = self.0.lock().expect("no one panics with the lock");
        let (passes, _) = faults.get_mut(point)?;
        match passes.checked_sub(1) {
            Some(left) => {
                *passes = left;
                None
            }
            None => faults.remove(point).map(|(_, fault)| fault),
        }
    }
}

/// Sends this process the signal that it cannot catch; it comes at once.
fn kill() {
    let killed = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
    tracing::error!(?killed, "a planned kill did not come");
}
