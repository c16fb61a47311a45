//! What `phalanx data status` shows a person.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use phalanx_data::{Inspection, ServerInspection, ShardInspection, Tables};
use phalanx_shard::map::ShardId;

use super::report::{buckets_of, newest_map, told};

const TITLES: [&str; 8] = ["SHARD", "SERVER", "STATE", "LAG", "AGE", "CONNECTIONS", "KEPT", "POSTGRESQL"];
const GAP: &str = "  ";

/// The servers as a table, and below it what there is to say of the shards.
pub(super) fn text(inspection: &Inspection) -> String {
    let rows = inspection
        .shards
        .iter()
        .flat_map(|shard| shard.servers.iter().map(|server| row(shard.shard, server)));
    let mut text = table(&rows.collect::<Vec<_>>());
    let mut lines = buckets(inspection);
    for shard in &inspection.shards {
        lines.extend(of_shard(shard));
    }
    let faults = inspection.shards.iter().flat_map(|shard| &shard.servers);
    lines.extend(faults.filter_map(|server| server.fault.as_ref()).map(|fault| told(fault)));
    lines.extend(
        inspection
            .fault
            .as_ref()
            .map(|fault| format!("no replica starts over these servers: {}", told(fault))),
    );
    if !lines.is_empty() {
        text.push('\n');
    }
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn row(shard: u16, server: &ServerInspection) -> [String; 8] {
    let connections = server.connections;
    [
        shard.to_string(),
        server.server.clone(),
        server.fitness.to_owned(),
        server.lag_bytes.map(bytes).unwrap_or_default(),
        server.lag_age.map(age).unwrap_or_default(),
        connections.map(|all| format!("{}/{}", all.used, all.max)).unwrap_or_default(),
        connections.map(|all| all.reserved.to_string()).unwrap_or_default(),
        server
            .version
            .map(|version| format!("{}.{}", version / 10_000, version % 10_000))
            .unwrap_or_default(),
    ]
}

/// Columns without a value in any row do not appear.
fn table(rows: &[[String; 8]]) -> String {
    let shown: Vec<usize> =
        (0..TITLES.len()).filter(|column| rows.iter().any(|row| !row[*column].is_empty())).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default().max(TITLES[column].len())
    };
    let line = |cell: &dyn Fn(usize) -> String| {
        let cells = shown.iter().map(|column| format!("{:width$}", cell(*column), width = width(*column)));
        format!("{}\n", cells.collect::<Vec<_>>().join(GAP).trim_end())
    };
    let mut text = line(&|column| TITLES[column].to_owned());
    for row in rows {
        text.push_str(&line(&|column| row[column].clone()));
    }
    text
}

fn buckets(inspection: &Inspection) -> Vec<String> {
    let Some(map) = newest_map(inspection) else { return Vec::new() };
    let known: BTreeSet<u16> = inspection.shards.iter().map(|shard| shard.shard).collect();
    let owners: BTreeSet<u16> = map.shards().into_iter().map(ShardId::get).collect();
    let count = |shard: &u16| format!("{} in shard {shard}", buckets_of(map, *shard).unwrap_or_default());
    let counts = known.union(&owners).map(count).collect::<Vec<_>>().join(", ");
    let mut lines = vec![format!("buckets, epoch {}: {counts}  [{map}]", map.epoch())];
    lines.extend(owners.difference(&known).map(|owner| {
        format!("shard {owner} has buckets and is not in the environment: set DATABASE_SHARD_{owner}_PRIMARY")
    }));
    lines
}

fn of_shard(shard: &ShardInspection) -> Vec<String> {
    let number = shard.shard;
    let tables = match &shard.tables {
        Some(Ok(tables)) => tables,
        Some(Err(error)) => return vec![format!("shard {number}: {}", told(error))],
        None => return vec![format!("shard {number}: none of its servers can be asked for its tables")],
    };
    let mut lines = Vec::new();
    if let Some(resharding) = &tables.resharding {
        let (stage, direction) = (&resharding.stage, &resharding.direction);
        lines.push(format!("a resharding is under way: stage {stage}, direction {direction}"));
    }
    if !tables.paused.is_empty() {
        lines.push(format!("shard {number}: writes are paused in the buckets {}", tables.paused));
    }
    if let Some(stated) = tables.shard.filter(|stated| *stated != number) {
        lines.push(format!(
            "shard {number}: its tables say that it is shard {stated}: are two variables exchanged?"
        ));
    }
    if let Some(dangling) = tables.dangling.filter(|dangling| *dangling > 0) {
        lines.push(format!(
            "shard {number}: {dangling} dangling rows (claims of addresses that are old and unconfirmed; replicas clear them away)"
        ));
    }
    lines.extend(lacking(number, tables));
    lines
}

fn lacking(number: u16, tables: &Tables) -> Option<String> {
    let lacking = match &tables.lacking {
        Ok(lacking) if lacking.is_empty() => return None,
        Ok(lacking) => lacking,
        Err(error) => return Some(format!("shard {number}: {}", told(error))),
    };
    let names: Vec<_> = lacking.iter().map(|migration| migration.name).collect();
    Some(format!("shard {number} lacks migrations ({}): run `phalanx data migrate`", names.join(", ")))
}

/// With one decimal from the first unit on.
fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = "B";
    for next in units {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    format!("{value:.1} {unit}")
}

fn age(age: Duration) -> String {
    match age.as_secs() {
        0 => format!("{}ms", age.as_millis()),
        seconds @ 1..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use phalanx_data::{PendingMigration, Resharding, ServerConnections};
    use phalanx_shard::BucketMap;

    use super::*;

    fn server(server: &str, fitness: &'static str, lag: Option<(u64, u64)>) -> ServerInspection {
        let (lag_bytes, lag_age) = (lag.map(|lag| lag.0), lag.map(|lag| Duration::from_secs(lag.1)));
        let connections = ServerConnections { used: 12, to_database: 9, max: 100, reserved: 3 };
        let (connections, version, fault) = (Some(connections), Some(150_014), None);
        ServerInspection {
            server: server.to_owned(),
            fitness,
            lag_bytes,
            lag_age,
            connections,
            version,
            fault,
        }
    }

    #[test]
    fn a_person_sees_servers_and_then_what_there_is_to_say() {
        let migration = PendingMigration { list: "service", number: 2, name: "emails", sql: "" };
        let tables = Tables {
            server: "db1:5432/shop".to_owned(),
            lacking: Ok(vec![migration]),
            shard: Some(2),
            map: BucketMap::parse(7, "1:0-2047 3:2048-4095").ok(),
            paused: "7,12-15".parse().unwrap(),
            resharding: Some(Resharding { stage: "copy".to_owned(), direction: "onward".to_owned() }),
            dangling: Some(2),
        };
        let servers = vec![
            server("db1:5432/shop", "primary", None),
            server("db2.example:5432/shop", "replica", Some((1_300_000, 90))),
        ];
        let shard = ShardInspection { shard: 1, servers, tables: Some(Ok(tables)) };
        let unasked = ShardInspection { shard: 2, servers: vec![], tables: None };
        let text = text(&Inspection { shards: vec![shard, unasked], fault: None });
        assert_eq!(
            text,
            "\
SHARD  SERVER                 STATE    LAG      AGE  CONNECTIONS  KEPT  POSTGRESQL
1      db1:5432/shop          primary                12/100       3     15.14
1      db2.example:5432/shop  replica  1.2 MiB  1m   12/100       3     15.14

buckets, epoch 7: 2048 in shard 1, 0 in shard 2, 2048 in shard 3  [1:0-2047 3:2048-4095]
shard 3 has buckets and is not in the environment: set DATABASE_SHARD_3_PRIMARY
a resharding is under way: stage copy, direction onward
shard 1: writes are paused in the buckets 7,12-15
shard 1: its tables say that it is shard 2: are two variables exchanged?
shard 1: 2 dangling rows (claims of addresses that are old and unconfirmed; replicas clear them away)
shard 1 lacks migrations (emails): run `phalanx data migrate`
shard 2: none of its servers can be asked for its tables
"
        );
    }

    #[test]
    fn sizes_and_ages_are_short() {
        let sizes = [0, 1023, 1024, 1536, 8 << 20, 5 << 40].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "8.0 MiB", "5.0 TiB"]);
        let ages = [0.25, 59.0, 60.0, 7200.0].map(|seconds| age(Duration::from_secs_f64(seconds)));
        assert_eq!(ages, ["250ms", "59s", "1m", "2h"]);
    }
}
