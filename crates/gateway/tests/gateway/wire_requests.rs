//! What a client sends, byte by byte, and what the origin gets of it.
//!
//! Each case is sent whole, and again in three pieces that arrive one after the other.

mod bodies;
mod expectations;
mod fields;
mod framing;
mod pipelines;
mod proxies;
mod routing;
mod targets;
mod unread;

use crate::support::{Connection, Ending, IDS, Message, Peer, Recorder, Setup, TestGateway};

/// A request, and what is to become of it.
struct Case {
    /// The row of the table of bad inputs.
    id: &'static str,
    sent: Vec<u8>,
    status: u16,
    connection: Connection,
    /// What the origin gets.
    forwarded: Option<Message>,
}

/// A request that the gateway refuses, after which it closes.
fn refused(id: &'static str, sent: impl Into<Vec<u8>>, status: u16) -> Case {
    Case { id, sent: sent.into(), status, connection: Connection::Closed, forwarded: None }
}

/// A request that the gateway answers by itself.
fn answered(id: &'static str, sent: impl Into<Vec<u8>>, status: u16) -> Case {
    Case { id, sent: sent.into(), status, connection: Connection::Kept, forwarded: None }
}

/// A request that reaches the origin as `forwarded`.
fn passed(id: &'static str, sent: impl Into<Vec<u8>>, forwarded: Message) -> Case {
    Case { id, sent: sent.into(), status: 200, connection: Connection::Kept, forwarded: Some(forwarded) }
}

impl Case {
    fn then_closed(self) -> Self {
        Self { connection: Connection::Closed, ..self }
    }
}

/// A request that brings the ids which [`crate::support::forwarded`] expects.
fn request(line: &str, fields: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\n{IDS}{fields}\r\n{body}")
}

/// Checks cases against a gateway with one route, which takes every path.
async fn check(cases: impl IntoIterator<Item = Case>) {
    check_behind(|origin| Setup::fronting(&[origin.address()]), cases).await;
}

/// Checks cases against this gateway.
async fn check_behind(setup: impl FnOnce(&Recorder) -> Setup, cases: impl IntoIterator<Item = Case>) {
    let origin = Recorder::start().await;
    let gateway = setup(&origin).start();
    for case in cases {
        let count = case.sent.len();
        // Arbitrary, and the same in every run.
        let mut random = fastrand::Rng::with_seed(count as u64);
        let mut cuts = [random.usize(0..count), random.usize(0..count)];
        cuts.sort_unstable();
        for cuts in [&[][..], &cuts] {
            println!("{}, cut at {cuts:?}: {}", case.id, case.sent.escape_ascii());
            check_case(&gateway, &origin, &case, cuts).await;
        }
    }
    // Whatever had reached the origin late would stand before this.
    assert_eq!(gateway.exchange(request("GET /last", "", "")).await.status(), 200);
    assert_eq!(origin.start_lines(), ["GET /last HTTP/1.1"]);
}

async fn check_case(gateway: &TestGateway, origin: &Recorder, case: &Case, cuts: &[usize]) {
    let mut client = gateway.connect().await;
    send_in_pieces(gateway, &mut client, &case.sent, cuts).await;
    let is_head = case.sent.starts_with(b"HEAD ");
    let answer = if is_head { client.head().await } else { client.response().await };
    assert_eq!(answer.status(), case.status, "{answer:?}");
    if case.status >= 400 {
        assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{answer:?}");
    }
    match case.connection {
        Connection::Closed => {
            assert!(answer.closes(), "{answer:?}");
            assert_eq!(client.ending().await, Ending::Closed);
        }
        Connection::Kept => assert!(!answer.closes(), "{answer:?}"),
    }
    assert_eq!(origin.take_requests(), Vec::from_iter(case.forwarded.clone()));
    if case.connection == Connection::Kept {
        // The next request begins where this one ended.
        assert_eq!(client.exchange(request("GET /next", "", "")).await.status(), 200);
        assert_eq!(origin.take_requests().len(), 1);
    }
}

/// Sends `bytes` so that the gateway reads what stands before each cut before the rest is there.
async fn send_in_pieces(gateway: &TestGateway, client: &mut Peer, bytes: &[u8], cuts: &[usize]) {
    let mut sent = 0;
    for cut in cuts {
        client.send(&bytes[sent..*cut]).await;
        gateway.settled().await;
        sent = *cut;
    }
    client.send(&bytes[sent..]).await;
}
