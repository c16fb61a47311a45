//! Buffers, kept by the worker: a connection holds one only while there are bytes in it.
//!
//! An idle connection therefore costs none, and a waiting one neither. Since the buffer given back last is lent first, the
//! requests of all connections go through the same few, which stay in the cache of the core.

use std::{
    cell::RefCell,
    io,
    ops::{Deref, DerefMut},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
};

/// The size of a buffer: the largest head, and what one read takes of a body.
pub(crate) const BUFFER_BYTES: usize = 32 * 1024;
/// What an output buffer begins with: the heads of most messages.
const OUTPUT_BYTES: usize = 4096;
/// Free buffers for reading that a worker keeps; more are given back to the allocator.
const FREE_BUFFERS_MAX: usize = 256;
/// Free buffers for writing that a worker keeps. They are small, and a request that waits for its response holds its head.
const FREE_OUTPUTS_MAX: usize = 512;

/// What can be read from, and tells before a buffer is there whether it may have bytes.
pub(crate) trait Source: AsyncRead + Unpin {
    /// Ready when there may be bytes, or an end.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Source for TcpStream {
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever finds it ready reads at once, and asks in earnest then; only who has to wait needs to be noted here.
        match self.try_io(Interest::READABLE, || Ok(())) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(_) => self.poll_read_ready(context),
        }
    }
}

impl Source for ReadHalf<'_> {
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_ref().poll_readable(context)
    }
}

/// A client to write to, and the socket that tells whether it is still there.
pub(crate) trait Sink: AsyncWrite + Unpin {
    /// The socket.
    fn socket(&self) -> &TcpStream;
}

impl Sink for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Sink for WriteHalf<'_> {
    fn socket(&self) -> &TcpStream {
        self.as_ref()
    }
}

/// One buffer, and which of its bytes are filled.
struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: vec![0; BUFFER_BYTES].into_boxed_slice(), start: 0, end: 0 }
    }

    fn poll_fill(&mut self, source: &mut impl Source, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        debug_assert!(self.end < self.bytes.len(), "a read of no bytes looks like the end of the stream");
        let mut space = ReadBuf::new(&mut self.bytes[self.end..]);
        ready!(Pin::new(source).poll_read(context, &mut space))?;
        let count = space.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }
}

/// The buffers that no connection holds: for reading, and for what is written.
#[derive(Default)]
pub(crate) struct Buffers {
    free: RefCell<Vec<Buffer>>,
    free_output: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// For what a connection receives.
    pub(crate) fn inbox(self: &Rc<Self>) -> Inbox {
        Inbox { buffer: None, owner: self.clone() }
    }

    /// For what a connection is to be sent.
    pub(crate) fn output(self: &Rc<Self>) -> Output {
        Output { bytes: Vec::new(), owner: self.clone() }
    }
}

/// Bytes received and not yet consumed; without any it holds no buffer.
pub(crate) struct Inbox {
    buffer: Option<Buffer>,
    owner: Rc<Buffers>,
}

impl Inbox {
    /// What is there.
    pub(crate) fn filled(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer.bytes[buffer.start..buffer.end])
    }

    /// Gives up the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.filled().len(), "only what is there is consumed");
        if let Some(buffer) = &mut self.buffer {
            buffer.start += count;
        }
        self.release_if_empty();
    }

    /// Reads once; the number of bytes that came, zero at the end of the stream. The bytes that are there leave room.
    pub(crate) fn poll_fill(
        &mut self,
        source: &mut impl Source,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.buffer.is_none() {
            ready!(source.poll_readable(context))?;
        }
        let buffer =
            self.buffer.get_or_insert_with(|| self.owner.free.borrow_mut().pop().unwrap_or_else(Buffer::new));
        let filled = buffer.poll_fill(source, context);
        // A source may have said that it is readable without a reason; a new connection always does.
        self.release_if_empty();
        filled
    }

    /// [`Inbox::poll_fill`] as a future.
    pub(crate) async fn fill(&mut self, source: &mut impl Source) -> io::Result<usize> {
        std::future::poll_fn(|context| self.poll_fill(source, context)).await
    }

    fn release_if_empty(&mut self) {
        if let Some(mut buffer) = self.buffer.take_if(|buffer| buffer.start == buffer.end) {
            buffer.start = 0;
            buffer.end = 0;
            let mut free = self.owner.free.borrow_mut();
            if free.len() < FREE_BUFFERS_MAX {
                free.push(buffer);
            }
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let unread = self.filled().len();
        self.consume(unread);
    }
}

/// Bytes to be sent; it holds no buffer before the first is written to it.
pub(crate) struct Output {
    bytes: Vec<u8>,
    owner: Rc<Buffers>,
}

impl Deref for Output {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Output {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            let free = self.owner.free_output.borrow_mut().pop();
            self.bytes = free.unwrap_or_else(|| Vec::with_capacity(OUTPUT_BYTES));
        }
        &mut self.bytes
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let mut free = self.owner.free_output.borrow_mut();
        // One that has grown large would stay so for ever.
        let is_kept = (1..=2 * BUFFER_BYTES).contains(&self.bytes.capacity());
        if is_kept && free.len() < FREE_OUTPUTS_MAX {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            free.push(bytes);
        }
    }
}
