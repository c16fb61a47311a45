//! `database` of a service: whether the connections of all its replicas find room in the database server.
//!
//! Also of those that are there on top while replicas are replaced.

use phalanx_scale::rollout::Pace;

use super::autoscale::Extent;
use crate::{
    located::At,
    model::{Connections, REPLICAS_MAX},
    raw,
    report::Report,
};

/// Where a replica finds how many connections it may open to each database server.
pub(super) const CONNECTIONS: &str = "DATABASE_CONNECTIONS";

const CONNECTIONS_DEFAULT: u32 = 8;
/// PostgreSQL's own.
const MAX_CONNECTIONS_DEFAULT: u32 = 100;
const RESERVE_DEFAULT: u32 = 10;

/// The connections of one replica, when those of all fit into what the database takes.
pub(super) fn connections(
    given: &At<raw::DatabaseConnections>,
    Extent { most: replicas, key, .. }: Extent,
    pace: Pace,
    report: &mut Report,
) -> Connections {
    let At { value: raw, span } = given;
    let number = |key: &Option<At<u32>>, default| key.as_ref().map_or(default, |given| given.value);
    let each = number(&raw.connections, CONNECTIONS_DEFAULT);
    let max_connections = number(&raw.max_connections, MAX_CONNECTIONS_DEFAULT);
    let reserve = number(&raw.reserve, RESERVE_DEFAULT);
    let room = max_connections.saturating_sub(reserve);
    let wanted = |replicas: u32| u64::from(pace.fenceposts(replicas).max_total) * u64::from(each);
    // A key that was lost may have been the one that makes it fit.
    if wanted(replicas) > room.into() && !report.has_losses(*span) {
        let surge = pace.fenceposts(replicas).surge;
        let on_top = match surge {
            0 => String::new(),
            surge => format!(", and {surge} more while they are replaced,"),
        };
        let message = format!(
            "{replicas} replicas{on_top} with {each} connections each are {}, and the database has {room} for them: `max_connections` {max_connections}, `reserve` {reserve}",
            wanted(replicas)
        );
        let or_surge = if surge > 0 { ", or `rollout.max_surge`" } else { "" };
        let help = match room / pace.fenceposts(replicas).max_total.max(1) {
            fitting @ 2.. => format!(
                "lower `connections` to {fitting}, or {key}{or_surge}, or raise `max_connections` here and in PostgreSQL"
            ),
            _ => format!("lower {key}{or_surge}, or raise `max_connections` here and in PostgreSQL"),
        };
        report.fault(*span, message, help);
    }
    let replicas_max = (0..=REPLICAS_MAX).rev().find(|replicas| wanted(*replicas) <= room.into());
    Connections { each, room, replicas_max: replicas_max.unwrap_or(0) }
}
