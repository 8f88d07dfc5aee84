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

/// The same routes, where the document tells an operation by POST from the same by another method, and says why there are
/// both.
fn also_by_post(mut routes: OpenApiRouter<App>, why: &str) -> OpenApiRouter<App> {
    for path in routes.get_openapi_mut().paths.paths.values_mut() {
        let Some((first, post)) = path.put.as_ref().or(path.delete.as_ref()).zip(path.post.as_mut()) else { continue };
        post.operation_id = first.operation_id.as_ref().map(|id| format!("{id}_by_post"));
        post.summary = first.summary.as_ref().map(|summary| format!("{summary} (POST)"));
        let said = first.description.iter().map(String::as_str).chain([why]);
        post.description = Some(said.collect::<Vec<_>>().join("\n\n"));
    }
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
