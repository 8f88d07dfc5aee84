//! The command line: one binary, roles and tools as subcommands.
//!
//! Data goes to stdout, talk to stderr. What a command does with a server (`import`, `update`, … and `jobs`) goes through the
//! public API; what an administrator does (`community`, `key`, `verify`, `migrate`) opens the store itself, also beside a
//! running server.

mod admin;
pub(crate) mod client;
pub mod failure;
mod jobs;
mod once;
pub mod out;
pub(crate) mod preview;
pub(crate) mod progress;
pub(crate) mod report;
mod see;
pub(crate) mod submit;
mod users;

pub use failure::{Failure, Result};

use crate::config::{self, Global, LogFormat};
use crate::generate::GenerateArgs;
use crate::quickstart::QuickstartArgs;
use crate::serve::{ServeArgs, WorkerArgs};
use crate::{generate, quickstart, serve};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Bulk changes to user data: validated, applied exactly once, explained.
#[derive(Debug, Parser)]
#[command(name = "muster", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Debug, Subcommand)]
enum Cmd {
    /// Serve the API and run jobs, in one process
    Serve(ServeArgs),
    /// Run jobs only, beside servers on the same database
    Worker(WorkerArgs),
    /// Bring the schema of the database up to date
    Migrate,
    /// Make and list communities
    #[command(subcommand)]
    Community(admin::CommunityCommand),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Key(admin::KeyCommand),
    /// Send a file of users to a server: creates the new ones, changes the others
    Import(submit::SubmitArgs),
    /// Send a file of changes to a server: never creates a user
    Update(submit::SubmitArgs),
    /// Send a file of new users to a server: who exists already fails its row
    Create(submit::SubmitArgs),
    /// Send a file of users to be deleted; restore brings them back
    Delete(submit::SubmitArgs),
    /// Send a file of deleted users to be brought back, with their values and their history
    Restore(submit::SubmitArgs),
    /// Look at the jobs of a server, control, apply, undo and retry them
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Export the users of a server
    #[command(subcommand)]
    Users(users::UsersCommand),
    /// Write a sample file, always the same for the same arguments
    Generate(GenerateArgs),
    /// Check that every history explains what is stored
    Verify,
    /// Print the OpenAPI document of the API
    Openapi,
    /// Try it: a server, 100,000 users and a bulk update, in a few seconds
    Quickstart(QuickstartArgs),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match run(std::env::args_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = write!(std::io::stderr(), "{failure}").is_ok();
            ExitCode::from(failure.exit())
        }
    }
}

fn run(arguments: Vec<OsString>) -> Result<()> {
    let cli = parse(arguments)?;
    let global = &cli.global;
    match &cli.command {
        Cmd::Serve(args) => logged(global, "info", serve::serve(global, args)),
        Cmd::Worker(args) => logged(global, "info", serve::work(global, args)),
        Cmd::Migrate => logged(global, "error", admin::migrate(global)),
        Cmd::Community(command) => logged(global, "error", admin::community(global, command)),
        Cmd::Key(command) => logged(global, "error", admin::key(global, command)),
        Cmd::Import(args) => logged(global, "error", submit::submit("import", args)),
        Cmd::Update(args) => logged(global, "error", submit::submit("update", args)),
        Cmd::Create(args) => logged(global, "error", submit::submit("create", args)),
        Cmd::Delete(args) => logged(global, "error", submit::submit("delete", args)),
        Cmd::Restore(args) => logged(global, "error", submit::submit("restore", args)),
        Cmd::Jobs(command) => logged(global, "error", jobs::jobs(command)),
        Cmd::Users(command) => logged(global, "error", users::users(command)),
        Cmd::Generate(args) => generate::generate(args),
        Cmd::Verify => logged(global, "error", admin::verify(global)),
        Cmd::Openapi => out::json(&crate::http::openapi()),
        Cmd::Quickstart(args) => logged(global, "error", quickstart::quickstart(global, args)),
    }
}

/// Every command with its flags, their variables and their defaults.
pub fn command() -> clap::Command {
    config::with_variables(Cli::command())
}

/// The command line, with the variables and the file behind it.
fn parse(arguments: Vec<OsString>) -> Result<Cli> {
    let mut command = command();
    let file = config::file(&arguments, std::env::var_os("MUSTER_CONFIG"))?;
    if let Some((path, table)) = &file {
        command = config::with_file(command, path, table)?;
    }
    let parsed = command.try_get_matches_from_mut(arguments);
    parsed.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
        let _ = error.print().is_ok();
        let is_value = error.kind() == clap::error::ErrorKind::InvalidValue
            || error.kind() == clap::error::ErrorKind::ValueValidation;
        if let (true, Some((path, _))) = (is_value, &file) {
            out::talk(format!("hint: the value may come from {}", path.display()));
        }
        Failure::quiet(u8::try_from(error.exit_code()).unwrap_or(failure::EXIT_FAILED))
    })
}

/// Runs a command with a log on stderr. What is still at work when it has ended is not waited for.
fn logged(global: &Global, default: &str, command: impl Future<Output = Result<()>>) -> Result<()> {
    let filter = global.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::new(format!("--log \"{filter}\" is not a filter: {error}")))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    match global.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
