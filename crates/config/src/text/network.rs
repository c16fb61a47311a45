//! Networks of addresses: `"10.0.0.0/8"`, `"fd00::/8"`; an address alone, `"::1"`, is a network of one.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::Refusal;

const NO_NETWORK: Refusal = Refusal {
    problem: "is neither a network nor an IP address",
    help: r#"write it as "10.0.0.0/8", "fd00::/8" or "::1""#,
};
const PREFIX_TOO_LONG: Refusal = Refusal {
    problem: "has a prefix that is longer than its address",
    help: "the number after `/` is at most 32 for IPv4 and 128 for IPv6",
};
const IPV4_IN_IPV6: Refusal =
    Refusal { problem: "is an IPv4 network in the form of IPv6", help: r#"write it as "10.0.0.0/8""# };

/// Reads a network, also one whose address has bits behind the prefix.
pub(crate) fn parse(text: &str) -> Result<IpNet, Refusal> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| NO_NETWORK)?;
    if let IpAddr::V6(address) = address
        && is_ipv4_mapped(address)
    {
        return Err(IPV4_IN_IPV6);
    }
    let Some(prefix) = prefix else { return Ok(address.into()) };
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NO_NETWORK);
    }
    let prefix = prefix.parse().map_err(|_| PREFIX_TOO_LONG)?;
    IpNet::new(address, prefix).map_err(|_| PREFIX_TOO_LONG)
}

/// The gateway compares the addresses of clients in their own family, so a network of these would hold nobody.
fn is_ipv4_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_taken() {
        for (text, network) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("192.0.2.1/32", "192.0.2.1/32"),
            ("fd00::/8", "fd00::/8"),
            ("FD00::/008", "fd00::/8"),
            ("::1", "::1/128"),
            ("10.0.0.1/8", "10.0.0.1/8"),
        ] {
            assert_eq!(parse(text).map(|network| network.to_string()).as_deref(), Ok(network), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        for (text, refusal) in [
            ("", NO_NETWORK),
            ("/8", NO_NETWORK),
            ("10.0.0.0/", NO_NETWORK),
            ("10.0.0.0/+8", NO_NETWORK),
            ("10.0.0.0/8/8", NO_NETWORK),
            ("10.0.0/8", NO_NETWORK),
            ("10.0.0.256", NO_NETWORK),
            ("010.0.0.0/8", NO_NETWORK),
            ("10.0.0.0/255.0.0.0", NO_NETWORK),
            ("[::1]", NO_NETWORK),
            ("127.0.0.1:80", NO_NETWORK),
            ("localhost", NO_NETWORK),
            ("*", NO_NETWORK),
            ("10.0.0.0/33", PREFIX_TOO_LONG),
            ("10.0.0.0/999", PREFIX_TOO_LONG),
            ("::/129", PREFIX_TOO_LONG),
            ("::ffff:10.0.0.0/104", IPV4_IN_IPV6),
        ] {
            assert_eq!(parse(text), Err(refusal), "{text}");
        }
    }
}
