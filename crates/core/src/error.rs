//! The catalogue of errors: every code the product says, what kind it is, and what helps against it.
//!
//! * [`Error`] refuses a request or ends a job; it knows no HTTP beyond the status its code stands for.
//! * [`RowError`] fails one row and is kept with the row's outcome.
//!
//! Both are public: what they say may be shown to whoever sent the request. What must not be shown (SQL, paths,
//! causes) travels as a source in the errors of the store and the engine and ends in the log.

use crate::id::JobId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a code can occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers a request; nothing was done.
    Request,
    /// Refuses a whole file before a job exists, or ends a job before it has written anything.
    File,
    /// Ends a job that had begun.
    Job,
    /// Fails or skips one row; the other rows go on.
    Row,
}

macro_rules! catalogue {
    ($($variant:ident $text:literal $kind:ident $status:literal $help:literal;)+) => {
        /// A stable, machine-readable code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $help] $variant),+ }

        impl Code {
            /// Every code, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Where it occurs.
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind),+ }
            }

            /// The HTTP status that answers a request with it. Codes of rows and jobs have the status they get where
            /// a single change is refused for the same reason.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// One line of help.
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),+ }
            }
        }

        impl std::str::FromStr for Code {
            type Err = UnknownCode;
            fn from_str(text: &str) -> Result<Self, UnknownCode> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(UnknownCode) }
            }
        }
    };
}

/// The catalogue has no such code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such error code")]
pub struct UnknownCode;

catalogue! {
    // Requests
    InvalidRequest "invalid_request" Request 400 "The request is not well formed; the detail names the part that is wrong.";
    InvalidOption "invalid_option" Row 400 "The value is none of those that are allowed here.";
    InvalidFilter "invalid_filter" Request 400 "The filter is not well formed; the pointer names the part, the detail what may stand there.";
    InvalidLookupKey "invalid_lookup_key" Request 400 "Users are looked up by id or sourceId, attributes by id or name.";
    InvalidUrl "invalid_url" Request 400 "Webhooks go to http and https addresses of the public internet, on the ports that the server allows.";
    Unauthorized "unauthorized" Request 401 "Send a valid key: Authorization: Bearer KEY.";
    MissingScope "missing_scope" Request 403 "The key lacks the scope that the detail names; create a key that has it.";
    ScopeEscalation "scope_escalation" Request 403 "A key cannot grant a scope that it does not have.";
    NotFound "not_found" Request 404 "There is no such object in this community.";
    MethodNotAllowed "method_not_allowed" Request 405 "The address exists, with another method.";
    InvalidState "invalid_state" Request 409 "The job's state does not allow this any more.";
    JobNotFinished "job_not_finished" Request 409 "The job has not ended yet; wait for it or cancel it.";
    HistoryExpired "history_expired" Request 409 "The history that this needs is over its time and gone.";
    AlreadyApplied "already_applied" Request 409 "The plan was applied already; the detail names the job.";
    AlreadyUndone "already_undone" Request 409 "The job was undone already; the detail names the job that did it.";
    AlreadyRetried "already_retried" Request 409 "The job was retried already; the detail names the job that did it.";
    PlanOutdated "plan_outdated" Request 409 "Fields that the plan names have changed since; make a new dry run.";
    TooManyWebhooks "too_many_webhooks" Request 409 "The community has as many webhooks as it may have; delete one.";
    WebhookDisabled "webhook_disabled" Request 409 "Nothing is sent to a webhook that is disabled; enable it first.";
    FieldExists "field_exists" Request 409 "A field with this name or key exists; names and keys share one space.";
    BuiltInField "built_in_field" Request 409 "Fields that came with the product keep their name, type and options, and stay; make a field of your own.";
    FieldArchived "field_archived" Request 409 "The field is archived; restore it first.";
    FieldInUse "field_in_use" Request 409 "An open job names the field, or may; wait for it or cancel it.";
    ValuesDoNotFit "values_do_not_fit" Request 409 "Users have values that the field could not hold then; the errors name the first of them. Change those first.";
    IdempotencyKeyRunning "idempotency_key_running" Request 409 "A request with the same Idempotency-Key still runs; send the same again in a moment.";
    IdempotencyKeyInUse "idempotency_key_in_use" Request 409 "Another API key of the community uses the same Idempotency-Key; choose another one.";
    FileErased "file_erased" Request 410 "The file of the job is gone: it held somebody who was erased, or its time was over.";
    ResultsExpired "results_expired" Request 410 "What became of the rows of the job is gone: its time was over. The counts stay.";
    VersionMismatch "version_mismatch" Request 412 "The user changed since you read it; read it again.";
    BodyTooLarge "body_too_large" Request 413 "The JSON body is larger than this server accepts.";
    UnsupportedMediaType "unsupported_media_type" Request 415 "Send one of the content types that the documentation names for this address.";
    IdempotencyKeyReused "idempotency_key_reused" Request 422 "The Idempotency-Key was used for another request; a new request needs a new one.";
    TooManyRecords "too_many_records" Request 413 "The request has more records than are answered at once; split it, or send a file.";
    RateLimited "rate_limited" Request 429 "Too many requests; wait as long as Retry-After says.";
    TooManyJobs "too_many_jobs" Request 429 "The community has too many open jobs; wait until some have ended.";
    Internal "internal" Request 500 "Something failed on our side; the server's log has the cause under the request id.";
    Unavailable "unavailable" Request 503 "The database or the staging area cannot be reached; try again.";
    StillRunning "still_running" Request 503 "The job goes on and takes longer than a request may wait; send the same request with the same Idempotency-Key again, or look at the job.";
    StorageFull "storage_full" Request 507 "The server's disk is full; nothing was accepted.";

    // Whole files
    NoFile "no_file" File 400 "Send the file as the body, or as the part that the documentation names.";
    EmptyFile "empty_file" File 400 "The file has no bytes.";
    MissingHeader "missing_header" File 400 "The first line must name the columns.";
    MissingKeyColumn "missing_key_column" File 400 "Add the column that names the user.";
    UnknownColumn "unknown_column" File 400 "Rename the column, create the field, or send unknown_columns=ignore.";
    DuplicateColumn "duplicate_column" File 400 "Two columns name the same field; remove one.";
    TooManyColumns "too_many_columns" File 400 "A file may have at most 1,000 columns.";
    OperatorNotAllowed "operator_not_allowed" File 400 "Only numeric fields take an operator column.";
    ReadOnlyField "read_only_field" File 400 "This column cannot be written.";
    UnsupportedFormat "unsupported_format" File 415 "Send CSV, TSV, NDJSON, a JSON array or XLSX, plain or compressed with gzip or zstd.";
    FileTooLarge "file_too_large" File 413 "The file is larger than this server accepts; split it.";
    UnclosedQuote "unclosed_quote" File 400 "A quoted cell is never closed; the file is cut off or a quote is not doubled.";
    MalformedJson "malformed_json" File 400 "The JSON array is cut off or not well formed; send NDJSON to have only single rows fail.";
    CorruptArchive "corrupt_archive" File 400 "The compressed file or the workbook is damaged or cut off.";
    ArchiveTooLarge "archive_too_large" File 413 "The file expands to more than this server accepts.";

    // Jobs
    Aborted "aborted" Job 409 "A row failed and on_error=abort stops the job there; mend the row and send the file again, or retry.";
    TooManyFailures "too_many_failures" Job 409 "More rows failed than max_failed allows.";
    TooManyAffected "too_many_affected" Job 409 "More users would have been changed than max_affected allows.";
    WorkerCrashed "worker_crashed" Job 500 "The job was tried several times without progress; the server's log has the cause.";

    // Rows
    MissingKey "missing_key" Row 400 "The cell that names the user is empty.";
    InvalidEmail "invalid_email" Row 400 "This cannot be an email address.";
    InvalidId "invalid_id" Row 400 "A user id is a positive whole number.";
    UserNotFound "user_not_found" Row 404 "No user of the community has this key; kind=import creates users.";
    UserExists "user_exists" Row 409 "A user has this key already; kind=import changes users who exist.";
    AmbiguousMatch "ambiguous_match" Row 409 "What names the user names more than one; say the language too, or use match_by=id.";
    InvalidIdentity "invalid_identity" Row 400 "A source and a source_id have 1 to 200 characters, none of them a control character.";
    InvalidNumber "invalid_number" Row 400 "Write digits with an optional sign, and a point before decimals.";
    InvalidBoolean "invalid_boolean" Row 400 "Write true or false, yes or no, 1 or 0.";
    InvalidDate "invalid_date" Row 400 "Write dates as YYYY-MM-DD, or say how with date_format.";
    InvalidDatetime "invalid_datetime" Row 400 "Write times as RFC 3339, such as 2026-01-31T09:30:00Z.";
    InvalidJson "invalid_json" Row 400 "The cell must hold one JSON value, the record one JSON object.";
    InvalidText "invalid_text" Row 400 "The field holds text; write a JSON string.";
    UnknownField "unknown_field" Row 400 "No field has this key; create it, or leave it out.";
    CellError "cell_error" Row 400 "The cell holds an error of the spreadsheet; mend the formula.";
    TooLong "too_long" Row 400 "The text is longer than the field allows.";
    CellTooLong "cell_too_long" Row 400 "A cell may have at most 64 KiB.";
    RecordTooLong "record_too_long" Row 400 "A JSON record may have at most 8 MiB.";
    OutOfRange "out_of_range" Row 400 "The number is outside of what the field or exact arithmetic allows.";
    InvalidOperator "invalid_operator" Row 400 "Operators are add, subtract and overwrite, in lower case.";
    OperatorWithoutValue "operator_without_value" Row 400 "There is an operator and no value for it.";
    InsufficientBalance "insufficient_balance" Row 409 "The currency would fall below its minimum; see the option overdraft.";
    DuplicateInFile "duplicate_in_file" Row 409 "The same user stands in the file more than once; see the option on_duplicate.";
    ColumnCountMismatch "column_count_mismatch" Row 400 "The row has not as many cells as the header.";
    MalformedQuote "malformed_quote" Row 400 "A cell goes on after its closing quote; write a quote inside a quoted cell twice.";
    InvalidEncoding "invalid_encoding" Row 400 "The row has bytes that are not valid in the file's encoding.";
    NulCharacter "nul_character" Row 400 "The row has a NUL character.";
    RequiredField "required_field" Row 400 "The field must have a value.";
    NotUnique "not_unique" Row 409 "Another user has this value, or an earlier row of the file takes it.";
    NoLongerMatches "no_longer_matches" Row 409 "The user does not match the filter any more, so it was left alone.";
    ChangedSincePlan "changed_since_plan" Row 409 "The user changed after the dry run; make a new one.";
    ChangedSinceJob "changed_since_job" Row 409 "Somebody changed this after the job, so it was kept.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One fault among several of the same request or file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The column, where the fault is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The place in a JSON body (RFC 6901), where the fault is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What is wrong.
    pub code: Code,
    /// A sentence for people.
    pub message: String,
}

/// A request refused, or a job ended: the code, a sentence, and all faults where there are several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    /// The stable code.
    pub code: Code,
    /// A sentence for people.
    pub detail: String,
    /// Every fault that was found, where a list helps to mend them all at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
    /// The job that it is about, where that is not the one that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
}

impl Error {
    /// An error of one sentence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), job_id: None }
    }

    /// An error about one member of a JSON body.
    pub fn at(pointer: impl Into<String>, code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        let fault = Fault { column: None, pointer: Some(pointer.into()), code, message: message.clone() };
        Self { code, detail: message, errors: vec![fault], job_id: None }
    }

    /// Refuses if there are any, with what the first of them says and the faults of all.
    pub fn all(errors: Vec<Self>) -> Result<(), Self> {
        let faults = errors.iter().flat_map(|error| error.errors.clone()).collect();
        match errors.into_iter().next() {
            Some(first) => Err(Self { errors: faults, ..first }),
            None => Ok(()),
        }
    }
}

/// Why one row failed, with its address. Reads as a sentence:
/// `line 41, column Points: "12,5" is not a whole number`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowError {
    /// The stable code.
    pub code: Code,
    /// The column as the file's header writes it, where one column is to blame.
    pub column: Option<String>,
    /// The value to blame, cut to a length that can be shown.
    pub value: Option<String>,
    /// The sentence without its address.
    pub message: String,
}

impl RowError {
    /// An error of the row as a whole.
    pub fn row(code: Code, message: impl Into<String>) -> Self {
        Self { code, column: None, value: None, message: message.into() }
    }

    /// An error of one cell.
    pub fn cell(code: Code, column: &str, value: &str, message: impl Into<String>) -> Self {
        Self { code, column: Some(column.to_owned()), value: Some(excerpt(value)), message: message.into() }
    }

    /// The whole sentence, with the line (0: the row has none).
    pub fn sentence(&self, line: u64) -> String {
        match (&self.column, line) {
            (Some(column), 0) => format!("{column}: {}", self.message),
            (None, 0) => self.message.clone(),
            (Some(column), line) => format!("line {line}, column {column}: {}", self.message),
            (None, line) => format!("line {line}: {}", self.message),
        }
    }
}

/// A value shortened to what fits a sentence: at most 60 characters, control characters shown as spaces.
pub fn excerpt(value: &str) -> String {
    let mut chars = value.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = chars.by_ref().take(60).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
            assert!(code.help().ends_with('.'), "{code}");
        }
    }

    #[test]
    fn a_row_error_reads_as_a_sentence_with_its_address() {
        let error = RowError::cell(Code::InvalidNumber, "Points", "12,5", "\"12,5\" is not a whole number");
        assert_eq!(error.sentence(41), "line 41, column Points: \"12,5\" is not a whole number");
        assert_eq!(RowError::row(Code::MissingKey, "no email").sentence(2), "line 2: no email");
        assert_eq!(excerpt(&"x".repeat(100)).chars().count(), 61);
    }
}
