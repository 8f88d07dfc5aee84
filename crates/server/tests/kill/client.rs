//! A client of one server process, which may be gone at any moment.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// The connection broke before there was an answer.
#[derive(Debug)]
pub struct Dropped;

pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    pub fn new(url: &str, key: &str) -> Self {
        // The client wants to have one although nothing here is encrypted; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default().is_ok();
        Self {
            http: reqwest::Client::builder().no_proxy().build().expect("a client can be made"),
            url: url.to_owned(),
            key: key.to_owned(),
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.bearer_auth(&self.key)
    }

    pub async fn try_text(&self, path: &str) -> Result<String, Dropped> {
        let (status, text) = send(self.request(Method::GET, path)).await?;
        assert_eq!(status, 200, "{path}: {text}");
        Ok(text)
    }

    pub async fn try_get(&self, path: &str) -> Result<Value, Dropped> {
        let text = self.try_text(path).await?;
        Ok(serde_json::from_str(&text).expect("it is JSON"))
    }

    pub async fn text(&self, path: &str) -> String {
        self.try_text(path).await.expect("the server lives")
    }

    pub async fn get(&self, path: &str) -> Value {
        self.try_get(path).await.expect("the server lives")
    }

    /// Every page of a list.
    pub async fn all(&self, list: &str) -> Vec<Value> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{list}?limit=1000{cursor}")).await;
            found.extend(page["data"].as_array().expect("a page has data").iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else {
                return found;
            };
            cursor = format!("&cursor={next}");
        }
    }

    pub async fn make_points(&self) {
        let request = self.request(Method::POST, "/v1/fields");
        let answer = send(request.json(&json!({"name": "Points", "type": "integer"}))).await;
        assert_eq!(answer.expect("the server lives").0, 201);
    }

    /// Submits a file, with its name as the idempotency key, and gives the id of the job.
    pub async fn submit(&self, name: &str, csv: &str) -> Result<String, Dropped> {
        let request = self.request(Method::POST, &format!("/v1/jobs?kind=import&name={name}"));
        let request = request.header("content-type", "text/csv").body(csv.to_owned());
        let request = request.header("Idempotency-Key", name);
        let (status, text) = send(request).await?;
        assert_eq!(status, 202, "{text}");
        let job: Value = serde_json::from_str(&text).expect("it is JSON");
        Ok(job["id"].as_str().expect("it has an id").to_owned())
    }

    /// The ids of the jobs of a name, the newest first.
    pub async fn jobs_named(&self, name: &str) -> Vec<String> {
        let jobs = self.all("/v1/jobs").await;
        let of_name = jobs.iter().filter(|job| job["name"] == name);
        of_name.map(|job| job["id"].as_str().expect("it has an id").to_owned()).collect()
    }

    /// How many rows of a job are decided.
    pub async fn rows_done(&self, id: &str) -> u64 {
        let job = self.get(&format!("/v1/jobs/{id}")).await;
        job["progress"]["rows_done"].as_u64().expect("it is a number")
    }

    /// The job once it has ended.
    pub async fn ended(&self, id: &str) -> Result<Value, Dropped> {
        let job = self.try_get(&format!("/v1/jobs/{id}?wait=60")).await?;
        assert_eq!(job["state"], "completed", "{job}");
        Ok(job)
    }
}

async fn send(request: RequestBuilder) -> Result<(StatusCode, String), Dropped> {
    let response = request.send().await.map_err(|_| Dropped)?;
    let status = response.status();
    Ok((status, response.text().await.map_err(|_| Dropped)?))
}
