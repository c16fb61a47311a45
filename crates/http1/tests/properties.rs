//! Random messages, well formed, hostile and broken: what the fuzz targets demand holds for them too.

use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, Identity, Target, request,
    response::{self, RequestKind},
};
use proptest::{collection::vec, prelude::*, sample::select};

#[path = "../../../fuzz/src/lib.rs"]
pub mod invariants;

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_in_one_way(bytes in vec(any::<u8>(), 0..256)) {
        invariants::request_head(&bytes);
        invariants::response_head(&bytes);
        invariants::rewrite(&bytes);
        invariants::chunked(&bytes);
    }

    #[test]
    fn a_well_formed_request_is_accepted_and_stays_the_same_message(bytes in request_of(fields(PLAIN_FIELDS))) {
        let mut slots = FieldSlots::new();
        let parsed = request::parse(&bytes, &mut HeadScan::new(), &mut slots, &HeadLimits::REQUEST);
        prop_assert!(matches!(parsed, Ok(Some(_))), "{}", bytes.escape_ascii());
        invariants::request_head(&bytes);
        invariants::rewrite(&bytes);
    }

    #[test]
    fn an_identity_is_read_back_as_it_was_written_and_adds_nothing_else(
        subject in name(),
        roles in vec(name(), 0..4),
        session in proptest::option::of(name()),
    ) {
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
        if let Some(identity) = Identity::new(&subject, &roles, session.as_deref()) {
            identity.write(&mut head);
            let mut fields = [httparse::EMPTY_HEADER; 8];
            let mut parsed = httparse::Request::new(&mut fields);
            prop_assert_eq!(parsed.parse(&head), Ok(httparse::Status::Complete(head.len())));
            let read = |name: &str| {
                let mut named = parsed.headers.iter().filter(|field| field.name == name);
                named.next().map(|field| std::str::from_utf8(field.value).expect("it was text"))
            };
            prop_assert_eq!(read("X-Auth-Subject"), Some(&*subject));
            prop_assert_eq!(read("X-Auth-Session"), session.as_deref());
            let told: Vec<_> = read("X-Auth-Roles").into_iter().flat_map(|roles| roles.split(',')).collect();
            prop_assert!(told.iter().all(|role| roles.iter().any(|own| own == role)), "{told:?} of {roles:?}");
            let count = 2 + usize::from(session.is_some()) + usize::from(!told.is_empty());
            prop_assert_eq!(parsed.headers.len(), count);
        }
    }

    #[test]
    fn a_broken_request_is_refused_or_read_in_one_way(
        bytes in mutated(request_of(fields([PLAIN_FIELDS, REQUEST_FIELDS].concat()))),
    ) {
        invariants::request_head(&bytes);
        invariants::rewrite(&bytes);
    }

    #[test]
    fn a_well_formed_response_is_accepted_and_stays_the_same_message(bytes in response_of(fields(PLAIN_FIELDS))) {
        let mut slots = FieldSlots::new();
        let limits = HeadLimits::RESPONSE;
        let parsed = response::parse(&bytes, &mut HeadScan::new(), &mut slots, &limits, RequestKind::Other);
        prop_assert!(matches!(parsed, Ok(Some(_))), "{}", bytes.escape_ascii());
        invariants::response_head(&bytes);
    }

    #[test]
    fn a_broken_response_is_refused_or_read_in_one_way(
        bytes in mutated(response_of(fields([PLAIN_FIELDS, RESPONSE_FIELDS].concat()))),
    ) {
        invariants::response_head(&bytes);
    }

    #[test]
    fn a_chunked_body_decodes_in_any_steps_as_a_naive_reader_decodes_it(
        bytes in mutated(chunked_body()),
        steps in vec(1..12_usize, 1..8),
    ) {
        invariants::chunked_in_steps(&bytes, &steps);
        invariants::chunked(&bytes);
    }

    #[test]
    fn a_normalised_path_normalises_to_itself(pieces in vec(select(PATH_PIECES), 0..10)) {
        if let Some(path) = normalised(&format!("/{}", pieces.concat())) {
            prop_assert_eq!(normalised(&path), Some(path));
        }
    }
}

const PATH_PIECES: &[&str] = &[
    "/", "//", "a", "B", ".", "..", ";", ";x=1", "%2e", "%2E", "%41", "%2f", "%5c", "\\", "%3b", "%25", "2e",
    "%7e", "%c3%a9", "%20", "~", "|", "%e0", "%80", "%zz",
];

/// Fields that frame nothing and that nobody refuses.
const PLAIN_FIELDS: &[&str] = &[
    "Accept: */*",
    "X:",
    "X-A: caf\u{e9}",
    "x-b:\t b \t",
    "X-Forwarded-For: 192.0.2.6",
    "X-Real_IP: 192.0.2.6",
    "Forwarded: for=x",
    "X-Auth-Roles: admin",
    "x-request-id: a b",
    "X-Request-Id: abc",
    "Connection: close",
    "Connection: keep-alive, X-A, cookie,, te",
    "connection: Content-Length, Host, X-Forwarded-For",
    "Cookie: a=b",
    "Set-Cookie: a=b",
    "TE: trailers",
    "Upgrade: h2c",
    "Keep-Alive: timeout=5",
    "Content_Length: 7",
];

const REQUEST_FIELDS: &[&str] = &[
    "Content-Length: 5",
    "content-length: 010",
    "Content-Length: 5, 5",
    "Transfer-Encoding: chunked",
    "transfer-encoding: CHUNKED",
    "Transfer-Encoding: gzip, chunked",
    "Expect: 100-continue",
    "Host: b",
];

const RESPONSE_FIELDS: &[&str] = &[
    "Content-Length: 5",
    "content-length: 010",
    "Transfer-Encoding: chunked",
    "transfer-encoding: Chunked",
    "Transfer-Encoding: gzip",
    "Content-Length: 0",
];

fn fields(known: impl Into<Vec<&'static str>>) -> impl Strategy<Value = String> {
    vec(select(known.into()), 0..6).prop_map(|lines| lines.iter().map(|line| format!("{line}\r\n")).collect())
}

fn request_of(fields: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let method = select(vec!["GET", "HEAD", "POST", "DELETE", "BREW", "get"]);
    // Percent-encodings that are refused are the path's own property to try.
    let pieces =
        PATH_PIECES.iter().copied().filter(|piece| !["%e0", "%zz"].contains(piece)).collect::<Vec<_>>();
    let path = vec(select(pieces), 0..6).prop_map(|pieces| pieces.concat());
    let origin = select(vec!["", "http://b.example:80", "HTTPS://[::1]"]);
    let query = select(vec!["", "?", "?q=1&r=%2f/../x"]);
    let version = select(vec!["1.1", "1.0"]);
    (method, origin, path, query, version, fields).prop_map(
        |(method, origin, path, query, version, fields)| {
            format!("{method} {origin}/{path}{query} HTTP/{version}\r\nHost: a.example\r\n{fields}\r\n")
                .into_bytes()
        },
    )
}

fn response_of(fields: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let version = select(vec!["1.1", "1.0"]);
    let status = select(vec![100, 101, 103, 200, 204, 206, 304, 404, 503, 599]);
    let reason = select(vec!["", " ", " OK", " caf\u{e9}", " a\tb"]);
    (version, status, reason, fields).prop_map(|(version, status, reason, fields)| {
        format!("HTTP/{version} {status}{reason}\r\n{fields}\r\n").into_bytes()
    })
}

fn chunked_body() -> impl Strategy<Value = Vec<u8>> {
    let extension = select(vec!["", "", ";a", " ;b=\"c;d\"", "\t;\u{e9}"]);
    let data = select(vec!["x", "hello", "0\r\n\r\n", "\r\n", "0123456789abcdef0"]);
    let chunk = (select(vec!["", "", "0", "000"]), extension, data)
        .prop_map(|(zeroes, extension, data)| format!("{zeroes}{:x}{extension}\r\n{data}\r\n", data.len()));
    let trailers = select(vec!["", "", "X: y\r\n", "Content-Length: 5\r\nY:\r\n", "Host: b\r\n"]);
    let behind = select(vec!["", "GET / HTTP/1.1\r\n\r\n", "0\r\n\r\n"]);
    (vec(chunk, 0..5), trailers, behind).prop_map(|(chunks, trailers, behind)| {
        format!("{}0\r\n{trailers}\r\n{behind}", chunks.concat()).into_bytes()
    })
}

/// The messages of `whole`, with up to three bytes lost, changed or added; as often as not unharmed.
fn mutated(whole: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let telling = select(b"\r\n \t:;,%/.#?_@\\\"-+0159afxX\0\x0b\x7f\x80\xa0\xff".to_vec());
    let replacement = prop_oneof![Just(Vec::new()), telling.prop_map(|byte| vec![byte])];
    let edit = (any::<prop::sample::Index>(), 0..=1_usize, replacement);
    (whole, prop_oneof![Just(Vec::new()), vec(edit, 1..=3)]).prop_map(|(mut bytes, edits)| {
        for (index, removed, replacement) in edits {
            let start = index.index(bytes.len() + 1);
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, replacement);
        }
        bytes
    })
}

fn normalised(path: &str) -> Option<String> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut slots = FieldSlots::new();
    let parsed = request::parse(head.as_bytes(), &mut HeadScan::new(), &mut slots, &HeadLimits::REQUEST);
    match parsed.ok()??.0.target {
        Target::Resource { path, .. } => Some(String::from_utf8_lossy(path.as_bytes()).into_owned()),
        Target::Server => None,
    }
}

/// A name as people choose them, and as those do who want to be somebody else.
fn name() -> impl Strategy<Value = String> {
    const PARTS: [&str; 14] = [
        "7",
        "admin",
        ",",
        " ",
        "\r\n",
        "\r",
        "\n",
        ": ",
        "X-Auth-Roles",
        "\0",
        "\t",
        "é",
        "\u{85}",
        "\u{7f}",
    ];
    prop_oneof![
        "[!-~]{1,12}",
        vec(select(&PARTS[..]), 0..4).prop_map(|parts| parts.concat()),
        any::<String>()
    ]
}
