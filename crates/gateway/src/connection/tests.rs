//! Connections on which time passes without anybody waiting for it: the deadlines of their worker are swept by hand.

use std::time::Instant;

use phalanx_config::Config;
use phalanx_telemetry::clock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::yield_now,
};

use super::*;
use crate::client_places::{Admitted, ClientPlaces};

const ROUTES: &str = "[[route]]\npath = \"/\"\nrespond = { body = \"healthy\" }";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// No scene takes time.
const PATIENCE: Duration = Duration::from_secs(20);
/// How late a deadline is met at most: by two ticks.
const LATE_MAX: Duration = Duration::from_millis(200);

/// A client and the clock of the worker that serves it.
struct Scene {
    worker: Rc<Worker>,
    began: Instant,
    client: TcpStream,
}

impl Scene {
    /// Plays `scene` while the connection is served.
    async fn play(scene: impl AsyncFnOnce(&mut Self)) {
        let began = clock::now();
        let config = Config::parse("phalanx.toml", ROUTES, &|_| None).unwrap();
        let worker = Worker::at_rest(&config.routes, began);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let Admitted::Client(place) = ClientPlaces::new(None).admit() else {
            panic!("there is room for one")
        };
        let serving = serve(worker.clone(), stream, peer, place);
        let mut played = Self { worker, began, client };
        let playing = async {
            scene(&mut played).await;
            // Whoever is still served would be for ever.
            drop(played);
        };
        let both = tokio::time::timeout(PATIENCE, async { tokio::join!(serving, playing) });
        both.await.expect("the scene ends, and with it the connection");
    }

    /// Lets the clock stand at so much after the beginning, once all that was sent has been looked at, and everybody hear of
    /// it.
    async fn at(&self, elapsed: Duration) {
        settle().await;
        self.worker.deadlines.sweep(self.began + elapsed);
        settle().await;
    }

    async fn answer(&mut self) -> String {
        let mut received = Vec::new();
        while !received.ends_with(b"healthy") {
            assert!(self.client.read_buf(&mut received).await.unwrap() > 0, "the connection is closed");
        }
        String::from_utf8(received).unwrap()
    }

    async fn exchange(&mut self) {
        self.client.write_all(GET).await.unwrap();
        assert!(self.answer().await.starts_with("HTTP/1.1 200 OK\r\n"));
    }

    fn is_open(&self) -> bool {
        let mut byte = [0];
        self.client.try_read(&mut byte).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// Lets everybody do what is to be done.
async fn settle() {
    for _ in 0..8 {
        yield_now().await;
    }
}

/// S04
#[tokio::test]
async fn an_idle_connection_is_closed_in_order_when_its_time_is_up() {
    Scene::play(async |scene| {
        scene.exchange().await;
        let idle_from = Duration::from_secs(1);
        scene.at(idle_from).await;
        scene.at(idle_from + IDLE_MAX).await;
        assert!(scene.is_open(), "closed early");
        scene.at(idle_from + IDLE_MAX + LATE_MAX).await;
        // An end and no reset: whatever was said before it arrives.
        assert_eq!(scene.client.read(&mut [0]).await.unwrap(), 0);
        // A request that crosses it has no answer, so its client knows to ask again.
        let _ = scene.client.write_all(GET).await;
        assert!(matches!(scene.client.read(&mut [0]).await, Ok(0) | Err(_)));
    })
    .await;
}

/// S04
#[tokio::test]
async fn a_request_that_is_here_when_the_time_is_up_is_answered() {
    Scene::play(async |scene| {
        scene.exchange().await;
        let idle_from = Duration::from_secs(1);
        scene.at(idle_from).await;
        scene.client.write_all(GET).await.unwrap();
        // In the kernel, and not yet looked at.
        scene.worker.deadlines.sweep(scene.began + idle_from + IDLE_MAX + LATE_MAX);
        assert!(scene.answer().await.starts_with("HTTP/1.1 200 OK\r\n"));
    })
    .await;
}

#[tokio::test]
async fn a_request_makes_the_time_begin_anew() {
    Scene::play(async |scene| {
        for minute in 1..=5 {
            scene.exchange().await;
            scene.at(Duration::from_mins(minute)).await;
            assert!(scene.is_open(), "closed after {minute} minutes");
        }
    })
    .await;
}

/// S01, for a connection that has said nothing at all.
#[tokio::test]
async fn a_connection_that_says_nothing_has_the_time_of_a_head() {
    Scene::play(async |scene| {
        scene.at(HEAD_TIMEOUT).await;
        assert!(scene.is_open(), "closed early");
        scene.at(HEAD_TIMEOUT + LATE_MAX).await;
        assert_eq!(scene.client.read(&mut [0]).await.unwrap(), 0);
    })
    .await;
}

/// S01: a byte now and then does not give a head more time.
#[tokio::test]
async fn a_head_that_trickles_in_is_a_408() {
    Scene::play(async |scene| {
        for (second, byte) in (1..10).zip(GET.chunks(1)) {
            scene.client.write_all(byte).await.unwrap();
            scene.at(Duration::from_secs(second)).await;
            assert!(scene.is_open(), "answered after {second} s");
        }
        scene.at(HEAD_TIMEOUT + LATE_MAX).await;
        let mut answer = Vec::new();
        scene.client.read_buf(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 408 Request Timeout\r\n"), "{}", answer.escape_ascii());
    })
    .await;
}

/// A body that was not wanted, and does not come either.
#[tokio::test]
async fn a_body_that_is_to_be_skipped_has_its_time() {
    Scene::play(async |scene| {
        scene.client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").await.unwrap();
        assert!(!scene.answer().await.contains("Connection: close"));
        scene.at(Duration::from_secs(10)).await;
        assert!(scene.is_open(), "closed early");
        scene.at(Duration::from_secs(10) + LATE_MAX).await;
        assert_eq!(scene.client.read(&mut [0]).await.unwrap(), 0);
    })
    .await;
}
