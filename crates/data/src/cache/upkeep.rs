//! What a cache does besides answering: refreshes, the connection to Redis, and the messages of other processes.
//!
//! Invariant: nothing that is begun here runs on after the future is dropped, and the process level knows that it hears
//! nothing any more. The connection's own task, which the library starts, ends with the cache.
//! Cannot fail: what goes wrong is counted, logged once by the shared level, and tried again.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use phalanx_telemetry::clock;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::{
    Cache, Chore, ageing,
    counters::Counters,
    position::{CachePosition, POSITION_TEXT_BYTES},
    process::ProcessLevel,
    settings::CacheSettings,
    shared::SharedLevel,
};

const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(50);

/// Keeps a cache up for as long as it runs. A cache without it answers, but neither refreshes nor reaches Redis.
pub struct CacheUpkeep {
    process: Arc<ProcessLevel>,
    shared: Option<Arc<SharedLevel>>,
    settings: Arc<CacheSettings>,
    counters: Arc<Counters>,
    chores: mpsc::Receiver<Chore>,
}

impl std::fmt::Debug for CacheUpkeep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CacheUpkeep").finish_non_exhaustive()
    }
}

impl CacheUpkeep {
    pub(super) fn new(cache: &Cache, chores: mpsc::Receiver<Chore>) -> Self {
        Self {
            process: Arc::clone(&cache.process),
            shared: cache.shared.clone(),
            settings: Arc::clone(&cache.settings),
            counters: Arc::clone(&cache.counters),
            chores,
        }
    }

    /// Runs until it is dropped, or until the cache is when there is no Redis.
    pub async fn run(self) {
        let chores = do_chores(self.chores, self.settings.refreshes_max);
        let Some(shared) = self.shared else { return chores.await };
        let delay_max = self.settings.reconnect_delay_max;
        let listener = Listener {
            process: self.process,
            shared: Arc::clone(&shared),
            settings: self.settings,
            counters: self.counters,
        };
        tokio::join!(chores, Box::pin(keep_link(&shared, delay_max)), Box::pin(listener.run()));
    }
}

async fn do_chores(mut chores: mpsc::Receiver<Chore>, chores_max: usize) {
    let mut running = JoinSet::new();
    loop {
        // One that panicked has dropped what it held, and its value is loaded by the next miss.
        tokio::select! {
            chore = chores.recv(), if running.len() < chores_max.max(1) => match chore {
                Some(chore) => { running.spawn(chore); }
                None => break,
            },
            Some(_) = running.join_next() => {}
        }
    }
    running.join_all().await;
}

async fn keep_link(shared: &SharedLevel, delay_max: Duration) {
    let mut backoff = Backoff::new(delay_max);
    loop {
        if shared.is_up() {
            shared.wake.notified().await;
            shared.deliver_rest().await;
            continue;
        }
        match shared.restore().await {
            Ok(()) => backoff = Backoff::new(delay_max),
            Err(error) => {
                shared.unreachable(&error);
                backoff.pause().await;
            }
        }
    }
}

/// Hears what other processes have invalidated.
struct Listener {
    process: Arc<ProcessLevel>,
    shared: Arc<SharedLevel>,
    settings: Arc<CacheSettings>,
    counters: Arc<Counters>,
}

enum Event {
    Message(redis::Msg),
    Quiet,
    Ended,
}

impl Listener {
    async fn run(self) {
        let mut backoff = Backoff::new(self.settings.reconnect_delay_max);
        loop {
            if self.listen().await.is_ok() {
                backoff = Backoff::new(self.settings.reconnect_delay_max);
            } else {
                self.counters.redis_errors.increment();
            }
            backoff.pause().await;
        }
    }

    /// Subscribes and hears until the subscription ends, `Err` if there never was one.
    async fn listen(&self) -> redis::RedisResult<()> {
        let (mut commands, mut messages) = self.shared.subscription().await?.split();
        let subscribing = commands.subscribe(self.shared.channel());
        timeout(self.settings.response_timeout, subscribing)
            .await
            .map_err(|_| redis::RedisError::from((redis::ErrorKind::Io, "no answer in time")))??;
        // From here on nothing is missed; what was before is not known.
        let _listening = self.process.listen();
        self.counters.clearings.increment();
        loop {
            let event = tokio::select! {
                message = messages.next() => message.map_or(Event::Ended, Event::Message),
                () = tokio::time::sleep(self.settings.process_ttl_unsubscribed) => Event::Quiet,
            };
            match event {
                Event::Message(message) => self.hear(message.get_payload_bytes()),
                // Silence is what a dead connection sounds like, too.
                Event::Quiet => {
                    let ping = timeout(self.settings.response_timeout, commands.ping::<redis::Value>());
                    if !matches!(ping.await, Ok(Ok(_))) {
                        return Ok(());
                    }
                }
                Event::Ended => return Ok(()),
            }
        }
    }

    fn hear(&self, message: &[u8]) {
        let Some((kind, message)) = self.shared.foreign(message).and_then(<[u8]>::split_first) else {
            return;
        };
        self.counters.invalidations_heard.increment();
        let now = clock::now();
        match kind {
            b'k' => {
                let Some((position, key)) = message.split_at_checked(POSITION_TEXT_BYTES) else { return };
                if let (Some(position), Ok(key)) = (CachePosition::parse(position), std::str::from_utf8(key))
                {
                    self.process.invalidate(key, position, now);
                }
            }
            b'b' => {
                let positions: Vec<_> =
                    message.chunks(POSITION_TEXT_BYTES).filter_map(CachePosition::parse).collect();
                self.process.invalidate_all(&positions, now);
            }
            // Of a version of this program that knows more.
            _ => self.process.clear(),
        }
    }
}

/// Growing pauses, each shortened by chance, so that a fleet does not come back at once.
struct Backoff {
    delay: Duration,
    delay_max: Duration,
}

impl Backoff {
    fn new(delay_max: Duration) -> Self {
        Self { delay: RECONNECT_DELAY_MIN.min(delay_max), delay_max }
    }

    async fn pause(&mut self) {
        tokio::time::sleep(ageing::jittered(self.delay, 0.5, fastrand::f64())).await;
        self.delay = (self.delay * 2).min(self.delay_max);
    }
}
