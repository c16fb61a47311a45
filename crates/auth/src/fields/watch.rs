//! Who in this process waits for changes of whom, and what the upkeep has to listen to for that.
//!
//! Invariant: an owner that is watched is listened to or pending, so the upkeep learns of every watch however often the connection
//! is lost. Owners are at most twice as many as watches may be: those that are watched, and those that are listened to still.

use std::{
    collections::{HashMap, HashSet},
    future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

/// The process has as many watches as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{watches_max} watches are open, and no more may be")]
pub struct TooManyWatches {
    /// How many may be.
    pub watches_max: usize,
}

/// The watches of a process.
#[derive(Debug)]
pub(super) struct Watches {
    watches_max: usize,
    state: Mutex<State>,
    /// Something is pending.
    pending: Notify,
}

#[derive(Debug, Default)]
struct State {
    owners: HashMap<Arc<str>, Owner>,
    watches: usize,
    /// Owners that the upkeep has to begin or to cease to listen to.
    pending: HashSet<Arc<str>>,
}

#[derive(Debug)]
struct Owner {
    /// Counts what may have been a change.
    wakes: watch::Sender<u64>,
    watches: usize,
    /// The upkeep was told to listen, and not told to cease.
    listened: bool,
}

/// What the upkeep does next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) begin: Vec<Arc<str>>,
    pub(super) cease: Vec<Arc<str>>,
}

/// Hears of the changes of one owner for as long as it is kept.
#[derive(Debug)]
pub struct FieldWatch {
    watches: Arc<Watches>,
    owner: Arc<str>,
    wakes: watch::Receiver<u64>,
    seen: u64,
}

impl FieldWatch {
    /// Returns when the owner may have changed since the last call, and for the first time as soon as changes are heard of: whoever
    /// reads the fields after each return, and ignores versions that it has seen, misses none. Several changes are one. After an
    /// outage of Redis it returns when questions are answered again, also for who was refused an answer meanwhile.
    ///
    /// It can be dropped at any time, and nothing is lost. Without [`FieldsUpkeep::run`](crate::FieldsUpkeep::run) it waits forever.
    pub async fn changed(&mut self) {
        let seen = self.seen;
        // No guard is held over a wait, so that whoever watches may do so in a task.
        let wakes = self.wakes.wait_for(|wakes| *wakes > seen).await.map(|wakes| *wakes);
        match wakes {
            Ok(wakes) => self.seen = wakes,
            // Its owner is kept while it is watched.
            Err(_) => future::pending().await,
        }
    }
}

impl Drop for FieldWatch {
    fn drop(&mut self) {
        self.watches.end(&self.owner);
    }
}

impl Watches {
    pub(super) fn new(watches_max: usize) -> Self {
        Self { watches_max, state: Mutex::default(), pending: Notify::new() }
    }

    pub(super) fn watch(this: &Arc<Self>, owner: &str) -> Result<FieldWatch, TooManyWatches> {
        let mut state = this.state();
        if state.watches >= this.watches_max {
            return Err(TooManyWatches { watches_max: this.watches_max });
        }
        state.watches += 1;
        let name =
            state.owners.get_key_value(owner).map_or_else(|| Arc::from(owner), |(name, _)| Arc::clone(name));
        let entry = state.owners.entry(Arc::clone(&name)).or_insert_with(Owner::new);
        entry.watches += 1;
        let wakes = entry.wakes.subscribe();
        if !entry.listened {
            state.pending.insert(Arc::clone(&name));
            this.pending.notify_one();
        }
        Ok(FieldWatch { watches: Arc::clone(this), owner: name, wakes, seen: 0 })
    }

    fn end(&self, name: &Arc<str>) {
        let mut state = self.state();
        state.watches -= 1;
        let Some(owner) = state.owners.get_mut(name) else { return };
        owner.watches -= 1;
        if owner.watches > 0 {
            return;
        }
        if owner.listened {
            state.pending.insert(Arc::clone(name));
            self.pending.notify_one();
        } else {
            state.owners.remove(name);
            state.pending.remove(name);
        }
    }

    /// Returns when something is pending, or was.
    pub(super) async fn pending(&self) {
        self.pending.notified().await;
    }

    pub(super) fn are_any(&self) -> bool {
        self.state().watches > 0
    }

    /// What is pending, which is done by that as far as the watches are concerned.
    pub(super) fn plan(&self) -> Plan {
        let mut state = self.state();
        let mut plan = Plan::default();
        for name in std::mem::take(&mut state.pending) {
            let Some(owner) = state.owners.get_mut(&name) else { continue };
            match (owner.watches > 0, owner.listened) {
                (true, false) => {
                    owner.listened = true;
                    plan.begin.push(name);
                }
                (false, _) => {
                    state.owners.remove(&name);
                    plan.cease.push(name);
                }
                (true, true) => {}
            }
        }
        plan
    }

    /// Nothing is listened to any more.
    pub(super) fn lost(&self) {
        let mut state = self.state();
        state.owners.retain(|_, owner| {
            owner.listened = false;
            owner.watches > 0
        });
        state.pending = state.owners.keys().cloned().collect();
        if !state.pending.is_empty() {
            self.pending.notify_one();
        }
    }

    /// This owner may have changed.
    pub(super) fn wake(&self, name: &str) {
        if let Some(owner) = self.state().owners.get(name) {
            owner.wakes.send_modify(|wakes| *wakes += 1);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owner {
    fn new() -> Self {
        Self { wakes: watch::Sender::new(0), watches: 0, listened: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCHES_MAX: usize = 3;

    /// What the upkeep is told at its next look.
    fn plan(watches: &Watches) -> String {
        let Plan { mut begin, mut cease } = watches.plan();
        begin.sort();
        cease.sort();
        format!("+{} -{}", begin.join(","), cease.join(","))
    }

    fn watches() -> Arc<Watches> {
        Arc::new(Watches::new(WATCHES_MAX))
    }

    fn is_woken(watch: &mut FieldWatch) -> bool {
        futures_util::FutureExt::now_or_never(watch.changed()).is_some()
    }

    #[test]
    fn an_owner_is_listened_to_once_and_as_long_as_it_is_watched() {
        let watches = watches();
        let first = Watches::watch(&watches, "a").unwrap();
        let second = Watches::watch(&watches, "a").unwrap();
        let other = Watches::watch(&watches, "b").unwrap();
        assert_eq!(plan(&watches), "+a,b -");
        assert_eq!(plan(&watches), "+ -");
        drop((first, other));
        assert_eq!(plan(&watches), "+ -b");
        drop(second);
        let again = Watches::watch(&watches, "a").unwrap();
        assert_eq!(plan(&watches), "+ -", "it is listened to yet");
        drop(again);
        assert_eq!(plan(&watches), "+ -a");
        assert!(!watches.are_any());
    }

    #[test]
    fn one_who_watches_no_more_before_the_upkeep_looks_is_forgotten() {
        let watches = watches();
        for owner in 0..100 {
            drop(Watches::watch(&watches, &owner.to_string()).unwrap());
        }
        assert_eq!(plan(&watches), "+ -");
        assert!(watches.state().owners.is_empty());
    }

    #[test]
    fn after_a_loss_all_that_are_watched_are_pending() {
        let watches = watches();
        let _kept = Watches::watch(&watches, "a").unwrap();
        let dropped = Watches::watch(&watches, "b").unwrap();
        plan(&watches);
        drop(dropped);
        watches.lost();
        let _late = Watches::watch(&watches, "c").unwrap();
        assert_eq!(plan(&watches), "+a,c -");
    }

    #[test]
    fn wakes_are_kept_for_who_does_not_wait_and_are_one() {
        let watches = watches();
        let mut watch = Watches::watch(&watches, "a").unwrap();
        assert!(!is_woken(&mut watch));
        for owner in ["a", "a", "b"] {
            watches.wake(owner);
        }
        assert!(is_woken(&mut watch));
        assert!(!is_woken(&mut watch));
        // Changes are heard of already, so it may read at once.
        assert!(is_woken(&mut Watches::watch(&watches, "a").unwrap()));
    }

    #[test]
    fn no_more_watches_than_may_be() {
        let watches = watches();
        let mut open: Vec<_> = ["a", "a", "b"].map(|owner| Watches::watch(&watches, owner).unwrap()).into();
        assert_eq!(Watches::watch(&watches, "a").unwrap_err(), TooManyWatches { watches_max: WATCHES_MAX });
        open.pop();
        assert!(Watches::watch(&watches, "a").is_ok());
    }
}
