//! Field names that mean something to a gateway, and the lists in their values.

/// What a field is to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FieldKind {
    /// Nothing in particular: it is copied, unless `Connection` names it.
    Plain,
    /// Copied even when `Connection` names it: to let a client strip these would turn an upstream's checks off.
    Protected,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Expect,
    /// For one connection only (RFC 9110, section 7.6.1): never copied.
    HopByHop,
    /// Likewise; where the switch may be made, the gateway asks for it in its own words.
    Upgrade,
    RequestId,
    TraceParent,
    TraceState,
    /// Said by the gateway itself: what a client says of it is never copied.
    Forwarding,
}

/// The kind of a field, by its name.
///
/// By length first: most fields of most requests are told apart by that alone, and what is left to compare has a length that
/// the compiler knows, so that a name is three words and not a loop.
pub(crate) fn kind_of(name: &[u8]) -> FieldKind {
    match name.len() {
        2 => among(name, &[(b"te", FieldKind::HopByHop)]),
        4 => among(name, &[(b"host", FieldKind::Host)]),
        6 => among(name, &[(b"cookie", FieldKind::Protected), (b"expect", FieldKind::Expect)]),
        7 => among(name, &[(b"upgrade", FieldKind::Upgrade)]),
        9 => among(name, &[(b"x-real-ip", FieldKind::Forwarding), (b"forwarded", FieldKind::Forwarding)]),
        10 => among(
            name,
            &[
                (b"connection", FieldKind::Connection),
                (b"keep-alive", FieldKind::HopByHop),
                (b"tracestate", FieldKind::TraceState),
                (b"set-cookie", FieldKind::Protected),
            ],
        ),
        11 => among(name, &[(b"traceparent", FieldKind::TraceParent)]),
        12 => among(
            name,
            &[
                (b"content-type", FieldKind::Protected),
                (b"x-request-id", FieldKind::RequestId),
                (b"x-auth-roles", FieldKind::Forwarding),
            ],
        ),
        13 => {
            among(name, &[(b"authorization", FieldKind::Protected), (b"cache-control", FieldKind::Protected)])
        }
        14 => among(
            name,
            &[
                (b"content-length", FieldKind::ContentLength),
                (b"x-auth-subject", FieldKind::Forwarding),
                (b"x-auth-session", FieldKind::Forwarding),
                (b"http2-settings", FieldKind::HopByHop),
            ],
        ),
        15 => among(
            name,
            &[(b"x-forwarded-for", FieldKind::Forwarding), (b"x-forwarded-ssl", FieldKind::Forwarding)],
        ),
        16 => among(
            name,
            &[
                (b"x-forwarded-host", FieldKind::Forwarding),
                (b"x-forwarded-port", FieldKind::Forwarding),
                (b"proxy-connection", FieldKind::HopByHop),
                (b"content-encoding", FieldKind::Protected),
            ],
        ),
        17 => among(
            name,
            &[
                (b"transfer-encoding", FieldKind::TransferEncoding),
                (b"x-forwarded-proto", FieldKind::Forwarding),
            ],
        ),
        18 => among(
            name,
            &[
                (b"x-forwarded-prefix", FieldKind::Forwarding),
                (b"x-forwarded-server", FieldKind::Forwarding),
                (b"proxy-authenticate", FieldKind::HopByHop),
            ],
        ),
        19 => among(name, &[(b"proxy-authorization", FieldKind::HopByHop)]),
        _ => FieldKind::Plain,
    }
}

/// The kind of a name of `N` bytes, by those known of that length, which are in lower case.
fn among<const N: usize>(name: &[u8], known: &[(&[u8; N], FieldKind)]) -> FieldKind {
    let Ok(name) = <&[u8; N]>::try_from(name) else { return FieldKind::Plain };
    // Of the characters of a token only letters become one of a known name by this bit, each that of its own lower case.
    let name = words(name).map(|word| word | BLANK);
    known.iter().find(|(known, _)| name == words(known)).map_or(FieldKind::Plain, |(_, kind)| *kind)
}

/// The bytes of a name in three words that may overlap.
const fn words<const N: usize>(name: &[u8; N]) -> [u64; 3] {
    match N {
        16.. => [word(name, 0, 8), word(name, 8, 8), word(name, N - 8, 8)],
        8.. => [word(name, 0, 8), word(name, N - 8, 8), BLANK],
        4.. => [word(name, 0, 4), word(name, N - 4, 4), BLANK],
        _ => [word(name, 0, N), BLANK, BLANK],
    }
}

/// What takes the place of bytes that a name does not have: the bit that tells the cases of a letter apart, in each.
const BLANK: u64 = 0x2020_2020_2020_2020;

const fn word(name: &[u8], start: usize, length: usize) -> u64 {
    let mut bytes = BLANK.to_le_bytes();
    let mut index = 0;
    while index < length {
        bytes[index] = name[start + index];
        index += 1;
    }
    u64::from_le_bytes(bytes)
}

/// Whether a name is written with an underscore. A request loses such a field, whatever it is: many servers read an underscore
/// as a hyphen, so `X_Auth_User` would reach an application under a name that the gateway, or a route, vouches for.
pub(crate) fn has_underscore(name: &[u8]) -> bool {
    memchr::memchr(b'_', name).is_some()
}

/// The elements of a comma-separated list (RFC 9110, section 5.6.1), trimmed, without the empty ones.
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Whether this is a token (RFC 9110, section 5.6.2).
pub(crate) fn is_token(word: &[u8]) -> bool {
    !word.is_empty()
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// A `Content-Length` value: decimal digits alone (RFC 9110, section 8.6), within 64 bits.
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

/// The values of all `Connection` lines together. Each line of a head is compared with each option, and a head full of both
/// would take a thousand times as long as any other of its size.
pub(crate) const CONNECTION_BYTES_MAX: usize = 256;

/// `Connection` is longer than [`CONNECTION_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionTooLong;

/// What `Connection` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionOptions {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    /// Names other fields, which are for this connection only.
    pub(crate) names_fields: bool,
    value_bytes: usize,
}

impl ConnectionOptions {
    /// Adds the options of one `Connection` line.
    pub(crate) fn read(&mut self, value: &[u8]) -> Result<(), ConnectionTooLong> {
        self.value_bytes += value.len();
        if self.value_bytes > CONNECTION_BYTES_MAX {
            return Err(ConnectionTooLong);
        }
        // Mostly this is all it says, and no list to be taken apart.
        if value.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
            return Ok(());
        }
        for option in elements(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.names_fields = true;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_length_is_decimal_digits_within_64_bits() {
        for (value, expected) in [
            ("0", Some(0)),
            ("010", Some(10)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+5", None),
            ("-48", None),
            ("0x10", None),
            ("1_0", None),
            ("1Z", None),
            ("5, 5", None),
            ("1 0", None),
        ] {
            assert_eq!(content_length(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[test]
    fn a_kind_is_found_whatever_the_case() {
        for (name, expected) in [
            ("Host", FieldKind::Host),
            ("hOST", FieldKind::Host),
            ("Post", FieldKind::Plain),
            ("Content-Length", FieldKind::ContentLength),
            ("Content_Length", FieldKind::Plain),
            ("X-Forwarded-Fox", FieldKind::Plain),
            ("Accept", FieldKind::Plain),
            ("", FieldKind::Plain),
        ] {
            assert_eq!(kind_of(name.as_bytes()), expected, "{name}");
        }
    }
}
