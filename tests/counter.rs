//! A replica that counts, so that a test can prove that no `POST` is lost and none is done twice.
//!
//! * `POST /` appends the line that is its body to the file that `COUNTED` in the environment names, in one write, and only then
//!   answers, with that line;
//! * `GET /` tells who answers; `/ready` is 200.
//!
//! It also is healthy, to who asks as gRPC does. An answer comes after as many milliseconds as `PACE` in the environment says, that to a `POST` so long after its line. The
//! program listens on 127.0.0.1 and `PORT`, over HTTP/1.1 and h2c, and says so in its first line. On TERM it finishes what it has begun, and ends.

use std::{
    env,
    error::Error,
    fs::{File, OpenOptions},
    io::Write as _,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue},
    routing::{get, post},
};
use http_body_util::{BodyExt as _, Full};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

struct Counter {
    instance: String,
    counted: File,
    pace: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::var("PORT")?.parse()?;
    let counter = Counter {
        instance: env::var("PHALANX_INSTANCE")?,
        counted: OpenOptions::new().append(true).create(true).open(env::var("COUNTED")?)?,
        pace: Duration::from_millis(env::var("PACE").as_deref().unwrap_or("0").parse()?),
    };
    let mut term = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let routes = Router::new()
        .route("/", get(tell).post(count))
        .route("/ready", get(async || {}))
        .route("/grpc.health.v1.Health/Check", post(be_healthy))
        .with_state(Arc::new(counter));
    let until_term = async move {
        term.recv().await;
    };
    axum::serve(listener, routes).with_graceful_shutdown(until_term).await?;
    Ok(())
}

/// The message that says `SERVING`, in its frame, and behind it the status of the call.
async fn be_healthy() -> Body {
    let status = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from(0))]);
    let serving = Full::new(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]));
    Body::new(serving.with_trailers(async { Some(Ok(status)) }))
}

async fn tell(State(counter): State<Arc<Counter>>) -> String {
    counter.work().await;
    counter.instance.clone()
}

async fn count(State(counter): State<Arc<Counter>>, line: String) -> String {
    // One write to a file that is open for appending: replicas that write at the same time do not mix their lines.
    let written = (&counter.counted).write(line.as_bytes()).expect("a line can be appended");
    assert_eq!(written, line.len(), "the whole line in one write");
    counter.work().await;
    line
}

impl Counter {
    async fn work(&self) {
        if !self.pace.is_zero() {
            sleep(self.pace).await;
        }
    }
}
