//! Every process group of the fleet, for the moment when all of them have to end at once.

use std::{
    collections::HashSet,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// The process groups of this fleet.
#[derive(Debug, Default)]
pub(crate) struct Groups(Mutex<Enlisted>);

#[derive(Debug)]
enum Enlisted {
    Living(HashSet<Pid>),
    /// All were killed, and whoever comes is killed too.
    Doomed,
}

impl Default for Enlisted {
    fn default() -> Self {
        Self::Living(HashSet::new())
    }
}

impl Groups {
    /// KILL to every group, without waiting for any task.
    pub(crate) fn kill_all(&self) {
        self.with(|enlisted| {
            if let Enlisted::Living(groups) = mem::replace(enlisted, Enlisted::Doomed) {
                groups.into_iter().for_each(|group| signal(group, Signal::KILL));
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Enlisted) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The right to signal one process group: to be dropped before its leader is reaped, since from then on the kernel may give
/// the id to somebody else. Dropping it kills the group.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    groups: Arc<Groups>,
}

impl Group {
    pub(super) fn enlist(id: Pid, groups: &Arc<Groups>) -> Self {
        groups.with(|enlisted| match enlisted {
            Enlisted::Living(groups) => {
                groups.insert(id);
            }
            Enlisted::Doomed => signal(id, Signal::KILL),
        });
        Self { id, groups: Arc::clone(groups) }
    }

    pub(super) fn signal(&self, number: Signal) {
        signal(self.id, number);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.groups.with(|enlisted| {
            if let Enlisted::Living(groups) = enlisted {
                groups.remove(&self.id);
            }
        });
    }
}

fn signal(group: Pid, number: Signal) {
    // Fails for a group of zombies only, and there is nothing to be done about those.
    let _ = kill_process_group(group, number);
}
