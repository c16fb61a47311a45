//! What happens, as a stream.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpStream,
};

use phalanx_admin::{client::Client, control::Told, state::Event};

use crate::running::{BACKLOG, Running, answer};

/// As many as there may be.
const STREAMS_MAX: usize = 64;

fn event(id: u64) -> Event {
    Event {
        id,
        at_unix_millis: 1_700_000_000_000,
        service: "api".to_owned(),
        instance: Some("api-1".to_owned()),
        kind: "ready".to_owned(),
        reason: "after 2s\nor so".to_owned(),
    }
}

/// A stream that has begun.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(admin: &Running, headers: &str) -> Self {
        let mut stream = Self(BufReader::new(admin.send(
            "GET",
            "/v1/events",
            &format!("Host: localhost\r\n{headers}"),
            "",
        )));
        let status = stream.line();
        assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
        while stream.line() != "" {}
        stream
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next line that begins so.
    fn next(&mut self, field: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended before a {field:?}");
            if let Some(rest) = line.strip_prefix(field) {
                return rest.trim_end().to_owned();
            }
        }
    }
}

#[test]
fn an_event_has_an_id_a_kind_and_a_body_of_one_line() {
    let admin = Running::start();
    let mut stream = Stream::open(&admin, "");
    admin.telling.live.send(event(7)).unwrap();
    assert_eq!(stream.next("id: "), "7");
    assert_eq!(stream.next("event: "), "ready");
    let data: Event = serde_json::from_str(&stream.next("data: ")).unwrap();
    assert_eq!(data, event(7));
}

#[test]
fn a_reader_goes_on_where_it_was() {
    let admin = Running::start();
    admin.telling.past.lock().unwrap().extend((4..=6).map(event));
    let mut stream = Stream::open(&admin, "Last-Event-ID: 5\r\n");
    admin.telling.live.send(event(7)).unwrap();
    assert_eq!([stream.next("id: "), stream.next("id: ")], ["6", "7"]);

    // Of the events 1 to 3 nothing is known any more.
    let mut stream = Stream::open(&admin, "Last-Event-ID: 0\r\n");
    assert_eq!(stream.next("event: "), "missed");
    assert_eq!(stream.next("data: "), r#"{"missed":3}"#);
    assert_eq!(stream.next("id: "), "4");
}

#[test]
fn an_id_that_is_none_is_refused() {
    let admin = Running::start();
    for id in ["x", "-1", "1.5", ""] {
        let (head, body) =
            admin.ask("GET", "/v1/events", &format!("Host: localhost\r\nLast-Event-ID: {id}\r\n"));
        assert!(head.starts_with("http/1.1 400 "), "{id}: {head}");
        assert!(body.contains("Last-Event-ID"), "{id}: {body}");
    }
}

/// U07: a reader that stands still.
#[test]
fn a_slow_reader_is_told_how_many_it_missed() {
    let admin = Running::start();
    let mut stream = Stream::open(&admin, "");
    // Far more than the socket, the server's buffer and the backlog hold.
    let reason = "x".repeat(100_000);
    let sent: u64 = 1000;
    for id in 1..=sent {
        let event = Event { reason: reason.clone(), ..event(id) };
        admin.telling.live.send(event).expect("the stream is there");
    }
    let (mut seen, mut missed) = (0_u64, 0_u64);
    while seen + missed < sent {
        let data: serde_json::Value = serde_json::from_str(&stream.next("data: ")).unwrap();
        match data["missed"].as_u64() {
            Some(count) => missed += count,
            None => {
                seen += 1;
                assert_eq!(data["id"], seen + missed, "what is missing is told, and nothing else is");
            }
        }
    }
    assert!(missed > 0, "the backlog of {BACKLOG} held {seen} events");
}

/// U08: more streams than anybody needs.
#[test]
fn streams_are_bounded_and_one_that_ends_makes_room() {
    let admin = Running::start();
    let mut streams: Vec<Stream> = (0..STREAMS_MAX).map(|_| Stream::open(&admin, "")).collect();
    let (head, body) = admin.ask("GET", "/v1/events", "Host: localhost\r\n");
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert!(body.contains("64 streams"), "{body}");
    assert!(admin.get("/livez").0.starts_with("http/1.1 200 "), "the rest is answered all the same");

    drop(streams.pop());
    while admin.telling.live.receiver_count() == STREAMS_MAX {
        std::thread::yield_now();
    }
    // A receiver is dropped with its place, in one go, so there may be a moment between the two.
    loop {
        let stream = admin.send("GET", "/v1/events", "Host: localhost\r\n", "");
        let mut first = String::new();
        BufReader::new(stream).read_line(&mut first).unwrap();
        if first.starts_with("HTTP/1.1 200 ") {
            break;
        }
    }
}

#[test]
fn streams_end_when_phalanx_does() {
    let mut admin = Running::start();
    let stream = admin.send("GET", "/v1/events", "Host: localhost\r\n", "");
    while admin.telling.live.receiver_count() == 0 {
        std::thread::yield_now();
    }
    admin.stop();
    // To the end of the body as it was announced, not cut.
    assert!(answer(stream).1.ends_with("0\r\n\r\n"));
}

#[test]
fn the_client_reads_events_as_they_come() {
    let admin = Running::start();
    let mut events = Client::new(&admin.address.to_string()).unwrap().events().unwrap();
    admin.telling.live.send(event(1)).unwrap();
    assert_eq!(events.next(), Some(Told::Event(event(1))));
    admin.begin_to_stop();
    assert_eq!(events.next(), None);
}
