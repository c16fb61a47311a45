//! A replica that counts, so that a test can prove that no `POST` is lost and none is done twice.
//!
//! * `POST /` appends the line that is its body to the file that `COUNTED` in the environment names, in one write, and only then
//!   answers, with that line;
//! * `GET /` tells who answers; `/ready` is 200.
//!
//! An answer comes after as many milliseconds as `PACE` in the environment says, that to a `POST` so long after its line. The
//! program listens on 127.0.0.1 and `PORT`, over HTTP/1.1 and h2c. On TERM it finishes what it has begun, and ends.

use std::{
    env,
    error::Error,
    fs::{File, OpenOptions},
    io::Write as _,
    sync::Arc,
    time::Duration,
};

use axum::{Router, extract::State, routing::get};
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
    let routes = Router::new()
        .route("/", get(tell).post(count))
        .route("/ready", get(async || {}))
        .with_state(Arc::new(counter));
    let until_term = async move {
        term.recv().await;
    };
    axum::serve(listener, routes).with_graceful_shutdown(until_term).await?;
    Ok(())
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
