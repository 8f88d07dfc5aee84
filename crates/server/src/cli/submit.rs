//! `muster import`, `update`, `create`, `delete`, `restore`: send a file, watch the job, say what became of it.

use crate::cli::client::{Client, RemoteArgs};
use crate::cli::failure::{Failure, Result};
use crate::cli::once::once;
use crate::cli::out;
use crate::cli::progress::Progress;
use crate::cli::report::RemoteJob;
use crate::cli::see::{SeeArgs, see_through};
use clap::Args;
use futures_util::stream::try_unfold;
use indicatif::ProgressBar;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much of a file is sent at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// `muster import`, `update`, `create`, `delete` and `restore`
#[derive(Args, Clone, Debug)]
pub(crate) struct SubmitArgs {
    /// The file: CSV, TSV, NDJSON, a JSON array or XLSX, plain or compressed with gzip or zstd; - is stdin
    file: PathBuf,
    /// Only plan it: write nothing, and show what would change
    #[arg(long)]
    dry_run: bool,
    /// A name for the log [default: the file's]
    #[arg(long)]
    name: Option<String>,
    /// An option of the job, such as overdraft=clamp; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = option)]
    option: Vec<(String, String)>,
    #[command(flatten)]
    see: SeeArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

fn option(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// A file that is to be sent.
pub(crate) struct Sending {
    /// Its name, where it has one.
    pub(crate) name: Option<String>,
    /// Its length, where that is known.
    pub(crate) bytes: Option<u64>,
    /// Its bytes.
    pub(crate) body: Body,
}

/// `muster import`, `update`, `create`, `delete` and `restore`
pub(crate) async fn submit(kind: &str, args: &SubmitArgs) -> Result<()> {
    let client = args.remote.client()?;
    let mut progress = Progress::new();
    let mut query = vec![("kind".to_owned(), kind.to_owned())];
    query.extend(args.dry_run.then(|| ("dry_run".to_owned(), "true".to_owned())));
    query.extend(args.name.iter().map(|name| ("name".to_owned(), name.clone())));
    query.extend(args.option.iter().cloned());
    // What comes from a pipe cannot be sent a second time.
    let is_file = tokio::fs::metadata(&args.file).await.is_ok_and(|metadata| metadata.is_file());
    let answer = once(&progress, is_file, async |key| {
        let sending = open(&args.file, progress.bar()).await?;
        send(&client, &query, Some(key), sending, &progress).await
    });
    let answer = answer.await?;
    let job = RemoteJob::read(&answer)?;
    if let Some(earlier) = job.same_file_as.as_ref().filter(|_| !job.dry_run) {
        warn_of(&client, earlier).await;
    }
    see_through(&client, &answer, args.see, &mut progress).await
}

/// Says that an earlier job had the same file, and what became of it, unless it only planned.
async fn warn_of(client: &Client, earlier: &str) {
    let answer = client.get::<Value>(&format!("/v1/jobs/{earlier}")).await;
    // A key that may not look at jobs may submit one.
    let job = answer.and_then(|answer| RemoteJob::read(&answer)).unwrap_or_default();
    match (job.dry_run, job.state.as_str()) {
        (true, _) => {}
        (false, "") => out::talk(format!("note: {earlier} had the same file.")),
        (false, state) => out::talk(format!("note: {earlier} had the same file; it is {state}.")),
    }
}

/// Sends a file and gives the job that the server made of it; with a key it makes one, however often the file is sent.
pub(crate) async fn send(
    client: &Client,
    query: &[(String, String)],
    key: Option<&str>,
    sending: Sending,
    progress: &Progress,
) -> Result<Value> {
    progress.sending(sending.bytes);
    let part = match sending.bytes {
        Some(bytes) => Part::stream_with_length(sending.body, bytes),
        None => Part::stream(sending.body),
    };
    let part = match sending.name {
        Some(name) => part.file_name(name),
        None => part,
    };
    let request = client.request(Method::POST, "/v1/jobs").query(query);
    let request = key.into_iter().fold(request, |request, key| request.header("Idempotency-Key", key));
    let sent = client.json(request.multipart(Form::new().part("file", part))).await;
    if sent.is_err() {
        progress.clear();
    }
    sent
}

async fn open(path: &Path, bar: Option<ProgressBar>) -> Result<Sending> {
    if path == Path::new("-") {
        return Ok(Sending { name: None, bytes: None, body: streamed(tokio::io::stdin(), bar) });
    }
    let unreadable = |error: io::Error| Failure::caused(format!("{} cannot be read", path.display()), &error);
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let metadata = file.metadata().await.map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Failure::new(format!("{} is a folder, not a file.", path.display())));
    }
    Ok(Sending {
        name: path.file_name().map(|name| name.to_string_lossy().into_owned()),
        bytes: metadata.is_file().then_some(metadata.len()),
        body: streamed(file, bar),
    })
}

fn streamed(from: impl AsyncRead + Send + Unpin + 'static, bar: Option<ProgressBar>) -> Body {
    let blocks = try_unfold((from, bar), |(mut from, bar)| async move {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        (&mut from).take(BLOCK_BYTES as u64).read_to_end(&mut block).await?;
        if let Some(bar) = &bar {
            bar.inc(block.len() as u64);
        }
        let more = !block.is_empty();
        io::Result::Ok(more.then_some((block, (from, bar))))
    });
    Body::wrap_stream(blocks)
}
