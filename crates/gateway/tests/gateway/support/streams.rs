//! Origins that speak HTTP/2: one that a test speaks for, request by request, and one that answers by itself and records.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    server::{self, SendResponse},
};
use http::{HeaderMap, Request, Response, request::Parts};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{Peer, ok, within};

/// An origin that does nothing by itself.
pub(crate) struct StreamOrigin {
    listener: TcpListener,
    builder: server::Builder,
}

impl StreamOrigin {
    pub(crate) async fn listen() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        Self { listener, builder: server::Builder::new() }
    }

    /// One whose peers may send so many requests at a time on a connection.
    pub(crate) fn streams_max(mut self, streams_max: u32) -> Self {
        self.builder.max_concurrent_streams(streams_max);
        self
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it listens")
    }

    /// The next connection, which speaks HTTP/2.
    pub(crate) async fn accept(&self) -> StreamConnection {
        let (stream, _) = within("a connection to the origin", self.listener.accept()).await.unwrap();
        stream.set_nodelay(true).expect("the socket is open");
        let connection = within("a preface", self.builder.handshake(stream)).await.expect("it is HTTP/2");
        let (requests, arriving) = mpsc::channel(1024);
        let freeze = CancellationToken::new();
        let mut serving = JoinSet::new();
        serving.spawn(serve(connection, requests, freeze.clone()));
        StreamConnection { arriving, freeze, serving }
    }

    /// The next connection, and the first request on it.
    pub(crate) async fn accept_request(&self) -> (StreamConnection, StreamRequest) {
        let mut connection = self.accept().await;
        let request = connection.request().await;
        (connection, request)
    }
}

/// A connection at its origin's end; it is closed some time after it is dropped.
pub(crate) struct StreamConnection {
    arriving: mpsc::Receiver<StreamRequest>,
    freeze: CancellationToken,
    serving: JoinSet<()>,
}

impl StreamConnection {
    pub(crate) async fn request(&mut self) -> StreamRequest {
        within("a request", self.arriving.recv()).await.expect("the connection is open")
    }

    /// Whether a request has arrived that nobody took.
    pub(crate) fn has_request(&self) -> bool {
        !self.arriving.is_empty()
    }

    /// Reads and writes nothing any more, and leaves the socket open.
    pub(crate) fn freeze(&self) {
        self.freeze.cancel();
    }

    /// Closes the connection, as an origin that ends does: without a word.
    pub(crate) async fn close(mut self) {
        self.serving.shutdown().await;
    }

    /// Returns when the connection has ended.
    pub(crate) async fn ended(&mut self) {
        within("the end of a connection", self.serving.join_next()).await;
    }
}

async fn serve(
    mut connection: server::Connection<TcpStream, Bytes>,
    requests: mpsc::Sender<StreamRequest>,
    freeze: CancellationToken,
) {
    loop {
        tokio::select! {
            () = freeze.cancelled() => std::future::pending().await,
            accepted = connection.accept() => {
                let Some(Ok((request, response))) = accepted else { return };
                let (head, body) = request.into_parts();
                let _ = requests.send(StreamRequest { head, body, response }).await;
            }
        }
    }
}

/// A request, as its origin has it.
pub(crate) struct StreamRequest {
    pub(crate) head: Parts,
    pub(crate) body: RecvStream,
    pub(crate) response: SendResponse<Bytes>,
}

impl StreamRequest {
    /// Method, target and fields, one a line.
    pub(crate) fn shown(&self) -> String {
        shown(&self.head)
    }

    /// The whole body and its trailers.
    pub(crate) async fn body(&mut self) -> (Vec<u8>, HeaderMap) {
        let mut whole = Vec::new();
        while let Some(data) = within("more of a body", self.body.data()).await {
            let data = data.expect("the body is whole");
            self.body.flow_control().release_capacity(data.len()).unwrap();
            whole.extend_from_slice(&data);
        }
        let trailers = within("trailers", self.body.trailers()).await.expect("the body is whole");
        (whole, trailers.unwrap_or_default())
    }

    /// Sends the head of a response, behind which a body comes.
    pub(crate) fn begin(&mut self, status: u16, fields: &[(&str, &str)]) -> SendStream<Bytes> {
        self.response.send_response(response(status, fields), false).expect("the stream is open")
    }

    /// Sends a response that is a head alone.
    pub(crate) fn answer_empty(&mut self, status: u16, fields: &[(&str, &str)]) {
        self.response.send_response(response(status, fields), true).expect("the stream is open");
    }

    /// Sends a response with its length.
    pub(crate) fn answer(&mut self, body: &str) {
        let mut stream = self.begin(200, &[("content-length", &body.len().to_string())]);
        stream.send_data(Bytes::copy_from_slice(body.as_bytes()), true).expect("the stream is open");
    }

    /// Sends an interim response.
    pub(crate) fn interim(&mut self, status: u16, fields: &[(&str, &str)]) {
        self.response.send_informational(response(status, fields)).expect("the stream is open");
    }

    /// Returns when the other side has reset the stream; the code it gave.
    pub(crate) async fn cancelled(&mut self) -> h2::Reason {
        let reset = std::future::poll_fn(|context| self.response.poll_reset(context));
        within("a reset", reset).await.expect("the connection is open")
    }
}

pub(crate) fn response(status: u16, fields: &[(&str, &str)]) -> Response<()> {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(()).expect("a response")
}

fn shown(head: &Parts) -> String {
    let mut text = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        text += &format!("{name}: {}\n", value.to_str().expect("the value is text"));
    }
    text
}

/// An origin that answers every request with 200 and `hello`, and keeps it. It speaks HTTP/1.1 too, on the same port.
pub(crate) struct StreamRecorder {
    address: SocketAddr,
    record: Arc<Mutex<Record>>,
    serving: JoinSet<()>,
}

#[derive(Default)]
struct Record {
    connections: usize,
    requests: Vec<String>,
    /// Those over HTTP/1.1.
    alone: usize,
}

impl StreamRecorder {
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    pub(crate) fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("it listens");
        let record = Arc::new(Mutex::new(Record::default()));
        let recording = record.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer_all(stream, recording.clone()));
            }
        });
        Self { address, record, serving }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections on which HTTP/2 was spoken.
    pub(crate) fn connections(&self) -> usize {
        self.record.lock().unwrap().connections
    }

    /// Method, target and fields of all requests over HTTP/2, each as [`StreamRequest::shown`] has them.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.record.lock().unwrap().requests.clone()
    }

    /// Requests over HTTP/2.
    pub(crate) fn request_count(&self) -> usize {
        self.record.lock().unwrap().requests.len()
    }

    /// Requests over HTTP/1.1.
    pub(crate) fn alone_count(&self) -> usize {
        self.record.lock().unwrap().alone
    }

    /// Closes the port and all connections.
    pub(crate) async fn close(mut self) {
        self.serving.shutdown().await;
    }
}

async fn answer_all(stream: TcpStream, record: Arc<Mutex<Record>>) {
    let mut first = [0; 3];
    if stream.peek(&mut first).await.is_ok() && first != *b"PRI" {
        return answer_alone(Peer::new(stream), &record).await;
    }
    let Ok(mut connection) = server::handshake(stream).await else { return };
    record.lock().unwrap().connections += 1;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let request: Request<RecvStream> = request;
        let (head, _) = request.into_parts();
        record.lock().unwrap().requests.push(shown(&head));
        let fields = [("content-length", "5")];
        if let Ok(mut body) = respond.send_response(response(200, &fields), false) {
            let _ = body.send_data(Bytes::from_static(b"hello"), true);
        }
    }
}

async fn answer_alone(mut peer: Peer, record: &Mutex<Record>) {
    while peer.more().await.is_ok() && peer.try_request().await.is_ok() {
        record.lock().unwrap().alone += 1;
        if peer.try_send(ok("hello")).await.is_err() {
            return;
        }
    }
}
