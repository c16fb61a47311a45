//! One keep-alive connection: a request, its answer to the last byte, and only then the next.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Target,
    response::{Fault, Head},
};

/// A response head must fit; bodies pass through.
const BUFFER_BYTES: usize = 32 * 1024;

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    request: Arc<[u8]>,
    body_bytes: u64,
    buffer: Box<[u8]>,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(target: &Target) -> io::Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let Target { address, path, fields, .. } = target;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n");
        Ok(Self {
            stream,
            request: request.into_bytes().into(),
            body_bytes: target.body_bytes,
            buffer: vec![0; BUFFER_BYTES].into(),
        })
    }

    /// Sends the request and reads its answer, which is checked.
    pub(super) async fn exchange(&mut self) -> Result<(), Fault> {
        self.stream.write_all(&self.request).await?;
        let (head, received) = self.head().await?;
        let mut missing = head.body_bytes.saturating_add(head.head_bytes as u64).checked_sub(received as u64);
        while let Some(1..) = missing {
            let read = read(&mut self.stream, &mut self.buffer).await?;
            missing = missing.and_then(|missing| missing.checked_sub(read as u64));
        }
        if missing.is_none() {
            return Err(Fault::Excess);
        }
        head.check(self.body_bytes)
    }

    /// The head, and how many bytes came by then.
    async fn head(&mut self) -> Result<(Head, usize), Fault> {
        let mut received = 0;
        loop {
            let free = &mut self.buffer[received..];
            if free.is_empty() {
                return Err(Fault::Framing);
            }
            received += read(&mut self.stream, free).await?;
            if let Some(head) = Head::parse(&self.buffer[..received])? {
                return Ok((head, received));
            }
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize, Fault> {
    match stream.read(buffer).await? {
        0 => Err(Fault::Closed),
        read => Ok(read),
    }
}
