//! Users: made, looked at, deleted and brought back.

use super::answer::{Errors, Success};
use super::new_user::NewUserBody;
use super::request::{Body, TextOrNumber};
use super::user_body::{UserBody, show};
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams};
use crate::http::failure::Failure;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use muster_core::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::Value as Any;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_community_user))
        .routes(routes!(get_user_info))
        .routes(routes!(manage_user))
}

/// A user who was made.
#[derive(Debug, Serialize, ToSchema)]
struct MadeUser {
    #[serde(flatten)]
    user: UserBody,
    /// What was sent and has no meaning here, such as passwords: Muster keeps none.
    ignored: Vec<&'static str>,
}

/// Create a user
///
/// Takes the members of the product's older and newest pages. `customFields` name their fields by id, key or name. What has
/// no meaning here is listed in `ignored`.
#[utoipa::path(
    post, path = "/users", tag = "Returning.AI",
    request_body(content = NewUserBody, example = json!({
        "firstname": "Ada", "lastname": "Lovelace", "username": "ada", "displayname": "Ada", "email": "new@example.com",
        "customFields": [{"fieldIdorName": "city", "value": "London"}],
    })),
    responses((status = 201, description = "The user.", body = Success<MadeUser>), Errors),
    security(("key" = ["users:write"])),
)]
async fn create_community_user(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Body(body): Body<NewUserBody>,
) -> Result<impl IntoResponse, Failure> {
    let ((user, fields), ignored) = body.create(&app.engine, &caller).await?;
    let data = MadeUser { user: UserBody::new(&user, &fields), ignored };
    Ok((StatusCode::CREATED, Json(Success::new("Create user successful", data))))
}

/// Who is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GetUserInfo {
    /// The id or the email.
    #[serde(rename = "idOrEmail")]
    #[schema(value_type = String)]
    id_or_email: TextOrNumber,
}

/// A user with what the product counts. What Muster does not know of (messages, visits, roles) is 0 or empty.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UserInfo {
    #[serde(flatten)]
    user: UserBody,
    /// None: Muster has no roles.
    roles: [&'static str; 0],
    /// None: Muster has no roles.
    highest_role: Option<&'static str>,
    /// By how much `xp` rose since midnight, UTC.
    #[schema(value_type = i64)]
    xp_earned_today: Any,
    /// By how much `coins` rose since midnight, UTC.
    #[schema(value_type = i64)]
    coins_earned_today: Any,
    /// 0: Muster has no messages.
    total_messages: u8,
    /// 0: Muster has no messages.
    total_reactions: u8,
    /// 0: Muster counts no visits.
    visit_count: u8,
    /// 0: Muster has no messages.
    reply_sent: u8,
    /// 0: Muster counts no visits.
    time_spent: u8,
    /// 0: Muster counts no visits.
    login_streak: u8,
}

/// Get user data
#[utoipa::path(
    post, path = "/users/info", tag = "Returning.AI",
    request_body(content = GetUserInfo, example = json!({"idOrEmail": "ada@example.com"})),
    responses((status = 200, description = "The user.", body = Success<UserInfo>), Errors),
    security(("key" = ["users:read"])),
)]
async fn get_user_info(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Body(body): Body<GetUserInfo>,
) -> Result<Json<Success<UserInfo>>, Failure> {
    let (user, fields) = app.engine.find_named_user(&caller, &body.id_or_email.user("/idOrEmail")?).await?;
    let today = app.engine.clock().now().to_zoned(TimeZone::UTC).start_of_day();
    let midnight = today.map_or(jiff::Timestamp::UNIX_EPOCH, |day| day.timestamp());
    let xp = app.engine.earned_since(&caller, user.id, "xp", midnight).await?;
    let coins = app.engine.earned_since(&caller, user.id, "coins", midnight).await?;
    let data = UserInfo {
        user: UserBody::new(&user, &fields),
        roles: [],
        highest_role: None,
        xp_earned_today: show(&Value::Decimal(xp)),
        coins_earned_today: show(&Value::Decimal(coins)),
        total_messages: 0,
        total_reactions: 0,
        visit_count: 0,
        reply_sent: 0,
        time_spent: 0,
        login_streak: 0,
    };
    Ok(Json(Success::new("Get user data successful", data)))
}

/// What happens to a user.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ManageAction)]
enum Action {
    /// The user is deleted: it keeps everything, and nothing finds it.
    Delete,
    /// A deleted user is back as it was.
    Restore,
}

/// What happens to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ManageUser {
    /// What happens.
    action: Action,
    /// The id, the email or the username.
    #[schema(value_type = String)]
    user: TextOrNumber,
}

/// A user who was deleted or brought back. The product documents an answer that repeats the request; it stands beside ours.
#[derive(Debug, Serialize, ToSchema)]
struct Managed {
    #[schema(example = "success")]
    status: &'static str,
    /// What was done, in words.
    message: &'static str,
    /// What was done to whom.
    data: ManagedUser,
    /// What was asked for.
    action: Action,
    /// The user as the request called it.
    user: String,
}

/// What was done to whom.
#[derive(Debug, Serialize, ToSchema)]
struct ManagedUser {
    /// What was done.
    action: Action,
    /// The id of the user.
    #[serde(rename = "userId")]
    user_id: i64,
}

/// Delete or restore a user
///
/// By id, email or username. Digits are an id. Of several users with one username none is touched, nor where an id is the
/// username of somebody else.
#[utoipa::path(
    post, path = "/users/manage", tag = "Returning.AI",
    request_body(content = ManageUser, example = json!({"action": "delete", "user": "ada@example.com"})),
    responses((status = 200, description = "It is done.", body = Managed), Errors),
    security(("key" = ["users:delete"])),
)]
async fn manage_user(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Body(ManageUser { action, user }): Body<ManageUser>,
) -> Result<Json<Managed>, Failure> {
    let name = user.user("/user")?;
    let (message, managed) = match action {
        Action::Delete => ("Delete user successful", app.engine.delete_named_user(&caller, &name).await?),
        Action::Restore => ("Restore user successful", app.engine.restore_named_user(&caller, &name).await?),
    };
    let data = ManagedUser { action, user_id: managed.id.0 };
    Ok(Json(Managed { status: "success", message, data, action, user: user.0 }))
}
