//! What a client does whatever happens to the server: it submits one file after the other, and when the connection breaks it
//! submits the file again with the same idempotency key.

use crate::client::Dropped;
use crate::home::{Home, Server};
use crate::state::{State, inspect};

/// The jobs of a run, by their names.
pub type Files<'a> = &'a [(&'a str, String)];

/// A run of which nothing dies.
pub async fn calm(home: &Home, files: Files<'_>) -> State {
    let server = home.serve(&[]).await;
    let key = home.make_key().await;
    let client = server.client(&key);
    client.make_points().await;
    for (name, csv) in files {
        let job = client.submit(name, csv).await.expect("the server lives");
        client.ended(&job).await.expect("the server lives");
    }
    inspect(home, server, &key).await
}

/// A run whose server dies once by itself.
pub struct Dying<'a> {
    home: &'a Home,
    key: String,
    /// The server, and whether it is the one that will die.
    server: Option<Server>,
    doomed: bool,
    /// Where the server died under a submission: whether there was a job all the same.
    pub accepted: Vec<bool>,
}

impl<'a> Dying<'a> {
    /// Starts the server that will die at a point, as `POINT:PASSES`.
    pub async fn start(home: &'a Home, crash_at: &str) -> Self {
        let server = home.serve(&["--crash-at", crash_at]).await;
        let key = home.make_key().await;
        server.client(&key).make_points().await;
        Self { home, key, server: Some(server), doomed: true, accepted: Vec::new() }
    }

    /// Submits every file and sees it through.
    pub async fn run(&mut self, files: Files<'_>) {
        for (name, csv) in files {
            let job = self.submit(name, csv).await;
            while self.client().ended(&job).await.is_err() {
                self.restart().await;
            }
        }
        // What happens after the end of the last job is not heard by its client.
        if self.doomed {
            self.restart().await;
        }
    }

    /// What is there at last.
    pub async fn inspect(mut self) -> (State, Vec<bool>) {
        let server = self.server.take().expect("it was started again");
        (inspect(self.home, server, &self.key).await, self.accepted)
    }

    async fn submit(&mut self, name: &str, csv: &str) -> String {
        if let Ok(job) = self.client().submit(name, csv).await {
            return job;
        }
        self.restart().await;
        let found = self.client().jobs_named(name).await;
        assert!(found.len() <= 1, "{found:?}");
        self.accepted.push(!found.is_empty());
        self.home.lapse().await;
        let job = self.client().submit(name, csv).await.map_err(|Dropped| "it died again").expect("it dies once");
        assert_eq!(self.client().jobs_named(name).await, [job.as_str()], "{found:?}");
        job
    }

    fn client(&self) -> crate::client::Client {
        self.server.as_ref().expect("it was started").client(&self.key)
    }

    async fn restart(&mut self) {
        assert!(self.doomed, "the server died a second time");
        self.doomed = false;
        let dying = self.server.take().expect("it was started");
        dying.process.assert_killed().await;
        self.server = Some(self.home.serve(&[]).await);
    }
}
