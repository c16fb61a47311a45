use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, RequestFault, Target, Version,
    request::{self, RequestBody, RequestHead},
    rewrite::{self, Forwarded},
};

use super::naive::{Framing, Head};

/// Few enough fields that those of the gateway still have room.
const RECEIVED: HeadLimits = HeadLimits { fields_max: 90, ..HeadLimits::REQUEST };
/// Room for a head that was as large as it may be before it was rewritten.
const REWRITTEN: HeadLimits =
    HeadLimits { head_bytes_max: 64 * 1024, target_bytes_max: 64 * 1024, fields_max: 100 };

const FORWARDED: Forwarded<'static> = Forwarded {
    client_ip: "192.0.2.1",
    scheme: "http",
    request_id: b"fresh",
    default_host: "default.example",
};

/// What never reaches an upstream from a client.
const DROPPED: [&str; 11] = [
    "connection",
    "forwarded",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "upgrade",
    "x-auth-roles",
    "x-auth-session",
    "x-auth-subject",
];

/// What `Connection` cannot take away.
const PROTECTED: [&str; 6] =
    ["authorization", "cache-control", "content-encoding", "content-type", "cookie", "set-cookie"];

/// A request is refused, or read as one message, however its bytes arrive.
pub fn request_head(bytes: &[u8]) {
    let Ok(skipped) = request::leading_empty_lines(bytes) else { return };
    let bytes = &bytes[skipped..];
    let whole = length_of(bytes, &mut HeadScan::new());
    let mut scan = HeadScan::new();
    let trickled = (0..=bytes.len()).find_map(|arrived| length_of(&bytes[..arrived], &mut scan).transpose());
    // A part may be refused for another reason than the whole.
    let verdict = |read: Option<Result<usize, RequestFault>>| read.map(Result::ok);
    assert_eq!(verdict(whole.transpose()), verdict(trickled), "{}", bytes.escape_ascii());

    let mut slots = FieldSlots::new();
    let parsed = request::parse(bytes, &mut HeadScan::new(), &mut slots, &HeadLimits::REQUEST);
    if let Ok(Some((head, length))) = parsed {
        is_read_as_it_stands(&head, &Head::read(&bytes[..length]));
    }
}

fn length_of(bytes: &[u8], scan: &mut HeadScan) -> Result<Option<usize>, RequestFault> {
    let mut slots = FieldSlots::new();
    let parsed = request::parse(bytes, scan, &mut slots, &HeadLimits::REQUEST)?;
    Ok(parsed.map(|(_, length)| length))
}

fn is_read_as_it_stands(head: &RequestHead<'_, '_>, text: &Head) {
    let version = if head.version == Version::Http11 { "HTTP/1.1" } else { "HTTP/1.0" };
    let words: Vec<&str> = text.first_line.split(' ').collect();
    assert_eq!((words.len(), words[0].as_bytes(), words[2]), (3, head.method, version));
    assert!(!matches!(head.method, b"CONNECT" | b"TRACE"), "a tunnel or an echo");
    is_framed(head, text);
    let hosts = text.values("host");
    assert!(hosts.len() == 1 || (hosts.is_empty() && head.version == Version::Http10), "{hosts:?}");
    match &head.target {
        Target::Resource { authority: Some(authority), .. } => assert_eq!(head.authority, Some(*authority)),
        Target::Resource { authority: None, .. } | Target::Server => {
            assert_eq!(head.authority, hosts.first().map(|host| host.as_bytes()));
        }
    }
    if let Target::Resource { path, .. } = &head.target {
        is_normalised(path.as_bytes());
    }
}

fn is_framed(head: &RequestHead<'_, '_>, text: &Head) {
    let framing = match head.body {
        RequestBody::Length(0) if text.values("content-length").is_empty() => Framing::Absent,
        RequestBody::Length(length) => Framing::Length(length),
        RequestBody::Chunked => Framing::Chunked,
    };
    assert_eq!(framing, text.framing(), "{text:?}");
}

fn is_normalised(path: &[u8]) {
    let text = std::str::from_utf8(path).expect("a path is ASCII");
    let segments: Vec<&str> = text.strip_prefix('/').expect("a path begins with /").split('/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let name = segment.split(';').next().unwrap_or_default();
        let is_last_and_empty = segment.is_empty() && index + 1 == segments.len();
        assert!(is_last_and_empty || !["", ".", ".."].contains(&name), "segment {segment:?} in {text}");
    }
    for encoded in text.split('%').skip(1) {
        let pair = encoded.get(..2).expect("a percent sign begins an encoding");
        let byte = u8::from_str_radix(pair, 16).expect("an encoding is hexadecimal");
        assert!(
            !byte.is_ascii_control() && !byte.is_ascii_alphanumeric() && pair == pair.to_uppercase(),
            "{text}"
        );
    }
}

/// A rewritten request is the same message, says of the client what the gateway knows, and stays as it is when rewritten.
pub fn rewrite(bytes: &[u8]) {
    let Ok(skipped) = request::leading_empty_lines(bytes) else { return };
    let bytes = &bytes[skipped..];
    let mut slots = FieldSlots::new();
    let parsed = request::parse(bytes, &mut HeadScan::new(), &mut slots, &RECEIVED);
    let Ok(Some((head, length))) = parsed else { return };
    let mut out = Vec::new();
    rewrite::request(&head, &FORWARDED, &mut out);
    is_the_same_message(&head, &out);
    is_vouched_for(&head, &Head::read(&bytes[..length]), &Head::read(&out));
}

fn is_the_same_message(head: &RequestHead<'_, '_>, out: &[u8]) {
    let mut slots = FieldSlots::new();
    let parsed = request::parse(out, &mut HeadScan::new(), &mut slots, &REWRITTEN);
    let shown = out.escape_ascii();
    let (read, length) = parsed.expect("a rewritten head is accepted").expect("a rewritten head is whole");
    assert_eq!((length, read.method, read.body), (out.len(), head.method, head.body), "{shown}");
    assert_eq!((read.version, read.keep_alive), (Version::Http11, true), "{shown}");
    assert_eq!(read.expects_continue, head.expects_continue, "{shown}");
    assert_eq!(read.authority, head.authority.or(Some(FORWARDED.default_host.as_bytes())), "{shown}");
    match (&read.target, &head.target) {
        (
            Target::Resource { authority, path: read_path, query: read_query },
            Target::Resource { path, query, .. },
        ) => {
            assert_eq!(
                (authority, read_path.as_bytes(), read_query),
                (&None, path.as_bytes(), query),
                "{shown}"
            );
            assert!(read_path.hidden().is_within(path.hidden()), "{shown}");
        }
        (read_target, target) => assert_eq!(read_target, target, "{shown}"),
    }
    is_framed(head, &Head::read(out));
    let mut again = Vec::new();
    rewrite::request(&read, &FORWARDED, &mut again);
    assert_eq!(again.escape_ascii().to_string(), shown.to_string());
}

fn is_vouched_for(head: &RequestHead<'_, '_>, received: &Head, sent: &Head) {
    let authority = head.authority.unwrap_or(FORWARDED.default_host.as_bytes());
    let authority = std::str::from_utf8(authority).expect("an authority is ASCII");
    let own = [
        ("host", authority),
        ("x-forwarded-for", FORWARDED.client_ip),
        ("x-forwarded-host", authority),
        ("x-forwarded-proto", FORWARDED.scheme),
        ("x-real-ip", FORWARDED.client_ip),
        ("x-request-id", "fresh"),
    ];
    for (name, value) in own {
        assert_eq!(sent.values(name), [value], "{name}");
    }
    let options = received.connection_options();
    for field in &sent.fields {
        let name = field.0.as_str();
        assert!(!DROPPED.contains(&name) && !name.contains('_'), "{name} reached the upstream");
        let is_own = own.iter().any(|(known, _)| *known == name)
            || ["content-length", "transfer-encoding", "expect"].contains(&name);
        let is_for_this_hop = options.iter().any(|option| option == name) && !PROTECTED.contains(&name);
        assert!(is_own || (received.fields.contains(field) && !is_for_this_hop), "{field:?} from nowhere");
    }
}
