//! URLs: of key sets, `"https://id.example.com/jwks.json"`, and of stores, `"redis://127.0.0.1:6379"`, `"sqlite:.phalanx/state"`.

use super::Refusal;

const NO_WEB_URL: Refusal = Refusal {
    problem: "is no URL of a key set",
    help: r#"write it whole, as "https://id.example.com/.well-known/jwks.json""#,
};
const WITH_USER: Refusal = Refusal {
    problem: "holds a user or a password",
    help: "key sets are public: write the URL without them",
};
const WITH_FRAGMENT: Refusal =
    Refusal { problem: "has a fragment", help: "what follows `#` is never sent: write the URL without it" };
const NO_STORE: Refusal = Refusal {
    problem: "names no store",
    help: r#"write "redis://127.0.0.1:6379", "rediss://…" for Redis over TLS, or "sqlite:DIRECTORY""#,
};
const NO_HOST: Refusal =
    Refusal { problem: "names no host", help: r#"write it as "redis://127.0.0.1:6379""# };
const NO_PATH: Refusal =
    Refusal { problem: "names no directory", help: r#"write it as "sqlite:.phalanx/state""# };

/// Checks that a text is an `http` or `https` URL with a host.
pub(crate) fn web(text: &str) -> Result<(), Refusal> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(NO_WEB_URL)?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
        return Err(NO_WEB_URL);
    }
    if text.contains('#') {
        return Err(WITH_FRAGMENT);
    }
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    match authority.contains('@') {
        true => Err(WITH_USER),
        false if is_host_and_port(authority) => Ok(()),
        false => Err(NO_WEB_URL),
    }
}

fn is_host_and_port(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (address, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    !host.is_empty() && is_port
}

/// What a store is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Store<'a> {
    Redis,
    Sqlite { path: &'a str },
}

/// Reads the URL of a store.
pub(crate) fn store(text: &str) -> Result<Store<'_>, Refusal> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        let is_path = !path.is_empty() && !path.contains('\0');
        return if is_path { Ok(Store::Sqlite { path }) } else { Err(NO_PATH) };
    }
    let rest = text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://")).ok_or(NO_STORE)?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let host = authority.rsplit('@').next().unwrap_or_default();
    if is_host_and_port(host) { Ok(Store::Redis) } else { Err(NO_HOST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_has_a_web_address() {
        for (text, expected) in [
            ("https://id.example.com/.well-known/jwks.json", Ok(())),
            ("http://127.0.0.1:3000/jwks?v=1", Ok(())),
            ("http://[::1]:3000/jwks", Ok(())),
            ("http://id", Ok(())),
            ("", Err(NO_WEB_URL)),
            ("id.example.com/jwks", Err(NO_WEB_URL)),
            ("file:///etc/jwks.json", Err(NO_WEB_URL)),
            ("HTTPS://id/jwks", Err(NO_WEB_URL)),
            ("https:///jwks", Err(NO_WEB_URL)),
            ("https://:80/jwks", Err(NO_WEB_URL)),
            ("https://id:99999/jwks", Err(NO_WEB_URL)),
            ("https://id:+80/jwks", Err(NO_WEB_URL)),
            ("https://[::1/jwks", Err(NO_WEB_URL)),
            ("https://[id]/jwks", Err(NO_WEB_URL)),
            ("https://id/a b", Err(NO_WEB_URL)),
            ("https://id/\r\nX: y", Err(NO_WEB_URL)),
            ("https://ada:secret@id/jwks", Err(WITH_USER)),
            ("https://id/jwks#a", Err(WITH_FRAGMENT)),
        ] {
            assert_eq!(web(text), expected, "{text}");
        }
    }

    #[test]
    fn a_store_is_redis_or_a_file() {
        for (text, expected) in [
            ("redis://127.0.0.1:6379", Ok(Store::Redis)),
            ("redis://127.0.0.1:6379/2", Ok(Store::Redis)),
            ("rediss://ada:se/cret@redis.internal", Err(NO_HOST)),
            ("rediss://ada:secret@redis.internal", Ok(Store::Redis)),
            ("redis://[::1]", Ok(Store::Redis)),
            ("sqlite:.phalanx/state", Ok(Store::Sqlite { path: ".phalanx/state" })),
            ("sqlite:/var/lib/a b", Ok(Store::Sqlite { path: "/var/lib/a b" })),
            ("sqlite:", Err(NO_PATH)),
            ("redis://", Err(NO_HOST)),
            ("redis:///2", Err(NO_HOST)),
            ("redis://ada@", Err(NO_HOST)),
            ("127.0.0.1:6379", Err(NO_STORE)),
            ("memcached://a", Err(NO_STORE)),
            ("", Err(NO_STORE)),
        ] {
            assert_eq!(store(text), expected, "{text}");
        }
    }
}
