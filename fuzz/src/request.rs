use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, Provenance, RequestFault, Target, Upgrade, Version,
    request::{self, RequestBody, RequestHead},
    rewrite::{self, Forwarded},
};

use super::naive::{self, Framing, Head};

/// Few enough fields that those of the gateway still have room.
const RECEIVED: HeadLimits = HeadLimits { fields_max: 90, ..HeadLimits::REQUEST };
/// Room for a head that was as large as it may be before it was rewritten.
const REWRITTEN: HeadLimits =
    HeadLimits { head_bytes_max: 64 * 1024, target_bytes_max: 64 * 1024, fields_max: 100 };

const FORWARDED: Forwarded<'static> = Forwarded {
    client_ip: b"192.0.2.1",
    hops: b"192.0.2.1",
    scheme: "http",
    client_host: None,
    request_id: b"fresh",
    traceparent: b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    default_host: "default.example",
};

/// What never reaches an upstream from a client.
const DROPPED: [&str; 9] = [
    "forwarded",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
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

/// A rewritten request is the same message, says of the client what the gateway knows or a trusted peer says, asks for no
/// protocol but those that may pass, and stays as it is when rewritten.
pub fn rewrite(bytes: &[u8]) {
    let Ok(skipped) = request::leading_empty_lines(bytes) else { return };
    let bytes = &bytes[skipped..];
    let mut slots = FieldSlots::new();
    let parsed = request::parse(bytes, &mut HeadScan::new(), &mut slots, &RECEIVED);
    let Ok(Some((head, length))) = parsed else { return };
    let received = Head::read(&bytes[..length]);
    is_rewritten(&head, &received, &FORWARDED);

    let provenance = Provenance::of(&head, naive::is_trusted);
    let named = naive::hops(&received);
    assert_eq!(provenance.hops.client(), named.first().copied(), "{received:?}");
    let hops = named.iter().map(ToString::to_string).chain(["192.0.2.1".to_owned()]).collect::<Vec<_>>();
    let mut written = Vec::new();
    provenance.hops.write(&mut written);
    written.extend_from_slice(b"192.0.2.1");
    assert_eq!(written, hops.join(", ").into_bytes(), "{received:?}");
    assert!(provenance.scheme.is_none_or(|scheme| {
        received.values("x-forwarded-proto").last().is_some_and(|last| last.eq_ignore_ascii_case(scheme))
    }));
    assert!(provenance.host.is_none_or(|host| {
        phalanx_http1::host_of(host).is_some()
            && received.values("x-forwarded-host").last().is_some_and(|last| last.as_bytes() == host)
    }));
    let forwarded = Forwarded {
        client_ip: hops[0].as_bytes(),
        hops: &written,
        scheme: provenance.scheme.unwrap_or(FORWARDED.scheme),
        client_host: provenance.host,
        ..FORWARDED
    };
    is_rewritten(&head, &received, &forwarded);
}

fn is_rewritten(head: &RequestHead<'_, '_>, received: &Head, forwarded: &Forwarded<'_>) {
    let mut out = Vec::new();
    rewrite::request(head, forwarded, &mut out);
    is_the_same_message(head, forwarded, &out);
    let sent = Head::read(&out);
    is_vouched_for(head, forwarded, received, &sent);
    asks_for_what_may_pass(head, received, &sent);
}

fn is_the_same_message(head: &RequestHead<'_, '_>, forwarded: &Forwarded<'_>, out: &[u8]) {
    let mut slots = FieldSlots::new();
    let parsed = request::parse(out, &mut HeadScan::new(), &mut slots, &REWRITTEN);
    let shown = out.escape_ascii();
    let (read, length) = parsed.expect("a rewritten head is accepted").expect("a rewritten head is whole");
    assert_eq!((length, read.method, read.body), (out.len(), head.method, head.body), "{shown}");
    assert_eq!((read.version, read.keep_alive), (Version::Http11, true), "{shown}");
    assert_eq!(read.expects_continue, head.expects_continue, "{shown}");
    assert_eq!(Upgrade::of(&read), Upgrade::of(head), "{shown}");
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
    rewrite::request(&read, forwarded, &mut again);
    assert_eq!(again.escape_ascii().to_string(), shown.to_string());
}

fn is_vouched_for(head: &RequestHead<'_, '_>, forwarded: &Forwarded<'_>, received: &Head, sent: &Head) {
    let text = |bytes| std::str::from_utf8(bytes).expect("what the gateway vouches for is ASCII");
    let authority = head.authority.unwrap_or(FORWARDED.default_host.as_bytes());
    let own = [
        ("host", text(authority)),
        ("x-forwarded-for", text(forwarded.hops)),
        ("x-forwarded-host", text(forwarded.client_host.unwrap_or(authority))),
        ("x-forwarded-proto", forwarded.scheme),
        ("x-real-ip", text(forwarded.client_ip)),
        ("traceparent", text(FORWARDED.traceparent)),
        ("x-request-id", "fresh"),
    ];
    for (name, value) in own {
        assert_eq!(sent.values(name), [value], "{name}");
    }
    let told = received.values("traceparent");
    assert!(head.traceparent.is_none_or(|trace| told.len() == 1 && told[0].as_bytes() == trace), "{told:?}");
    assert!(head.traceparent.is_some() || sent.values("tracestate").is_empty(), "{sent:?}");
    let options = received.connection_options();
    for field in &sent.fields {
        let name = field.0.as_str();
        assert!(!DROPPED.contains(&name) && !name.contains('_'), "{name} reached the upstream");
        let is_own = own.iter().any(|(known, _)| *known == name)
            || ["content-length", "transfer-encoding", "expect", "connection", "upgrade"].contains(&name);
        let is_for_this_hop = options.iter().any(|option| option == name) && !PROTECTED.contains(&name);
        assert!(is_own || (received.fields.contains(field) && !is_for_this_hop), "{field:?} from nowhere");
    }
}

fn asks_for_what_may_pass(head: &RequestHead<'_, '_>, received: &Head, sent: &Head) {
    let is_alone = matches!(received.framing(), Framing::Absent | Framing::Length(0));
    let may_ask = head.version == Version::Http11 && is_alone;
    let named = received.connection_options().iter().any(|option| option == "upgrade");
    let asked = if may_ask && named { naive::protocols(received) } else { Vec::new() };
    let (connection, upgrade) = match asked.is_empty() {
        true => (None, None),
        false => (Some("Upgrade"), Some(asked.join(", "))),
    };
    assert_eq!(sent.values("connection"), Vec::from_iter(connection), "{received:?}");
    assert_eq!(sent.values("upgrade"), Vec::from_iter(upgrade.as_deref()), "{received:?}");
}
