//! The person who is erased: what it is called and ever was called, and whether a text is that.
//!
//! What can mean nobody else (an email, a long text, both parts of an identity together) is looked for as a whole wherever it
//! stands. What could be anything, such as an id of few digits, is looked for where it stands for a user: in the columns,
//! members and sentences that say whom they are about. So nothing of the person stays, and what was said of others does.

use super::words::{Word, is_telling};
use crate::engine::Engine;
use crate::error::Result;
use crate::job::Job;
use jiff::Timestamp;
use muster_core::Code;
use muster_core::email::email_key;
use muster_core::error::{RowError, excerpt};
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::{Tenant, UserId};
use muster_core::intake::header::{Columns, IdentityColumns, Matching, Role};
use muster_core::intake::records::Record;
use muster_core::key::UserKey;
use muster_core::plan::{Edit, Row};
use muster_core::user::{User, changes_from_stored};
use muster_store::{HistoryFilter, Place};
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;

/// How many change sets are read at a time.
const BATCH: u32 = 500;
/// Members of answers that name a user by its id.
const USER_IDS: [&str; 2] = ["user_id", "userId"];
/// Members that do where one of the others stands beside them; else they are the ids of other things.
const IDS: [&str; 2] = ["id", "_id"];
const BESIDE_USER_IDS: [&str; 3] = ["email", "lookupKey", "code"];
/// Members of answers that name a user by the id of an identity.
const IDENTITY_IDS: [&str; 5] = ["source_id", "sourceId", "custom_id", "external_id", "externalId"];
/// What rows fail with because of a key, theirs or somebody's.
const WHOSE: [Code; 4] = [Code::UserNotFound, Code::UserExists, Code::AmbiguousMatch, Code::NotUnique];

/// Somebody who is to be erased.
pub(super) struct Subject {
    user: User,
    /// Every key that the person has or had.
    keys: BTreeSet<UserKey>,
    /// The emails among them.
    emails: BTreeSet<String>,
    /// Source and id of the identities among them.
    identities: BTreeSet<(String, String)>,
    /// The values of unique fields, each with the key and with the name of its field.
    values: BTreeSet<(String, String)>,
    /// What means the person wherever it stands.
    words: Vec<Word>,
    /// The values of unique fields, with the names of these as sentences about users say them: `member no "12"`.
    phrases: Vec<String>,
    /// What errors about whom a row names show as the value.
    shown: BTreeSet<String>,
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
        Ok(Some(Self::of(user, keys, opening.map(|opening| opening.at), fields)))
    }

    fn of(user: User, keys: BTreeSet<UserKey>, forgotten_until: Option<Timestamp>, fields: &FieldSet) -> Self {
        let of = |field| keys.iter().filter(move |key| key.field == field).map(|key| key.key.clone());
        let emails: BTreeSet<String> = of(FieldNumber::EMAIL).collect();
        // Source, id and language, which is empty where there is none.
        let named: Vec<Vec<String>> =
            of(FieldNumber::IDENTITIES).map(|key| key.split('\u{1f}').map(str::to_owned).collect()).collect();
        let pair = |parts: &Vec<String>| Some((parts.first()?.clone(), parts.get(1)?.clone()));
        let identities: BTreeSet<(String, String)> = named.iter().filter_map(pair).collect();
        let identity_texts = named.iter().flat_map(|parts| {
            let whole = parts.join(":");
            [whole.trim_end_matches(':').to_owned(), parts.iter().take(2).cloned().collect::<Vec<_>>().join(":")]
        });
        let others = || keys.iter().filter(|key| ![FieldNumber::EMAIL, FieldNumber::IDENTITIES].contains(&key.field));
        let values = others().map(|key| key.key.clone()).chain(identities.iter().map(|(_, id)| id.clone()));
        let telling = values.filter(|text| is_telling(text));
        let texts: Vec<String> = emails.iter().cloned().chain(identity_texts).collect();
        let words = texts.iter().cloned().chain(telling).map(|text| Word::new(&text)).collect();
        let named = |key: &UserKey| {
            let field = fields.get(key.field)?;
            Some([&field.key, &field.name].map(|name| (email_key(name), email_key(&key.key))))
        };
        let unique = others().filter_map(named).flatten().collect();
        let phrase = |key: &UserKey| Some(format!("{} \"{}\"", fields.get(key.field)?.name, excerpt(&key.key)));
        let phrases = others().filter_map(phrase).map(|phrase| email_key(&phrase)).collect();
        let shown = texts.into_iter().chain(others().map(|key| key.key.clone()));
        let shown = shown.map(|text| email_key(&excerpt(&text))).collect();
        Self { user, keys, emails, identities, values: unique, words, phrases, shown, forgotten_until }
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

    /// Whether a record names the person: by an email in whatever column, by source and id of an identity, in their columns where
    /// the file has such, or by the value of a unique field in its column.
    pub(super) fn is_in_record(&self, record: &Record, columns: Option<&Columns>) -> bool {
        if let Some(text) = record.json() {
            return serde_json::from_str(text).is_ok_and(|json| self.is_in_json(&json));
        }
        let cells: Vec<String> = record.cells().map(email_key).collect();
        if cells.iter().any(|cell| self.emails.contains(cell)) {
            return true;
        }
        let Some(columns) = columns else { return self.has_identity(&cells) };
        let is_named = match &columns.identity {
            Some(IdentityColumns { source, source_id, .. }) => {
                let pair = cells.get(*source).cloned().zip(cells.get(*source_id).cloned());
                pair.is_some_and(|pair| self.identities.contains(&pair))
            }
            None => self.has_identity(&cells),
        };
        is_named || cells.iter().enumerate().any(|(index, cell)| self.is_key_cell(columns, index, cell))
    }

    /// Whether a cell is a value that the person had of a unique field, in the column of that.
    fn is_key_cell(&self, columns: &Columns, index: usize, cell: &str) -> bool {
        let own = match columns.roles.get(index) {
            Some(Role::Field { number, .. }) => Some(*number),
            Some(Role::Key) => match columns.matching {
                Matching::Unique(number) => Some(number),
                Matching::Email | Matching::Id | Matching::Identity => None,
            },
            Some(Role::Identity | Role::Operator | Role::Ignored) | None => None,
        };
        own.is_some_and(|field| self.keys.iter().any(|key| key.field == field && email_key(&key.key) == cell))
    }

    /// Whether a row names the person, or gives away what the person had.
    pub(super) fn is_in_row(&self, row: &Row, fields: &FieldSet) -> bool {
        let given = |edit: &Edit| Some(UserKey::of_value(edit.field, edit.patch.value()?, fields));
        let given = row.edits.iter().filter_map(given);
        row.key == muster_core::key::Key::Id(self.user.id)
            || row.key.user_key().into_iter().chain(given.flatten()).any(|key| self.keys.contains(&key))
    }

    /// Whether texts of a JSON value name the person: an email, source and id of an identity beside each other, or the value of
    /// a unique field as a member of its name.
    pub(super) fn is_in_json(&self, json: &Json) -> bool {
        let is_value = |(name, value): (&String, &Json)| {
            text_of(value).is_some_and(|value| self.values.contains(&(email_key(name), value)))
        };
        let items: Vec<&Json> = match json {
            Json::Object(members) if members.iter().any(is_value) => return true,
            Json::Object(members) => members.values().collect(),
            Json::Array(items) => items.iter().collect(),
            Json::String(text) => return self.emails.contains(&email_key(text)),
            Json::Null | Json::Bool(_) | Json::Number(_) => return false,
        };
        let texts: Vec<String> = items.iter().filter_map(|item| text_of(item)).collect();
        self.has_identity(&texts) || items.into_iter().any(|item| self.is_in_json(item))
    }

    /// Whether what is said of a row of somebody else names the person.
    pub(super) fn is_in_error(&self, error: &RowError) -> bool {
        let value = error.value.as_deref().unwrap_or_default();
        if self.is_in_sentence(value) || self.is_in_sentence(&error.message) {
            return true;
        }
        // Fields may have had other names. An id of a user is not put in quotes.
        let is_key = WHOSE.contains(&error.code) && error.message.contains(&format!("\"{value}\""));
        let value = email_key(value);
        (is_key || error.code == Code::ChangedSincePlan) && self.shown.contains(&value)
            || error.code == Code::InvalidIdentity && self.identities.iter().any(|(_, id)| *id == value)
    }

    /// Whether changes that a dry run found in somebody else show what the person is called.
    pub(super) fn is_in_changes(&self, stored: &str, fields: &FieldSet) -> bool {
        let changes = changes_from_stored(stored, fields).unwrap_or_default();
        let values = changes.iter().flat_map(|change| change.old.iter().chain(&change.new).map(|v| (change.field, v)));
        let mut keys = values.flat_map(|(field, value)| UserKey::of_value(field, value, fields));
        keys.any(|key| self.keys.contains(&key)) || self.is_in_sentence(stored)
    }

    fn is_in_sentence(&self, text: &str) -> bool {
        let text = email_key(text);
        self.words.iter().any(|word| word.is_in(&text)) || self.phrases.iter().any(|phrase| text.contains(phrase))
    }

    /// Whether the body of an answer names the person, by its id or otherwise.
    pub(super) fn is_in_answer(&self, body: &[u8]) -> bool {
        match serde_json::from_slice(body) {
            Ok(json) => self.is_in_json(&json) || self.is_answered(&json),
            Err(_) => self.is_in_sentence(&String::from_utf8_lossy(body)),
        }
    }

    fn is_answered(&self, json: &Json) -> bool {
        match json {
            Json::Object(members) => {
                members.iter().any(|(name, value)| self.is_member(members, name, value) || self.is_answered(value))
            }
            Json::Array(items) => items.iter().any(|item| self.is_answered(item)),
            Json::String(text) => self.is_in_sentence(text),
            Json::Null | Json::Bool(_) | Json::Number(_) => false,
        }
    }

    /// Whether a member of an object in an answer is an id of the person.
    fn is_member(&self, members: &Map<String, Json>, name: &str, value: &Json) -> bool {
        let (id, text) = (self.user.id.to_string(), text_of(value));
        let is_user = || text.as_deref() == Some(&id);
        let is_identity = |text: &Option<String>| {
            let source = members.get("source").and_then(text_of);
            let may_be = |own: &String| source.as_ref().is_none_or(|source| source == own);
            self.identities.iter().any(|(own, id)| text.as_ref() == Some(id) && may_be(own))
        };
        let is_looked_up = |by: &str| members.get("lookupKey").is_some_and(|key| key == by);
        match name {
            name if USER_IDS.contains(&name) => is_user(),
            name if IDENTITY_IDS.contains(&name) => is_identity(&text),
            name if IDS.contains(&name) => {
                let of_users = BESIDE_USER_IDS.iter().any(|beside| members.contains_key(*beside));
                // What could not be changed is named as it was sent, by whichever id.
                of_users && is_user() || members.contains_key("code") && is_identity(&text)
            }
            "key" => is_looked_up("id") && is_user() || is_looked_up("sourceId") && is_identity(&text),
            "not_found" => value.as_array().is_some_and(|ids| ids.iter().any(|id| is_identity(&text_of(id)))),
            _ => false,
        }
    }

    fn has_identity(&self, texts: &[String]) -> bool {
        let has = |wanted: &String| texts.contains(wanted);
        self.identities.iter().any(|(source, id)| has(source) && has(id))
    }
}

/// A text or a number, as keys are compared.
fn text_of(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(email_key(text)),
        Json::Number(number) => Some(number.to_string()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::identity::Identity;

    /// User 7, who is custom_id 12 as well.
    fn subject() -> Subject {
        let at = Timestamp::UNIX_EPOCH;
        let identities = vec![Identity::new("custom_id", "12", None).unwrap()];
        let user = User {
            id: UserId(7),
            version: 1,
            email: Some("ann@x.org".to_owned()),
            deleted: false,
            values: muster_core::user::Values::default(),
            created_at: at,
            updated_at: at,
            identities,
        };
        let fields = FieldSet::default();
        let keys = UserKey::of_user(&user, &fields).into_iter().collect();
        Subject::of(user, keys, None, &fields)
    }

    #[test]
    fn answers_name_a_user_where_an_id_is_that_of_a_user() {
        for body in [
            r#"{"id":7,"email":null,"identities":[],"values":{}}"#,
            r#"{"data":[{"index":0,"status":"updated","user_id":7,"code":null}]}"#,
            r#"{"data":{"userId":7}}"#,
            r#"{"data":[{"action":"update","id":7,"key":1,"lookupKey":"sourceId","success":true}]}"#,
            r#"{"data":[{"action":"update","error":{},"key":12,"lookupKey":"sourceId","success":false}]}"#,
            r#"{"data":[{"action":"update","error":{},"key":"7","lookupKey":"id","success":false}]}"#,
            r#"{"id":1,"custom_id":"12"}"#,
            r#"{"identities":[{"source":"CUSTOM_ID","source_id":"12","language":null}]}"#,
            r#"{"status":"partial","failed":[{"id":12,"code":"not_unique","message":"…"}]}"#,
            r#"{"status":"ok","not_found":[12]}"#,
            r#"{"message":"no user has the identity \"custom_id:12\""}"#,
            r#"{"user":"Ann@x.org"}"#,
            r#"{"message":"ann@x.org is deleted"}"#,
            "ann@x.org is deleted",
        ] {
            assert!(subject().is_in_answer(body.as_bytes()), "{body}");
        }
        for body in [
            r#"{"id":7,"name":"Size","name_std":"size","value_type":"int"}"#,
            r#"{"id":"job_0123456789abcdef01234567","counts":{"received":12,"created":7}}"#,
            r#"{"status":"ok","updated":7,"unchanged":12,"not_found":[70,120]}"#,
            r#"{"id":70,"email":"joann@x.org","values":{"points":7,"rank":12}}"#,
            r#"{"id":70,"email":"joann@x.org","identities":[{"source":"crm","source_id":"12","language":null}]}"#,
            r#"{"attributes":[{"id":7,"name":"Size","value":12}]}"#,
            r#"{"data":[{"action":"update","id":70,"key":7,"lookupKey":"sourceId","success":true}]}"#,
            r#"{"message":"line 12: \"7\" is not a date"}"#,
            "7 of 12",
        ] {
            assert!(!subject().is_in_answer(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn records_name_a_person_by_both_parts_of_an_identity_beside_each_other() {
        let is_in = |text: &str| subject().is_in_json(&serde_json::from_str(text).unwrap());
        assert!(is_in(r#"{"identities":[{"source":"custom_id","source_id":12}],"values":{}}"#));
        assert!(is_in(r#"{"values":{"parent":["custom_id","12"]}}"#));
        assert!(!is_in(r#"{"identities":[{"source":"custom_id","source_id":120}],"values":{"points":12}}"#));
    }
}
