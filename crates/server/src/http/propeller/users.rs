//! `GET|PATCH|DELETE /users/:lookupKey/:lookupValue`: one user.

use super::body::{Body, PropellerAnswer};
use super::error::{Errors, invalid_lookup};
use super::record::{Lookup, MONTHS, Said, UserRecord, members, name_of, say_of_value};
use super::schema::{Object, Schema};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, Params};
use crate::http::failure::Failure;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use muster_core::error::{Kind, excerpt};
use muster_core::field::FieldSet;
use muster_core::id::UserId;
use muster_core::identity::Identity;
use muster_core::key::Key;
use muster_core::scope::Scope;
use muster_core::user::User;
use muster_core::value::Value as Stored;
use muster_core::{Code, Error, Patch};
use muster_engine::{Caller, UserEdit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations, relative to the face.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_user, edit_user, delete_user))
}

/// What names something in an address: the lookup key, and its value.
pub struct Address(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for Address {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let both = Path::<(String, String)>::from_request_parts(parts, state).await;
        // What is not UTF-8 names nothing, like any other value that nobody has.
        let Path((name, value)) = both.unwrap_or_else(|_| Path(("id".to_owned(), "\u{fffd}".to_owned())));
        Ok(Self(name, value))
    }
}

/// What else names a user that is looked up by its id in another system.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The other system. `sourceId` needs it.
    pub source: Option<String>,
    /// The language, where there is a record for each.
    pub language: Option<String>,
}

/// What names a user, and what is to be shown with it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct GetUser {
    /// The other system. `sourceId` needs it.
    source: Option<String>,
    /// The language, where there is a record for each.
    language: Option<String>,
    /// `sources`, `parent`, or both with a comma.
    expands: Option<String>,
}

/// The answer that says that something is deleted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PropellerDeleted)]
pub struct Deleted {
    /// Empty.
    #[schema(value_type = Object)]
    data: Object,
    #[schema(example = json!(["User deleted"]))]
    messages: [&'static str; 1],
}

impl Deleted {
    /// The answer that says that something is deleted.
    pub fn new(message: &'static str) -> Self {
        Self { data: Object::new(), messages: [message] }
    }
}

impl Address {
    /// What the address names. Refuses with `user_not_found` what can name nobody.
    pub fn key(&self, source: &Source) -> Result<Key, Failure> {
        let Self(name, value) = self;
        let key = match name.as_str() {
            // An id has one spelling: neither +7 nor 007.
            "id" => value.parse().ok().map(UserId).filter(|id| id.to_string() == *value).map(Key::Id),
            "sourceId" => {
                let Some(system) = &source.source else {
                    let detail = "sourceId names nobody by itself; send the query parameter source too";
                    return Err(Failure::new(Code::MissingKey, detail));
                };
                Identity::new(system, value, source.language.as_deref()).ok().map(Key::Identity)
            }
            _ => return Err(invalid_lookup(name, "id,sourceId").into()),
        };
        key.ok_or_else(|| self.names_nobody())
    }

    fn names_nobody(&self) -> Failure {
        Failure::new(Code::UserNotFound, format!("User with {} [{}] not found", self.0, excerpt(&self.1)))
    }
}

/// Finds the user of an address, for somebody who has the scope for what is to be done next.
pub async fn find(
    app: &App,
    caller: &Caller,
    scope: Scope,
    address: &Address,
    source: &Source,
) -> Result<(User, FieldSet), Failure> {
    let found = app.engine.find_user(caller, scope, &address.key(source)?).await.map_err(Failure::from);
    found.map_err(|mut failure| {
        if failure.error.code == Code::UserNotFound {
            return address.names_nobody();
        }
        if failure.error.code == Code::AmbiguousMatch {
            let Address(name, value) = address;
            failure.error.detail =
                format!("Multiple users found with {name} [{}]; send the language too", excerpt(value));
        }
        failure
    })
}

/// A user as the product shows it: a member for each of its fields, empty where there is no value.
fn show(user: &User, fields: &FieldSet, expands: &[&str]) -> Value {
    let value = |key: &str| fields.shown_value(user, key).map(|(_, value)| value);
    let text = |key: &str| match key {
        "email" => user.email.clone().unwrap_or_default(),
        key => value(key).map(shown).unwrap_or_default(),
    };
    let mut shown: BTreeMap<&str, Value> = BTreeMap::from([("id", json!(user.id.0))]);
    for (name, field) in members() {
        match name {
            "parent" if !expands.contains(&"parent") => {}
            "parent" => drop(shown.insert(name, value(field).map_or(json!({}), |value| value.to_wire()))),
            "addresses" => drop(shown.insert(name, value(field).map_or(json!([]), |value| value.to_wire()))),
            "gender" => drop(shown.insert(name, text(field).to_uppercase().into())),
            name => drop(shown.insert(name, text(field).into())),
        }
    }
    if expands.contains(&"sources") {
        let source = |identity: &Identity| json!({"language": identity.language, "source": identity.source, "sourceId": identity.source_id});
        shown.insert("sources", user.identities.iter().map(source).collect());
    }
    json!(shown)
}

/// A value as a text. Days as the product writes them: `August, 28 1993 00:00:00 +0000`.
fn shown(value: &Stored) -> String {
    match value {
        Stored::Date(day) => {
            let month =
                MONTHS.get(usize::from(day.month().unsigned_abs()).wrapping_sub(1)).copied().unwrap_or_default();
            format!("{month}, {:02} {:04} 00:00:00 +0000", day.day(), day.year())
        }
        value => value.to_string(),
    }
}

/// Get a user
///
/// By `id`, or by `sourceId` with `?source=`.
#[utoipa::path(
    get, path = "/users/{lookupKey}/{lookupValue}", tag = "Propeller Commerce", operation_id = "propeller_get_user",
    params(
        ("lookupKey" = String, Path, description = "`id` or `sourceId`."),
        ("lookupValue" = String, Path, description = "The id."),
        GetUser,
    ),
    responses((status = 200, description = "The user.", body = PropellerAnswer<Object>), Errors),
    security(("key" = ["users:read"])),
)]
async fn get_user(
    State(app): State<App>,
    Auth(caller): Auth,
    address: Address,
    Params(query): Params<GetUser>,
) -> Result<Json<PropellerAnswer<Value>>, Failure> {
    let expands: Vec<&str> = query.expands.as_deref().unwrap_or_default().split(',').map(str::trim).collect();
    if let Some(unknown) = expands.iter().find(|name| !["", "sources", "parent"].contains(name)) {
        let detail = format!("expands is sources, parent or both with a comma, not {}", excerpt(unknown));
        return Err(Failure::new(Code::InvalidRequest, detail));
    }
    let source = Source { source: query.source, language: query.language };
    let (user, fields) = find(&app, &caller, Scope::UsersRead, &address, &source).await?;
    Ok(Json(PropellerAnswer::one(show(&user, &fields, &expands), "")))
}

/// Change a user
///
/// What is absent is kept; null and an empty text clear. Answers what was sent, and the id.
#[utoipa::path(
    patch, path = "/users/{lookupKey}/{lookupValue}", tag = "Propeller Commerce", operation_id = "propeller_edit_user",
    params(
        ("lookupKey" = String, Path, description = "`id` or `sourceId`."),
        ("lookupValue" = String, Path, description = "The id."),
        Source,
    ),
    request_body(content = Object, example = json!({"firstName": "Miles", "gender": "M", "dateOfBirth": "28/08/1993"})),
    responses((status = 200, description = "What was sent, and the id.", body = PropellerAnswer<Object>), Errors),
    security(("key" = ["users:write"])),
)]
async fn edit_user(
    State(app): State<App>,
    Auth(caller): Auth,
    address: Address,
    Params(source): Params<Source>,
    Body(body): Body,
) -> Result<Json<PropellerAnswer<Value>>, Failure> {
    find(&app, &caller, Scope::UsersWrite, &address, &source).await?;
    let (edit, key) = (edit_of(&body)?, address.key(&source)?);
    let edited = app.engine.edit_user(&caller, key, &edit).await;
    let (user, _) = edited.map_err(|error| in_their_words(error.into()))?;
    let mut sent: BTreeMap<String, Value> =
        body.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    sent.insert("id".to_owned(), json!(user.id.0));
    Ok(Json(PropellerAnswer::one(json!(sent), "User updated")))
}

/// Delete a user
///
/// The user keeps everything and can be restored; it is found no more.
#[utoipa::path(
    delete, path = "/users/{lookupKey}/{lookupValue}", tag = "Propeller Commerce", operation_id = "propeller_delete_user",
    params(
        ("lookupKey" = String, Path, description = "`id` or `sourceId`."),
        ("lookupValue" = String, Path, description = "The id."),
        Source,
    ),
    responses((status = 200, description = "The user is deleted.", body = Deleted), Errors),
    security(("key" = ["users:delete"])),
)]
async fn delete_user(
    State(app): State<App>,
    Auth(caller): Auth,
    address: Address,
    Params(source): Params<Source>,
) -> Result<Json<Deleted>, Failure> {
    find(&app, &caller, Scope::UsersDelete, &address, &source).await?;
    app.engine.delete_user(&caller, address.key(&source)?, None).await?;
    Ok(Json(Deleted::new("User deleted")))
}

/// What a body changes about a user.
fn edit_of(body: &Value) -> Result<UserEdit, Error> {
    let mut schema = Schema::default();
    let said = UserRecord::new("#", body, &[], &mut schema).map(|user| user.read(Lookup::Id, &mut schema));
    schema.finish()?;
    let Said { identity, email, values, .. } = said.unwrap_or_default();
    let email = match email {
        None => Patch::Keep,
        Some(Value::String(email)) => Patch::Set(email),
        Some(_) => Patch::Clear,
    };
    let identity = identity.map(|identity| {
        let part = |name: &str| identity[name].as_str();
        let made =
            Identity::new(part("source").unwrap_or_default(), part("source_id").unwrap_or_default(), part("language"));
        made.map_err(|why| Error::at("#/sourceId", Code::InvalidIdentity, format!("#/sourceId: {why}")))
    });
    let identities = identity.transpose()?.into_iter().collect();
    Ok(UserEdit { email, identities, values: values.into_iter().collect(), if_version: None })
}

/// A refusal of the engine, whose places are those of our own words.
fn in_their_words(mut failure: Failure) -> Failure {
    let error = &mut failure.error;
    for (i, fault) in error.errors.iter_mut().enumerate() {
        let key = fault.pointer.as_deref().and_then(|pointer| pointer.rsplit('/').next()).unwrap_or_default();
        let message = say_of_value(key, fault.code, &fault.message);
        fault.message = match name_of(key) {
            None if fault.code == Code::InvalidRequest => {
                fault.code = Code::UnknownField;
                unknown_attribute(key)
            }
            Some(name) => format!("#/{name}: {message}"),
            None => format!("{}: {message}", key.to_uppercase()),
        };
        if i == 0 && fault.code.kind() == Kind::Row {
            error.code = fault.code;
            error.detail.clone_from(&fault.message);
        }
    }
    failure
}

/// What the product says of an attribute that is not there.
pub fn unknown_attribute(key: &str) -> String {
    let (name, class) = key.strip_suffix(')').and_then(|text| text.split_once(" (")).unwrap_or((key, "user"));
    format!("Attribute with name [{}] and attributeClass [{class}] not found.", excerpt(&name.to_uppercase()))
}
