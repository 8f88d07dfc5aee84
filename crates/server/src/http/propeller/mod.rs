//! The Propeller Commerce face: `/v2`, and the same under `/`, because the product documents both.

mod attribute;
mod attribute_bulk;
mod attributes;
mod body;
mod bulk;
mod error;
mod paging;
mod record;
mod schema;
mod token;
mod users;
mod values;

use super::App;
use std::borrow::Cow;
use utoipa_axum::router::OpenApiRouter;

pub use error::answer;

/// Where the face lies.
pub const PREFIX: &str = "/v2";

/// The first segments of the addresses that lie under `/` too.
const RESOURCES: [&str; 3] = ["users", "attributes", "oauth2"];

/// Whether an address is one of this face.
pub fn holds(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    path.starts_with("/v2/") || RESOURCES.contains(&first)
}

/// A path as the OpenAPI document has it.
pub fn documented(path: &str) -> Cow<'_, str> {
    match holds(path) && !path.starts_with("/v2/") {
        true => format!("{PREFIX}{path}").into(),
        false => path.into(),
    }
}

/// The operations, relative to [`PREFIX`].
pub(super) fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new()
        .merge(token::routes())
        .merge(bulk::routes())
        .merge(users::routes())
        .merge(values::routes())
        .merge(attributes::routes())
        .merge(attribute_bulk::routes());
    let components = routes.get_openapi_mut().components.get_or_insert_default();
    components.schemas.extend(error::schemas());
    routes
}
