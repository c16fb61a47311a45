//! One active check: a `GET` on a connection of its own, so that it also tells whether new connections are possible; or that
//! connection alone.

use std::{io, net::SocketAddr, time::Duration};

use phalanx_http1::{
    FieldSlots, HeadLimits, HeadScan, ResponseFault,
    response::{self, RequestKind},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Why a check did not pass.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckFailure {
    #[error("its check found no connection: {0}")]
    Connect(io::Error),
    #[error("its check lost the connection: {0}")]
    Connection(io::Error),
    #[error("its check got no whole head of a response")]
    Closed,
    #[error("its check got a malformed response: {0}")]
    Malformed(ResponseFault),
    #[error("its check was answered {0}")]
    Status(u16),
    #[error("its check was not answered within {0:?}")]
    Timeout(Duration),
}

/// Passes when a connection stands within `timeout`, and `GET path` on it, if there is a path, is answered with 2xx.
pub(super) async fn check(
    address: SocketAddr,
    path: Option<&str>,
    timeout: Duration,
) -> Result<(), CheckFailure> {
    let checking = async {
        let stream = TcpStream::connect(address).await.map_err(CheckFailure::Connect)?;
        let Some(path) = path else { return Ok(()) };
        match status(stream, address, path).await? {
            200..300 => Ok(()),
            status => Err(CheckFailure::Status(status)),
        }
    };
    tokio::time::timeout(timeout, checking).await.unwrap_or(Err(CheckFailure::Timeout(timeout)))
}

async fn status(mut stream: TcpStream, address: SocketAddr, path: &str) -> Result<u16, CheckFailure> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: phalanx-check\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(CheckFailure::Connection)?;
    let mut received = Vec::new();
    let mut scan = HeadScan::new();
    loop {
        // Bounded: past the limit of a head the parser refuses.
        if stream.read_buf(&mut received).await.map_err(CheckFailure::Connection)? == 0 {
            return Err(CheckFailure::Closed);
        }
        loop {
            let mut slots = FieldSlots::new();
            let parsed =
                response::parse(&received, &mut scan, &mut slots, &HeadLimits::RESPONSE, RequestKind::Other);
            match parsed.map_err(CheckFailure::Malformed)? {
                None => break,
                Some((head, head_bytes)) if head.is_interim() => {
                    received.drain(..head_bytes);
                    scan = HeadScan::new();
                }
                Some((head, _)) => return Ok(head.status),
            }
        }
    }
}
