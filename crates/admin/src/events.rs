//! `/v1/events`: what happens, as server-sent events.
//!
//! Invariants: there are at most [`STREAMS_MAX`] streams; a reader that does not keep up holds nobody up, and is told how many
//! it missed. A stream ends with the program.
//! Elsewhere: what happens, and how much of the past is remembered (the binary, by [`crate::control::Control`]).

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event as Frame, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    control::{Events, Told},
    problem::Problem,
};

/// A person has a dashboard or two open, a script waits for an order; the next ones are answered 503.
pub(crate) const STREAMS_MAX: usize = 64;
/// Shorter than the minute after which proxies on the way close what is silent.
const KEEP_ALIVE_PERIOD: Duration = Duration::from_secs(15);

/// The places for streams.
#[derive(Clone)]
pub(crate) struct Places(Arc<Semaphore>);

impl Places {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS_MAX)))
    }

    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            let detail = format!("{STREAMS_MAX} streams of events are open, which is the most: close one.");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Too many streams", detail)
        })
    }
}

/// The event after which a client goes on; `None` where it begins.
///
/// # Errors
/// When it names one that cannot be.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(given) = headers.get("last-event-id") else { return Ok(None) };
    let id = given.to_str().ok().and_then(|text| text.trim().parse().ok());
    id.map(Some).ok_or_else(|| {
        let detail = "`Last-Event-ID` is the number of an event, as its `id` told it.";
        Problem::new(StatusCode::BAD_REQUEST, "Invalid Last-Event-ID", detail)
    })
}

/// Answers with the events, the past ones first, until `stop`.
pub(crate) fn answer(
    events: Events,
    after: Option<u64>,
    place: OwnedSemaphorePermit,
    stop: CancellationToken,
) -> Response {
    let frames = told(events, after).map(move |told| {
        // The place is given back as the stream is dropped, which is when its connection ends.
        let _held = &place;
        Ok::<_, Infallible>(frame(&told))
    });
    let frames = frames.take_until(stop.cancelled_owned());
    Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_PERIOD)).into_response()
}

/// All of it in order, after word of those that are no longer remembered.
fn told(Events { past, live }: Events, after: Option<u64>) -> impl Stream<Item = Told> + Send {
    let forgotten = match (after, past.first()) {
        (Some(after), Some(first)) => first.id.saturating_sub(after.saturating_add(1)),
        _ => 0,
    };
    let missed = (forgotten > 0).then_some(Told::Missed(forgotten));
    stream::iter(missed.into_iter().chain(past.into_iter().map(Told::Event))).chain(live)
}

fn frame(told: &Told) -> Frame {
    match told {
        Told::Event(event) => {
            let data = serde_json::to_string(event).expect("texts and numbers are JSON");
            Frame::default().id(event.id.to_string()).event(&event.kind).data(data)
        }
        // Without an id: a client that comes again then asks for what it has not seen.
        Told::Missed(count) => Frame::default().event("missed").data(format!(r#"{{"missed":{count}}}"#)),
    }
}
