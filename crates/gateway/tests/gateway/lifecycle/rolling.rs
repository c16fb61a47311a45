//! Rolling updates: replicas are replaced one after the other under load, each closed without a word in the moment in which it
//! has drained. No request fails, and no `POST` reaches two of them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{Peer, Recorder, Setup, StreamRecorder, eventually, within};

const CLIENTS: usize = 6;
const REPLICAS: usize = 3;
const ROUNDS: usize = 40;

/// What a replica speaks.
#[derive(Clone, Copy, Debug)]
enum Speaks {
    Http1,
    H2c,
}

enum Replica {
    Http1(Recorder),
    H2c(StreamRecorder),
}

impl Replica {
    async fn start(speaks: Speaks) -> Self {
        match speaks {
            Speaks::Http1 => Self::Http1(Recorder::start().await),
            Speaks::H2c => Self::H2c(StreamRecorder::start().await),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Http1(replica) => replica.address(),
            Self::H2c(replica) => replica.address(),
        }
    }

    /// Closes the port and all connections; the numbers of the posts that it got.
    async fn close(self) -> Vec<usize> {
        let requests = match self {
            Self::Http1(replica) => replica.start_lines(),
            Self::H2c(replica) => {
                let requests = replica.requests();
                replica.close().await;
                requests
            }
        };
        let number = |request: &String| {
            let target = request.strip_prefix("POST ")?.split_whitespace().next()?;
            target.rsplit('/').next()?.parse().ok()
        };
        requests.iter().filter_map(number).collect()
    }
}

/// What all clients share.
#[derive(Clone, Default)]
struct Load {
    served: Arc<AtomicUsize>,
    posts: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Load {
    /// One client, request after request over one connection; every one must succeed.
    async fn client(self, gateway: SocketAddr) {
        let mut client = Peer::connect(gateway).await;
        while !self.stop.is_cancelled() {
            let post = self.posts.fetch_add(1, Ordering::Relaxed);
            let post = format!("POST /{post} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
            for request in [&post, super::GET] {
                let answer = client.exchange(request).await;
                assert_eq!((answer.status(), answer.closes()), (200, false), "{request}{answer:?}");
                self.served.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Returns when so many more were served.
    async fn serves(&self, more: usize) {
        let before = self.served.load(Ordering::Relaxed);
        eventually("requests", || self.served.load(Ordering::Relaxed) >= before + more).await;
    }
}

async fn check(speaks: Speaks, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let protocol = match speaks {
        Speaks::Http1 => "protocol = \"http1\"",
        Speaks::H2c => "protocol = \"h2c\"",
    };
    let gateway = Setup::of_replicas().service(protocol).workers(2).start();
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        let replica = Replica::start(speaks).await;
        gateway.admit(replica.address()).await;
        replicas.push(replica);
    }
    let load = Load::default();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(load.clone().client(gateway.address));
    }
    let mut posts = Vec::new();
    for _ in 0..ROUNDS {
        let next = Replica::start(speaks).await;
        let surges = random.bool();
        if surges {
            gateway.admit(next.address()).await;
        }
        let last = replicas.swap_remove(random.usize(..replicas.len()));
        gateway.withdraw(last.address()).await;
        gateway.drained(last.address()).await;
        posts.extend(last.close().await);
        if !surges {
            gateway.admit(next.address()).await;
        }
        replicas.push(next);
        load.serves(random.usize(..3 * CLIENTS)).await;
    }
    load.stop.cancel();
    while let Some(ended) = within("the clients", clients.join_next()).await {
        ended.unwrap_or_else(|error| panic!("{speaks:?}, seed {seed}: {error}"));
    }
    for replica in replicas {
        posts.extend(replica.close().await);
    }
    let mut times = BTreeMap::<usize, usize>::new();
    for post in posts {
        *times.entry(post).or_default() += 1;
    }
    let once: BTreeMap<_, _> = (0..load.posts.load(Ordering::Relaxed)).map(|post| (post, 1)).collect();
    assert_eq!(times, once, "{speaks:?}, seed {seed}");
}

#[tokio::test]
async fn nothing_is_lost_over_http1() {
    for seed in 1..=3 {
        check(Speaks::Http1, seed).await;
    }
}

#[tokio::test]
async fn nothing_is_lost_over_http2() {
    for seed in 1..=3 {
        check(Speaks::H2c, seed).await;
    }
}
