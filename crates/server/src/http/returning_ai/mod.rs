//! The Returning.AI face: `/apis/v1`, and the same under `/api/v1/apis/v1`.
//!
//! The product documents two envelopes. Calls of its integration API answer `{"status","message","data"}`
//! ([`answer::Success`]), those of its application API (fields, their histories, community users) have `meta` beside that
//! ([`answer::Answer`]). Errors are the same everywhere, with the HTTP status.

mod anonymous;
mod answer;
mod api_keys;
mod bulk;
mod bulk_log;
mod community_users;
mod field_types;
mod filter_words;
mod histories;
mod new_user;
mod permissions;
mod request;
mod user_body;
mod user_fields;
mod user_filter;
mod users;

use super::App;
pub use answer::error_body;
use utoipa_axum::router::OpenApiRouter;

/// Where the face lies.
pub const PREFIX: &str = "/apis/v1";
/// Where it lies too, because the product's own samples show both.
pub const ALIAS: &str = "/api/v1/apis/v1";

/// The operations, relative to [`PREFIX`].
pub(super) fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new()
        .merge(bulk::routes())
        .merge(bulk_log::routes())
        .merge(users::routes())
        .merge(user_filter::routes())
        .merge(community_users::routes())
        .merge(histories::routes())
        .merge(api_keys::routes())
        .merge(user_fields::routes());
    let components = routes.get_openapi_mut().components.get_or_insert_default();
    components.schemas.extend(answer::schemas());
    routes
}
