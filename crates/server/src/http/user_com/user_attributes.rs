//! The attributes of one user.

use super::also_by_post;
use super::body::Members;
use super::error::Refusals;
use super::user_edits::UserEdits;
use super::who::{ByCustomId, ById};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::Json;
use crate::http::failure::Failure;
use axum::extract::State;
use muster_core::Code;
use muster_core::job::JobKind;
use muster_core::key::Key;
use muster_core::scope::Scope;
use muster_engine::Caller;
use serde::Serialize;
use serde_json::Value as Any;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    let routes = OpenApiRouter::new()
        .routes(routes!(set_attribute))
        .routes(routes!(set_multiple_attributes))
        .routes(routes!(remove_attribute))
        .routes(routes!(set_attribute_by_custom_id))
        .routes(routes!(set_multiple_attributes_by_custom_id))
        .routes(routes!(remove_attribute_by_custom_id));
    also_by_post(routes, "For clients that send no body with DELETE.")
}

/// One attribute and its value.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes what `set` reads")]
struct SetAttribute {
    /// The attribute, by its name or key.
    attribute: String,
    /// The value, of the attribute's type; null clears.
    value: Any,
}

/// An attribute.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes what `remove` reads")]
struct RemoveAttribute {
    /// The attribute, by its name or key.
    attribute: String,
}

/// It was done.
#[derive(Debug, Serialize, ToSchema)]
struct Done {
    #[schema(example = "ok")]
    status: &'static str,
}

/// Gives one attribute the value that the body says, or none.
async fn set(app: &App, caller: &Caller, key: Key, mut members: Members, removes: bool) -> Result<Json<Done>, Failure> {
    let fields = app.engine.fields_for(caller, Scope::UsersWrite).await?;
    let name = members.take_required("attribute");
    let value = if removes { Some(Any::Null) } else { members.take_required("value") };
    let mut edits = UserEdits::default();
    match (name.as_ref().map(Any::as_str), value) {
        (Some(Some(name)), Some(value)) => {
            if let Err(error) = edits.push_attribute(name, &value, &fields) {
                let member = if error.code == Code::UnknownField { "attribute" } else { "value" };
                members.refuse(member, error.code, error.detail);
            }
        }
        (Some(None), _) => members.refuse("attribute", Code::InvalidRequest, "the name of an attribute is a text"),
        (None, _) | (_, None) => {}
    }
    members.finish()?;
    edits.put(app, caller, JobKind::Update, key).await?;
    Ok(Json(Done { status: "ok" }))
}

async fn set_all(app: &App, caller: &Caller, key: Key, mut members: Members) -> Result<Json<Done>, Failure> {
    let fields = app.engine.fields_for(caller, Scope::UsersWrite).await?;
    let mut edits = UserEdits::default();
    for (name, value) in members.rest() {
        if let Err(error) = edits.push_attribute(&name, &value, &fields) {
            members.refuse(&name, error.code, error.detail);
        }
    }
    members.finish()?;
    edits.put(app, caller, JobKind::Update, key).await?;
    Ok(Json(Done { status: "ok" }))
}

/// Set an attribute of a user
#[utoipa::path(
    post, path = "/users/{id}/set_attribute/", tag = "User.com",
    params(("id" = i64, Path, description = "The user.")),
    request_body(content = SetAttribute, example = json!({"attribute": "Username", "value": "grace"})),
    responses((status = 200, description = "It was done.", body = Done), Refusals),
    security(("key" = ["users:write"])),
)]
async fn set_attribute(
    State(app): State<App>,
    Auth(caller): Auth,
    ById(key): ById,
    members: Members,
) -> Result<Json<Done>, Failure> {
    set(&app, &caller, key, members, false).await
}

/// Set attributes of a user
///
/// The body names attributes and their values. All are set, or none.
#[utoipa::path(
    post, path = "/users/{id}/set_multiple_attributes/", tag = "User.com",
    params(("id" = i64, Path, description = "The user.")),
    request_body(content = std::collections::BTreeMap<String, Any>, example = json!({"Username": "grace", "Language": "en"})),
    responses((status = 200, description = "It was done.", body = Done), Refusals),
    security(("key" = ["users:write"])),
)]
async fn set_multiple_attributes(
    State(app): State<App>,
    Auth(caller): Auth,
    ById(key): ById,
    members: Members,
) -> Result<Json<Done>, Failure> {
    set_all(&app, &caller, key, members).await
}

/// Clear an attribute of a user
#[utoipa::path(
    method(delete, post), path = "/users/{id}/remove_attribute/", tag = "User.com",
    params(("id" = i64, Path, description = "The user.")),
    request_body(content = RemoveAttribute, example = json!({"attribute": "first_name"})),
    responses((status = 200, description = "It was done.", body = Done), Refusals),
    security(("key" = ["users:write"])),
)]
async fn remove_attribute(
    State(app): State<App>,
    Auth(caller): Auth,
    ById(key): ById,
    members: Members,
) -> Result<Json<Done>, Failure> {
    set(&app, &caller, key, members, true).await
}

/// Set an attribute of a user by its custom id
#[utoipa::path(
    post, path = "/users-by-id/{custom_id}/set_attribute/", tag = "User.com",
    params(("custom_id" = String, Path, description = "The custom id of the user.")),
    request_body(content = SetAttribute, example = json!({"attribute": "Username", "value": "grace"})),
    responses((status = 200, description = "It was done.", body = Done), Refusals),
    security(("key" = ["users:write"])),
)]
async fn set_attribute_by_custom_id(
    State(app): State<App>,
    Auth(caller): Auth,
    ByCustomId(key): ByCustomId,
    members: Members,
) -> Result<Json<Done>, Failure> {
    set(&app, &caller, key, members, false).await
}

/// Set attributes of a user by its custom id
///
/// The body names attributes and their values. All are set, or none.
#[utoipa::path(
    post, path = "/users-by-id/{custom_id}/set_multiple_attributes/", tag = "User.com",
    params(("custom_id" = String, Path, description = "The custom id of the user.")),
    request_body(content = std::collections::BTreeMap<String, Any>, example = json!({"Username": "grace", "Language": "en"})),
    responses((status = 200, description = "It was done.", body = Done), Refusals),
    security(("key" = ["users:write"])),
)]
async fn set_multiple_attributes_by_custom_id(
    State(app): State<App>,
    Auth(caller): Auth,
    ByCustomId(key): ByCustomId,
    members: Members,
) -> Result<Json<Done>, Failure> {
    set_all(&app, &caller, key, members).await
}

/// Clear an attribute of a user by its custom id
#[utoipa::path(
    method(delete, post), path = "/users-by-id/{custom_id}/remove_attribute/", tag = "User.com",
    params(("custom_id" = String, Path, description = "The custom id of the user.")),
    request_body(content = RemoveAttribute, example = json!({"attribute": "first_name"})),
    responses((status = 200, description = "It was done.", body = Done), Refusals),
    security(("key" = ["users:write"])),
)]
async fn remove_attribute_by_custom_id(
    State(app): State<App>,
    Auth(caller): Auth,
    ByCustomId(key): ByCustomId,
    members: Members,
) -> Result<Json<Done>, Failure> {
    set(&app, &caller, key, members, true).await
}
