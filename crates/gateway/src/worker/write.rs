//! Writing to a socket: two pieces in one system call, and a deadline that moves with every byte that goes out.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Poll, ready},
    time::Duration,
};

use tokio::io::AsyncWrite;

use super::deadline::{Deadline, Elapsed, GivenUp};

/// Why bytes could not be written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The peer is gone.
    Io,
    /// The peer takes nothing.
    Stalled,
    /// Nobody has a use for it any more.
    InVain,
}

/// Writes `first` and then `second`; `stall_max` is the longest time without progress.
pub(crate) async fn write_all(
    stream: &mut (impl AsyncWrite + Unpin),
    first: &[u8],
    second: &[u8],
    deadline: &Deadline,
    stall_max: Duration,
) -> Result<(), WriteError> {
    match deadline.or_elapsed(writing(stream, first, second, deadline, stall_max)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(WriteError::Io),
        Err(Elapsed) => Err(WriteError::Stalled),
    }
}

/// Like [`write_all`], and given up when it is in vain, as [`Deadline::or_given_up`] is.
pub(crate) async fn write_all_unless_in_vain(
    stream: &mut (impl AsyncWrite + Unpin),
    first: &[u8],
    second: &[u8],
    deadline: &Deadline,
    stall_max: Duration,
    is_in_vain: impl Fn(Duration) -> bool,
) -> Result<(), WriteError> {
    let writing = writing(stream, first, second, deadline, stall_max);
    match deadline.or_given_up(writing, is_in_vain).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(WriteError::Io),
        Err(GivenUp::Elapsed) => Err(WriteError::Stalled),
        Err(GivenUp::InVain) => Err(WriteError::InVain),
    }
}

/// Writes, and arms the deadline with every byte that goes.
async fn writing(
    stream: &mut (impl AsyncWrite + Unpin),
    mut first: &[u8],
    mut second: &[u8],
    deadline: &Deadline,
    stall_max: Duration,
) -> io::Result<()> {
    deadline.arm(stall_max);
    std::future::poll_fn(|context| {
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
    })
    .await
}
