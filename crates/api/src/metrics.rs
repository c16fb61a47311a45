//! What the data layer knows, as series of `/metrics`.
//!
//! Invariant: no label comes from a client. Shards and servers are those of the topology, statements those of the program and
//! bounded by the data layer, all others closed sets.
//! Elsewhere: who counts (`phalanx-data`); how series are written (`phalanx-telemetry`).

mod pools;
mod shared_state;

use phalanx_data::{Data, ReadTotals, ServerStatus, StatementTotals};
use phalanx_telemetry::{
    registry::Registry,
    scraped::{self, Family, Kind},
};

use self::pools::Pools;
pub(crate) use self::shared_state::register as register_shared_state;

/// Lets each scrape ask the data layer.
pub(crate) fn register(registry: &mut Registry, data: &Data) {
    let (data, pools) = (data.clone(), Pools::default());
    registry.add(scraped::collector(move || {
        let servers = data.status();
        let mut families = pools.families(&servers);
        families.extend(of_servers(&servers));
        families.extend(of_reads(&data.reads()));
        families.extend(of_statements(&data.statements()));
        let help = "Epoch of the map of buckets in use.";
        families
            .push(Family::new(Kind::Gauge, "phalanx_map_epoch", help).with(&[], data.map().epoch() as f64));
        families
    }));
}

fn of_servers(servers: &[ServerStatus]) -> [Family; 3] {
    let mut lag = Family::new(
        Kind::Gauge,
        "phalanx_replica_lag_bytes",
        "What a replica has yet to replay of its primary's log.",
    );
    // The names under which dashboards know them, though the servers are asked here and by nobody else.
    let mut backends = Family::new(
        Kind::Gauge,
        "pg_stat_database_numbackends",
        "Connections of all clients to the database, as of the last probe.",
    );
    let mut limit = Family::new(
        Kind::Gauge,
        "pg_settings_max_connections",
        "How many connections the server takes, those it keeps for superusers among them.",
    );
    for server in servers {
        let shard = server.shard.0.to_string();
        let labels = [("shard", &*shard), ("server", &*server.server)];
        if let Some(bytes) = server.lag_bytes {
            lag.add(&labels, bytes as f64);
        }
        if let Some(connections) = server.connections {
            backends.add(&labels, connections.to_database.into());
            limit.add(&labels, connections.max.into());
        }
    }
    [lag, backends, limit]
}

fn of_reads(reads: &ReadTotals) -> [Family; 2] {
    let mut family =
        Family::new(Kind::Counter, "phalanx_reads", "Reads by who answered them, and why that server.");
    for (target, reason, count) in reads.each() {
        family.add(&[("target", target.label()), ("reason", reason.label())], count as f64);
    }
    let stale = Family::new(
        Kind::Counter,
        "phalanx_reads_would_be_stale",
        "Reads that the detector found not to show what their session had written.",
    );
    [family, stale.with(&[], reads.would_be_stale as f64)]
}

fn of_statements(statements: &[StatementTotals]) -> [Family; 2] {
    let mut calls = Family::new(Kind::Counter, "phalanx_statements", "Statements by name and outcome.");
    let mut seconds =
        Family::new(Kind::Counter, "phalanx_statement_seconds", "Time that statements took, waits included.");
    for statement in statements {
        let name = ("statement", statement.name);
        calls.add(&[name, ("outcome", "ok")], statement.calls.saturating_sub(statement.errors) as f64);
        calls.add(&[name, ("outcome", "error")], statement.errors as f64);
        seconds.add(&[name], statement.time.as_secs_f64());
    }
    [calls, seconds]
}
