//! A service that does as much as it is told: it listens on `PORT`, at once or after a while, and answers whatever it is asked with
//! 200, at once or after work that it does for one request at a time.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context;

/// What it answers.
pub(super) const BODY: &str = "done\n";

/// What the service takes its time for.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Before it listens, in milliseconds
    #[arg(long, default_value_t = 0)]
    boot: u64,
    /// For each request, in milliseconds; it does one at a time
    #[arg(long, default_value_t = 0)]
    work: u64,
}

/// Serves until it is ended by a signal.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let port: u16 = env::var("PORT").context("read PORT")?.parse().context("parse PORT")?;
    thread::sleep(Duration::from_millis(options.boot));
    let listener = TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("listen on {port}"))?;
    let (work, worker) = (Duration::from_millis(options.work), Arc::<Mutex<()>>::default());
    for connection in listener.incoming() {
        let (connection, worker) = (connection?, Arc::clone(&worker));
        // A client that goes away, as one that only connects does, is its own affair.
        thread::spawn(move || answer(connection, work, &worker));
    }
    Ok(())
}

fn answer(mut connection: TcpStream, work: Duration, worker: &Mutex<()>) -> anyhow::Result<()> {
    let length = BODY.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{BODY}");
    // A request without a body ends with an empty line.
    for line in BufReader::new(connection.try_clone()?).lines() {
        let line = line?;
        let is_probe = line.starts_with("GET /ready ");
        if line.is_empty() {
            {
                let _working = worker.lock().unwrap_or_else(PoisonError::into_inner);
                thread::sleep(work);
            }
            connection.write_all(answer.as_bytes())?;
        } else if is_probe {
            // Whoever asks whether it is ready does not wait behind those who want something done.
            connection.write_all(answer.as_bytes())?;
            break;
        }
    }
    Ok(())
}
