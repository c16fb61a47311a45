//! Writers that know what was acknowledged to them.

use std::{collections::BTreeMap, time::Duration};

use phalanx_data::{AccessError, Data, ServerSettings, Servers, Settings, Statement, Value};
use phalanx_shard::Bucket;
use phalanx_telemetry::clock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::PATIENCE;

const PUT_NOTE: Statement = Statement::new(
    "put_note",
    "INSERT INTO notes (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
);
const DELETE_NOTE: Statement = Statement::new("delete_note", "DELETE FROM notes WHERE id = $1");
const PUT_NAME: Statement = Statement::new(
    "put_name",
    "INSERT INTO names (name, bucket, body) VALUES ($1, $2, $3)
     ON CONFLICT (name) DO UPDATE SET body = excluded.body",
);
/// Each writer has rows of its own, in so many buckets from all over.
const ROWS: u64 = 200;

/// What was acknowledged: by name of the row its text, or that it is gone.
pub(crate) type Known = BTreeMap<String, Option<String>>;

/// Writers under way.
pub(crate) struct Writers {
    data: Data,
    upkeep: JoinSet<()>,
    writers: JoinSet<Known>,
    stop: CancellationToken,
}

impl Writers {
    /// `count` of them, for as long as it takes.
    pub(crate) async fn start(servers: &Servers, count: u64) -> Self {
        let connections = ServerSettings {
            connect_timeout: PATIENCE,
            acquire_timeout: Duration::from_secs(10),
            shared_statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(10),
            ..ServerSettings::new("")
        };
        let settings = Settings { connections, probe_timeout: Duration::from_secs(10), ..Settings::new() };
        let (data, upkeep) = Data::open(servers, settings).await.unwrap();
        let mut running =
            Self { data, upkeep: JoinSet::new(), writers: JoinSet::new(), stop: CancellationToken::new() };
        running.upkeep.spawn(upkeep.run());
        for writer in 0..count {
            running.writers.spawn(write(running.data.clone(), writer, running.stop.clone()));
        }
        running
    }

    /// Ends them; answers what all of them know.
    pub(crate) async fn end(mut self) -> Known {
        self.stop.cancel();
        let mut known = Known::new();
        while let Some(ended) = self.writers.join_next().await {
            known.append(&mut ended.unwrap());
        }
        self.data.close();
        tokio::time::timeout(PATIENCE, self.upkeep.join_next()).await.unwrap();
        known
    }
}

async fn write(data: Data, writer: u64, stop: CancellationToken) -> Known {
    let mut known = Known::new();
    let mut round = 0_u64;
    while !stop.is_cancelled() {
        let row = round * 7 % ROWS;
        let (bucket, body) = (Bucket::of_low_bits(row * 2311), format!("round {round}"));
        let id = ((1 + writer * ROWS + row) << 12 | u64::from(bucket.get())).cast_signed();
        let (statement, values, name) = match round % 5 {
            0 => {
                let name = format!("name {writer} {row}");
                let number = i64::from(bucket.get());
                (PUT_NAME, vec![name.as_str().into(), number.into(), body.as_str().into()], name)
            }
            1 if round.is_multiple_of(3) => (DELETE_NOTE, vec![id.into()], id.to_string()),
            _ => (PUT_NOTE, vec![id.into(), body.as_str().into()], id.to_string()),
        };
        put(&data, bucket, &statement, &values).await;
        known.insert(name, (statement.name() != "delete_note").then_some(body));
        round += 1;
    }
    known
}

/// Until it is acknowledged. What the fence refuses has not happened.
async fn put(data: &Data, bucket: Bucket, statement: &Statement, values: &[Value]) {
    let begun = clock::now();
    loop {
        match data.shard_for(bucket).write(statement, values).await {
            Ok(_) => return,
            Err(AccessError::Moved { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
        assert!(begun.elapsed() < PATIENCE, "writes are paused for too long");
        tokio::time::sleep(Duration::from_millis(5)).await;
        data.refresh_map().await;
    }
}
