//! The least that a program has to do to be run by Phalanx: listen on `PORT`, and answer its probe.
//!
//! With `READY_FILE` in the environment it is ready while that file exists.

use std::{
    env, io,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
};

fn main() -> io::Result<()> {
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).expect("PORT is a port");
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {port}");
    loop {
        let (connection, _) = listener.accept()?;
        // A client that goes away is its own affair.
        let _ = answer(connection);
    }
}

fn answer(mut connection: TcpStream) -> io::Result<()> {
    let mut request = BufReader::new(connection.try_clone()?).lines();
    let first = request.next().transpose()?.unwrap_or_default();
    for line in request {
        if line?.is_empty() {
            break;
        }
    }
    let ready = env::var_os("READY_FILE").is_none_or(|file| Path::new(&file).exists());
    let status = if ready { "200 OK" } else { "503 Service Unavailable" };
    println!("{first}: {status}");
    write!(connection, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}
