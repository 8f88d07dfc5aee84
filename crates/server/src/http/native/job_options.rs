//! What can be said about a job when it is submitted, as query parameters or as parts of the form.

use crate::http::upload::{Door, invalid_option};
use crate::http::words;
use muster_core::Error;
use muster_core::error::excerpt;
use muster_core::job::JobKind;
use muster_engine::NewJob;
use std::borrow::Cow;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{RefOr, Required, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// Every option but `kind`, and what the document says about it.
const OPTIONS: [(&str, &str); 16] = [
    ("name", "The name of the job in the log; the name of the file if there is none."),
    ("dry_run", "`true` plans every row and writes nothing; the job ends `planned`, and can then be applied."),
    ("on_error", "`continue` (default), or `abort`: the job stops at the first row that fails."),
    ("max_failed", "The most rows that may fail; with more the job stops as `failed`."),
    ("max_affected", "The most users that may be changed; the job stops as `failed` before it changes more."),
    (
        "match_by",
        "What names the user: `email` (default), `id`, `external` (columns `source`, `source_id` and, optionally, \
         `identity_language`), or the key of a unique field.",
    ),
    ("mapping", "A JSON object: column → field, or null to skip the column."),
    ("unknown_columns", "`refuse` (default) or `ignore` columns that name nothing."),
    ("clear_token", "The cell that clears a value; `\\N` by default. An empty cell keeps it."),
    ("date_format", "How dates are written, such as `DD/MM/YYYY`; `YYYY-MM-DD` by default."),
    (
        "on_duplicate",
        "What is done with rows whose user stands in the file before: `apply_all` (default), `first`, `last`, `error`.",
    ),
    ("overdraft", "What a currency does that would fall below its minimum: `reject` (default), `clamp`, `allow`."),
    ("delimiter", "`,` `;` `|` or `tab`; detected if it is not given."),
    ("encoding", "`utf-8`, `utf-16le`, `utf-16be` or `windows-1252`; detected if it is not given."),
    ("sheet", "The sheet of a workbook: its name, or its number from 1; the first that is not hidden by default."),
    ("queue", "Jobs of one queue run strictly in order of submission."),
];

/// What this face wants to know.
pub fn door(command_bytes: usize) -> Door {
    Door { file_part: "file", set, kind_option: Some("kind"), command_bytes: Some(command_bytes), community_part: None }
}

/// Sets an option, or `kind`, `name` or `dry_run`.
pub fn set(new: &mut NewJob, name: &str, text: &str) -> Result<(), Error> {
    match name {
        "kind" => {
            let kind = JobKind::parse(text).filter(|kind| JobKind::SUBMITTED.contains(kind));
            new.kind = kind.ok_or_else(|| {
                let kinds: Vec<_> = JobKind::SUBMITTED.iter().map(|kind| kind.as_str()).collect();
                let message = format!("kind is one of {}, not \"{}\"", kinds.join(", "), excerpt(text));
                invalid_option(name, message)
            })?;
            Ok(())
        }
        "dry_run" => {
            let message = || invalid_option(name, format!("dry_run is true or false, not \"{}\"", excerpt(text)));
            new.dry_run = text.parse().map_err(|_| message())?;
            Ok(())
        }
        "name" => {
            text.clone_into(&mut new.name);
            Ok(())
        }
        name => new.options.set(name, text),
    }
}

/// The options as query parameters.
pub struct JobOptionParams;

impl IntoParams for JobOptionParams {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let kind = ("kind", "What is done with the users that the rows name.", words::submitted_job_kind());
        let options = OPTIONS.into_iter().map(|(name, about)| (name, about, words::text().build()));
        let parameter = |(name, about, schema)| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(about))
                .schema(Some(schema))
                .build()
        };
        std::iter::once(kind).chain(options).map(parameter).collect()
    }
}

/// The form: the file, and the options as parts.
pub struct JobForm;

impl PartialSchema for JobForm {
    fn schema() -> RefOr<Schema> {
        let form = words::form("file", "The file.").property("kind", words::submitted_job_kind());
        let options = OPTIONS.into_iter();
        options.fold(form, |form, (name, about)| form.property(name, words::text().description(Some(about)))).into()
    }
}

impl ToSchema for JobForm {
    fn name() -> Cow<'static, str> {
        "JobForm".into()
    }
}

/// A change by filter: every user who matches is changed in the same way.
#[derive(Debug, ToSchema)]
#[schema(as = Command)]
#[expect(dead_code, reason = "the engine reads commands; this says how they look")]
pub struct CommandBody {
    /// `update` (default) or `delete`.
    #[schema(default = "update")]
    kind: Option<String>,
    /// Whom it means, as in `POST /v1/users/query`; everybody is `{"all": true}`.
    #[schema(value_type = Object)]
    r#where: serde_json::Value,
    /// What each of them gets, by field key: a value, null to clear, or `{"op", "value"}`. Not for `delete`.
    #[schema(value_type = Option<Object>)]
    set: Option<serde_json::Value>,
    /// The options of the job: `name`, `dry_run`, `queue`, `overdraft`, `on_error`, `max_failed`, `max_affected`.
    #[schema(value_type = Option<Object>)]
    options: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::Code;

    #[test]
    fn every_documented_option_is_one() {
        let mut new = NewJob::new(JobKind::Update);
        for (name, _) in OPTIONS {
            let answer = set(&mut new, name, "?!").err().map(|error| error.detail);
            assert!(!answer.clone().unwrap_or_default().contains("no option"), "{name}: {answer:?}");
        }
        assert_eq!(set(&mut new, "kind", "x").unwrap_err().code, Code::InvalidOption);
        assert_eq!(set(&mut new, "colour", "x").unwrap_err().code, Code::InvalidOption);
    }
}
