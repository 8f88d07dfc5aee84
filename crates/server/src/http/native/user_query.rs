//! Users found by a filter.

use super::users::UserBody;
use crate::http::App;
use crate::http::auth::Auth;
use crate::http::extract::{Json, NoParams};
use crate::http::failure::Failure;
use crate::http::page::{Cursor, Limit, Page};
use crate::http::problem::Problems;
use axum::extract::State;
use muster_engine::UserQuery;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The operations of this family.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(query_users))
}

/// Which users are wanted, and in what order.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UserQuery)]
#[serde(deny_unknown_fields)]
struct QueryBody {
    /// Whom the page is about; everybody if it is absent or empty. Members of one object must all hold. A member is the
    /// key of a field, or `id`, `email`, `created_at`, `updated_at`, with a value, with null where nothing is to be set, or
    /// with operators: `eq` `ne` `gt` `gte` `lt` `lte` `in` `contains` `starts_with` `is_set`. `and` and `or` take lists of
    /// filters, `not` takes a filter. Numbers, dates and times compare by value, texts by code point; `contains` and
    /// `starts_with` ignore case; `ne` is true where nothing is set.
    #[schema(value_type = Option<Object>)]
    filter: Option<Box<RawValue>>,
    /// The keys of the values that are wanted; all if it is absent.
    fields: Option<Vec<String>>,
    /// `points`, `-points` for the greatest first, or a list of one or two of them. By id if it is absent. Who has no
    /// value comes last either way, and among equals the lower id comes first.
    #[schema(value_type = Option<Object>, example = "-points")]
    sort: Option<Box<RawValue>>,
    /// How many, from 1 to 1,000.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000, default = 100)]
    limit: Limit,
    /// The `next_cursor` of the page before, of the same filter and sort.
    #[schema(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Find users by a filter
///
/// Pages stay right while users are added: a page begins after the place where the one before ended. Pages by id, or by a
/// field that is marked as indexed, are quick however many users there are.
#[utoipa::path(
    post, path = "/v1/users/query", tag = "Users",
    request_body(content = QueryBody, example = json!({
        "filter": {"premium_currency": {"gte": 10, "lt": 50}, "city": "Rome"},
        "fields": ["first_name", "premium_currency"],
        "sort": "-premium_currency",
    })),
    responses((status = 200, description = "A page of users.", body = Page<UserBody>), Problems),
    security(("key" = ["users:read"])),
)]
async fn query_users(
    State(app): State<App>,
    Auth(caller): Auth,
    _: NoParams,
    Json(body): Json<QueryBody>,
) -> Result<Json<Page<UserBody>>, Failure> {
    let text = |json: Option<Box<RawValue>>| json.map(|json| json.get().to_owned());
    let query = UserQuery {
        filter: text(body.filter),
        zero: &[],
        sort: text(body.sort),
        values: body.fields,
        limit: body.limit.0,
        cursor: body.cursor.map(|cursor| cursor.open()).transpose()?,
    };
    let found = app.engine.query_users(&caller, &query).await?;
    let users = found.users.iter().map(|user| UserBody::new(user, &found.fields));
    Ok(Json(Page::new(users, found.next)))
}
