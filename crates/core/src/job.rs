//! Jobs: their kinds, states, options and counts.

use crate::error::{Code, Error};
use crate::scope::Scope;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every one, the default first.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The one of exactly this name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a job does with the users its rows name.
    JobKind {
        /// Changes users who exist, never makes one.
        Update = "update",
        /// Changes users who exist and makes the others.
        Import = "import",
        /// Makes users; one who exists fails its row.
        Create = "create",
        /// Deletes users; they keep everything and match nothing.
        Delete = "delete",
        /// Brings deleted users back, with their values and their history.
        Restore = "restore",
        /// Takes back what another job did.
        Undo = "undo",
        /// Takes away for good what is known about one user.
        Erase = "erase",
    }
}

impl JobKind {
    /// The kinds that somebody can submit; the others come from jobs and from users.
    pub const SUBMITTED: &[Self] = &[Self::Update, Self::Import, Self::Create, Self::Delete, Self::Restore];

    /// The scope that submitting such a job needs, and acting on one.
    pub fn scope(self) -> Scope {
        match self {
            Self::Update => Scope::BulkUpdate,
            Self::Import | Self::Create => Scope::BulkImport,
            Self::Delete | Self::Restore => Scope::BulkDelete,
            Self::Undo => Scope::BulkUndo,
            Self::Erase => Scope::UsersDelete,
        }
    }

    /// Whether keys that name nobody make users.
    pub fn creates(self) -> bool {
        match self {
            Self::Import | Self::Create => true,
            Self::Update | Self::Delete | Self::Restore | Self::Undo | Self::Erase => false,
        }
    }
}

words! {
    /// Where a job stands. [`JobState::may_become`] is the table of what can follow.
    JobState {
        /// Accepted and durable; nobody has begun.
        Queued = "queued",
        /// A worker prepares or applies it, or will again after a crash.
        Running = "running",
        /// Stopped between two chunks until somebody resumes it.
        Paused = "paused",
        /// Every row has its outcome.
        Completed = "completed",
        /// Every row is planned and nothing was written: a dry run that ended.
        Planned = "planned",
        /// Ended by an error; what was applied before stays and is reported.
        Failed = "failed",
        /// Ended by somebody; what was applied before stays and is reported.
        Cancelled = "cancelled",
    }
}

impl JobState {
    /// Whether the job has ended for good.
    pub fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Planned | Self::Failed | Self::Cancelled => true,
            Self::Queued | Self::Running | Self::Paused => false,
        }
    }

    /// Whether this state can be followed by that one.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Running | Self::Paused | Self::Cancelled | Self::Failed),
            Self::Running => next != Self::Queued && next != Self::Running,
            Self::Paused => matches!(next, Self::Queued | Self::Running | Self::Cancelled | Self::Failed),
            Self::Completed | Self::Planned | Self::Failed | Self::Cancelled => false,
        }
    }
}

words! {
    /// What is done with columns that name nothing.
    UnknownColumns {
        /// The file is refused.
        Refuse = "refuse",
        /// They are passed over.
        Ignore = "ignore",
    }
}

words! {
    /// What is done where a key occurs again in the file.
    OnDuplicate {
        /// Every row is applied, in the order of the file.
        ApplyAll = "apply_all",
        /// The first row is applied, later ones are skipped.
        First = "first",
        /// The last row is applied, earlier ones are skipped.
        Last = "last",
        /// The first row is applied, later ones fail.
        Error = "error",
    }
}

words! {
    /// What a currency does that would fall below its minimum.
    Overdraft {
        /// The row fails.
        Reject = "reject",
        /// The currency stops at its minimum.
        Clamp = "clamp",
        /// The currency falls.
        Allow = "allow",
    }
}

words! {
    /// What happens to the rows after one that fails.
    OnError {
        /// They go on.
        Continue = "continue",
        /// The job stops there.
        Abort = "abort",
    }
}

words! {
    /// How a job comes from another one.
    Relation {
        /// It does what the other planned.
        Apply = "apply",
        /// It takes back what the other did.
        Undo = "undo",
        /// It does again what the other could not do.
        Retry = "retry",
    }
}

/// What names the user in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum MatchBy {
    /// The email.
    #[default]
    Email,
    /// The user's id.
    Id,
    /// An identity in another system: the columns `source`, `source_id` and, optionally, `identity_language`.
    External,
    /// The unique field of this key.
    Field(String),
}

impl MatchBy {
    /// The name of the key, which is also the name of its column, but for [`MatchBy::External`].
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email => "email",
            Self::Id => "id",
            Self::External => "external",
            Self::Field(key) => key,
        }
    }
}

impl From<String> for MatchBy {
    fn from(text: String) -> Self {
        match text.as_str() {
            "email" => Self::Email,
            "id" => Self::Id,
            "external" => Self::External,
            _ => Self::Field(text),
        }
    }
}

impl From<MatchBy> for String {
    fn from(match_by: MatchBy) -> Self {
        match_by.as_str().to_owned()
    }
}

/// The options of a job, as sections 4 and 5 of the contract name them. What was not given is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobOptions {
    /// What names the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_by: Option<MatchBy>,
    /// Column → field, or null to skip the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<BTreeMap<String, Option<String>>>,
    /// What is done with columns that name nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_columns: Option<UnknownColumns>,
    /// The cell that clears a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear_token: Option<String>,
    /// How dates are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_format: Option<String>,
    /// What is done with a key that occurs again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_duplicate: Option<OnDuplicate>,
    /// What is done with a currency that would fall below its minimum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdraft: Option<Overdraft>,
    /// The delimiter: one of `,` `;` tab `|`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// The encoding: `utf-8`, `utf-16le`, `utf-16be`, `windows-1252`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// The sheet of a workbook: its name, or its number from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Jobs of one queue run strictly in order of submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// What happens to the rows after one that fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// The most rows that may fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failed: Option<u64>,
    /// The most users that may be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_affected: Option<u64>,
}

/// The cell that clears a value where no other was asked for.
pub const DEFAULT_CLEAR_TOKEN: &str = "\\N";

impl JobOptions {
    /// Sets one option from its text, as a query parameter, a form part or the command line gives it.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), Error> {
        fn word<T: Copy>(name: &str, text: &str, all: &[T], as_str: fn(T) -> &'static str) -> Result<Option<T>, Error> {
            let found = all.iter().copied().find(|value| as_str(*value) == text);
            let names: Vec<_> = all.iter().map(|value| as_str(*value)).collect();
            found.map(Some).ok_or_else(|| {
                invalid(name, format!("{name} is one of {}, not \"{}\"", names.join(", "), crate::error::excerpt(text)))
            })
        }
        let count = |name, text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.then(|| text.parse().ok()).flatten();
            number.ok_or_else(|| {
                invalid(name, format!("{name} is a whole number, not \"{}\"", crate::error::excerpt(text)))
            })
        };
        match name {
            "match_by" if is_name(text, 100) => self.match_by = Some(MatchBy::from(text.to_owned())),
            "match_by" => {
                return Err(invalid(name, "match_by is email, id, external or the key of a unique field".into()));
            }
            "on_error" => self.on_error = word(name, text, OnError::ALL, OnError::as_str)?,
            "max_failed" => self.max_failed = Some(count(name, text)?),
            "max_affected" => self.max_affected = Some(count(name, text)?),
            "unknown_columns" => self.unknown_columns = word(name, text, UnknownColumns::ALL, UnknownColumns::as_str)?,
            "on_duplicate" => self.on_duplicate = word(name, text, OnDuplicate::ALL, OnDuplicate::as_str)?,
            "overdraft" => self.overdraft = word(name, text, Overdraft::ALL, Overdraft::as_str)?,
            "mapping" => {
                let mapping = serde_json::from_str(text);
                self.mapping = Some(mapping.map_err(|_| {
                    invalid(name, "mapping is a JSON object: column → field, or null to skip the column".into())
                })?);
            }
            "clear_token" if !text.is_empty() => self.clear_token = Some(text.to_owned()),
            "clear_token" => {
                return Err(invalid(name, "clear_token is not empty: an empty cell keeps the value".into()));
            }
            "date_format" => {
                crate::value::DateFormat::parse(text).ok_or_else(|| {
                    invalid(name, "date_format names day, month and year, such as DD/MM/YYYY or %d.%m.%Y".into())
                })?;
                self.date_format = Some(text.to_owned());
            }
            "delimiter" => {
                let known = [",", ";", "\t", "|"].contains(&text) || text == "tab";
                let delimiter = known.then(|| text.replace("tab", "\t"));
                self.delimiter =
                    Some(delimiter.ok_or_else(|| invalid(name, "delimiter is one of , ; | and tab".into()))?);
            }
            "encoding" => {
                let encoding = text.to_ascii_lowercase();
                if !["utf-8", "utf-16le", "utf-16be", "windows-1252"].contains(&encoding.as_str()) {
                    let message = "encoding is one of utf-8, utf-16le, utf-16be, windows-1252";
                    return Err(invalid(name, message.into()));
                }
                self.encoding = Some(encoding);
            }
            "sheet" if is_name(text, 100) => self.sheet = Some(text.to_owned()),
            "sheet" => return Err(invalid(name, "sheet is the name of a sheet, or its number from 1".into())),
            "queue" if is_name(text, 100) => self.queue = Some(text.to_owned()),
            "queue" => return Err(invalid(name, "queue is a name of 1 to 100 visible characters".into())),
            _ => {
                return Err(invalid(name, format!("there is no option \"{}\"", crate::error::excerpt(name))));
            }
        }
        Ok(())
    }
}

/// The most characters of the name of a job.
pub const MAX_JOB_NAME_CHARS: usize = 200;

/// Whether a text can name something: not empty, not longer than this many characters, and without control characters.
pub fn is_name(text: &str, most: usize) -> bool {
    !text.is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
}

fn invalid(name: &str, message: String) -> Error {
    Error::at(format!("/{name}"), Code::InvalidOption, message)
}

/// How many rows ended how. `received` is the sum of the others and of what is not decided yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Rows read so far; final once preparing ends.
    pub received: u64,
    /// Users made.
    pub created: u64,
    /// Rows that changed a user.
    pub updated: u64,
    /// Rows that said what was so already.
    pub unchanged: u64,
    /// Rows that were not applied on purpose.
    pub skipped: u64,
    /// Rows with an error.
    pub failed: u64,
}

impl Counts {
    /// Rows that have an outcome.
    pub fn decided(&self) -> u64 {
        self.created + self.updated + self.unchanged + self.skipped + self.failed
    }

    /// Rows without an outcome: not reached yet, or not any more.
    pub fn unprocessed(&self) -> u64 {
        self.received.saturating_sub(self.decided())
    }

    /// Counts one outcome.
    pub fn count(&mut self, status: crate::outcome::Status) {
        use crate::outcome::Status;
        match status {
            Status::Created => self.created += 1,
            Status::Updated => self.updated += 1,
            Status::Unchanged => self.unchanged += 1,
            Status::Skipped => self.skipped += 1,
            Status::Failed => self.failed += 1,
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.received += more.received;
        self.created += more.created;
        self.updated += more.updated;
        self.unchanged += more.unchanged;
        self.skipped += more.skipped;
        self.failed += more.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_states_stay_and_every_open_one_can_be_left() {
        for state in JobState::ALL {
            let next = JobState::ALL.iter().filter(|next| state.may_become(**next)).count();
            assert_eq!(next == 0, state.is_final(), "{state}");
            assert!(!state.may_become(*state), "{state}");
        }
    }

    #[test]
    fn options_are_read_from_text_or_refused_by_name() {
        let mut options = JobOptions::default();
        for (name, text) in [
            ("match_by", "id"),
            ("max_failed", "0"),
            ("overdraft", "clamp"),
            ("delimiter", "tab"),
            ("mapping", "{\"A\":null}"),
        ] {
            options.set(name, text).unwrap();
        }
        assert_eq!(options.delimiter.as_deref(), Some("\t"));
        assert_eq!(serde_json::from_str::<JobOptions>(&serde_json::to_string(&options).unwrap()).unwrap(), options);
        for (name, text) in [
            ("overdraft", "Clamp"),
            ("mapping", "[]"),
            ("clear_token", ""),
            ("date_format", "x"),
            ("colour", "red"),
            ("max_failed", "-1"),
        ] {
            assert_eq!(options.set(name, text).unwrap_err().code, Code::InvalidOption, "{name}");
        }
    }
}
