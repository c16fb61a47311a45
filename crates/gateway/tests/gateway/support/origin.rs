//! Origins: one whose connections a test takes by hand, and one that answers by itself and records.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use socket2::{Domain, Socket, Type};
use tokio::{net::TcpListener, task::JoinSet};

use super::{Message, Peer, ok, within};

/// An origin that does nothing by itself: the test accepts its connections, and speaks for it.
pub(crate) struct Origin {
    listener: TcpListener,
}

impl Origin {
    pub(crate) async fn listen() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("a free port") }
    }

    /// One at each of these addresses of this machine, all with the same port.
    pub(crate) async fn listen_at<const N: usize>(ips: [IpAddr; N]) -> [Self; N] {
        loop {
            let mut origins: Vec<Self> = Vec::new();
            for ip in ips {
                let port = origins.first().map_or(0, |first| first.address().port());
                // Somebody may have that port at the next address already.
                let Ok(listener) = TcpListener::bind((ip, port)).await else { break };
                origins.push(Self { listener });
            }
            if let Ok(origins) = origins.try_into() {
                return origins;
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it listens")
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = within("a connection to the origin", self.listener.accept()).await.unwrap();
        Peer::new(stream)
    }

    /// The next connection, and the first request on it.
    pub(crate) async fn accept_request(&self) -> (Peer, Message) {
        let mut peer = self.accept().await;
        let request = peer.request().await;
        (peer, request)
    }
}

/// What a [`Recorder`] does after a request.
pub(crate) enum Reply {
    /// Sends these bytes, and waits for the next request.
    Send(Vec<u8>),
    /// Sends these bytes, and closes.
    SendAndClose(Vec<u8>),
    /// Ends the connection with a reset.
    Reset,
    /// Says nothing until the other side goes.
    Silence,
}

/// An origin that answers every whole request as it is told to, and keeps it.
pub(crate) struct Recorder {
    address: SocketAddr,
    record: Arc<Mutex<Record>>,
    /// The task that accepts; dropped, it takes those of the connections along.
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Record {
    connections: usize,
    connections_open: usize,
    requests: Vec<Message>,
    fragments: usize,
}

impl Recorder {
    /// One that answers everything with 200.
    pub(crate) async fn start() -> Self {
        Self::answering(|request| match request.start_line().starts_with("HEAD ") {
            true => Reply::Send(ok("hello")[..ok("").len()].to_vec()),
            false => Reply::Send(ok("hello")),
        })
        .await
    }

    pub(crate) async fn answering(answer: impl Fn(&Message) -> Reply + Send + Sync + 'static) -> Self {
        Self::answering_on(TcpListener::bind("127.0.0.1:0").await.expect("a free port"), answer)
    }

    pub(crate) fn answering_on(
        listener: TcpListener,
        answer: impl Fn(&Message) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("it listens");
        let record = Arc::new(Mutex::new(Record::default()));
        let (answer, recording) = (Arc::new(answer), record.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, record) = (answer.clone(), recording.clone());
                connections.spawn(async move { serve(Peer::new(stream), &*answer, &record).await });
            }
        });
        Self { address, record, _serving: serving }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests that came whole, in the order of their ends.
    pub(crate) fn requests(&self) -> Vec<Message> {
        self.record.lock().unwrap().requests.clone()
    }

    pub(crate) fn request_count(&self) -> usize {
        self.record.lock().unwrap().requests.len()
    }

    /// The first lines of all requests that came whole.
    pub(crate) fn start_lines(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.start_line().to_owned()).collect()
    }

    /// Forgets the requests so far, and tells them.
    pub(crate) fn take_requests(&self) -> Vec<Message> {
        std::mem::take(&mut self.record.lock().unwrap().requests)
    }

    /// How many requests ended before they were whole.
    pub(crate) fn fragments(&self) -> usize {
        self.record.lock().unwrap().fragments
    }

    /// Connections ever made to it.
    pub(crate) fn connections(&self) -> usize {
        self.record.lock().unwrap().connections
    }

    /// Connections to it that stand.
    pub(crate) fn connections_open(&self) -> usize {
        self.record.lock().unwrap().connections_open
    }
}

async fn serve(mut peer: Peer, answer: &(impl Fn(&Message) -> Reply + ?Sized), record: &Mutex<Record>) {
    {
        let mut record = record.lock().unwrap();
        record.connections += 1;
        record.connections_open += 1;
    }
    if answer_all(&mut peer, answer, record).await == Farewell::Reset {
        peer.reset();
    }
    record.lock().unwrap().connections_open -= 1;
}

/// How the origin ends a connection.
#[derive(PartialEq, Eq)]
enum Farewell {
    Close,
    Reset,
}

async fn answer_all(
    peer: &mut Peer,
    answer: &(impl Fn(&Message) -> Reply + ?Sized),
    record: &Mutex<Record>,
) -> Farewell {
    while peer.more().await.is_ok() {
        let Ok(request) = peer.try_request().await else {
            record.lock().unwrap().fragments += 1;
            break;
        };
        let reply = answer(&request);
        record.lock().unwrap().requests.push(request);
        match reply {
            Reply::Send(bytes) if peer.try_send(&bytes).await.is_ok() => {}
            Reply::Send(_) => break,
            Reply::SendAndClose(bytes) => {
                // Whether the other side still reads is its own affair.
                let _ = peer.try_send(bytes).await;
                break;
            }
            Reply::Reset => return Farewell::Reset,
            Reply::Silence => peer.gone().await,
        }
    }
    Farewell::Close
}

/// A port of loopback that nobody else can have, and that refuses connections.
pub(crate) struct ClosedPort {
    socket: Socket,
}

impl ClosedPort {
    pub(crate) fn reserve() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).expect("a free port");
        Self { socket }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound")
    }

    /// Opens it: connections beyond `backlog` that nobody accepted have to wait.
    pub(crate) fn open(self, backlog: i32) -> Origin {
        Origin { listener: self.listen(backlog) }
    }

    /// Likewise, for somebody who answers.
    pub(crate) fn listen(self, backlog: i32) -> TcpListener {
        self.socket.listen(backlog).expect("it is bound");
        self.socket.set_nonblocking(true).expect("the socket is open");
        TcpListener::from_std(self.socket.into()).expect("it listens")
    }
}
