//! A service that does nothing: it listens on `PORT`, and answers whatever it is asked with 200, so that all that is measured is
//! what Phalanx does for it.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
};

use anyhow::Context;

/// Serves until it is ended by a signal.
pub(crate) fn run() -> anyhow::Result<()> {
    let port: u16 = env::var("PORT").context("read PORT")?.parse().context("parse PORT")?;
    let listener = TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("listen on {port}"))?;
    for connection in listener.incoming() {
        // A client that goes away, as one that only connects does, is its own affair.
        let _ = answer(connection?);
    }
    Ok(())
}

fn answer(mut connection: TcpStream) -> anyhow::Result<()> {
    let lines = BufReader::new(connection.try_clone()?).lines();
    for line in lines {
        if line?.is_empty() {
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
            break;
        }
    }
    Ok(())
}
