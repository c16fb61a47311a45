//! Whose address a request comes from: the other end of the connection, or whom a trusted proxy there names.
//!
//! Invariant: what a client writes into a header is believed no further than the proxies that are trusted to have checked it;
//! a list is read from its right end, where they append, and never past the first that is not one of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// Longer chains of proxies are nobody's; what stands further left is not read.
const HOPS_MAX: usize = 32;

/// The networks whose word about a client is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Those of this machine: a gateway beside its replicas.
    #[must_use]
    pub fn loopback() -> Self {
        let ipv4 = Ipv4Net::new(Ipv4Addr::new(127, 0, 0, 0), 8).expect("8 is at most 32");
        Self(vec![ipv4.into(), Ipv6Net::from(Ipv6Addr::LOCALHOST).into()])
    }

    /// Reads networks and addresses that are separated by commas, or `none`; `None` if one of them is neither.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        if text == "none" {
            return Some(Self(Vec::new()));
        }
        let network = |text: &str| {
            let text = text.trim();
            text.parse().ok().or_else(|| text.parse().ok().map(|address: IpAddr| address.into()))
        };
        text.split(',').map(network).collect::<Option<_>>().map(Self)
    }

    fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client of a request that came from `peer`.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.contain(peer) {
            return peer;
        }
        let mut nearest = peer;
        let mut hops = hops(headers).peekable();
        if hops.peek().is_none() {
            let named = headers.get(REAL_IP).and_then(|value| address(value.to_str().ok()?));
            return named.unwrap_or(peer);
        }
        for hop in hops {
            // Whoever wrote what is no address cannot be asked further.
            let Some(hop) = hop else { break };
            nearest = hop;
            if !self.contain(hop) {
                break;
            }
        }
        nearest
    }
}

/// The other end of a request's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The list as one, from the right; what is no address is `None`.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let fields = headers.get_all(FORWARDED_FOR).iter().rev();
    let hops = fields.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    hops.take(HOPS_MAX).map(|hop| address(std::str::from_utf8(hop).ok()?))
}

/// An address as proxies write it: alone, with a port, IPv6 in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let alone = bracketed.unwrap_or(text).parse().ok();
    alone
        .or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
        .map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, fields: &[(HeaderName, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value.parse().unwrap());
        }
        TrustedProxies::of(trusted).unwrap().client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_client_is_the_rightmost_who_is_no_trusted_proxy() {
        let long = vec!["10.0.0.1"; 500].join(", ");
        let cases: &[(&str, &[&str], &str)] = &[
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.7", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9:4711,10.0.0.2:80"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, "], "10.0.0.1"),
            ("10.0.0.1", &[&format!("203.0.113.9, {long}")], "10.0.0.1"),
        ];
        for (peer, lists, expected) in cases {
            let fields: Vec<_> = lists.iter().map(|list| (FORWARDED_FOR, *list)).collect();
            assert_eq!(client("10.0.0.0/8", peer, &fields), *expected, "{peer} {lists:?}");
        }
    }

    #[test]
    fn a_trusted_proxy_may_name_the_client_alone() {
        for (value, expected) in [("203.0.113.9", "203.0.113.9"), ("garbage", "10.0.0.1")] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[(REAL_IP, value)]), expected, "{value}");
            assert_eq!(client("none", "10.0.0.1", &[(REAL_IP, value)]), "10.0.0.1", "{value}");
        }
        let both = [(REAL_IP, "203.0.113.9"), (FORWARDED_FOR, "198.51.100.7")];
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &both), "198.51.100.7");
    }

    #[test]
    fn networks_are_read_from_a_list() {
        for (text, expected) in [
            ("none", Some(0)),
            ("10.0.0.0/8", Some(1)),
            ("10.0.0.0/8, ::1", Some(2)),
            ("", None),
            ("10.0.0.0/8,", None),
            ("10.0.0.0/33", None),
            ("localhost", None),
        ] {
            assert_eq!(TrustedProxies::of(text).map(|proxies| proxies.0.len()), expected, "{text}");
        }
        assert!(TrustedProxies::loopback().contain("127.9.9.9".parse().unwrap()));
        assert!(TrustedProxies::loopback().contain("::1".parse().unwrap()));
    }
}
