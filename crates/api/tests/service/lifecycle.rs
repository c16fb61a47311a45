//! Starting, being asked how it is, and ending.

use std::{path::Path, time::Duration};

use phalanx_api::{Drained, ServeError, Settings};
use serde_json::json;

use crate::{
    client::{Client, get, register},
    replica::{Replica, settings},
};

#[tokio::test]
async fn operators_get_their_answers() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let health = replica.get("/health").await;
    assert_eq!((health.status, health.json()), (200, json!({ "status": "ok", "instance": "api-1" })));
    for path in ["/livez", "/ready", "/readyz"] {
        let answer = replica.get(path).await;
        assert_eq!((answer.status, answer.header("x-phalanx-instance")), (200, Some("api-1")), "{path}");
    }
    let catalog = replica.get("/api/catalog").await;
    assert_eq!(catalog.json()["products"].as_array().unwrap().len(), 20);
    assert_eq!(catalog.header("cache-control"), Some("public, max-age=60"));
}

#[tokio::test]
async fn requests_are_counted_by_route_template_and_never_by_path() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    for path in ["/api/users/1", "/api/users/2", "/secret-1", "/secret-2", "/api/catalog"] {
        replica.get(path).await;
    }
    replica.exchange(b"DELETE /api/catalog HTTP/1.1\r\nhost: api\r\n\r\n").await;
    let metrics = replica.get("/metrics").await.text;
    for (route, method, status, count) in [
        ("/api/users/{id}", "GET", "404", 2),
        ("unmatched", "GET", "404", 2),
        ("/api/catalog", "GET", "200", 1),
        ("/api/catalog", "DELETE", "405", 1),
    ] {
        let labels = [("service", "api"), ("route", route), ("method", method), ("status", status)]
            .map(|(name, value)| format!("{name}=\"{value}\""));
        let line = metrics.lines().find(|line| {
            line.starts_with("http_requests_total{") && labels.iter().all(|label| line.contains(label))
        });
        assert_eq!(
            line.and_then(|line| line.rsplit(' ').next()),
            Some(&*count.to_string()),
            "{route} {metrics}"
        );
    }
    assert!(!metrics.contains("secret"), "{metrics}");
    assert!(metrics.contains("http_requests_in_flight") && metrics.contains("process_"), "{metrics}");
}

#[tokio::test]
async fn a_stop_lets_an_open_request_finish_and_ends_idle_connections() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let mut idle = Client::connect(replica.address).await;
    idle.send(&get("/health")).await;
    assert_eq!(idle.receive().await.unwrap().status, 200);
    let mut unused = Client::connect(replica.address).await;
    let mut half_sent = Client::connect(replica.address).await;
    let request = register("ada@example.com");
    let (head, rest) = request.split_at(request.len() - 10);
    half_sent.send(head).await;
    wait_for_in_flight(&replica, "/api/auth/register").await;

    replica.stop.cancel();
    assert!(idle.receive().await.is_none(), "an idle connection is closed");
    assert!(unused.receive().await.is_none(), "so is one that never asked");
    half_sent.send(rest).await;
    let answer = half_sent.receive().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (201, Some("close")), "{answer:?}");
    assert!(half_sent.receive().await.is_none());
    let address = replica.address;
    assert_eq!(replica.ended().await.unwrap(), Drained { connections_cut: 0 });
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_stopping_replica_is_not_ready_but_alive() {
    let directory = tempfile::tempdir().unwrap();
    for (path, status) in [("/ready", 503), ("/readyz", 503), ("/livez", 200), ("/health", 200)] {
        let replica = Replica::over(directory.path()).await;
        let mut client = Client::connect(replica.address).await;
        // A head that has begun keeps the connection from being idle when the stop comes.
        let request = get(path);
        let (begin, end) = request.split_at(request.len() - 2);
        client.send(begin).await;
        assert_eq!(replica.get(path).await.status, 200, "{path}");
        replica.stop.cancel();
        client.send(end).await;
        let answer = client.receive().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{path}");
        replica.ended().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_open_at_the_deadline_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let deadline = Duration::from_millis(50);
    let replica =
        Replica::start(Settings { drain_deadline: deadline, ..settings(directory.path(), "api-1") }).await;
    let mut half_sent = Client::connect(replica.address).await;
    let request = register("ada@example.com");
    half_sent.send(&request[..request.len() - 10]).await;
    wait_for_in_flight(&replica, "/api/auth/register").await;
    assert_eq!(replica.stop().await, Drained { connections_cut: 1 });
    assert!(half_sent.receive().await.is_none());
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path(), Path::new("/proc/phalanx")] {
        let replica = Replica::over(path).await;
        let error = replica.ended().await.unwrap_err();
        assert!(matches!(error, ServeError::Directory(_)), "{error:?}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(path.to_str().unwrap()), "{cause}");
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("phalanx.db")).unwrap();
    let error = Replica::over(directory.path()).await.ended().await.unwrap_err();
    assert!(matches!(error, ServeError::Database(_)), "{error:?}");
}

/// Waits until a request on `route` has reached its handler.
async fn wait_for_in_flight(replica: &Replica, route: &str) {
    let series = format!("route=\"{route}\"");
    let waiting = async {
        loop {
            let metrics = replica.get("/metrics").await.text;
            let mut lines = metrics.lines().filter(|line| line.starts_with("http_requests_in_flight"));
            if lines.any(|line| line.contains(&series) && line.ends_with(" 1")) {
                return;
            }
        }
    };
    tokio::time::timeout(crate::client::PATIENCE, waiting)
        .await
        .expect("the request never reached its handler");
}
