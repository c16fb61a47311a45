//! Replicas that somebody has taken out of the balance, and wants out until he says otherwise.
//!
//! The fleet, which judges replicas, knows nothing of this: it lets a replica that is ready again into the balance as always.
//! Here that is put off until the hold is given up.
//! Elsewhere: fixed and discovered endpoints, which the gateway itself keeps out (`Gateway::drain`).

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use phalanx_config::ServiceName;

/// Whether a replica may be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It may.
    Free,
    /// Not before the hold is given up.
    Held,
}

#[derive(Debug)]
struct Hold {
    /// Whose address it was: a port that another replica has later is not meant.
    instance: String,
    /// Of which service it would be let in.
    waits_for: Option<ServiceName>,
}

/// The holds, by address.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<BTreeMap<SocketAddr, Hold>>);

impl Holds {
    /// Keeps this replica out from here on.
    pub(super) fn hold(&self, address: SocketAddr, instance: &str) {
        let hold = Hold { instance: instance.to_owned(), waits_for: None };
        self.lock().entry(address).or_insert(hold);
    }

    /// Gives a hold up; for which service the replica is to be let in, if that was put off.
    pub(super) fn release(&self, address: SocketAddr) -> Option<ServiceName> {
        self.lock().remove(&address)?.waits_for
    }

    pub(super) fn is_held(&self, address: SocketAddr) -> bool {
        self.lock().contains_key(&address)
    }

    /// Asks for a replica that is ready.
    pub(super) fn ask(&self, service: &ServiceName, instance: &str, address: SocketAddr) -> Entry {
        let mut holds = self.lock();
        match holds.get_mut(&address) {
            Some(hold) if hold.instance == instance => {
                hold.waits_for = Some(service.clone());
                Entry::Held
            }
            Some(_) => {
                holds.remove(&address);
                Entry::Free
            }
            None => Entry::Free,
        }
    }

    /// Notes that a replica is not to be let in any more.
    pub(super) fn withdrawn(&self, address: SocketAddr) {
        if let Some(hold) = self.lock().get_mut(&address) {
            hold.waits_for = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Hold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use phalanx_config::Config;

    use super::*;

    #[test]
    fn a_held_replica_waits_until_it_is_released_and_its_port_is_free_for_others() {
        let config = Config::builtin("phalanx").unwrap();
        let service = config.services.keys().next().unwrap();
        let address: SocketAddr = "127.0.0.1:3000".parse().unwrap();
        let holds = Holds::default();
        assert_eq!(holds.ask(service, "api-1", address), Entry::Free);
        assert_eq!(holds.release(address), None);

        holds.hold(address, "api-1");
        assert!(holds.is_held(address));
        assert_eq!(holds.release(address), None, "it is in the gateway, and only has to be taken back");

        holds.hold(address, "api-1");
        holds.withdrawn(address);
        assert_eq!(holds.ask(service, "api-1", address), Entry::Held);
        assert_eq!(holds.release(address), Some(service.clone()));

        holds.hold(address, "api-1");
        assert_eq!(holds.ask(service, "api-1", address), Entry::Held);
        holds.withdrawn(address);
        assert_eq!(holds.release(address), None, "it is not ready any more");

        holds.hold(address, "api-1");
        assert_eq!(holds.ask(service, "api-2", address), Entry::Free, "the port has another owner");
        assert!(!holds.is_held(address));
    }
}
