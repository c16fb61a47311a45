//! What DNS told when it was asked once.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use phalanx_config::Role;

/// The greatest weight of an endpoint; SRV records go up to 65535.
const WEIGHT_MAX: u16 = 1000;

/// All answers to one asking. Each question may have failed for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    /// The hosts that serve: those of the SRV record, or the one that is configured.
    pub(super) targets: Result<Vec<Target>, Failure>,
    /// The addresses of every host that was asked for.
    pub(super) hosts: BTreeMap<String, HostAnswer>,
    /// The smallest time to live of all records; `None` when there was no record.
    pub(super) ttl: Option<Duration>,
}

/// The two families of addresses that a host may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses<T> {
    pub(super) v4: T,
    pub(super) v6: T,
}

/// What was told of the addresses of one host.
pub(super) type HostAnswer = Addresses<Result<Vec<IpAddr>, Failure>>;

/// A host that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) role: Role,
    /// 1 to 1000.
    pub(super) weight: u16,
}

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceRecord {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) host: String,
}

impl Target {
    /// The one host of a configured name.
    pub(super) fn alone(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, role: Role::Primary, weight: 1 }
    }

    /// The targets of SRV records, primaries first. The records of the lowest priority are primaries; all others are backups,
    /// without a rank among them.
    pub(super) fn of_service(records: Vec<ServiceRecord>) -> Vec<Self> {
        let lowest = records.iter().map(|record| record.priority).min();
        let mut targets: Vec<_> = records
            .into_iter()
            .map(|ServiceRecord { priority, weight, port, host }| {
                let role = if Some(priority) == lowest { Role::Primary } else { Role::Backup };
                // Weight 0 asks for a very small share, and gets the smallest there is.
                Self { host, port, role, weight: weight.clamp(1, WEIGHT_MAX) }
            })
            .collect();
        // Servers rotate their records: the order is to depend on nothing but the records.
        targets.sort_by(|one, other| {
            let key = |target: &Self| (target.role == Role::Backup, target.port);
            key(one).cmp(&key(other)).then_with(|| one.host.cmp(&other.host))
        });
        targets
    }
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("the name does not exist")]
    NoSuchName,
    #[error("the name has no such records")]
    NoRecords,
    #[error("the server answered: {0}")]
    Refused(&'static str),
    #[error("no answer came in time")]
    Timeout,
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    #[error("the answer cannot be used: {0}")]
    Unusable(String),
}

impl Failure {
    /// Whether the server said for certain that there is nothing.
    pub(super) fn is_negative(&self) -> bool {
        match self {
            Self::NoSuchName | Self::NoRecords => true,
            Self::Refused(_) | Self::Timeout | Self::Unreachable(_) | Self::Unusable(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_lowest_priority_are_primaries_and_weights_are_kept_within_bounds() {
        let record =
            |priority, weight, port| ServiceRecord { priority, weight, port, host: "a.test.".to_owned() };
        let target = |role, weight, port| Target { host: "a.test.".to_owned(), port, role, weight };
        let records = vec![record(20, 5, 1), record(10, 0, 4), record(10, 65535, 3), record(30, 1000, 2)];
        let expected = vec![
            target(Role::Primary, 1000, 3),
            target(Role::Primary, 1, 4),
            target(Role::Backup, 5, 1),
            target(Role::Backup, 1000, 2),
        ];
        assert_eq!(Target::of_service(records), expected);
        assert_eq!(Target::of_service(Vec::new()), []);
    }
}
