//! Endpoints of which it is found out what they speak.

use std::net::SocketAddr;

use tokio::{net::TcpListener, task::JoinSet};

use super::GET;
use crate::support::{Origin, Recorder, Reply, Setup, StreamRecorder, TestGateway, eventually, ok, within};

const AUTO: &str = "protocol = \"auto\"";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

fn start(endpoint: SocketAddr) -> TestGateway {
    Setup::fronting(&[endpoint]).service(AUTO).start()
}

/// Returns when a request has gone over HTTP/2; until then none fails.
async fn eventually_over_http2(gateway: &TestGateway, origin: &StreamRecorder) {
    within("a request over HTTP/2", async {
        while origin.request_count() == 0 {
            assert_eq!(gateway.exchange(GET).await.text(), "hello");
        }
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_speaks_http2_gets_its_requests_over_that() {
    let origin = StreamRecorder::start().await;
    let gateway = start(origin.address());
    let mut client = gateway.connect().await;
    assert_eq!(client.exchange(POST).await.text(), "hello");
    assert_eq!((origin.alone_count(), origin.request_count()), (1, 0), "nobody waits until it is known");
    eventually_over_http2(&gateway, &origin).await;
    let alone = origin.alone_count();
    for _ in 0..5 {
        assert_eq!(client.exchange(POST).await.text(), "hello");
    }
    assert_eq!((origin.alone_count(), origin.request_count(), origin.connections()), (alone, 6, 1));
}

#[tokio::test]
async fn what_one_worker_finds_out_all_know() {
    let origin = StreamRecorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).service(AUTO).workers(3).start();
    eventually_over_http2(&gateway, &origin).await;
    let alone = origin.alone_count();
    let mut clients = JoinSet::new();
    for _ in 0..30 {
        let mut client = gateway.connect().await;
        clients.spawn(async move {
            assert_eq!(client.exchange(GET).await.text(), "hello");
        });
    }
    clients.join_all().await;
    assert_eq!((origin.alone_count(), origin.request_count()), (alone, 31));
}

#[tokio::test]
async fn an_endpoint_that_speaks_http1_is_asked_once_over_a_connection_of_its_own() {
    type Answer = fn() -> Reply;
    let answers: [Answer; 3] = [
        || Reply::SendAndClose(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec()),
        || Reply::SendAndClose(Vec::new()),
        || Reply::Reset,
    ];
    for answer in answers {
        let origin = Recorder::answering(move |request| match request.start_line() {
            "PRI * HTTP/2.0" => answer(),
            _ => Reply::Send(ok("hello")),
        })
        .await;
        let gateway = start(origin.address());
        let mut client = gateway.connect().await;
        for _ in 0..5 {
            assert_eq!(client.exchange(POST).await.text(), "hello");
        }
        eventually("a question", || origin.request_count() == 6).await;
        eventually("its end", || origin.connections_open() == 1).await;
        // More connections, and no more questions.
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let mut client = gateway.connect().await;
            clients.spawn(async move {
                assert_eq!(client.exchange(GET).await.text(), "hello");
            });
        }
        clients.join_all().await;
        let lines = origin.start_lines();
        assert_eq!(lines.iter().filter(|line| line.starts_with("PRI ")).count(), 1, "{lines:?}");
        assert_eq!(lines.len(), 14, "{lines:?}");
        assert_eq!(gateway.totals(origin.address()).failures, 0);
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_the_question_goes_on_over_http1() {
    let origin = Recorder::answering(|request| match request.start_line() {
        "PRI * HTTP/2.0" => Reply::Silence,
        _ => Reply::Send(ok("hello")),
    })
    .await;
    let gateway = start(origin.address());
    let mut client = gateway.connect().await;
    assert_eq!(client.exchange(GET).await.text(), "hello");
    eventually("the question", || origin.request_count() >= 2).await;
    eventually("its end", || origin.connections_open() == 1).await;
    assert_eq!(client.exchange(GET).await.text(), "hello");
    let lines = origin.start_lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("GET ")).count(), 2, "{lines:?}");
}

/// The port of an origin that has closed.
async fn port_again(address: SocketAddr) -> TcpListener {
    within("the port", async {
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => return listener,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_endpoint_that_is_replaced_by_one_of_http1_gets_every_request_once() {
    let streams = StreamRecorder::start().await;
    let gateway = start(streams.address());
    eventually_over_http2(&gateway, &streams).await;
    let mut client = gateway.connect().await;
    let address = streams.address();
    streams.close().await;
    let origin = Recorder::answering_on(port_again(address).await, |request| match request.start_line() {
        "PRI * HTTP/2.0" => Reply::SendAndClose(Vec::new()),
        _ => Reply::Send(ok("again")),
    });
    // Its end has been noticed by then.
    eventually("no connection", || gateway.totals(address).connections == 0).await;
    for sent in [POST, GET, POST] {
        assert_eq!(client.exchange(sent).await.text(), "again");
    }
    let lines = origin.start_lines();
    let expected = ["PRI * HTTP/2.0", "POST / HTTP/1.1", "GET / HTTP/1.1", "POST / HTTP/1.1"];
    assert_eq!(lines, expected);
    assert_eq!(gateway.totals(address).failures, 0);
}

#[tokio::test]
async fn an_endpoint_that_takes_no_connection_is_asked_when_it_does() {
    let other = StreamRecorder::start().await;
    let silent = Origin::listen().await;
    let address = silent.address();
    drop(silent);
    let setup = Setup::fronting(&[address, other.address()]).service(AUTO);
    let gateway = setup.service("passive_health = { max_fails = 0 }").start();
    for _ in 0..4 {
        assert_eq!(gateway.exchange(POST).await.text(), "hello");
    }
    assert_eq!(gateway.totals(address).failures, 2);
    let back = StreamRecorder::on(port_again(address).await);
    eventually_over_http2(&gateway, &back).await;
}
