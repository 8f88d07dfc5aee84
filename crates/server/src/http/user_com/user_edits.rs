//! What a body says of one user.

use super::attribute::{Attribute, CUSTOM_ID, read_value};
use super::body::{Members, fault};
use super::user_body::TAGS;
use crate::http::App;
use crate::http::failure::Failure;
use muster_core::email::parse_email;
use muster_core::error::excerpt;
use muster_core::field::{FieldNumber, FieldSet};
use muster_core::identity::Identity;
use muster_core::job::JobKind;
use muster_core::key::Key;
use muster_core::scope::Scope;
use muster_core::user::Operator;
use muster_core::value::Value;
use muster_core::{Code, Error, Patch};
use muster_engine::{Caller, EngineError, PutEdit, PutUser, UserPut};
use serde_json::Value as Json;

/// What happens to a user, and the tags that the user gets.
#[derive(Debug, Default)]
pub struct UserEdits {
    edits: Vec<PutEdit>,
    tags: Vec<String>,
}

/// What names the user of a body, and the member that says it.
pub struct Named {
    /// The key.
    pub key: Key,
    member: &'static str,
}

impl Named {
    /// Takes what names a user: the custom id, else the email.
    pub fn take(members: &mut Members) -> Result<Self, Error> {
        let mut take = |member| members.take(member).filter(|json| !json.is_null());
        match (take(CUSTOM_ID), take("user_id")) {
            (Some(_), Some(_)) => {
                Err(wrong("user_id", Code::InvalidRequest, "this is another name of custom_id; send one"))
            }
            (Some(json), None) => Ok(Self { key: Key::Identity(custom_id(&json, CUSTOM_ID)?), member: CUSTOM_ID }),
            (None, Some(json)) => Ok(Self { key: Key::Identity(custom_id(&json, "user_id")?), member: "user_id" }),
            (None, None) => match take("email") {
                Some(json) => Ok(Self { key: Key::Email(email(&json)?), member: "email" }),
                None => {
                    let message = "send a custom_id or an email, by which the user is found again";
                    Err(wrong(CUSTOM_ID, Code::MissingKey, message))
                }
            },
        }
    }

    /// Says of a user who exists by which member.
    pub fn blame(&self, error: EngineError) -> EngineError {
        match error {
            EngineError::Refused(error) if error.code == Code::UserExists => {
                wrong(self.member, error.code, error.detail).into()
            }
            other => other,
        }
    }
}

impl UserEdits {
    /// Reads all members that nobody has taken. Refuses with all that is wrong with them.
    pub fn read(mut members: Members, fields: &FieldSet) -> Result<Self, Error> {
        let mut edits = Self::default();
        for (name, json) in members.rest() {
            if let Err(error) = edits.push_member(&name, &json, fields) {
                members.refuse(&name, error.code, error.detail);
            }
        }
        members.finish()?;
        Ok(edits)
    }

    fn push_member(&mut self, name: &str, json: &Json, fields: &FieldSet) -> Result<(), Error> {
        match name {
            "email" => {
                let patch = match json {
                    Json::Null => Patch::Clear,
                    json => Patch::Set((Operator::Overwrite, Value::Text(email(json)?))),
                };
                self.push(name, FieldNumber::EMAIL, patch)?;
            }
            CUSTOM_ID | "user_id" => {
                let identity = match json {
                    Json::Null => {
                        Identity::none_of(CUSTOM_ID).map_err(|message| wrong(name, Code::InvalidIdentity, message))?
                    }
                    json => custom_id(json, name)?,
                };
                let patch = Patch::Set((Operator::Overwrite, Value::Identities(vec![identity])));
                self.push(name, FieldNumber::IDENTITIES, patch)?;
            }
            TAGS => self.tags = tags(json)?,
            _ => return self.push_attribute(name, json, fields),
        }
        Ok(())
    }

    /// Takes the value of one attribute; null clears it.
    pub fn push_attribute(&mut self, name: &str, json: &Json, fields: &FieldSet) -> Result<(), Error> {
        let found = Attribute::custom(name, fields);
        let Attribute::Field(field) = found.map_err(|message| wrong(name, Code::UnknownField, message))? else {
            return Err(wrong(name, Code::ReadOnlyField, "this cannot be written here"));
        };
        let value = read_value(field, json).map_err(|misfit| wrong(name, misfit.code, misfit.message))?;
        let patch = value.map_or(Patch::Clear, |value| Patch::Set((Operator::Overwrite, value)));
        self.push(name, field.number, patch)
    }

    /// Takes an edit, unless another name of the same was there before: which of the two would be meant?
    fn push(&mut self, name: &str, number: FieldNumber, patch: Patch<(Operator, Value)>) -> Result<(), Error> {
        if self.edits.iter().any(|edit| edit.field == number) {
            return Err(wrong(name, Code::InvalidRequest, "this is here twice, by two names; send one"));
        }
        self.edits.push(PutEdit { name: name.to_owned(), field: number, patch });
        Ok(())
    }

    /// Does it to the user of a key, and makes the tags that are not there yet.
    pub async fn put(mut self, app: &App, caller: &Caller, kind: JobKind, key: Key) -> Result<PutUser, EngineError> {
        if !self.tags.is_empty() {
            let (number, tags) = app.engine.add_options(caller, TAGS, "Tags", &self.tags).await?;
            let patch = Patch::Set((Operator::Add, Value::Options(tags)));
            self.edits.push(PutEdit { name: TAGS.to_owned(), field: number, patch });
        }
        app.engine.put_user(caller, &UserPut { kind, key, edits: self.edits }).await
    }
}

/// Reads a body as what happens to a user.
pub async fn read_edits(app: &App, caller: &Caller, members: Members) -> Result<UserEdits, Failure> {
    let fields = app.engine.fields_for(caller, Scope::UsersWrite).await?;
    Ok(UserEdits::read(members, &fields)?)
}

fn wrong(member: &str, code: Code, message: impl Into<String>) -> Error {
    let message = message.into();
    Error { errors: vec![fault(member, code, message.clone())], ..Error::new(code, message) }
}

/// Reads an email.
pub fn email(json: &Json) -> Result<String, Error> {
    let email = json.as_str().and_then(parse_email);
    email.map(str::to_owned).ok_or_else(|| {
        wrong("email", Code::InvalidEmail, format!("{} is not an email address", excerpt(&json.to_string())))
    })
}

/// Reads a custom id.
pub fn custom_id(json: &Json, member: &str) -> Result<Identity, Error> {
    let text = match json {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        _ => return Err(wrong(member, Code::InvalidIdentity, "a custom id is a text")),
    };
    Identity::new(CUSTOM_ID, &text, None).map_err(|_| {
        let message = "a custom id has 1 to 200 characters, none of them a control character";
        wrong(member, Code::InvalidIdentity, message)
    })
}

fn tags(json: &Json) -> Result<Vec<String>, Error> {
    let refuse = || wrong(TAGS, Code::InvalidOption, "tags are a list of texts of 1 to 100 characters, without \";\"");
    let tag = |json: &Json| {
        let text = json.as_str()?.trim();
        let fits = (1..=100).contains(&text.chars().count()) && !text.contains(|c: char| c == ';' || c.is_control());
        fits.then(|| text.to_owned())
    };
    json.as_array().ok_or_else(refuse)?.iter().map(|json| tag(json).ok_or_else(refuse)).collect()
}
