//! A `GET` and the status of its answer.
//!
//! Only the status line is read, and never more than [`STATUS_LINE_BYTES_MAX`] for it.

use std::{net::SocketAddr, str};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::ProbeError;

/// A status line is some 20 bytes; the rest is room for a reason phrase.
pub(super) const STATUS_LINE_BYTES_MAX: usize = 512;

/// Asks for `path`; 200 to 399 is good.
pub(super) async fn get(address: SocketAddr, path: &str) -> Result<(), ProbeError> {
    let mut connection = TcpStream::connect(address).await?;
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

#[cfg(test)]
mod tests {
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
}
