//! API keys.

use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Id, Json, NoParams};
use crate::http::failure::Failure;
use crate::http::idempotency::KeptInstead;
use crate::http::page::Page;
use crate::http::problem::Problems;
use crate::http::words;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use jiff::Timestamp;
use muster_core::id::KeyId;
use muster_core::scope::Scope;
use muster_engine::{ApiKey, NewKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_keys, create_key)).routes(routes!(revoke_key))
}

/// What is known about a key. The key itself is shown once, when it is made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyBody {
    /// The id.
    #[schema(value_type = String, example = "0123456789abcdef01234567")]
    id: KeyId,
    /// Its name.
    name: String,
    /// What it may do.
    #[schema(schema_with = scopes)]
    scopes: Vec<Scope>,
    /// When it was made.
    created_at: Timestamp,
    /// From when on it is refused.
    expires_at: Option<Timestamp>,
    /// When it was revoked.
    revoked_at: Option<Timestamp>,
}

impl From<ApiKey> for KeyBody {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            scopes: key.scopes,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}

fn scopes() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::Array::new(words::scope())
}

/// A key that was made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeKey)]
struct MadeKeyBody {
    /// The key: 64 characters. Nothing shows it again: in an answer that is replayed it is null.
    key: Option<String>,
    /// Why there is no key, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
    /// What is known about it.
    #[serde(flatten)]
    about: KeyBody,
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewKey)]
#[serde(deny_unknown_fields)]
struct NewKeyBody {
    /// Its name.
    name: String,
    /// What it may do. A key cannot grant what it lacks.
    #[schema(schema_with = scopes)]
    scopes: Vec<Scope>,
    /// From when on it is refused; never, if this is not given.
    expires_at: Option<Timestamp>,
}

/// List API keys
///
/// Every key of the community, the oldest first, also those that were revoked or have expired.
#[utoipa::path(
    get, path = "/v1/keys", tag = "Keys",
    responses((status = 200, description = "All keys.", body = Page<KeyBody>), Problems),
    security(("key" = ["keys:write"])),
)]
async fn list_keys(State(app): State<App>, Auth(caller): Auth, _: NoParams) -> Result<Json<Page<KeyBody>>, Failure> {
    let keys = app.engine.granted_keys(&caller).await?;
    Ok(Json(Page::only(keys.into_iter().map(KeyBody::from))))
}

/// Make an API key
#[utoipa::path(
    post, path = "/v1/keys", tag = "Keys",
    request_body(content = NewKeyBody, example = json!({"name": "Nightly import", "scopes": []})),
    responses((status = 201, description = "The key.", body = MadeKeyBody), Problems),
    security(("key" = ["keys:write"])),
)]
async fn create_key(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Json(new): Json<NewKeyBody>,
) -> Result<impl IntoResponse, Failure> {
    let new = NewKey { name: new.name, scopes: new.scopes, expires_at: new.expires_at };
    let made = app.engine.grant_key(&caller, &new).await?;
    let notice = "The key was shown once, in the first answer to this request.";
    let kept = KeptInstead::json(&MadeKeyBody { key: None, notice: Some(notice), about: made.key.clone().into() });
    let body = MadeKeyBody { key: Some(made.secret), notice: None, about: made.key.into() };
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], kept, Json(body)))
}

/// Revoke an API key
///
/// From this moment on and for good. Doing it again changes nothing.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "Keys",
    params(("id" = String, Path, description = "The key's id, not the key.")),
    responses((status = 204, description = "The key is revoked."), Problems),
    security(("key" = ["keys:write"])),
)]
async fn revoke_key(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<KeyId>,
    _: NoParams,
) -> Result<StatusCode, Failure> {
    app.engine.withdraw_key(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
