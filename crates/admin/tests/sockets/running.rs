//! An admin API with nothing behind it but what a test says.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use phalanx_admin::{
    Readiness, Source,
    control::{Control, DrainOrder, Ending, Events, Order, Pending, Placed, Refusal, Told},
    state::{Event, Gateway, Rollout, Service, State},
};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Long enough for the slowest machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Events that wait for a slow reader before it misses some.
pub(crate) const BACKLOG: usize = 8;

/// What is behind the API: a service `api`, and whatever a test sets.
#[derive(Clone)]
pub(crate) struct Telling {
    pub(crate) readiness: Readiness,
    /// Every order that was accepted.
    pub(crate) orders: Arc<Mutex<Vec<(String, Order)>>>,
    pub(crate) drains: Arc<Mutex<Vec<(SocketAddr, DrainOrder)>>>,
    /// How orders come out, once they do.
    pub(crate) ending: watch::Sender<Option<Ending>>,
    /// Of what has happened.
    pub(crate) past: Arc<Mutex<Vec<Event>>>,
    pub(crate) live: broadcast::Sender<Event>,
}

impl Telling {
    pub(crate) fn of(readiness: Readiness) -> Self {
        Self {
            readiness,
            orders: Arc::default(),
            drains: Arc::default(),
            ending: watch::Sender::new(None),
            past: Arc::default(),
            live: broadcast::Sender::new(BACKLOG),
        }
    }

    fn placed(&self, told: &str) -> Placed {
        let mut ending = self.ending.subscribe();
        let ending = Box::pin(async move {
            let ended = ending.wait_for(Option::is_some).await.expect("the test lasts");
            ended.clone().expect("that was waited for")
        });
        Placed { told: told.to_owned(), ending }
    }
}

impl Source for Telling {
    fn state(&self) -> State {
        State {
            version: "0.1.0".to_owned(),
            uptime_seconds: 7,
            stopping: false,
            gateway: Gateway {
                listeners: vec!["127.0.0.1:8080".to_owned()],
                workers: 2,
                connections: 3,
                requests_in_flight: 1,
            },
            services: vec![service("api", Some(rollout())), service("legacy", None)],
        }
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }
}

impl Control for Telling {
    fn order(&self, service: &str, order: Order) -> Pending<Result<Placed, Refusal>> {
        let outcome = match (service, order) {
            ("api", Order::Scale { replicas: 1001.. }) => {
                Err(Refusal::Refused { reason: "at most 1000 replicas: 2 cores".to_owned() })
            }
            ("api", order) => {
                self.orders.lock().unwrap().push((service.to_owned(), order));
                Ok(self.placed("api changes"))
            }
            ("stopping", _) => Err(Refusal::Stopping),
            _ => Err(unknown("service", service, &["api"])),
        };
        Box::pin(async { outcome })
    }

    fn drain(&self, endpoint: SocketAddr, order: DrainOrder) -> Pending<Result<Placed, Refusal>> {
        self.drains.lock().unwrap().push((endpoint, order));
        let placed = self.placed("it gets no more requests");
        Box::pin(async { Ok(placed) })
    }

    fn reload(&self) -> Pending<Result<Placed, Refusal>> {
        let placed = self.placed("the file changes api");
        Box::pin(async { Ok(placed) })
    }

    fn output(&self, instance: &str) -> Result<Vec<String>, Refusal> {
        let known = BTreeMap::from([("api-1", vec!["ready".to_owned()])]);
        known.get(instance).cloned().ok_or_else(|| unknown("replica", instance, &["api-1"]))
    }

    fn events(&self, after: Option<u64>) -> Events {
        let all = self.past.lock().unwrap().clone();
        let past = all.into_iter().filter(|event| after.is_some_and(|after| event.id > after));
        let live = futures_util::stream::unfold(self.live.subscribe(), |mut live| async {
            let told = match live.recv().await {
                Ok(event) => Told::Event(event),
                Err(broadcast::error::RecvError::Lagged(count)) => Told::Missed(count),
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((told, live))
        });
        Events { past: past.collect(), live: Box::pin(live) }
    }
}

fn unknown(what: &'static str, name: &str, known: &[&str]) -> Refusal {
    let known = known.iter().map(|name| (*name).to_owned()).collect();
    Refusal::Unknown { what, name: name.to_owned(), known }
}

fn service(name: &str, rollout: Option<Rollout>) -> Service {
    Service {
        name: name.to_owned(),
        desired: rollout.as_ref().map(|_| 3),
        serving: 3,
        endpoints: Vec::new(),
        rollout,
        autoscale: None,
        limits_enforced: None,
    }
}

fn rollout() -> Rollout {
    Rollout {
        revision: 4,
        status: "progressing".to_owned(),
        reason: "waits for api-4".to_owned(),
        updated: 1,
        available: 3,
        total: 4,
        history: Vec::new(),
    }
}

/// An admin API on a thread of its own; ends with the test.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) telling: Telling,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start() -> Self {
        Self::start_with(Telling::of(Readiness::Ready))
    }

    pub(crate) fn start_with(telling: Telling) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        listener.set_nonblocking(true).expect("a socket can be set non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let stop = CancellationToken::new();
        let (behind, stopped) = (Arc::new(telling.clone()), stop.clone());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("the socket is a listener");
                phalanx_admin::serve(listener, behind.clone(), behind, stopped).await;
            });
        });
        Self { address, telling, stop, thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the admin API listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream
    }

    /// Sends a request, on a connection that its answer closes.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = self.connect();
        let request = format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).expect("the request can be sent");
        stream
    }

    /// The answer to one request: head and body.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str) -> (String, String) {
        answer(self.send(method, path, headers, ""))
    }

    pub(crate) fn get(&self, path: &str) -> (String, String) {
        self.ask("GET", path, "Host: localhost\r\n")
    }

    /// The status and the body of the answer to an order.
    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, serde_json::Value) {
        self.post_with(path, "Host: localhost\r\nContent-Type: application/json\r\n", body)
    }

    pub(crate) fn post_with(&self, path: &str, headers: &str, body: &str) -> (u16, serde_json::Value) {
        let headers = format!("{headers}Content-Length: {}\r\n", body.len());
        let (head, body) = answer(self.send("POST", path, &headers, body));
        (status(&head), serde_json::from_str(&body).expect("the answer to an order is JSON"))
    }

    /// Ends the server and waits for it.
    pub(crate) fn stop(&mut self) {
        self.stop.cancel();
        let thread = self.thread.take().expect("stopped once");
        thread.join().expect("the server does not panic");
    }

    /// Tells the server to end.
    pub(crate) fn begin_to_stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Head and body of what comes until the end.
pub(crate) fn answer(mut stream: TcpStream) -> (String, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer ends");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    (head.to_ascii_lowercase(), body.to_owned())
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer has a status")
}
