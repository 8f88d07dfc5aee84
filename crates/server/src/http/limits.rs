//! How often somebody may ask: requests by key, keys that are tried out and anonymous files by address.
//!
//! Each process counts for itself, and a restart begins anew. Who has waited long enough has everything again (a leaky bucket,
//! by the crate `governor`), and is forgotten.

use super::failure::Failure;
use super::{App, HttpConfig};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;
use muster_core::{Code, Error};
use muster_engine::{Caller, Clock};
use std::collections::HashSet;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// After how many looks whoever has not asked for long is forgotten.
const FORGET_AFTER: u32 = 4_096;
/// How many keys that were valid are remembered.
const MOST_KNOWN: usize = 100_000;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many may come at once.
    pub burst: NonZeroU32,
    /// After how long all of them may come again.
    pub within: Duration,
}

impl Rate {
    /// So many a second, and so many at once. None where either is zero: no limit.
    pub fn per_second(rate: u32, burst: u32) -> Option<Self> {
        let burst = NonZeroU32::new(burst).filter(|_| rate > 0)?;
        Some(Self { burst, within: Duration::from_secs(1) * burst.get() / rate })
    }
}

/// How often somebody may ask; none: without limit.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Requests with one key.
    pub requests: Option<Rate>,
    /// Keys from one address that are not known to be valid.
    pub attempts: Option<Rate>,
    /// Files without a key from one address.
    pub anonymous_files: Option<Rate>,
    /// Who may say in `X-Forwarded-For` for whom it asks.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Rates {
    /// Requests and anonymous files as section 10 of the contract says.
    fn default() -> Self {
        let ten = NonZeroU32::MIN.saturating_add(9);
        Self {
            requests: Rate::per_second(1_000, 2_000),
            attempts: Rate::per_second(10, 500),
            anonymous_files: Some(Rate { burst: ten, within: Duration::from_secs(3_600) }),
            trusted_proxies: Vec::new(),
        }
    }
}

/// What is over its limit, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Exceeded {
    /// The name of the limit.
    pub policy: &'static str,
    /// What the limit is.
    pub rate: Rate,
    /// Seconds until the next one is let through, at least one.
    pub wait_seconds: u64,
}

/// The engine's clock, as the limiter asks for it.
#[derive(Clone, Debug)]
struct Passed(Clock);

impl governor::clock::Clock for Passed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.uptime()
    }
}

type Buckets<K> = RateLimiter<K, DashMapStateStore<K>, Passed, NoOpMiddleware<Duration>>;

/// A limit for each of many.
#[derive(Debug)]
struct Limit<K: Hash + Eq + Clone> {
    policy: &'static str,
    buckets: Option<(Rate, Buckets<K>)>,
    clock: Passed,
    looks: AtomicU32,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(policy: &'static str, rate: Option<Rate>, clock: &Clock) -> Self {
        let clock = Passed(clock.clone());
        let buckets = |rate: Rate| {
            let quota = Quota::with_period(rate.within / rate.burst.get())?.allow_burst(rate.burst);
            Some((rate, RateLimiter::new(quota, DashMapStateStore::default(), clock.clone())))
        };
        Self { policy, buckets: rate.and_then(buckets), clock, looks: AtomicU32::new(0) }
    }

    /// Takes one, if there is one left.
    fn take(&self, who: &K) -> Result<(), Exceeded> {
        let Some((rate, buckets)) = &self.buckets else { return Ok(()) };
        if self.looks.fetch_add(1, Ordering::Relaxed) % FORGET_AFTER == FORGET_AFTER - 1 {
            buckets.retain_recent();
        }
        buckets.check_key(who).map_err(|refused| {
            let wait = refused.wait_time_from(self.clock.now());
            let wait_seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Exceeded { policy: self.policy, rate: *rate, wait_seconds: wait_seconds.max(1) }
        })
    }
}

/// Every limit of one process.
#[derive(Debug)]
pub struct Limits {
    requests: Limit<String>,
    attempts: Limit<IpAddr>,
    anonymous_files: Limit<IpAddr>,
    /// Fingerprints of keys that were valid: who has one is not stopped by others who try keys at the same address.
    known: Mutex<HashSet<u64>>,
    hasher: RandomState,
    trusted: Vec<IpNet>,
}

impl Limits {
    /// Limits that nothing has come near to yet.
    pub fn new(config: &HttpConfig, clock: &Clock) -> Self {
        let rates = &config.rates;
        Self {
            requests: Limit::new("requests", rates.requests, clock),
            attempts: Limit::new("attempts", rates.attempts, clock),
            anonymous_files: Limit::new("anonymous_files", rates.anonymous_files, clock),
            known: Mutex::default(),
            hasher: RandomState::new(),
            trusted: rates.trusted_proxies.clone(),
        }
    }

    /// Counts a key that somebody shows, before it is looked up. Refuses with `rate_limited` where the address showed too
    /// many that are not known to be valid.
    pub fn attempt(&self, from: ClientAddress, secret: &str) -> Result<(), Failure> {
        let fingerprint = self.hasher.hash_one(secret);
        if self.known.lock().is_ok_and(|known| known.contains(&fingerprint)) {
            return Ok(());
        }
        self.attempts.take(&from.0).map_err(|exceeded| {
            refused(
                exceeded,
                "This address showed too many keys that are not valid; wait, and try again with a valid one.",
            )
        })
    }

    /// Counts a request of somebody whose key is valid. Refuses with `rate_limited`.
    pub fn request(&self, caller: &Caller, secret: &str) -> Result<(), Failure> {
        if let Ok(mut known) = self.known.lock() {
            if known.len() >= MOST_KNOWN {
                known.clear();
            }
            known.insert(self.hasher.hash_one(secret));
        }
        self.requests.take(&caller.actor.id).map_err(|exceeded| {
            let Rate { burst, within } = exceeded.rate;
            let within = within.as_secs_f64();
            refused(
                exceeded,
                format!("The key sent more than {burst} requests within {within} seconds; wait, and go on."),
            )
        })
    }

    /// Counts a file that somebody without a key sends. Refuses with `rate_limited`.
    pub fn anonymous_file(&self, from: ClientAddress) -> Result<(), Failure> {
        self.anonymous_files.take(&from.0).map_err(|exceeded| {
            refused(
                exceeded,
                "This address sent as many files without a key as it may; wait, or send the file with a key.",
            )
        })
    }

    /// Where a request comes from: the peer, or for whom a trusted proxy says that it asks.
    pub fn address(&self, headers: &HeaderMap, extensions: &Extensions) -> ClientAddress {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| plain(peer.ip()));
        let mut address = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        // Each proxy adds at the end from whom it heard; what stands before an address that is not trusted anybody can write.
        let named =
            headers.get_all("x-forwarded-for").iter().flat_map(|header| header.to_str().unwrap_or("").split(','));
        for hop in named.collect::<Vec<_>>().into_iter().rev() {
            if !self.trusted.iter().any(|proxies| proxies.contains(&address)) {
                break;
            }
            let Some(before) = parse(hop.trim()) else { break };
            address = before;
        }
        ClientAddress(network(address))
    }
}

/// The address of a client, or of the network that one has: of IPv6 the first 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(IpAddr);

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(app.limits.address(&parts.headers, &parts.extensions))
    }
}

fn refused(exceeded: Exceeded, detail: impl Into<String>) -> Failure {
    Failure { exceeded: Some(Box::new(exceeded)), ..Failure::from(Error::new(Code::RateLimited, detail)) }
}

/// An address as proxies write it, with a port or without.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))?;
    Some(plain(address))
}

/// An IPv4 address as one, where it is written as IPv6.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use jiff::Timestamp;
    use muster_core::actor::{Actor, ActorKind};
    use muster_core::id::{CommunityId, Tenant};

    fn limits(rates: Rates) -> (Limits, Clock) {
        let clock = Clock::fixed(Timestamp::from_second(1_800_000_000).unwrap());
        (Limits::new(&HttpConfig { rates, ..HttpConfig::default() }, &clock), clock)
    }

    fn caller(id: &str) -> Caller {
        let actor = Actor { kind: ActorKind::ApiKey, id: id.into(), name: "test".into() };
        let community = CommunityId::from_bytes([1; 12]);
        Caller { tenant: Tenant(1), community, actor, scopes: Vec::new(), reservation: None }
    }

    fn at(text: &str) -> ClientAddress {
        ClientAddress(network(text.parse().unwrap()))
    }

    #[test]
    fn a_key_has_its_burst_then_its_rate_and_others_have_their_own() {
        let (limits, clock) = limits(Rates { requests: Rate::per_second(2, 4), ..Rates::default() });
        let ask = |id| limits.request(&caller(id), id).map_err(|failure| failure.exceeded.unwrap().wait_seconds);
        assert_eq!((0..5).map(|_| ask("a")).collect::<Vec<_>>(), [Ok(()), Ok(()), Ok(()), Ok(()), Err(1)]);
        assert_eq!(ask("b"), Ok(()));
        clock.advance(Duration::from_millis(499));
        assert_eq!(ask("a"), Err(1));
        clock.advance(Duration::from_millis(1));
        assert_eq!((ask("a"), ask("a")), (Ok(()), Err(1)));
        clock.advance(Duration::from_secs(2));
        assert_eq!((0..5).filter(|_| ask("a").is_ok()).count(), 4, "after a while there is all of it again");
    }

    #[test]
    fn who_tries_keys_out_is_stopped_and_whose_key_is_known_is_not() {
        let (limits, clock) = limits(Rates { attempts: Rate::per_second(1, 3), ..Rates::default() });
        limits.attempt(at("10.0.0.1"), "good").unwrap();
        limits.request(&caller("k"), "good").unwrap();
        let tried = (0..5).filter(|i| limits.attempt(at("10.0.0.1"), &format!("bad {i}")).is_ok()).count();
        assert_eq!(tried, 2);
        limits.attempt(at("10.0.0.1"), "good").unwrap();
        limits.attempt(at("10.0.0.2"), "bad").unwrap();
        clock.advance(Duration::from_secs(1));
        limits.attempt(at("10.0.0.1"), "bad").unwrap();
        assert!(limits.attempt(at("10.0.0.1"), "bad").is_err());
    }

    #[test]
    fn ten_files_an_hour_come_without_a_key_from_one_network() {
        let (limits, clock) = limits(Rates::default());
        let send =
            |from: &str| limits.anonymous_file(at(from)).map_err(|failure| failure.exceeded.unwrap().wait_seconds);
        assert!((0..10).all(|i| send(&format!("2001:db8:1:2::{i}")).is_ok()));
        assert_eq!(send("2001:db8:1:2:ffff::1"), Err(360));
        assert_eq!(send("2001:db8:1:3::1"), Ok(()));
        clock.advance(Duration::from_secs(360));
        assert_eq!(send("2001:db8:1:2::9"), Ok(()));
    }

    #[test]
    fn what_is_not_limited_is_not_counted() {
        let (limits, _) = limits(Rates { requests: Rate::per_second(0, 5), ..Rates::default() });
        assert!((0..10_000).all(|_| limits.request(&caller("a"), "a").is_ok()));
        assert_eq!(Rate::per_second(5, 0), None);
    }

    #[test]
    fn whoever_waited_is_forgotten() {
        let (limits, clock) = limits(Rates { requests: Rate::per_second(10, 10), ..Rates::default() });
        for i in 0..u64::from(FORGET_AFTER) {
            clock.advance(Duration::from_millis(100));
            limits.request(&caller(&i.to_string()), "a").unwrap();
        }
        let (_, buckets) = limits.requests.buckets.as_ref().unwrap();
        assert!(buckets.len() < 20, "{} are left", buckets.len());
    }

    #[test]
    fn a_trusted_proxy_says_who_asks_and_nobody_else_does() {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let (limits, _) = limits(Rates { trusted_proxies, ..Rates::default() });
        let from = |peer: &str, headers: &[&str]| {
            let mut extensions = Extensions::new();
            extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
            let mut map = HeaderMap::new();
            for text in headers {
                map.append("x-forwarded-for", HeaderValue::from_str(text).unwrap());
            }
            limits.address(&map, &extensions).0.to_string()
        };
        let cases: &[(&str, &[&str], &str)] = &[
            ("8.8.8.8", &["1.1.1.1"], "8.8.8.8"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("::ffff:10.0.0.1", &["::ffff:1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.9.9.9"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6", "1.1.1.1,10.9.9.9"], "1.1.1.1"),
            ("10.0.0.1", &["1.1.1.1:4711"], "1.1.1.1"),
            ("::1", &["[2001:db8::5]:4711"], "2001:db8::"),
            ("::1", &["[2001:db8::5]"], "2001:db8::"),
            ("10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1, "], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ];
        for (peer, headers, expected) in cases {
            assert_eq!(from(peer, headers), *expected, "{peer} {headers:?}");
        }
        assert_eq!(limits.address(&HeaderMap::new(), &Extensions::new()).0.to_string(), "0.0.0.0");
    }
}
