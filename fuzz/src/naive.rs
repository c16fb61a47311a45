//! Readers without any cleverness, to compare with.

use std::net::{IpAddr, SocketAddr};

use phalanx_http1::HOPS_MAX;

/// A head taken apart. Bytes are characters here, so that nothing needs decoding.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) first_line: String,
    /// Names in lower case, values trimmed.
    pub(crate) fields: Vec<(String, String)>,
}

/// What the framing fields of a head say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Absent,
    Length(u64),
    Chunked,
}

impl Head {
    /// Reads a head that was accepted, or is about to leave: whatever two readers could take differently is a panic.
    pub(crate) fn read(head: &[u8]) -> Self {
        let text: String = head.iter().copied().map(char::from).collect();
        let text = text.strip_suffix("\r\n\r\n").expect("a head ends in an empty line");
        let mut lines = text.split("\r\n");
        let first_line = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(field).collect();
        let is_printable = |character: char| character == '\t' || !character.is_ascii_control();
        assert!(text.replace("\r\n", "").chars().all(is_printable), "a control character in {text:?}");
        Self { first_line, fields }
    }

    /// The values of all fields of a name.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// What `Connection` names.
    pub(crate) fn connection_options(&self) -> Vec<String> {
        let values = self.values("connection").join(",");
        values.split(',').map(|option| option.trim_matches([' ', '\t']).to_ascii_lowercase()).collect()
    }

    /// What frames the body; a panic where that is not plain.
    pub(crate) fn framing(&self) -> Framing {
        match (&*self.values("content-length"), &*self.values("transfer-encoding")) {
            ([], []) => Framing::Absent,
            ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                Framing::Length(length.parse().expect("a length of 64 bits"))
            }
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
            ambiguous => panic!("two readings of {ambiguous:?}"),
        }
    }
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').expect("a field has a colon");
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    assert!(!name.is_empty() && name.bytes().all(is_token), "{name:?} is no token");
    (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
}

/// Whom a fuzz target trusts.
pub(crate) fn is_trusted(address: IpAddr) -> bool {
    address.to_string().starts_with("10.") || address.to_string().starts_with("fd")
}

/// Whom a request came through when its peer is trusted, the client first.
pub(crate) fn hops(head: &Head) -> Vec<IpAddr> {
    let list = head.values("x-forwarded-for").join(",");
    let mut hops = Vec::new();
    for entry in list.split(',').rev().take(HOPS_MAX).map(str::trim_ascii).filter(|entry| !entry.is_empty()) {
        // With and without a port, for IPv6 with and without brackets.
        let forms = [entry.to_owned(), format!("{entry}:1"), format!("[{entry}]:1")];
        let parsed = forms.iter().find_map(|form| form.parse::<SocketAddr>().ok());
        let Some(address) = parsed.filter(|_| !entry.contains('%')) else { break };
        hops.insert(0, address.ip().to_canonical());
        if !is_trusted(hops[0]) {
            break;
        }
    }
    hops
}

/// The protocols that a request may switch to.
pub(crate) fn protocols(head: &Head) -> Vec<String> {
    let list = head.values("upgrade").join(",");
    let is_token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let may_pass = |protocol: &&str| {
        let words: Vec<&str> = protocol.split('/').collect();
        words.len() <= 2
            && words.iter().all(|word| is_token(word))
            && !["h2c", "h2", "http", "tls"].contains(&words[0].to_ascii_lowercase().as_str())
    };
    list.split(',').map(str::trim_ascii).filter(may_pass).map(str::to_owned).collect()
}

/// Whether an `Upgrade` names a protocol that carries HTTP past the routes.
pub(crate) fn offers_http(head: &Head) -> bool {
    let list = head.values("upgrade").join(",").to_ascii_lowercase();
    let mut names =
        list.split(',').map(|protocol| protocol.trim_ascii().split('/').next().unwrap_or_default());
    names.any(|name| ["h2c", "h2", "http", "tls"].contains(&name))
}

/// How a chunked body goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Incomplete,
    Fault,
    /// After this many bytes.
    End(usize),
}

/// The data of a chunked body of which all that will come is here.
pub(crate) fn chunked(body: &[u8]) -> (Vec<u8>, Outcome) {
    let mut data = Vec::new();
    let outcome = chunks(body, &mut data).map_or_else(|outcome| outcome, Outcome::End);
    (data, outcome)
}

fn chunks(body: &[u8], data: &mut Vec<u8>) -> Result<usize, Outcome> {
    let mut rest = body;
    let mut extension_bytes = 0;
    loop {
        let size = take_while(&mut rest, |byte| byte.is_ascii_hexdigit());
        if size.len() > 16 || (size.is_empty() && !rest.is_empty()) {
            return Err(Outcome::Fault);
        }
        let spaces = take_while(&mut rest, |byte| matches!(byte, b' ' | b'\t'));
        let extension = match rest {
            [b';', tail @ ..] => {
                rest = tail;
                take_while(&mut rest, |byte| byte == b'\t' || byte >= b' ' && byte != 0x7F)
            }
            [_, ..] if !spaces.is_empty() => return Err(Outcome::Fault),
            _ => b"",
        };
        // A `;` that begins an extension is free; one within it is not.
        extension_bytes += spaces.len() + extension.len();
        if extension_bytes > 4 * 1024 {
            return Err(Outcome::Fault);
        }
        take_line_end(&mut rest)?;
        let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
        let Some(size) = size else { return Err(Outcome::Incomplete) };
        if size == 0 {
            return trailers(rest).map(|length| body.len() - rest.len() + length);
        }
        let here = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        data.extend_from_slice(&rest[..here]);
        rest = &rest[here..];
        take_line_end(&mut rest)?;
    }
}

/// The length of a trailer section with its empty line.
fn trailers(section: &[u8]) -> Result<usize, Outcome> {
    for length in 1..=section.len() {
        let seen = &section[..length];
        let after_carriage_return = seen.len() > 1 && seen[length - 2] == b'\r';
        if length > 8 * 1024 || after_carriage_return != seen.ends_with(b"\n") {
            return Err(Outcome::Fault);
        }
        if seen == b"\r\n" || seen.ends_with(b"\r\n\r\n") {
            return Ok(length);
        }
    }
    Err(Outcome::Incomplete)
}

fn take_line_end(rest: &mut &[u8]) -> Result<(), Outcome> {
    match rest {
        [b'\r', b'\n', tail @ ..] => {
            *rest = tail;
            Ok(())
        }
        [] | [b'\r'] => Err(Outcome::Incomplete),
        _ => Err(Outcome::Fault),
    }
}

fn take_while<'b>(rest: &mut &'b [u8], belongs: impl Fn(u8) -> bool) -> &'b [u8] {
    let length = rest.iter().take_while(|byte| belongs(**byte)).count();
    let (taken, tail) = rest.split_at(length);
    *rest = tail;
    taken
}
