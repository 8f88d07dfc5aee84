//! Users as a file: everybody whom a filter matches, in a form that can be edited and sent back; and the header of such a
//! file with nobody in it.
//!
//! The file is written a batch of users at a time, in order of id, so memory is flat and no transaction stays open while
//! somebody reads slowly. Who was there when it began is in it once, as they were when their batch was read; who was made
//! since is not.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::query::read_filter;
use crate::results::ResultFormat;
use crate::selection::Selection;
use crate::user_file::{Property, UserWriter};
use muster_core::field::{Field, FieldNumber, FieldSet, is_common};
use muster_core::filter::{Filter, Subject, Test};
use muster_core::id::{Tenant, UserId};
use muster_core::job::JobKind;
use muster_core::scope::Scope;
use tokio::sync::mpsc;

/// How many users are read at a time.
const BATCH: usize = 1_000;

/// What somebody wants to have as a file.
#[derive(Clone, Debug)]
pub struct UserExport {
    /// The form of the file.
    pub format: ResultFormat,
    /// The filter as JSON text; absent: everybody.
    pub filter: Option<String>,
    /// The columns, in their order: keys of fields and `id`, `email`, `identities`, `version`, `created_at`, `updated_at`.
    /// Absent: all that can be written, and what names the user.
    pub columns: Option<Vec<String>>,
}

/// An export on its way.
struct Exporting {
    tenant: Tenant,
    fields: FieldSet,
    filter: Filter,
    /// The last user who was there when it began.
    last: UserId,
    writer: UserWriter,
}

impl Engine {
    /// Begins to write a file of users, and gives it as blocks of bytes. Refuses a filter or a column that cannot be.
    pub async fn export_users(&self, caller: &Caller, export: &UserExport) -> Result<mpsc::Receiver<Result<Vec<u8>>>> {
        caller.require(Scope::UsersRead)?;
        let tenant = caller.tenant;
        let fields = self.fields(tenant).await?;
        let filter = read_filter(export.filter.as_deref(), &fields)?;
        let columns = match &export.columns {
            Some(names) => Property::read_all(names, export.format, &fields)?,
            None => Property::all(export.format, &self.template_fields(tenant, &fields).await?),
        };
        let last = self.store().read().await?.last_user_id(tenant).await?;
        let export = Exporting { tenant, fields, filter, last, writer: UserWriter::new(export.format, columns) };
        let (sender, receiver) = mpsc::channel(2);
        let engine = self.clone();
        tokio::spawn(async move {
            if let Err(error) = engine.write_users(&export, &sender).await {
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(receiver)
    }

    async fn write_users(&self, export: &Exporting, sender: &mpsc::Sender<Result<Vec<u8>>>) -> Result<()> {
        let Exporting { tenant, fields, filter, last, writer } = export;
        let entries = self.limits().index_entries;
        let mut selection = Selection::open(self.store(), *tenant, filter, fields, entries).await?;
        let mut block = writer.header()?;
        loop {
            if sender.send(Ok(block)).await.is_err() {
                return Ok(()); // Nobody reads any more.
            }
            let users = selection.next(BATCH).await?;
            if users.first().is_none_or(|first| first.id > *last) {
                return Ok(());
            }
            let there = users.iter().filter(|user| user.id <= *last);
            block = tokio::task::block_in_place(|| writer.write(there))?;
        }
    }

    /// The header of a file of this kind: what names the user, and every field that can be written; in one of changes
    /// each number with its column of operators.
    pub async fn template(&self, caller: &Caller, kind: JobKind) -> Result<Vec<String>> {
        caller.require(Scope::UsersRead)?;
        caller.require(Scope::FieldsRead)?;
        let fields = self.fields(caller.tenant).await?;
        let mut header = vec!["email".to_owned()];
        for field in self.template_fields(caller.tenant, &fields).await? {
            header.push(field.key.clone());
            if kind == JobKind::Update && field.kind.is_numeric() {
                header.push(format!("{}_op", field.key));
            }
        }
        Ok(header)
    }

    /// The fields that can be written, without those that clients of a single product know and nobody has a value of.
    async fn template_fields<'a>(&self, tenant: Tenant, fields: &'a FieldSet) -> Result<Vec<&'a Field>> {
        let is_seldom = |field: &Field| field.built_in && !is_common(&field.key);
        let mut unused: Vec<FieldNumber> = fields.active().filter(|f| is_seldom(f)).map(|f| f.number).collect();
        while !unused.is_empty() {
            let has = unused.iter().map(|number| Filter::Is(Subject::Field(*number), Test::IsSet)).collect();
            let filter = Filter::Any(has);
            let mut selection = Selection::open(self.store(), tenant, &filter, fields, 1).await?;
            let found = selection.next(1).await?;
            if found.is_empty() {
                break;
            }
            unused.retain(|number| !found.iter().any(|user| user.values.get(*number).is_some()));
        }
        Ok(fields.active().filter(|field| !unused.contains(&field.number)).collect())
    }
}

impl From<csv::Error> for EngineError {
    fn from(error: csv::Error) -> Self {
        Self::Staging(std::io::Error::other(error))
    }
}
