//! Accounts over two PostgreSQL servers while both have the rows of one bucket, as a move leaves it for a while.

use std::collections::BTreeMap;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use phalanx_api::{MigrateAtStart, Settings};
use phalanx_telemetry::clock;
use phalanx_test_servers::{Postgres, Settings as Server};
use serde_json::{Value, json};

use crate::{
    client::{PATIENCE, get_as, login, register},
    replica::{Replica, SECRET},
};

/// The bucket of which both shards have the rows; the first one's at the start, as are all below 2048.
const BUCKET: i64 = 5;
/// Accounts in that bucket, and in one of each shard that does not move.
const EACH: i64 = 30;

struct Shards {
    first: Postgres,
    second: Postgres,
}

impl Shards {
    fn start() -> Self {
        Self { first: Postgres::start(Server::default()), second: Postgres::start(Server::default()) }
    }

    async fn replica(&self) -> Replica {
        let (first, second) = (self.first.url(), self.second.url());
        let settings = Settings::from_env(&|name| match name {
            "DATABASE_SHARD_1_PRIMARY" => Some(first.clone()),
            "DATABASE_SHARD_2_PRIMARY" => Some(second.clone()),
            "JWT_SECRET" => Some(SECRET.to_owned()),
            _ => None,
        });
        let settings = Settings { migrate: MigrateAtStart::Apply, ..settings.unwrap() };
        let replica = Replica::start(settings).await;
        // It answers when it has migrated.
        assert_eq!(replica.get("/ready").await.status, 200);
        replica
    }

    fn both(&self, sql: &str) {
        self.first.execute(sql);
        self.second.execute(sql);
    }
}

/// Puts accounts where they are not fenced off, as replication does.
fn insert(server: &Postgres, bucket: i64, name: &str) {
    server.execute(&format!(
        "SET session_replication_role = replica;
         INSERT INTO accounts (id, email, name, role, password_hash)
             SELECT n * 4096 + {bucket}, n || '@{bucket}.example', '{name}',
                    CASE WHEN n % 3 = 0 THEN 'admin' ELSE 'user' END, ''
               FROM generate_series(1, {EACH}) AS n"
    ));
}

fn admin() -> String {
    let now = i64::try_from(clock::unix_seconds()).unwrap();
    let claims = json!({
        "sub": "1", "sid": "1", "sv": 0, "role": "admin", "iss": "phalanx", "aud": "api",
        "iat": now - 60, "nbf": now - 60, "exp": now + 3600, "jti": "1",
    });
    let header = Header { typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::HS256) };
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    format!("Bearer {token}")
}

/// The names of all accounts by id, a page after the other.
async fn listed(replica: &Replica, limit: usize) -> BTreeMap<i64, String> {
    let (authorization, mut accounts, mut cursor) = (admin(), BTreeMap::new(), String::new());
    let mut last = 0;
    loop {
        let path = format!("/api/users?limit={limit}&cursor={cursor}").replace("&cursor=&", "");
        let path = path.strip_suffix("&cursor=").unwrap_or(&path);
        let page = replica.exchange(get_as(path, &authorization)).await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        let users = page["users"].as_array().unwrap();
        assert!(users.len() <= limit, "{page}");
        for user in users {
            let id: i64 = user["id"].as_str().unwrap().parse().unwrap();
            assert!(id > last, "{id} after {last}");
            last = id;
            accounts.insert(id, user["name"].as_str().unwrap().to_owned());
        }
        match &page["next"] {
            Value::Null => return accounts,
            next => cursor = next.as_str().unwrap().to_owned(),
        }
    }
}

/// Accounts and admins of each shard.
async fn counted(replica: &Replica) -> Vec<(u64, u64)> {
    let totals = replica.get("/api/stats/users").await.json();
    assert_eq!(totals["complete"], true, "{totals}");
    let number = |value: &Value| value.as_u64().unwrap();
    let of_shard = |shard: &Value| (number(&shard["accounts"]), number(&shard["admins"]));
    let shards: Vec<_> = totals["shards"].as_array().unwrap().iter().map(of_shard).collect();
    assert_eq!(number(&totals["accounts"]), shards.iter().map(|shard| shard.0).sum::<u64>(), "{totals}");
    shards
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_of_a_bucket_that_moves_are_listed_and_counted_once() {
    let shards = Shards::start();
    let replica = shards.replica().await;
    insert(&shards.first, 7, "stays");
    insert(&shards.second, 4000, "stays");
    insert(&shards.first, BUCKET, "first");
    insert(&shards.second, BUCKET, "second");

    for (owner, expected) in [("first", [(60, 20), (30, 10)]), ("second", [(30, 10), (60, 20)])] {
        if owner == "second" {
            shards.both("UPDATE phalanx.buckets SET owner = 2, epoch = 2 WHERE bucket = 5");
            let begun = clock::now();
            while counted(&replica).await != expected {
                assert!(begun.elapsed() < PATIENCE, "the replica never learns of the move");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        assert_eq!(counted(&replica).await, expected);
        for limit in [1, 7, 200] {
            let accounts = listed(&replica, limit).await;
            assert_eq!(accounts.len(), 90, "{owner} {limit}");
            let moved = accounts.iter().filter(|(id, _)| **id % 4096 == BUCKET);
            assert!(moved.map(|(_, name)| name).all(|name| name == owner), "{accounts:?}");
        }
    }

    // A shard that is left without a bucket is not asked, whatever it has.
    shards.both("UPDATE phalanx.buckets SET owner = 2, epoch = 3");
    let begun = clock::now();
    while counted(&replica).await != [(60, 20)] {
        assert!(begun.elapsed() < PATIENCE, "the replica never learns of the move");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(listed(&replica, 200).await.len(), 60);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_are_another_shards_are_not_settled() {
    let shards = Shards::start();
    shards.replica().await.stop().await;
    // The one address belongs to the first shard, the other to the second, which has it yet or no longer.
    let claims = "SET session_replication_role = replica;
         INSERT INTO account_emails VALUES ('abc', 1099, 4096, 0, 0), ('ada@example.com', 3485, 4096, 0, 0)";
    shards.first.execute(claims);
    let replica = shards.replica().await;
    let left = "SELECT string_agg(email, ',') FROM account_emails";
    let begun = clock::now();
    while shards.first.query_one_text(left) != "ada@example.com" {
        assert!(begun.elapsed() < PATIENCE, "{}", shards.first.query_one_text(left));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    while !replica.get("/metrics").await.text.contains("phalanx_dangling_rows 1\n") {
        assert!(begun.elapsed() < PATIENCE, "{}", replica.get("/metrics").await.text);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_registers_right_after_a_move_logs_in_at_another_replica() {
    let shards = Shards::start();
    let (replica, other) = (shards.replica().await, shards.replica().await);
    assert_eq!(replica.exchange(register("before@example.com")).await.status, 201);
    // All rows go to the second shard, and are lost at the first.
    let dump = |table: &str| {
        let rows = "SELECT coalesce(json_agg(moved), '[]') FROM ".to_owned() + table + " AS moved";
        shards.first.query_one_text(&rows)
    };
    for table in ["accounts", "account_emails"] {
        let rows = dump(table).replace('\'', "''");
        shards.second.execute(&format!(
            "SET session_replication_role = replica;
             INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, '{rows}')"
        ));
        shards.first.execute(&format!("SET session_replication_role = replica; DELETE FROM {table}"));
    }
    shards.both("UPDATE phalanx.buckets SET owner = 2, epoch = 2 WHERE owner = 1");
    let registered = replica.exchange(register("after@example.com")).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    let token = registered.header("phalanx-position").unwrap().to_owned();
    for email in ["before@example.com", "after@example.com"] {
        let mut request = String::from_utf8(login(email, "correct horse")).unwrap();
        request = request.replacen("\r\n\r\n", &format!("\r\nphalanx-position: {token}\r\n\r\n"), 1);
        assert_eq!(other.exchange(&request).await.status, 200, "{email}");
    }
    replica.stop().await;
    other.stop().await;
}
