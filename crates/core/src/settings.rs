//! What a community decides for itself: what strangers may send, and for how long things are kept.

use crate::error::{Code, Error, Fault};
use crate::patch::Patch;
use serde::{Deserialize, Serialize};

/// The most days that can be asked for: a hundred years.
pub const MOST_DAYS: u32 = 36_500;

/// What somebody without a key may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnonymousImport {
    /// Nothing.
    #[default]
    Off,
    /// Make users who do not exist.
    CreateOnly,
    /// Make users, and change those who exist.
    Upsert,
}

impl AnonymousImport {
    /// Every one, the default first.
    pub const ALL: &[Self] = &[Self::Off, Self::CreateOnly, Self::Upsert];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::CreateOnly => "create_only",
            Self::Upsert => "upsert",
        }
    }
}

/// For how many days things are kept after they are over; none: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetentionDays {
    /// Files that were sent, after the end of their job.
    pub files: Option<u32>,
    /// What became of the rows of a job, after its end.
    pub results: Option<u32>,
    /// Changes of users; what the users held before the first that is kept stays known.
    pub history: Option<u32>,
    /// Answers to requests with an idempotency key.
    pub idempotency_keys: u32,
    /// The log of what was sent to webhooks.
    pub deliveries: Option<u32>,
}

impl Default for RetentionDays {
    fn default() -> Self {
        Self { files: None, results: None, history: None, idempotency_keys: 1, deliveries: Some(30) }
    }
}

/// The settings of a community.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// What somebody without a key may do.
    pub anonymous_import: AnonymousImport,
    /// For how long things are kept.
    pub retention_days: RetentionDays,
}

/// What is to change about the settings. What is kept stays; what is cleared is kept for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettingsEdit {
    /// What somebody without a key may do.
    pub anonymous_import: Option<AnonymousImport>,
    /// Days of files.
    pub files: Patch<i64>,
    /// Days of results.
    pub results: Patch<i64>,
    /// Days of the history.
    pub history: Patch<i64>,
    /// Days of idempotency keys.
    pub idempotency_keys: Patch<i64>,
    /// Days of deliveries.
    pub deliveries: Patch<i64>,
}

impl Settings {
    /// The settings after an edit. Refuses with `invalid_option`, every fault with its pointer, where a number of days is
    /// not from 1 to [`MOST_DAYS`], and where files would go before the results that show them.
    pub fn edited(self, edit: &SettingsEdit) -> Result<Self, Error> {
        let mut faults = Vec::new();
        let mut next = self;
        next.anonymous_import = edit.anonymous_import.unwrap_or(self.anonymous_import);
        let days = &mut next.retention_days;
        let mut put = |name, held: &mut Option<u32>, patch: Patch<i64>| match patch {
            Patch::Keep => {}
            Patch::Clear => *held = None,
            Patch::Set(number) => match u32::try_from(number).ok().filter(|days| (1..=MOST_DAYS).contains(days)) {
                Some(number) => *held = Some(number),
                None => faults.push(fault(name, format!("days are a whole number from 1 to {MOST_DAYS}, or null"))),
            },
        };
        put("files", &mut days.files, edit.files);
        put("results", &mut days.results, edit.results);
        put("history", &mut days.history, edit.history);
        put("deliveries", &mut days.deliveries, edit.deliveries);
        let mut keys = Some(days.idempotency_keys);
        put("idempotency_keys", &mut keys, edit.idempotency_keys);
        match keys {
            Some(keys) => days.idempotency_keys = keys,
            None => faults.push(fault("idempotency_keys", "answers cannot be kept for ever; say how many days".into())),
        }
        let outlived = days.files.is_some_and(|files| days.results.is_none_or(|results| results > files));
        if outlived && faults.is_empty() {
            let message = "files live at least as long as results, which show their rows; shorten results too";
            faults.push(fault("files", message.to_owned()));
        }
        match faults.first() {
            None => Ok(next),
            Some(first) => {
                let detail = first.message.clone();
                Err(Error { errors: faults, ..Error::new(Code::InvalidOption, detail) })
            }
        }
    }
}

fn fault(name: &str, message: String) -> Fault {
    let pointer = Some(format!("/settings/retention_days/{name}"));
    Fault { column: None, pointer, code: Code::InvalidOption, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_outside_of_the_range_and_files_shorter_than_results_are_refused() {
        let refused = |edit: SettingsEdit| {
            let error = Settings::default().edited(&edit).unwrap_err();
            error.errors.iter().filter_map(|fault| fault.pointer.clone()).collect::<Vec<_>>().join(" ")
        };
        let at = |name| format!("/settings/retention_days/{name}");
        for wrong in [0, -1, i64::from(MOST_DAYS) + 1, i64::MAX, i64::MIN] {
            assert_eq!(refused(SettingsEdit { results: Patch::Set(wrong), ..SettingsEdit::default() }), at("results"));
        }
        assert_eq!(refused(SettingsEdit { files: Patch::Set(9), ..SettingsEdit::default() }), at("files"));
        let longer = SettingsEdit { files: Patch::Set(9), results: Patch::Set(10), ..SettingsEdit::default() };
        assert_eq!(refused(longer), at("files"));
        let never = SettingsEdit { idempotency_keys: Patch::Clear, ..SettingsEdit::default() };
        assert_eq!(refused(never), at("idempotency_keys"));
    }

    #[test]
    fn what_is_absent_stays_and_null_is_for_ever() {
        let edit = SettingsEdit { files: Patch::Set(9), results: Patch::Set(9), ..SettingsEdit::default() };
        let held = Settings::default().edited(&edit).unwrap();
        assert_eq!((held.retention_days.files, held.retention_days.deliveries), (Some(9), Some(30)));
        assert_eq!(held.edited(&SettingsEdit::default()).unwrap(), held);
        let held = held.edited(&SettingsEdit { files: Patch::Clear, ..SettingsEdit::default() }).unwrap();
        assert_eq!((held.retention_days.files, held.retention_days.results), (None, Some(9)));
        let stored = serde_json::to_string(&held).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&stored).unwrap(), held);
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    }
}
