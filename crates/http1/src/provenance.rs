//! Where a request came from before it reached a proxy that is believed: what `X-Forwarded-*` say, read from the right.
//!
//! Invariant: nothing that stands left of the first address nobody vouches for is taken in. A client writes that part, and
//! can write anything.
//! Elsewhere: who is believed (`phalanx-gateway`), what an upstream is told ([`crate::rewrite`]).
//! Cannot fail: what cannot be read is not believed.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use crate::{request::RequestHead, target};

/// Entries of `X-Forwarded-For` that are looked at.
pub const HOPS_MAX: usize = 50;

/// What a trusted peer says of where a request came from.
#[derive(Clone, Debug)]
pub struct Provenance<'b> {
    /// Whom it came through.
    pub hops: Hops,
    /// `X-Forwarded-Proto`: how the client came.
    pub scheme: Option<&'static str>,
    /// `X-Forwarded-Host`: which host the client asked for.
    pub host: Option<&'b [u8]>,
}

impl<'b> Provenance<'b> {
    /// Reads what the peer that sent `head` says, when it is trusted itself.
    ///
    /// Of a field that stands more than once the last is taken: who adds a line does so behind those it was sent.
    #[must_use]
    pub fn of(head: &RequestHead<'_, 'b>, is_trusted: impl Fn(IpAddr) -> bool) -> Self {
        let scheme = head.last_field("x-forwarded-proto").and_then(|scheme| {
            ["http", "https"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known.as_bytes()))
        });
        let host = head.last_field("x-forwarded-host").filter(|host| target::host_of(host).is_some());
        Self { hops: Hops::of(head, is_trusted), scheme, host }
    }
}

/// The addresses that a request came through, as far as they are believed.
#[derive(Clone, Debug)]
pub struct Hops {
    /// The nearest first.
    addresses: [IpAddr; HOPS_MAX],
    count: usize,
}

impl Hops {
    fn of(head: &RequestHead<'_, '_>, is_trusted: impl Fn(IpAddr) -> bool) -> Self {
        let mut hops = Self { addresses: [IpAddr::V4(Ipv4Addr::UNSPECIFIED); HOPS_MAX], count: 0 };
        let lines = head.fields_reversed("x-forwarded-for");
        let entries = lines.flat_map(|line| line.rsplit(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        // An element may be empty (RFC 9110, section 5.6.1).
        for entry in entries.take(HOPS_MAX).filter(|entry| !entry.is_empty()) {
            let Some(address) = address(entry) else { break };
            hops.addresses[hops.count] = address;
            hops.count += 1;
            if !is_trusted(address) {
                break;
            }
        }
        hops
    }

    /// The farthest: the client, as far as anybody knows. `None` where nobody is named.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        self.addresses[..self.count].last().copied()
    }

    /// Appends the addresses as text, the client first, each with `, ` behind it.
    pub fn write(&self, out: &mut Vec<u8>) {
        for address in self.addresses[..self.count].iter().rev() {
            write!(out, "{address}, ").expect("a Vec takes every write");
        }
    }
}

/// The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(entry: &[u8]) -> Option<IpAddr> {
    // A zone means something on one host alone.
    let text = std::str::from_utf8(entry).ok().filter(|text| !text.contains('%'))?;
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']');
    let address = IpAddr::from_str(text)
        .or_else(|_| SocketAddr::from_str(text).map(|address| address.ip()))
        .ok()
        .or_else(|| Some(IpAddr::V6(in_brackets()?.parse().ok()?)))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_an_address_with_or_without_a_port() {
        for (entry, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:65535", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("2001:DB8:0::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("[::ffff:192.0.2.1]:80", Some("192.0.2.1")),
            ("unknown", None),
            ("_hidden", None),
            ("proxy.example", None),
            ("", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:65536", None),
            ("192.0.2", None),
            ("192.0.2.256", None),
            ("192.0.2.01", None),
            ("[192.0.2.1]", None),
            ("[2001:db8::1", None),
            ("2001:db8::1]:80", None),
            ("\"192.0.2.1\"", None),
            ("192.0.2.1 192.0.2.2", None),
            ("fe80::1%eth0", None),
            ("[fe80::1%1]:80", None),
            ("192.0.2.1\u{0}", None),
        ] {
            let expected = expected.map(|text| text.parse::<IpAddr>().unwrap());
            assert_eq!(address(entry.as_bytes()), expected, "{entry:?}");
        }
    }
}
