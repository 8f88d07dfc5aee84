//! The examples of the documentation, run against a real server: every block of shell with `curl` in it, of every page.
//!
//! A page is one script, so that a later block can go on with what an earlier one said; it runs in a folder of its own, with a
//! community of its own, and every command in it must succeed. A line with an ellipsis is for readers and left out.

// The lints for tests hold for helpers too.
#![cfg(test)]

use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Files that the pages speak of.
const FILES: &[(&str, &str)] = &[
    ("users.csv", "Email,First Name,City\nann@example.com,Ann,Rome\nbob@example.com,Bob,Paris\n"),
    (
        "balances.csv",
        "Email,City,Points,Points_op,Premium Currency,Premium Currency_op\nann@example.com,Rome,,,100,add\n\
         bob@example.com,\\N,5,add,,\n",
    ),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages that may have examples.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(repository().join("docs")).expect("there are pages");
    let docs = docs.map(|entry| entry.expect("the folder can be read").path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.push(repository().join("README.md"));
    pages.sort();
    pages
}

/// The blocks that can be run, with the lines on which they begin.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let (mut blocks, mut open): (Vec<(usize, String)>, bool) = (Vec::new(), false);
    for (number, line) in page.lines().enumerate() {
        match (open, line.trim()) {
            (false, "```sh") => {
                open = true;
                blocks.push((number + 2, String::new()));
            }
            (true, "```") => open = false,
            (true, _) => {
                let (_, block) = blocks.last_mut().expect("one is open");
                writeln!(block, "{}", if line.contains('…') { "" } else { line }).expect("a String takes everything");
            }
            (false, _) => {}
        }
    }
    // What is said with another name for curl goes on where it was given.
    blocks.retain(|(_, block)| block.contains("curl") || block.contains("muster_api"));
    blocks
}

struct Server {
    folder: TempDir,
    process: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut process = muster(folder.path())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().expect("it is piped"));
        out.read_line(&mut line).expect("it says where it listens");
        let url = line.trim().trim_start_matches("listening on ").to_owned();
        Self { folder, process, url }
    }

    /// What a command says in JSON.
    fn ask(&self, args: &[&str]) -> Value {
        let said = muster(self.folder.path()).args(args).arg("--json").output().expect("it runs");
        serde_json::from_slice(&said.stdout).expect("it is JSON")
    }

    /// Runs the script of a page, with the variables that every page speaks of.
    fn run(&self, script: &str) -> Result<(), String> {
        let text = |value: &Value, name: &str| value[name].as_str().expect("it is a text").to_owned();
        let community = text(&self.ask(&["community", "create", "Examples"]), "id");
        let key = self.ask(&["key", "create", "--community", &community, "--name", "examples"]);
        let place = tempfile::tempdir().expect("a folder can be made");
        for (name, content) in FILES {
            fs::write(place.path().join(name), content).expect("the folder can be written to");
        }
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(place.path())
            .env("MUSTER_URL", &self.url)
            .env("MUSTER_KEY", text(&key, "key"))
            .env("MUSTER_KEY_ID", text(&key, "id"))
            .env("COMMUNITY", community)
            .env("no_proxy", "127.0.0.1")
            .output()
            .expect("there is a shell");
        match output.status.success() {
            true => Ok(()),
            false => {
                Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill().is_ok();
        let _ = self.process.wait().is_ok();
    }
}

fn muster(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.env("MUSTER_DATA_DIR", folder).env_remove("MUSTER_DATABASE_URL");
    command
}

#[test]
fn every_example_of_the_documentation_runs() {
    let server = Server::start();
    let mut ran = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("it is a text");
        let blocks = blocks(&text);
        let name = page.file_name().expect("it is a file").to_string_lossy().into_owned();
        // The fields that the pages speak of are there before them, as in the quickstart.
        let mut script = String::from(
            "curl -sS --fail-with-body -o made.json \"$MUSTER_URL/v1/fields\" -H \"Authorization: Bearer $MUSTER_KEY\" \
             -H 'Content-Type: application/json' -d '{\"name\": \"Points\", \"type\": \"integer\"}'\n\
             curl -sS --fail-with-body -o made.json \"$MUSTER_URL/v1/users/bulk\" -H \"Authorization: Bearer $MUSTER_KEY\" \
             -H 'Content-Type: application/json' \
             -d '{\"kind\": \"import\", \"records\": [{\"email\": \"ann@example.com\"}, {\"email\": \"bob@example.com\"}]}'\n",
        );
        for (line, block) in &blocks {
            let careful = block.contains("--fail") || !block.contains("curl");
            assert!(careful, "{name}, line {line}: curl succeeds whatever is answered; say --fail-with-body");
            writeln!(script, "echo '{name}, line {line}' >&2\n{block}").expect("a String takes everything");
        }
        if let Err(said) = server.run(&script) {
            panic!("{name}: the last block that is named did not succeed\n{said}");
        }
        ran += blocks.len();
    }
    assert!(ran > 10, "only {ran} blocks were found");
    assert!(muster(server.folder.path()).arg("verify").output().expect("it runs").status.success());
}
