//! The users of a community.

use super::answer::{Answer, Errors};
use super::request::{PageNumber, Within};
use super::user_body::UserBody;
use super::user_filter::{PAGE_USERS, Start, UserPage};
use crate::http::App;
use crate::http::extract::{Json, NoParams, Params};
use crate::http::failure::Failure;
use crate::http::page::{Cursor, UpTo};
use axum::extract::State;
use muster_engine::{UserName, UserQuery};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_community_users)).routes(routes!(get_community_user))
}

/// Which page of users.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListUsers {
    /// Which page, from 1.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1_000_000, default = 1)]
    page: Option<PageNumber>,
    /// How many on a page, from 1 to 200.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 200)]
    limit: UpTo<PAGE_USERS, PAGE_USERS>,
    /// The `next_cursor` of the page before. Not together with `page`.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Get community users
///
/// In the order in which they were made.
#[utoipa::path(
    get, path = "/communities/{communityId}/users", tag = "Returning.AI",
    params(("communityId" = String, Path, description = "The community of the key."), ListUsers),
    responses((status = 200, description = "A page of users.", body = Answer<UserPage<UserBody>>), Errors),
    security(("key" = ["users:read"])),
)]
async fn list_community_users(
    State(app): State<App>,
    Within(caller, ()): Within<()>,
    Params(list): Params<ListUsers>,
) -> Result<Json<Answer<UserPage<UserBody>>>, Failure> {
    let start = Start::read(list.page, list.cursor.as_ref())?;
    let query = UserQuery { filter: None, zero: &[], sort: None, values: None, limit: list.limit.0, cursor: None };
    let page = start.page(&app.engine, &caller, query, UserBody::new).await?;
    Ok(Json(Answer::ok("Get community users successful", page)))
}

/// Get a community user
#[utoipa::path(
    get, path = "/communities/{communityId}/users/{idOrEmail}", tag = "Returning.AI",
    params(
        ("communityId" = String, Path, description = "The community of the key."),
        ("idOrEmail" = String, Path, description = "The id or the email of the user."),
    ),
    responses((status = 200, description = "The user.", body = Answer<UserBody>), Errors),
    security(("key" = ["users:read"])),
)]
async fn get_community_user(
    State(app): State<App>,
    Within(caller, name): Within<UserName>,
    _: NoParams,
) -> Result<Json<Answer<UserBody>>, Failure> {
    let (user, fields) = app.engine.find_named_user(&caller, &name).await?;
    Ok(Json(Answer::ok("Get user successful", UserBody::new(&user, &fields))))
}
