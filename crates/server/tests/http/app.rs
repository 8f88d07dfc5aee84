//! A server for one test: it listens, it works, and when the test ends nothing may be left over.

use muster_core::scope::Scope;
use muster_engine::{Clock, Community, Engine, Faults, Limits, NewKey, Staging, Worker, testing};
use muster_server::http::{HttpConfig, router};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What a test may decide about its server.
#[derive(Clone)]
pub struct Options {
    pub limits: Limits,
    pub config: HttpConfig,
    pub clock: Clock,
    /// Whether jobs run.
    pub works: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { limits: Limits::default(), config: HttpConfig::default(), clock: Clock::system(), works: true }
    }
}

/// A running server with one community and a key that may do everything.
pub struct App {
    pub engine: Engine,
    pub address: SocketAddr,
    pub community: Community,
    pub key: String,
    /// Points at which a test makes it fail or wait.
    pub faults: Faults,
    client: Client,
    server: JoinHandle<()>,
    worker: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    folder: TempDir,
}

/// Runs a test on every database that there is.
pub async fn on_every_database(test: impl AsyncFn(&App)) {
    with(Options::default(), test).await;
}

/// The same, with a server of these options.
pub async fn with(options: Options, test: impl AsyncFn(&App)) {
    for url in testing::database_urls().await {
        let app = App::start(url.as_deref(), options.clone()).await;
        test(&app).await;
        app.stop().await;
    }
}

impl App {
    async fn start(url: Option<&str>, options: Options) -> Self {
        // The client wants to have one although nothing here is encrypted; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default().is_ok();
        let folder = tempfile::tempdir().expect("a folder can be made");
        let store = testing::open(url, folder.path());
        store.migrate().await.expect("the schema can be made");
        let staging = Staging::open(&folder.path().join("staging")).expect("the folder can be written to");
        let faults = Faults::none();
        let engine = Engine::new(store, staging, options.clock, faults.clone(), options.limits);
        let community = engine.create_community("Ours").await.expect("a community can be made");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let router = router(engine.clone(), options.config);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let server =
            tokio::spawn(async move { axum::serve(listener, service).await.expect("it serves until the test ends") });
        let worker = options.works.then(|| {
            let (stop, stopped) = oneshot::channel::<()>();
            let worker = Worker::new(&engine).expect("a worker can be made");
            let running = worker.run(2, async {
                let _ = stopped.await;
            });
            (stop, tokio::spawn(running))
        });
        let mut app = Self {
            engine,
            address,
            community,
            key: String::new(),
            faults,
            client: Client::builder().no_proxy().build().expect("a client can be made"),
            server,
            worker,
            folder,
        };
        app.key = app.make_key(&app.community, Scope::ALL).await;
        app
    }

    async fn stop(mut self) {
        if let Some((stop, running)) = self.worker.take() {
            stop.send(()).expect("the worker waits for it");
            running.await.expect("the worker ends well");
        }
        self.server.abort();
        assert_eq!(self.engine.staging().count_incoming().expect("the folder is there"), 0, "a file was left over");
    }

    /// The folder of the server's files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub async fn make_key(&self, community: &Community, scopes: &[Scope]) -> String {
        let new = NewKey { name: "test".to_owned(), scopes: scopes.to_vec(), expires_at: None };
        self.engine.create_key(community, &new).await.expect("a key can be made").secret
    }

    /// A request without a key.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// A request with the key that may do everything.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&self.key)
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// The status and the JSON of what is there.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        json_of(self.request(Method::GET, path)).await
    }

    /// The text of what is there, which must be there.
    pub async fn get_text(&self, path: &str) -> String {
        let response = self.request(Method::GET, path).send().await.expect("the server answers");
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.expect("the answer is a text")
    }

    /// Submits a CSV file and gives the job as it was accepted.
    pub async fn submit(&self, query: &str, csv: &str) -> Value {
        let request = self.post(&format!("/v1/jobs{query}")).header("content-type", "text/csv");
        let (status, job) = json_of(request.body(csv.to_owned())).await;
        assert_eq!(status, 202, "{job}");
        job
    }

    /// Submits a CSV file, waits for the job to end and gives it.
    pub async fn run(&self, query: &str, csv: &str) -> Value {
        let job = self.submit(query, csv).await;
        self.ended(id_of(&job)).await
    }

    /// The job once it has ended.
    pub async fn ended(&self, id: &str) -> Value {
        let (status, job) = self.get(&format!("/v1/jobs/{id}?wait=60")).await;
        assert_eq!(status, 200, "{job}");
        assert!(!job["finished_at"].is_null(), "{job}");
        job
    }

    /// Makes a field.
    pub async fn make_field(&self, name: &str, kind: &str) -> Value {
        let (status, field) = json_of(self.post("/v1/fields").json(&json!({"name": name, "type": kind}))).await;
        assert_eq!(status, 201, "{field}");
        field
    }

    /// The user of an email.
    pub async fn user(&self, email: &str) -> Value {
        let (_, page) = self.get(&format!("/v1/users?email={email}")).await;
        page.pointer("/data/0").cloned().unwrap_or_default()
    }

    pub async fn count_jobs(&self) -> usize {
        self.get("/v1/jobs").await.1["data"].as_array().expect("a page has data").len()
    }
}

/// The id of what was answered.
pub fn id_of(object: &Value) -> &str {
    object["id"].as_str().expect("it has an id")
}

/// Sends a request and gives status and JSON.
pub async fn json_of(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("the server answers");
    let status = response.status();
    let text = response.text().await.expect("the answer is a text");
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")))
}

/// Takes out what differs from run to run, so that the rest can be compared.
pub fn without(mut value: Value, members: &[&str]) -> Value {
    for member in members {
        let taken = value.as_object_mut().expect("it is an object").remove(*member);
        assert!(taken.is_some(), "there is no {member}");
    }
    value
}
