//! `shed = false`: the requests of a prober pass when nobody else's do.

use super::{GET, waiting};
use crate::support::{Origin, Setup, ok};

#[tokio::test]
async fn a_probe_passes_limits_and_queue() {
    let origin = Origin::listen().await;
    let probe = "[[route]]\npath_exact = \"/health\"\nservice = \"api\"\nshed = false";
    let setup = Setup::fronting(&[origin.address()]).service("limits = { connections = 1 }").tables(probe);
    let gateway = setup.service("adaptive_concurrency = { min = 1, max = 1 }").start();
    let _held = waiting(&gateway).await;
    let _held_at_origin = origin.accept_request().await;
    assert_eq!(gateway.exchange(GET).await.status(), 503);
    let mut prober = gateway.connect().await;
    prober.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (mut endpoint, request) = origin.accept_request().await;
    assert_eq!(request.start_line(), "GET /health HTTP/1.1");
    endpoint.send(ok("fine")).await;
    assert_eq!(prober.response().await.text(), "fine");
}
