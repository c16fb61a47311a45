//! Every request is counted once, however it ends.

use super::GET;
use crate::support::{ClosedPort, Origin, Recorder, Setup, TestGateway, eventually, ok};

impl TestGateway {
    /// The samples of the request counter, without the name.
    fn counted(&self) -> Vec<String> {
        let exposition = self.exposition();
        exposition
            .lines()
            .filter_map(|line| line.strip_prefix("http_requests_total"))
            .map(str::to_owned)
            .collect()
    }

    fn counted_sum(&self) -> u64 {
        self.counted().iter().map(|sample| sample.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    }

    /// Whether no request is in flight, by any of the ways to know.
    fn is_at_rest(&self) -> bool {
        let exposition = self.exposition();
        let mut gauges = exposition.lines().filter(|line| line.starts_with("http_requests_in_flight{"));
        let state = self.state();
        gauges.all(|gauge| gauge.ends_with(" 0"))
            && state.requests_in_flight == 0
            && state.endpoints.iter().all(|endpoint| endpoint.totals.in_flight == 0)
    }
}

#[tokio::test]
async fn every_request_is_counted_once_with_its_route_and_status() {
    let (origin, refusing) = (Recorder::start().await, ClosedPort::reserve());
    let tables = format!(
        "[[route]]\npath_exact = \"/health\"\nrespond = {{}}\n\
         [[route]]\npath = \"/refusing\"\nservice = \"refusing\"\n\
         [service.refusing]\nendpoints = [{{ address = \"{}\" }}]",
        refusing.address()
    );
    let gateway = Setup::fronting(&[origin.address()]).route("host = \"a\"").tables(&tables).start();
    let requests = [
        (GET, 200),
        (GET, 200),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 200),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("GET /a HTTP/1.1\r\nHost: b\r\n\r\n", 404),
        ("GET /health HTTP/1.1\r\nHost: b\r\n\r\n", 200),
        ("GET /refusing HTTP/1.1\r\nHost: b\r\n\r\n", 503),
        ("OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n", 204),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ];
    for (request, status) in requests {
        assert_eq!(gateway.exchange(request).await.status(), status, "{request}");
    }
    eventually("all counts", || gateway.counted_sum() == requests.len() as u64).await;
    assert!(gateway.is_at_rest());
    let mut counted = gateway.counted();
    counted.sort();
    assert_eq!(
        counted,
        [
            r#"{service="api",route="a/",method="GET",status="200"} 2"#,
            r#"{service="api",route="a/",method="POST",status="200"} 1"#,
            r#"{service="api",route="a/",method="other",status="501"} 1"#,
            r#"{service="none",route="/health",method="GET",status="200"} 1"#,
            r#"{service="none",route="none",method="GET",status="404"} 1"#,
            r#"{service="none",route="none",method="OPTIONS",status="204"} 1"#,
            r#"{service="none",route="none",method="other",status="400"} 1"#,
            r#"{service="none",route="none",method="other",status="405"} 1"#,
            r#"{service="refusing",route="/refusing",method="GET",status="503"} 1"#,
        ]
    );
}

#[tokio::test]
async fn many_requests_on_several_workers_add_up() {
    const CLIENTS: u64 = 8;
    const REQUESTS: u64 = 50;
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).workers(2).start();
    for _ in 0..CLIENTS {
        let mut client = gateway.connect().await;
        for _ in 0..REQUESTS {
            assert_eq!(client.exchange(GET).await.status(), 200);
        }
    }
    eventually("all counts", || gateway.counted_sum() == CLIENTS * REQUESTS && gateway.is_at_rest()).await;
    assert_eq!(gateway.totals(origin.address()).requests, CLIENTS * REQUESTS);
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_is_counted_as_gone() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(GET).await;
    let (mut upstream, _) = origin.accept_request().await;
    assert_eq!(gateway.state().requests_in_flight, 1);
    assert_eq!(gateway.totals(origin.address()).in_flight, 1);
    client.reset();
    // Whether the gateway has left already is its own affair.
    let _ = upstream.try_send(ok("too late")).await;
    eventually("its end", || gateway.is_at_rest()).await;
    assert_eq!(gateway.counted(), [r#"{service="api",route="/",method="GET",status="499"} 1"#]);
}

#[tokio::test]
async fn a_client_that_leaves_within_its_body_is_counted_as_gone() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await;
    let mut upstream = origin.accept().await;
    upstream.head().await;
    client.reset();
    upstream.ending().await;
    eventually("its end", || gateway.is_at_rest()).await;
    assert_eq!(gateway.counted(), [r#"{service="api",route="/",method="PUT",status="499"} 1"#]);
    assert_eq!(gateway.totals(origin.address()).failures, 0);
}
