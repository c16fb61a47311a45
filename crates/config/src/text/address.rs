//! Addresses with a port: `"10.0.1.10:3000"`, `"[::1]:3000"`, `"localhost:3000"`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Refusal;

const NO_PORT: Refusal = Refusal { problem: "has no port", help: r#"write both, as "127.0.0.1:3000""# };
const NO_ADDRESS: Refusal = Refusal {
    problem: "has no address before the port",
    help: r#"write both, as "127.0.0.1:3000"; to listen everywhere, "0.0.0.0:8080""#,
};
const URL: Refusal =
    Refusal { problem: "is a URL", help: r#"write address and port alone, as "127.0.0.1:3000""# };
const NOT_A_PORT: Refusal =
    Refusal { problem: "does not end with a port", help: r#"a port is a number, as in "127.0.0.1:3000""# };
const PORT_TOO_HIGH: Refusal =
    Refusal { problem: "has a port above 65535", help: "ports go from 1 to 65535" };
const PORT_ZERO: Refusal =
    Refusal { problem: "has port 0", help: "nothing can be reached there; ports go from 1 to 65535" };
const NO_BRACKETS: Refusal =
    Refusal { problem: "is an IPv6 address without brackets", help: r#"write it as "[::1]:3000""# };
const NOT_AN_IP: Refusal = Refusal {
    problem: "is not an IP address",
    help: r#"write four numbers from 0 to 255, as "10.0.1.10:3000""#,
};
const NAME: Refusal = Refusal {
    problem: "names a host",
    help: r#"only IP addresses, and "localhost", are known in this version: write the address itself, as "10.0.1.10:3000""#,
};
const ENDPOINT_NAME: Refusal = Refusal {
    problem: "names a host",
    help: r#"endpoints are IP addresses, or "localhost"; to ask DNS for them write `discover = { dns = "api.internal:3000" }` instead"#,
};

/// Reads an address to listen on; port 0 is one that the system chooses.
pub(crate) fn listener(text: &str) -> Result<SocketAddr, Refusal> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.contains("://") {
        return Err(URL);
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(NO_BRACKETS);
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((host, port)) = text.rsplit_once(':').filter(|_| !text.ends_with(']')) else {
        return Err(if is_number(text) { NO_ADDRESS } else { NO_PORT });
    };
    if !is_number(port) {
        return Err(NOT_A_PORT);
    }
    let port: u16 = port.parse().map_err(|_| PORT_TOO_HIGH)?;
    match host {
        "" => Err(NO_ADDRESS),
        host if host.eq_ignore_ascii_case("localhost") => Ok((Ipv4Addr::LOCALHOST, port).into()),
        host if host.contains(':') => Err(NO_BRACKETS),
        host if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => Err(NOT_AN_IP),
        _ => Err(NAME),
    }
}

/// Reads the address of an endpoint.
pub(crate) fn endpoint(text: &str) -> Result<SocketAddr, Refusal> {
    peer(text).map_err(|refusal| if refusal == NAME { ENDPOINT_NAME } else { refusal })
}

/// Reads an address to connect to.
pub(crate) fn peer(text: &str) -> Result<SocketAddr, Refusal> {
    match listener(text)? {
        address if address.port() == 0 => Err(PORT_ZERO),
        address => Ok(address),
    }
}

/// Whether two listeners would fight for the same connections.
pub(crate) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere_for = |everywhere: IpAddr, other: IpAddr| {
        everywhere.is_unspecified() && everywhere.is_ipv4() == other.is_ipv4()
    };
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip()
            || everywhere_for(one.ip(), other.ip())
            || everywhere_for(other.ip(), one.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_an_ip_and_a_port() {
        for (text, address) in [
            ("10.0.1.10:3000", "10.0.1.10:3000"),
            ("[::1]:3000", "[::1]:3000"),
            ("localhost:3000", "127.0.0.1:3000"),
            ("LocalHost:65535", "127.0.0.1:65535"),
        ] {
            assert_eq!(endpoint(text), Ok(address.parse().unwrap()), "{text}");
        }
        assert_eq!(listener("127.0.0.1:0"), Ok("127.0.0.1:0".parse().unwrap()));
    }

    #[test]
    fn each_wrong_address_has_its_reason() {
        for (text, refusal) in [
            ("", NO_PORT),
            ("10.0.1.10", NO_PORT),
            ("localhost", NO_PORT),
            ("[::1]", NO_PORT),
            ("3000", NO_ADDRESS),
            (":3000", NO_ADDRESS),
            ("http://10.0.1.10:3000", URL),
            ("10.0.1.10:", NOT_A_PORT),
            ("10.0.1.10:http", NOT_A_PORT),
            ("10.0.1.10:+80", NOT_A_PORT),
            ("10.0.1.10:65536", PORT_TOO_HIGH),
            ("10.0.1.10:99999999999999999999", PORT_TOO_HIGH),
            ("10.0.1.10:0", PORT_ZERO),
            ("::1", NO_BRACKETS),
            ("fe80::1:3000", NO_BRACKETS),
            ("10.0.1.256:3000", NOT_AN_IP),
            ("10.0.1:3000", NOT_AN_IP),
            ("api.internal:3000", ENDPOINT_NAME),
        ] {
            assert_eq!(endpoint(text), Err(refusal), "{text}");
        }
    }

    #[test]
    fn listeners_overlap_on_the_same_port_of_the_same_family() {
        for (one, other, overlaps) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            assert_eq!(overlap(one.parse().unwrap(), other.parse().unwrap()), overlaps, "{one} {other}");
        }
    }
}
