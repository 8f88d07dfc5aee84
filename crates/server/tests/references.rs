//! The references under `docs/` are made of the program, so that they cannot say anything else than it does.
//!
//! A test fails where a committed file differs from what is made now. To write the files again:
//!
//! ```sh
//! UPDATE_REFERENCES=1 cargo test -p muster-server --test references
//! ```

use clap::{Arg, ArgAction, Command};
use muster_core::Code;
use muster_core::error::Kind;
use muster_server::{cli, config, http};
use std::fmt::Write;
use std::path::Path;
use toml::{Table, Value};

/// The variable that has the files written again.
const UPDATE: &str = "UPDATE_REFERENCES";
/// What stands above every page, so that nobody edits it.
const NOTE: &str = "<!-- Made from the program by crates/server/tests/references.rs; changes here are lost. -->";

/// Compares a file with what it should say, or writes it.
fn check(path: &str, made: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os(UPDATE).is_some_and(|value| value == "1") {
        std::fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("the folder can be made");
        std::fs::write(&file, made).expect("the file can be written");
        return;
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");
    let differs = committed.lines().zip(made.lines()).position(|(old, new)| old != new);
    let line = differs.unwrap_or_else(|| committed.lines().count().min(made.lines().count())) + 1;
    assert!(
        committed == made,
        "{path} is not what the program says, from line {line} on; look at the difference after\n  \
         {UPDATE}=1 cargo test -p muster-server --test references"
    );
}

#[test]
fn the_openapi_document_is_the_one_of_the_program() {
    let document = http::openapi().to_pretty_json().expect("it is made of plain values");
    check("docs/openapi.json", &format!("{document}\n"));
}

#[test]
fn the_error_reference_is_the_catalogue() {
    check("docs/reference/errors.md", &errors());
}

#[test]
fn the_command_line_reference_is_the_command_line() {
    check("docs/reference/cli.md", &command_line());
}

#[test]
fn the_configuration_reference_is_the_configuration() {
    check("docs/reference/configuration.md", &configuration());
}

#[test]
fn every_key_of_the_configuration_reference_is_one() {
    let mut all = Table::new();
    for setting in settings() {
        let mut table = &mut all;
        for name in &setting.table {
            let inner = table.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
            table = inner.as_table_mut().expect("a command and a flag differ in name");
        }
        if let Some(key) = setting.key {
            table.insert(key, Value::String("1".to_owned()));
        }
    }
    let read = config::with_file(cli::command(), Path::new("muster.toml"), &all);
    assert!(read.is_ok(), "{:?}", read.err());
}

fn errors() -> String {
    let mut page = format!(
        "# Errors\n\n{NOTE}\n\n\
         Every error has a stable `code`, which is never renamed and never means something else. The text beside it is for people \
         and may change.\n"
    );
    let groups = [
        (
            Kind::Request,
            "Requests",
            "Answer a request; nothing was done. In the native face they come as `application/problem+json`, in the \
             others in the form of the product.",
        ),
        (
            Kind::File,
            "Whole files",
            "Refuse a file before a job exists; or, where only reading the whole file shows it, end the job before it has \
             written anything.",
        ),
        (
            Kind::Job,
            "Jobs",
            "End a job that had begun. What was applied before stays and is reported. The code stands in the `error` of the \
             job.",
        ),
        (
            Kind::Row,
            "Rows",
            "Fail one row; the others go on. The code stands in the results and error groups of the job. The status is \
             the one of a single change that is refused for the same reason.",
        ),
    ];
    for (kind, title, about) in groups {
        write!(page, "\n## {title}\n\n{about}\n\n| code | status | help |\n| --- | --- | --- |\n").expect("memory");
        for code in Code::ALL.iter().filter(|code| code.kind() == kind) {
            let (status, help) = (code.status(), cell(code.help()));
            writeln!(page, "| <a id=\"{code}\"></a>`{code}` | {status} | {help} |").expect("memory");
        }
    }
    page
}

fn command_line() -> String {
    let command = cli::command();
    let mut page = format!(
        "# Command line\n\n{NOTE}\n\n{}\n\n\
         Flags beat environment variables, which beat the file `muster.toml`; [configuration.md](configuration.md) has \
         the keys of the file. Data goes to stdout, talk to stderr. Every command has `--help`, and `muster --version` \
         prints the version. A flag that is off takes `true`, `yes`, `on` or `1` from its variable.\n\n## Options of every command\n\n",
        about(&command)
    );
    options(&mut page, &command);
    commands(&mut page, &command, "muster");
    page
}

/// The commands below a command, each with what is below it.
fn commands(page: &mut String, command: &Command, path: &str) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let path = format!("{path} {}", sub.get_name());
        if sub.has_subcommands() {
            commands(page, sub, &path);
            continue;
        }
        let positionals = sub.get_positionals().map(|arg| format!(" {}", placeholder(arg)));
        let usage = format!("{path}{}", positionals.collect::<String>());
        write!(page, "\n## `{usage}`\n\n{}.\n", about(sub)).expect("memory");
        for arg in sub.get_positionals() {
            write!(page, "\n`{}`: {}.\n", placeholder(arg), help(arg)).expect("memory");
        }
        if sub.get_arguments().any(is_option) {
            page.push('\n');
            options(page, sub);
        }
    }
}

fn options(page: &mut String, command: &Command) {
    page.push_str("| flag | environment variable | default | what it does |\n| --- | --- | --- | --- |\n");
    for arg in command.get_arguments().filter(|arg| is_option(arg)) {
        let short = arg.get_short().map_or(String::new(), |short| format!("`-{short}`, "));
        let value = match arg.get_action() {
            ArgAction::SetTrue => String::new(),
            _ => format!(" {}", placeholder(arg)),
        };
        let (flag, variable) = (long(arg), variable(arg));
        let (flag, default) = (code(&format!("--{flag}{value}")), default_of(arg));
        let choices = match choices(arg).as_slice() {
            [] => String::new(),
            choices => format!(": {}", choices.join(", ")),
        };
        let what = cell(&format!("{}{choices}", help(arg)));
        writeln!(page, "| {short}{flag} | `{variable}` | {default} | {what} |").expect("memory");
    }
}

/// One line of the configuration reference.
struct Setting {
    /// The flag.
    flag: String,
    /// The commands that have it; none: all.
    commands: Vec<String>,
    variable: String,
    /// Its table in the file; none: the top.
    table: Vec<String>,
    /// Its key there, where the file may hold it.
    key: Option<String>,
    default: String,
}

fn configuration() -> String {
    let mut page = format!(
        "# Configuration\n\n{NOTE}\n\n\
         Every flag of the command line is a setting: it has an environment variable, and a key in a file of settings. Flags beat \
         the environment, which beats the file. The file is `muster.toml` in the folder in which the command is started, or the one \
         that `--config` or `MUSTER_CONFIG` names. Keys that name no setting are refused. What each setting does is said in \
         [cli.md](cli.md).\n"
    );
    let all = settings();
    let (single, shared): (Vec<_>, Vec<_>) = all.iter().partition(|setting| !setting.table.is_empty());
    page.push_str(
        "\n## Settings of the installation\n\nThey stand at the top of the file.\n\n\
         | key in `muster.toml` | flag | environment variable | default | commands |\n| --- | --- | --- | --- | --- |\n",
    );
    for setting in shared {
        let key = setting.key.as_ref().map_or("none".to_owned(), |key| code(key));
        let commands = match setting.commands.is_empty() {
            true => "all".to_owned(),
            false => setting.commands.iter().map(|name| code(name)).collect::<Vec<_>>().join(", "),
        };
        let Setting { flag, variable, default, .. } = setting;
        writeln!(page, "| {key} | `--{flag}` | `{variable}` | {default} | {commands} |").expect("memory");
    }
    page.push_str(
        "\n## Settings of single commands\n\nThey stand in a table for each command, such as `[commands.generate]`.\n\n\
         | table | key | flag | environment variable | default |\n| --- | --- | --- | --- | --- |\n",
    );
    for setting in single {
        let (table, key) = (setting.table.join("."), setting.key.clone().unwrap_or_default());
        let Setting { flag, variable, default, .. } = setting;
        writeln!(page, "| `[{table}]` | `{key}` | `--{flag}` | `{variable}` | {default} |").expect("memory");
    }
    page
}

/// Every setting, in the order of the command line; those that several commands share stand once.
fn settings() -> Vec<Setting> {
    let mut settings = Vec::new();
    gather(&mut settings, &cli::command(), &[]);
    settings
}

fn gather(settings: &mut Vec<Setting>, command: &Command, path: &[String]) {
    for arg in command.get_arguments().filter(|arg| is_option(arg)) {
        let (flag, variable, is_shared) = (long(arg), variable(arg), config::is_shared(arg));
        let known = settings.iter_mut().find(|known| is_shared && known.variable == variable);
        if let Some(known) = known {
            known.commands.push(path.join(" "));
            continue;
        }
        let commands = match path {
            [] => Vec::new(),
            path => vec![path.join(" ")],
        };
        let mut table = Vec::new();
        if !is_shared {
            table.push("commands".to_owned());
            table.extend(path.iter().map(|name| name.replace('-', "_")));
        }
        settings.push(Setting {
            // The file cannot name itself.
            key: (flag != "config").then(|| flag.replace('-', "_")),
            flag,
            commands,
            variable,
            table,
            default: default_of(arg),
        });
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        gather(settings, sub, &[path, &[sub.get_name().to_owned()]].concat());
    }
}

/// Whether an argument is a flag that people are told about.
fn is_option(arg: &Arg) -> bool {
    arg.get_long().is_some() && !arg.is_hide_set()
}

fn long(arg: &Arg) -> String {
    arg.get_long().unwrap_or_default().to_owned()
}

fn variable(arg: &Arg) -> String {
    let variable = arg.get_env().and_then(|name| name.to_str());
    variable.expect("every flag has a variable").to_owned()
}

/// What stands for the value: `<FILE>`.
fn placeholder(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names = names.iter().map(|name| format!("<{name}>"));
    names.collect::<Vec<_>>().join(" ")
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// The help of an argument, and the default that it tells in words.
fn told(arg: &Arg) -> (String, Option<String>) {
    let text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    match text.split_once(" [default: ") {
        Some((help, default)) => (help.to_owned(), default.strip_suffix(']').map(str::to_owned)),
        None => (text, None),
    }
}

fn help(arg: &Arg) -> String {
    told(arg).0
}

fn default_of(arg: &Arg) -> String {
    let values: Vec<&str> = arg.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    match (arg.get_action(), told(arg).1) {
        (ArgAction::SetTrue, _) => "off".to_owned(),
        (_, Some(words)) => cell(&words),
        (_, None) if arg.is_required_set() => "required".to_owned(),
        (_, None) if values.is_empty() => "none".to_owned(),
        (_, None) => code(&values.join(" ")),
    }
}

/// The words that the value may be.
fn choices(arg: &Arg) -> Vec<String> {
    match arg.get_action() {
        ArgAction::SetTrue => Vec::new(),
        _ => arg.get_possible_values().iter().map(|value| code(value.get_name())).collect(),
    }
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn code(text: &str) -> String {
    cell(&format!("`{text}`"))
}
