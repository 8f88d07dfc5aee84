//! What happened to users: who changed what, when, and why.

use crate::caller::Caller;
use crate::change::{ChangedUser, Edits, OneChange, writable};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use jiff::Timestamp;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::id::{JobId, UserId};
use muster_core::job::JobKind;
use muster_core::key::Key;
use muster_core::outcome::Status;
use muster_core::scope::Scope;
use muster_core::user::{Change, Operator};
use muster_core::value::Value;
use muster_core::{Code, Error, Patch};
use muster_store::{ChangeSet, CommitInfo, HistoryFilter, Place};
use rust_decimal::Decimal;
use serde_json::Value as Json;
use std::fmt;

/// How many change sets are read at a time to find what was earned.
const EARNED_AT_ONCE: u32 = 500;

/// Which part of the history is asked for. Every part narrows the answer.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    /// Only of this user.
    pub user: Option<UserId>,
    /// Only of this field, by its key; `email` and `deleted` are the user's own.
    pub field: Option<String>,
    /// Only of this job.
    pub job: Option<JobId>,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Only before this time.
    pub until: Option<Timestamp>,
    /// How many entries.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// One field of one user, changed once.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// The user.
    pub user: UserId,
    /// The key of the field.
    pub field: String,
    /// What happened.
    pub change: Change,
    /// When, by whom and for which job.
    pub commit: CommitInfo,
    /// The line of the job's input; 0 where it has none.
    pub line: u64,
}

/// Entries, newest first.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The entries.
    pub entries: Vec<HistoryEntry>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// A change of one field of one user, to be made now.
#[derive(Clone, Debug)]
pub struct NewChange {
    /// The user.
    pub user: UserId,
    /// The key of the field, or `email`.
    pub field: String,
    /// `overwrite`, `add`, `subtract` or `clear`.
    pub op: String,
    /// The value; null for `clear`.
    pub value: Json,
}

/// What came of a change that was to be made.
#[derive(Clone, Debug)]
pub struct MadeChange {
    /// Its entry; where nothing changed, the last one of the field.
    pub entry: Option<HistoryEntry>,
    /// Whether something changed.
    pub changed: bool,
}

impl NewChange {
    fn edits(&self, fields: &FieldSet) -> Result<(Edits, FieldNumber), Error> {
        let mut edits = Edits::default();
        let refuse = |pointer: &str, code, message: &str| Err(Error::at(pointer, code, message));
        let op = match (self.op.as_str(), &self.value) {
            ("clear", Json::Null) => None,
            ("clear", _) => return refuse("/value", Code::InvalidRequest, "clear takes no value"),
            (op, value) => match Operator::parse(op) {
                None => {
                    let message = "the operators are overwrite, add, subtract and clear";
                    return refuse("/op", Code::InvalidOperator, message);
                }
                Some(_) if value.is_null() => {
                    return refuse("/value", Code::OperatorWithoutValue, "the operator has no value");
                }
                Some(op) => Some(op),
            },
        };
        if self.field == "email" {
            let email = match (op, &self.value) {
                (None, _) => Patch::Clear,
                (Some(Operator::Overwrite), Json::String(text)) => Patch::Set(text.clone()),
                (Some(Operator::Overwrite), _) => return refuse("/value", Code::InvalidEmail, "an email is a text"),
                (Some(Operator::Add | Operator::Subtract), _) => {
                    return refuse("/op", Code::OperatorNotAllowed, "an email is not a number");
                }
            };
            edits.push_email("/value", &email)?;
            return Ok((edits, FieldNumber::EMAIL));
        }
        let field = writable(fields, &self.field, "/field")?;
        let patch = match op {
            None => Patch::Clear,
            Some(op) if op != Operator::Overwrite && !field.kind.is_numeric() => {
                return refuse("/op", Code::OperatorNotAllowed, &format!("{} is not a number", field.name));
            }
            Some(op) => {
                let value = Value::from_json(field, &self.value);
                Patch::Set((op, value.map_err(|misfit| Error::at("/value", misfit.code, misfit.message))?))
            }
        };
        edits.push(field.number, &field.key, "/value".to_owned(), patch);
        Ok((edits, field.number))
    }
}

/// Where a page begins: at a change set of which so many entries were given.
#[derive(Clone, Copy)]
struct Begin {
    at: Place,
    given: usize,
}

impl Begin {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|number| number.parse::<i64>().ok().filter(|number| *number >= 0));
        let (first, second, third) = (numbers.next()??, numbers.next()??, numbers.next());
        let (at, given) = match third {
            None => (Place::Version(first), second),
            Some(given) => (Place::Set(Timestamp::from_microsecond(first).ok()?, second), given?),
        };
        numbers.next().is_none().then_some(Self { at, given: given as usize })
    }

    /// The place before which everything is that was given as a whole.
    fn just_before(self) -> Place {
        match self.at {
            Place::Version(version) => Place::Version(version.saturating_add(1)),
            Place::Set(at, number) => Place::Set(at, number.saturating_add(1)),
        }
    }
}

impl fmt::Display for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Place::Version(version) => write!(f, "{version}.{}", self.given),
            Place::Set(at, number) => write!(f, "{}.{number}.{}", at.as_microsecond(), self.given),
        }
    }
}

impl Engine {
    /// A page of the history of the caller's community.
    pub async fn history(&self, caller: &Caller, query: &HistoryQuery) -> Result<HistoryPage> {
        caller.require(Scope::HistoryRead)?;
        let fields = self.fields(caller.tenant).await?;
        let number = |key| fields.number_of(key).ok_or_else(|| EngineError::not_found("field"));
        let field = query.field.as_deref().map(number).transpose()?;
        let begin = query.cursor.as_deref().map(|text| {
            let begin =
                Begin::parse(text).filter(|begin| matches!(begin.at, Place::Version(_)) == query.user.is_some());
            begin.ok_or_else(|| EngineError::refuse(Code::InvalidRequest, "The cursor is not one of ours."))
        });
        let begin = begin.transpose()?;
        let (user, job) = (query.user, query.job);
        let before = begin.map(Begin::just_before);
        let filter = HistoryFilter { user, field, job, since: query.since, until: query.until, before };
        // Each set has an entry at least, but the one that the page before had begun to give.
        let mut connection = self.store().read().await?;
        let sets = connection.list_changes(caller.tenant, &filter, query.limit + 2, &fields).await?;
        let mut page = HistoryPage { entries: Vec::new(), next: None };
        for set in sets {
            let at = filter.place_of(&set);
            let skip = begin.filter(|begin| begin.at == at).map_or(0, |begin| begin.given);
            for (given, entry) in entries(set, field, &fields).into_iter().enumerate().skip(skip) {
                if page.entries.len() == query.limit as usize {
                    page.next = Some(Begin { at, given }.to_string());
                    return Ok(page);
                }
                page.entries.push(entry);
            }
        }
        Ok(page)
    }

    /// By how much a number of a user rose since a time, falls not counted; 0 for a field that is no number or not there.
    pub async fn earned_since(&self, caller: &Caller, user: UserId, field: &str, since: Timestamp) -> Result<Decimal> {
        caller.require(Scope::UsersRead)?;
        let fields = self.fields(caller.tenant).await?;
        let Some(number) = fields.number_of(field) else { return Ok(Decimal::ZERO) };
        let mut connection = self.store().read().await?;
        let (mut earned, mut before) = (Decimal::ZERO, None);
        loop {
            let filter = HistoryFilter {
                user: Some(user),
                field: Some(number),
                since: Some(since),
                before,
                ..HistoryFilter::default()
            };
            let sets = connection.list_changes(caller.tenant, &filter, EARNED_AT_ONCE, &fields).await?;
            let Some(last) = sets.last() else { return Ok(earned) };
            before = Some(filter.place_of(last));
            let changes = sets.iter().flat_map(|set| &set.changes).filter(|change| change.field == number);
            let rises = changes.filter_map(Change::ledger).map(|(delta, _)| delta).filter(Decimal::is_sign_positive);
            earned = rises.fold(earned, |sum, rise| sum.saturating_add(rise));
        }
    }

    /// Changes one field of a live user and gives the entry of the history that it made. Where the field held the value
    /// already nothing was made, and the entry is the last one of the field, if it has any.
    pub async fn make_change(&self, caller: &Caller, new: &NewChange) -> Result<MadeChange> {
        caller.require(Scope::UsersWrite)?;
        let one = |fields: &FieldSet| {
            Ok(OneChange {
                kind: JobKind::Update,
                key: Key::Id(new.user),
                edits: new.edits(fields)?.0,
                if_version: None,
            })
        };
        let ChangedUser { mut tx, user, status, fields } = self.change_user(caller, one).await?;
        let (before, field) = (Some(Place::Version(user.version + 1)), Some(new.edits(&fields)?.1));
        let filter = HistoryFilter { user: Some(new.user), field, before, ..HistoryFilter::default() };
        let set = tx.list_changes(caller.tenant, &filter, 1, &fields).await?.pop();
        caller.commit(tx).await?;
        let entry = set.and_then(|set| entries(set, field, &fields).pop());
        Ok(MadeChange { entry, changed: status == Status::Updated })
    }
}

/// The entries of a change set, those of one field or all.
fn entries(set: ChangeSet, field: Option<FieldNumber>, fields: &FieldSet) -> Vec<HistoryEntry> {
    let ChangeSet { user, line, commit, changes, .. } = set;
    let wanted = changes.into_iter().filter(|change| field.is_none_or(|field| change.field == field));
    let entry = |change: Change| {
        let field = fields.key_of(change.field).unwrap_or_default().to_owned();
        HistoryEntry { user, field, change, commit: commit.clone(), line }
    };
    wanted.map(entry).collect()
}
