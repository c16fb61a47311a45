//! Which core runs what: the proxy alone on one, so that its cost is not mixed with that of the origin and the load.

use std::{fmt, io, marker::PhantomData};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// One core that this process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Core(usize);

impl fmt::Display for Core {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "core {}", self.0)
    }
}

impl Core {
    /// Runs `start` pinned to this core. A process started in it inherits the core, with all its later threads and
    /// children, which pinning it afterwards could miss.
    pub(crate) fn run<T>(self, start: impl FnOnce() -> T) -> io::Result<T> {
        let _pinned = self.pin()?;
        Ok(start())
    }

    /// Keeps the calling thread on this core for as long as the guard lives.
    pub(crate) fn pin(self) -> io::Result<Pinned> {
        let everywhere = sched_getaffinity(None)?;
        let mut here = CpuSet::new();
        here.set(self.0);
        sched_setaffinity(None, &here)?;
        Ok(Pinned { everywhere, thread: PhantomData })
    }
}

/// The calling thread is on one core until this is dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    everywhere: CpuSet,
    /// Dropped by another thread it would free that one.
    thread: PhantomData<*const ()>,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // It was set a moment ago: only a core that went offline since then could be refused, and with it nothing is lost.
        let _ = sched_setaffinity(None, &self.everywhere);
    }
}

/// The cores of one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Each proxy, one at a time.
    pub(crate) proxy: Core,
    /// The origin.
    pub(crate) origin: Core,
    /// The load generator.
    pub(crate) load: Core,
}

impl Placement {
    /// Over the cores that this process may use.
    pub(crate) fn here() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let cores: Vec<Core> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).map(Core).collect();
        Self::over(&cores).ok_or_else(|| io::Error::other("this process may use no core"))
    }

    fn over(cores: &[Core]) -> Option<Self> {
        match *cores {
            [] => None,
            [only] => Some(Self { proxy: only, origin: only, load: only }),
            [proxy, rest] => Some(Self { proxy, origin: rest, load: rest }),
            [proxy, origin, load, ..] => Some(Self { proxy, origin, load }),
        }
    }

    /// The proxy shares its core: its CPU per request still counts, requests a second and p99 mean little.
    pub(crate) fn is_crowded(&self) -> bool {
        self.proxy == self.load
    }
}

#[cfg(test)]
impl Placement {
    /// For tests of what is said about it.
    pub(crate) fn over_two_cores() -> Self {
        Self { proxy: Core(0), origin: Core(1), load: Core(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Core, Placement};

    #[test]
    fn the_proxy_is_alone_wherever_there_are_two_cores() {
        let placed = |cores: &[usize]| {
            let cores: Vec<Core> = cores.iter().copied().map(Core).collect();
            Placement::over(&cores).map(|placement| (placement.proxy.0, placement.origin.0, placement.load.0))
        };
        assert_eq!(placed(&[]), None);
        assert_eq!(placed(&[3]), Some((3, 3, 3)));
        assert_eq!(placed(&[0, 1]), Some((0, 1, 1)));
        assert_eq!(placed(&[2, 4, 6, 8]), Some((2, 4, 6)));
    }
}
