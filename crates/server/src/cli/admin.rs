//! What whoever runs the server does at its own command line.

use crate::cli::failure::{EXIT_PARTLY, Failure, Result};
use crate::cli::out::{self, Table};
use crate::config::Global;
use crate::home::{self, Home, administer};
use crate::serve::DATA_FOLDER;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};
use muster_core::id::KeyId;
use muster_core::scope::Scope;
use muster_engine::{ApiKey, Community, Engine, Faults, Limits, NewKey};
use serde_json::json;

/// `muster community`
#[derive(Debug, Subcommand)]
pub(crate) enum CommunityCommand {
    /// Make a community
    Create {
        /// Its name
        name: String,
        /// Print JSON: {"id","name"}
        #[arg(long)]
        json: bool,
    },
    /// List every community
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `muster key`
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make an API key; it is shown once
    Create {
        /// The community, by id or name [default: the only one]
        #[arg(long, value_name = "ID")]
        community: Option<String>,
        /// A name for the key
        #[arg(long)]
        name: String,
        /// What the key may do; may be given several times [default: everything]
        #[arg(long, value_name = "SCOPE", value_parser = scope_parser(), hide_possible_values = true)]
        scope: Vec<Scope>,
        /// When it ends: a date, a time (RFC 3339), or a span from now such as 90d
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
        /// Print JSON: {"id","key"}
        #[arg(long)]
        json: bool,
    },
    /// List the API keys of a community
    List {
        /// The community, by id or name [default: the only one]
        #[arg(long, value_name = "ID")]
        community: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke an API key, at once and for good
    Revoke {
        /// Its id
        id: KeyId,
        /// The community, by id or name [default: whichever has the key]
        #[arg(long, value_name = "ID")]
        community: Option<String>,
    },
}

fn scope_parser() -> impl TypedValueParser<Value = Scope> {
    let names = Scope::ALL.iter().map(|scope| scope.as_str());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Scope>())
}

/// `muster migrate`
pub(crate) async fn migrate(global: &Global) -> Result<()> {
    let engine = Home::new(global, DATA_FOLDER)?.open(Faults::none(), Limits::default())?;
    let run = home::migrate(&engine).await?;
    match run.as_slice() {
        [] => out::data("The schema is up to date; nothing was to be done."),
        run => out::data(format!("The schema is up to date now; ran {}.", run.join(", "))),
    }
}

/// `muster community …`
pub(crate) async fn community(global: &Global, command: &CommunityCommand) -> Result<()> {
    let home = Home::new(global, DATA_FOLDER)?;
    match command {
        CommunityCommand::Create { name, json } => {
            let engine = administer(home.open(Faults::none(), Limits::default())?).await?;
            let made = engine.create_community(name).await?;
            match json {
                true => out::json(&community_json(&made)),
                false => out::data(format!("id    {}\nname  {}", made.id, made.name)),
            }
        }
        CommunityCommand::List { json } => {
            let engine = administer(home.open_existing()?).await?;
            let communities = engine.list_communities().await?;
            if *json {
                let list: Vec<_> = communities.iter().map(community_json).collect();
                return out::json(&list);
            }
            let mut table = Table::new(&["ID", "NAME", "CREATED"], &[]);
            for community in &communities {
                table.row([community.id.to_string(), community.name.clone(), second(community.created_at)]);
            }
            out::data(table)
        }
    }
}

fn community_json(community: &Community) -> serde_json::Value {
    json!({"id": community.id.to_string(), "name": community.name})
}

/// `muster key …`
pub(crate) async fn key(global: &Global, command: &KeyCommand) -> Result<()> {
    let engine = administer(Home::new(global, DATA_FOLDER)?.open_existing()?).await?;
    match command {
        KeyCommand::Create { community, name, scope, expires, json } => {
            let community = find_community(&engine, community.as_deref()).await?;
            let now = engine.clock().now();
            let new = NewKey {
                name: name.clone(),
                scopes: if scope.is_empty() { Scope::ALL.to_vec() } else { scope.clone() },
                expires_at: expires.as_deref().map(|text| expiry(text, now)).transpose()?,
            };
            let made = engine.create_key(&community, &new).await?;
            let id = made.key.id.to_string();
            if *json {
                return out::json(&json!({"id": id, "key": made.secret}));
            }
            out::data(format!("id   {id}\nkey  {}", made.secret))?;
            out::talk("Keep the key: it is not shown again.");
            Ok(())
        }
        KeyCommand::List { community, json } => {
            let community = find_community(&engine, community.as_deref()).await?;
            list_keys(&engine, &community, *json).await
        }
        KeyCommand::Revoke { id, community } => {
            revoke(&engine, *id, community.as_deref()).await?;
            out::talk(format!("The key {id} is revoked."));
            Ok(())
        }
    }
}

async fn list_keys(engine: &Engine, community: &Community, json: bool) -> Result<()> {
    let keys = engine.list_keys(community).await?;
    if json {
        let list: Vec<_> = keys.iter().map(key_json).collect();
        return out::json(&list);
    }
    let now = engine.clock().now();
    let mut table = Table::new(&["ID", "NAME", "CREATED", "STATE", "SCOPES"], &[]);
    for key in &keys {
        let state = match (key.revoked_at, key.expires_at) {
            (Some(at), _) => format!("revoked {}", second(at)),
            (None, Some(at)) if at <= now => format!("expired {}", second(at)),
            (None, Some(at)) => format!("until {}", second(at)),
            (None, None) => "valid".to_owned(),
        };
        let scopes = match key.scopes.len() == Scope::ALL.len() {
            true => "all".to_owned(),
            false => key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "),
        };
        table.row([key.id.to_string(), key.name.clone(), second(key.created_at), state, scopes]);
    }
    out::data(table)
}

fn key_json(key: &ApiKey) -> serde_json::Value {
    json!({
        "id": key.id.to_string(), "name": key.name, "scopes": key.scopes, "created_at": key.created_at,
        "expires_at": key.expires_at, "revoked_at": key.revoked_at,
    })
}

async fn revoke(engine: &Engine, id: KeyId, community: Option<&str>) -> Result<()> {
    let communities = match community {
        Some(_) => vec![find_community(engine, community).await?],
        None => engine.list_communities().await?,
    };
    for community in &communities {
        if engine.list_keys(community).await?.iter().any(|key| key.id == id) {
            engine.revoke_key(community, id).await?;
            return Ok(());
        }
    }
    Err(Failure::new(format!("There is no key {id}.")).hint("muster key list shows the keys of a community"))
}

/// The community of an id or a name, or the only one.
async fn find_community(engine: &Engine, named: Option<&str>) -> Result<Community> {
    let all = engine.list_communities().await?;
    let found: Vec<&Community> = match named {
        None => all.iter().collect(),
        Some(text) => match all.iter().find(|community| community.id.to_string() == text) {
            Some(community) => vec![community],
            None => all.iter().filter(|community| community.name == text).collect(),
        },
    };
    match (found.as_slice(), named) {
        ([one], _) => Ok((*one).clone()),
        ([], None) => Err(Failure::new("There is no community yet.").hint("make one: muster community create NAME")),
        ([], Some(text)) => {
            let failure = Failure::new(format!("There is no community \"{text}\"."));
            Err(failure.hint("muster community list shows them"))
        }
        (several, _) => {
            let lines = several.iter().map(|community| format!("{}  {}", community.id, community.name));
            let failure = Failure::new("There are several communities; name one by its id with --community:");
            Err(lines.fold(failure, Failure::detail))
        }
    }
}

/// Reads when a key ends: a time, a day (its beginning, UTC), or a span from now.
fn expiry(text: &str, now: Timestamp) -> Result<Timestamp> {
    let day = || text.parse::<civil::Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
    let span = || {
        let span = text.parse::<Span>().ok()?;
        Some(now.to_zoned(TimeZone::UTC).checked_add(span).ok()?.timestamp())
    };
    let end = text.parse::<Timestamp>().ok().or_else(day).or_else(span);
    let end = end.ok_or_else(|| {
        let failure = Failure::new(format!("--expires \"{text}\" is no date, time or span."));
        failure.hint("write 2027-01-31, 2027-01-31T09:30:00Z or 90d")
    })?;
    match end > now {
        true => Ok(end),
        false => Err(Failure::new(format!("--expires \"{text}\" is in the past."))),
    }
}

/// A time to the second.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `muster verify`
pub(crate) async fn verify(global: &Global) -> Result<()> {
    let engine = Home::new(global, DATA_FOLDER)?.open_existing()?;
    if !home::current(&engine).await? {
        return Err(Failure::new("The schema of the database is not current.").hint("run muster migrate first"));
    }
    let found = engine.verify().await?;
    let checked = format!(
        "Checked {}, {} and {}",
        out::count(found.users, "user"),
        out::count(found.change_sets, "change set"),
        out::count(found.jobs, "job")
    );
    if found.broken == 0 {
        return out::data(format!("{checked}: every history explains what is stored."));
    }
    out::data(format!("{checked}: {} found.", out::count(found.broken, "break")))?;
    for sentence in &found.breaks {
        out::data(format!("  {sentence}"))?;
    }
    let untold = found.broken.saturating_sub(found.breaks.len() as u64);
    if untold > 0 {
        out::data(format!("  and {} more", out::number(untold)))?;
    }
    Err(Failure::quiet(EXIT_PARTLY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_time_a_day_or_a_span() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let end = |text| expiry(text, now).map(|end| end.to_string());
        assert_eq!(end("2026-01-02T00:00:00Z").unwrap(), "2026-01-02T00:00:00Z");
        assert_eq!(end("2026-02-01").unwrap(), "2026-02-01T00:00:00Z");
        assert_eq!(end("90d").unwrap(), "2026-04-01T12:00:00Z");
        for text in ["2025-01-01", "soon", "-3d"] {
            assert!(end(text).is_err(), "{text}");
        }
    }
}
