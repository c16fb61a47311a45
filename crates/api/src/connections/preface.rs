//! Which version of HTTP a client speaks: HTTP/2 begins with bytes that no other request has (RFC 9113, section 3.4).

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
}

/// A connection of which the first bytes have been looked at, and are read again.
pub(super) struct Rewound {
    stream: TcpStream,
    first_bytes: Vec<u8>,
    read_again: usize,
}

impl Rewound {
    /// Waits for as many bytes as it takes to tell what the client speaks.
    pub(super) async fn after_preface(mut stream: TcpStream) -> io::Result<(Self, Spoken)> {
        let mut first_bytes = Vec::with_capacity(PREFACE.len());
        while PREFACE.starts_with(&first_bytes) && first_bytes.len() < PREFACE.len() {
            let left = (PREFACE.len() - first_bytes.len()) as u64;
            if (&mut stream).take(left).read_buf(&mut first_bytes).await? == 0 {
                break;
            }
        }
        let spoken = if first_bytes == PREFACE { Spoken::Http2 } else { Spoken::Http1 };
        Ok((Self { stream, first_bytes, read_again: 0 }, spoken))
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = &self.first_bytes[self.read_again..];
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, space);
        }
        let count = left.len().min(space.remaining());
        space.put_slice(&left[..count]);
        self.read_again += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
