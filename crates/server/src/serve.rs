//! The processes that serve: HTTP, workers, or both, until a signal comes.
//!
//! On SIGTERM or SIGINT no connection is accepted any more, requests get a few seconds to end, and workers finish the
//! chunk in hand and give their jobs back. Whatever takes longer is left: it is as safe as after a crash, and another
//! process goes on with it. A second signal ends the process at once.

use crate::cli::failure::{Failure, Result};
use crate::cli::out;
use crate::config::Global;
use crate::home::{self, Home};
use crate::http;
use crate::limits::LimitArgs;
use axum::Router;
use clap::Args;
use muster_engine::{Deliverer, Engine, Faults, Limits, POINTS, Targets, Worker, chain};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long requests and workers may take to end after the signal.
const GRACE: Duration = Duration::from_secs(8);
/// Where data lies by default.
pub const DATA_FOLDER: &str = "./muster-data";

/// `muster serve`
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "MUSTER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: String,
    #[command(flatten)]
    workers: WorkerArgs,
    /// Serve only: jobs are run by `muster worker`
    #[arg(long, env = "MUSTER_NO_WORKER")]
    no_worker: bool,
    /// Leave the schema as it is, and refuse to start where it is not current
    #[arg(long, env = "MUSTER_NO_MIGRATE")]
    no_migrate: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

/// `muster worker`
#[derive(Args, Clone, Debug)]
pub struct WorkArgs {
    #[command(flatten)]
    workers: WorkerArgs,
    /// Address and port at which /metrics, /healthz and /readyz answer [default: none]
    #[arg(long, env = "MUSTER_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<String>,
}

/// How jobs are run, by `muster worker` and by `muster serve`.
#[derive(Args, Clone, Debug)]
pub struct WorkerArgs {
    /// How many jobs run side by side; as many small ones run beside them
    #[arg(long, env = "MUSTER_WORKERS", value_name = "N", default_value_t = DEFAULT_WORKERS,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Let webhooks go to addresses that are not of the public internet, such as those of this machine and its network
    #[arg(long, env = "MUSTER_WEBHOOK_ALLOW_PRIVATE")]
    webhook_allow_private: bool,
    /// The ports that webhooks may go to
    #[arg(long, env = "MUSTER_WEBHOOK_PORTS", value_name = "PORT,…", value_delimiter = ',', default_value = "80,443",
          value_parser = clap::value_parser!(u16).range(1..))]
    webhook_ports: Vec<u16>,
    /// Kill the process at a named point, as POINT or POINT:PASSES, for tests of crashes
    #[arg(long, env = "MUSTER_CRASH_AT", value_name = "POINT[:N]", hide = true)]
    crash_at: Option<String>,
}

/// How many jobs run side by side where nothing else is said.
const DEFAULT_WORKERS: u16 = 4;

impl WorkerArgs {
    fn targets(&self) -> Targets {
        Targets { allow_private: self.webhook_allow_private, ports: self.webhook_ports.clone() }
    }

    fn faults(&self) -> Result<Faults> {
        let Some(text) = &self.crash_at else {
            return Ok(Faults::none());
        };
        Faults::from_text(text).ok_or_else(|| {
            let failure = Failure::new(format!("There is no point \"{text}\" to crash at."));
            failure.hint(format!("the points are {}", POINTS.join(", ")))
        })
    }
}

/// What runs in this process.
#[derive(Debug)]
pub struct Running {
    /// The address that is listened on, where something listens.
    pub address: Option<SocketAddr>,
    signals: Signals,
    engine: Engine,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<Result<()>>>,
}

impl Running {
    /// Starts to serve this on a listener, if there is one, and to run jobs side by side in so many places.
    pub fn start(engine: &Engine, listener: Option<(TcpListener, Router)>, places: Option<usize>) -> Result<Self> {
        let stop = CancellationToken::new();
        let mut running = Self {
            address: listener.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?,
            signals: Signals::listen()?,
            engine: engine.clone(),
            stop: stop.clone(),
            tasks: Vec::new(),
        };
        if let Some(places) = places {
            let worker = Worker::new(engine)?;
            let stopped = stop.clone().cancelled_owned();
            running.tasks.push(tokio::spawn(async move {
                worker.run(places, stopped).await;
                Ok(())
            }));
            match Deliverer::new(engine, http::show_job) {
                Ok(deliverer) => {
                    let stopped = stop.clone().cancelled_owned();
                    running.tasks.push(tokio::spawn(async move {
                        deliverer.run(stopped).await;
                        Ok(())
                    }));
                }
                // A machine without certificates can still do everything else.
                Err(error) => tracing::error!(cause = chain(&error), "this process sends no webhooks"),
            }
        }
        if let Some((listener, router)) = listener {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            let server = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned());
            running.tasks.push(tokio::spawn(async move {
                let served = server.await;
                served.map_err(|error| Failure::caused("The server stopped", &error))
            }));
        }
        Ok(running)
    }

    /// Waits until somebody asks this process to stop, or a part of it ends by itself.
    pub async fn until_asked(&mut self) -> Result<()> {
        let (first, _, _) = tokio::select! {
            () = self.signals.next() => return Ok(()),
            ended = futures_util::future::select_all(self.tasks.iter_mut()) => ended,
        };
        self.tasks.retain(|task| !task.is_finished());
        first.map_err(|error| Failure::caused("A part of the server broke", &error))??;
        Err(Failure::new("A part of the server ended by itself."))
    }

    /// Waits until somebody asks this process to stop, and stops.
    pub async fn until_the_end(mut self) -> Result<()> {
        let asked = self.until_asked().await;
        tracing::info!("stopping");
        self.stop().await;
        asked
    }

    /// Stops everything in order. Doing it takes a few seconds at most.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // Else streams of events would go on as long as their jobs.
        self.engine.end_watches();
        let all = futures_util::future::join_all(self.tasks);
        tokio::select! {
            _ = all => {}
            () = tokio::time::sleep(GRACE) => {
                tracing::warn!("what did not end in time is left to whoever goes on with it");
            }
            () = self.signals.next() => tracing::warn!("a second signal ends the process at once"),
        }
    }
}

/// SIGTERM and SIGINT, from when on they are listened for.
#[cfg(unix)]
#[derive(Debug)]
struct Signals([tokio::signal::unix::Signal; 2]);

#[cfg(unix)]
impl Signals {
    fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?]))
    }

    async fn next(&mut self) {
        let [terminate, interrupt] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// Ctrl-C, where there are no signals.
#[cfg(not(unix))]
#[derive(Debug)]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

/// Listens on an address.
pub async fn listen(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::caused(format!("{address} cannot be listened on"), &error);
        failure.hint("choose another address or port with --listen; port 0 takes a free one")
    })
}

/// Serves until a signal comes.
pub async fn serve(global: &Global, args: &ServeArgs) -> Result<()> {
    let home = Home::new(global, DATA_FOLDER)?;
    let faults = args.workers.faults()?;
    let mut stay = home.serve()?;
    let engine = home.open(faults, args.limits.engine())?;
    prepare(&engine, args.no_migrate).await?;
    stay.settle(&engine).await?;
    engine.allow_targets(args.workers.targets());
    let listener = listen(&args.listen).await?;
    let places = (!args.no_worker).then_some(usize::from(args.workers.workers));
    let running = Running::start(&engine, Some((listener, http::router(engine.clone(), args.limits.http()))), places)?;
    say_address(&running);
    running.until_the_end().await
}

fn say_address(running: &Running) {
    if let Some(address) = running.address {
        // Whoever started it may not read what it says.
        let _ = out::data(format!("listening on http://{address}")).is_ok();
    }
}

/// Runs jobs until a signal comes.
pub async fn work(global: &Global, args: &WorkArgs) -> Result<()> {
    let home = Home::new(global, DATA_FOLDER)?;
    let faults = args.workers.faults()?;
    home.check_existing()?;
    let mut stay = home.work()?;
    let engine = home.open(faults, Limits::default())?;
    prepare(&engine, true).await?;
    stay.settle(&engine).await?;
    engine.allow_targets(args.workers.targets());
    let listener = match &args.metrics_listen {
        None => None,
        Some(address) => Some((listen(address).await?, http::operations(engine.clone()))),
    };
    let running = Running::start(&engine, listener, Some(usize::from(args.workers.workers)))?;
    say_address(&running);
    tracing::info!("waiting for jobs");
    running.until_the_end().await
}

async fn prepare(engine: &Engine, as_it_is: bool) -> Result<()> {
    if home::current(engine).await? {
        return Ok(());
    }
    if as_it_is {
        let failure = Failure::new("The schema of the database is not the one that this program works with.");
        return Err(failure.hint("run muster migrate first"));
    }
    for migration in home::migrate(engine).await? {
        tracing::info!(migration, "the schema was brought up to date");
    }
    Ok(())
}
