//! Makes connections, drives them, replaces them, and ends what was broken off: the one owner of a server's tasks.
//!
//! It wakes ten times a second and whenever somebody waits; what woke it does not matter, it looks at the pools.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    ConnectError, Inner,
    connect::{self, Driver},
    exclusive::{BrokenOff, Unfinished},
    live::Live,
};
use crate::statement::Class;

const TICK: Duration = Duration::from_millis(100);
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// A server that is back is noticed within this, and is not asked by a whole fleet at once.
const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// Of a span of time, at most, is added or left out by chance.
const JITTER: f64 = 0.2;
/// A request to cancel that takes longer goes to a server that is gone.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Holds the server's connections: a future that its owner runs for as long as the server is used. Dropped, it ends them.
pub(crate) struct Upkeep {
    inner: Arc<Inner>,
    tasks: JoinSet<Ended>,
    /// Which pool a driver's connection is in.
    drivers: HashMap<Id, Class>,
    connecting: Connecting,
    backoff: Option<Backoff>,
}

#[derive(Default)]
struct Connecting {
    shared: usize,
    exclusive: usize,
}

/// Since the server could not be connected to.
struct Backoff {
    span: Duration,
    until: Instant,
}

enum Ended {
    Connect(Class, Result<Box<(tokio_postgres::Client, Driver)>, ConnectError>),
    Driver,
    Chore,
}

impl Upkeep {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let connecting = Connecting::default();
        Self { inner, tasks: JoinSet::new(), drivers: HashMap::new(), connecting, backoff: None }
    }

    /// Runs until the server is closed and its last statement has ended.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.tend(clock::now());
            if self.inner.is_closed() && self.tasks.is_empty() {
                return;
            }
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.on_ended(ended),
                () = self.inner.hint.notified() => {}
                _ = ticks.tick() => {}
            }
        }
    }

    fn on_ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
        match ended {
            Ok((_, Ended::Connect(class, outcome))) => self.on_connected(class, outcome),
            Ok((id, Ended::Driver)) => self.on_driver_ended(id),
            Ok((_, Ended::Chore)) => {}
            // A connection that was killed, or a fault of the library's in one: the others go on.
            Err(error) => self.on_driver_ended(error.id()),
        }
    }

    fn on_driver_ended(&mut self, id: Id) {
        match self.drivers.remove(&id) {
            Some(Class::Shared) => self.inner.shared.remove(id),
            Some(Class::Exclusive) => self.inner.exclusive.remove(id),
            None => {}
        }
    }

    fn on_connected(
        &mut self,
        class: Class,
        outcome: Result<Box<(tokio_postgres::Client, Driver)>, ConnectError>,
    ) {
        *self.connecting.of(class) -= 1;
        match outcome {
            Ok(connected) => {
                self.backoff = None;
                self.inner.note_connect(None);
                self.admit(class, *connected);
            }
            Err(error) => {
                self.inner.note_connect(Some(Arc::new(error)));
                let span = self.backoff.as_ref().map_or(BACKOFF_MIN, |backoff| backoff.span * 2);
                let span = span.min(BACKOFF_MAX);
                self.backoff = Some(Backoff { span, until: clock::now() + jittered(span) });
            }
        }
    }

    fn admit(&mut self, class: Class, (client, driver): (tokio_postgres::Client, Driver)) {
        let settings = &self.inner.settings;
        let handle = self.tasks.spawn(async {
            // Whoever has a statement on it learns of its end from the statement.
            let _ = driver.await;
            Ended::Driver
        });
        self.drivers.insert(handle.id(), class);
        let expires = clock::now() + jittered(settings.max_lifetime);
        let live = Arc::new(Live::new(client, handle, expires, settings.pooler));
        match class {
            Class::Shared => self.inner.shared.admit(live),
            Class::Exclusive => self.inner.exclusive.admit(live),
        }
    }

    fn tend(&mut self, now: Instant) {
        let shared = self.inner.shared.tend(now);
        let exclusive = self.inner.exclusive.tend(now);
        for place in shared.pings {
            self.tasks.spawn(async {
                // One that does not answer is found stuck.
                if place.live().ping().await.is_ok() {
                    place.answered();
                }
                Ended::Chore
            });
        }
        for loan in exclusive.pings {
            let limit = self.inner.settings.connect_timeout;
            self.tasks.spawn(async move {
                match timeout(limit, loan.live().ping()).await {
                    Ok(Ok(())) => loan.settle(),
                    _ => loan.live().kill(),
                }
                Ended::Chore
            });
        }
        for broken_off in exclusive.broken_off {
            self.end(broken_off);
        }
        if !self.inner.is_closed() {
            self.connect(Class::Shared, shared.missing, now);
            self.connect(Class::Exclusive, exclusive.missing, now);
        }
    }

    fn connect(&mut self, class: Class, missing: usize, now: Instant) {
        let under_way = self.connecting.shared + self.connecting.exclusive;
        let allowed = match &self.backoff {
            Some(backoff) if now < backoff.until => 0,
            // One finds out for all.
            Some(_) => 1_usize.saturating_sub(under_way),
            None => missing,
        };
        let count = missing.saturating_sub(*self.connecting.of(class)).min(allowed);
        for _ in 0..count {
            *self.connecting.of(class) += 1;
            let inner = Arc::clone(&self.inner);
            self.tasks.spawn(async move {
                let outcome = connect::connect(&inner.target, &inner.settings, class).await;
                Ended::Connect(class, outcome.map(Box::new))
            });
        }
    }

    fn end(&mut self, BrokenOff { live, statement }: BrokenOff) {
        if live.is_closed() || statement == Unfinished::Commit {
            return; // The driver takes in what is still to come and says good-bye.
        }
        let tls = self.inner.target.tls.clone();
        self.tasks.spawn(async move {
            let _ = timeout(CANCEL_TIMEOUT, live.cancel_token().cancel_query(tls)).await;
            Ended::Chore
        });
    }
}

impl Connecting {
    fn of(&mut self, class: Class) -> &mut usize {
        match class {
            Class::Shared => &mut self.shared,
            Class::Exclusive => &mut self.exclusive,
        }
    }
}

fn jittered(span: Duration) -> Duration {
    span.mul_f64(1.0 + JITTER * (2.0 * fastrand::f64() - 1.0))
}
