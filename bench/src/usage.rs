//! What a process and everything below it used: CPU time and memory, from `/proc`.
//!
//! CPU time is read twice over: per thread from `schedstat`, in nanoseconds, and per process from `stat`, in clock ticks.
//! The first is finer and decides; the second still knows threads that have ended, and kernels without `schedstat`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use procfs::process::{Process, all_processes};
use rustix::process::Pid;

/// The process and all its descendants, from one look at the process table.
pub(crate) fn tree(root: Pid) -> anyhow::Result<Vec<Pid>> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    // A process that ends while the table is read is no longer of interest.
    for process in all_processes().context("read /proc")?.flatten() {
        if let Ok(stat) = process.stat() {
            children.entry(stat.ppid).or_default().push(stat.pid);
        }
    }
    let mut found = vec![root.as_raw_pid()];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    Ok(found.into_iter().filter_map(Pid::from_raw).collect())
}

/// CPU time used since the start of a process tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuReading {
    /// By thread id; `None` where the kernel does not tell.
    thread_nanoseconds: Option<BTreeMap<i32, u64>>,
    /// User and system time of the processes.
    ticks: u64,
}

impl CpuReading {
    /// Reads the whole tree below `root`.
    pub(crate) fn of(root: Pid) -> anyhow::Result<Self> {
        Self::of_each(tree(root)?)
    }

    /// Reads these processes, and none that are below them.
    pub(crate) fn of_each(pids: impl IntoIterator<Item = Pid>) -> anyhow::Result<Self> {
        let mut ticks = 0;
        let mut threads = BTreeMap::new();
        for pid in pids {
            let process = Process::new(pid.as_raw_pid()).with_context(|| format!("read process {pid:?}"))?;
            let stat = process.stat()?;
            ensure!(stat.state != 'Z', "process {} has ended", stat.pid);
            ticks += stat.utime + stat.stime;
            for task in process.tasks()?.flatten() {
                if let Ok(schedstat) = task.schedstat() {
                    threads.insert(task.tid, schedstat.sum_exec_runtime);
                }
            }
        }
        // Without scheduler statistics the file is missing or holds zeros, and no process starts without any run.
        let is_told = threads.values().any(|nanoseconds| *nanoseconds > 0);
        Ok(Self { thread_nanoseconds: is_told.then_some(threads), ticks })
    }

    /// Before the start of a process.
    pub(crate) fn nothing() -> Self {
        Self { thread_nanoseconds: Some(BTreeMap::new()), ticks: 0 }
    }

    /// What was used from `earlier` to this reading.
    pub(crate) fn since(&self, earlier: &Self) -> CpuTime {
        if let (Some(before), Some(after)) = (&earlier.thread_nanoseconds, &self.thread_nanoseconds)
            // A thread that ended took its time with it; a thread that began is counted in full.
            && before.keys().all(|thread| after.contains_key(thread))
        {
            let used = after.values().sum::<u64>() - before.values().sum::<u64>();
            return CpuTime { used: Duration::from_nanos(used), source: CpuSource::Schedstat };
        }
        let seconds = (self.ticks - earlier.ticks) as f64 / procfs::ticks_per_second() as f64;
        CpuTime { used: Duration::from_secs_f64(seconds), source: CpuSource::Ticks }
    }
}

/// CPU time between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// User and system time together.
    pub(crate) used: Duration,
    /// Where it comes from.
    pub(crate) source: CpuSource,
}

/// How fine a CPU time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CpuSource {
    /// Nanoseconds.
    Schedstat,
    /// Clock ticks, usually of 10 ms.
    Ticks,
}

/// CPU time of a process tree since its start, in clock ticks: also that of processes which have ended and were waited for.
/// For servers whose processes come and go.
pub(crate) fn lifetime_cpu(root: Pid) -> anyhow::Result<Duration> {
    let mut ticks = 0;
    for pid in tree(root)? {
        // One that has just ended is its parent's by the next reading.
        if let Ok(stat) = Process::new(pid.as_raw_pid()).and_then(|process| process.stat()) {
            let ended = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
            ticks += stat.utime + stat.stime + ended;
        }
    }
    Ok(Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64))
}

/// Memory of the process tree in bytes, shared pages in proportion (PSS): a plain sum of RSS would count the pages that
/// nginx's master and worker share twice.
pub(crate) fn memory_bytes(root: Pid) -> anyhow::Result<u64> {
    memory_bytes_of_each(tree(root)?)
}

/// The same of these processes, and none that are below them.
pub(crate) fn memory_bytes_of_each(pids: impl IntoIterator<Item = Pid>) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for pid in pids {
        let rollup = Process::new(pid.as_raw_pid()).and_then(|process| process.smaps_rollup());
        let rollup = rollup.with_context(|| format!("read smaps_rollup of process {pid:?}"))?;
        let resident: u64 =
            rollup.memory_map_rollup.iter().filter_map(|map| map.extension.map.get("Pss")).sum();
        ensure!(resident > 0, "no Pss in smaps_rollup of process {pid:?}");
        bytes += resident;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::getpid;

    use super::{CpuReading, CpuSource, CpuTime, lifetime_cpu, memory_bytes, tree};

    fn reading(threads: Option<&[(i32, u64)]>, ticks: u64) -> CpuReading {
        CpuReading { thread_nanoseconds: threads.map(|threads| threads.iter().copied().collect()), ticks }
    }

    #[test]
    fn threads_that_stay_are_counted_in_nanoseconds() {
        let before = reading(Some(&[(1, 1_000), (2, 500)]), 10);
        let after = reading(Some(&[(1, 4_000), (2, 500), (3, 40)]), 90);
        assert_eq!(
            after.since(&before),
            CpuTime { used: Duration::from_nanos(3_040), source: CpuSource::Schedstat }
        );
    }

    #[test]
    fn a_thread_that_ended_or_an_older_kernel_falls_back_to_ticks() {
        let ended = reading(Some(&[(1, 4_000)]), 60).since(&reading(Some(&[(1, 1_000), (2, 500)]), 10));
        let untold = reading(None, 60).since(&reading(None, 10));
        let ticks = Duration::from_secs_f64(50.0 / procfs::ticks_per_second() as f64);
        assert_eq!(ended, CpuTime { used: ticks, source: CpuSource::Ticks });
        assert_eq!(untold, CpuTime { used: ticks, source: CpuSource::Ticks });
        let whole = reading(Some(&[(1, 4_000), (2, 500)]), 0).since(&CpuReading::nothing());
        assert_eq!(whole.used, Duration::from_nanos(4_500));
    }

    #[test]
    fn this_process_has_a_tree_time_and_memory() {
        assert_eq!(tree(getpid()).unwrap().first(), Some(&getpid()));
        CpuReading::of(getpid()).unwrap();
        let before = lifetime_cpu(getpid()).unwrap();
        assert!(lifetime_cpu(getpid()).unwrap() >= before);
        assert!(memory_bytes(getpid()).unwrap() > 0);
    }
}
