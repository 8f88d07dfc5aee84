//! How the world reaches Muster over HTTP: one router for all faces.
//!
//! A face translates: its wire format in, an engine call, its wire format out. Each family of endpoints is one file, with
//! its shapes, its handlers and what the OpenAPI document says about them; the document is made of the same routes that
//! serve, so that neither can have what the other lacks.
//!
//! ```text
//! request ─▶ edge (request id, log, form of errors) ─▶ catch panics ─▶ idempotency ─▶ handler ─▶ engine
//! ```
//!
//! Handlers fail with a `Failure`, which knows no wire format; the edge gives it that of the face whose address was
//! called. So whatever fails, a handler, an extractor, the routing itself or a panic, is answered in one place.

mod auth;
mod described;
mod docs;
mod edge;
mod extract;
mod failure;
mod idempotency;
mod limits;
mod linger;
mod metrics;
mod native;
mod operations;
mod page;
mod problem;
mod propeller;
mod returning_ai;
mod upload;
mod user_com;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_request};
use described::Operations;
use failure::Failure;
use limits::Limits;
use metrics::Metrics;
use muster_core::Code;
use muster_engine::{Engine, JobView};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

pub use limits::{Rate, Rates};

/// What can be configured about the faces.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Bytes of one JSON body. What files may have is a limit of the engine.
    pub json_body_bytes: usize,
    /// Records of one request that is answered at once.
    pub records: usize,
    /// Ids of users in one such request.
    pub ids: usize,
    /// How often somebody may ask.
    pub rates: Rates,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { json_body_bytes: 32 << 20, records: 10_000, ids: 100_000, rates: Rates::default() }
    }
}

/// What every handler can reach.
#[derive(Clone, Debug)]
struct App {
    engine: Engine,
    config: Arc<HttpConfig>,
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
    /// The OpenAPI document as JSON.
    document: Arc<str>,
    /// What takes an idempotency key.
    operations: Arc<Operations>,
}

impl App {
    fn new(engine: Engine, config: HttpConfig, document: &OpenApi) -> Self {
        Self {
            limits: Arc::new(Limits::new(&config, engine.clock())),
            metrics: Arc::new(Metrics::new(&engine)),
            engine,
            config: config.into(),
            document: document.to_json().expect("the document is made of plain values").into(),
            operations: Arc::new(Operations::new(document)),
        }
    }
}

/// What tells whoever runs a process how it is, and nothing else.
pub fn operations(engine: Engine) -> Router {
    let app = App::new(engine, HttpConfig::default(), &document());
    served(operations::probes(), app)
}

/// Everything that is served.
pub fn router(engine: Engine, config: HttpConfig) -> Router {
    let (documented, document) = routes().split_for_parts();
    let app = App::new(engine, config, &document);
    let routes = documented
        .merge(operations::routes())
        .merge(docs::routes())
        .nest(returning_ai::ALIAS, returning_ai::routes().into())
        .merge(Router::from(propeller::routes()));
    // Around the routes, which are found by what it makes of an address.
    Router::new().fallback_service(served(routes, app)).layer(map_request(user_com::add_slash))
}

/// Routes with all that goes around them.
fn served(routes: Router<App>, app: App) -> Router {
    routes
        .fallback(async || Failure::new(Code::NotFound, "There is nothing at this address."))
        .method_not_allowed_fallback(async || {
            let detail = "The address exists, with another method; the header Allow names it.";
            Failure::new(Code::MethodNotAllowed, detail)
        })
        // Uploads are limited by the engine while they stream, JSON bodies where they are read.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(app.clone(), idempotency::honour))
        .layer(CatchPanicLayer::custom(failure::from_panic))
        .layer(from_fn_with_state(app.clone(), edge::edge))
        .with_state(app)
}

/// A job as `GET /v1/jobs/{id}` shows it; webhooks are sent the same.
pub fn show_job(view: JobView) -> serde_json::Value {
    native::show_job(view)
}

/// The OpenAPI document of everything that is served.
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

/// The routes that the document names.
fn routes() -> OpenApiRouter<App> {
    let routes = OpenApiRouter::with_openapi(document());
    let mut routes = routes.merge(native::routes()).nest(returning_ai::PREFIX, returning_ai::routes());
    routes = routes.nest(propeller::PREFIX, propeller::routes()).nest(user_com::PREFIX, user_com::routes());
    idempotency::declare(routes.get_openapi_mut());
    routes
}

/// The document before there are routes in it.
fn document() -> OpenApi {
    let mut document = OpenApi::new(
        utoipa::openapi::InfoBuilder::new()
            .title("Muster")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(
                "User data in bulk: send a file of a million rows, and every row is validated, applied exactly once and \
                 explained. Lists are `{\"data\", \"next_cursor\"}`; errors are `application/problem+json` with a stable \
                 `code`; every response carries `X-Request-Id`. The scopes that an operation needs stand with its security.",
            ))
            .build(),
        utoipa::openapi::Paths::new(),
    );
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("`Authorization: Bearer KEY`; `Authorization: Token KEY` is the same."))
        .build();
    let client = HttpBuilder::new()
        .scheme(HttpAuthScheme::Basic)
        .description(Some("The id of a key and the key; or both in the form, as the operation says."))
        .build();
    let components = utoipa::openapi::ComponentsBuilder::new()
        .security_scheme("key", SecurityScheme::Http(key))
        .security_scheme("client", SecurityScheme::Http(client));
    document.components = Some(components.build());
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::any;
    use muster_core::scope::Scope;
    use muster_engine::{Clock, Faults, NewKey, Staging, testing};
    use serde_json::Value;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_is_answered_in_the_form_of_the_face() {
        let _ = rustls::crypto::ring::default_provider().install_default().is_ok();
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::open(folder.path()).unwrap();
        let store = testing::open(None, folder.path());
        store.migrate().await.unwrap();
        let engine = Engine::new(store, staging, Clock::system(), Faults::none(), muster_engine::Limits::default());
        let community = engine.create_community("Ours").await.unwrap();
        let new = NewKey { name: "test".into(), scopes: Scope::ALL.to_vec(), expires_at: None };
        let key = engine.create_key(&community, &new).await.unwrap().secret;
        let app = App::new(engine, HttpConfig::default(), &openapi());
        let panics = any(async || -> () { panic!("a secret") });
        let routes =
            Router::new().route("/v1/x", panics.clone()).route("/v1/keys", panics.clone()).route("/apis/v1/x", panics);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async { axum::serve(listener, served(routes, app)).await });

        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let ask = async |path: &str| -> (u16, Value) {
            let response = client.get(format!("http://{address}{path}")).send().await.unwrap();
            assert!(response.headers().contains_key("x-request-id"));
            (response.status().as_u16(), response.json().await.unwrap())
        };
        let (status, problem) = ask("/v1/x").await;
        assert_eq!((status, problem["code"].as_str()), (500, Some("internal")), "{problem}");
        assert!(!problem.to_string().contains("secret"), "{problem}");
        let (status, error) = ask("/apis/v1/x").await;
        assert_eq!((status, error["status"].as_str()), (500, Some("error")), "{error}");
        // With an idempotency key the handler runs on a task of its own.
        let keyed = client.post(format!("http://{address}/v1/keys")).bearer_auth(key).header("Idempotency-Key", "k");
        let response = keyed.send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers().contains_key("x-request-id")), (500, true));
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["code"], "internal", "{problem}");
        server.abort();
    }
}
