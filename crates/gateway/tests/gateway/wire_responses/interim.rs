//! Interim responses.

use super::{Exchange, GET, GET_OLD};
use crate::support::{Ending, ok};

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
/// What the gateway relays for one request.
const INTERIM_RESPONSES_MAX: usize = 16;

#[tokio::test]
async fn interim_responses_are_relayed_before_the_final_one() {
    let Exchange { gateway: _gateway, origin: _origin, mut client, mut upstream } =
        Exchange::begin(GET).await;
    upstream.send(HINTS).await;
    assert_eq!(client.response().await.head, HINTS);
    upstream.send([HINTS.as_bytes(), b"HTTP/1.1 102 Processing\r\n\r\n", &ok("done")].concat()).await;
    assert_eq!(client.response().await.head, HINTS);
    assert_eq!(client.response().await.status(), 102);
    assert_eq!(client.response().await.text(), "done");
    client.send(GET).await;
    upstream.request().await;
}

#[tokio::test]
async fn an_http_1_0_client_gets_the_final_response_alone() {
    let Exchange { gateway: _gateway, origin: _origin, mut client, mut upstream } =
        Exchange::begin(GET_OLD).await;
    upstream.send([HINTS.repeat(3).as_bytes(), &ok("done")].concat()).await;
    assert_eq!(client.response().await.text(), "done");
}

#[tokio::test]
async fn a_flood_of_interim_responses_is_cut() {
    let Exchange { gateway: _gateway, origin: _origin, mut client, mut upstream } =
        Exchange::begin(GET).await;
    // The gateway closes before it has read them all.
    let _ = upstream.try_send([HINTS.repeat(1000).as_bytes(), &ok("done")].concat()).await;
    for _ in 0..INTERIM_RESPONSES_MAX {
        assert_eq!(client.response().await.status(), 103);
    }
    assert_eq!(client.response().await.status(), 502);
    upstream.ending_after_all().await;
}

#[tokio::test]
async fn a_protocol_that_nobody_asked_for_is_not_switched_to() {
    let Exchange { gateway: _gateway, origin: _origin, mut client, mut upstream } =
        Exchange::begin(GET).await;
    upstream.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw").await;
    assert_eq!(client.response().await.status(), 502);
    assert!(matches!(upstream.ending().await, Ending::Closed | Ending::Reset));
}
