//! The User.com face: `/api/public`.
//!
//! Every address ends with a slash. A client that forgets it is served all the same: a redirect would lose the body.

mod attribute;
mod attributes;
mod body;
mod error;
mod mass_request;
mod mass_update;
mod paging;
mod search;
mod user_attributes;
mod user_body;
mod user_edits;
mod users;
mod who;

use super::App;
use axum::extract::Request;
use axum::http::Uri;
pub use error::answer;
use utoipa_axum::router::OpenApiRouter;

/// Where the face lies.
pub const PREFIX: &str = "/api/public";

/// The operations, relative to [`PREFIX`].
pub(super) fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new()
        .merge(mass_update::routes())
        .merge(users::routes())
        .merge(search::routes())
        .merge(user_attributes::routes())
        .merge(attributes::routes());
    let components = routes.get_openapi_mut().components.get_or_insert_default();
    components.schemas.extend(error::schemas());
    routes
}

/// The request with the slash at the end of its address that a client forgot.
pub async fn add_slash(mut request: Request) -> Request {
    let path = request.uri().path();
    if path.starts_with(PREFIX) && !path.ends_with('/') {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = format!("{path}/{query}").parse().ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}
