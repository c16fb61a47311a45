//! The pools by shard and role: `phalanx_pool_*{shard,role,kind}`.
//!
//! A failover moves a server from one role to another, and what it had counted would move along: the one counter would fall,
//! which reads as a restart, and the other leap. So what a server has counted between two scrapes is added to the role that it
//! has at the second.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use phalanx_data::{Occupancy, ServerStatus};
use phalanx_telemetry::scraped::{Family, Kind};

/// What statements are sent to a server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Primary,
    Replica,
}

impl Role {
    fn label(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }

    /// The role that the server is known to have. One that does not answer keeps what it had.
    fn of(fitness: &str) -> Option<Self> {
        match fitness {
            "primary" => Some(Self::Primary),
            "replica" | "lagging" => Some(Self::Replica),
            _ => None,
        }
    }
}

/// The label `kind`: connections that carry many statements at a time, or one.
const KINDS: [&str; 2] = ["shared", "exclusive"];

/// Of which pools a series is.
type Place = (u16, Role, &'static str);

/// What was counted by the last scrape.
#[derive(Default)]
pub(super) struct Pools {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By shard and name.
    servers: HashMap<(u16, String), Seen>,
    counted: BTreeMap<Place, Counted>,
}

struct Seen {
    role: Role,
    counted: [Counted; 2],
}

#[derive(Clone, Copy, Default)]
struct Counted {
    wait_seconds: f64,
    timeouts: u64,
    connects: u64,
}

/// What the pools hold at the moment.
#[derive(Clone, Copy, Default)]
struct Held {
    size: usize,
    in_use: usize,
    waiting: usize,
}

impl Pools {
    /// The families, as of a scrape that finds the servers so.
    pub(super) fn families(&self, servers: &[ServerStatus]) -> Vec<Family> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = BTreeMap::<Place, Held>::new();
        for server in servers {
            let role = state.add(server);
            for (kind, occupancy) in KINDS.into_iter().zip(occupancies(server)) {
                let held = held.entry((server.shard.0, role, kind)).or_default();
                held.size += occupancy.connections;
                held.in_use += occupancy.in_use;
                held.waiting += occupancy.waiting;
            }
        }
        // A server that has left the topology may come back, and counts from zero then.
        let is_there = |place: &(u16, String)| {
            servers.iter().any(|server| (server.shard.0, &server.server) == (place.0, &place.1))
        };
        state.servers.retain(|place, _| is_there(place));
        let held = HELD.into_iter().map(|column| filled(column, Kind::Gauge, &held));
        held.chain(COUNTED.into_iter().map(|column| filled(column, Kind::Counter, &state.counted))).collect()
    }
}

impl State {
    /// Adds what a server has counted since the last scrape, and answers its role.
    fn add(&mut self, server: &ServerStatus) -> Role {
        let shard = server.shard.0;
        let seen = self.servers.entry((shard, server.server.clone()));
        // Whoever has never been a primary here is not taken for one.
        let seen = seen.or_insert_with(|| Seen { role: Role::Replica, counted: Default::default() });
        seen.role = Role::of(server.fitness).unwrap_or(seen.role);
        for ((kind, occupancy), before) in KINDS.into_iter().zip(occupancies(server)).zip(&mut seen.counted) {
            let now = Counted {
                wait_seconds: occupancy.waited.as_secs_f64(),
                timeouts: occupancy.timeouts,
                connects: occupancy.connects,
            };
            let sum = self.counted.entry((shard, seen.role, kind)).or_default();
            sum.wait_seconds += (now.wait_seconds - before.wait_seconds).max(0.0);
            sum.timeouts += now.timeouts.saturating_sub(before.timeouts);
            sum.connects += now.connects.saturating_sub(before.connects);
            *before = now;
        }
        seen.role
    }
}

/// In the order of [`KINDS`].
fn occupancies(server: &ServerStatus) -> [Occupancy; 2] {
    [server.pool.shared, server.pool.exclusive]
}

/// A series: its name, its help, and where its value stands.
type Column<T> = (&'static str, &'static str, fn(&T) -> f64);

const HELD: [Column<Held>; 3] = [
    ("phalanx_pool_size", "Connections that stand.", |held| held.size as f64),
    (
        "phalanx_pool_in_use",
        "Statements on their way (kind shared), or connections that are taken (kind exclusive).",
        |held| held.in_use as f64,
    ),
    ("phalanx_pool_waiting", "Callers that wait for a connection.", |held| held.waiting as f64),
];

const COUNTED: [Column<Counted>; 3] = [
    ("phalanx_pool_wait_seconds", "Time that callers have waited for a connection.", |counted| {
        counted.wait_seconds
    }),
    ("phalanx_pool_timeouts", "Callers that waited for a connection in vain.", |counted| {
        counted.timeouts as f64
    }),
    ("phalanx_pool_connects", "Connections made, those that replaced others among them.", |counted| {
        counted.connects as f64
    }),
];

fn filled<T>((name, help, value): Column<T>, kind: Kind, places: &BTreeMap<Place, T>) -> Family {
    let mut family = Family::new(kind, name, help);
    for ((shard, role, kind), held) in places {
        family.add(&[("shard", &*shard.to_string()), ("role", role.label()), ("kind", kind)], value(held));
    }
    family
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use phalanx_data::{PoolStatus, ShardId};
    use phalanx_telemetry::{registry::Registry, scraped};

    use super::*;

    fn server(name: &str, fitness: &'static str, timeouts: u64) -> ServerStatus {
        let shared = Occupancy {
            connections: 3,
            waited: Duration::from_millis(500 * timeouts),
            timeouts,
            ..Occupancy::default()
        };
        ServerStatus {
            shard: ShardId(1),
            server: name.to_owned(),
            fitness,
            lag_bytes: None,
            lag_age: None,
            pool: PoolStatus { shared, exclusive: Occupancy::default() },
            connections: None,
        }
    }

    /// The values of one name for the shared connections, `primary/replica`.
    fn value(families: &[Family], name: &str) -> String {
        let families = families.to_vec();
        let mut registry = Registry::new();
        registry.add(scraped::collector(move || families.clone()));
        let text = registry.encode();
        let of = |role| {
            let series = format!("{name}{{shard=\"1\",role=\"{role}\",kind=\"shared\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or("-").to_owned()
        };
        format!("{}/{}", of("primary"), of("replica"))
    }

    #[test]
    fn counters_do_not_fall_when_roles_change() {
        let pools = Pools::default();
        let before = pools.families(&[server("a", "primary", 10), server("b", "replica", 3)]);
        assert_eq!(value(&before, "phalanx_pool_timeouts_total"), "10.0/3.0");
        assert_eq!(value(&before, "phalanx_pool_size"), "3.0/3.0");
        // The primary dies: what waits for it counts as the primary's still.
        let dead = pools.families(&[server("a", "unreachable", 12), server("b", "replica", 3)]);
        assert_eq!(value(&dead, "phalanx_pool_timeouts_total"), "12.0/3.0");
        let after = pools.families(&[server("a", "unreachable", 12), server("b", "primary", 4)]);
        assert_eq!(value(&after, "phalanx_pool_timeouts_total"), "13.0/3.0");
        assert_eq!(value(&after, "phalanx_pool_wait_seconds_total"), "6.5/1.5");
        assert_eq!(value(&after, "phalanx_pool_size"), "6.0/-");
    }

    #[test]
    fn a_server_that_has_left_counts_anew_when_it_comes_back() {
        let pools = Pools::default();
        pools.families(&[server("a", "primary", 5)]);
        pools.families(&[]);
        let back = pools.families(&[server("a", "primary", 2)]);
        assert_eq!(value(&back, "phalanx_pool_timeouts_total"), "7.0/-");
    }
}
