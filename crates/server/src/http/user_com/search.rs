//! Users found by their email and attributes: `?email=`, `?email__contains=`, `?plan__gte=`.

use super::attribute::{Attribute, CUSTOM_ID, own_name};
use super::error::Refusals;
use super::paging::{PageBody, Paging};
use super::user_body::UserBody;
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::Json;
use crate::http::failure::Failure;
use axum::extract::State;
use muster_core::email::email_key;
use muster_core::error::excerpt;
use muster_core::field::{Field, FieldSet, FieldType};
use muster_core::filter::{Comparison, Filter, Subject, Test, TextPlace, TextTest};
use muster_core::id::UserId;
use muster_core::scope::Scope;
use muster_core::value::{DateFormat, Value};
use muster_core::{Code, Error};
use muster_engine::{EngineError, PageAt};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(search_users))
}

/// The user who was found, or with `many=true` a page of all of them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = UserComFound)]
enum Found {
    /// The user; of several the one with the lowest id.
    One(Box<UserBody>),
    /// A page.
    Many(PageBody<UserBody>),
}

/// Find users
///
/// By the email (`email`, `email__contains` and so on) and any attribute by its name or key: the value itself, or
/// with `__contains`, `__icontains`, `__startswith`, `__istartswith`, `__endswith`, `__iendswith`, `__gt`, `__gte`, `__lt`
/// or `__lte` behind the name. Of several all must hold. Forms that begin with `i` ignore case, as those of emails always do.
#[utoipa::path(
    get, path = "/users/search/", tag = "User.com",
    params(
        ("email" = Option<String>, Query, description = "The email."),
        ("many" = Option<bool>, Query, description = "With `true` a page of all who match, else the first of them."),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous` of another page."),
        ("page_size" = Option<u32>, Query, description = "How many, from 1 to 100, which is the default."),
    ),
    responses((status = 200, description = "The user, or a page of users.", body = Found), Refusals),
    security(("key" = ["users:read"])),
)]
async fn search_users(State(app): State<App>, Auth(caller): Auth, mut paging: Paging) -> Result<Json<Found>, Failure> {
    let fields = app.engine.fields_for(&caller, Scope::UsersRead).await?;
    let many = take_many(&mut paging.others)?;
    let filter = read_filter(&paging.others, &fields)?;
    if many {
        paging.others.push(("many".to_owned(), "true".to_owned()));
        return paging.page(&app, &caller, &filter).await.map(Found::Many).map(Json);
    }
    let found = app.engine.browse_users(&caller, &filter, PageAt::After(UserId(0)), 1).await?;
    let first = found.users.first().ok_or_else(|| EngineError::not_found("user"))?;
    Ok(Json(Found::One(Box::new(UserBody::new(first, &found.fields)))))
}

fn take_many(params: &mut Vec<(String, String)>) -> Result<bool, Error> {
    let mut many = false;
    for (_, text) in params.extract_if(.., |(name, _)| name == "many") {
        many = match text.to_ascii_lowercase().as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return Err(Error::at("/many", Code::InvalidRequest, "many is true or false")),
        };
    }
    Ok(many)
}

fn read_filter(params: &[(String, String)], fields: &FieldSet) -> Result<Filter, Error> {
    if params.is_empty() {
        let message = "say whom you look for: an email, or an attribute and its value";
        return Err(Error::at("/email", Code::InvalidRequest, message));
    }
    let read = |(name, text): &(String, String)| {
        condition(name, text, fields).map_err(|(code, message)| Error::at(format!("/{name}"), code, message))
    };
    params.iter().map(read).collect::<Result<_, _>>().map(Filter::All)
}

/// What a parameter asks for.
fn condition(name: &str, text: &str, fields: &FieldSet) -> Result<Filter, (Code, String)> {
    // A field may have two underscores in its name.
    if let Ok(subject) = subject(name, fields) {
        return subject.equals(text);
    }
    let Some((name, suffix)) = name.rsplit_once("__") else {
        return subject(name, fields)?.equals(text);
    };
    let subject = subject(name, fields)?;
    match suffix {
        "contains" => Ok(subject.has(TextPlace::Within, text, false)),
        "icontains" => Ok(subject.has(TextPlace::Within, text, true)),
        "startswith" => Ok(subject.has(TextPlace::Start, text, false)),
        "istartswith" => Ok(subject.has(TextPlace::Start, text, true)),
        "endswith" => Ok(subject.has(TextPlace::End, text, false)),
        "iendswith" => Ok(subject.has(TextPlace::End, text, true)),
        "gt" => subject.compare(Comparison::Gt, text),
        "gte" => subject.compare(Comparison::Gte, text),
        "lt" => subject.compare(Comparison::Lt, text),
        "lte" => subject.compare(Comparison::Lte, text),
        other => Err((Code::InvalidFilter, format!("there is no condition \"__{}\"", excerpt(other)))),
    }
}

/// What a condition is about.
#[derive(Clone, Copy)]
enum About<'a> {
    Email,
    Field(&'a Field),
}

fn subject<'a>(name: &str, fields: &'a FieldSet) -> Result<About<'a>, (Code, String)> {
    match Attribute::custom(name, fields) {
        Ok(Attribute::Field(field)) => Ok(About::Field(field)),
        _ if name == "email" => Ok(About::Email),
        Ok(Attribute::Email | Attribute::CustomId) => {
            Err((Code::UnknownField, "this cannot be searched for".to_owned()))
        }
        Err(_) if matches!(own_name(name), Some(CUSTOM_ID | "user_id")) => {
            Err((Code::UnknownField, "users-by-id/{custom_id}/ finds the user of a custom id".to_owned()))
        }
        Err(message) => Err((Code::UnknownField, message)),
    }
}

impl About<'_> {
    fn is(self, test: Test) -> Filter {
        let subject = match self {
            Self::Email => Subject::Email,
            Self::Field(field) => Subject::Field(field.number),
        };
        Filter::Is(subject, test)
    }

    fn equals(self, text: &str) -> Result<Filter, (Code, String)> {
        Ok(match (self, self.value(text)?) {
            // Of several choices this is one.
            (Self::Field(field), Value::Options(keys)) if field.kind == FieldType::MultiSelect => {
                Filter::All(keys.into_iter().map(|key| self.is(Test::HasOption(key))).collect())
            }
            (_, value) => self.is(Test::Equals(value)),
        })
    }

    /// Emails are the same in any case, and so are the words of a boolean, which clients write `True`.
    fn has(self, place: TextPlace, text: &str, ignores_case: bool) -> Filter {
        let ignores_case = match self {
            Self::Email => true,
            Self::Field(field) => ignores_case || field.kind == FieldType::Boolean,
        };
        self.is(Test::Text(TextTest::new(place, text, ignores_case)))
    }

    fn compare(self, comparison: Comparison, text: &str) -> Result<Filter, (Code, String)> {
        match self {
            Self::Field(field) if !field.kind.is_ordered() => {
                Err((Code::InvalidFilter, format!("a {} is neither less nor greater", field.kind)))
            }
            _ => Ok(self.is(Test::Compare(comparison, self.value(text)?))),
        }
    }

    fn value(self, text: &str) -> Result<Value, (Code, String)> {
        match self {
            Self::Email => Ok(Value::Text(email_key(text))),
            Self::Field(field) => {
                Value::from_text(field, text, &DateFormat::default()).map_err(|misfit| (misfit.code, misfit.message))
            }
        }
    }
}
