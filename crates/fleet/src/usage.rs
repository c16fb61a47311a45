//! What replicas use: CPU time and memory of everything each of them has started, from one look at `/proc`.
//!
//! Invariants: the CPU time of a run never goes back and counts no process twice. A replica that could not be measured has
//! no sample, never one of zero. Only processes that this one started are taken for leaders of replicas, so an id that the
//! kernel gave to somebody else is never measured.
//! Elsewhere: whose process is whose (`family`), how the time of processes that come and go adds up (`ledger`), the files
//! (`table`), the thread that reads them (`meter`); who asks, and how often.
//! Cannot fail: what `/proc` does not tell is missing from the answer.

mod family;
mod ledger;
mod meter;
mod table;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    process,
    sync::Arc,
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;

pub use self::meter::Measured;
pub(crate) use self::meter::Meter;
use self::{
    family::{Family, Mark, Seeker},
    ledger::Ledger,
    table::{ProcessId, Table},
};

/// What one replica uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// User and system time since the start of this run, of processes that have ended too. As fine as a clock tick, usually
    /// 10 ms.
    pub cpu: Duration,
    /// Memory held in RAM. Of a replica with several processes pages that these share count once.
    pub memory_bytes: u64,
    /// When this was so.
    pub taken: Instant,
    run: ProcessId,
}

impl Usage {
    /// Thousandths of a core used from `earlier` to this sample; `None` where these are of two runs, since the time of a
    /// restarted replica begins anew, and where no time lies between them.
    #[must_use]
    pub fn cpu_milli_since(&self, earlier: &Self) -> Option<u64> {
        let window = self.taken.checked_duration_since(earlier.taken)?;
        if self.run != earlier.run || window.is_zero() {
            return None;
        }
        let milli = self.cpu.checked_sub(earlier.cpu)?.as_nanos() * 1000 / window.as_nanos();
        u64::try_from(milli).ok()
    }
}

#[cfg(test)]
impl Usage {
    /// What nobody has measured, of the run with this number.
    pub(crate) fn fake(run: u64, cpu: Duration, memory_bytes: u64, taken: Instant) -> Self {
        Self { cpu, memory_bytes, taken, run: ProcessId { pid: 1, started: run } }
    }
}

/// Measures replicas, and remembers of each what the next sample needs.
///
/// It reads files, a few for each process of this machine: a task that must not wait has it run on a thread for such work.
#[derive(Debug)]
pub struct Sampler {
    runs: HashMap<Arc<str>, Run>,
    /// Processes that belong to nobody, as their environment has shown.
    strangers: HashSet<ProcessId>,
    ticks_per_second: u64,
}

/// One run of a replica, as far as it was measured.
#[derive(Debug)]
struct Run {
    leader: ProcessId,
    mark: Option<Mark>,
    ledger: Ledger,
}

impl Sampler {
    /// Without any memory.
    #[must_use]
    pub fn new() -> Self {
        Self {
            runs: HashMap::new(),
            strangers: HashSet::new(),
            ticks_per_second: procfs::ticks_per_second().max(1),
        }
    }

    /// Measures replicas, given by instance and by the id of their process, which this process must have started. Those that
    /// are not among them are forgotten.
    pub fn sample(&mut self, replicas: &[(Arc<str>, u32)]) -> HashMap<Arc<str>, Usage> {
        let table = match Table::read() {
            Ok(table) => table,
            Err(error) => {
                tracing::debug!(%error, "the process table cannot be read, so nobody knows what replicas use");
                return HashMap::new();
            }
        };
        let taken = clock::now();
        self.follow(replicas, &table);
        let families = self.families(&table);
        let mut used = HashMap::new();
        for (instance, run) in &mut self.runs {
            let Some(family) = families.get(&run.leader) else { continue };
            let ticks = run.ledger.enter(family.members());
            let Some(memory_bytes) = family.memory_bytes() else { continue };
            let cpu = Duration::from_nanos(
                u64::try_from(u128::from(ticks) * 1_000_000_000 / u128::from(self.ticks_per_second))
                    .unwrap_or(u64::MAX),
            );
            used.insert(Arc::clone(instance), Usage { cpu, memory_bytes, taken, run: run.leader });
        }
        used
    }

    /// Takes up new runs, and forgets those that are over.
    fn follow(&mut self, replicas: &[(Arc<str>, u32)], table: &Table) {
        let mut before = std::mem::take(&mut self.runs);
        for (instance, pid) in replicas {
            let Some(leader) = table.child_of(process::id(), *pid) else {
                // Its file could not be read this once: what is known of the run is kept for the next sample.
                if let Some(run) = before.remove(instance).filter(|run| table.is_unreadable(run.leader)) {
                    self.runs.insert(Arc::clone(instance), run);
                }
                continue;
            };
            let run = before.remove(instance).filter(|run| run.leader == leader);
            let run = run.unwrap_or_else(|| Run {
                leader,
                mark: Mark::of(leader, instance),
                ledger: Ledger::default(),
            });
            self.runs.insert(Arc::clone(instance), run);
        }
    }

    /// Whose processes are whose, without the replicas of which something could not be read.
    fn families<'a>(&mut self, table: &'a Table) -> HashMap<ProcessId, Family<'a>> {
        let mut seeker = Seeker::new(table);
        for run in self.runs.values() {
            seeker.look_for(run.leader, run.mark.as_ref(), run.ledger.known());
        }
        seeker.find(&mut self.strangers)
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new()
    }
}
