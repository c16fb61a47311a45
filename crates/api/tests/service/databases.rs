//! The service over PostgreSQL servers of its own, with what can become of them.

mod accounts;
mod faults;
mod malformed;
mod metrics;
mod outages;
mod replicas;

use std::time::Duration;

use phalanx_api::Settings;
use phalanx_telemetry::clock;
use phalanx_test_servers::Postgres;

use crate::{
    client::{Answer, PATIENCE, register},
    replica::{Replica, SECRET},
};

/// Of a replica that migrates the servers, and gives up soon.
const VARIABLES: [(&str, &str); 8] = [
    ("JWT_SECRET", SECRET),
    ("DATABASE_MIGRATE", "true"),
    ("DATABASE_ACQUIRE_TIMEOUT", "300ms"),
    ("DATABASE_PRIMARY_WAIT", "300ms"),
    ("DATABASE_CONNECT_TIMEOUT", "20s"),
    ("DATABASE_STATEMENT_TIMEOUT", "10s"),
    ("DATABASE_PROBE_PERIOD", "100ms"),
    ("DATABASE_PROBE_TIMEOUT", "5s"),
];

/// The settings of a replica with these variables, which win over [`VARIABLES`].
pub(crate) fn settings(instance: &str, variables: &[(&str, &str)]) -> Settings {
    let name = [("PHALANX_INSTANCE", instance)];
    let all = VARIABLES.iter().chain(variables).chain(&name);
    Settings::from_variables(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).unwrap()
}

/// A replica over one server, which has its tables by then.
pub(crate) async fn over(server: &Postgres) -> Replica {
    over_with(server, &[]).await
}

pub(crate) async fn over_with(server: &Postgres, variables: &[(&str, &str)]) -> Replica {
    let url = server.url();
    let variables = [&[("DATABASE_URL", &*url)], variables].concat();
    let replica = Replica::start(settings("api-1", &variables)).await;
    // It listens before it has migrated, and answers after.
    assert_eq!(replica.get("/livez").await.status, 200);
    replica
}

/// Registers an account, which must work, and answers its id.
pub(crate) async fn registered(replica: &Replica, email: &str) -> String {
    let answer = replica.exchange(register(email)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["user"]["id"].as_str().unwrap().to_owned()
}

/// Asks again until the answer is as wanted; nothing else announces what a replica has noticed.
pub(crate) async fn eventually(
    replica: &Replica,
    request: impl AsRef<[u8]>,
    wanted: impl Fn(&Answer) -> bool,
) -> Answer {
    let begun = clock::now();
    loop {
        let answer = replica.exchange(&request).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fails unless it is a 503 that invites to come back.
pub(crate) fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.problem(), (503, "Database unavailable".to_owned()));
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
}
