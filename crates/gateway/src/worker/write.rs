//! Writing to a socket: two pieces in one system call, and a deadline that moves with every byte that goes out.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Poll, ready},
    time::Duration,
};

use tokio::io::AsyncWrite;

use super::deadline::{Deadline, Elapsed};

/// Why bytes could not be written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The peer is gone.
    Io,
    /// The peer takes nothing.
    Stalled,
}

/// Writes `first` and then `second`; `stall_max` is the longest time without progress.
pub(crate) async fn write_all(
    stream: &mut (impl AsyncWrite + Unpin),
    mut first: &[u8],
    mut second: &[u8],
    deadline: &Deadline,
    stall_max: Duration,
) -> Result<(), WriteError> {
    deadline.arm(stall_max);
    let written = deadline.or_elapsed(std::future::poll_fn(|context| {
        while !(first.is_empty() && second.is_empty()) {
            let count = if first.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(context, second))?
            } else if second.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(context, first))?
            } else {
                let slices = [IoSlice::new(first), IoSlice::new(second)];
                ready!(Pin::new(&mut *stream).poll_write_vectored(context, &slices))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero)));
            }
            let of_first = count.min(first.len());
            first = &first[of_first..];
            second = &second[count - of_first..];
            deadline.arm(stall_max);
        }
        Poll::Ready(Ok(()))
    }));
    match written.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(WriteError::Io),
        Err(Elapsed) => Err(WriteError::Stalled),
    }
}
