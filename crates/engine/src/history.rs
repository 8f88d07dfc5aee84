//! What happened to users: who changed what, when, and why.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use muster_core::Code;
use muster_core::field::FieldSet;
use muster_core::id::{JobId, UserId};
use muster_core::scope::Scope;
use muster_core::user::Change;
use muster_store::{CommitInfo, HistoryFilter};

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
    pub since: Option<jiff::Timestamp>,
    /// Only before this time.
    pub until: Option<jiff::Timestamp>,
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

/// A place in the history: a change set, and how many of its entries were given.
struct Place {
    at: i64,
    given: usize,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let (at, given) = text.split_once('.')?;
        Some(Self { at: at.parse().ok()?, given: given.parse().ok()? })
    }
}

impl Engine {
    /// A page of the history of the caller's community.
    pub async fn history(&self, caller: &Caller, query: &HistoryQuery) -> Result<HistoryPage> {
        caller.require(Scope::HistoryRead)?;
        let fields = self.fields(caller.tenant).await?;
        let field =
            query.field.as_deref().map(|key| fields.number_of(key).ok_or_else(|| EngineError::not_found("field")));
        let field = field.transpose()?;
        let begin = query.cursor.as_deref().map(|text| {
            Place::parse(text)
                .ok_or_else(|| EngineError::refuse(Code::InvalidRequest, "The cursor is not one of ours."))
        });
        let mut place = begin.transpose()?;
        let mut page = HistoryPage { entries: Vec::new(), next: None };
        let mut connection = self.store().read().await?;
        loop {
            let filter = HistoryFilter {
                user: query.user,
                field,
                job: query.job,
                since: query.since,
                until: query.until,
                // A set of which some entries were given is looked at again.
                before: place.as_ref().map(|place| place.at.saturating_add(i64::from(place.given > 0))),
            };
            let sets = connection.list_changes(caller.tenant, &filter, query.limit + 1, &fields).await?;
            let full = sets.len() > query.limit as usize;
            for set in sets {
                let at = if query.user.is_some() { set.version } else { set.seq };
                let skip = place.as_ref().filter(|place| place.at == at).map_or(0, |place| place.given);
                let wanted = set.changes.into_iter().filter(|change| field.is_none_or(|field| change.field == field));
                for (given, change) in wanted.enumerate().skip(skip) {
                    if page.entries.len() == query.limit as usize {
                        page.next = Some(match given {
                            0 => format!("{}.0", at + 1),
                            given => format!("{at}.{given}"),
                        });
                        return Ok(page);
                    }
                    let field = key(&fields, &change);
                    page.entries.push(HistoryEntry {
                        user: set.user,
                        field,
                        change,
                        commit: set.commit.clone(),
                        line: set.line,
                    });
                }
                place = Some(Place { at, given: 0 });
            }
            if !full {
                return Ok(page);
            }
        }
    }
}

fn key(fields: &FieldSet, change: &Change) -> String {
    fields.key_of(change.field).unwrap_or_default().to_owned()
}
