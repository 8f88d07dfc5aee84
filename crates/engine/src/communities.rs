//! Communities, made by whoever runs the server.

use crate::clock::{community_id, field_id};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use muster_core::Code;
use muster_core::field::{BUILT_IN, built_in_rules};
use muster_core::id::CommunityId;
use muster_core::job::is_name;
use muster_store::Community;

impl Engine {
    /// Makes a community with the fields that every community has.
    pub async fn create_community(&self, name: &str) -> Result<Community> {
        let name = name.trim();
        if !is_name(name, 100) {
            return Err(EngineError::refuse(
                Code::InvalidRequest,
                "A community has a name of 1 to 100 characters, none of them a control character.",
            ));
        }
        let now = self.clock().now();
        let mut tx = self.store().begin().await?;
        let made = tx.insert_community(community_id(), name, now).await?;
        for (key, name, kind) in BUILT_IN {
            tx.insert_field(made.tenant, field_id(), key, name, *kind, &built_in_rules(key), true, now).await?;
        }
        tx.commit().await?;
        Ok(made)
    }

    /// Every community, oldest first.
    pub async fn list_communities(&self) -> Result<Vec<Community>> {
        Ok(self.store().read().await?.list_communities().await?)
    }

    /// The community of an id.
    pub async fn find_community(&self, id: CommunityId) -> Result<Community> {
        let found = self.store().read().await?.find_community(id).await?;
        found.ok_or_else(|| EngineError::refuse(Code::NotFound, "There is no such community."))
    }
}
