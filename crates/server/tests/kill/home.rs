//! A place where processes of the real binary live: a folder, a database, and the processes that a test starts there.

use crate::client::Client;
use muster_engine::testing;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// No process takes as long as this to do what a test waits for.
const TOO_LONG: Duration = Duration::from_secs(60);

/// The databases that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// The databases to test on: SQLite always, PostgreSQL where there is one; where not, that is said aloud.
pub async fn backends() -> Vec<Backend> {
    let backend = |url: &Option<String>| url.as_ref().map_or(Backend::Sqlite, |_| Backend::Postgres);
    testing::database_urls().await.iter().map(backend).collect()
}

/// A folder and a database that nobody used before.
pub struct Home {
    folder: TempDir,
    pub url: Option<String>,
}

impl Home {
    pub async fn new(backend: Backend) -> Self {
        let url = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => testing::database_urls().await.into_iter().flatten().next(),
        };
        Self { folder: tempfile::tempdir().expect("a folder can be made"), url }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command to its end, which must be a good one, and gives what it printed.
    pub async fn run(&self, args: &[&str]) -> String {
        let ended = self.command(args).stderr(Stdio::piped()).output();
        let output = ended.await.expect("it can be started");
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "{args:?}: {}\n{out}{err}", output.status);
        out
    }

    /// Makes a community and a key to it.
    pub async fn make_key(&self) -> String {
        let community = json(&self.run(&["community", "create", "Ours", "--json"]).await);
        let id = community["id"].as_str().expect("it has an id");
        let key = ["key", "create", "--community", id, "--name", "test", "--json"];
        json(&self.run(&key).await)["key"].as_str().expect("it has a key").to_owned()
    }

    /// Starts a server on a free port and waits until it is ready.
    pub async fn serve(&self, args: &[&str]) -> Server {
        let mut process = self.start(&[&["serve", "--listen", "127.0.0.1:0"], args].concat());
        let stdout = process.child.stdout.take().expect("it is piped");
        let (mut stdout, mut line) = (BufReader::new(stdout), String::new());
        stdout.read_line(&mut line).await.expect("it can be read");
        let url = line.trim().strip_prefix("listening on ");
        let url = url.unwrap_or_else(|| panic!("not ready: {line}")).to_owned();
        Server { process, url, _stdout: stdout }
    }

    /// Starts a process that is not waited for.
    pub fn start(&self, args: &[&str]) -> Process {
        let mut command = self.command(args);
        command.stderr(self.log()).kill_on_drop(true);
        Process { child: command.spawn().expect("it can be started") }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(args).current_dir(self.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("MUSTER_DATA_DIR", self.path().join("data"));
        command.envs(self.url.as_ref().map(|url| ("MUSTER_DATABASE_URL", url)));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    fn log(&self) -> File {
        let opened = OpenOptions::new().create(true).append(true).open(self.path().join("log"));
        opened.expect("the folder can be written to")
    }

    /// The files of jobs and uploads, by their names below the staging folder.
    pub fn staged(&self) -> Vec<String> {
        let root = self.path().join("data");
        let mut found = Vec::new();
        for folder in ["jobs", "incoming"] {
            collect(&root.join(folder), &mut found);
        }
        let name = |path: PathBuf| path.strip_prefix(&root).expect("it is below").display().to_string();
        found.into_iter().map(name).collect()
    }

    /// Lets the reservations of idempotency keys lapse. On SQLite the next server knows that nobody else is alive.
    pub async fn lapse(&self) {
        if self.url.is_some() {
            let store = testing::open(self.url.as_deref(), self.path());
            testing::execute(&store, "UPDATE idempotency_keys SET expires_at = 1 WHERE status = 0").await;
        }
    }

    /// The names of the workers that have not left, by their lock files.
    pub fn owners(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.path().join("data/workers"), &mut found);
        let name = |path: PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        found.into_iter().filter_map(name).collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path().join("log")).unwrap_or_default();
            eprintln!("the processes in {:?} said:\n{log}", self.url);
        }
    }
}

/// Every file below a folder that may not be there.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("the folder can be read").path();
        match path.is_dir() {
            true => collect(&path, found),
            false => found.push(path),
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("it is text")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("it is JSON")
}

/// A process that a test started. It is killed when it is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Kills it, as a crash would.
    pub async fn kill(mut self) {
        self.child.start_kill().expect("it is ours");
        self.assert_killed().await;
    }

    /// Waits until it is gone, which must be by `kill -9`.
    pub async fn assert_killed(mut self) {
        let status = tokio::time::timeout(TOO_LONG, self.child.wait()).await;
        let status = status.expect("it dies in time").expect("it can be waited for");
        assert_eq!(status.signal(), Some(9), "{status}");
    }

    /// Asks it to stop and waits until it has; it must end well.
    pub async fn stop(mut self) {
        self.signal("TERM").await;
        let status = tokio::time::timeout(TOO_LONG, self.child.wait()).await;
        let status = status.expect("it stops in time").expect("it can be waited for");
        assert!(status.success(), "{status}");
    }

    /// Waits until it ends by itself, which must be well.
    pub async fn ended(mut self) {
        let status = tokio::time::timeout(TOO_LONG, self.child.wait()).await;
        let status = status.expect("it ends in time").expect("it can be waited for");
        assert!(status.success(), "{status}");
    }

    pub async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it was not waited for").to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(sent.expect("there is a kill").success());
    }
}

/// A process that serves.
pub struct Server {
    pub process: Process,
    url: String,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn client(&self, key: &str) -> Client {
        Client::new(&self.url, key)
    }
}
