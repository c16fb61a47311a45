//! The fence on a real server, as clients meet that know nothing of it.

use std::time::Duration;

use phalanx_shard::{BucketMap, map::ShardId};
use phalanx_test_servers::{Postgres, Settings};
use tokio::task::JoinSet;

use super::{super::map, tests::client, *};

const MIGRATIONS: &[Migration] = &[Migration::new(
    "fenced",
    "CREATE TABLE fenced (id BIGINT PRIMARY KEY, text TEXT); SELECT phalanx.fence_table('fenced', 'id')",
)];
/// Every wait here ends with this: far more than anything takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// In shard 1 of two.
const HERE: &str = "INSERT INTO fenced VALUES (4096 + 5, 'here')";
const CLOSE: &str = "SELECT phalanx.close_buckets('{5}')";
const PAUSE: &str = "UPDATE phalanx.buckets SET state = 'paused' WHERE bucket = 5";

struct Fenced {
    server: Postgres,
    tasks: JoinSet<()>,
}

impl Fenced {
    async fn start() -> Self {
        let server = tokio::task::spawn_blocking(|| Postgres::start(Settings::default())).await.unwrap();
        let mut fenced = Self { server, tasks: JoinSet::new() };
        let mut client = fenced.client().await;
        apply(&mut client, MIGRATIONS).await.unwrap();
        map::write(&mut client, ShardId::FIRST, &BucketMap::evenly(3, 2).unwrap()).await.unwrap();
        fenced
    }

    async fn client(&mut self) -> Client {
        client(&self.server, &mut self.tasks).await
    }

    /// Waits until as many sessions wait for a lock.
    async fn await_waiting(&mut self, count: i64) {
        let client = self.client().await;
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        let asking = async {
            while client.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("they never wait");
    }
}

fn code(outcome: Result<(), tokio_postgres::Error>) -> String {
    outcome.map_or_else(|error| error.code().unwrap().code().to_owned(), |()| "ok".to_owned())
}

async fn run(client: &Client, text: &str) -> String {
    code(client.batch_execute(text).await)
}

#[tokio::test]
async fn only_buckets_at_home_take_writes_of_any_kind() {
    let mut fenced = Fenced::start().await;
    let client = fenced.client().await;
    for (text, expected) in [
        (HERE, "ok"),
        ("INSERT INTO fenced VALUES (2047), (2048)", "PX001"),
        ("SELECT 1 / count(*) FROM fenced WHERE id = 2047", "22012"),
        ("UPDATE fenced SET text = 'changed' WHERE id = 4101", "ok"),
        ("UPDATE fenced SET id = 4000 WHERE id = 4101", "PX001"),
        ("INSERT INTO fenced VALUES (4101) ON CONFLICT (id) DO UPDATE SET text = 'again'", "ok"),
        ("TRUNCATE fenced", "PX001"),
        ("COPY fenced (id) FROM PROGRAM 'echo 4095'", "PX001"),
        ("DELETE FROM fenced WHERE id = 4101", "ok"),
    ] {
        assert_eq!(run(&client, text).await, expected, "{text}");
    }
}

#[tokio::test]
async fn a_session_with_an_old_map_is_refused_and_one_without_goes_by_ownership() {
    let mut fenced = Fenced::start().await;
    let client = fenced.client().await;
    for (number, (epoch, expected)) in
        [("2", "PX001"), ("3", "ok"), ("4", "ok"), ("", "ok")].into_iter().enumerate()
    {
        assert_eq!(run(&client, &format!("SET phalanx.epoch = '{epoch}'")).await, "ok");
        let text = format!("INSERT INTO fenced VALUES (4096 * {number})");
        assert_eq!(run(&client, &text).await, expected, "{epoch:?}");
        // Whether a row is there or not: what is not there may be where it has moved to.
        for text in ["UPDATE fenced SET text = 'x' WHERE id = 77", "DELETE FROM fenced WHERE id = 77"] {
            assert_eq!(run(&client, text).await, expected, "{epoch:?} {text}");
        }
    }
}

#[tokio::test]
async fn a_pause_waits_for_the_writer_in_flight_and_lets_no_other_in() {
    for (isolation, expected) in
        [("READ COMMITTED", "PX001"), ("REPEATABLE READ", "40001"), ("SERIALIZABLE", "40001")]
    {
        let mut fenced = Fenced::start().await;
        let (writer, pauser, late) = (fenced.client().await, fenced.client().await, fenced.client().await);
        assert_eq!(run(&writer, &format!("BEGIN ISOLATION LEVEL {isolation}; {HERE}")).await, "ok");
        let mut racing = JoinSet::new();
        racing.spawn(async move { ("pause", run(&pauser, &format!("{CLOSE}; {PAUSE}")).await) });
        fenced.await_waiting(1).await;
        // It comes after the pause has begun and before it has ended, and waits for its outcome.
        let begin = format!("BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM fenced; ");
        racing.spawn(async move {
            ("late", run(&late, &format!("{begin}INSERT INTO fenced VALUES (8192 + 5)")).await)
        });
        fenced.await_waiting(2).await;
        assert_eq!(run(&writer, "COMMIT").await, "ok", "{isolation}");
        let mut ended = tokio::time::timeout(PATIENCE, racing.join_all()).await.expect("it hangs");
        ended.sort_unstable();
        assert_eq!(ended, [("late", expected.to_owned()), ("pause", "ok".to_owned())], "{isolation}");
        let client = fenced.client().await;
        let rows = client.query_one("SELECT count(*) FROM fenced", &[]).await.unwrap();
        assert_eq!(rows.get::<_, i64>(0), 1, "{isolation}");
    }
}

#[tokio::test]
async fn a_snapshot_from_before_the_pause_writes_nothing_after_it() {
    for (isolation, expected) in
        [("READ COMMITTED", "PX001"), ("REPEATABLE READ", "40001"), ("SERIALIZABLE", "40001")]
    {
        let mut fenced = Fenced::start().await;
        let (writer, pauser) = (fenced.client().await, fenced.client().await);
        let begin = format!("BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM fenced");
        assert_eq!(run(&writer, &begin).await, "ok");
        assert_eq!(run(&pauser, PAUSE).await, "ok");
        assert_eq!(run(&writer, HERE).await, expected, "{isolation}");
    }
}

#[tokio::test]
async fn a_client_beside_every_router_is_fenced_too() {
    let fenced = Fenced::start().await;
    let url = fenced.server.url();
    let psql = |text: &'static str| {
        let mut command = tokio::process::Command::new("psql");
        command.args([&*url, "--no-psqlrc", "-v", "VERBOSITY=sqlstate", "-c", text]);
        async move {
            let output = command.output().await.unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    };
    assert_eq!(psql(HERE).await, (true, String::new()));
    assert_eq!(psql("INSERT INTO fenced VALUES (4095)").await, (false, "ERROR:  PX001".to_owned()));
    assert_eq!(psql(PAUSE).await, (true, String::new()));
    assert_eq!(psql("DELETE FROM fenced").await, (false, "ERROR:  PX001".to_owned()));
}
