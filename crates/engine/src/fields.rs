//! The fields of a community.

use crate::caller::Caller;
use crate::clock::field_id;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use muster_core::field::{Field, FieldSet, NewField};
use muster_core::id::FieldId;
use muster_core::scope::Scope;

impl Engine {
    /// Every field of the caller's community.
    pub async fn list_fields(&self, caller: &Caller) -> Result<FieldSet> {
        caller.require(Scope::FieldsRead)?;
        self.fields(caller.tenant).await
    }

    /// The fields by which a face reads a request that needs this scope.
    pub async fn fields_for(&self, caller: &Caller, scope: Scope) -> Result<FieldSet> {
        caller.require(scope)?;
        self.fields(caller.tenant).await
    }

    /// A field of the caller's community.
    pub async fn get_field(&self, caller: &Caller, id: FieldId) -> Result<Field> {
        let fields = self.list_fields(caller).await?;
        fields.iter().find(|field| field.id == id).cloned().ok_or_else(|| EngineError::not_found("field"))
    }

    /// Makes a field. Refuses with `field_exists` where its name or key is taken.
    pub async fn create_field(&self, caller: &Caller, new: &NewField) -> Result<Field> {
        caller.require(Scope::FieldsWrite)?;
        let mut tx = self.store().begin().await?;
        tx.lock_fields(caller.tenant).await?;
        let (key, name) = new.check(&tx.list_fields(caller.tenant).await?)?;
        let now = self.clock().now();
        let made = tx.insert_field(caller.tenant, field_id(), &key, &name, new.kind, &new.rules, false, now).await?;
        caller.commit(tx).await?;
        Ok(made)
    }
}
