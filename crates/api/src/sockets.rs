//! The WebSockets of a replica: how many there may be, who has them, and their end.
//!
//! Invariant: every socket holds a [`Seat`] for as long as it is open, and is a task of the one [`SocketKeeper`]; so none outlives
//! the replica, and at its stop each is told so before the drain deadline.
//! Elsewhere: what is said on a socket (`conversation`), how it is opened (`handshake`), what it tells (`crate::routes::socket`).

mod conversation;
mod handshake;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::upgrade::OnUpgrade;
use phalanx_telemetry::registry::{Gauge, Registry};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{conversation::Subscription, handshake::Handshake};
use crate::accounts::AccountId;

/// From our answer to the first byte that can follow it: nothing stands between.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// The bounds of WebSockets.
#[derive(Clone, Copy, Debug)]
pub struct SocketSettings {
    /// Sockets that one replica holds.
    pub sockets_max: usize,
    /// Those of one account on one replica.
    pub sockets_per_account_max: usize,
    /// How often a socket is asked whether anybody is there; who says nothing from one question to the next is gone.
    pub ping_interval: Duration,
}

impl Default for SocketSettings {
    fn default() -> Self {
        Self {
            sockets_max: 5_000,
            sockets_per_account_max: 32,
            // Less than the minute after which proxies close what is silent.
            ping_interval: Duration::from_secs(20),
        }
    }
}

/// Gives away the seats; the counterpart of a [`SocketKeeper`].
pub(crate) struct Sockets {
    settings: SocketSettings,
    seats: Arc<Seats>,
    opened: mpsc::Sender<Opened>,
}

/// Holds the sockets.
pub(crate) struct SocketKeeper {
    settings: SocketSettings,
    opened: mpsc::Receiver<Opened>,
}

/// The right to one socket; dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    account: AccountId,
}

/// There is no seat left, on this replica or for this account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSeat;

#[derive(Debug, Default)]
struct Seats {
    taken: Mutex<HashMap<AccountId, usize>>,
    open: Gauge,
}

/// A socket that the client has been promised.
struct Opened {
    upgrade: OnUpgrade,
    seat: Seat,
    subscription: Subscription,
}

impl Sockets {
    pub(crate) fn new(settings: SocketSettings, registry: &mut Registry) -> (Self, SocketKeeper) {
        let (sender, receiver) = mpsc::channel(settings.sockets_max.max(1));
        let seats = Arc::<Seats>::default();
        registry.register("phalanx_sockets", "WebSockets that are open", seats.open.clone());
        (Self { settings, seats, opened: sender }, SocketKeeper { settings, opened: receiver })
    }

    /// Takes a seat for `account`.
    pub(crate) fn seat(&self, account: AccountId) -> Result<Seat, NoSeat> {
        let mut taken = self.seats.taken();
        let all: usize = taken.values().sum();
        let of_account = taken.get(&account).copied().unwrap_or_default();
        if all >= self.settings.sockets_max || of_account >= self.settings.sockets_per_account_max {
            return Err(NoSeat);
        }
        taken.insert(account, of_account + 1);
        self.seats.open.inc();
        Ok(Seat { seats: self.seats.clone(), account })
    }

    /// Hands a socket over, to be held until one of its ends comes.
    pub(crate) fn keep(&self, upgrade: OnUpgrade, seat: Seat, subscription: Subscription) {
        // There is a place for every seat; what a keeper that has ended does not take is closed by being dropped.
        let _ = self.opened.try_send(Opened { upgrade, seat, subscription });
    }
}

impl SocketKeeper {
    /// Holds sockets until `stop`, then closes them; answers how many were cut because they had not ended by the deadline.
    pub(crate) async fn run(mut self, drain_deadline: Duration, stop: CancellationToken) -> usize {
        let mut sockets = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = sockets.join_next() => {}
                Some(opened) = self.opened.recv() => {
                    sockets.spawn(hold(opened, self.settings.ping_interval, stop.clone()));
                }
            }
        }
        drop(self.opened);
        let ended = async { while sockets.join_next().await.is_some() {} };
        let _ = timeout(drain_deadline, ended).await;
        let cut = sockets.len();
        sockets.shutdown().await;
        cut
    }
}

impl Seats {
    fn taken(&self) -> MutexGuard<'_, HashMap<AccountId, usize>> {
        // Every change of the map is one call: a panic elsewhere leaves it whole.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(count) = taken.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.account);
            }
        }
        self.seats.open.dec();
    }
}

async fn hold(opened: Opened, ping_interval: Duration, stop: CancellationToken) {
    let Opened { upgrade, seat: _seat, subscription } = opened;
    let upgraded = tokio::select! {
        upgraded = timeout(UPGRADE_TIMEOUT, upgrade) => upgraded,
        () = stop.cancelled() => return,
    };
    // The client went away before our answer had reached it.
    let Ok(Ok(upgraded)) = upgraded else { return };
    conversation::hold(upgraded, subscription, ping_interval, stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_for_one_account_and_for_all() {
        let settings =
            SocketSettings { sockets_max: 3, sockets_per_account_max: 2, ..SocketSettings::default() };
        let (sockets, _keeper) = Sockets::new(settings, &mut Registry::new());
        let [ada, bob] = ["1", "2"].map(|id| AccountId::parse(id).unwrap());
        let first = sockets.seat(ada).unwrap();
        let second = sockets.seat(ada).unwrap();
        assert_eq!(sockets.seat(ada).unwrap_err(), NoSeat);
        let third = sockets.seat(bob).unwrap();
        assert_eq!(sockets.seat(bob).unwrap_err(), NoSeat);
        assert_eq!(sockets.seats.open.get(), 3);
        drop(first);
        let fourth = sockets.seat(bob).unwrap();
        drop((second, third, fourth));
        assert_eq!((sockets.seats.taken().len(), sockets.seats.open.get()), (0, 0));
    }
}
