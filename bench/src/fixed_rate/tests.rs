//! Against a server on a real socket, of which is known when it stands still and what it gets wrong.
//!
//! A delay is asserted from below only: what was held for 300 ms cannot have been seen sooner, but a busy machine may show
//! it later.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{Fault, FixedRate, Offered, Target};

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const BODY_BYTES: u64 = 5;
const STALL: Duration = Duration::from_millis(300);
const FOREVER: Duration = Duration::from_secs(3_600);
/// A run of half a second that takes longer than this has lost its way.
const HANG: Duration = Duration::from_secs(60);

type Answers = fn(u64) -> Option<&'static str>;

/// Answers request `index`, counted over all connections, with `answers(index)`; `None` closes the connection.
struct Server {
    answers: Answers,
    /// At this request it stands still, with all its connections.
    stall_at: u64,
    stall: Duration,
    stalled_until: OnceLock<Instant>,
    seen: AtomicU64,
    /// Requests that had to wait for the end of the stall.
    held: AtomicU64,
}

impl Server {
    fn answering(answers: Answers) -> Self {
        Self {
            answers,
            stall_at: u64::MAX,
            stall: STALL,
            stalled_until: OnceLock::new(),
            seen: AtomicU64::new(0),
            held: AtomicU64::new(0),
        }
    }

    fn stalling(stall_at: u64, stall: Duration) -> Self {
        Self { stall_at, stall, ..Self::answering(|_| Some(GOOD)) }
    }

    async fn run(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            connections.spawn(Arc::clone(&self).serve(stream));
        }
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) -> io::Result<()> {
        let request = format!("GET /hello HTTP/1.1\r\nHost: {}\r\n\r\n", stream.local_addr()?);
        let mut received = vec![0; request.len()];
        while stream.read_exact(&mut received).await.is_ok() {
            assert_eq!(received, request.as_bytes());
            let index = self.seen.fetch_add(1, Ordering::Relaxed);
            if index == self.stall_at {
                self.stalled_until.set(clock::now() + self.stall).unwrap();
            }
            if let Some(until) = self.stalled_until.get().filter(|until| **until > clock::now()) {
                self.held.fetch_add(1, Ordering::Relaxed);
                sleep_until((*until).into()).await;
            }
            let mut more = [0];
            assert!(stream.try_read(&mut more).is_err(), "a second request before the answer to the first");
            let Some(answer) = (self.answers)(index) else { break };
            stream.write_all(answer.as_bytes()).await?;
        }
        Ok(())
    }
}

/// Offers `requests` at 1000 a second over two connections.
async fn offered(server: Server, requests: u64, patience: Duration) -> (Offered, Arc<Server>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = target(listener.local_addr().unwrap(), patience);
    let server = Arc::new(server);
    let mut servers = JoinSet::new();
    servers.spawn(Arc::clone(&server).run(listener));
    let mut load = FixedRate::connect(&target, 2).await.unwrap();
    let rate = NonZeroU32::new(1_000).unwrap();
    let offered = timeout(HANG, load.offer(rate, Duration::from_millis(requests))).await.unwrap().unwrap();
    (offered, server)
}

fn target(address: SocketAddr, patience: Duration) -> Target {
    Target { address, path: "/hello".to_owned(), fields: String::new(), body_bytes: BODY_BYTES, patience }
}

fn at_quantile(offered: &Offered, quantile: f64) -> Duration {
    Duration::from_nanos(offered.latency.value_at_quantile(quantile))
}

#[tokio::test]
async fn a_stall_is_seen_by_every_request_that_was_due_in_it() {
    let (offered, server) = offered(Server::stalling(50, STALL), 500, FOREVER).await;
    assert_eq!((offered.latency.len(), &offered.faults), (500, &[].into()));
    // Two connections without pipelining: whoever measures from the sending sees two slow requests of 500 and a p99 of nothing.
    assert!((1..=2).contains(&server.held.load(Ordering::Relaxed)));
    // Request 50 + i waits for 300 - i ms at least; a hundredth is 5 requests, a tenth 50 and a half 250.
    let slack = Duration::from_millis(2);
    assert!(at_quantile(&offered, 1.0) + slack >= STALL, "{:?}", at_quantile(&offered, 1.0));
    assert!(at_quantile(&offered, 0.99) + slack >= STALL - Duration::from_millis(5));
    assert!(at_quantile(&offered, 0.9) + slack >= STALL - Duration::from_millis(50));
    assert!(at_quantile(&offered, 0.5) + slack >= STALL - Duration::from_millis(250));
}

#[tokio::test]
async fn connections_stay_open_from_run_to_run() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = target(listener.local_addr().unwrap(), FOREVER);
    let server = Arc::new(Server::answering(|_| Some(GOOD)));
    let mut servers = JoinSet::new();
    let (rate, length) = (NonZeroU32::new(1_000).unwrap(), Duration::from_millis(20));
    let mut load = FixedRate::connect(&target, 4).await.unwrap();
    for _ in 0..4 {
        let (stream, _) = listener.accept().await.unwrap();
        servers.spawn(Arc::clone(&server).serve(stream));
    }
    // Nobody accepts a fifth connection.
    for run in 1..=3 {
        let offered = timeout(HANG, load.offer(rate, length)).await.unwrap().unwrap();
        assert_eq!((offered.latency.len(), &offered.faults), (20, &[].into()), "run {run}");
        assert_eq!(offered.lateness.len(), 20);
    }
    assert_eq!(server.seen.load(Ordering::Relaxed), 60);
}

#[tokio::test]
async fn every_wrong_answer_is_counted_by_kind_and_is_no_latency() {
    let server = Server::answering(|index| match index {
        3 | 5 => Some("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nsorry"),
        7 => Some("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell"),
        _ => Some(GOOD),
    });
    let (offered, _) = offered(server, 20, FOREVER).await;
    let faults = [(Fault::Status(502), 2), (Fault::Length { expected: 5, found: 4 }, 1)];
    assert_eq!((offered.latency.len(), offered.faults), (17, faults.into()));
}

#[tokio::test]
async fn a_connection_that_lost_its_framing_is_not_used_again() {
    let answers: [(Fault, Answers); 3] = [
        (Fault::Closed, |_| None),
        (Fault::Excess, |_| Some("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!")),
        (Fault::Framing, |_| Some("HTTP/1.1 200 OK\r\n\r\nhello")),
    ];
    for (fault, answer) in answers {
        let server = Server::answering(answer);
        let (offered, server) = offered(server, 20, FOREVER).await;
        assert_eq!(server.seen.load(Ordering::Relaxed), 2, "{fault}");
        assert_eq!(offered.faults, [(fault, 2), (Fault::Unanswered, 18)].into());
    }
}

#[tokio::test]
async fn what_is_never_answered_is_given_up_and_counted() {
    let (offered, server) = offered(Server::stalling(10, FOREVER), 20, Duration::from_millis(100)).await;
    assert_eq!(server.held.load(Ordering::Relaxed), 2);
    assert_eq!(offered.latency.len() + offered.faults[&Fault::Unanswered], 20);
    assert!(offered.faults[&Fault::Unanswered] >= 9, "{:?}", offered.faults);
}
