//! `traceparent` and `tracestate` (W3C Trace Context): passed on as they are, or not at all.

use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, request,
    rewrite::{self, Forwarded},
};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const FRESH: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// The lines about the trace that an upstream gets, where [`FRESH`] is what the gateway itself would say.
fn forwarded(fields: &str) -> Vec<String> {
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let mut slots = FieldSlots::new();
    let parsed = request::parse(bytes.as_bytes(), &mut HeadScan::new(), &mut slots, &HeadLimits::REQUEST);
    let (head, _) = parsed.expect("the request is fine").expect("the request is whole");
    let forwarded = Forwarded {
        client_ip: b"192.0.2.1",
        hops: b"192.0.2.1",
        scheme: "http",
        client_host: None,
        request_id: b"id-1",
        traceparent: head.traceparent.unwrap_or(FRESH.as_bytes()),
        default_host: "default.example",
    };
    let mut out = Vec::new();
    rewrite::request(&head, &forwarded, &mut out);
    let text = String::from_utf8(out).expect("it is text");
    text.lines().filter(|line| line.to_ascii_lowercase().starts_with("trace")).map(str::to_owned).collect()
}

#[test]
fn a_valid_traceparent_is_passed_on_with_its_tracestate() {
    let later = TRACE.replace("00-4", "cc-4");
    for traceparent in [TRACE, &later, &format!("{later}-what comes"), &format!("{later}-")] {
        for name in ["traceparent", "TraceParent"] {
            let fields = format!("{name}: {traceparent}\r\nTracestate: a=b,c=d\r\ntracestate: e=f\r\n");
            let expected = ["Tracestate: a=b,c=d", "tracestate: e=f", &format!("traceparent: {traceparent}")];
            assert_eq!(forwarded(&fields), expected, "{fields:?}");
        }
    }
    assert_eq!(forwarded(&format!("traceparent: {TRACE}\r\n")), [format!("traceparent: {TRACE}")]);
}

#[test]
fn a_malformed_traceparent_is_replaced_and_takes_its_tracestate_along() {
    let later = TRACE.replace("00-4", "01-4");
    for fields in [
        String::new(),
        "traceparent:\r\n".to_owned(),
        format!("traceparent: {}\r\n", TRACE.to_uppercase()),
        format!("traceparent: {}\r\n", &TRACE[..54]),
        format!("traceparent: {TRACE}0\r\n"),
        format!("traceparent: {TRACE}-\r\n"),
        format!("traceparent: {TRACE}, {TRACE}\r\n"),
        format!("traceparent: {}\r\n", TRACE.replace("00-4", "ff-4")),
        format!("traceparent: {}\r\n", TRACE.replace("00-4", "0g-4")),
        format!("traceparent: {}\r\n", TRACE.replace('-', "_")),
        format!("traceparent: {}\r\n", TRACE.replace("3577", "35-7")),
        format!("traceparent: {later}.more\r\n"),
        format!("traceparent: {later}-{}\r\n", "x".repeat(128)),
        "traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01\r\n".to_owned(),
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01\r\n".to_owned(),
        format!("traceparent: {TRACE}\r\nTraceparent: {TRACE}\r\n"),
        format!("traceparent: {TRACE}\r\ntraceparent: {TRACE}\r\ntraceparent: {TRACE}\r\n"),
        format!("trace_parent: {TRACE}\r\n"),
        format!("traceparent: \u{9b}{}\r\n", &TRACE[2..]),
    ] {
        let fields = format!("{fields}tracestate: a=b\r\n");
        assert_eq!(forwarded(&fields), [format!("traceparent: {FRESH}")], "{fields:?}");
    }
}

#[test]
fn connection_cannot_take_a_trace_away() {
    let fields =
        format!("Connection: traceparent, tracestate\r\ntraceparent: {TRACE}\r\ntracestate: a=b\r\n");
    assert_eq!(forwarded(&fields), [format!("traceparent: {TRACE}")]);
}
