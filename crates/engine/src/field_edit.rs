//! Fields that change after users have values of them: other rules, another type, archived and back.
//!
//! Values are looked through twice. First beside everybody who writes, so that what is refused disturbs nobody. Then in one
//! transaction that makes the writers of the community wait: it looks again, rewrites what is kept in another way, and
//! takes keys and index along. So a field is as it was or as it is wanted, whoever dies when; and as it changes how values
//! are kept and not what they say ([`muster_core::field_edit`]), nothing of it stands in the history of the users.

use crate::caller::Caller;
use crate::chunk::{Chunk, Order, Source, plan_chunk};
use crate::commit;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::job::Job;
use crate::prepare::PreparedRow;
use crate::refit::Refit;
use jiff::Timestamp;
use muster_core::field::{Field, FieldNumber, FieldSet, Index};
use muster_core::field_edit::FieldEdit;
use muster_core::id::{FieldId, Tenant, UserId};
use muster_core::intake::header::{Matching, Role};
use muster_core::job::{JobKind, Overdraft};
use muster_core::key::Key;
use muster_core::plan::{Edit, EditPatch, Row, Rules};
use muster_core::scope::Scope;
use muster_core::{Code, Error};
use muster_store::{Connection, NewCommit, Transaction};

/// How many users are looked at, and at most changed, at a time.
const BATCH: u32 = 2_000;

impl Engine {
    /// Changes a field. Refuses with `values_do_not_fit`, naming the first users, where values would not fit; with
    /// `field_in_use` where an open job names the field and could not go on as it began; with `built_in_field` for what
    /// came with the product and stays.
    pub async fn edit_field(&self, caller: &Caller, id: FieldId, edit: &FieldEdit) -> Result<Field> {
        self.edit_field_at(caller, id, edit, self.clock().now()).await
    }

    /// The same, at this time.
    pub async fn edit_field_at(&self, caller: &Caller, id: FieldId, edit: &FieldEdit, at: Timestamp) -> Result<Field> {
        caller.require(Scope::FieldsWrite)?;
        let fields = self.fields(caller.tenant).await?;
        let field = active(&fields, id)?;
        let edited = edit.apply(&field, &fields)?;
        if field.narrows_to(&edited) {
            let refit = Refit::new(caller, &field, &edited, &fields);
            refit.check(self.store()).await?;
        }
        let changed = self.change_field(caller, id, edit, at).await?;
        match (changed, edit.indexed) {
            (Some((tx, edited)), None) => {
                caller.commit(tx).await?;
                Ok(edited)
            }
            (changed, Some(indexed)) => {
                if let Some((tx, _)) = changed {
                    tx.commit().await?;
                }
                self.set_indexed(caller, id, indexed).await
            }
            (None, None) => Ok(field),
        }
    }

    /// Changes all of a field but whether it is indexed, and leaves it to whoever asked to commit it.
    async fn change_field(
        &self,
        caller: &Caller,
        id: FieldId,
        edit: &FieldEdit,
        at: Timestamp,
    ) -> Result<Option<(Transaction, Field)>> {
        let tenant = caller.tenant;
        let mut tx = self.store().begin().await?;
        tx.lock_fields(tenant).await?;
        let fields = tx.list_fields(tenant).await?;
        let field = active(&fields, id)?;
        let edited = edit.apply(&field, &fields)?;
        if edited == field {
            return Ok(None);
        }
        if field.narrows_to(&edited) || field.name != edited.name {
            refuse_while_named(&mut tx, tenant, &fields, &field).await?;
        }
        // From here on nobody else writes users of the community, until this is committed.
        tx.update_field(tenant, &edited).await?;
        tx.touch_field(tenant, edited.number, at).await?;
        if field.narrows_to(&edited) {
            Refit::new(caller, &field, &edited, &fields).rewrite(&mut tx).await?;
        }
        if field.rules.unique && !edited.rules.unique {
            tx.clear_keys(tenant, field.number).await?;
        }
        if field.is_indexed() && !edited.is_indexed() {
            tx.clear_index(tenant, field.number).await?;
        }
        Ok(Some((tx, edited)))
    }

    /// Archives a field: nobody can write it or ask for it any more, and values, history, key and name stay. With `purge` every
    /// user loses the value too, as a change of its own, so that the history says what it was; and the field forgets
    /// that it was required, unique or indexed. A purge that was begun goes on where the caller goes away, and doing it again goes
    /// on where a process that died left it. One that is archived already stays so.
    pub async fn archive_field(&self, caller: &Caller, id: FieldId, purge: bool) -> Result<()> {
        caller.require(Scope::FieldsWrite)?;
        if !purge {
            let tx = self.archive(caller, id, false).await?.0;
            return caller.commit(tx).await;
        }
        let (engine, caller) = (self.clone(), caller.clone());
        let work = async move {
            let (tx, number) = engine.archive(&caller, id, true).await?;
            tx.commit().await?;
            engine.purge_values(&caller, number).await?;
            caller.commit(engine.store().begin().await?).await
        };
        tokio::spawn(work).await?
    }

    /// Archives a field, and leaves it to whoever asked to commit it.
    async fn archive(&self, caller: &Caller, id: FieldId, purge: bool) -> Result<(Transaction, FieldNumber)> {
        let tenant = caller.tenant;
        let mut tx = self.store().begin().await?;
        tx.lock_fields(tenant).await?;
        let fields = tx.list_fields(tenant).await?;
        let mut field = find(&fields, id)?;
        if field.built_in {
            let detail = format!("{} came with the product; it cannot be deleted.", field.key);
            return Err(EngineError::refuse(Code::BuiltInField, detail));
        }
        if !field.archived {
            refuse_while_named(&mut tx, tenant, &fields, &field).await?;
        }
        field.archived = true;
        if purge {
            tx.clear_keys(tenant, field.number).await?;
            tx.clear_index(tenant, field.number).await?;
            (field.rules.required, field.rules.unique, field.rules.index) = (false, false, Index::None);
        }
        tx.update_field(tenant, &field).await?;
        Ok((tx, field.number))
    }

    /// Brings an archived field back, with its values. One that is not archived stays as it is.
    pub async fn restore_field(&self, caller: &Caller, id: FieldId) -> Result<Field> {
        caller.require(Scope::FieldsWrite)?;
        let mut tx = self.store().begin().await?;
        tx.lock_fields(caller.tenant).await?;
        let field = find(&tx.list_fields(caller.tenant).await?, id)?;
        if !field.archived {
            return Ok(field);
        }
        let field = Field { archived: false, ..field };
        tx.update_field(caller.tenant, &field).await?;
        caller.commit(tx).await?;
        Ok(field)
    }

    /// Takes the values of an archived field from everybody, deleted or not, some users in each commit.
    async fn purge_values(&self, caller: &Caller, number: FieldNumber) -> Result<()> {
        let tenant = caller.tenant;
        let (mut after, columns) = (UserId(0), [String::new()]);
        loop {
            let fields = self.fields(tenant).await?;
            let users = self.store().read().await?.list_all_users(tenant, after, BATCH, &fields).await?;
            let Some(last) = users.last().map(|loaded| loaded.user.id) else { return Ok(()) };
            let holders = users.iter().filter(|loaded| loaded.user.values.get(number).is_some());
            let row = |id| {
                let edits = vec![Edit { field: number, column: 0, patch: EditPatch::Clear }];
                PreparedRow::new(Some(id), Row { record: 1, line: 0, key: Key::Id(id), edits, creates: true })
            };
            let rows: Vec<PreparedRow> = holders.map(|loaded| row(loaded.user.id)).collect();
            let chunk = Chunk { from: 0, ends: vec![0; rows.len()], rows, goes_on: false };
            // Of the kind that sees deleted users too.
            let rules = Rules { kind: JobKind::Undo, overdraft: Overdraft::Reject, fields: &fields, columns: &columns };
            let order = Order { tenant, rules, dry_run: false, undoes: None, filter: None };
            if !chunk.rows.is_empty() {
                let (mut tx, reserved) = self.store().begin_commit(tenant, 0).await?;
                let now = self.clock().now();
                let planned = plan_chunk(&chunk, &order, None, now, Source::Locked(&mut tx)).await?;
                let commit = NewCommit { id: reserved.commit, at: now, job: None, actor: &caller.actor };
                if !commit::write(&mut tx, tenant, planned, &commit).await? {
                    continue;
                }
                tx.commit().await?;
                self.faults().pass("purge.committed").await?;
            }
            after = last;
        }
    }
}

fn find(fields: &FieldSet, id: FieldId) -> Result<Field> {
    fields.iter().find(|field| field.id == id).cloned().ok_or_else(|| EngineError::not_found("field"))
}

fn active(fields: &FieldSet, id: FieldId) -> Result<Field> {
    let field = find(fields, id)?;
    match field.archived {
        false => Ok(field),
        true => Err(Error::new(Code::FieldArchived, "The field is archived; restore it first.").into()),
    }
}

/// Refuses while a job is open that names the field, or may. None can be added meanwhile: the fields are locked.
async fn refuse_while_named(
    connection: &mut Connection,
    tenant: Tenant,
    fields: &FieldSet,
    field: &Field,
) -> Result<()> {
    let jobs: Vec<Job> = connection.list_open_jobs(tenant).await?;
    match jobs.iter().find(|job| may_name(job, fields, field.number)) {
        None => Ok(()),
        Some(job) => {
            let detail = format!("{} is open and names {}, or may; wait for it or cancel it.", job.id, field.key);
            Err(EngineError::refuse(Code::FieldInUse, detail))
        }
    }
}

/// Whether a job names a field: by its header where it has one, else by what preparing found. Before that it may.
fn may_name(job: &Job, fields: &FieldSet, number: FieldNumber) -> bool {
    let with_header = job.source.file.as_ref().filter(|file| !file.format.is_json());
    if let Some(file) = with_header {
        let named = |role: &Role| matches!(role, Role::Field { number: named, .. } if *named == number);
        return file
            .columns(fields, &job.options)
            .is_ok_and(|columns| columns.roles.iter().any(named) || columns.matching == Matching::Unique(number));
    }
    let found = job.prepared.as_ref().and_then(|prepared| prepared.fields.split(' ').next());
    found.is_none_or(|named| named.is_empty() || named.split(',').any(|named| named == number.0.to_string()))
}
