//! The end of requests, of endpoints and of the gateway.

use bytes::Bytes;
use h2::Reason;

use super::{Exchange, GET, setup};
use crate::support::{Ending, eventually, within};

#[tokio::test]
async fn a_client_that_leaves_cancels_its_request_and_no_other() {
    for sent in [GET, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel"] {
        let Exchange { gateway, origin, client, mut request, mut connection } = Exchange::begin(sent).await;
        let mut other = gateway.connect().await;
        other.send(GET).await;
        let mut other_request = connection.request().await;
        drop(client);
        assert_eq!(request.cancelled().await, Reason::CANCEL);
        other_request.answer("hello");
        assert_eq!(other.response().await.text(), "hello");
        eventually("no request", || gateway.totals(origin.address()).in_flight == 0).await;
        assert_eq!(gateway.totals(origin.address()).failures, 0);
        assert_eq!(gateway.totals(origin.address()).connections, 1);
    }
}

#[tokio::test]
async fn a_client_that_leaves_within_a_response_cancels_it() {
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(GET).await;
    let mut stream = request.begin(200, &[]);
    stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
    client.head().await;
    drop(client);
    let reset = std::future::poll_fn(|context| stream.poll_reset(context));
    assert_eq!(within("a reset", reset).await.unwrap(), Reason::CANCEL);
}

#[tokio::test]
async fn a_request_in_flight_at_the_stop_is_answered_and_its_connection_closed() {
    let Exchange { mut gateway, origin: _origin, mut client, mut request, mut connection } =
        Exchange::begin(GET).await;
    gateway.stop_listening().await;
    request.answer("done");
    let answer = client.response().await;
    assert_eq!((answer.text(), answer.closes()), ("done", true));
    assert_eq!(client.ending().await, Ending::Closed);
    gateway.ended().await;
    connection.ended().await;
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_end_up() {
    let Exchange { mut gateway, origin, mut client, mut request, mut connection } =
        Exchange::begin(GET).await;
    request.answer("done");
    assert_eq!(client.response().await.text(), "done");
    gateway.gateway.stop();
    gateway.ended().await;
    connection.ended().await;
    assert_eq!(gateway.totals(origin.address()).connections, 0);
}

#[tokio::test]
async fn what_is_not_done_at_the_drain_deadline_is_cut() {
    let begun = Exchange::begin_at(|origin| setup(origin).gateway("drain_deadline = \"200ms\""), GET).await;
    let Exchange { mut gateway, origin, mut client, mut request, mut connection } = begun;
    let mut stream = request.begin(200, &[]);
    stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
    client.head().await;
    gateway.gateway.stop();
    gateway.ended().await;
    assert_eq!(client.ending_after_all().await, Ending::Reset);
    connection.ended().await;
    let totals = gateway.totals(origin.address());
    assert_eq!((totals.in_flight, totals.connections), (0, 0));
}

#[tokio::test]
async fn a_withdrawn_endpoint_finishes_what_it_has_and_loses_its_connection() {
    let Exchange { gateway, origin, mut client, mut request, mut connection } = Exchange::begin(GET).await;
    gateway.withdraw(origin.address()).await;
    assert_eq!(gateway.exchange(GET).await.status(), 503);
    request.answer("last");
    assert_eq!(client.response().await.text(), "last");
    gateway.drained(origin.address()).await;
    connection.ended().await;
}

#[tokio::test]
async fn a_withdrawn_endpoint_loses_its_idle_connection_at_once() {
    let Exchange { gateway, origin, mut client, mut request, mut connection } = Exchange::begin(GET).await;
    request.answer("last");
    assert_eq!(client.response().await.text(), "last");
    gateway.withdraw(origin.address()).await;
    connection.ended().await;
}

#[tokio::test]
async fn a_request_is_counted_as_over_any_other_connection() {
    let Exchange { gateway, origin, mut client, mut request, connection: _connection } =
        Exchange::begin(GET).await;
    assert_eq!(gateway.totals(origin.address()).in_flight, 1);
    request.answer("hello");
    assert_eq!(client.response().await.text(), "hello");
    eventually("its end", || gateway.totals(origin.address()).in_flight == 0).await;
    let totals = gateway.totals(origin.address());
    assert_eq!((totals.requests, totals.failures, totals.answers.count()), (1, 0, 1));
}
