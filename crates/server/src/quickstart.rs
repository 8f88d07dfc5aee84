//! Trying Muster: a real server in this process, a community with some fields, an import, a bulk update with broken rows that
//! is planned, looked at, applied and undone, and the history of one user. Everything but the community and the key goes through the public API.
//!
//! It can be run again, also after it was interrupted anywhere: what is there is used, and the same users are sent again.

use crate::cli::client::Client;
use crate::cli::out::{self, Table};
use crate::cli::preview::preview;
use crate::cli::progress::{Progress, follow};
use crate::cli::report::{RemoteJob, duration, error_table, errors};
use crate::cli::submit::{Sending, send};
use crate::cli::{Failure, Result};
use crate::config::Global;
use crate::generate::{Broken, Kind, Plan, Rows};
use crate::home::{self, Home};
use crate::http::HttpConfig;
use crate::serve::{Running, listen};
use clap::Args;
use futures_util::stream::try_unfold;
use muster_core::scope::Scope;
use muster_engine::{Engine, Faults, Limits, NewKey};
use reqwest::{Body, Method};
use serde_json::{Value, json};
use std::io;
use tokio::net::TcpListener;

/// Where the data lies by default.
const DATA_FOLDER: &str = "./muster-quickstart";
/// The name of the community.
const COMMUNITY: &str = "Quickstart";
/// How many ports after the wanted one are tried.
const PORTS: u16 = 50;
/// How many jobs run side by side.
const PLACES: usize = 2;
/// What the sample files depend on.
const SEED: u64 = 1;
/// How many rows of a plan are shown.
const PREVIEW: usize = 2;
/// How many changes of a user are shown.
const CHANGES: usize = 15;

/// `muster quickstart`
#[derive(Args, Clone, Debug)]
pub struct QuickstartArgs {
    /// End when everything was shown, instead of serving on
    #[arg(long)]
    once: bool,
    /// Address and port to listen on; where the port is taken, the next free one
    #[arg(long, env = "MUSTER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// How many users
    #[arg(long, value_name = "N", default_value_t = 100_000, hide = true)]
    users: u64,
}

/// `muster quickstart`
pub async fn quickstart(global: &Global, args: &QuickstartArgs) -> Result<()> {
    let home = Home::new(global, DATA_FOLDER)?;
    let mut stay = home.serve()?;
    let engine = home.open(Faults::none(), Limits::default())?;
    home::migrate(&engine).await?;
    stay.settle(&engine).await?;
    let key = make_key(&engine).await?;
    let listener = listen_nearby(&args.listen).await?;
    let mut running = Running::start(&engine, Some((listener, HttpConfig::default())), Some(PLACES))?;
    let address = running.address.map(|address| address.to_string()).unwrap_or_default();
    let client = Client::new(&format!("http://{address}"), &key)?;

    out::data(format!("Muster quickstart: {}, data in {}", client.base(), home.folder().display()))?;
    let story = tokio::select! {
        story = Box::pin(tell(&client, args.users)) => story,
        asked = running.until_asked() => asked.and(Err(Failure::quiet(130))),
    };
    let email = match story {
        Ok(email) => email,
        Err(failure) => {
            running.stop().await;
            return Err(failure);
        }
    };
    out::data(invitation(&client, &key, &home, &email, args.once))?;
    match args.once {
        true => running.stop().await,
        false => running.until_the_end().await?,
    }
    Ok(())
}

/// A key to the community of the quickstart, which is made where there is none.
async fn make_key(engine: &Engine) -> Result<String> {
    let communities = engine.list_communities().await?;
    let community = match communities.into_iter().find(|community| community.name == COMMUNITY) {
        Some(community) => community,
        None => engine.create_community(COMMUNITY).await?,
    };
    let new = NewKey { name: "quickstart".to_owned(), scopes: Scope::ALL.to_vec(), expires_at: None };
    Ok(engine.create_key(&community, &new).await?.secret)
}

/// Listens on an address, or on the next port that is free.
async fn listen_nearby(address: &str) -> Result<TcpListener> {
    let first = listen(address).await;
    let Some((host, port)) = address.rsplit_once(':') else {
        return first;
    };
    if first.is_ok() {
        return first;
    }
    let port: u16 = port.parse().unwrap_or(u16::MAX);
    for next in (1..=PORTS).filter_map(|step| port.checked_add(step)) {
        if let Ok(listener) = TcpListener::bind(format!("{host}:{next}")).await {
            out::data(format!("Port {port} is taken, so this is on port {next}."))?;
            return Ok(listener);
        }
    }
    first
}

/// Shows what Muster does, and gives the email of somebody to whom it was done.
async fn tell(client: &Client, users: u64) -> Result<String> {
    make_fields(client).await?;
    let plan = |kind| Plan { kind, custom: true, seed: SEED };

    let rows = Rows::new(plan(Kind::Import), users, Broken::Count(0));
    let (count, columns) = (out::count(users, "user"), columns(&rows.header()));
    chapter(format!("Import {count} from a CSV file of {columns} columns"))?;
    let imported = run(client, &[("kind", "import")], "users.csv", rows).await?;

    let broken = Broken::Count((users / 1_000).max(8));
    let rows = Rows::new(plan(Kind::Update), users, broken);
    let somebody = rows.somebody();
    chapter(format!("Plan an update of {count} that adds, subtracts and overwrites; some rows are broken"))?;
    let planned = run(client, &[("kind", "update"), ("dry_run", "true")], "changes.csv", rows).await?;
    let (title, table) = preview(client, &planned, PREVIEW).await?;
    out::data(format!("\n  {title}\n{}", indented(table)))?;

    chapter("Apply exactly this plan".to_owned())?;
    let updated = run_child(client, &planned, "apply").await?;
    if updated.counts.failed > 0 {
        out::data(format!("\n{}", indented(error_table(&errors(client, &updated.id).await?))))?;
    }

    chapter("Undo it".to_owned())?;
    let undone = run_child(client, &updated, "undo").await?;

    chapter(format!("What happened to {somebody}"))?;
    out::data(indented(history(client, &somebody, &[undone, updated, imported]).await?))?;
    Ok(somebody)
}

fn chapter(title: String) -> Result<()> {
    out::data(format!("\n{title}"))
}

fn indented(table: Table) -> String {
    let text = table.to_string();
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

fn columns(header: &str) -> usize {
    header.split(',').count()
}

/// Makes the custom fields that are not there yet.
async fn make_fields(client: &Client) -> Result<()> {
    let option = |name: &str| json!({"key": name.to_lowercase(), "name": name});
    let tiers: Vec<Value> = ["Bronze", "Silver", "Gold", "Platinum"].map(option).into();
    let wanted = [
        json!({"name": "Points", "type": "integer"}),
        json!({"name": "Rating", "type": "decimal"}),
        json!({"name": "Tier", "type": "select", "options": tiers}),
        json!({"name": "Member Since", "type": "date"}),
    ];
    let known: Value = client.get("/v1/fields").await?;
    let known = known.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    for field in wanted {
        if known.iter().all(|other| other.get("name") != field.get("name")) {
            let request = client.request(Method::POST, "/v1/fields").json(&field);
            client.json::<Value>(request).await?;
        }
    }
    Ok(())
}

/// Sends a file, watches its job, and says in a line what became of it.
async fn run(client: &Client, options: &[(&str, &str)], file: &str, rows: Rows) -> Result<RemoteJob> {
    let query: Vec<_> = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let blocks = try_unfold(rows, |mut rows| async move {
        let block = rows.next_block()?;
        io::Result::Ok(block.map(|block| (block, rows)))
    });
    let sending = Sending { name: Some(file.to_owned()), bytes: None, body: Body::wrap_stream(blocks) };
    let progress = Progress::new();
    let accepted = send(client, &query, None, sending, &progress).await?;
    ended(client, &accepted, progress).await
}

/// The same with a job that is made of a job.
async fn run_child(client: &Client, parent: &RemoteJob, verb: &str) -> Result<RemoteJob> {
    let request = client.request(Method::POST, &format!("/v1/jobs/{}/{verb}", parent.id));
    ended(client, &client.json(request).await?, Progress::new()).await
}

async fn ended(client: &Client, accepted: &Value, mut progress: Progress) -> Result<RemoteJob> {
    let id = RemoteJob::read(accepted)?.id;
    let ended = follow(client, &id, &mut progress).await;
    progress.clear();
    let job = RemoteJob::read(&ended?)?;
    match job.state.as_str() {
        "completed" => out::data(format!("  {}", summary(&job)))?,
        "planned" => out::data(format!("  {}; nothing is written yet", summary(&job)))?,
        _ => job.verdict()?,
    }
    Ok(job)
}

/// `99,900 updated, 100 failed in 1.2 s, 83,000 rows/s`
fn summary(job: &RemoteJob) -> String {
    let counts = &job.counts;
    let all = [
        (counts.created, "created"),
        (counts.updated, "updated"),
        (counts.unchanged, "unchanged"),
        (counts.skipped, "skipped"),
        (counts.failed, "failed"),
    ];
    let parts: Vec<String> = all
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", out::number(*count)))
        .collect();
    let rate = out::number(job.progress.rows_per_second as u64);
    let seconds = duration(job.seconds().unwrap_or_default());
    format!("{} in {seconds}, {rate} rows/s", parts.join(", "))
}

/// The latest changes of a user. Jobs that are known are shown by their names.
async fn history(client: &Client, email: &str, jobs: &[RemoteJob]) -> Result<Table> {
    let find = client.request(Method::GET, "/v1/users").query(&[("email", email)]);
    let found: Value = client.json(find).await?;
    let id = found.pointer("/data/0/id").and_then(Value::as_i64);
    let id = id.ok_or_else(|| Failure::new(format!("There is no user {email}.")))?;
    let answer: Value = client.get(&format!("/v1/history?user_id={id}&limit={CHANGES}")).await?;
    let mut table = Table::new(&["FIELD", "OPERATION", "OLD", "NEW", "LINE", "OF"], &[4]);
    for change in answer.get("data").and_then(Value::as_array).into_iter().flatten() {
        let cell = |name: &str| match change.get(name) {
            None | Some(Value::Null) => "-".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let job = cell("job_id");
        let name = jobs.iter().find(|known| known.id == job).map_or(job, |known| match known.kind.as_str() {
            "undo" => format!("undo of {}", known.name),
            _ => known.name.clone(),
        });
        let [field, op, old, new, line] = ["field", "op", "old", "new", "line"].map(cell);
        table.row([field, op, old, new, line, name]);
    }
    Ok(table)
}

/// What to try next.
fn invitation(client: &Client, key: &str, home: &Home, email: &str, once: bool) -> String {
    let muster = std::env::args().next().unwrap_or_else(|| "muster".to_owned());
    let (folder, url) = (home.folder().display(), client.base());
    let (begin, end) = match once {
        true => (format!("Serve it again:\n\n  {muster} serve --data-dir {folder}\n\nand try"), ""),
        false => ("Try, in another terminal".to_owned(), "\n\nThe server goes on until Ctrl-C."),
    };
    format!(
        "
{begin}:

  export MUSTER_URL={url} MUSTER_KEY={key}

  curl -H \"Authorization: Bearer $MUSTER_KEY\" \"$MUSTER_URL/v1/users?email={email}\"

  printf 'Email,Points,Points_op\\n{email},5,add\\n' | {muster} update - --dry-run

  {muster} jobs list{end}"
    )
}
