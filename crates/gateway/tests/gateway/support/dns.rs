//! A DNS server whose records a test changes while it runs. It speaks the wire format by itself (RFC 1035), over UDP and TCP.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Instant,
};

use phalanx_telemetry::clock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

/// What fits into a datagram; longer answers are truncated there.
const DATAGRAM_BYTES_MAX: usize = 1232;

/// What is asked of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    A = 1,
    Aaaa = 28,
    Srv = 33,
}

/// What a record says.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Address(IpAddr),
    Alias(&'static str),
    Service { priority: u16, weight: u16, port: u16, target: &'static str },
}

/// A record: of whom, if not of the name that was asked for, for how many seconds, and what.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) owner: Option<&'static str>,
    pub(crate) ttl: u32,
    pub(crate) data: Data,
}

/// What is answered to a question.
#[derive(Clone, Debug)]
pub(crate) enum DnsReply {
    Records(Vec<Record>),
    /// An empty answer with this code (RFC 1035, section 4.1.1).
    Code(u8),
    /// These bytes behind the id of the question.
    Bytes(Vec<u8>),
    Silence,
}

/// "There is such a name, but no such record."
pub(crate) const NO_DATA: DnsReply = DnsReply::Code(0);
pub(crate) const SERVER_FAILURE: DnsReply = DnsReply::Code(2);
pub(crate) const NO_SUCH_NAME: DnsReply = DnsReply::Code(3);

/// Addresses that may be asked for again after `ttl` seconds.
pub(crate) fn dns_addresses(ttl: u32, addresses: impl IntoIterator<Item = impl Into<IpAddr>>) -> DnsReply {
    let record = |address: IpAddr| Record { owner: None, ttl, data: Data::Address(address) };
    DnsReply::Records(addresses.into_iter().map(|address| record(address.into())).collect())
}

type Question = (String, Kind);

/// A server that runs until it is dropped. What it was not told of does not exist.
pub(crate) struct DnsServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct State {
    replies: HashMap<Question, DnsReply>,
    asked: Vec<(Question, Instant)>,
    /// Ids of the questions that were counted: a question that is sent again, or over TCP, is still the same.
    counted: HashSet<(Question, u16)>,
    streams: usize,
}

impl DnsServer {
    pub(crate) async fn start() -> Self {
        loop {
            let datagrams = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
            // The same number may be taken for TCP.
            if let Ok(streams) = TcpListener::bind(datagrams.local_addr().unwrap()).await {
                return Self::serve(datagrams, streams);
            }
        }
    }

    /// One at the address of a server that has gone.
    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let datagrams = UdpSocket::bind(address).await.expect("nobody took the port");
        Self::serve(datagrams, TcpListener::bind(address).await.expect("nobody took the port"))
    }

    fn serve(datagrams: UdpSocket, streams: TcpListener) -> Self {
        let (address, state) = (datagrams.local_addr().unwrap(), Arc::new(Mutex::new(State::default())));
        let mut serving = JoinSet::new();
        serving.spawn(serve_datagrams(datagrams, state.clone()));
        serving.spawn(serve_streams(streams, state.clone()));
        Self { address, state, _serving: serving }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it, and returns when nobody answers any more; its address.
    pub(crate) async fn stop(mut self) -> SocketAddr {
        self._serving.shutdown().await;
        self.address
    }

    pub(crate) fn set(&self, name: &str, kind: Kind, reply: DnsReply) {
        self.state.lock().unwrap().replies.insert((name.to_owned(), kind), reply);
    }

    /// When it was asked this.
    pub(crate) fn asked(&self, name: &str, kind: Kind) -> Vec<Instant> {
        let state = self.state.lock().unwrap();
        let asked = state.asked.iter().filter(|((asked, of), _)| asked == name && *of == kind);
        asked.map(|(_, at)| *at).collect()
    }

    /// How many questions came over TCP.
    pub(crate) fn streams(&self) -> usize {
        self.state.lock().unwrap().streams
    }
}

async fn serve_datagrams(socket: UdpSocket, state: Arc<Mutex<State>>) {
    let mut query = [0; DATAGRAM_BYTES_MAX];
    while let Ok((count, peer)) = socket.recv_from(&mut query).await {
        let Some(mut reply) = state.lock().unwrap().reply(&query[..count]) else { continue };
        if reply.len() > DATAGRAM_BYTES_MAX {
            // Header and question alone, with the bit that says so.
            reply.truncate(question_end(&reply));
            reply[2] |= 0b10;
            reply[6..8].fill(0);
        }
        let _ = socket.send_to(&reply, peer).await;
    }
}

async fn serve_streams(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve_stream(stream, state.clone()));
    }
}

async fn serve_stream(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut query = vec![0; length.into()];
        if stream.read_exact(&mut query).await.is_err() {
            break;
        }
        let reply = {
            let mut state = state.lock().unwrap();
            state.streams += 1;
            state.reply(&query)
        };
        let Some(reply) = reply else { continue };
        let length = u16::try_from(reply.len()).expect("it fits into a message");
        let framed = [&length.to_be_bytes()[..], &reply].concat();
        if stream.write_all(&framed).await.is_err() {
            break;
        }
    }
}

impl State {
    /// The answer to a query, unless there is none.
    fn reply(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, kind) = question(query)?;
        let key = (name.clone(), kind);
        if self.counted.insert((key.clone(), u16::from_be_bytes([query[0], query[1]]))) {
            self.asked.push((key.clone(), clock::now()));
        }
        let (code, records) = match self.replies.get(&key).unwrap_or(&NO_SUCH_NAME) {
            DnsReply::Records(records) => (0, records.as_slice()),
            DnsReply::Code(code) => (*code, &[][..]),
            DnsReply::Bytes(bytes) => return Some([&query[..2], bytes].concat()),
            DnsReply::Silence => return None,
        };
        let mut reply = query[..2].to_vec();
        // A response, recursion desired and available; one question.
        reply.extend([0x81, 0x80 | code, 0, 1]);
        reply.extend(u16::try_from(records.len()).expect("it fits").to_be_bytes());
        reply.extend([0, 0, 0, 0]);
        reply.extend(&query[12..question_end(query)]);
        for record in records {
            put_record(&mut reply, &name, record);
        }
        Some(reply)
    }
}

fn put_record(reply: &mut Vec<u8>, asked: &str, record: &Record) {
    let (kind, data) = match &record.data {
        Data::Address(IpAddr::V4(address)) => (1_u16, address.octets().to_vec()),
        Data::Address(IpAddr::V6(address)) => (28, address.octets().to_vec()),
        Data::Alias(name) => (5, encoded(name)),
        Data::Service { priority, weight, port, target } => {
            let numbers = [priority, weight, port].map(|number| number.to_be_bytes()).concat();
            (33, [numbers, encoded(target)].concat())
        }
    };
    reply.extend(encoded(record.owner.unwrap_or(asked)));
    reply.extend(kind.to_be_bytes());
    reply.extend([0, 1]);
    reply.extend(record.ttl.to_be_bytes());
    reply.extend(u16::try_from(data.len()).expect("it fits").to_be_bytes());
    reply.extend(data);
}

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut bytes = Vec::new();
    for label in labels {
        bytes.push(u8::try_from(label.len()).expect("labels are short"));
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

/// The one question of a message.
fn question(message: &[u8]) -> Option<Question> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*message.get(at)?);
        let label = message.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).to_lowercase());
    }
    let kind = match message.get(at..at + 2)? {
        [0, 1] => Kind::A,
        [0, 28] => Kind::Aaaa,
        [0, 33] => Kind::Srv,
        _ => return None,
    };
    Some((labels.join("."), kind))
}

/// Where the question of a message ends: behind its name, its type and its class.
fn question_end(message: &[u8]) -> usize {
    let name = message[12..].iter().position(|byte| *byte == 0).expect("the root ends every name");
    12 + name + 1 + 4
}
