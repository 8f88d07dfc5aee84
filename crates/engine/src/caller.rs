//! Who asks, and what they may do.

use crate::error::{EngineError, Result};
use crate::idempotency::Reservation;
use muster_core::Code;
use muster_core::actor::Actor;
use muster_core::id::{CommunityId, Tenant};
use muster_core::scope::Scope;

/// The first argument of everything that somebody asks for.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The community that the caller belongs to, and the only one that exists for the caller.
    pub tenant: Tenant,
    /// Its id on the wire.
    pub community: CommunityId,
    /// Who it is, as logs and histories say it.
    pub actor: Actor,
    /// What the caller may do.
    pub scopes: Vec<Scope>,
    /// What the request commits with, if it is to have its effect once.
    pub reservation: Option<Reservation>,
}

impl Caller {
    /// Refuses with `not_found` where a text does not name the caller's own community, whatever else it names.
    pub fn require_community(&self, id: &str) -> Result<()> {
        match id.parse() {
            Ok(named) if self.community == named => Ok(()),
            _ => Err(EngineError::refuse(Code::NotFound, "There is no such community.")),
        }
    }

    /// The same caller, who may do the second if it may do the first: for faces whose product has one permission for both.
    #[must_use]
    pub fn implying(mut self, has: Scope, gives: Scope) -> Self {
        if self.scopes.contains(&has) && !self.scopes.contains(&gives) {
            self.scopes.push(gives);
        }
        self
    }

    /// Refuses with `missing_scope` where the caller lacks it.
    pub fn require(&self, scope: Scope) -> Result<()> {
        self.require_any(&[scope])
    }

    /// Refuses with `missing_scope` where the caller lacks all of them.
    pub fn require_any(&self, scopes: &[Scope]) -> Result<()> {
        if scopes.iter().any(|scope| self.scopes.contains(scope)) {
            return Ok(());
        }
        let names: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
        Err(EngineError::refuse(Code::MissingScope, format!("The key needs the scope {}.", names.join(" or "))))
    }
}
