//! The fields of a community.

use crate::caller::Caller;
use crate::clock::field_id;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use jiff::Timestamp;
use muster_core::Code;
use muster_core::field::{Field, FieldNumber, FieldSet, Index, NewField};
use muster_core::field_edit::FieldEdit;
use muster_core::id::FieldId;
use muster_core::scope::Scope;
use muster_store::{FieldOrigin, Transaction};

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
        let mut making = self.make_fields(caller).await?;
        let (made, now) = (making.create(new).await?, making.now);
        making.commit().await?;
        let (number, created_by) = (made.number, Some(caller.actor.clone()));
        Ok((made, FieldOrigin { number, created_at: now, created_by, updated_at: Some(now) }))
    }

    /// Begins to make fields that are committed together.
    pub async fn make_fields<'a>(&self, caller: &'a Caller) -> Result<MakingFields<'a>> {
        caller.require(Scope::FieldsWrite)?;
        let mut tx = self.store().begin().await?;
        tx.lock_fields(caller.tenant).await?;
        let fields = tx.list_fields(caller.tenant).await?;
        Ok(MakingFields { caller, tx, fields, made: Vec::new(), now: self.clock().now() })
    }
}

/// Fields that are made in one transaction, each for itself: one that is refused leaves the others alone. Whoever else
/// makes or changes fields of the community waits for its end. Dropped before [`Self::commit`], it has made none.
pub struct MakingFields<'a> {
    caller: &'a Caller,
    tx: Transaction,
    fields: FieldSet,
    made: Vec<FieldNumber>,
    now: Timestamp,
}

impl MakingFields<'_> {
    /// The fields as they are then.
    pub fn fields(&self) -> &FieldSet {
        &self.fields
    }

    /// Makes a field. Refuses with `field_exists` where its name or key is taken.
    pub async fn create(&mut self, new: &NewField) -> Result<Field> {
        let (key, name) = new.check(&self.fields)?;
        let (tenant, now) = (self.caller.tenant, self.now);
        let made = self.tx.insert_field(tenant, field_id(), &key, &name, new.kind, &new.rules, false, now).await?;
        self.tx.set_field_maker(tenant, made.number, &self.caller.actor).await?;
        self.made.push(made.number);
        self.fields = self.tx.list_fields(tenant).await?;
        Ok(made)
    }

    /// Changes a field that was made here, of which nobody has a value. Refuses with `field_exists` every other.
    pub async fn edit(&mut self, number: FieldNumber, edit: &FieldEdit) -> Result<Field> {
        let field = self.fields.get(number).ok_or_else(|| EngineError::not_found("field"))?;
        if !self.made.contains(&number) {
            let detail = format!("Somebody made {} at the same moment; send the same again to change it.", field.key);
            return Err(EngineError::refuse(Code::FieldExists, detail));
        }
        let mut edited = edit.apply(field, &self.fields)?;
        edited.rules.index = match edit.indexed {
            Some(true) => Index::Ready,
            Some(false) => Index::None,
            None => edited.rules.index,
        };
        self.tx.update_field(self.caller.tenant, &edited).await?;
        self.fields = self.tx.list_fields(self.caller.tenant).await?;
        Ok(edited)
    }

    /// Commits them. Nothing may touch the database after it (see `Caller::commit`).
    pub async fn commit(self) -> Result<()> {
        self.caller.commit(self.tx).await
    }
}
