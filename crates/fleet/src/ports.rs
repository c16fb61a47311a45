//! Free ports for replicas.
//!
//! Invariant: a leased port lies outside the kernel's ephemeral range and no other replica of this process has it. Inside
//! that range any outgoing connection of the machine could take the port between our test and the replica's bind.
//! Elsewhere: a program that finds its port taken all the same exits, and starts again on another (`crate::life`).

use std::{
    collections::BTreeSet,
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

const EPHEMERAL_RANGE_FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// What the kernel has unless somebody changed it.
const EPHEMERAL_STANDARD: RangeInclusive<u16> = 32_768..=60_999;
/// Below lie the ports of well-known servers, which may start later than we do.
const PREFERRED_FIRST: u16 = 10_000;
const UNPRIVILEGED_FIRST: u16 = 1024;
/// A smaller range might not hold the replicas of one large service and those that replace them.
const RANGE_LEN_MIN: usize = 2000;

/// Every port was taken.
#[derive(Debug, thiserror::Error)]
#[error("no free port from {first} to {last}")]
pub(crate) struct NoFreePort {
    first: u16,
    last: u16,
}

/// The ports that replicas of this process may get, and those they have.
#[derive(Debug)]
pub(crate) struct Ports {
    range: RangeInclusive<u16>,
    leased: Mutex<BTreeSet<u16>>,
}

impl Ports {
    /// Reads which ports the kernel gives to outgoing connections, and keeps away from them.
    pub(crate) fn of_this_machine() -> Self {
        let ephemeral = fs::read_to_string(EPHEMERAL_RANGE_FILE).ok().and_then(|text| parse(&text));
        Self { range: outside(&ephemeral.unwrap_or(EPHEMERAL_STANDARD)), leased: Mutex::default() }
    }

    /// How many are leased.
    pub(crate) fn taken(&self) -> usize {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A port that is free on every address of this machine; it stays taken until the lease is dropped.
    pub(crate) fn lease(self: &Arc<Self>) -> Result<PortLease, NoFreePort> {
        let mut leased = self.leased.lock().unwrap_or_else(PoisonError::into_inner);
        let len = self.range.len();
        // From a random one on: of two Phalanxes on one machine, neither runs into the other's ports all the time.
        let port = self
            .range
            .clone()
            .cycle()
            .skip(random_below(len))
            .take(len)
            .find(|port| !leased.contains(port) && is_free(*port))
            .ok_or(NoFreePort { first: *self.range.start(), last: *self.range.end() })?;
        leased.insert(port);
        Ok(PortLease { port, ports: Arc::clone(self) })
    }
}

/// One port, for one run of one replica.
#[derive(Debug)]
pub(crate) struct PortLease {
    port: u16,
    ports: Arc<Ports>,
}

impl PortLease {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where the replica is expected to listen.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.ports.leased.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.port);
    }
}

fn parse(text: &str) -> Option<RangeInclusive<u16>> {
    let mut bounds = text.split_ascii_whitespace().map(str::parse);
    match (bounds.next()?, bounds.next()?) {
        (Ok(first), Ok(last)) if first <= last => Some(first..=last),
        _ => None,
    }
}

/// The ports to choose from: below the ephemeral range, else above it. Where that range leaves no room, from the standard
/// place all the same: a port that is lost to an outgoing connection costs a restart of the replica, no more.
fn outside(ephemeral: &RangeInclusive<u16>) -> RangeInclusive<u16> {
    let below_last = ephemeral.start().saturating_sub(1);
    let above = ephemeral.end().saturating_add(1)..=u16::MAX;
    [PREFERRED_FIRST..=below_last, UNPRIVILEGED_FIRST..=below_last, above]
        .into_iter()
        .find(|range| range.len() >= RANGE_LEN_MIN)
        .unwrap_or(PREFERRED_FIRST..=EPHEMERAL_STANDARD.start() - 1)
}

fn is_free(port: u16) -> bool {
    // Bound to all addresses of both families, the test finds a listener on any of them.
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => false,
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok(),
    }
}

fn random_below(bound: usize) -> usize {
    // Without randomness the search begins at the first port, and finds a free one all the same.
    let random = getrandom::u32().unwrap_or(0);
    usize::try_from(random).map_or(0, |random| random % bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_chosen_outside_the_ephemeral_range() {
        for (file, range) in [
            ("32768\t60999\n", 10_000..=32_767),
            ("9000 65535", 1024..=8999),
            ("1024 60999", 61_000..=65_535),
            ("12500 13000", 10_000..=12_499),
            ("1024 65535", 10_000..=32_767),
        ] {
            assert_eq!(outside(&parse(file).unwrap()), range, "{file}");
        }
    }

    #[test]
    fn a_range_that_is_none_is_not_believed() {
        for file in ["", "1024", "x 5", "60999 32768", "1024 99999"] {
            assert_eq!(parse(file), None, "{file}");
        }
    }

    #[test]
    fn no_port_is_leased_twice_and_a_returned_one_is_free_again() {
        let first = free_port();
        let ports = Arc::new(Ports { range: first..=first, leased: Mutex::default() });
        let lease = ports.lease().unwrap();
        assert_eq!(lease.port(), first);
        assert_eq!(ports.lease().unwrap_err().to_string(), format!("no free port from {first} to {first}"));
        drop(lease);
        assert_eq!(ports.lease().unwrap().port(), first);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_leased() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                assert!(address.starts_with('['), "no {address}");
                continue;
            };
            assert!(!is_free(listener.local_addr().unwrap().port()), "{address}");
        }
    }

    fn free_port() -> u16 {
        Arc::new(Ports::of_this_machine()).lease().unwrap().port()
    }
}
