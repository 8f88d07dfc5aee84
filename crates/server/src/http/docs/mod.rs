//! `/docs`: a browser for the OpenAPI document, and a page of all error codes, to which the `type` of a problem leads.
//!
//! Swagger UI is a part of the program. The pages may load from this server only, which their Content-Security-Policy makes
//! sure of; nobody may frame them.

use super::App;
use super::failure::Failure;
use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use muster_core::Code;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use utoipa_swagger_ui::Config;

/// Swagger UI writes styles into its elements, hence `unsafe-inline` for those; its pictures are data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The pages.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/docs", get(async || page(Cow::Borrowed(include_str!("index.html")))))
        .route("/docs/", get(async || Redirect::permanent("/docs")))
        .route("/docs/errors", get(async || page(Cow::Owned(errors()))))
        .route("/docs/{file}", get(asset))
}

fn page(html: Cow<'static, str>) -> Response {
    file("text/html; charset=utf-8", html.into_owned().into_bytes().into())
}

fn file(content_type: &'static str, bytes: Cow<'static, [u8]>) -> Response {
    let headers = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, bytes.into_owned()).into_response()
}

async fn asset(Path(name): Path<String>) -> Result<Response, Failure> {
    let nothing = || Failure::new(Code::NotFound, "There is nothing at this address.");
    let (css, js) = ("text/css; charset=utf-8", "text/javascript; charset=utf-8");
    match name.as_str() {
        "page.css" => Ok(file(css, include_bytes!("page.css").as_slice().into())),
        "page.js" => Ok(file(js, include_bytes!("page.js").as_slice().into())),
        "swagger-ui.css" | "swagger-ui-bundle.js" => {
            let found = utoipa_swagger_ui::serve(&name, Arc::new(Config::default())).ok().flatten();
            let content_type = if name.ends_with("css") { css } else { js };
            Ok(file(content_type, found.ok_or_else(nothing)?.bytes.into_owned().into()))
        }
        _ => Err(nothing()),
    }
}

/// The catalogue of errors as a page; `/docs/errors#not_found` is the place of a code. Its texts are our own, and none has
/// a character that HTML would take for its own but `&` and `<`.
fn errors() -> String {
    let mut rows = String::new();
    for code in Code::ALL {
        let help = code.help().replace('&', "&amp;").replace('<', "&lt;");
        let (code, status) = (code.as_str(), code.status());
        let row = format!("<tr id=\"{code}\"><td><code>{code}</code></td><td>{status}</td><td>{help}</td></tr>\n");
        rows.write_str(&row).expect("a String takes everything");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Muster: error codes</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"/docs/page.css\">\n</head>\n<body>\n<main>\n\
         <h1>Error codes</h1>\n<p>What the API answers, and what rows and jobs fail with. <a href=\"/docs\">The API</a></p>\n\
         <table>\n<tr><th>Code</th><th>Status</th><th>What helps</th></tr>\n{rows}</table>\n</main>\n</body>\n</html>\n"
    )
}
