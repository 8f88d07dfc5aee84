//! Users, one by one.

use super::job_body::JobBody;
use super::job_children::accepted;
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Id, Json, NoParams, Params, Time, patch};
use crate::http::failure::Failure;
use crate::http::page::{Cursor, Limit, Page};
use crate::http::problem::Problems;
use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use muster_core::field::FieldSet;
use muster_core::id::UserId;
use muster_core::identity::Identity;
use muster_core::user::User;
use muster_core::{Code, Patch};
use muster_engine::UserEdit;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_users))
        .routes(routes!(get_user, edit_user, delete_user))
        .routes(routes!(restore_user))
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserBody {
    /// The id.
    id: i64,
    /// The email.
    email: Option<String>,
    /// What names the user in other systems.
    #[schema(value_type = Vec<Object>)]
    identities: Vec<Identity>,
    /// The values by field key; a field without a value is not there. Decimals and currencies are strings, and so are
    /// whole numbers beyond 2^53.
    #[schema(value_type = Object)]
    values: Map<String, Value>,
    /// How often the user was changed; also the `ETag`.
    version: i64,
    /// When the user was made.
    created_at: Timestamp,
    /// When the user was changed last.
    updated_at: Timestamp,
}

impl UserBody {
    /// The user with its values by the keys of the fields.
    pub(super) fn new(user: &User, fields: &FieldSet) -> Self {
        let values = fields.shown(user).map(|(field, value)| (field.key.clone(), value.to_wire()));
        Self {
            id: user.id.0,
            email: user.email.clone(),
            identities: user.identities.clone(),
            values: values.collect(),
            version: user.version,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// The user with its version as the entity tag.
pub(super) fn tagged((user, fields): (User, FieldSet)) -> impl IntoResponse {
    ([(ETAG, etag(&user))], Json(UserBody::new(&user, &fields)))
}

fn etag(user: &User) -> String {
    format!("\"{}\"", user.version)
}

/// Which users are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListUsers {
    /// Only the user of this email, whatever its case.
    email: Option<String>,
    /// How many, from 1 to 1,000.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1_000, default = 100)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// List users
///
/// In the order in which they were made.
#[utoipa::path(
    get, path = "/v1/users", tag = "Users",
    params(ListUsers),
    responses((status = 200, description = "A page of users.", body = Page<UserBody>), Problems),
    security(("key" = ["users:read"])),
)]
async fn list_users(
    State(app): State<App>,
    Auth(caller): Auth,
    Params(list): Params<ListUsers>,
) -> Result<Json<Page<UserBody>>, Failure> {
    let after = list.cursor.map(|cursor| cursor.open()).transpose()?;
    let after = UserId(after.unwrap_or(0));
    let page = app.engine.list_users(&caller, list.email.as_deref(), after, list.limit.0).await?;
    let users = page.users.iter().map(|user| UserBody::new(user, &page.fields));
    Ok(Json(Page::new(users, page.next)))
}

/// At which time a user is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct GetUser {
    /// Answer the user as of this time. One who was not there yet or was deleted then is not found; 409 `history_expired`
    /// where that part of the history is over its time.
    #[param(value_type = Option<String>, format = DateTime)]
    at: Option<Time>,
}

/// Get a user
///
/// As it is now, or as it was at a time.
#[utoipa::path(
    get, path = "/v1/users/{id}", tag = "Users",
    params(
        ("id" = i64, Path, description = "The user."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag`s that are known; then 304 says that the user has one of them."),
        GetUser,
    ),
    responses(
        (status = 304, description = "The user has a version that is known.",
            headers(("ETag" = String, description = "The version."))),
        (status = 200, description = "The user.", body = UserBody,
            headers(("ETag" = String, description = "The version."))),
        Problems,
    ),
    security(("key" = ["users:read"])),
)]
async fn get_user(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<UserId>,
    Params(GetUser { at }): Params<GetUser>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (user, fields) = match at {
        Some(at) => app.engine.get_user_at(&caller, id, at.0).await?,
        None => app.engine.get_user(&caller, id).await?,
    };
    Ok(match is_known(&headers, &etag(&user)) {
        true => (StatusCode::NOT_MODIFIED, [(ETAG, etag(&user))]).into_response(),
        false => tagged((user, fields)).into_response(),
    })
}

/// Whether `If-None-Match` names the tag, weak or not, or any.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(IF_NONE_MATCH).iter().filter_map(|header| header.to_str().ok());
    let mut tags = given.flat_map(|text| text.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// What changes about a user. What is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditUser {
    /// The email; null takes it away.
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<String>)]
    email: Patch<String>,
    /// Values by field key: null clears, `{"op": "add", "value": 5}` operates on a number, anything else overwrites.
    #[serde(default)]
    #[schema(value_type = Object)]
    values: Members,
}

/// The members of an object in their order, each once.
#[derive(Debug, Default)]
pub(super) struct Members(pub(super) Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of values by field key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some((key, value)) = map.next_entry()? {
                    if members.iter().any(|(other, _)| *other == key) {
                        return Err(A::Error::custom(format!("duplicate field `{key}`")));
                    }
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Object)
    }
}

/// Change a user
///
/// With `If-Match: "VERSION"` only if nobody else changed the user since.
#[utoipa::path(
    patch, path = "/v1/users/{id}", tag = "Users",
    params(
        ("id" = i64, Path, description = "The user."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the user must have."),
    ),
    request_body(content = EditUser, example = json!({"values": {"first_name": "Ada", "premium_currency": {"op": "add", "value": 5}}})),
    responses(
        (status = 200, description = "The user as it is now.", body = UserBody,
            headers(("ETag" = String, description = "The version."))),
        Problems,
    ),
    security(("key" = ["users:write"])),
)]
async fn edit_user(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<UserId>,
    _: NoParams,
    headers: HeaderMap,
    Json(edit): Json<EditUser>,
) -> Result<impl IntoResponse, Failure> {
    let if_version = if_match(&headers)?;
    let edit = UserEdit { email: edit.email, values: edit.values.0, if_version, ..UserEdit::default() };
    Ok(tagged(app.engine.edit_user(&caller, id, &edit).await?))
}

/// How a user is deleted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeleteUser {
    /// Erase the user, who may be deleted already, with everything that is known about it. It cannot be brought back.
    #[serde(default)]
    #[param(default = false)]
    erase: bool,
}

/// Delete a user
///
/// The user keeps everything and gives up its email; it is found no more. With `erase=true` a job takes away for good what is
/// known about it: values, history, what was said about its rows, and the file of every job that held it.
#[utoipa::path(
    delete, path = "/v1/users/{id}", tag = "Users",
    params(
        ("id" = i64, Path, description = "The user."),
        DeleteUser,
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the user must have."),
    ),
    responses(
        (status = 204, description = "The user is deleted."),
        (status = 202, description = "The job that erases the user is accepted and durable.", body = JobBody,
            headers(("Location" = String, description = "The address of the job."))),
        Problems,
    ),
    security(("key" = ["users:delete"])),
)]
async fn delete_user(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<UserId>,
    Params(DeleteUser { erase }): Params<DeleteUser>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let version = if_match(&headers)?;
    if erase {
        return Ok(accepted(app.engine.erase_user(&caller, id, version).await?).into_response());
    }
    app.engine.delete_user(&caller, id, version).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Restore a user
///
/// A deleted user is back as it was, with its id, its values and its history. Where somebody else has taken its email meanwhile,
/// it is refused as `not_unique`. One who is not deleted stays as it is.
#[utoipa::path(
    post, path = "/v1/users/{id}/restore", tag = "Users",
    params(("id" = i64, Path, description = "The user.")),
    responses(
        (status = 200, description = "The user as it is now.", body = UserBody,
            headers(("ETag" = String, description = "The version."))),
        Problems,
    ),
    security(("key" = ["users:delete"])),
)]
async fn restore_user(
    State(app): State<App>,
    Auth(caller): Auth,
    Id(id): Id<UserId>,
    _: NoParams,
) -> Result<impl IntoResponse, Failure> {
    Ok(tagged(app.engine.restore_user(&caller, id).await?))
}

/// The version that `If-Match` asks for. A tag that is not one of ours is that of no version.
fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Failure> {
    let refuse = || Failure::new(Code::InvalidRequest, "If-Match is one ETag in quotes, such as \"7\", or *.");
    let mut given = headers.get_all(IF_MATCH).iter();
    let (Some(header), rest) = (given.next(), given.next()) else {
        return Ok(None);
    };
    let text = header.to_str().ok().filter(|_| rest.is_none()).ok_or_else(refuse)?.trim();
    if text == "*" {
        return Ok(None);
    }
    let strong = text.strip_prefix("W/").unwrap_or(text);
    let tag = strong.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).filter(|tag| !tag.contains('"'));
    let version = tag.ok_or_else(refuse)?.parse().ok().filter(|_| strong == text);
    Ok(Some(version.unwrap_or(-1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_is_found_among_others() {
        let known = |text: &str| is_known(&HeaderMap::from_iter([(IF_NONE_MATCH, text.parse().unwrap())]), "\"7\"");
        assert!(known("\"7\"") && known("\"6\", W/\"7\"") && known("*"));
        assert!(!known("\"77\"") && !known("7") && !is_known(&HeaderMap::new(), "\"7\""));
    }

    #[test]
    fn if_match_names_a_version_or_is_refused() {
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(IF_MATCH, text.parse().unwrap())]);
            if_match(&headers).map_err(|failure| failure.error.code)
        };
        assert_eq!(read("\"7\""), Ok(Some(7)));
        assert_eq!(read("*"), Ok(None));
        assert_eq!(read("W/\"7\""), Ok(Some(-1)), "a weak tag never matches");
        assert_eq!(read("\"x\""), Ok(Some(-1)), "a foreign tag never matches");
        assert_eq!(read("7"), Err(Code::InvalidRequest));
        assert_eq!(read("\"7\", \"8\""), Err(Code::InvalidRequest));
        assert_eq!(if_match(&HeaderMap::new()).ok(), Some(None));
    }
}
