//! Read buffers, kept by the worker: a connection holds one only while it has bytes to hold, so an idle one costs none.

use std::{
    cell::RefCell,
    io,
    ops::{Deref, DerefMut},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

/// The size of a buffer: the largest head, and what one read takes of a body.
pub(crate) const BUFFER_BYTES: usize = 32 * 1024;
/// Free buffers that a worker keeps; more are given back to the allocator.
const FREE_BUFFERS_MAX: usize = 256;

/// Bytes received and not yet consumed.
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: vec![0; BUFFER_BYTES].into_boxed_slice(), start: 0, end: 0 }
    }

    /// What is there.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Gives up the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start, "only what is there is consumed");
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Reads once; the number of bytes that came, zero at the end of the stream.
    ///
    /// The buffer must not be full of bytes that nobody consumed.
    pub(crate) fn poll_fill(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        debug_assert!(self.end < self.bytes.len(), "a read of no bytes looks like the end of the stream");
        let mut space = ReadBuf::new(&mut self.bytes[self.end..]);
        ready!(Pin::new(stream).poll_read(context, &mut space))?;
        let count = space.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }

    /// [`Buffer::poll_fill`] as a future.
    pub(crate) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        std::future::poll_fn(|context| self.poll_fill(stream, context)).await
    }
}

/// The buffers that no connection holds: for reading, and for what is written.
#[derive(Default)]
pub(crate) struct Buffers {
    free: RefCell<Vec<Buffer>>,
    free_output: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// An empty read buffer.
    pub(crate) fn lease(self: &Rc<Self>) -> Lease {
        let buffer = self.free.borrow_mut().pop().unwrap_or_else(Buffer::new);
        Lease { buffer: Some(buffer), owner: self.clone() }
    }

    /// An empty output buffer.
    pub(crate) fn output(self: &Rc<Self>) -> Output {
        let bytes = self.free_output.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(4096));
        Output { bytes, owner: self.clone() }
    }
}

/// A read buffer on loan.
pub(crate) struct Lease {
    /// `None` only while it is dropped.
    buffer: Option<Buffer>,
    owner: Rc<Buffers>,
}

impl Deref for Lease {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        self.buffer.as_ref().expect("a lease holds its buffer until it is dropped")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Buffer {
        self.buffer.as_mut().expect("a lease holds its buffer until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut free = self.owner.free.borrow_mut();
        if let Some(mut buffer) = self.buffer.take().filter(|_| free.len() < FREE_BUFFERS_MAX) {
            buffer.start = 0;
            buffer.end = 0;
            free.push(buffer);
        }
    }
}

/// An output buffer on loan.
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
        &mut self.bytes
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let mut free = self.owner.free_output.borrow_mut();
        // One that has grown large would stay so for ever.
        if free.len() < FREE_BUFFERS_MAX && self.bytes.capacity() <= 2 * BUFFER_BYTES {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            free.push(bytes);
        }
    }
}
