//! What a gateway tells of the load of a service.

use phalanx_gateway::{EndpointLoad, ServiceLoad};

use super::GET;
use crate::support::{Origin, Setup, eventually, ok};

#[tokio::test]
async fn every_request_is_told_in_one_place() {
    let (leaving, staying) = (Origin::listen().await, Origin::listen().await);
    let setup = Setup::of_replicas().service("limits = { connections = 1 }\nhold = {}");
    let gateway = setup.service("queue = { max = 10, timeout = \"10m\" }").workers(2).start();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = gateway.connect().await;
        client.send(GET).await;
        clients.push(client);
    }
    eventually("four that are held", || gateway.load().held == 4).await;
    let load =
        |in_flight, waiting, endpoints| ServiceLoad { requests: 4, in_flight, waiting, held: 0, endpoints };
    let busy = |address| EndpointLoad { address, requests: 1, in_flight: 1 };

    gateway.admit(leaving.address()).await;
    let one = load(1, 3, vec![busy(leaving.address())]);
    eventually("three that wait", || gateway.load() == one).await;

    gateway.admit(staying.address()).await;
    let two = load(2, 2, vec![busy(leaving.address()), busy(staying.address())]);
    eventually("two that wait", || gateway.load() == two).await;

    gateway.withdraw(leaving.address()).await;
    let still_two = load(2, 2, vec![busy(staying.address())]);
    eventually("one that has left, and its request", || gateway.load() == still_two).await;

    let (mut endpoint, _) = leaving.accept_request().await;
    endpoint.send(ok("done")).await;
    gateway.drained(leaving.address()).await;
    assert_eq!(gateway.load(), load(1, 2, vec![busy(staying.address())]));
}

#[tokio::test]
async fn a_service_that_nobody_asked_anything_has_nothing_to_do() {
    let gateway = Setup::of_replicas().start();
    assert_eq!(gateway.load(), ServiceLoad::default());
}
