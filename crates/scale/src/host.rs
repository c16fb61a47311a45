//! How many replicas of a service one machine has room for.
//!
//! What a replica requests is kept free for it, as a Kubernetes node does: no more replicas than the requests fit in. Where no
//! processor time is requested a documented number for each core stands in, so that a policy which asks for two hundred
//! replicas does not bury a machine of two cores.
//!
//! Invariant: there is always room for one.
//! Elsewhere: what the machine has (the binary), and the clamp itself ([`crate::Policy::on`], [`crate::fast::Policy::on`]).

use std::fmt;

use crate::{Thousandths, number};

/// Replicas for each core where no processor time is requested. Enough for programs with one thread that wait for others half
/// of their time, and few enough that all of them can boot at once.
pub const REPLICAS_PER_CORE: u32 = 4;

/// What a machine has for replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Processor time, in thousandths of a core.
    pub cpu_milli: u64,
    /// Memory; nothing if nobody could find out.
    pub memory_bytes: Option<u64>,
}

/// What a replica requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Processor time, in thousandths of a core.
    pub cpu_milli: Option<u64>,
    /// Memory.
    pub memory_bytes: Option<u64>,
}

/// So many, and why no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimit {
    /// So many; at least one.
    pub replicas: u32,
    /// What there would not be enough of.
    pub cause: Shortage,
}

/// What there would not be enough of for one more replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Cores, [`REPLICAS_PER_CORE`] on each.
    Cores {
        /// What there is, in thousandths of a core.
        cpu_milli: u64,
    },
    /// Processor time that is requested.
    Cpu {
        /// What there is, in thousandths of a core.
        cpu_milli: u64,
        /// What each requests.
        each_milli: u64,
    },
    /// Memory that is requested.
    Memory {
        /// What there is.
        bytes: u64,
        /// What each requests.
        each_bytes: u64,
    },
}

/// How many replicas that request this much a machine has room for.
#[must_use]
pub fn host_limit(host: Host, each: Footprint) -> HostLimit {
    let by_cpu = match each.cpu_milli {
        Some(each_milli) => HostLimit {
            replicas: fits(host.cpu_milli, each_milli),
            cause: Shortage::Cpu { cpu_milli: host.cpu_milli, each_milli },
        },
        None => HostLimit {
            replicas: fits(host.cpu_milli.saturating_mul(REPLICAS_PER_CORE.into()), 1_000),
            cause: Shortage::Cores { cpu_milli: host.cpu_milli },
        },
    };
    let by_memory = host.memory_bytes.zip(each.memory_bytes).map(|(bytes, each_bytes)| HostLimit {
        replicas: fits(bytes, each_bytes),
        cause: Shortage::Memory { bytes, each_bytes },
    });
    match by_memory {
        Some(by_memory) if by_memory.replicas < by_cpu.replicas => by_memory,
        _ => by_cpu,
    }
}

/// `max`, lowered to what the host has room for; the limit is there where it did so. Whoever asked for `min` replicas gets them:
/// only what lies above is the autoscaler's to give or not.
pub(crate) fn lowered(min: u32, max: u32, limit: HostLimit) -> (u32, Option<HostLimit>) {
    let room = limit.replicas.max(min);
    if room < max { (room, Some(HostLimit { replicas: room, ..limit })) } else { (max, None) }
}

fn fits(there_is: u64, each: u64) -> u32 {
    // A request of nothing takes nothing.
    let count = there_is.checked_div(each).unwrap_or(u64::MAX).max(1);
    number::replicas(i64::try_from(count).unwrap_or(i64::MAX))
}

impl fmt::Display for HostLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Shortage::Cores { cpu_milli } => cores_to(formatter, cpu_milli),
            Shortage::Cpu { cpu_milli, each_milli } => {
                cores_to(formatter, cpu_milli)?;
                write!(formatter, " at {each_milli}m each")
            }
            Shortage::Memory { bytes, each_bytes } => {
                write!(formatter, "{} MiB of memory at {} MiB each", bytes >> 20, each_bytes >> 20)
            }
        }
    }
}

fn cores_to(formatter: &mut fmt::Formatter<'_>, cpu_milli: u64) -> fmt::Result {
    let cores = Thousandths(i64::try_from(cpu_milli).unwrap_or(i64::MAX));
    write!(formatter, "{cores} core{}", if cpu_milli == 1_000 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const SMALL: Host = Host { cpu_milli: 2_000, memory_bytes: Some(4 * GIB) };

    fn told(host: Host, cpu_milli: Option<u64>, memory_bytes: Option<u64>) -> String {
        let limit = host_limit(host, Footprint { cpu_milli, memory_bytes });
        format!("max {}: {limit}", limit.replicas)
    }

    #[test]
    fn there_are_no_more_than_the_requests_fit_in() {
        for (cpu, memory, expected) in [
            (None, None, "max 8: 2 cores"),
            (Some(250), None, "max 8: 2 cores at 250m each"),
            (Some(300), None, "max 6: 2 cores at 300m each"),
            (Some(5_000), None, "max 1: 2 cores at 5000m each"),
            (Some(100), Some(512 << 20), "max 8: 4096 MiB of memory at 512 MiB each"),
            (Some(500), Some(512 << 20), "max 4: 2 cores at 500m each"),
            (None, Some(GIB), "max 4: 4096 MiB of memory at 1024 MiB each"),
            (Some(0), None, "max 2147483647: 2 cores at 0m each"),
        ] {
            assert_eq!(told(SMALL, cpu, memory), expected);
        }
    }

    #[test]
    fn what_nobody_could_find_out_limits_nothing() {
        let host = Host { memory_bytes: None, ..SMALL };
        assert_eq!(told(host, Some(500), Some(u64::MAX)), "max 4: 2 cores at 500m each");
    }

    #[test]
    fn there_is_always_room_for_one() {
        let nothing = Host { cpu_milli: 0, memory_bytes: Some(0) };
        assert_eq!(told(nothing, None, None), "max 1: 0 cores");
        assert_eq!(told(Host { cpu_milli: 1_000, ..SMALL }, None, None), "max 4: 1 core");
        assert_eq!(
            told(Host { cpu_milli: u64::MAX, ..SMALL }, Some(1), None).split(':').next(),
            Some("max 2147483647")
        );
    }

    #[test]
    fn a_limit_lowers_max_and_never_min() {
        let limit = host_limit(SMALL, Footprint::default());
        assert_eq!(lowered(1, 200, limit), (8, Some(limit)));
        assert_eq!(lowered(1, 8, limit), (8, None));
        assert_eq!(lowered(10, 200, limit), (10, Some(HostLimit { replicas: 10, ..limit })));
        assert_eq!(lowered(300, 300, limit), (300, None));
    }
}
