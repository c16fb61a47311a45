//! What a server is, asked of itself.

use std::time::Duration;

use crate::{
    AccessError, ColumnError, Row, Statement,
    backend::{Probe, Role, ServerConnections},
};

/// The timeline of a primary is the one that it writes: the control file's is behind after a failover until the next
/// checkpoint. A standby knows the one that it receives; where it receives nothing, the control file's is the best there is.
/// What an unprivileged user may not see of the receiver is NULL.
pub(super) const PROBE: Statement = Statement::new(
    "phalanx_probe",
    "SELECT pg_is_in_recovery() AS standby,
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS lsn,
            CASE WHEN pg_is_in_recovery()
                 THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                               (SELECT timeline_id FROM pg_control_checkpoint()))::int8
                 ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int8
            END AS timeline,
            (SELECT system_identifier FROM pg_control_system()) AS system_identifier,
            current_database()::text AS database,
            current_setting('server_version_num')::int8 AS version,
            (SELECT coalesce(sum(numbackends), 0)::int8 FROM pg_stat_database) AS connections_used,
            (SELECT numbackends::int8 FROM pg_stat_database WHERE datname = current_database()) AS connections_here,
            current_setting('max_connections')::int8 AS connections_max,
            current_setting('superuser_reserved_connections')::int8
                + coalesce(current_setting('reserved_connections', true)::int8, 0) AS connections_reserved,
            extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS replay_age,
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() END AS received_lsn,
            (SELECT extract(epoch FROM clock_timestamp() - last_msg_receipt_time)::float8
               FROM pg_stat_wal_receiver) AS heard_ago",
);

/// Reads the answer.
pub(super) fn read(rows: &[Row]) -> Result<Probe, AccessError> {
    let Some(row) = rows.first() else {
        return Err(ColumnError::Missing { column: "standby".to_owned() }.into());
    };
    let role = if row.get("standby")? {
        Role::Standby {
            replay_age: age(row, "replay_age")?,
            received_lsn: row.get("received_lsn")?,
            heard_ago: age(row, "heard_ago")?,
        }
    } else {
        Role::Primary
    };
    Ok(Probe {
        role,
        timeline: row.get("timeline")?,
        lsn: row.get::<Option<u64>>("lsn")?.unwrap_or(0),
        system_identifier: row.get("system_identifier")?,
        database: row.get("database")?,
        version: row.get("version")?,
        connections: Some(ServerConnections {
            used: row.get("connections_used")?,
            to_database: row.get("connections_here")?,
            max: row.get("connections_max")?,
            reserved: row.get("connections_reserved")?,
        }),
    })
}

/// Clocks that differ can make it negative: then nothing is behind.
fn age(row: &Row, column: &str) -> Result<Option<Duration>, ColumnError> {
    let seconds: Option<f64> = row.get(column)?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
}
