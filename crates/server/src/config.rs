//! Settings: flags beat the environment, which beats the file.
//!
//! Nothing is listed twice: every flag of the command line gets its variable and its key in `muster.toml` from its name.
//! A flag that says its variable itself (`MUSTER_LISTEN`) is a setting of the whole installation and stands at the top of
//! the file. Any other is a flag of one command: `--users` of `generate` is `MUSTER_GENERATE_USERS`, and `users` in the
//! table `[commands.generate]`. What the file says becomes the default of the flag.

use crate::cli::failure::{Failure, Result};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Args, Command, ValueEnum};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The file that is read where no other is named.
pub const FILE: &str = "muster.toml";
/// The table that holds the flags of single commands.
const COMMANDS: &str = "commands";

/// Settings of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Folder of the database and of files [default: ./muster-data; for the quickstart ./muster-quickstart]
    #[arg(long, global = true, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The database [default: SQLite in the data folder]
    #[arg(long, global = true, env = "MUSTER_DATABASE_URL", value_name = "postgres://…")]
    pub database_url: Option<String>,
    /// Folder of uploaded files and results [default: the data folder]
    #[arg(long, global = true, env = "MUSTER_STAGING_URL", value_name = "DIR")]
    pub staging_url: Option<String>,
    /// File of settings [default: ./muster.toml where there is one]
    #[arg(long, global = true, env = "MUSTER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What is logged to stderr: error, warn, info, debug, or a filter such as muster_engine=debug [default:
    /// info for serve and worker, else error]
    #[arg(long, global = true, env = "MUSTER_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How it is logged
    #[arg(long, global = true, env = "MUSTER_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// The file that these arguments and this environment name, or the one that lies here.
pub fn file(arguments: &[OsString], variable: Option<OsString>) -> Result<Option<(PathBuf, Table)>> {
    let named = named_file(arguments).or(variable.filter(|path| !path.is_empty()));
    let path = named.clone().map_or_else(|| PathBuf::from(FILE), PathBuf::from);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::caused(format!("{} cannot be read", path.display()), &error)),
        Ok(text) => text,
    };
    let table = text
        .parse::<Table>()
        .map_err(|error| Failure::new(format!("{} is not valid TOML: {error}", path.display())))?;
    Ok(Some((path, table)))
}

/// The value of `--config`, which must be known before the arguments can be read.
fn named_file(arguments: &[OsString]) -> Option<OsString> {
    let mut arguments = arguments.iter().take_while(|argument| *argument != "--");
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--config") => return arguments.next().cloned(),
            Some(text) => {
                if let Some(path) = text.strip_prefix("--config=") {
                    return Some(path.into());
                }
            }
            None => {}
        }
    }
    None
}

/// Gives every flag its variable.
pub fn with_variables(command: Command) -> Command {
    below(command, &[])
}

fn below(command: Command, path: &[String]) -> Command {
    let command = command.mut_args(|arg| with_variable(arg, path));
    command.mut_subcommands(|sub| {
        let path = [path, &[sub.get_name().to_owned()]].concat();
        below(sub, &path)
    })
}

fn with_variable(arg: Arg, path: &[String]) -> Arg {
    let Some(flag) = arg.get_long().map(str::to_owned) else {
        return arg;
    };
    let arg = match (arg.get_env().is_some(), path.is_empty()) {
        (false, false) => arg.env(variable(path, &flag)),
        (true, _) | (_, true) => arg,
    };
    let arg = arg.hide_env_values(true);
    match arg.get_action() {
        // A variable says 1, yes or on as often as true.
        ArgAction::SetTrue => arg.value_parser(ValueParser::from(clap::builder::BoolishValueParser::new())),
        _ => arg,
    }
}

fn variable(path: &[String], flag: &str) -> String {
    let name = [path, &[flag.to_owned()]].concat().join("_");
    format!("MUSTER_{}", name.replace('-', "_").to_uppercase())
}

/// Whether a flag is a setting of the whole installation.
pub fn is_shared(arg: &Arg) -> bool {
    let flag = arg.get_long().unwrap_or_default();
    arg.get_env().is_some_and(|name| *name == *variable(&[], flag))
}

/// Makes what the file says the defaults of the flags. Keys that name no flag are refused.
pub fn with_file(mut command: Command, path: &Path, table: &Table) -> Result<Command> {
    let shared = shared_flags(&command);
    for (key, value) in table {
        let flag = key.replace('_', "-");
        match value {
            Value::Table(commands) if flag == COMMANDS => command = with_commands(command, path, &[], commands)?,
            value if shared.contains(&flag) => {
                let values = texts(path, key, value)?;
                command = everywhere(command, &flag, &values);
            }
            _ => {
                let known = shared.iter().map(String::as_str).chain([COMMANDS]);
                return Err(unknown(path, key, known));
            }
        }
    }
    Ok(command)
}

fn shared_flags(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter(|arg| is_shared(arg) && arg.get_id() != "config");
    let mut flags: Vec<String> = own.filter_map(|arg| Some(arg.get_long()?.to_owned())).collect();
    flags.extend(command.get_subcommands().flat_map(shared_flags));
    flags.sort();
    flags.dedup();
    flags
}

/// Sets the default of a shared flag in every command that has it.
fn everywhere(command: Command, flag: &str, values: &[String]) -> Command {
    let command = command.mut_args(|arg| match arg.get_long() == Some(flag) && is_shared(&arg) {
        true => with_default(arg, values),
        false => arg,
    });
    command.mut_subcommands(|sub| everywhere(sub, flag, values))
}

fn with_commands(mut command: Command, path: &Path, at: &[&str], table: &Table) -> Result<Command> {
    for (key, value) in table {
        let name = key.replace('_', "-");
        let at = [at, &[key]].concat();
        let is_command = command.get_subcommands().any(|sub| sub.get_name() == name);
        let own = |arg: &Arg| arg.get_long() == Some(&name) && !is_shared(arg);
        let is_flag = command.get_arguments().any(own);
        match value {
            Value::Table(table) if is_command => {
                let mut done = Ok(());
                command = command.mut_subcommand(&name, |sub| {
                    with_commands(sub.clone(), path, &at, table).unwrap_or_else(|failure| {
                        done = Err(failure);
                        sub
                    })
                });
                done?;
            }
            value if is_flag => {
                let values = texts(path, key, value)?;
                command = command.mut_args(|arg| if own(&arg) { with_default(arg, &values) } else { arg });
            }
            _ => {
                let flags = command.get_arguments().filter(|arg| !is_shared(arg));
                let flags = flags.filter_map(Arg::get_long);
                let known = command.get_subcommands().map(Command::get_name).chain(flags);
                return Err(unknown(path, &format!("{COMMANDS}.{}", at.join(".")), known));
            }
        }
    }
    Ok(command)
}

fn with_default(arg: Arg, values: &[String]) -> Arg {
    match (arg.get_action(), values) {
        (ArgAction::SetTrue, [no]) if no == "false" => arg,
        (ArgAction::SetTrue, values) => arg.default_values(values.to_vec()),
        (_, values) => arg.required(false).hide_default_value(true).default_values(values.to_vec()),
    }
}

fn texts(path: &Path, key: &str, value: &Value) -> Result<Vec<String>> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => Ok(vec![value.to_string()]),
        Value::Array(values) => {
            let each = values.iter().map(|value| texts(path, key, value));
            Ok(each.collect::<Result<Vec<_>>>()?.concat())
        }
        Value::Table(_) => Err(Failure::new(format!("{}: {key} is a value, not a table.", path.display()))),
    }
}

fn unknown<'a>(path: &Path, key: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let failure = Failure::new(format!("{}: there is no setting \"{key}\".", path.display()));
    let last = key.rsplit('.').next().unwrap_or(key).replace('_', "-");
    let near = known
        .map(|name| (strsim::jaro_winkler(&last, name), name))
        .filter(|(alike, _)| *alike > 0.75)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match near {
        Some((_, name)) => failure.hint(format!("did you mean \"{name}\"?")),
        None => failure.hint("muster COMMAND --help names the flags of a command; each is a setting"),
    }
}
