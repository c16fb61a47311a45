//! The metrics that dashboards are built on: their names, and that they count what happened.

use std::net::SocketAddr;

use crate::support::{
    exposition::{CONTENT_TYPE, Exposition},
    http::{get, getting},
    phalanx::{Phalanx, file, reference_api},
    until,
};

const REQUESTS: u32 = 30;

#[test]
fn what_was_sent_is_what_was_counted() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    let mut client = phalanx.connection();
    for _ in 0..REQUESTS {
        assert_eq!(client.exchange(&getting("/api/catalog")).unwrap().status, 200);
    }
    assert_eq!(client.exchange(&getting("/api/users/0")).unwrap().status, 404);

    let sent = |status| [("service", "api"), ("method", "GET"), ("status", status)];
    // A request is counted once its answer has been sent, so after the client has it.
    until("the gateway has counted", || {
        let gateway = scrape(phalanx.admin);
        gateway.sum("http_requests_total", &sent("200")) == Some(REQUESTS.into())
            && gateway.sum("http_requests_total", &sent("404")) == Some(1.0)
    });
    let replicas: Vec<_> =
        phalanx.endpoints().iter().map(|replica| scrape(replica.address.parse().unwrap())).collect();
    let catalog = [("service", "api"), ("route", "/api/catalog"), ("method", "GET"), ("status", "200")];
    let counted = replicas.iter().filter_map(|replica| replica.sum("http_requests_total", &catalog));
    assert_eq!(counted.collect::<Vec<_>>(), [f64::from(REQUESTS / 3); 3]);
    let user = [("route", "/api/users/{id}"), ("status", "404")];
    let counted = replicas.iter().filter_map(|replica| replica.sum("http_requests_total", &user));
    assert_eq!(counted.sum::<f64>(), 1.0);

    let gateway = scrape(phalanx.admin);
    for (name, value) in [
        ("http_request_duration_seconds_count", f64::from(REQUESTS) + 1.0),
        ("phalanx_upstream_requests_total", f64::from(REQUESTS) + 1.0),
        ("phalanx_upstream_response_seconds_count", f64::from(REQUESTS) + 1.0),
        ("phalanx_upstream_failures_total", 0.0),
        ("http_requests_in_flight", 0.0),
    ] {
        assert_eq!(gateway.sum(name, &[("service", "api")]), Some(value), "{name}");
    }
    phalanx.stop();
}

#[test]
fn every_name_that_dashboards_know_is_there() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    let mut client = phalanx.connection();
    for _ in 0..3 {
        client.exchange(&getting("/health")).unwrap();
    }
    until("all three are counted", || {
        scrape(phalanx.admin).sum("http_requests_total", &[("status", "200")]) == Some(3.0)
    });
    let gateway = scrape(phalanx.admin);
    for (name, labels) in [
        ("http_requests_total", &["service", "route", "method", "status"][..]),
        ("http_request_duration_seconds_count", &["service", "route", "method", "status"]),
        ("http_requests_in_flight", &["service", "route"]),
        ("phalanx_upstream_requests_total", &["service", "endpoint"]),
        ("phalanx_upstream_failures_total", &["service", "endpoint"]),
        ("phalanx_upstream_ejections_total", &["service", "endpoint"]),
        ("phalanx_upstream_retries_total", &["service", "endpoint"]),
        ("phalanx_upstream_connections", &["service", "endpoint"]),
        ("phalanx_upstream_response_seconds_count", &["service", "endpoint"]),
        ("phalanx_connections", &[]),
        ("phalanx_connections_refused_total", &[]),
        ("phalanx_replicas", &["service", "state"]),
        ("phalanx_replica_output_dropped_lines_total", &["service", "instance"]),
        ("phalanx_output_lost_lines_total", &[]),
        ("phalanx_log_lost_lines_total", &[]),
        ("node_cpu_seconds_total", &["cpu", "mode"]),
        ("process_cpu_seconds_total", &[]),
        ("process_resident_memory_bytes", &[]),
    ] {
        let series = gateway.labels(name);
        assert!(!series.is_empty(), "no {name}");
        for found in series {
            let mut expected = labels.to_vec();
            expected.sort_unstable();
            assert!(found.keys().eq(expected), "{name}: {found:?}");
        }
    }
    assert_eq!(gateway.sum("phalanx_replicas", &[("service", "api"), ("state", "serving")]), Some(3.0));
    assert_eq!(gateway.sum("phalanx_replicas", &[("service", "api")]), Some(3.0));

    let replica = scrape(phalanx.address_of("api-1"));
    for name in [
        "http_requests_total",
        "http_request_duration_seconds_count",
        "http_requests_in_flight",
        "process_open_fds",
    ] {
        assert!(replica.sum(name, &[]).is_some(), "no {name}");
    }
    phalanx.stop();
}

#[test]
fn paths_that_clients_make_up_make_no_series() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    let mut client = phalanx.connection();
    for number in 0..20 {
        client.exchange(&getting(&format!("/api/nothing/{number}"))).unwrap();
    }
    let routes = |exposition: &Exposition| {
        let labels = exposition.labels("http_requests_total");
        labels.iter().map(|labels| labels["route"].clone()).collect::<Vec<_>>()
    };
    let replica = scrape(phalanx.address_of("api-1"));
    assert_eq!(routes(&replica).iter().filter(|route| *route == "unmatched").count(), 1);
    for exposition in [replica, scrape(phalanx.admin)] {
        assert!(
            routes(&exposition).iter().all(|route| !route.contains("nothing")),
            "{:?}",
            routes(&exposition)
        );
    }
    phalanx.stop();
}

fn scrape(address: SocketAddr) -> Exposition {
    let answer = get(address, "/metrics");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(CONTENT_TYPE)));
    Exposition::parse(&answer.body)
}
