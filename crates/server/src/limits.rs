//! The limits of a server, as flags: what is refused for its size, and how often somebody may ask.

use crate::http::{HttpConfig, Rate, Rates};
use clap::Args;
use ipnet::IpNet;
use muster_core::intake;
use muster_engine::Limits;
use std::net::IpAddr;
use std::time::Duration;

/// What `muster serve` refuses.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// The largest upload
    #[arg(long, env = "MUSTER_MAX_UPLOAD", value_name = "SIZE", default_value = "5GiB", value_parser = bytes)]
    max_upload: u64,
    /// The largest JSON body
    #[arg(long, env = "MUSTER_MAX_JSON", value_name = "SIZE", default_value = "32MiB", value_parser = bytes)]
    max_json: u64,
    /// The most records of a request that is answered at once
    #[arg(long, env = "MUSTER_MAX_RECORDS", value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_records: u32,
    /// The most ids of users in a request that is answered at once
    #[arg(long, env = "MUSTER_MAX_IDS", value_name = "N", default_value_t = 100_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_ids: u32,
    /// The most columns of a file
    #[arg(long, env = "MUSTER_MAX_COLUMNS", value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(1..=16_384))]
    max_columns: u32,
    /// The largest cell of a file
    #[arg(long, env = "MUSTER_MAX_CELL", value_name = "SIZE", default_value = "64KiB", value_parser = bytes)]
    max_cell: u64,
    /// The most jobs of a community that are not over
    #[arg(long, env = "MUSTER_MAX_OPEN_JOBS", value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_open_jobs: u32,
    /// How long a request waits for its job before it answers 503 with the job
    #[arg(long, env = "MUSTER_ANSWER_WITHIN", value_name = "SECONDS", default_value_t = 60)]
    answer_within: u16,
    /// Requests a second with one key; 0: any number
    #[arg(long, env = "MUSTER_REQUEST_RATE", value_name = "N", default_value_t = 1_000)]
    request_rate: u32,
    /// Requests at once with one key
    #[arg(long, env = "MUSTER_REQUEST_BURST", value_name = "N", default_value_t = 2_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    request_burst: u32,
    /// Keys a second that one address may show and that are not known to be valid; 0: any number
    #[arg(long, env = "MUSTER_KEY_ATTEMPT_RATE", value_name = "N", default_value_t = 10)]
    key_attempt_rate: u32,
    /// How many of them at once
    #[arg(long, env = "MUSTER_KEY_ATTEMPT_BURST", value_name = "N", default_value_t = 500,
          value_parser = clap::value_parser!(u32).range(1..))]
    key_attempt_burst: u32,
    /// Proxies whose X-Forwarded-For says who asks: addresses, and networks such as 10.0.0.0/8
    #[arg(long, env = "MUSTER_TRUSTED_PROXIES", value_name = "ADDRESS,…", value_delimiter = ',', value_parser = network)]
    trusted_proxies: Vec<IpNet>,
}

impl LimitArgs {
    /// The limits of the engine.
    pub fn engine(&self) -> Limits {
        let (columns, cell_bytes) = (self.max_columns as usize, whole(self.max_cell));
        Limits {
            upload_bytes: self.max_upload,
            open_jobs: self.max_open_jobs.into(),
            answer_within: Duration::from_secs(self.answer_within.into()),
            files: intake::Limits { columns, cell_bytes, ..intake::Limits::default() },
            ..Limits::default()
        }
    }

    /// The limits of the faces.
    pub fn http(&self) -> HttpConfig {
        HttpConfig {
            json_body_bytes: whole(self.max_json),
            records: self.max_records as usize,
            ids: self.max_ids as usize,
            rates: Rates {
                requests: Rate::per_second(self.request_rate, self.request_burst),
                attempts: Rate::per_second(self.key_attempt_rate, self.key_attempt_burst),
                trusted_proxies: self.trusted_proxies.clone(),
                ..Rates::default()
            },
        }
    }
}

fn whole(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A size such as `5GiB`, `64KiB` or `1000`.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1_u64 << 40,
        _ => return Err("a size is a whole number of bytes, or of KiB, MiB, GiB or TiB".to_owned()),
    };
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).filter(|size| *size > 0);
    size.ok_or_else(|| "a size is a whole number above 0, such as 5GiB".to_owned())
}

/// An address, or a network as a prefix.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.ok_or_else(|| "an address, or a network such as 10.0.0.0/8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        limits: LimitArgs,
    }

    #[test]
    fn what_nobody_says_is_the_default_of_every_part() {
        let limits = Command::parse_from(["x"]).limits;
        assert_eq!(format!("{:?}", limits.engine()), format!("{:?}", Limits::default()));
        assert_eq!(format!("{:?}", limits.http()), format!("{:?}", HttpConfig::default()));
    }

    #[test]
    fn sizes_have_binary_units() {
        let good = [("1", 1), ("64KiB", 65_536), ("5 GiB", 5 << 30), ("2tib", 2 << 40), ("7b", 7)];
        for (text, size) in good {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "0", "0GiB", "-1", "1.5GiB", "5GB", "GiB", "99999999999TiB", "1 1"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        let text = |text: &str| network(text).map(|network| network.to_string());
        assert_eq!(text("10.1.2.3"), Ok("10.1.2.3/32".into()));
        assert_eq!(text(" 10.0.0.0/8"), Ok("10.0.0.0/8".into()));
        assert_eq!(text("::1"), Ok("::1/128".into()));
        assert!(text("proxy.example").is_err() && text("").is_err());
    }
}
