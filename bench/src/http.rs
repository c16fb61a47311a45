//! The smallest HTTP/1.1 client that can check a server and hold connections open: `GET`, `POST`, `Content-Length`, keep-alive.
//!
//! Elsewhere: load (`crate::wrk`).

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 1024 * 1024;
const HEADERS_MAX: usize = 64;
const NO_CONTENT: u16 = 204;

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    /// The whole body.
    pub(crate) body: String,
}

impl Response {
    /// The first header of that name, in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// One keep-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    stream: TcpStream,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = timeout(ANSWER_TIMEOUT, TcpStream::connect(address)).await.context("connect in time")?;
        Ok(Self { address, stream: stream.context("connect")? })
    }

    /// Sends one request and reads its answer to the end.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Response> {
        self.get_with(path, "").await
    }

    /// The same with further header lines, each with its end.
    pub(crate) async fn get_with(&mut self, path: &str, fields: &str) -> anyhow::Result<Response> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.address);
        timeout(ANSWER_TIMEOUT, self.exchange(&request)).await.context("answer in time")?
    }

    /// A `POST` with a body of JSON.
    pub(crate) async fn post(&mut self, path: &str, json: &str) -> anyhow::Result<Response> {
        self.post_with(path, "", json).await
    }

    /// The same with further header lines, each with its end.
    pub(crate) async fn post_with(
        &mut self,
        path: &str,
        fields: &str,
        json: &str,
    ) -> anyhow::Result<Response> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{fields}\r\n{json}",
            self.address,
            json.len(),
        );
        timeout(ANSWER_TIMEOUT, self.exchange(&request)).await.context("answer in time")?
    }

    async fn exchange(&mut self, request: &str) -> anyhow::Result<Response> {
        self.stream.write_all(request.as_bytes()).await.context("send the request")?;
        let mut received = Vec::new();
        let (mut response, body_start) = loop {
            self.read_more(&mut received).await?;
            if let Some(head) = parse_head(&received)? {
                break head;
            }
            ensure!(received.len() < HEAD_BYTES_MAX, "a response head above {HEAD_BYTES_MAX} bytes");
        };
        let length: usize = match response.header("content-length") {
            // RFC 9110, section 15.3.5: it has no body, and says nothing of its length.
            None if response.status == NO_CONTENT => 0,
            None => bail!("no Content-Length in the response"),
            Some(length) => length.parse().context("parse Content-Length")?,
        };
        ensure!(length <= BODY_BYTES_MAX, "a response body above {BODY_BYTES_MAX} bytes");
        while received.len() < body_start + length {
            self.read_more(&mut received).await?;
        }
        ensure!(received.len() == body_start + length, "bytes after the end of the response");
        response.body = String::from_utf8_lossy(&received[body_start..]).into_owned();
        Ok(response)
    }

    async fn read_more(&mut self, received: &mut Vec<u8>) -> anyhow::Result<()> {
        if self.stream.read_buf(received).await.context("read the response")? == 0 {
            bail!("the connection was closed within a response");
        }
        Ok(())
    }

    /// Whether the peer has neither closed this idle connection nor sent anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.stream.try_read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// One request on a connection of its own.
pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Response> {
    Connection::open(address).await?.get(path).await
}

/// The head, and where the body starts; `None` while the head is incomplete.
fn parse_head(received: &[u8]) -> anyhow::Result<Option<(Response, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body_start) = head.parse(received).context("parse the response head")?
    else {
        return Ok(None);
    };
    let status = head.code.context("no status code")?;
    let text = |header: &httparse::Header<'_>| {
        (header.name.to_owned(), String::from_utf8_lossy(header.value).trim().to_owned())
    };
    let headers = head.headers.iter().map(text).collect();
    Ok(Some((Response { status, headers, body: String::new() }, body_start)))
}
