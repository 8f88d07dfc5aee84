//! Marks a field that users have values of as indexed, beside everybody who writes.
//!
//! 1. The index is marked as being built. That begins another epoch of the fields: who writes by the old one has ended,
//!    and from then on every commit maintains the index ([`crate::index`]).
//! 2. The users who have a value are gone through, a batch at a time, locked while their entries are added. Whoever is
//!    changed meanwhile is maintained by the change itself.
//! 3. If nobody changed the fields since, the index is complete, and filters may use it.
//!
//! A process that dies in between leaves an index that is being built, which nobody searches; asking again goes on.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::index::entries;
use muster_core::field::{Field, FieldNumber, FieldSet, Index, Rules};
use muster_core::filter::{Filter, Subject, Test};
use muster_core::id::{FieldId, Tenant, UserId};
use muster_core::scope::Scope;
use muster_core::{Code, Error};
use muster_store::{Scan, Transaction};
use std::collections::BTreeSet;

/// How many users are locked at a time, and how many ids one statement goes through.
const BATCH: u32 = 500;
const WINDOW: i64 = 20_000;

impl Engine {
    /// Marks a field as indexed, or not any more, and gives it back when that is done. What was begun goes on where the
    /// caller goes away. Refuses fields whose type cannot be indexed.
    pub async fn set_indexed(&self, caller: &Caller, id: FieldId, indexed: bool) -> Result<Field> {
        caller.require(Scope::FieldsWrite)?;
        let (engine, caller) = (self.clone(), caller.clone());
        let work = async move {
            match indexed {
                true => engine.build_index(&caller, id).await,
                false => engine.drop_index(&caller, id).await,
            }
        };
        tokio::spawn(work).await?
    }

    async fn build_index(&self, caller: &Caller, id: FieldId) -> Result<Field> {
        let tenant = caller.tenant;
        let mut field = self.begin_index(tenant, id).await?;
        while field.rules.index == Index::Building {
            let fields = self.fields(tenant).await?;
            self.fill_index(tenant, field.number, &fields).await?;
            let mut tx = self.store().begin().await?;
            tx.lock_fields(tenant).await?;
            let now = tx.list_fields(tenant).await?;
            field = find(&now, id)?;
            // Somebody may have dropped the index and begun another one, which is theirs to complete: look again.
            if field.rules.index == Index::Building && now.epoch() == fields.epoch() {
                field = change(&mut tx, tenant, field, Index::Ready).await?;
                caller.commit(tx).await?;
            }
        }
        Ok(field)
    }

    /// Makes every commit from now on maintain the index.
    async fn begin_index(&self, tenant: Tenant, id: FieldId) -> Result<Field> {
        let mut tx = self.store().begin().await?;
        tx.lock_fields(tenant).await?;
        let mut field = find(&tx.list_fields(tenant).await?, id)?;
        if !field.kind.can_be_indexed() {
            let message = format!("a field of the type {} cannot be indexed", field.kind);
            return Err(Error::at("/indexed", Code::InvalidRequest, message).into());
        }
        if field.rules.index.is_none() {
            field = change(&mut tx, tenant, field, Index::Building).await?;
            tx.commit().await?;
        }
        Ok(field)
    }

    /// Adds the entries of everybody who has a value.
    async fn fill_index(&self, tenant: Tenant, field: FieldNumber, fields: &FieldSet) -> Result<()> {
        let has_value = Filter::Is(Subject::Field(field), Test::IsSet);
        let scan = Scan::new(tenant, &has_value, fields);
        let last = self.store().read().await?.last_user_id(tenant).await?;
        let mut after = UserId(0);
        while after < last {
            let upto = UserId(after.0.saturating_add(WINDOW));
            let found = self.store().read().await?.scan_users(&scan, (after, upto), false, BATCH, fields).await?;
            let ids: Vec<UserId> = found.iter().map(|user| user.id).collect();
            let mut tx = self.store().begin().await?;
            // As they are now, and stay until the entries are there.
            let users = tx.lock_users(tenant, &ids, fields).await?;
            let entries = users.iter().flat_map(|loaded| entries(&loaded.user, fields));
            let adds: BTreeSet<_> = entries.filter(|entry| entry.field == field).collect();
            tx.write_index_entries(tenant, &adds, &BTreeSet::new()).await?;
            tx.commit().await?;
            after = ids.last().copied().filter(|_| ids.len() == BATCH as usize).unwrap_or(upto);
        }
        Ok(())
    }

    async fn drop_index(&self, caller: &Caller, id: FieldId) -> Result<Field> {
        let tenant = caller.tenant;
        let mut tx = self.store().begin().await?;
        tx.lock_fields(tenant).await?;
        let field = find(&tx.list_fields(tenant).await?, id)?;
        if field.rules.index.is_none() {
            return Ok(field);
        }
        let field = change(&mut tx, tenant, field, Index::None).await?;
        tx.clear_index(tenant, field.number).await?;
        caller.commit(tx).await?;
        Ok(field)
    }
}

fn find(fields: &FieldSet, id: FieldId) -> Result<Field> {
    let field = fields.active().find(|field| field.id == id).cloned();
    field.ok_or_else(|| EngineError::not_found("field"))
}

async fn change(tx: &mut Transaction, tenant: Tenant, field: Field, index: Index) -> Result<Field> {
    let field = Field { rules: Rules { index, ..field.rules }, ..field };
    tx.update_field(tenant, &field).await?;
    Ok(field)
}
