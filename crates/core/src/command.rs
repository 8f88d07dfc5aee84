//! A change by filter: `{"kind","where":{filter},"set":{field: value},"options":{}}` changes every user that the filter
//! matches in the same way.

use crate::error::{Code, Error, excerpt};
use crate::field::FieldSet;
use crate::filter::{Filter, unknown_field};
use crate::job::{DEFAULT_CLEAR_TOKEN, JobKind, JobOptions};
use crate::json;
use crate::plan::{Edit, EditPatch};
use crate::user::Operator;
use crate::value::patch_from_json;
use serde_json::{Map, Value as Json};

/// Options that say how a file is read, and mean nothing without one.
const OF_FILES: &[&str] = &[
    "match_by",
    "mapping",
    "unknown_columns",
    "clear_token",
    "date_format",
    "on_duplicate",
    "sheet",
    "delimiter",
    "encoding",
];

/// What is to be done with whom, read and checked against the fields of a community.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What the job does.
    pub kind: JobKind,
    /// Its name in the log, if it was given one.
    pub name: Option<String>,
    /// Whom it means; never empty, see [`Filter::required`].
    pub filter: Filter,
    /// What becomes of each of them, in the order in which it was written; nothing where they are deleted.
    pub edits: Vec<Edit>,
    /// The name of what each edit changes: where a file has its columns.
    pub columns: Vec<String>,
    /// Whether it only plans.
    pub dry_run: bool,
    /// The options of the job.
    pub options: JobOptions,
}

impl Command {
    /// Reads the JSON text of a command. Every refusal names its place: `/where/points/gte`, `/set/city`, `/options/queue`.
    ///
    /// Codes: those of [`Filter::read`] and of values, `unknown_field`, `operator_not_allowed`, `invalid_option` for
    /// `kind` and options, and `invalid_request` for the rest.
    pub fn read(text: &str, fields: &FieldSet) -> Result<Self, Error> {
        let command = json::read(text, "")?;
        let members = command.as_object().ok_or_else(|| invalid("", "a command is an object"))?;
        if let Some(key) = members.keys().find(|key| !["kind", "where", "set", "options"].contains(&key.as_str())) {
            let message = format!("a command has kind, where, set and options, and no \"{}\"", excerpt(key));
            return Err(invalid(&json::below("", key), message));
        }
        let kind = kind(members.get("kind"))?;
        let filter = Filter::required(members.get("where"), "/where", fields)?;
        let (edits, columns) = match kind {
            JobKind::Delete if members.contains_key("set") => {
                return Err(invalid("/set", "who is deleted keeps everything as it is; leave set out"));
            }
            JobKind::Delete => (Vec::new(), Vec::new()),
            JobKind::Update | JobKind::Import | JobKind::Create | JobKind::Restore | JobKind::Undo | JobKind::Erase => {
                edits(members.get("set"), fields)?
            }
        };
        let (name, dry_run, options) = (None, false, JobOptions::default());
        let mut read = Self { kind, name, filter, edits, columns, dry_run, options };
        for (name, json) in object(members.get("options"), "/options")?.into_iter().flatten() {
            read.set_option(name, json)?;
        }
        Ok(read)
    }

    /// The columns in which results show what is done: the id, and what each edit says, with its operator where it has one.
    /// And the cells that are the same for every user.
    pub fn cells(&self) -> (Vec<String>, Vec<String>) {
        let (mut header, mut cells) = (vec!["id".to_owned()], Vec::new());
        for edit in &self.edits {
            let name = self.columns.get(usize::from(edit.column)).map_or("", String::as_str);
            header.push(name.to_owned());
            match &edit.patch {
                EditPatch::Clear => cells.push(DEFAULT_CLEAR_TOKEN.to_owned()),
                EditPatch::Set(Operator::Overwrite, value) | EditPatch::SetIfEmpty(Operator::Overwrite, value) => {
                    cells.push(value.to_string())
                }
                EditPatch::Set(operator, value) | EditPatch::SetIfEmpty(operator, value) => {
                    header.push(format!("{name}_op"));
                    cells.extend([value.to_string(), operator.as_str().to_owned()]);
                }
            }
        }
        (header, cells)
    }

    fn set_option(&mut self, name: &str, json: &Json) -> Result<(), Error> {
        let pointer = json::below("/options", name);
        let invalid = |message: String| Error::at(&*pointer, Code::InvalidOption, message);
        if OF_FILES.contains(&name) {
            return Err(invalid(format!("{name} is an option for files")));
        }
        let text = match json {
            Json::String(text) => text.clone(),
            Json::Bool(_) | Json::Number(_) => json.to_string(),
            Json::Null => return Ok(()),
            Json::Array(_) | Json::Object(_) => {
                return Err(invalid(format!("{name} is a text, a number or a boolean")));
            }
        };
        match name {
            "name" => self.name = Some(text),
            "dry_run" => {
                self.dry_run = text.parse().map_err(|_| invalid("dry_run is true or false".to_owned()))?;
            }
            name => self.options.set(name, &text).map_err(|error| Error::at(&*pointer, error.code, error.detail))?,
        }
        Ok(())
    }
}

fn invalid(pointer: &str, message: impl Into<String>) -> Error {
    Error::at(pointer, Code::InvalidRequest, message)
}

/// A change by filter never makes a user, so an import cannot be one.
fn kind(json: Option<&Json>) -> Result<JobKind, Error> {
    let refuse = |message: String| Error::at("/kind", Code::InvalidOption, message);
    match json {
        None => Ok(JobKind::Update),
        Some(Json::String(text)) => match JobKind::parse(text) {
            Some(kind @ (JobKind::Update | JobKind::Delete)) => Ok(kind),
            Some(JobKind::Import | JobKind::Create) => {
                Err(refuse(format!("{text} makes users, and a filter names those who are there")))
            }
            Some(JobKind::Restore) => Err(refuse("a filter means live users, who need not be restored".to_owned())),
            Some(JobKind::Undo) => Err(refuse("a job is undone by POST /v1/jobs/{id}/undo".to_owned())),
            Some(JobKind::Erase) => Err(refuse("users are erased by DELETE /v1/users/{id}?erase=true".to_owned())),
            None => Err(refuse(format!("there is no kind \"{}\"", excerpt(text)))),
        },
        Some(_) => Err(refuse("kind is a text".to_owned())),
    }
}

fn object<'a>(json: Option<&'a Json>, pointer: &str) -> Result<Option<&'a Map<String, Json>>, Error> {
    match json {
        None => Ok(None),
        Some(Json::Object(members)) => Ok(Some(members)),
        Some(_) => Err(invalid(pointer, "here stands an object")),
    }
}

fn edits(json: Option<&Json>, fields: &FieldSet) -> Result<(Vec<Edit>, Vec<String>), Error> {
    let set = object(json, "/set")?.filter(|members| !members.is_empty());
    let set = set.ok_or_else(|| {
        invalid("/set", "say what is to be set, such as {\"points\": {\"op\": \"add\", \"value\": 5}}")
    })?;
    let (mut edits, mut columns) = (Vec::with_capacity(set.len()), Vec::with_capacity(set.len()));
    for (key, json) in set {
        let pointer = json::below("/set", key);
        if ["id", "email", "created_at", "updated_at"].contains(&key.as_str()) {
            let message = format!("{key} is every user's own and cannot be set by a filter");
            return Err(Error::at(pointer, Code::ReadOnlyField, message));
        }
        let field = fields.find_by_key(key).filter(|field| !field.archived);
        let field = field.ok_or_else(|| unknown_field(key, pointer.clone(), fields))?;
        let patch = patch_from_json(field, json).map_err(|misfit| Error::at(&*pointer, misfit.code, misfit.message))?;
        if field.rules.required && patch == crate::Patch::Clear {
            let message = format!("{} must have a value", field.name);
            return Err(Error::at(pointer, Code::RequiredField, message));
        }
        edits.extend(Edit::from_patch(field.number, columns.len() as u16, patch));
        columns.push(field.name.clone());
    }
    Ok((edits, columns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::sample;
    use crate::value::Value;

    #[test]
    fn a_command_says_whom_what_and_how() {
        let fields = sample();
        let text = r#"{"where": {"city": "Rome"}, "options": {"queue": "q", "name": "June", "overdraft": "clamp"},
            "set": {"points": {"op": "add", "value": "5"}, "city": null, "gender": "Female"}}"#;
        let command = Command::read(text, &fields).unwrap();
        assert_eq!((command.kind, command.name.as_deref()), (JobKind::Update, Some("June")));
        assert_eq!(command.columns, ["Points", "City", "Gender"]);
        let patches: Vec<_> = command.edits.iter().map(|edit| (edit.column, edit.patch.clone())).collect();
        let set = |op, value| EditPatch::Set(op, value);
        assert_eq!(
            patches,
            [
                (0, set(Operator::Add, Value::Integer(5))),
                (1, EditPatch::Clear),
                (2, set(Operator::Overwrite, Value::Text("f".into()))),
            ]
        );
        let (header, cells) = command.cells();
        assert_eq!(header, ["id", "Points", "Points_op", "City", "Gender"]);
        assert_eq!(cells, ["5", "add", "\\N", "f"]);
        assert_eq!(command.options.queue.as_deref(), Some("q"));
        let kept = serde_json::to_string(&command.filter).unwrap();
        assert_eq!(serde_json::from_str::<Filter>(&kept).unwrap(), command.filter);
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        let fields = sample();
        let with = |set: &str, rest: &str| format!("{{\"where\":{{\"all\":true}},\"set\":{set}{rest}}}");
        for (text, code, pointer) in [
            ("[]".to_owned(), Code::InvalidRequest, ""),
            ("{\"set\":{\"city\":1}}".to_owned(), Code::InvalidFilter, "/where"),
            ("{\"where\":{},\"set\":{\"city\":1}}".to_owned(), Code::InvalidFilter, "/where"),
            ("{\"where\":null,\"set\":{\"city\":1}}".to_owned(), Code::InvalidFilter, "/where"),
            ("{\"where\":7,\"set\":{\"city\":1}}".to_owned(), Code::InvalidFilter, "/where"),
            ("{\"where\":{\"all\":true}}".to_owned(), Code::InvalidRequest, "/set"),
            (with("{}", ""), Code::InvalidRequest, "/set"),
            (with("[]", ""), Code::InvalidRequest, "/set"),
            (with("{\"city\":\"A\",\"city\":\"B\"}", ""), Code::InvalidRequest, "/set/city"),
            (with("{\"First Name\":\"A\"}", ""), Code::UnknownField, "/set/First Name"),
            (with("{\"email\":\"a@b.c\"}", ""), Code::ReadOnlyField, "/set/email"),
            (with("{\"city\":{\"op\":\"add\",\"value\":1}}", ""), Code::OperatorNotAllowed, "/set/city"),
            (with("{\"points\":{\"op\":\"grow\",\"value\":1}}", ""), Code::InvalidOperator, "/set/points"),
            (with("{\"points\":1.5}", ""), Code::InvalidNumber, "/set/points"),
            (with("{\"points\":1}", ",\"kind\":\"import\""), Code::InvalidOption, "/kind"),
            (with("{\"points\":1}", ",\"kind\":\"delete\""), Code::InvalidRequest, "/set"),
            (with("{\"points\":1}", ",\"kind\":\"restore\""), Code::InvalidOption, "/kind"),
            (with("{\"points\":1}", ",\"kind\":7"), Code::InvalidOption, "/kind"),
            (with("{\"points\":1}", ",\"name\":\"x\""), Code::InvalidRequest, "/name"),
            (with("{\"points\":1}", ",\"options\":[]"), Code::InvalidRequest, "/options"),
            (with("{\"points\":1}", ",\"options\":{\"mapping\":{}}"), Code::InvalidOption, "/options/mapping"),
            (with("{\"points\":1}", ",\"options\":{\"colour\":1}"), Code::InvalidOption, "/options/colour"),
        ] {
            let error = Command::read(&text, &fields).unwrap_err();
            assert_eq!((error.code, error.errors[0].pointer.as_deref()), (code, Some(pointer)), "{text}: {error}");
        }
    }
}
