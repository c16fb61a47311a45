//! How many writes many requests take. Which bytes these are, the tests over sockets tell.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use phalanx_balance::Weight;
use phalanx_config::{EndpointLimits, Role};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    runtime::{Builder, LocalOptions},
    task::JoinSet,
};

use super::*;
use crate::table::{EndpointSettings, Reports};

const REQUESTS: usize = 64;

/// A connection that counts what is written to it.
struct CountedWrites {
    stream: DuplexStream,
    writes: Rc<Cell<usize>>,
}

impl AsyncRead for CountedWrites {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, space)
    }
}

impl AsyncWrite for CountedWrites {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.set(self.writes.get() + 1);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[test]
fn requests_that_begin_in_one_turn_share_writes() {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    let writes = runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let mut tasks = JoinSet::new();
        tasks.spawn_local(answer_all(theirs));
        let writes = Rc::new(Cell::new(0));
        let pool = standing(CountedWrites { stream: ours, writes: writes.clone() }, &mut tasks).await;
        writes.set(0);
        let mut requests = JoinSet::new();
        for _ in 0..REQUESTS {
            requests.spawn_local(request(pool.clone()));
        }
        while let Some(ended) = requests.join_next().await {
            ended.unwrap();
        }
        writes.get()
    });
    assert!(writes <= REQUESTS / 8, "{writes} writes for {REQUESTS} requests");
}

/// A pool with one connection, which runs among `tasks`.
async fn standing(stream: CountedWrites, tasks: &mut JoinSet<()>) -> Rc<Multiplex> {
    let counters = Arc::new(EndpointCounters::default());
    let endpoint = Arc::new(Endpoint::new(EndpointSettings {
        address: "127.0.0.1:1".parse().unwrap(),
        weight: Weight::ONE,
        role: Role::Primary,
        limits: EndpointLimits::default(),
        reports: Reports::Nothing,
    }));
    let pool = Rc::new(Multiplex::new(endpoint, counters.clone(), Trust::Configured));
    let deadlines = Deadlines::new(clock::now());
    let (connection, task) = connection::establish(stream, counters, &deadlines).await.unwrap();
    pool.connections.borrow_mut().push(connection);
    let running = pool.clone();
    tasks.spawn_local(async move { task.run(&running, &deadlines, &deadlines.deadline()).await });
    pool
}

async fn request(pool: Rc<Multiplex>) {
    let mut lease = pool.room(Repeatable::Yes, Duration::ZERO).expect("there is room");
    let head = http::Request::get("http://a/").body(()).unwrap();
    let (response, _) = lease.send(head, BodyFollows::No).unwrap();
    assert_eq!(response.await.unwrap().status(), 204);
}

async fn answer_all(stream: DuplexStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut response))) = connection.accept().await {
        response.send_response(http::Response::builder().status(204).body(()).unwrap(), true).unwrap();
    }
}
