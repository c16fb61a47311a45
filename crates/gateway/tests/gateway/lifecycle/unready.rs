//! Endpoints that hang: whoever waits there and may be sent again goes elsewhere when they are found not to be ready (B04).

use std::net::SocketAddr;

use phalanx_gateway::Withdrawal;

use super::GET;
use crate::support::{Origin, Peer, Recorder, Reply, Setup, StreamOrigin, TestGateway, eventually, ok};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

/// A gateway in front of replicas, and of an endpoint that never answers, where a request fails after a while.
struct Clocked {
    gateway: TestGateway,
    _silent: Recorder,
}

impl Clocked {
    async fn start(setup: Setup) -> Self {
        let silent = Recorder::answering(|_| Reply::Silence).await;
        let tables = format!(
            "[[route]]\npath = \"/clock\"\nservice = \"clock\"\ntimeouts = {{ read = \"300ms\" }}\n[service.clock]\nendpoints = [{{ address = \"{}\" }}]",
            silent.address()
        );
        Self { gateway: setup.tables(&tables).start(), _silent: silent }
    }

    /// Returns when the worker has looked at every request that waits, more than once.
    async fn some_time(&self) {
        let answer = self.gateway.exchange("GET /clock HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(answer.status(), 504);
    }

    async fn waiting_at(&self, endpoint: SocketAddr, request: &str) -> Peer {
        let before = self.gateway.totals(endpoint).in_flight;
        let mut client = self.gateway.connect().await;
        client.send(request).await;
        eventually("the attempt", || self.gateway.totals(endpoint).in_flight == before + 1).await;
        client
    }
}

#[tokio::test]
async fn what_may_be_sent_again_leaves_and_the_rest_goes_on_waiting() {
    let (hanging, other) = (Origin::listen().await, Recorder::start().await);
    let clocked = Clocked::start(Setup::of_replicas()).await;
    let gateway = &clocked.gateway;
    gateway.admit(hanging.address()).await;
    let mut posting = clocked.waiting_at(hanging.address(), POST).await;
    let (mut endpoint, _) = hanging.accept_request().await;
    let mut getting = clocked.waiting_at(hanging.address(), GET).await;
    let mut putting = clocked.waiting_at(hanging.address(), PUT).await;
    gateway.admit(other.address()).await;
    gateway.withdraw_as(hanging.address(), Withdrawal::Unready).await;
    for client in [&mut getting, &mut putting] {
        assert_eq!(client.response().await.text(), "hello");
    }
    assert_eq!(other.requests()[1].text(), "hello", "its body came along");

    clocked.some_time().await;
    endpoint.send(ok("late")).await;
    assert_eq!(posting.response().await.text(), "late");
    let mut lines = other.start_lines();
    lines.sort();
    assert_eq!(lines, ["GET / HTTP/1.1", "PUT / HTTP/1.1"]);
}

#[tokio::test]
async fn a_stream_leaves_too_and_is_cancelled() {
    let (hanging, other) = (StreamOrigin::listen().await, StreamOrigin::listen().await);
    let gateway = Setup::of_replicas().service("protocol = \"h2c\"").start();
    gateway.admit(hanging.address()).await;
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (mut connection, mut left) = hanging.accept_request().await;
    let mut posting = gateway.connect().await;
    posting.send(POST).await;
    let mut posted = connection.request().await;
    gateway.admit(other.address()).await;
    gateway.withdraw_as(hanging.address(), Withdrawal::Unready).await;
    let (_connection, mut request) = other.accept_request().await;
    request.answer("other");
    assert_eq!(client.response().await.text(), "other");
    assert_eq!(left.cancelled().await, h2::Reason::CANCEL);
    posted.answer("late");
    assert_eq!(posting.response().await.text(), "late");
}

#[tokio::test]
async fn whoever_drains_keeps_what_it_has() {
    for reason in [Withdrawal::Stopping, Withdrawal::Ended] {
        let (leaving, other) = (Origin::listen().await, Recorder::start().await);
        let clocked = Clocked::start(Setup::of_replicas()).await;
        let gateway = &clocked.gateway;
        gateway.admit(leaving.address()).await;
        let mut client = clocked.waiting_at(leaving.address(), GET).await;
        let (mut endpoint, _) = leaving.accept_request().await;
        gateway.admit(other.address()).await;
        gateway.withdraw_as(leaving.address(), reason).await;
        clocked.some_time().await;
        endpoint.send(ok("done")).await;
        assert_eq!(client.response().await.text(), "done");
        assert_eq!(other.connections(), 0);
    }
}

#[tokio::test]
async fn whoever_has_begun_to_answer_or_has_no_other_is_waited_for() {
    // One that has told a part of its head; one whose route has no other attempts; one without others.
    for (part, key, others) in
        [("HTTP/1.1 200 OK\r\n", "", 1), ("", "retry = { attempts = 1 }", 1), ("", "", 0)]
    {
        let (hanging, other) = (Origin::listen().await, Recorder::start().await);
        let clocked = Clocked::start(Setup::of_replicas().route(key)).await;
        let gateway = &clocked.gateway;
        gateway.admit(hanging.address()).await;
        let mut client = clocked.waiting_at(hanging.address(), GET).await;
        let (mut endpoint, _) = hanging.accept_request().await;
        endpoint.send(part).await;
        for _ in 0..others {
            gateway.admit(other.address()).await;
        }
        gateway.withdraw_as(hanging.address(), Withdrawal::Unready).await;
        clocked.some_time().await;
        endpoint.send(&ok("late")[part.len()..]).await;
        assert_eq!(client.response().await.text(), "late");
        assert_eq!(other.connections(), 0);
    }
}

#[tokio::test]
async fn whoever_has_no_other_leaves_as_soon_as_there_is_one() {
    let (hanging, other) = (Origin::listen().await, Recorder::start().await);
    let clocked = Clocked::start(Setup::of_replicas()).await;
    clocked.gateway.admit(hanging.address()).await;
    let mut client = clocked.waiting_at(hanging.address(), GET).await;
    clocked.gateway.withdraw_as(hanging.address(), Withdrawal::Unready).await;
    clocked.some_time().await;
    clocked.gateway.admit(other.address()).await;
    assert_eq!(client.response().await.text(), "hello");
}

#[tokio::test]
async fn no_more_leave_than_the_budget_allows() {
    // Ten for each of ten seconds are free, and the requests earn none.
    const FREE: usize = 100;
    const MORE: usize = 20;
    let (hanging, other) = (Recorder::answering(|_| Reply::Silence).await, Recorder::start().await);
    let clocked = Clocked::start(Setup::of_replicas().route("retry = { budget = 0 }")).await;
    clocked.gateway.admit(hanging.address()).await;
    let mut clients = Vec::new();
    for _ in 0..FREE + MORE {
        clients.push(clocked.waiting_at(hanging.address(), GET).await);
    }
    clocked.gateway.admit(other.address()).await;
    clocked.gateway.withdraw_as(hanging.address(), Withdrawal::Unready).await;
    eventually("those for whom it does not do", || clocked.gateway.shed("retry_budget") == MORE as u64).await;
    eventually("the others", || other.request_count() >= FREE).await;
}
