//! A server, or somebody between, that does not keep to the protocol.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use phalanx_test_servers::{Postgres, Settings as Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{assert_unavailable, eventually, registered, settings};
use crate::{client::get, replica::Replica};

/// Rows that are none: more columns than the message has bytes for, a column past its end, a negative length, a message shorter
/// than its own length, and no message at all.
const ANSWERS: [&[u8]; 5] = [
    b"D\x00\x00\x00\x06\xff\xff",
    b"D\x00\x00\x00\x0a\x00\x01\x7f\xff\xff\xff",
    b"D\x00\x00\x00\x0a\x00\x01\xff\xff\xff\xfe",
    b"D\x00\x00\x00\x02",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
];

/// Carries bytes between clients and a server, and answers in the server's place while it is told to.
struct Meddler {
    address: SocketAddr,
    meddles: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Meddler {
    async fn before(server: SocketAddr, answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let meddles = Arc::new(AtomicBool::new(false));
        let (mut tasks, flag) = (JoinSet::new(), Arc::clone(&meddles));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, server, answer, Arc::clone(&flag)));
            }
        });
        Self { address, meddles, _tasks: tasks }
    }
}

async fn carry(client: TcpStream, server: SocketAddr, answer: &'static [u8], meddles: Arc<AtomicBool>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let there = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(drop) };
    let back = async {
        let mut bytes = [0; 16 * 1024];
        loop {
            let count = from_server.read(&mut bytes).await?;
            if count == 0 {
                return Ok::<_, std::io::Error>(());
            }
            let answer = if meddles.load(Ordering::Relaxed) { answer } else { &bytes[..count] };
            to_client.write_all(answer).await?;
        }
    };
    // One side that ends ends both.
    tokio::select! {
        _ = there => {}
        _ = back => {}
    }
}

/// D04.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_no_answer_is_an_error_and_heals() {
    let server = Postgres::start(Server::default());
    // Each of them costs a start: the others are tried below.
    for answer in ANSWERS.into_iter().step_by(2) {
        let meddler = Meddler::before(([127, 0, 0, 1], server.port()).into(), answer).await;
        let url = server.url().replacen(
            &format!(":{}/", server.port()),
            &format!(":{}/", meddler.address.port()),
            1,
        );
        // An answer that promises more than comes is waited for until its statement is overdue.
        let variables = [
            ("DATABASE_URL", &*url),
            ("DATABASE_CONNECT_TIMEOUT", "2s"),
            ("DATABASE_STATEMENT_TIMEOUT", "500ms"),
        ];
        let replica = Replica::start(settings("api-1", &variables)).await;
        let email = format!("ada-{}@example.com", meddler.address.port());
        let id = registered(&replica, &email).await;
        let user = get(&format!("/api/users/{id}"));
        meddler.meddles.store(true, Ordering::Relaxed);
        assert_unavailable(&replica.exchange(&user).await);
        assert_eq!(replica.get("/livez").await.status, 200);
        meddler.meddles.store(false, Ordering::Relaxed);
        eventually(&replica, &user, |answer| answer.status == 200).await;
        replica.stop().await;
    }
}

/// D04 at the start: the replica ends with an error that names the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_makes_sense_is_named_at_the_start() {
    let server = Postgres::start(Server::default());
    for answer in ANSWERS {
        let meddler = Meddler::before(([127, 0, 0, 1], server.port()).into(), answer).await;
        meddler.meddles.store(true, Ordering::Relaxed);
        let url = format!("postgres://phalanx:secret@{}/postgres", meddler.address);
        let variables = [("DATABASE_URL", &*url), ("DATABASE_CONNECT_TIMEOUT", "1s")];
        let error = Replica::start(settings("api-1", &variables)).await.ended().await.unwrap_err();
        assert_eq!(error.blame(), phalanx_api::Blame::Dependency);
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        assert!(text.contains(&meddler.address.to_string()), "{text}");
    }
}
