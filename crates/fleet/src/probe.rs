//! One probe of one replica: a connection, or a `GET` and the status of its answer.
//!
//! Only the status line is read, and never more than [`STATUS_LINE_BYTES_MAX`] for it: a replica that answers without end
//! costs nothing. Elsewhere: what a row of answers amounts to (`crate::life`).

use std::{fmt, io, net::SocketAddr, str, time::Duration};

use phalanx_config::Probe;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A status line is some 20 bytes; the rest is room for a reason phrase.
const STATUS_LINE_BYTES_MAX: usize = 512;

/// Why a probe was not answered as it should be; its text is what the user is told as the last answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("connection refused")]
    Refused,
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("an answer that is not HTTP/1")]
    NotHttp,
    #[error("the connection was closed without an answer")]
    Closed,
    #[error("{0}")]
    Io(io::Error),
}

/// What a probe asks for: "GET /ready".
pub(crate) struct Asked<'a>(pub(crate) &'a Probe);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.path {
            Some(path) => write!(formatter, "GET {path}"),
            None => formatter.write_str("connect"),
        }
    }
}

/// Probes once.
pub(crate) async fn probe(address: SocketAddr, probe: &Probe) -> Result<(), ProbeError> {
    let attempt = async {
        let connection = TcpStream::connect(address).await?;
        match &probe.path {
            Some(path) => get(connection, address, path).await,
            None => Ok(()),
        }
    };
    timeout(probe.timeout, attempt).await.unwrap_or(Err(ProbeError::Silent(probe.timeout)))
}

async fn get(mut connection: TcpStream, address: SocketAddr, path: &str) -> Result<(), ProbeError> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: phalanx-probe\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await?;
    let mut line = Vec::with_capacity(STATUS_LINE_BYTES_MAX);
    let mut answer = connection.take(STATUS_LINE_BYTES_MAX as u64);
    while !line.contains(&b'\n') {
        if answer.read_buf(&mut line).await? == 0 {
            return Err(if line.is_empty() { ProbeError::Closed } else { ProbeError::NotHttp });
        }
    }
    match status(&line).ok_or(ProbeError::NotHttp)? {
        200..400 => Ok(()),
        status => Err(ProbeError::Status(status)),
    }
}

/// The status in a line such as `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    let (digits, after) = rest.split_first_chunk::<3>()?;
    let ends = matches!(after.first(), Some(b' ' | b'\r' | b'\n'));
    let status = str::from_utf8(digits).ok()?.parse().ok()?;
    (ends && (100..600).contains(&status)).then_some(status)
}

impl From<io::Error> for ProbeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                Self::Closed
            }
            _ => Self::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn the_status_is_read_from_an_http_1_status_line_only() {
        for (line, expected) in [
            ("HTTP/1.1 200 OK\r\n", Some(200)),
            ("HTTP/1.0 503\r\n", Some(503)),
            ("HTTP/1.1 404\n", Some(404)),
            ("HTTP/1.1 2000 OK\r\n", None),
            ("HTTP/1.1 +20 OK\r\n", None),
            ("HTTP/1.1 099 OK\r\n", None),
            ("HTTP/2 200 OK\r\n", None),
            ("SSH-2.0-OpenSSH_9.9\r\n", None),
            ("\n", None),
        ] {
            assert_eq!(status(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[tokio::test]
    async fn a_probe_tells_what_it_found() {
        let endless = "x".repeat(4 * STATUS_LINE_BYTES_MAX);
        for (answer, expected) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", "ok"),
            ("HTTP/1.1 302 Found\r\n\r\n", "ok"),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP status 503"),
            ("HTTP/1.1 100 Continue\r\n\r\n", "HTTP status 100"),
            ("", "the connection was closed without an answer"),
            ("220 mail ready\r\n", "an answer that is not HTTP/1"),
            (&endless, "an answer that is not HTTP/1"),
        ] {
            let found =
                probe(listener_that_answers(answer), &probe_of(Some("/ready"), Duration::from_secs(30)))
                    .await;
            assert_eq!(
                found.map_or_else(|error| error.to_string(), |()| "ok".to_owned()),
                expected,
                "{answer:.40}"
            );
        }
    }

    #[tokio::test]
    async fn without_a_path_an_accepted_connection_is_enough() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(probe(address, &probe_of(None, Duration::from_secs(30))).await.is_ok());
        drop(listener);
        assert!(matches!(
            probe(address, &probe_of(None, Duration::from_secs(30))).await,
            Err(ProbeError::Refused)
        ));
    }

    #[tokio::test]
    async fn silence_ends_with_the_timeout() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let rules = probe_of(Some("/ready"), Duration::from_millis(10));
        let found = probe(listener.local_addr().unwrap(), &rules).await.unwrap_err();
        assert_eq!(found.to_string(), "no answer within 10ms");
    }

    fn probe_of(path: Option<&str>, timeout: Duration) -> Probe {
        let path = path.map(str::to_owned);
        Probe {
            path,
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(1),
            timeout,
            success: 1,
            failure: 3,
        }
    }

    fn listener_that_answers(answer: &str) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = answer.to_owned();
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            assert!(request.starts_with(b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1:"), "{request:?}");
            let _ = connection.write_all(answer.as_bytes());
        });
        address
    }
}
