//! What follows from the answers of DNS: which endpoints come, which go, and when to ask again.
//!
//! Invariant: what DNS fails to tell stays as it was told last, for each family of addresses of each host. A name that
//! resolves to nothing has taken down more services than endpoints that had gone; the health of an endpoint shows the latter.
//!
//! Elsewhere: asking (`super::lookup`), acting on a plan (`super`).

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    mem::discriminant,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use phalanx_config::{Endpoint, Role};

use super::answer::{Addresses, Failure, HostAnswer, Observed, Target};

/// The bounds of discovery.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// Until the next asking after a whole answer; its time to live is kept within.
    pub(super) ttl: RangeInclusive<Duration>,
    /// Until the next asking after a failure; doubled with each in a row.
    pub(super) pause: RangeInclusive<Duration>,
    /// Endpoints of a service; of more, the first in the order of their addresses.
    pub(super) endpoints_max: usize,
}

/// What DNS told last.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    targets: Vec<Target>,
    hosts: BTreeMap<String, Addresses<Vec<IpAddr>>>,
    /// The endpoints that follow from it.
    pub(super) endpoints: Vec<Endpoint>,
    failure: Option<Failure>,
    failures_in_a_row: u32,
    /// How many endpoints the answers had beyond the bound.
    excess: usize,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// New endpoints, and those that have another weight or role than before.
    pub(super) admitted: Vec<Endpoint>,
    /// Endpoints that are gone.
    pub(super) withdrawn: Vec<SocketAddr>,
    pub(super) ask_at: Duration,
    /// Why DNS did not tell all.
    pub(super) failure: Option<Failure>,
    pub(super) notices: Vec<Notice>,
    /// What is known from here on.
    pub(super) known: Known,
}

/// What a person should know, told once when it becomes so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// DNS did not tell all, for this reason.
    Failing(Failure),
    /// It did again.
    Recovered,
    /// So many endpoints were left out.
    TooMany { excess: usize },
}

/// Plans what follows from `observed`, which came at `now`. `jitter`, 0 to 1, spreads the pauses of gateways that failed
/// together.
pub(super) fn plan(policy: &Policy, known: &Known, observed: Observed, now: Duration, jitter: f64) -> Plan {
    let Observed { targets, hosts: answers, ttl } = observed;
    let mut failure = None;
    let targets = targets.unwrap_or_else(|failed| {
        failure = Some(failed);
        known.targets.clone()
    });
    let mut hosts = BTreeMap::new();
    for target in &targets {
        let Entry::Vacant(entry) = hosts.entry(target.host.clone()) else { continue };
        match (answers.get(&target.host), known.hosts.get(&target.host)) {
            (Some(answer), last) => {
                let (addresses, failed) = settle(answer, last.cloned().unwrap_or_default());
                entry.insert(addresses);
                failure = failure.or(failed);
            }
            (None, Some(last)) => drop(entry.insert(last.clone())),
            // One of too many hosts.
            (None, None) => {}
        }
    }

    let unasked = targets.iter().filter(|target| !hosts.contains_key(&target.host)).count();
    let (endpoints, surplus) = endpoints(&targets, &hosts, policy.endpoints_max);
    let excess = surplus + unasked;
    let failures_in_a_row = if failure.is_some() { known.failures_in_a_row.saturating_add(1) } else { 0 };
    let until_next = until_next_asking(policy, failures_in_a_row, ttl, jitter);
    let mut notices = Vec::new();
    match (&known.failure, &failure) {
        (Some(before), Some(failure)) if discriminant(before) == discriminant(failure) => {}
        (_, Some(failure)) => notices.push(Notice::Failing(failure.clone())),
        (Some(_), None) => notices.push(Notice::Recovered),
        (None, None) => {}
    }
    if known.excess == 0 && excess > 0 {
        notices.push(Notice::TooMany { excess });
    }
    let is_gone = |address| endpoints.iter().all(|endpoint| endpoint.address != address);
    Plan {
        admitted: endpoints.iter().filter(|endpoint| !known.endpoints.contains(endpoint)).cloned().collect(),
        withdrawn: known
            .endpoints
            .iter()
            .map(|endpoint| endpoint.address)
            .filter(|address| is_gone(*address))
            .collect(),
        ask_at: now + until_next,
        failure: failure.clone(),
        notices,
        known: Known { targets, hosts, endpoints, failure, failures_in_a_row, excess },
    }
}

/// The addresses of a host after `answer`, when `last` was told before; and what failed.
fn settle(answer: &HostAnswer, last: Addresses<Vec<IpAddr>>) -> (Addresses<Vec<IpAddr>>, Option<Failure>) {
    let Addresses { v4, v6 } = answer;
    match (v4, v6) {
        (Ok(v4), Ok(v6)) => (Addresses { v4: v4.clone(), v6: v6.clone() }, None),
        // Most hosts have addresses of one family alone: with some of the other, having none is an answer.
        (Ok(v4), Err(none)) if none.is_negative() => (Addresses { v4: v4.clone(), v6: Vec::new() }, None),
        (Err(none), Ok(v6)) if none.is_negative() => (Addresses { v4: Vec::new(), v6: v6.clone() }, None),
        (Ok(v4), Err(failure)) => (Addresses { v4: v4.clone(), v6: last.v6 }, Some(failure.clone())),
        (Err(failure), Ok(v6)) => (Addresses { v4: last.v4, v6: v6.clone() }, Some(failure.clone())),
        (Err(none), Err(failure)) if none.is_negative() => (last, Some(failure.clone())),
        (Err(failure), Err(_)) => (last, Some(failure.clone())),
    }
}

/// The endpoints at the addresses of `targets`, primaries first, and how many there are beyond `endpoints_max`.
fn endpoints(
    targets: &[Target],
    hosts: &BTreeMap<String, Addresses<Vec<IpAddr>>>,
    endpoints_max: usize,
) -> (Vec<Endpoint>, usize) {
    let mut by_address: BTreeMap<SocketAddr, Endpoint> = BTreeMap::new();
    for target in targets {
        let Some(Addresses { v4, v6 }) = hosts.get(&target.host) else { continue };
        for ip in v4.iter().chain(v6) {
            let address = SocketAddr::new(*ip, target.port);
            let endpoint = Endpoint { address, weight: target.weight, role: target.role };
            // Two targets may be the same address: what ranks it higher holds.
            let known = by_address.entry(address).or_insert_with(|| endpoint.clone());
            if rank(&endpoint) < rank(known) {
                *known = endpoint;
            }
        }
    }
    let mut endpoints: Vec<_> = by_address.into_values().collect();
    // Stable, so still in the order of the addresses.
    endpoints.sort_by_key(|endpoint| endpoint.role == Role::Backup);
    let excess = endpoints.len().saturating_sub(endpoints_max);
    endpoints.truncate(endpoints_max);
    (endpoints, excess)
}

fn rank(endpoint: &Endpoint) -> impl Ord {
    (endpoint.role == Role::Backup, std::cmp::Reverse(endpoint.weight))
}

fn until_next_asking(
    policy: &Policy,
    failures_in_a_row: u32,
    ttl: Option<Duration>,
    jitter: f64,
) -> Duration {
    let within =
        |range: &RangeInclusive<Duration>, duration: Duration| duration.clamp(*range.start(), *range.end());
    let ttl = ttl.map(|ttl| within(&policy.ttl, ttl));
    let Some(doublings) = failures_in_a_row.checked_sub(1) else {
        return ttl.unwrap_or(*policy.ttl.end());
    };
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let longest = policy.pause.start().saturating_mul(factor).min(*policy.pause.end());
    let pause = within(&policy.pause, longest.mul_f64(0.5 + jitter / 2.0));
    // What was told still ends when it ends.
    ttl.map_or(pause, |ttl| ttl.min(pause))
}
