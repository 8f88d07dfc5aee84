//! The fields of a community.

use crate::caller::Caller;
use crate::clock::field_id;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use muster_core::field::{Field, FieldSet, NewField};
use muster_core::id::FieldId;
use muster_core::scope::Scope;
use muster_store::FieldOrigin;

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

    /// The fields that can be written, and where each comes from.
    pub async fn list_fields_with_origins(&self, caller: &Caller) -> Result<Vec<(Field, FieldOrigin)>> {
        let fields = self.list_fields(caller).await?;
        let origins = self.store().read().await?.list_field_origins(caller.tenant).await?;
        let of = |field: &Field| origins.iter().find(|origin| origin.number == field.number).cloned();
        Ok(fields.active().filter_map(|field| Some((field.clone(), of(field)?))).collect())
    }

    /// The keys of the fields that can be written and that ids, keys or names mean, whichever way they are written; none
    /// where a text means no field. For whoever may read or write users.
    pub async fn field_keys(&self, caller: &Caller, names: &[&str]) -> Result<Vec<Option<String>>> {
        caller.require_any(&[Scope::UsersRead, Scope::UsersWrite])?;
        let fields = self.fields(caller.tenant).await?;
        let of_id = |id: FieldId| fields.iter().find(|field| field.id == id);
        let field = |name: &&str| name.parse().ok().and_then(of_id).or_else(|| fields.find_by_name(name));
        let key = |name| field(name).filter(|field| !field.archived).map(|field| field.key.clone());
        Ok(names.iter().map(key).collect())
    }

    /// Makes a field. Refuses with `field_exists` where its name or key is taken.
    pub async fn create_field(&self, caller: &Caller, new: &NewField) -> Result<Field> {
        Ok(self.create_field_with_origin(caller, new).await?.0)
    }

    /// The same, and where it comes from.
    pub async fn create_field_with_origin(&self, caller: &Caller, new: &NewField) -> Result<(Field, FieldOrigin)> {
        caller.require(Scope::FieldsWrite)?;
        let mut tx = self.store().begin().await?;
        tx.lock_fields(caller.tenant).await?;
        let (key, name) = new.check(&tx.list_fields(caller.tenant).await?)?;
        let now = self.clock().now();
        let made = tx.insert_field(caller.tenant, field_id(), &key, &name, new.kind, &new.rules, false, now).await?;
        tx.set_field_maker(caller.tenant, made.number, &caller.actor).await?;
        caller.commit(tx).await?;
        let (number, created_by) = (made.number, Some(caller.actor.clone()));
        Ok((made, FieldOrigin { number, created_at: now, created_by, updated_at: Some(now) }))
    }
}
