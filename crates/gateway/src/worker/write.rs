//! Writing to a socket: two pieces in one system call, and a deadline that moves with every byte that goes out.

use std::{
    future::{Future, poll_fn},
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

/// Writes `first` and then `second`; `stall_max` is the longest time without progress, from this call on.
pub(crate) fn write_all<'a, S>(
    stream: &'a mut S,
    first: &'a [u8],
    second: &'a [u8],
    deadline: &'a Deadline,
    stall_max: Duration,
) -> impl Future<Output = Result<(), WriteError>> + 'a
where
    S: AsyncWrite + Unpin,
{
    let mut writing = deadline.or_elapsed(writing(stream, first, second, deadline, stall_max));
    poll_fn(move |context| match ready!(Pin::new(&mut writing).poll(context)) {
        Ok(Ok(())) => Poll::Ready(Ok(())),
        Ok(Err(_)) => Poll::Ready(Err(WriteError::Io)),
        Err(Elapsed) => Poll::Ready(Err(WriteError::Stalled)),
    })
}

/// Like [`write_all`], and given up when it is in vain, as [`Deadline::or_given_up`] is.
pub(crate) fn write_all_unless_in_vain<'a, S>(
    stream: &'a mut S,
    first: &'a [u8],
    second: &'a [u8],
    deadline: &'a Deadline,
    stall_max: Duration,
    is_in_vain: impl Fn(Duration) -> bool + Unpin + 'a,
) -> impl Future<Output = Result<(), WriteError>> + 'a
where
    S: AsyncWrite + Unpin,
{
    let writing = writing(stream, first, second, deadline, stall_max);
    let mut writing = deadline.or_given_up(writing, is_in_vain);
    poll_fn(move |context| match ready!(Pin::new(&mut writing).poll(context)) {
        Ok(Ok(())) => Poll::Ready(Ok(())),
        Ok(Err(_)) => Poll::Ready(Err(WriteError::Io)),
        Err(GivenUp::Elapsed) => Poll::Ready(Err(WriteError::Stalled)),
        Err(GivenUp::InVain) => Poll::Ready(Err(WriteError::InVain)),
    })
}

/// Writes, and arms the deadline with every byte that goes.
fn writing<'a, S>(
    stream: &'a mut S,
    mut first: &'a [u8],
    mut second: &'a [u8],
    deadline: &'a Deadline,
    stall_max: Duration,
) -> impl Future<Output = io::Result<()>> + Unpin + 'a
where
    S: AsyncWrite + Unpin,
{
    deadline.arm(stall_max);
    poll_fn(move |context| {
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
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use phalanx_telemetry::clock;
    use tokio::io::AsyncReadExt as _;

    use super::{super::deadline::Deadlines, *};

    const STALL_MAX: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up_and_one_that_takes_little_is_not() {
        let began = clock::now();
        let deadlines = Deadlines::new(began);
        let deadline = deadlines.deadline();
        let (mut here, mut there) = tokio::io::duplex(1);
        let written = Cell::new(None);
        let writing = async {
            written.set(Some(write_all(&mut here, b"abc", b"d", &deadline, STALL_MAX).await));
        };
        let reading = async {
            let mut seconds = 0;
            let mut pass = async |passing: u64| {
                for _ in 0..passing {
                    seconds += 1;
                    deadlines.sweep(began + Duration::from_secs(seconds));
                    tokio::task::yield_now().await;
                }
            };
            // It takes a byte just in time, twice.
            for expected in [b'a', b'b'] {
                pass(STALL_MAX.as_secs() - 1).await;
                assert_eq!(there.read_u8().await.unwrap(), expected);
                tokio::task::yield_now().await;
            }
            pass(STALL_MAX.as_secs() - 1).await;
            assert!(written.take().is_none(), "it still takes something");
            // A deadline is met up to two ticks late.
            pass(3).await;
            assert!(matches!(written.take(), Some(Err(WriteError::Stalled))));
        };
        tokio::join!(writing, reading);
    }
}
