//! Hears of changes for the watches: by one subscription to Redis, or by looking at the file, and by neither while nobody watches.
//!
//! Invariant: an owner's watches are woken after it is listened to, each time that begins, so a change that came before or during an
//! outage is read.
//! Cannot fail: a connection that is lost is made again, and the shared state tells outages.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use redis::{
    Msg, RedisResult,
    aio::{PubSubSink, PubSubStream},
};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    embedded,
    redis::key as channel,
    watch::{Plan, Watches},
};
use crate::{
    StateError,
    state::{EmbeddedState, RedisLink, StateFault, Store},
};

const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(50);
/// Channels in one command.
const CHANNELS_MAX: usize = 256;
/// How long a change in the file may go unheard.
const POLL_PERIOD: Duration = Duration::from_millis(100);

/// Hears of changes for as long as it runs.
pub struct FieldsUpkeep {
    store: Store,
    watches: Arc<Watches>,
}

enum Event {
    Message(Msg),
    Pending,
    Quiet,
    Ended,
}

impl FieldsUpkeep {
    pub(super) fn new(store: Store, watches: Arc<Watches>) -> Self {
        Self { store, watches }
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let listening = async {
            match &self.store {
                Store::Redis(link) => Subscription { link, watches: &self.watches }.keep().await,
                Store::Embedded(state) => poll(state, &self.watches).await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = listening => {}
        }
    }
}

impl std::fmt::Debug for FieldsUpkeep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FieldsUpkeep").finish_non_exhaustive()
    }
}

/// The connection on which Redis tells changes.
struct Subscription<'a> {
    link: &'a RedisLink,
    watches: &'a Watches,
}

impl Subscription<'_> {
    async fn keep(&self) {
        let delay_max = self.link.settings().reconnect_delay_max;
        let mut delay = RECONNECT_DELAY_MIN.min(delay_max);
        loop {
            while !self.watches.are_any() {
                self.watches.pending().await;
            }
            let outages = self.link.outages();
            if !self.link.is_up() {
                // Who is woken reads, and has to get an answer.
                tokio::time::sleep(self.link.settings().probe_period.min(delay_max)).await;
                continue;
            }
            match self.listen(outages).await {
                Ok(()) => delay = RECONNECT_DELAY_MIN.min(delay_max),
                Err(_) => delay = (delay * 2).min(delay_max),
            }
            self.watches.lost();
            tokio::time::sleep(delay).await;
        }
    }

    /// Listens until the connection ends or Redis has been out of use more often than `outages`, since questions have failed then
    /// which watches were woken for. `Err` if there never was a connection.
    async fn listen(&self, outages: u64) -> Result<(), StateError> {
        let (mut channels, mut messages) = self.link.subscription().await?.split();
        while self.link.outages() == outages {
            // What is pending is done first: after a lost connection that is everything.
            if self.follow(&mut channels).await.is_err() {
                break;
            }
            match self.next(&mut messages).await {
                Event::Message(message) => self.hear(&message),
                Event::Pending => {}
                // Silence is what a dead connection sounds like, too.
                Event::Quiet => {
                    if self.in_time(channels.ping::<redis::Value>()).await.is_err() {
                        break;
                    }
                }
                Event::Ended => break,
            }
        }
        Ok(())
    }

    async fn next(&self, messages: &mut PubSubStream) -> Event {
        tokio::select! {
            message = messages.next() => message.map_or(Event::Ended, Event::Message),
            () = self.watches.pending() => Event::Pending,
            () = tokio::time::sleep(self.link.settings().probe_period) => Event::Quiet,
        }
    }

    /// Does what is pending.
    async fn follow(&self, channels: &mut PubSubSink) -> Result<(), StateError> {
        let Plan { begin, cease } = self.watches.plan();
        let names = |owners: &[Arc<str>]| -> Vec<_> {
            owners.iter().map(|owner| channel(self.link, owner)).collect()
        };
        for owners in cease.chunks(CHANNELS_MAX) {
            self.in_time(channels.unsubscribe(names(owners))).await?;
        }
        for owners in begin.chunks(CHANNELS_MAX) {
            self.in_time(channels.subscribe(names(owners))).await?;
            for owner in owners {
                self.watches.wake(owner);
            }
        }
        Ok(())
    }

    fn hear(&self, message: &Msg) {
        if let Some(owner) = message.get_channel_name().strip_prefix(&channel(self.link, "")) {
            self.watches.wake(owner);
        }
    }

    async fn in_time<T>(&self, asking: impl Future<Output = RedisResult<T>>) -> Result<T, StateError> {
        let answer = timeout(self.link.settings().response_timeout, asking).await;
        Ok(answer.map_err(|_| StateFault::Timeout)??)
    }
}

/// Looks for changes in the file while somebody watches.
async fn poll(state: &EmbeddedState, watches: &Watches) {
    loop {
        while !watches.are_any() {
            watches.pending().await;
        }
        // A file that fails is one to look at again.
        if let Ok(last) = embedded::last_change(state).await {
            poll_from(last, state, watches).await;
        }
        tokio::time::sleep(POLL_PERIOD).await;
    }
}

/// Tells the changes after `last` until nobody watches.
async fn poll_from(mut last: i64, state: &EmbeddedState, watches: &Watches) {
    let mut ticks = tokio::time::interval(POLL_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while watches.are_any() {
        // Who begins to watch reads after this, and what is changed after that has a higher number than is told here.
        for owner in watches.plan().begin {
            watches.wake(&owner);
        }
        let is_due = tokio::select! {
            () = watches.pending() => false,
            _ = ticks.tick() => true,
        };
        if is_due {
            last = told_since(last, state, watches).await;
        }
    }
    watches.lost();
}

/// Tells some changes after `last`, and answers the number of the last of them.
async fn told_since(last: i64, state: &EmbeddedState, watches: &Watches) -> i64 {
    // What a file that fails does not tell, it tells at the next look.
    let changes = embedded::changed_since(state, last).await.unwrap_or_default();
    for owner in changes.iter().filter_map(|(owner, _)| owner.as_deref()) {
        watches.wake(owner);
    }
    changes.last().map_or(last, |(_, newest)| *newest)
}
