//! Communities: made by whoever runs the server, set up by themselves.

use crate::caller::Caller;
use crate::clock::{community_id, field_id};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use muster_core::field::{BUILT_IN, built_in_rules};
use muster_core::id::CommunityId;
use muster_core::job::is_name;
use muster_core::scope::Scope;
use muster_core::settings::SettingsEdit;
use muster_core::{Code, Error};
use muster_store::Community;

impl Engine {
    /// Makes a community with the fields that every community has.
    pub async fn create_community(&self, name: &str) -> Result<Community> {
        let name = name.trim();
        check_name(name)?;
        let now = self.clock().now();
        let mut tx = self.store().begin().await?;
        let made = tx.insert_community(community_id(), name, now).await?;
        for (key, name, kind) in BUILT_IN {
            tx.insert_field(made.tenant, field_id(), key, name, *kind, &built_in_rules(key), true, now).await?;
        }
        tx.commit().await?;
        Ok(made)
    }

    /// The caller's community.
    pub async fn own_community(&self, caller: &Caller) -> Result<Community> {
        caller.require(Scope::SettingsWrite)?;
        self.find_community(caller.community).await
    }

    /// Changes the name and the settings of the caller's community; a name that is absent stays. Refuses with
    /// `invalid_request` for the name, and as [`muster_core::settings::Settings::edited`] does.
    pub async fn edit_community(&self, caller: &Caller, name: Option<&str>, edit: &SettingsEdit) -> Result<Community> {
        caller.require(Scope::SettingsWrite)?;
        let mut tx = self.store().begin().await?;
        let held = tx.lock_community(caller.tenant).await?;
        let mut community = held.ok_or_else(|| EngineError::not_found("community"))?;
        if let Some(name) = name.map(str::trim) {
            check_name(name)?;
            community.name = name.to_owned();
        }
        community.settings = community.settings.edited(edit)?;
        tx.write_community(&community).await?;
        caller.commit(tx).await?;
        Ok(community)
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

fn check_name(name: &str) -> Result<(), Error> {
    if is_name(name, 100) {
        return Ok(());
    }
    let message = "A community has a name of 1 to 100 characters, none of them a control character.";
    Err(Error::at("/name", Code::InvalidRequest, message))
}
