//! What DNS is asked for: `"api.internal:3000"`, or an SRV record, `"_http._tcp.api.internal"`.

use std::net::IpAddr;

use super::Refusal;
use crate::model::DnsName;

/// RFC 1035, section 2.3.4.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

const URL: Refusal =
    Refusal { problem: "is a URL", help: r#"write name and port alone, as "api.internal:3000""# };
const ADDRESS: Refusal = Refusal {
    problem: "is an IP address, for which nobody asks DNS",
    help: r#"write `endpoints = [{ address = "10.0.1.10:3000" }]` instead of `discover`"#,
};
const NO_PORT: Refusal = Refusal {
    problem: "has no port",
    help: r#"write both, as "api.internal:3000"; only the name of an SRV record, as "_http._tcp.api.internal", has none"#,
};
const NOT_A_PORT: Refusal =
    Refusal { problem: "does not end with a port", help: r#"a port is a number, as in "api.internal:3000""# };
const BAD_PORT: Refusal = Refusal { problem: "has an impossible port", help: "ports go from 1 to 65535" };
const NOT_A_SERVICE: Refusal = Refusal {
    problem: "is not the name of an SRV record",
    help: r#"write it as "_http._tcp.api.internal", or a port behind the name of a host"#,
};
const NOT_ASCII: Refusal = Refusal {
    problem: "is not ASCII",
    help: r#"write the name as DNS has it, as "xn--bcher-kva.example:3000""#,
};
const NOT_A_NAME: Refusal = Refusal {
    problem: "is not a DNS name",
    help: "labels of 1 to 63 letters, digits, `-` and `_` are separated by dots; all together have at most 253",
};

/// Reads a name, and its port if it is that of a host.
pub(crate) fn parse(text: &str) -> Result<DnsName, Refusal> {
    if text.contains("://") {
        return Err(URL);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if is_address(text) || is_address(host) {
        return Err(ADDRESS);
    }
    if !text.is_ascii() {
        return Err(NOT_ASCII);
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > NAME_BYTES_MAX || !name.split('.').all(is_label) {
        return Err(NOT_A_NAME);
    }
    // Names that differ in case only are the same (RFC 4343).
    let host = host.to_ascii_lowercase();
    match port {
        Some(port) => Ok(DnsName::Host { host, port: self::port(port)? }),
        None if !host.starts_with('_') => Err(NO_PORT),
        None if is_service(name) => Ok(DnsName::Service(host)),
        None => Err(NOT_A_SERVICE),
    }
}

/// No top-level domain is a number: what ends with one was meant as an address.
fn is_address(text: &str) -> bool {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let last = bare.rsplit('.').next().unwrap_or(bare);
    bare.parse::<IpAddr>().is_ok()
        || bare.contains('.') && !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// RFC 2782: `_SERVICE._PROTOCOL.NAME`.
fn is_service(name: &str) -> bool {
    let mut labels = name.split('.');
    let has_underscore = |label: Option<&str>| label.is_some_and(|label| label.starts_with('_'));
    has_underscore(labels.next()) && has_underscore(labels.next()) && labels.next().is_some()
}

fn port(text: &str) -> Result<u16, Refusal> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NOT_A_PORT);
    }
    text.parse().ok().filter(|port| *port > 0).ok_or(BAD_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_port_and_a_service_has_none() {
        for (text, expected) in [
            ("api.internal:3000", host("api.internal", 3000)),
            ("API.internal.:1", host("api.internal.", 1)),
            ("localhost:65535", host("localhost", 65535)),
            ("my_host:80", host("my_host", 80)),
            ("_odd.internal:80", host("_odd.internal", 80)),
            ("4.example:80", host("4.example", 80)),
            ("_http._tcp.api.internal", DnsName::Service("_http._tcp.api.internal".to_owned())),
            ("_Http._Tcp.api.", DnsName::Service("_http._tcp.api.".to_owned())),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    fn host(host: &str, port: u16) -> DnsName {
        DnsName::Host { host: host.to_owned(), port }
    }

    #[test]
    fn other_texts_are_refused_with_their_reason() {
        let (label_max, label_long) = ("a".repeat(63), "a".repeat(64));
        let name_max = format!("{}{}", "ab.".repeat(84), "a");
        assert_eq!(name_max.len(), NAME_BYTES_MAX);
        for (text, problem) in [
            ("http://api:80".to_owned(), Some(URL)),
            ("10.0.1.10:3000".to_owned(), Some(ADDRESS)),
            ("10.0.1.10".to_owned(), Some(ADDRESS)),
            ("10.0.1.256:80".to_owned(), Some(ADDRESS)),
            ("[::1]:3000".to_owned(), Some(ADDRESS)),
            ("::1".to_owned(), Some(ADDRESS)),
            ("fe80::1:80".to_owned(), Some(ADDRESS)),
            ("api.internal".to_owned(), Some(NO_PORT)),
            ("api.internal:".to_owned(), Some(NOT_A_PORT)),
            ("api.internal:http".to_owned(), Some(NOT_A_PORT)),
            ("api.internal:+80".to_owned(), Some(NOT_A_PORT)),
            ("api.internal:0".to_owned(), Some(BAD_PORT)),
            ("api.internal:65536".to_owned(), Some(BAD_PORT)),
            ("_http.api.internal".to_owned(), Some(NOT_A_SERVICE)),
            ("_http._tcp".to_owned(), Some(NOT_A_SERVICE)),
            ("bücher.example:80".to_owned(), Some(NOT_ASCII)),
            (String::new(), Some(NOT_A_NAME)),
            (".".to_owned(), Some(NOT_A_NAME)),
            (":80".to_owned(), Some(NOT_A_NAME)),
            ("a..b:80".to_owned(), Some(NOT_A_NAME)),
            ("a..:80".to_owned(), Some(NOT_A_NAME)),
            ("a b:80".to_owned(), Some(NOT_A_NAME)),
            ("*.example:80".to_owned(), Some(NOT_A_NAME)),
            ("a:b:80".to_owned(), Some(NOT_A_NAME)),
            (format!("{label_max}:80"), None),
            (format!("{label_long}:80"), Some(NOT_A_NAME)),
            (format!("{name_max}:80"), None),
            (format!("{name_max}.:80"), None),
            (format!("{name_max}a:80"), Some(NOT_A_NAME)),
        ] {
            assert_eq!(parse(&text).err(), problem, "{text}");
        }
    }
}
