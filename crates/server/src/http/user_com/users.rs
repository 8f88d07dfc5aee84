//! Users of this product: listed, made, read, changed, deleted, found by their ids or their custom ids.

use super::body::Members;
use super::error::Refusals;
use super::paging::{PageBody, Paging};
use super::user_body::UserBody;
use super::user_edits::{Named, read_edits};
use super::who::{ByCustomId, ById};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::Json;
use crate::http::failure::Failure;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muster_core::filter::Filter;
use muster_core::job::JobKind;
use muster_core::key::Key;
use muster_core::scope::Scope;
use muster_core::{Code, Error};
use muster_engine::Caller;
use serde::Serialize;
use serde_json::Value as Any;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_users, create_user))
        .routes(routes!(update_or_create_user))
        .routes(routes!(get_user_by_id, update_user_by_id, delete_user_by_id))
        .routes(routes!(get_user_by_custom_id, update_user_by_custom_id, delete_user_by_custom_id))
}

/// What is said of a user. Any custom attribute may stand beside these, by its name or key.
#[derive(ToSchema)]
#[schema(as = UserComUserEdit)]
#[expect(dead_code, reason = "it only describes what `UserEdits::read` reads")]
struct EditBody {
    /// The id that the community itself gave the user. Older clients call it `user_id`.
    #[schema(max_length = 200)]
    custom_id: Option<String>,
    /// The email.
    email: Option<String>,
    /// The first name.
    #[schema(max_length = 40)]
    first_name: Option<String>,
    /// The last name.
    #[schema(max_length = 40)]
    last_name: Option<String>,
    /// Tags that the user gets beside those it has; unknown ones are made.
    tags: Option<Vec<String>>,
    /// The id that the community itself gave the user's company.
    company_custom_id: Option<String>,
    /// Any attribute, by its name or key.
    #[schema(value_type = std::collections::BTreeMap<String, Any>)]
    #[serde(flatten)]
    attributes: Any,
}

/// Whether a user was made.
#[derive(Debug, Serialize, ToSchema)]
struct UpdatedOrCreated {
    /// Whether there was no such user before.
    created: bool,
    /// The user's id.
    #[schema(example = 5577)]
    id: i64,
}

/// List users
///
/// All users in order of id.
#[utoipa::path(
    get, path = "/users/", operation_id = "user_com_list_users", tag = "User.com",
    params(
        ("cursor" = Option<String>, Query, description = "From `next` or `previous` of another page."),
        ("page_size" = Option<u32>, Query, description = "How many, from 1 to 100, which is the default."),
    ),
    responses((status = 200, description = "A page of users.", body = PageBody<UserBody>), Refusals),
    security(("key" = ["users:read"])),
)]
async fn list_users(
    State(app): State<App>,
    Auth(caller): Auth,
    paging: Paging,
) -> Result<Json<PageBody<UserBody>>, Failure> {
    if let Some((name, _)) = paging.others.first() {
        let message = "there is no such parameter here; users/search/ takes attributes";
        return Err(Error::at(format!("/{name}"), Code::InvalidRequest, message).into());
    }
    paging.page(&app, &caller, &Filter::everybody()).await.map(Json)
}

/// Make a user
///
/// Whoever has the custom id or the email already is not changed: that is refused.
#[utoipa::path(
    post, path = "/users/", operation_id = "user_com_create_user", tag = "User.com",
    request_body(content = EditBody, example = json!({"email": "grace@example.com", "first_name": "Grace"})),
    responses((status = 201, description = "The user.", body = UserBody), Refusals),
    security(("key" = ["users:write"])),
)]
async fn create_user(
    State(app): State<App>,
    Auth(caller): Auth,
    mut members: Members,
) -> Result<impl IntoResponse, Failure> {
    let named = Named::take(&mut members)?;
    let edits = read_edits(&app, &caller, members).await?;
    let put = edits.put(&app, &caller, JobKind::Create, named.key.clone()).await;
    let put = put.map_err(|error| named.blame(error))?;
    Ok((StatusCode::CREATED, Json(UserBody::new(&put.user, &put.fields))))
}

/// Update or create a user
///
/// The user of the custom id, or of the email where there is no custom id, gets what is said; where nobody has it, a user is
/// made.
#[utoipa::path(
    post, path = "/users/update_or_create/", tag = "User.com",
    request_body(content = EditBody, example = json!({
        "custom_id": "a-10", "email": "grace@example.com", "first_name": "Grace", "last_name": "Hopper",
    })),
    responses((status = 200, description = "Whether the user is new, and its id.", body = UpdatedOrCreated), Refusals),
    security(("key" = ["users:write"])),
)]
async fn update_or_create_user(
    State(app): State<App>,
    Auth(caller): Auth,
    mut members: Members,
) -> Result<Json<UpdatedOrCreated>, Failure> {
    let named = Named::take(&mut members)?;
    let edits = read_edits(&app, &caller, members).await?;
    let put = edits.put(&app, &caller, JobKind::Import, named.key).await?;
    Ok(Json(UpdatedOrCreated { created: put.created, id: put.user.id.0 }))
}

async fn read(app: &App, caller: &Caller, key: &Key) -> Result<Json<UserBody>, Failure> {
    let (user, fields) = app.engine.find_user(caller, Scope::UsersRead, key).await?;
    Ok(Json(UserBody::new(&user, &fields)))
}

async fn update(app: &App, caller: &Caller, key: Key, members: Members) -> Result<Json<UserBody>, Failure> {
    let edits = read_edits(app, caller, members).await?;
    let put = edits.put(app, caller, JobKind::Update, key).await?;
    Ok(Json(UserBody::new(&put.user, &put.fields)))
}

async fn delete(app: &App, caller: &Caller, key: &Key) -> Result<StatusCode, Failure> {
    app.engine.find_user(caller, Scope::UsersDelete, key).await?;
    app.engine.delete_user(caller, key, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get a user
#[utoipa::path(
    get, path = "/users/{id}/", tag = "User.com",
    params(("id" = i64, Path, description = "The user.")),
    responses((status = 200, description = "The user.", body = UserBody), Refusals),
    security(("key" = ["users:read"])),
)]
async fn get_user_by_id(
    State(app): State<App>,
    Auth(caller): Auth,
    ById(key): ById,
) -> Result<Json<UserBody>, Failure> {
    read(&app, &caller, &key).await
}

/// Change a user
///
/// What is absent stays as it is, null clears.
#[utoipa::path(
    put, path = "/users/{id}/", tag = "User.com",
    params(("id" = i64, Path, description = "The user.")),
    request_body(content = EditBody, example = json!({"first_name": "Grace", "score": 7})),
    responses((status = 200, description = "The user as it is now.", body = UserBody), Refusals),
    security(("key" = ["users:write"])),
)]
async fn update_user_by_id(
    State(app): State<App>,
    Auth(caller): Auth,
    ById(key): ById,
    members: Members,
) -> Result<Json<UserBody>, Failure> {
    update(&app, &caller, key, members).await
}

/// Delete a user
#[utoipa::path(
    delete, path = "/users/{id}/", tag = "User.com",
    params(("id" = i64, Path, description = "The user.")),
    responses((status = 204, description = "The user is deleted."), Refusals),
    security(("key" = ["users:delete"])),
)]
async fn delete_user_by_id(State(app): State<App>, Auth(caller): Auth, ById(key): ById) -> Result<StatusCode, Failure> {
    delete(&app, &caller, &key).await
}

/// Get a user by its custom id
#[utoipa::path(
    get, path = "/users-by-id/{custom_id}/", tag = "User.com",
    params(("custom_id" = String, Path, description = "The custom id of the user.")),
    responses((status = 200, description = "The user.", body = UserBody), Refusals),
    security(("key" = ["users:read"])),
)]
async fn get_user_by_custom_id(
    State(app): State<App>,
    Auth(caller): Auth,
    ByCustomId(key): ByCustomId,
) -> Result<Json<UserBody>, Failure> {
    read(&app, &caller, &key).await
}

/// Change a user by its custom id
///
/// What is absent stays as it is, null clears.
#[utoipa::path(
    put, path = "/users-by-id/{custom_id}/", tag = "User.com",
    params(("custom_id" = String, Path, description = "The custom id of the user.")),
    request_body(content = EditBody, example = json!({"first_name": "Grace", "score": 7})),
    responses((status = 200, description = "The user as it is now.", body = UserBody), Refusals),
    security(("key" = ["users:write"])),
)]
async fn update_user_by_custom_id(
    State(app): State<App>,
    Auth(caller): Auth,
    ByCustomId(key): ByCustomId,
    members: Members,
) -> Result<Json<UserBody>, Failure> {
    update(&app, &caller, key, members).await
}

/// Delete a user by its custom id
#[utoipa::path(
    delete, path = "/users-by-id/{custom_id}/", tag = "User.com",
    params(("custom_id" = String, Path, description = "The custom id of the user.")),
    responses((status = 204, description = "The user is deleted."), Refusals),
    security(("key" = ["users:delete"])),
)]
async fn delete_user_by_custom_id(
    State(app): State<App>,
    Auth(caller): Auth,
    ByCustomId(key): ByCustomId,
) -> Result<StatusCode, Failure> {
    delete(&app, &caller, &key).await
}
