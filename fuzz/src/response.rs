use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, ResponseFault, Version,
    response::{self, RequestKind, ResponseBody, ResponseHead},
    rewrite::{self, Delivery, Persistence},
};

use super::naive::{self, Framing, Head};

/// Few enough fields that those of the gateway still have room.
const RECEIVED: HeadLimits = HeadLimits { fields_max: 97, ..HeadLimits::RESPONSE };
/// Room for a head that was as large as it may be before it was rewritten.
const REWRITTEN: HeadLimits = HeadLimits { head_bytes_max: 64 * 1024, ..HeadLimits::RESPONSE };

/// A response is refused, or read as one message, however its bytes arrive, and is that message when it leaves.
pub fn response_head(bytes: &[u8]) {
    for request in [RequestKind::Head, RequestKind::Other] {
        let whole = length_of(bytes, &mut HeadScan::new(), request);
        let mut scan = HeadScan::new();
        let trickled = (0..=bytes.len())
            .find_map(|arrived| length_of(&bytes[..arrived], &mut scan, request).transpose());
        // A part may be refused for another reason than the whole.
        let verdict = |read: Option<Result<usize, ResponseFault>>| read.map(Result::ok);
        assert_eq!(verdict(whole.transpose()), verdict(trickled), "{}", bytes.escape_ascii());

        let mut slots = FieldSlots::new();
        let parsed = response::parse(bytes, &mut HeadScan::new(), &mut slots, &RECEIVED, request);
        if let Ok(Some((head, length))) = parsed {
            is_read_as_it_stands(&head, &Head::read(&bytes[..length]), request);
            is_the_same_message(&head, request);
            is_told_of_a_switch(&head);
        }
    }
}

fn length_of(
    bytes: &[u8],
    scan: &mut HeadScan,
    request: RequestKind,
) -> Result<Option<usize>, ResponseFault> {
    let mut slots = FieldSlots::new();
    let parsed = response::parse(bytes, scan, &mut slots, &RECEIVED, request)?;
    Ok(parsed.map(|(_, length)| length))
}

fn is_read_as_it_stands(head: &ResponseHead<'_, '_>, text: &Head, request: RequestKind) {
    let status = text.first_line.get(9..12).expect("a status line has a status");
    assert_eq!(status.parse(), Ok(head.status), "{text:?}");
    let is_bodiless = head.status < 200 || [204, 304].contains(&head.status) || request == RequestKind::Head;
    let expected = match text.framing() {
        _ if is_bodiless => ResponseBody::None,
        Framing::Absent => ResponseBody::UntilClose,
        Framing::Length(length) => ResponseBody::Length(length),
        Framing::Chunked => ResponseBody::Chunked,
    };
    assert_eq!(head.body, expected, "{text:?}");
    assert!(!head.keep_alive || expected != ResponseBody::UntilClose, "{text:?}");
}

fn is_the_same_message(head: &ResponseHead<'_, '_>, request: RequestKind) {
    let mut out = Vec::new();
    if head.is_interim() {
        rewrite::interim(head, &mut out);
        is_read_again(head, request, ResponseBody::None, &out);
        return;
    }
    for client in [Version::Http10, Version::Http11] {
        for persistence in [Persistence::Close, Persistence::KeepAlive] {
            let delivery = Delivery::of(head.body, client);
            let expected = match delivery {
                Delivery::None => ResponseBody::None,
                Delivery::Length(length) => ResponseBody::Length(length),
                Delivery::Chunked => ResponseBody::Chunked,
                Delivery::UntilClose => ResponseBody::UntilClose,
            };
            out.clear();
            rewrite::response(head, client, delivery, persistence, &mut out);
            let goes_on = is_read_again(head, request, expected, &out);
            let may_go_on = delivery != Delivery::UntilClose && head.status != 101;
            assert_eq!(goes_on, may_go_on && persistence == Persistence::KeepAlive, "{}", out.escape_ascii());
        }
    }
}

/// A 101 that is relayed frames nothing, and switches to what it says.
fn is_told_of_a_switch(head: &ResponseHead<'_, '_>) {
    if head.status != 101 {
        return;
    }
    let mut out = Vec::new();
    rewrite::switch(head, &mut out);
    let text = Head::read(&out);
    assert_eq!(text.framing(), Framing::Absent, "{text:?}");
    assert_eq!((text.values("connection"), text.values("upgrade").len()), (vec!["Upgrade"], 1), "{text:?}");
    assert!(!naive::offers_http(&text), "{text:?}");
}

/// Whether the connection goes on behind the head in `out`, which is read as the message of `head`.
fn is_read_again(head: &ResponseHead<'_, '_>, request: RequestKind, body: ResponseBody, out: &[u8]) -> bool {
    let mut slots = FieldSlots::new();
    let parsed = response::parse(out, &mut HeadScan::new(), &mut slots, &REWRITTEN, request);
    let shown = out.escape_ascii();
    let (read, length) = parsed.expect("a rewritten head is accepted").expect("a rewritten head is whole");
    assert_eq!((length, read.status, read.body), (out.len(), head.status, body), "{shown}");
    let text = Head::read(out);
    for name in ["keep-alive", "proxy-connection", "te"] {
        assert!(text.values(name).is_empty(), "{name} reached the client: {shown}");
    }
    // It has to be named where it is required; of a switch only the gateway speaks, in words of its own.
    assert!(
        head.status == 426 || text.values("upgrade").is_empty(),
        "an upgrade reached the client: {shown}"
    );
    assert!(!naive::offers_http(&text), "{shown}");
    let framing = text.framing();
    assert!(framing == Framing::Absent || (head.status >= 200 && head.status != 204), "{shown}");
    read.keep_alive
}
