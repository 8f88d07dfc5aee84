//! `muster users`: the users of a server.

use crate::cli::client::RemoteArgs;
use crate::cli::failure::Result;
use crate::cli::jobs::{Format, print_body};
use clap::{Subcommand, ValueEnum};
use reqwest::Method;

/// `muster users`
#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Print users, as a file that can be edited and sent back with muster update
    Export {
        /// How the users are written
        #[arg(long, value_enum, default_value = "csv")]
        format: Format,
        /// Only those who match, such as '{"points": {"gte": 10}}'
        #[arg(long, value_name = "JSON")]
        filter: Option<String>,
        /// Only these columns, parted by commas: keys of fields, id, email
        #[arg(long, value_name = "COLUMNS")]
        fields: Option<String>,
        /// For a spreadsheet: texts that it would run as formulas begin with an apostrophe
        #[arg(long)]
        spreadsheet: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

/// `muster users …`
pub(crate) async fn users(command: &UsersCommand) -> Result<()> {
    match command {
        UsersCommand::Export { format, filter, fields, spreadsheet, remote } => {
            let client = remote.client()?;
            let format = format.to_possible_value().map(|value| value.get_name().to_owned());
            let mut query: Vec<(&str, String)> = format.map(|format| ("format", format)).into_iter().collect();
            query.extend(filter.iter().map(|filter| ("filter", filter.clone())));
            query.extend(fields.iter().map(|fields| ("fields", fields.clone())));
            query.extend(spreadsheet.then(|| ("spreadsheet", "true".to_owned())));
            print_body(&client, client.request(Method::GET, "/v1/users/export").query(&query)).await
        }
    }
}
