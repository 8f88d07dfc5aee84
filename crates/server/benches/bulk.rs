//! How fast a real server applies files, and how much memory it takes.
//!
//! ```sh
//! cargo bench -p muster-server --bench bulk -- --rows 1000000
//! ```
//!
//! The release binary serves on a folder of its own, with every default: durable commits, results and history on. Files
//! are made by `muster generate` and sent over HTTP while they are read. The time runs from the first byte that is sent
//! until the job is over, so it holds the upload, the sorting, every commit and the merging of the results.

use clap::Parser;
use futures_util::stream::try_unfold;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Client};
use serde_json::Value;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// The binary that is measured.
const MUSTER: &str = env!("CARGO_BIN_EXE_muster");
/// How much of a file is sent at a time.
const BLOCK_BYTES: usize = 256 << 10;
/// How often the rows of the update are sent in the long file.
const LONG: u64 = 10;

/// What is measured.
#[derive(Debug, Parser)]
struct Options {
    /// How many users and rows
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// An empty PostgreSQL database [default: SQLite in a temporary folder]
    #[arg(long, value_name = "postgres://…")]
    database_url: Option<String>,
    /// Send the update once more with its rows ten times, to see whether the memory grows
    #[arg(long)]
    long: bool,
    /// Instead: whether memory grows with the file. Plans and applies the update, and reads all results, in a server of its
    /// own for its rows once and ten times
    #[arg(long)]
    memory: bool,
    /// What cargo says to a benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    if !options.bench {
        println!("run it as: cargo bench -p muster-server --bench bulk");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let home = Home { folder: folder.path().to_owned(), database_url: options.database_url.clone() };
    let key = home.make_key()?;
    let (people, changes) = (folder.path().join("import.csv"), folder.path().join("update.csv"));
    home.generate("import", options.rows, &people)?;
    home.generate("update", options.rows, &changes)?;
    let server = Server::start(&home)?;
    let client = Muster::new(&server.address, key)?;

    let database = match options.database_url {
        Some(_) => "PostgreSQL",
        None => "SQLite",
    };
    println!("{database}, {} rows, from the first byte sent to the end of the job\n", grouped(options.rows));
    println!("{:<16}{:>12}{:>10}{:>12}{:>14}", "", "rows", "seconds", "rows/s", "peak memory");
    let imported = client.measure("import", &people, 1, &server).await?;
    imported.expect("created", options.rows)?;
    if options.memory {
        drop(server);
        return compare_memory(&home, client.key, &changes, options.rows).await;
    }
    let updated = client.measure("update", &changes, 1, &server).await?;
    updated.expect("updated", options.rows)?;
    if options.long {
        // Sent again and again, some rows change nothing any more and some find too little to take away.
        let long = client.measure("update", &changes, LONG, &server).await?;
        long.expect("received", options.rows * LONG)?;
        println!("\nof the long update {}", long.counts);
    }
    Ok(())
}

/// The peak of a server that plans and applies a file and gives its results, and of another for a file ten times as long.
async fn compare_memory(home: &Home, key: String, changes: &Path, rows: u64) -> Result<()> {
    let mut peaks = Vec::new();
    for times in [1, LONG] {
        let server = Server::start(home)?;
        let client = Muster::new(&server.address, key.clone())?;
        for kind in ["update&dry_run=true", "update"] {
            let job = client.measure(kind, changes, times, &server).await?;
            job.expect("received", rows * times)?;
            client.read_results(&job).await?;
        }
        peaks.push(server.peak_memory().unwrap_or_default());
        println!("{:<24}peak with all results read {} MiB", "", peaks[peaks.len() - 1] / 1_024);
    }
    println!("\n{LONG} times the rows take {:.2} times the memory", peaks[1] as f64 / peaks[0] as f64);
    Ok(())
}

/// Where the server and the commands beside it are at home.
struct Home {
    folder: PathBuf,
    database_url: Option<String>,
}

impl Home {
    /// A command with nothing but defaults: no settings of whoever runs this.
    fn command(&self) -> Command {
        let mut command = Command::new(MUSTER);
        let variables = std::env::vars_os().map(|(name, _)| name);
        for name in variables.filter(|name| name.to_string_lossy().starts_with("MUSTER_")) {
            command.env_remove(name);
        }
        command.current_dir(&self.folder).arg("--data-dir").arg(self.folder.join("data"));
        if let Some(url) = &self.database_url {
            command.arg("--database-url").arg(url);
        }
        command
    }

    /// Runs a command and gives what it prints.
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command().args(arguments).stderr(Stdio::inherit()).output()?;
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout)?),
            false => Err(format!("muster {} failed", arguments.join(" ")).into()),
        }
    }

    fn make_key(&self) -> Result<String> {
        let made: Value = serde_json::from_str(&self.run(&["community", "create", "Benchmark", "--json"])?)?;
        let all: Value = serde_json::from_str(&self.run(&["community", "list", "--json"])?)?;
        if all.as_array().map(Vec::len) != Some(1) {
            return Err("the database is not empty, so what is measured would mean nothing".into());
        }
        let community = text(&made, "/id")?;
        let key = self.run(&["key", "create", "--community", community, "--name", "benchmark", "--json"])?;
        Ok(text(&serde_json::from_str(&key)?, "/key")?.to_owned())
    }

    fn generate(&self, kind: &str, users: u64, into: &Path) -> Result<()> {
        let into = into.to_str().ok_or("the temporary folder has a name that is no text")?;
        self.run(&["generate", "--kind", kind, "--users", &users.to_string(), "--output", into])?;
        Ok(())
    }
}

/// A server that ends with this value.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(home: &Home) -> Result<Self> {
        let mut process = home
            .command()
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn"])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("the server has no output")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").unwrap_or_default().to_owned();
        Ok(Self { process, address })
    }

    /// The most memory that the server has had so far, where the system tells.
    fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its folder goes as well, so it need not end in order.
        let _ = self.process.kill().is_ok();
        let _ = self.process.wait().is_ok();
    }
}

/// A server as its clients see it.
struct Muster {
    http: Client,
    address: String,
    key: String,
}

impl Muster {
    fn new(address: &str, key: String) -> Result<Self> {
        // The client wants to have one although nothing here is encrypted.
        let _ = rustls::crypto::ring::default_provider().install_default().is_ok();
        Ok(Self { http: Client::builder().no_proxy().tls_certs_only([]).build()?, address: address.to_owned(), key })
    }

    /// Sends a file, its rows so many times, waits until its job is over, and prints how it went.
    #[expect(clippy::disallowed_methods, reason = "durations are what this is for")]
    async fn measure(&self, kind: &str, file: &Path, times: u64, server: &Server) -> Result<Ended> {
        let body = Body::wrap_stream(repeated(file, times).await?);
        let begun = Instant::now();
        let url = format!("{}/v1/jobs?kind={kind}", self.address);
        let request = self.http.post(url).header(CONTENT_TYPE, "text/csv").body(body);
        let accepted = self.ask(request).await?;
        let url = format!("{}/v1/jobs/{}?wait=60", self.address, text(&accepted, "/id")?);
        let job = loop {
            let job = self.ask(self.http.get(&url)).await?;
            if !["queued", "running"].contains(&text(&job, "/state")?) {
                break job;
            }
        };
        let took = begun.elapsed();
        let ended = Ended { id: text(&job, "/id")?.to_owned(), counts: job["counts"].clone() };
        if !["completed", "planned"].contains(&text(&job, "/state")?) {
            return Err(format!("the job did not complete: {job}").into());
        }
        ended.print(kind, times, took, server.peak_memory());
        Ok(ended)
    }

    /// Reads all results of a job and forgets them.
    async fn read_results(&self, job: &Ended) -> Result<()> {
        let url = format!("{}/v1/jobs/{}/results", self.address, job.id);
        let mut response = self.http.get(url).bearer_auth(&self.key).send().await?.error_for_status()?;
        let mut bytes = 0;
        while let Some(block) = response.chunk().await? {
            bytes += block.len();
        }
        println!("{:<24}results of {} bytes", "", grouped(bytes as u64));
        Ok(())
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let response = request.bearer_auth(&self.key).send().await?;
        let (status, body) = (response.status(), response.text().await?);
        match status.is_success() {
            true => Ok(serde_json::from_str(&body)?),
            false => Err(format!("{status}: {body}").into()),
        }
    }
}

/// A job that is over.
struct Ended {
    id: String,
    counts: Value,
}

impl Ended {
    fn count(&self, name: &str) -> u64 {
        self.counts[name].as_u64().unwrap_or_default()
    }

    fn expect(&self, name: &str, rows: u64) -> Result<()> {
        match self.count(name) == rows && self.count("unprocessed") == 0 {
            true => Ok(()),
            false => Err(format!("{rows} rows should be {name}: {}", self.counts).into()),
        }
    }

    fn print(&self, kind: &str, times: u64, took: Duration, peak: Option<u64>) {
        let name = match times {
            1 => kind.replace("&dry_run=true", ", dry"),
            times => format!("{} x{times}", kind.replace("&dry_run=true", ", dry")),
        };
        let (rows, seconds) = (self.count("received"), took.as_secs_f64());
        let speed = grouped((rows as f64 / seconds) as u64);
        let peak = peak.map_or("unknown".to_owned(), |kilobytes| format!("{} MiB", kilobytes / 1_024));
        println!("{name:<16}{:>12}{seconds:>10.1}{speed:>12}{peak:>14}", grouped(rows));
    }
}

/// The bytes of a file, all lines but the first so many times.
async fn repeated(
    path: &Path,
    times: u64,
) -> Result<impl futures_util::Stream<Item = std::io::Result<Vec<u8>>> + use<>> {
    let mut header = Vec::new();
    BufReader::new(std::fs::File::open(path)?).read_until(b'\n', &mut header)?;
    let file = File::open(path).await?;
    let begin = header.len() as u64;
    Ok(try_unfold((file, times - 1), move |(mut file, mut left)| async move {
        loop {
            let mut block = Vec::with_capacity(BLOCK_BYTES);
            (&mut file).take(BLOCK_BYTES as u64).read_to_end(&mut block).await?;
            if !block.is_empty() {
                return Ok(Some((block, (file, left))));
            }
            if left == 0 {
                return Ok(None);
            }
            left -= 1;
            file.seek(SeekFrom::Start(begin)).await?;
        }
    }))
}

fn text<'a>(json: &'a Value, pointer: &str) -> Result<&'a str> {
    let text = json.pointer(pointer).and_then(Value::as_str);
    text.ok_or_else(|| format!("there is no {pointer} in {json}").into())
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
