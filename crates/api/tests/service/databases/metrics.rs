//! The series of the data layer, as a scrape finds them.

use phalanx_test_servers::{Postgres, Settings as Server};

use super::{eventually, registered, settings};
use crate::{client::get, replica::Replica};

/// The value of the first series of this name that has all of these labels.
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let series = text.lines().filter_map(|line| line.rsplit_once(' '));
    let mut found = series.filter(|(series, _)| {
        series.split('{').next() == Some(name) && labels.iter().all(|label| series.contains(label))
    });
    found.next().map(|(_, value)| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_name_that_dashboards_know_has_the_value_of_the_moment() {
    let primary = Postgres::start(Server::default());
    let standby = primary.replica();
    let urls = (primary.url(), standby.url());
    let variables = [("DATABASE_SHARD_1_PRIMARY", &*urls.0), ("DATABASE_SHARD_1_REPLICAS", &*urls.1)];
    let replica = Replica::start(settings("api-1", &variables)).await;
    registered(&replica, "ada@example.com").await;
    for _ in 0..10 {
        assert_eq!(replica.get("/api/users/1").await.status, 404);
    }
    let probed = |name: &'static str| {
        let server = format!("server=\"127.0.0.1:{}/postgres\"", standby.port());
        move |answer: &crate::client::Answer| {
            answer.text.lines().any(|line| line.starts_with(name) && line.contains(&server))
        }
    };
    let scrape = eventually(&replica, get("/metrics"), probed("phalanx_replica_lag_bytes{")).await.text;
    let at = |name: &str, labels: &[(&str, &str)]| {
        value(&scrape, name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in {scrape}"))
    };
    for role in ["primary", "replica"] {
        let pool = |name: &str, kind: &str| at(name, &[("shard", "1"), ("role", role), ("kind", kind)]);
        assert!((1.0..=3.0).contains(&pool("phalanx_pool_size", "shared")), "{scrape}");
        assert!(pool("phalanx_pool_connects_total", "shared") >= 1.0, "{scrape}");
        for name in ["phalanx_pool_in_use", "phalanx_pool_waiting", "phalanx_pool_timeouts_total"] {
            assert!(pool(name, "shared") >= 0.0 && pool(name, "exclusive") >= 0.0, "{scrape}");
        }
        assert!(pool("phalanx_pool_wait_seconds_total", "shared") >= 0.0, "{scrape}");
    }
    assert_eq!(at("phalanx_reads_total", &[("target", "replica"), ("reason", "eventual")]), 10.0);
    assert_eq!(at("phalanx_reads_would_be_stale_total", &[]), 0.0);
    assert_eq!(at("phalanx_map_epoch", &[]), 1.0);
    let by_id = ("statement", "account_by_id");
    assert_eq!(at("phalanx_statements_total", &[by_id, ("outcome", "ok")]), 10.0);
    assert_eq!(at("phalanx_statements_total", &[by_id, ("outcome", "error")]), 0.0);
    assert!(at("phalanx_statement_seconds_total", &[by_id]) > 0.0);
    for port in [primary.port(), standby.port()] {
        let server = format!("127.0.0.1:{port}/postgres");
        let labels = [("shard", "1"), ("server", &*server)];
        assert!(at("pg_stat_database_numbackends", &labels) >= 1.0);
        assert_eq!(at("pg_settings_max_connections", &labels), 60.0);
    }
    assert!(!scrape.contains("secret"), "{scrape}");
    replica.stop().await;
}
