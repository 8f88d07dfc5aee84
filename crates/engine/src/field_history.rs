//! The history by fields that are named by their ids, and with what each field is called now.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::history::{HistoryEntry, HistoryQuery, NewChange};
use muster_core::error::excerpt;
use muster_core::field::{Field, FieldSet};
use muster_core::id::{FieldId, UserId};
use muster_core::scope::Scope;
use muster_core::{Code, Error};
use serde_json::Value as Json;

/// An entry, and the field that it is about; none for what is the user's own, such as the email.
#[derive(Clone, Debug)]
pub struct FieldHistoryEntry {
    /// The entry.
    pub entry: HistoryEntry,
    /// The field as it is now.
    pub field: Option<Field>,
}

/// Entries, newest first.
#[derive(Clone, Debug)]
pub struct FieldHistory {
    /// The entries.
    pub entries: Vec<FieldHistoryEntry>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// A change of a field of a user, to be made now.
#[derive(Clone, Debug)]
pub struct NewFieldChange {
    /// The user.
    pub user: UserId,
    /// The id, the key or the name of the field, or `email`.
    pub field: String,
    /// `overwrite`, `add`, `subtract` or `clear`.
    pub op: String,
    /// The value; null for `clear`.
    pub value: Json,
}

impl Engine {
    /// A page of the history: of a live user, of a field, of both or of everything. Refuses with `not_found` a user or a field
    /// that is not there.
    pub async fn field_history(
        &self,
        caller: &Caller,
        user: Option<UserId>,
        field: Option<FieldId>,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<FieldHistory> {
        caller.require(Scope::HistoryRead)?;
        let fields = self.fields(caller.tenant).await?;
        let of_id = |id| fields.iter().find(|field| field.id == id).ok_or_else(|| EngineError::not_found("field"));
        let field = field.map(of_id).transpose()?.map(|field| field.key.clone());
        if let Some(user) = user {
            let found = self.store().read().await?.find_users_by_id(caller.tenant, &[user], true).await?;
            found.first().ok_or_else(|| EngineError::not_found("user"))?;
        }
        let query = HistoryQuery { user, field, limit, cursor, ..HistoryQuery::default() };
        let page = self.history(caller, &query).await?;
        let entries = page.entries.into_iter().map(|entry| with_field(entry, &fields)).collect();
        Ok(FieldHistory { entries, next: page.next })
    }

    /// Changes a field of a live user as [`Engine::make_change`] does, and gives the entry, if the field has one, and whether
    /// something changed. Refuses with `unknown_field` what names none.
    pub async fn make_field_change(
        &self,
        caller: &Caller,
        new: NewFieldChange,
    ) -> Result<(Option<FieldHistoryEntry>, bool)> {
        caller.require(Scope::UsersWrite)?;
        let field = match new.field.as_str() {
            "email" => Some("email".to_owned()),
            name => self.field_keys(caller, &[name]).await?.pop().flatten(),
        };
        let field = field.ok_or_else(|| {
            Error::at("/field", Code::UnknownField, format!("there is no field \"{}\"", excerpt(&new.field)))
        })?;
        let fields = self.fields(caller.tenant).await?;
        let made = self.make_change(caller, &NewChange { user: new.user, field, op: new.op, value: new.value }).await?;
        Ok((made.entry.map(|entry| with_field(entry, &fields)), made.changed))
    }
}

fn with_field(entry: HistoryEntry, fields: &FieldSet) -> FieldHistoryEntry {
    FieldHistoryEntry { field: fields.find_by_key(&entry.field).cloned(), entry }
}
