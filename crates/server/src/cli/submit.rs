//! `muster import` and `muster update`: send a file, watch the job, say what became of it.

use crate::cli::client::{Client, RemoteArgs};
use crate::cli::failure::{Failure, Result};
use crate::cli::out;
use crate::cli::progress::{PATIENCE, Progress, watch};
use crate::cli::report::{RemoteJob, print_errors};
use clap::Args;
use futures_util::stream::try_unfold;
use indicatif::ProgressBar;
use rand::distr::{Alphanumeric, SampleString};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much of a file is sent at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// How long the idempotency key of a file is.
const KEY_CHARACTERS: usize = 32;

/// `muster import` and `muster update`
#[derive(Args, Clone, Debug)]
pub(crate) struct SubmitArgs {
    /// The file: CSV, TSV, NDJSON, a JSON array or XLSX, plain or compressed with gzip or zstd; - is stdin
    file: PathBuf,
    /// A name for the log [default: the file's]
    #[arg(long)]
    name: Option<String>,
    /// An option of the job, such as overdraft=clamp; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = option)]
    option: Vec<(String, String)>,
    /// Do not wait for the job to end: print its id
    #[arg(long)]
    no_wait: bool,
    /// Print the job as JSON
    #[arg(long)]
    json: bool,
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

/// `muster import` and `muster update`
pub(crate) async fn submit(kind: &str, args: &SubmitArgs) -> Result<()> {
    let client = args.remote.client()?;
    let mut progress = Progress::new();
    let mut query = vec![("kind".to_owned(), kind.to_owned())];
    query.extend(args.name.iter().map(|name| ("name".to_owned(), name.clone())));
    query.extend(args.option.iter().cloned());
    let answer = send_safely(&client, &query, &args.file, &progress).await?;
    let job = RemoteJob::read(&answer)?;
    if let Some(earlier) = &job.same_file_as {
        out::talk(format!("note: {earlier} had the same file."));
    }
    match (args.no_wait, args.json) {
        (true, true) => return out::json(&answer),
        (true, false) => return out::data(&job.id),
        (false, _) => {}
    }
    let answer = watch(&client, &job.id, &mut progress).await?;
    let job = RemoteJob::read(&answer)?;
    match args.json {
        true => out::json(&answer)?,
        false => {
            job.print()?;
            print_errors(&client, &job).await?;
        }
    }
    job.verdict()
}

/// Sends a file until there is an answer. Where the connection breaks nobody knows whether the job was made; the
/// idempotency key makes sure that it is made once.
async fn send_safely(client: &Client, query: &[(String, String)], file: &Path, progress: &Progress) -> Result<Value> {
    let key = Alphanumeric.sample_string(&mut UnwrapErr(SysRng), KEY_CHARACTERS);
    let mut missed = 0;
    loop {
        let sending = open(file, progress.bar()).await?;
        // What came from a pipe cannot be sent a second time.
        let can_be_repeated = sending.bytes.is_some() && missed < PATIENCE;
        match send(client, query, Some(&key), sending, progress).await {
            Err(failure) if can_be_repeated && (failure.is_lost() || missed > 0 && failure.is_unreachable()) => {
                if missed == 0 {
                    progress.say("The connection broke; sending the file again, which makes no second job.");
                }
                missed += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            sent => return sent,
        }
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
