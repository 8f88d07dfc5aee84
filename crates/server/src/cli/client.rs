//! Talking to a server.

use crate::cli::failure::{Failure, Result, innermost};
use clap::Args;
use muster_engine::chain;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Which server, and with which key.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub(crate) struct RemoteArgs {
    /// The server's address
    #[arg(long, env = "MUSTER_URL", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The API key
    #[arg(long, env = "MUSTER_KEY", value_name = "KEY")]
    key: Option<String>,
}

impl RemoteArgs {
    pub(crate) fn client(&self) -> Result<Client> {
        let key = self.key.as_deref().map(str::trim).filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| {
            let failure = Failure::new("There is no API key.");
            failure.hint("give one with --key or MUSTER_KEY; muster key create makes one")
        })?;
        Client::new(&self.url, key)
    }
}

/// A server and the key to it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// What a server says about a request that it refuses (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
    errors: Vec<ProblemEntry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProblemEntry {
    column: Option<String>,
    message: String,
}

impl ProblemEntry {
    /// The entry as a sentence with its place.
    pub(crate) fn sentence(&self) -> String {
        match &self.column {
            Some(column) if !self.message.contains(column.as_str()) => format!("column {column}: {}", self.message),
            _ => self.message.clone(),
        }
    }
}

impl Client {
    pub(crate) fn new(base: &str, key: &str) -> Result<Self> {
        let base = base.trim_end_matches('/').to_owned();
        let url = reqwest::Url::parse(&base).ok();
        let url = url.filter(|url| url.has_host() && ["http", "https"].contains(&url.scheme()));
        let Some(url) = url else {
            let failure = Failure::new(format!("\"{base}\" is not the address of a server."));
            return Err(failure.hint("write it like http://127.0.0.1:8080"));
        };
        let mut builder = reqwest::Client::builder().connect_timeout(Duration::from_secs(10));
        if url.scheme() == "http" {
            // Without this the machine's certificates are loaded, and a machine that has none is refused.
            builder = builder.tls_certs_only([]);
        }
        if ["127.0.0.1", "[::1]", "localhost"].contains(&url.host_str().unwrap_or_default()) {
            builder = builder.no_proxy();
        }
        // Doing it a second time in a process is refused, and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default().is_ok();
        let http = builder.build().map_err(|error| Failure::caused("No connection can be prepared", &error))?;
        Ok(Self { http, base, key: key.to_owned() })
    }

    /// The address of the server.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Begins a request with the key.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    /// Sends a request and reads the JSON that answers it.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = self.send(request).await?;
        let body = response.bytes().await.map_err(|error| self.broken(&error))?;
        serde_json::from_slice(&body).map_err(|error| {
            let failure = Failure::caused(format!("{} answered with something else than expected", self.base), &error);
            failure.hint("is it the address of a Muster server of this version?")
        })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.json(self.request(Method::GET, path)).await
    }

    /// Sends a request. What the server refuses is a failure in its words.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(refused(response).await),
        }
    }

    /// Why there is no answer.
    pub(crate) fn broken(&self, error: &reqwest::Error) -> Failure {
        if error.is_connect() {
            let sentence = format!("{} cannot be reached: {}", self.base, innermost(error));
            let failure = Failure::new(sentence).unreachable();
            return failure.hint("is muster serve running there? name another address with --url or MUSTER_URL");
        }
        Failure::new(format!("The connection to {} broke: {}", self.base, chain(error))).lost()
    }
}

async fn refused(response: Response) -> Failure {
    let status = response.status();
    let body = response.bytes().await.unwrap_or_default();
    let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
    let failure = match problem.detail.is_empty() {
        true => Failure::new(format!("The server answered {status}.")),
        false => Failure::listed(&problem.detail, problem.errors.iter().map(ProblemEntry::sentence)),
    };
    match status {
        StatusCode::UNAUTHORIZED => failure.hint("the key comes from --key or MUSTER_KEY; muster key create makes one"),
        // Busy, or something before the server that cannot reach it.
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => failure.unreachable(),
        // The server has not noticed yet that the first try broke off.
        StatusCode::CONFLICT if problem.code == "idempotency_key_running" => failure.unreachable(),
        _ => failure,
    }
}
