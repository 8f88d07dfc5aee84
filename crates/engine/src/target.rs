//! Where webhooks may go.
//!
//! Whoever may make a webhook makes this server send requests. So that none of them reaches what only this server can
//! reach, an address is looked at twice: as it is written when the webhook is made, and as what its name stands for each
//! time that something is sent. The addresses that were looked at are those that are connected to.

use muster_core::{Code, Error};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How long the address of a webhook may be.
const URL_LENGTH: usize = 2_000;

/// What webhooks may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Whether addresses that are not public are allowed.
    pub allow_private: bool,
    /// The ports that are allowed.
    pub ports: Vec<u16>,
}

impl Default for Targets {
    fn default() -> Self {
        Self { allow_private: false, ports: vec![80, 443] }
    }
}

impl Targets {
    /// Reads the address of a webhook. Refuses with `invalid_url` what nothing is sent to; what a name stands for is not
    /// looked at here.
    pub fn read(&self, text: &str) -> Result<Url, Error> {
        let refuse = |sentence: &str| Error::at("/url", Code::InvalidUrl, sentence);
        if text.len() > URL_LENGTH {
            return Err(refuse("The address is longer than 2,000 bytes."));
        }
        let url = Url::parse(text).map_err(|_| refuse("This is not an address such as https://example.com/events."))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("The address begins neither with https:// nor with http://."));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("The address names a user or a password; leave them out, deliveries are signed."));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if !self.ports.contains(&port) {
            let ports = self.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            return Err(refuse(&format!("Port {port} is none of those that this server sends to: {ports}.")));
        }
        match literal(&url) {
            Some(address) if !self.allows(address) => {
                Err(refuse("The address is not one of the public internet, and this server sends to no other."))
            }
            Some(_) | None => Ok(url),
        }
    }

    /// Whether something may be sent to this address.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allow_private || is_public(address)
    }
}

/// The address that a URL names itself, in whichever spelling.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether an address belongs to somebody on the public internet, by the registries of special-purpose addresses of IANA
/// (RFC 6890). An IPv6 address that stands for an IPv4 address is as public as that.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127 | 224..=255, _, _) => true, // this network, private, loopback, multicast, reserved, broadcast
        (100, 64..=127, _) => true,               // shared by a provider's customers
        (169, 254, _) => true,                    // link-local, where clouds keep their metadata
        (172, 16..=31, _) | (192, 168, _) => true, // private
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) => true, // protocols, documentation
        (192, 31, 196) | (192, 52, 193) | (192, 175, 48) => true, // AS112, AMT
        (192, 88, 99) => true,                    // 6to4 relays
        (198, 18 | 19, _) => true,                // benchmarks
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) => is_public_v4(v4(g, h)),      // mapped
        (0x64, 0xff9b, 0, 0, 0, 0) => is_public_v4(v4(g, h)),   // NAT64
        (0x2002, ..) => is_public_v4(v4(b, c)),                 // 6to4
        (0x2001, 0..=0x1ff, ..) => false,                       // protocols, Teredo, ORCHID
        (0x2001, 0xdb8, ..) | (0x3fff, 0..=0xfff, ..) => false, // documentation
        (0x2620, 0x4f, 0x8000, ..) => false,                    // AS112
        // Only this eighth is given out as global unicast: not loopback, unique local, link-local, multicast.
        _ => (0x2000..=0x3fff).contains(&a),
    }
}

/// Finds what a name stands for, and refuses it whole where one of its addresses is not allowed.
#[derive(Clone, Debug)]
pub(crate) struct Resolver(pub Targets);

/// A name stands for an address that nothing is sent to.
#[derive(Debug, thiserror::Error)]
#[error("the name stands for an address that nothing is sent to")]
pub(crate) struct RefusedAddress;

impl Resolver {
    fn checked(&self, found: Vec<SocketAddr>) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
        if found.is_empty() {
            return Err(Box::new(io::Error::from(io::ErrorKind::NotFound)));
        }
        match found.iter().all(|address| self.0.allows(address.ip())) {
            true => Ok(Box::new(found.into_iter())),
            false => Err(Box::new(RefusedAddress)),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            // The port is that of the URL; it is put in later.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            resolver.checked(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_allowed() {
        let refused =
            "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.9.9.9 169.254.169.254
            172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.1.1 192.175.48.1
            198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.7 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
            :: ::1 ::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::10.0.0.1
            64:ff9b:1::1 100::1 2001::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:c0a8:101::1 2002:a00:1::
            2620:4f:8000::1 3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1 fd12:3456::1 fe80::1 fec0::1 ff02::1";
        let public = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.1.1.1 128.0.0.1 169.253.1.1
            172.15.255.255 172.32.0.0 192.0.1.1 192.167.1.1 192.169.0.1 198.17.1.1 198.20.0.1 223.255.255.255
            ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808:: 2001:200::1 2606:4700:4700::1111 2a00:1450::1 3ffe::1";
        for (texts, expected) in [(refused, false), (public, true)] {
            for text in texts.split_whitespace() {
                let address: IpAddr = text.parse().unwrap();
                assert_eq!(is_public(address), expected, "{text}");
                assert_eq!(Targets::default().allows(address), expected, "{text}");
                assert!(Targets { allow_private: true, ..Targets::default() }.allows(address), "{text}");
            }
        }
    }

    #[test]
    fn addresses_of_webhooks_are_read_or_refused_with_a_reason() {
        let targets = Targets::default();
        for text in ["https://example.com/a?b=c", "http://example.com", "HTTPS://EXAMPLE.com:443/", "http://8.8.8.8/x"]
        {
            assert!(targets.read(text).is_ok(), "{text}");
        }
        let long = format!("https://example.com/{}", "x".repeat(2_000));
        for (text, word) in [
            ("", "not an address"),
            ("example.com", "not an address"),
            ("https://", "not an address"),
            ("/v1/jobs", "not an address"),
            ("ftp://example.com", "neither"),
            ("file:///etc/passwd", "neither"),
            ("https://ann:secret@example.com", "a user"),
            ("https://ann@example.com", "a user"),
            ("https://example.com:8443", "Port 8443"),
            ("http://example.com:22", "80, 443"),
            ("http://127.0.0.1/", "public"),
            ("http://2130706433/", "public"),
            ("http://0x7f.1/", "public"),
            ("http://0177.0.0.1/", "public"),
            ("http://[::1]/", "public"),
            ("http://[::ffff:10.0.0.1]/", "public"),
            ("http://169.254.169.254/latest", "public"),
            (&long, "longer"),
        ] {
            let error = targets.read(text).unwrap_err();
            assert_eq!((error.code, error.errors[0].pointer.as_deref()), (Code::InvalidUrl, Some("/url")), "{text}");
            assert!(error.detail.contains(word), "{text}: {}", error.detail);
            assert!(!error.detail.contains("secret"));
        }
        let open = Targets { allow_private: true, ports: vec![9_000] };
        assert!(open.read("http://127.0.0.1:9000/").is_ok() && open.read("http://127.0.0.1/").is_err());
    }

    #[test]
    fn a_name_is_refused_whole_where_one_of_its_addresses_is() {
        let resolver = Resolver(Targets::default());
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        assert_eq!(resolver.checked(addresses(&["8.8.8.8:0", "1.1.1.1:0"])).unwrap().count(), 2);
        let mixed = resolver.checked(addresses(&["8.8.8.8:0", "[::1]:0"])).err().unwrap();
        assert!(mixed.is::<RefusedAddress>());
        assert!(!resolver.checked(Vec::new()).err().unwrap().is::<RefusedAddress>());
    }
}
