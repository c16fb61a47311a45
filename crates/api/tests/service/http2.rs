//! HTTP/2 on the port that HTTP/1.1 has too, spoken to by a client of another make.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use h2::{
    Reason,
    client::{self, ResponseFuture, SendRequest},
};
use http::Request;
use phalanx_api::{Drained, Settings};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use crate::{
    client::{Client, PATIENCE, get},
    replica::{Replica, settings},
};

/// One connection.
pub(crate) struct Streams {
    requests: SendRequest<Bytes>,
    connection: JoinSet<Result<(), h2::Error>>,
}

impl Streams {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (requests, connection) = client::handshake(stream).await.unwrap();
        let mut running = JoinSet::new();
        running.spawn(connection);
        Self { requests, connection: running }
    }

    pub(crate) async fn get(&mut self, path: &str) -> (u16, Value) {
        let (answer, _) = self.requests.send_request(request("GET", path), true).unwrap();
        read(answer).await.unwrap()
    }

    /// Sends a request, whose answer is waited for by whoever wants it.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> impl Future<Output = (u16, Value)> + use<> {
        let (answer, mut sending) = self.requests.send_request(request("POST", path), false).unwrap();
        sending.send_data(body.to_string().into(), true).unwrap();
        async { read(answer).await.unwrap() }
    }

    /// How the connection ends.
    async fn ended(&mut self) -> Result<(), h2::Error> {
        timeout(PATIENCE, self.connection.join_next()).await.expect("it does not end").unwrap().unwrap()
    }
}

fn request(method: &str, path: &str) -> Request<()> {
    let request = Request::builder().method(method).uri(format!("http://api{path}"));
    request.header("content-type", "application/json").body(()).unwrap()
}

async fn read(answer: ResponseFuture) -> Result<(u16, Value), h2::Error> {
    let answer = timeout(PATIENCE, answer).await.expect("an answer")?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut whole = Vec::new();
    while let Some(data) = timeout(PATIENCE, body.data()).await.expect("more of a body") {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        whole.extend_from_slice(&data);
    }
    Ok((status, serde_json::from_slice(&whole).unwrap_or(Value::Null)))
}

#[tokio::test]
async fn one_port_speaks_both() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let mut streams = Streams::connect(replica.address).await;
    for _ in 0..3 {
        let health = json!({ "status": "ok", "instance": "api-1" });
        assert_eq!(streams.get("/health").await, (200, health.clone()));
        assert_eq!(replica.get("/health").await.json(), health);
    }
    let account = json!({ "email": "ada@example.com", "password": "correct horse", "name": "Ada" });
    assert_eq!(streams.post("/api/auth/register", &account).await.0, 201);
}

#[tokio::test]
async fn a_connection_carries_many_requests_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let mut streams = Streams::connect(replica.address).await;
    streams.get("/health").await;
    assert_eq!(streams.requests.current_max_send_streams(), 256);
    let mut answers = JoinSet::new();
    for _ in 0..200 {
        let (answer, _) = streams.requests.send_request(request("GET", "/api/catalog"), true).unwrap();
        answers.spawn(read(answer));
    }
    for answer in answers.join_all().await {
        let (status, catalog) = answer.unwrap();
        assert_eq!((status, catalog["products"].as_array().unwrap().len()), (200, 20));
    }
}

#[tokio::test]
async fn what_begins_like_a_preface_and_is_none_is_a_request() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let mut client = Client::connect(replica.address).await;
    for piece in [&b"P"[..], b"UT /api/cata", b"log HTTP/1.1\r\nhost: api\r\n\r\n"] {
        client.send(piece).await;
        // By when this is answered the piece has been read.
        assert_eq!(replica.get("/health").await.status, 200);
    }
    assert_eq!(client.receive().await.unwrap().status, 405);
    client.send(&get("/health")).await;
    assert_eq!(client.receive().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_stop_lets_open_requests_finish_and_ends_idle_connections() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let mut idle = Streams::connect(replica.address).await;
    idle.get("/health").await;
    let mut busy = Streams::connect(replica.address).await;
    let (answer, mut sending) =
        busy.requests.send_request(request("POST", "/api/auth/register"), false).unwrap();
    sending.send_data(Bytes::from_static(b"{"), false).unwrap();
    // The connection has been read up to here.
    busy.get("/health").await;

    replica.stop.cancel();
    idle.ended().await.unwrap();
    sending.send_data(Bytes::from_static(b"}"), true).unwrap();
    assert_eq!(read(answer).await.unwrap().0, 422);
    busy.ended().await.unwrap();
    assert!(busy.requests.send_request(request("GET", "/health"), true).is_err());
    assert_eq!(replica.ended().await.unwrap(), Drained { connections_cut: 0 });
}

#[tokio::test]
async fn what_is_open_at_the_deadline_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let drain_deadline = Duration::from_millis(50);
    let replica = Replica::start(Settings { drain_deadline, ..settings(directory.path(), "api-1") }).await;
    let mut busy = Streams::connect(replica.address).await;
    let (answer, mut sending) =
        busy.requests.send_request(request("POST", "/api/auth/register"), false).unwrap();
    sending.send_data(Bytes::from_static(b"{"), false).unwrap();
    busy.get("/health").await;
    assert_eq!(replica.stop().await, Drained { connections_cut: 1 });
    assert!(read(answer).await.is_err());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_alone() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let mut streams = Streams::connect(replica.address).await;
    let mut large = request("GET", "/health");
    large.headers_mut().insert("x-large", "a".repeat(20 << 10).parse().unwrap());
    let (answer, _) = streams.requests.send_request(large, true).unwrap();
    assert_eq!(read(answer).await.unwrap().0, 431);
    assert_eq!(streams.get("/health").await.0, 200);
}

#[tokio::test]
async fn a_client_that_takes_requests_back_as_fast_as_it_makes_them_is_sent_away() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let mut streams = Streams::connect(replica.address).await;
    streams.get("/health").await;
    let flood = async {
        loop {
            for _ in 0..100 {
                let Ok((_, mut sending)) =
                    streams.requests.clone().send_request(request("GET", "/api/catalog"), true)
                else {
                    return;
                };
                sending.send_reset(Reason::CANCEL);
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, flood).await.expect("it is never sent away");
    // It is told why, unless the reset that follows overtakes the words.
    let ended = streams.ended().await.unwrap_err();
    assert!(ended.is_io() || ended.reason() == Some(Reason::ENHANCE_YOUR_CALM), "{ended:?}");
    assert_eq!(replica.get("/health").await.status, 200);
}
