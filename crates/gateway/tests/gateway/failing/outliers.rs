//! An endpoint that does much worse than the others gets no requests for a while.

use phalanx_balance::health::Standing;

use super::request;
use crate::support::{Recorder, Reply, Setup, TestGateway, eventually};

const OUTLIERS: &str =
    "outlier_ejection = { volume = 5, window = \"10m\", ejection = \"10m\", max_ejected = 0.5 }";

fn ejected(gateway: &TestGateway) -> usize {
    let endpoints = gateway.state().endpoints;
    endpoints.iter().filter(|endpoint| matches!(endpoint.standing, Standing::Ejected { .. })).count()
}

async fn failing() -> Recorder {
    let answer = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
    Recorder::answering(move |_| Reply::Send(answer.into())).await
}

#[tokio::test]
async fn an_endpoint_that_answers_with_errors_among_good_ones_is_ejected() {
    let (bad, good) = (failing().await, [Recorder::start().await, Recorder::start().await]);
    let addresses = [bad.address(), good[0].address(), good[1].address()];
    let gateway = Setup::fronting(&addresses).service(OUTLIERS).start();
    let mut client = gateway.connect().await;
    for _ in 0..30 {
        client.exchange(request("GET", "")).await;
    }
    eventually("its ejection", || ejected(&gateway) == 1).await;
    gateway.settled().await;
    let before = bad.request_count();
    for _ in 0..12 {
        assert_eq!(client.exchange(request("GET", "")).await.status(), 200);
    }
    assert_eq!(bad.request_count(), before);
}

#[tokio::test]
async fn where_all_fail_nobody_is_ejected() {
    let bad = [failing().await, failing().await, failing().await];
    // Of another service of the same gateway: when it is ejected, the judge has looked.
    let watched = failing().await;
    let good = [Recorder::start().await, Recorder::start().await];
    let endpoints = [watched.address(), good[0].address(), good[1].address()]
        .map(|address| format!("{{ address = \"{address}\" }}"))
        .join(", ");
    let other = format!(
        "[[route]]\npath = \"/other\"\nservice = \"other\"\n[service.other]\nendpoints = [{endpoints}]\n{OUTLIERS}"
    );
    let setup = Setup::fronting(&bad.each_ref().map(Recorder::address)).service(OUTLIERS);
    let gateway = setup.tables(&other).start();
    for _ in 0..30 {
        assert_eq!(gateway.exchange(request("GET", "")).await.status(), 500);
        gateway.exchange("GET /other HTTP/1.1\r\nHost: a\r\n\r\n").await;
    }
    eventually("an ejection", || ejected(&gateway) == 1).await;
    assert_eq!(gateway.totals(watched.address()).ejections, 1);
}
