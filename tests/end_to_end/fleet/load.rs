//! Clients that ask at a constant rate, whatever becomes of their requests, and write down what becomes of each.
//!
//! Half of the requests are `GET`s, half are `POST`s that carry a number of their own. A request is due at a time that is fixed from
//! the start, so an answer that is late delays what its connection sends, and takes nothing off what is sent in all.
//! Invariants: nothing is sent twice, and every request has one fate: it is answered as it has to be, or it is among the failures.
//! Elsewhere: what the replicas have counted, and the verdict (`super::place`).

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;

use crate::support::{
    http::{Answer, Connection, getting, posting},
    until,
};

/// How many clients ask, each over a connection that it keeps.
const CLIENTS: u32 = 48;
/// Low enough for an unoptimised gateway, its replicas and these clients on two cores; what a slower machine is late with, it
/// makes up for.
pub(crate) const REQUESTS_PER_SECOND: u32 = 2_400;

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Get,
    /// To count this number.
    Post(u64),
}

/// Why a request has failed.
#[derive(Debug)]
pub(crate) enum Cause {
    /// It was answered, and not as it has to be.
    Answered(Answer),
    /// There was no answer, or half of one.
    Broken(io::Error),
}

/// A request that was not answered as it has to be.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) request: Request,
    pub(crate) cause: Cause,
    /// From the start of the load.
    sent_after: Duration,
    failed_after: Duration,
}

/// What has become of all requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered_gets: u64,
    /// The numbers of the `POST`s that were answered as they have to be.
    pub(crate) acknowledged: Vec<u64>,
    pub(crate) failures: Vec<Failure>,
}

/// Clients at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Tally>>,
}

impl Load {
    pub(crate) fn start(gateway: SocketAddr) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let began = clock::now();
        let client = |number| {
            let client = Client { number, gateway, began, connection: None, tally: Tally::default() };
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || client.work(&stop, &done))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, done, clients }
    }

    /// Waits until so many more requests have met their fate.
    pub(crate) fn goes_on_for(&self, requests: u64) {
        let aim = self.done() + requests;
        // In steps, each of which has the usual deadline: how long all of them take is the machine's affair.
        while self.done() < aim {
            let before = self.done();
            until("requests that are answered or fail", || self.done() > before);
        }
    }

    /// How many requests have met their fate.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Lets every client finish what it has begun.
    pub(crate) fn ends(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let tallies = self.clients.into_iter().map(|client| client.join().unwrap());
        tallies.fold(Tally::default(), Tally::and)
    }
}

struct Client {
    number: u32,
    gateway: SocketAddr,
    began: Instant,
    connection: Option<Connection>,
    tally: Tally,
}

impl Client {
    fn work(mut self, stop: &AtomicBool, done: &AtomicU64) -> Tally {
        for turn in 0_u32.. {
            let due =
                self.began + Duration::from_secs(1) / REQUESTS_PER_SECOND * (turn * CLIENTS + self.number);
            thread::sleep(due.saturating_duration_since(clock::now()));
            if stop.load(Ordering::Relaxed) {
                break;
            }
            // Clients take turns with the methods, so that both are under way at any time.
            let request = match (turn + self.number) % 2 {
                0 => Request::Get,
                _ => Request::Post(u64::from(turn * CLIENTS + self.number)),
            };
            self.ask(request);
            done.fetch_add(1, Ordering::Relaxed);
        }
        self.tally
    }

    fn ask(&mut self, request: Request) {
        let sent_after = self.began.elapsed();
        let cause = match self.exchange(&request.bytes()) {
            Ok(answer) if request.is_answered_by(&answer) => {
                match request {
                    Request::Get => self.tally.answered_gets += 1,
                    Request::Post(number) => self.tally.acknowledged.push(number),
                }
                return;
            }
            Ok(answer) => Cause::Answered(answer),
            Err(error) => Cause::Broken(error),
        };
        let failed_after = self.began.elapsed();
        self.tally.failures.push(Failure { request, cause, sent_after, failed_after });
    }

    /// On the connection that is kept, or on a new one where the last has ended.
    fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.gateway)?,
        };
        let answer = connection.exchange(request)?;
        if answer.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}

impl Request {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Get => getting("/"),
            Self::Post(number) => posting("/", line(number)),
        }
    }

    fn is_answered_by(self, answer: &Answer) -> bool {
        let is_right = match self {
            Self::Get => answer.body.starts_with("api-"),
            Self::Post(number) => answer.body == line(number),
        };
        answer.status == 200 && is_right
    }
}

/// What a `POST` of this number has counted.
fn line(number: u64) -> String {
    format!("{number}\n")
}

impl Tally {
    fn and(mut self, other: Self) -> Self {
        self.answered_gets += other.answered_gets;
        self.acknowledged.extend(other.acknowledged);
        self.failures.extend(other.failures);
        self
    }

    pub(crate) fn requests(&self) -> usize {
        usize::try_from(self.answered_gets).unwrap() + self.acknowledged.len() + self.failures.len()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, cause, sent_after, failed_after } = self;
        write!(formatter, "{request:?} sent after {sent_after:?}, failed after {failed_after:?}: ")?;
        match cause {
            Cause::Answered(answer) => write!(formatter, "answered {} {:?}", answer.status, answer.body),
            Cause::Broken(error) => write!(formatter, "broken: {error}"),
        }
    }
}
