//! The engine and what it holds.

use crate::accept::Limits;
use crate::clock::Clock;
use crate::error::Result;
use crate::fault::Faults;
use crate::staging::Staging;
use crate::target::Targets;
use crate::watch::Watches;
use crate::worker::Owner;
use muster_core::field::FieldSet;
use muster_core::id::Tenant;
use muster_store::Store;
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// Everything that the product can do, over one store and one staging area. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    staging: Staging,
    clock: Clock,
    faults: Faults,
    limits: Limits,
    /// Rung when a job is submitted, so that a worker of this process need not wait for its next look.
    submitted: Notify,
    /// Rung when a job of this process takes a step that somebody may wait for.
    stepped: Notify,
    /// Where webhooks may go; what is not said here before it is asked for is the default.
    targets: OnceLock<Targets>,
    watches: Watches,
    /// Under which name this process runs the jobs for whose end a request waits.
    owner: OnceLock<Owner>,
}

impl Engine {
    /// An engine over a store whose schema is current.
    pub fn new(store: Store, staging: Staging, clock: Clock, faults: Faults, limits: Limits) -> Self {
        let (submitted, stepped) = (Notify::new(), Notify::new());
        let (targets, watches) = (OnceLock::new(), Watches::default());
        let owner = OnceLock::new();
        let inner = Inner { store, staging, clock, faults, limits, submitted, stepped, targets, watches, owner };
        Self { inner: Arc::new(inner) }
    }

    /// Says where webhooks may go. It is said once, before anything is sent; later words change nothing.
    pub fn allow_targets(&self, targets: Targets) {
        let _ = self.inner.targets.set(targets).is_ok();
    }

    pub(crate) fn targets(&self) -> &Targets {
        self.inner.targets.get_or_init(Targets::default)
    }

    /// The name under which this process runs jobs beside its workers.
    pub(crate) fn owner(&self) -> Result<&str> {
        if self.inner.owner.get().is_none() {
            // Of two that come here at once one is dropped, and with it the file of its lock.
            let _ = self.inner.owner.set(Owner::new(&self.staging().workers())?).is_ok();
        }
        Ok(self.inner.owner.get().map_or("", |owner| &owner.name))
    }

    pub(crate) fn watches(&self) -> &Watches {
        &self.inner.watches
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The staging area.
    pub fn staging(&self) -> &Staging {
        &self.inner.staging
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Whether a fault that is planned for this point has not happened yet.
    pub fn is_passing(&self, point: &str) -> bool {
        self.inner.faults.is_planned(point)
    }

    /// What is refused for its size.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn submitted(&self) -> &Notify {
        &self.inner.submitted
    }

    pub(crate) fn stepped(&self) -> &Notify {
        &self.inner.stepped
    }

    /// The fields of a community as they are now.
    pub(crate) async fn fields(&self, tenant: Tenant) -> Result<FieldSet> {
        Ok(self.store().read().await?.list_fields(tenant).await?)
    }

    /// Whether requests can be served: database and staging area answer, and the schema is current.
    pub async fn check_ready(&self) -> Result<bool> {
        self.store().ping().await?;
        self.staging().check()?;
        Ok(self.store().schema_is_current().await?)
    }
}
