//! API keys in the product's words.

use super::answer::{Errors, Success};
use super::permissions::{Permissions, permissions};
use super::request::{Body, TextOrNumber, replaced};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Id, Json, NoParams, Params, WireId, patch};
use crate::http::failure::Failure;
use crate::http::idempotency::KeptInstead;
use crate::http::words;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use muster_core::id::{CommunityId, KeyId, UserId};
use muster_core::scope::Scope;
use muster_core::value::parse_datetime;
use muster_core::{Code, Error, Patch};
use muster_engine::{ApiKey, Caller, EngineError, KeyEdit, NewKey};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_api_keys, create_api_key))
        .routes(routes!(get_api_key_info))
        .routes(routes!(update_api_key, delete_api_key))
}

/// What is known about a key.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UserApiKey)]
struct KeyBody {
    /// The id.
    #[serde(rename = "_id")]
    #[schema(value_type = String, example = "0123456789abcdef01234567")]
    id: KeyId,
    /// Its name.
    name: String,
    /// What it may do, in the product's words where it has one.
    permissions: Vec<&'static str>,
    /// What it may do.
    #[schema(schema_with = scopes)]
    scopes: Vec<Scope>,
    /// For whom it was made.
    user_id: Option<i64>,
    /// The community.
    #[schema(value_type = String)]
    community_id: CommunityId,
    /// Whether it may be used: it is active, was not revoked and has not expired.
    is_active: bool,
    /// From when on it is refused.
    expire_date: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// When it was revoked.
    revoked_at: Option<Timestamp>,
}

fn scopes() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::Array::new(words::scope())
}

impl KeyBody {
    fn new(key: ApiKey, caller: &Caller, now: Timestamp) -> Self {
        Self {
            is_active: key.is_valid(now),
            id: key.id,
            name: key.name,
            permissions: permissions(&key.scopes),
            scopes: key.scopes,
            user_id: key.user.map(|user| user.0),
            community_id: caller.community,
            expire_date: key.expires_at,
            created_at: key.created_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// A key that was made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeUserApiKey)]
struct MadeKeyBody {
    /// The key: 64 characters. Nothing shows it again: in an answer that is replayed it is null.
    key: Option<String>,
    /// Why there is no key, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
    #[serde(flatten)]
    changed: ChangedKeyBody,
}

/// A key that was made or changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ChangedUserApiKey)]
struct ChangedKeyBody {
    #[serde(flatten)]
    about: KeyBody,
    /// Permissions that were named and mean nothing here, such as those about messages.
    ignored: Vec<String>,
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserApiKeys)]
struct Keys {
    /// The oldest first.
    keys: Vec<KeyBody>,
}

/// For whom.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OfUser {
    /// The user.
    #[serde(rename = "userId")]
    #[param(value_type = Option<i64>)]
    user_id: Option<String>,
}

impl OfUser {
    /// The user. Refuses with `not_found` what cannot be the id of one.
    fn read(self) -> Result<Option<UserId>, Failure> {
        let id = |text: String| UserId::read(&text).ok_or_else(|| EngineError::not_found("user").into());
        // Clients that have no user send the parameter all the same.
        self.user_id.filter(|text| !text.is_empty()).map(id).transpose()
    }
}

/// List API keys
///
/// Those that were made for a user, or every key of the community; also those that were revoked or have expired.
#[utoipa::path(
    get, path = "/users/apikeys", tag = "Returning.AI",
    params(OfUser),
    responses((status = 200, description = "The keys.", body = Success<Keys>), Errors),
    security(("key" = ["keys:write"])),
)]
async fn list_api_keys(
    State(app): State<App>,
    Auth(caller): Auth,
    Params(of): Params<OfUser>,
) -> Result<Json<Success<Keys>>, Failure> {
    let user = of.read()?;
    let now = app.engine.clock().now();
    let keys = app.engine.granted_keys(&caller).await?.into_iter();
    let keys = keys.filter(|key| user.is_none_or(|user| key.user == Some(user)));
    let keys = keys.map(|key| KeyBody::new(key, &caller, now)).collect();
    Ok(Json(Success::new("Get api keys successful", Keys { keys })))
}

/// A key to be made, or what changes about one. What is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = UserApiKeyEdit)]
struct KeyEditBody {
    /// Its name; a new key needs one.
    name: Option<String>,
    /// What it may do: permissions of the product, or scopes. A new key needs them. A key cannot grant what it lacks.
    permissions: Option<Vec<String>>,
    /// For how many days from now it can be used; `never`. Not together with `expireDate`.
    #[schema(value_type = Option<String>)]
    expire_period: Option<TextOrNumber>,
    /// From when on it is refused: a time, or a day, whose beginning in UTC that is; null: never.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>)]
    expire_date: Patch<String>,
    /// Whether it may be used; a new key may.
    is_active: Option<bool>,
    /// The community, which must be that of the key.
    community_id: Option<String>,
}

impl KeyEditBody {
    /// What is to change, and the permissions that mean nothing here.
    fn read(self, caller: &Caller, now: Timestamp) -> Result<(KeyEdit, Vec<String>), Failure> {
        if let Some(community) = &self.community_id {
            caller.require_community(community)?;
        }
        let expires_at = self.expires_at(now)?;
        let permissions = self.permissions.as_deref().map(Permissions::read).transpose()?;
        let (scopes, ignored) = permissions.map(|read| (read.scopes, read.ignored)).unzip();
        let edit = KeyEdit { name: self.name, scopes, expires_at, active: self.is_active };
        Ok((edit, ignored.unwrap_or_default()))
    }

    fn expires_at(&self, now: Timestamp) -> Result<Patch<Timestamp>, Error> {
        let refuse = |pointer: &str, message: &str| Error::at(pointer, Code::InvalidRequest, message);
        let period = self.expire_period.as_ref().map(|text| text.0.trim()).filter(|text| !text.is_empty());
        match (period, &self.expire_date) {
            (None, Patch::Keep) => Ok(Patch::Keep),
            (None, Patch::Clear) => Ok(Patch::Clear),
            (None, Patch::Set(text)) => {
                let message = "write a time as 2026-01-31T09:30:00Z, or a day as 2026-01-31";
                time(text).map(Patch::Set).ok_or_else(|| refuse("/expireDate", message))
            }
            (Some(period), Patch::Keep | Patch::Clear) if period.eq_ignore_ascii_case("never") => Ok(Patch::Clear),
            (Some(period), Patch::Keep | Patch::Clear) => {
                let days = period.parse().ok().filter(|days| (1..=36_500).contains(days));
                let end = days.and_then(|days: i64| now.checked_add(SignedDuration::from_hours(24 * days)).ok());
                end.map(Patch::Set).ok_or_else(|| refuse("/expirePeriod", "a period is 1 to 36500 days, or never"))
            }
            (Some(_), Patch::Set(_)) => Err(refuse("/expirePeriod", "send expirePeriod or expireDate, not both")),
        }
    }
}

/// A time, or the beginning of a day in UTC.
fn time(text: &str) -> Option<Timestamp> {
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
    parse_datetime(text).or_else(day)
}

/// Make an API key
///
/// For a user of the community, or for nobody. Permissions that Muster has nothing for are listed in `ignored`.
#[utoipa::path(
    post, path = "/users/apikeys", tag = "Returning.AI",
    params(OfUser),
    request_body(content = KeyEditBody, example = json!({"name": "Nightly import", "permissions": []})),
    responses((status = 201, description = "The key.", body = Success<MadeKeyBody>), Errors),
    security(("key" = ["keys:write"])),
)]
async fn create_api_key(
    State(app): State<App>,
    Auth(caller): Auth,
    Params(of): Params<OfUser>,
    Body(body): Body<KeyEditBody>,
) -> Result<impl IntoResponse, Failure> {
    let (user, now) = (of.read()?, app.engine.clock().now());
    let (edit, ignored) = body.read(&caller, now)?;
    let missing = |pointer: &str| Error::at(pointer, Code::InvalidRequest, "a new key needs this");
    let expires_at = match edit.expires_at {
        Patch::Set(time) => Some(time),
        Patch::Keep | Patch::Clear => None,
    };
    let name = edit.name.ok_or_else(|| missing("/name"))?;
    let new = NewKey { name, scopes: edit.scopes.ok_or_else(|| missing("/permissions"))?, expires_at };
    if edit.active == Some(false) {
        let message = "a new key can be used; make it, then set isActive";
        return Err(Error::at("/isActive", Code::InvalidRequest, message).into());
    }
    let made = app.engine.grant_key_for(&caller, &new, user).await;
    let made = made.map_err(|error| replaced(error, &[("/expires_at".to_owned(), "/expireDate".to_owned())]))?;
    let changed = ChangedKeyBody { about: KeyBody::new(made.key, &caller, now), ignored };
    let answer =
        |key, notice| Success::new("Create api key successful", MadeKeyBody { key, notice, changed: changed.clone() });
    let notice = "The key was shown once, in the first answer to this request.";
    let kept = KeptInstead::json(&answer(None, Some(notice)));
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], kept, Json(answer(Some(made.secret), None))))
}

/// Get what the key of the request may do
///
/// Needs no scope.
#[utoipa::path(
    get, path = "/users/apikeys/info", tag = "Returning.AI",
    responses((status = 200, description = "The key.", body = Success<KeyBody>), Errors),
    security(("key" = [])),
)]
async fn get_api_key_info(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
) -> Result<Json<Success<KeyBody>>, Failure> {
    let key = app.engine.own_key(&caller).await?;
    let now = app.engine.clock().now();
    Ok(Json(Success::new("Get api key info successful", KeyBody::new(key, &caller, now))))
}

/// Change an API key
///
/// One that was made for the user, or for nobody.
#[utoipa::path(
    put, path = "/users/{userId}/api-keys/{id}", tag = "Returning.AI",
    params(
        ("userId" = i64, Path, description = "The user."),
        ("id" = String, Path, description = "The key's id, not the key."),
    ),
    request_body(content = KeyEditBody, example = json!({"name": "Nightly import", "permissions": [], "isActive": true})),
    responses((status = 200, description = "The key as it is now.", body = Success<ChangedKeyBody>), Errors),
    security(("key" = ["keys:write"])),
)]
async fn update_api_key(
    State(app): State<App>,
    Auth(caller): Auth,
    Id((user, id)): Id<(UserId, KeyId)>,
    _: NoParams,
    Body(body): Body<KeyEditBody>,
) -> Result<Json<Success<ChangedKeyBody>>, Failure> {
    let now = app.engine.clock().now();
    let (edit, ignored) = body.read(&caller, now)?;
    let key = app.engine.edit_user_key(&caller, user, id, &edit).await?;
    let changed = ChangedKeyBody { about: KeyBody::new(key, &caller, now), ignored };
    Ok(Json(Success::new("Update api key successful", changed)))
}

/// Revoke an API key
///
/// From this moment on and for good. Doing it again changes nothing.
#[utoipa::path(
    delete, path = "/users/{userId}/api-keys/{id}", tag = "Returning.AI",
    params(
        ("userId" = i64, Path, description = "The user."),
        ("id" = String, Path, description = "The key's id, not the key."),
    ),
    responses((status = 200, description = "The key is revoked.", body = Success<KeyBody>), Errors),
    security(("key" = ["keys:write"])),
)]
async fn delete_api_key(
    State(app): State<App>,
    Auth(caller): Auth,
    Id((user, id)): Id<(UserId, KeyId)>,
    _: NoParams,
) -> Result<Json<Success<KeyBody>>, Failure> {
    let key = app.engine.withdraw_user_key(&caller, user, id).await?;
    let now = app.engine.clock().now();
    Ok(Json(Success::new("Delete api key successful", KeyBody::new(key, &caller, now))))
}
