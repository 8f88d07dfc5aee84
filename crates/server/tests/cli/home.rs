//! A folder for one test in which `muster` is run, and servers that run there.

use muster_engine::testing;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// A working directory, with nothing of the machine's environment.
pub struct Home {
    folder: TempDir,
    database: Option<String>,
}

/// What a command left.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Run {
    /// What it printed, if it ended well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// What it complained of, if it ended with this code.
    #[track_caller]
    pub fn exit(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.err
    }
}

/// Runs a test on every database that there is.
pub async fn on_every_database(test: impl Fn(&Home)) {
    for database in testing::database_urls().await {
        let home = Home { database, ..Home::new() };
        tokio::task::block_in_place(|| test(&home));
    }
}

impl Home {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: None }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(args).current_dir(self.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.database.as_ref().map(|url| ("MUSTER_DATABASE_URL", url)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, &[])
    }

    pub fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Run {
        finish(self.command(args).envs(variables.iter().copied()).spawn().unwrap())
    }

    /// Runs a command that reads this.
    pub fn feed(&self, args: &[&str], variables: &[(&str, &str)], input: &str) -> Run {
        let mut command = self.command(args);
        let mut child = command.envs(variables.iter().copied()).stdin(Stdio::piped()).spawn().unwrap();
        // What refuses at once does not read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).is_ok();
        finish(child)
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(args).ok()).unwrap()
    }

    /// Makes a community and a key to it.
    pub fn make_key(&self) -> String {
        let community = self.json(&["community", "create", "Ours", "--json"]);
        let id = community["id"].as_str().unwrap();
        let key = self.json(&["key", "create", "--community", id, "--name", "test", "--json"]);
        key["key"].as_str().unwrap().to_owned()
    }

    /// Starts a server on a free port and waits until it is ready.
    pub fn serve(&self, args: &[&str]) -> Server {
        self.start(&[&["serve", "--listen", "127.0.0.1:0"], args].concat())
    }

    /// Starts a worker that tells its numbers on a free port.
    pub fn work(&self) -> Server {
        self.start(&["worker", "--metrics-listen", "127.0.0.1:0"])
    }

    fn start(&self, all: &[&str]) -> Server {
        let mut child = self.command(all).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect(&line).to_owned();
        Server { child, url, _stdout: stdout }
    }
}

fn finish(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running server. It is killed when it is dropped.
pub struct Server {
    child: Child,
    pub url: String,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// What it answers at an address, head and body.
    pub fn get(&self, path: &str) -> String {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut connection = TcpStream::connect(address).unwrap();
        write!(connection, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Asks it to stop and gives the code that it exits with.
    pub fn terminate(mut self) -> Option<i32> {
        signal(&self.child, "TERM");
        self.child.wait().unwrap().code()
    }

    /// Kills it as a crash would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it ends by itself; `None`: by a signal.
    pub fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill().is_ok();
        let _ = self.child.wait().is_ok();
    }
}

/// Sends a signal to a process that this test started.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}
