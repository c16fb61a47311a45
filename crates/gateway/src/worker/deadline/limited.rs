//! Futures that are given up when their deadline passes, or when nobody has a use for their output any more.
//!
//! They are types of their own since they stand in the memory of every connection: an `async fn` that is given a future keeps
//! room for it twice, where it was put and where it is polled.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;

use super::{Deadline, Elapsed, GivenUp};

pin_project! {
    /// A future, unless a deadline passes before it: [`Deadline::or_elapsed`].
    pub(crate) struct OrElapsed<'a, F> {
        deadline: &'a Deadline,
        #[pin]
        future: F,
    }
}

impl<'a, F> OrElapsed<'a, F> {
    pub(super) fn new(deadline: &'a Deadline, future: F) -> Self {
        Self { deadline, future }
    }
}

impl<F: Future> Future for OrElapsed<'_, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = match this.future.poll(context) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => {
                ready!(this.deadline.poll_elapsed(context));
                Err(Elapsed)
            }
        };
        this.deadline.disarm();
        Poll::Ready(outcome)
    }
}

pin_project! {
    /// A future, unless a deadline passes before it or it is in vain: [`Deadline::or_given_up`].
    pub(crate) struct OrGivenUp<'a, F, V> {
        deadline: &'a Deadline,
        is_in_vain: V,
        asked_at: Duration,
        #[pin]
        future: F,
    }
}

impl<'a, F, V> OrGivenUp<'a, F, V> {
    pub(super) fn new(deadline: &'a Deadline, future: F, is_in_vain: V) -> Self {
        Self { deadline, is_in_vain, asked_at: deadline.now(), future }
    }
}

impl<F, V> Future for OrGivenUp<'_, F, V>
where
    F: Future,
    V: Fn(Duration) -> bool,
{
    type Output = Result<F::Output, GivenUp>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let deadline = *this.deadline;
        let outcome = match this.future.poll(context) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => {
                deadline.slot.wakes_at_sweep.set(true);
                let now = deadline.now();
                let is_asked = std::mem::replace(this.asked_at, now) != now;
                if is_asked && (this.is_in_vain)(now) {
                    Err(GivenUp::InVain)
                } else {
                    ready!(deadline.poll_elapsed(context));
                    Err(GivenUp::Elapsed)
                }
            }
        };
        deadline.disarm();
        Poll::Ready(outcome)
    }
}
