//! The person who is erased: what it is called and ever was called, and whether a text is that.

use crate::engine::Engine;
use crate::error::Result;
use crate::job::Job;
use jiff::Timestamp;
use muster_core::email::email_key;
use muster_core::error::excerpt;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::{Tenant, UserId};
use muster_core::intake::records::Record;
use muster_core::key::UserKey;
use muster_core::plan::{Edit, Row};
use muster_core::user::User;
use muster_store::{HistoryFilter, Place};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// How many change sets are read at a time.
const BATCH: u32 = 500;
/// Members of answers that name a user by its id.
const ID_MEMBERS: [&str; 4] = ["id", "_id", "user_id", "userId"];

/// Somebody who is to be erased.
pub(super) struct Subject {
    user: User,
    /// Every key that the person has or had.
    keys: BTreeSet<UserKey>,
    /// The emails among them.
    emails: BTreeSet<String>,
    /// Source and id of the identities among them.
    identities: BTreeSet<(String, String)>,
    /// How sentences would show each of them.
    shown: Vec<String>,
    /// Until when the person may have had keys that nobody knows any more, because the history was pruned.
    forgotten_until: Option<Timestamp>,
}

impl Subject {
    /// The person, from the user and its whole history. None where there is no such user.
    pub(super) async fn load(engine: &Engine, tenant: Tenant, id: UserId, fields: &FieldSet) -> Result<Option<Self>> {
        let mut connection = engine.store().read().await?;
        let Some(user) = connection.get_user(tenant, id, fields).await? else { return Ok(None) };
        let mut keys: BTreeSet<UserKey> = UserKey::of_user(&user, fields).into_iter().collect();
        let mut before = i64::MAX;
        loop {
            let filter =
                HistoryFilter { user: Some(id), before: Some(Place::Version(before)), ..HistoryFilter::default() };
            let sets = connection.list_changes(tenant, &filter, BATCH, fields).await?;
            let Some(last) = sets.last() else { break };
            before = last.version;
            for change in sets.iter().flat_map(|set| &set.changes) {
                let values = change.old.iter().chain(&change.new);
                keys.extend(values.flat_map(|value| UserKey::of_value(change.field, value, fields)));
            }
        }
        let opening = connection.list_openings(tenant, &[id], fields).await?.pop();
        let held = opening.iter().flat_map(|opening| &opening.changes);
        let values = held.flat_map(|change| change.new.iter().map(|value| (change.field, value)));
        keys.extend(values.flat_map(|(field, value)| UserKey::of_value(field, value, fields)));
        Ok(Some(Self::of(user, keys, opening.map(|opening| opening.at))))
    }

    fn of(user: User, keys: BTreeSet<UserKey>, forgotten_until: Option<Timestamp>) -> Self {
        let of = |field| keys.iter().filter(move |key| key.field == field).map(|key| key.key.clone());
        let emails: BTreeSet<String> = of(FieldNumber::EMAIL).collect();
        let parts = |key: String| {
            let mut parts = key.split('\u{1f}').map(str::to_owned);
            parts.next().zip(parts.next())
        };
        let identities: BTreeSet<_> = of(FieldNumber::IDENTITIES).filter_map(parts).collect();
        // A short number would be found in every sentence; what names nobody else is found by the row.
        let others = keys.iter().filter(|key| key.field != FieldNumber::EMAIL && key.field != FieldNumber::IDENTITIES);
        let long = others.map(|key| key.key.clone()).filter(|key| key.chars().count() >= 6);
        let shown = emails.iter().cloned().chain(identities.iter().map(|(_, id)| id.clone())).chain(long);
        let shown = shown.map(|text| email_key(excerpt(&text).trim_end_matches('…'))).collect();
        Self { user, keys, emails, identities, shown, forgotten_until }
    }

    pub(super) fn id(&self) -> UserId {
        self.user.id
    }

    pub(super) fn version(&self) -> i64 {
        self.user.version
    }

    /// Whether the file of a job may name the person in a way that nobody knows any more: what became of its rows is gone,
    /// and so is the history of that time.
    pub(super) fn may_be_in(&self, job: &Job) -> bool {
        let ended = job.finished_at.unwrap_or(job.submitted_at);
        job.results_expired_at.is_some() && self.forgotten_until.is_some_and(|until| ended <= until)
    }

    /// Whether a record names the person, in whatever columns: by an email, or by source and id of an identity.
    pub(super) fn is_in_record(&self, record: &Record) -> bool {
        match record.json() {
            Some(text) => serde_json::from_str(text).is_ok_and(|json| self.is_in_json(&json)),
            None => self.is_among(&record.cells().map(email_key).collect::<Vec<_>>()),
        }
    }

    /// Whether a row names the person, or gives away what the person had.
    pub(super) fn is_in_row(&self, row: &Row, fields: &FieldSet) -> bool {
        let given = |edit: &Edit| Some(UserKey::of_value(edit.field, edit.patch.value()?, fields));
        let given = row.edits.iter().filter_map(given);
        row.key == muster_core::key::Key::Id(self.user.id)
            || row.key.user_key().into_iter().chain(given.flatten()).any(|key| self.keys.contains(&key))
    }

    /// Whether texts of one JSON value name the person.
    pub(super) fn is_in_json(&self, json: &Json) -> bool {
        let mut texts = Vec::new();
        gather(json, &mut texts);
        self.is_among(&texts)
    }

    /// Whether a sentence or a sample names the person.
    pub(super) fn is_in_sentence(&self, text: &str) -> bool {
        let text = email_key(text);
        self.shown.iter().any(|shown| text.contains(shown))
    }

    /// Whether the body of an answer names the person, by its id or otherwise.
    pub(super) fn is_in_answer(&self, body: &[u8]) -> bool {
        match serde_json::from_slice(body) {
            Ok(json) => self.has_id(&json) || self.is_in_json(&json) || self.is_in_sentence(&json.to_string()),
            Err(_) => self.is_in_sentence(&String::from_utf8_lossy(body)),
        }
    }

    fn is_among(&self, texts: &[String]) -> bool {
        let has = |wanted: &String| texts.contains(wanted);
        texts.iter().any(|text| self.emails.contains(text))
            || self.identities.iter().any(|(source, id)| has(source) && has(id))
    }

    fn has_id(&self, json: &Json) -> bool {
        match json {
            Json::Object(members) => members.iter().any(|(name, value)| {
                let is_id = value.as_i64() == Some(self.user.id.0) || value.as_str() == Some(&self.user.id.to_string());
                is_id && ID_MEMBERS.contains(&name.as_str()) || self.has_id(value)
            }),
            Json::Array(items) => items.iter().any(|item| self.has_id(item)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
        }
    }
}

/// Every text and number in a JSON value, as keys are compared.
fn gather(json: &Json, texts: &mut Vec<String>) {
    match json {
        Json::String(text) => texts.push(email_key(text)),
        Json::Number(number) => texts.push(number.to_string()),
        Json::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Json::Object(members) => members.values().for_each(|value| gather(value, texts)),
        Json::Null | Json::Bool(_) => {}
    }
}
