//! After the 101: bytes both ways, and every end as the peer made it.

use std::time::Duration;

use super::{HANDSHAKE, SWITCH, Tunnel};
use crate::support::{Ending, LARGE_BYTES, Origin, Setup, eventually, large_body};

#[tokio::test]
async fn bytes_pass_both_ways_and_each_end_is_passed_on() {
    let mut tunnel = Tunnel::open().await;
    tunnel.carries().await;
    let Tunnel { gateway: _gateway, origin: _origin, mut client, mut upstream } = tunnel;
    client.send("last").await;
    client.send_end().await;
    assert_eq!(upstream.bytes(4).await, b"last");
    assert_eq!(upstream.ending().await, Ending::Closed);
    // The other way is still open.
    for piece in ["still", "there"] {
        upstream.send(piece).await;
        assert_eq!(client.bytes(5).await, piece.as_bytes());
    }
    upstream.send_end().await;
    assert_eq!(client.ending().await, Ending::Closed);
}

#[tokio::test]
async fn an_endpoint_that_has_said_all_still_listens() {
    let Tunnel { gateway: _gateway, origin: _origin, mut client, mut upstream } = Tunnel::open().await;
    upstream.send_end().await;
    assert_eq!(client.ending().await, Ending::Closed);
    client.send("still there").await;
    assert_eq!(upstream.bytes(11).await, b"still there");
    client.send_end().await;
    assert_eq!(upstream.ending().await, Ending::Closed);
}

#[tokio::test]
async fn what_either_side_has_sent_ahead_goes_first() {
    let origin = Origin::listen().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut client = gateway.connect().await;
    client.send(format!("{HANDSHAKE}ahead")).await;
    client.send(" of").await;
    let (mut upstream, _) = origin.accept_request().await;
    gateway.settled().await;
    upstream.send(format!("{SWITCH}at once")).await;
    assert_eq!(client.head().await.head, SWITCH);
    assert_eq!(client.bytes(7).await, b"at once");
    client.send(" time").await;
    assert_eq!(upstream.bytes(13).await, b"ahead of time");
}

#[tokio::test]
async fn large_amounts_pass_both_ways_at_once() {
    let Tunnel { gateway: _gateway, origin: _origin, mut client, mut upstream } = Tunnel::open().await;
    let body = large_body();
    let (sent_up, sent_down) = (&body, body.iter().rev().copied().collect::<Vec<_>>());
    // Both ways are under way before either piece is read.
    const PIECE_BYTES: usize = 1 << 16;
    let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
    for (up, down) in sent_up.chunks(PIECE_BYTES).zip(sent_down.chunks(PIECE_BYTES)) {
        client.send(up).await;
        upstream.send(down).await;
        got_up.extend(upstream.bytes(up.len()).await);
        got_down.extend(client.bytes(down.len()).await);
    }
    assert!(got_up == *sent_up && got_down == sent_down, "not the same bytes");
}

#[tokio::test]
async fn a_peer_that_does_not_read_stops_the_other_and_loses_nothing() {
    let Tunnel { gateway, origin: _origin, mut client, mut upstream } = Tunnel::open().await;
    let body = large_body();
    let sending = async {
        upstream.send(&body).await;
        upstream.send_end().await;
    };
    let reading = async {
        // The gateway has taken what it can hold, and waits.
        gateway.settled().await;
        client.bytes(body.len()).await
    };
    let ((), received) = tokio::join!(sending, reading);
    assert!(received == body, "not the same bytes");
    assert_eq!(client.ending().await, Ending::Closed);
}

/// What the gateway has let go of is still under way to a client that reads late.
#[tokio::test]
async fn the_last_bytes_arrive_after_the_tunnel_has_ended() {
    const LAST_BYTES: usize = 256 * 1024;
    let Tunnel { gateway, origin: _origin, mut client, mut upstream } = Tunnel::open().await;
    let last = large_body().split_off(LARGE_BYTES - LAST_BYTES);
    client.send_end().await;
    assert_eq!(upstream.ending().await, Ending::Closed);
    upstream.send(&last).await;
    upstream.send_end().await;
    eventually("the end of the tunnel", || gateway.state().requests_in_flight == 0).await;
    eventually("the end of the connection", || gateway.state().connections == 0).await;
    assert!(client.bytes(LAST_BYTES).await == last, "not the same bytes");
    assert_eq!(client.ending().await, Ending::Closed);
}

#[tokio::test]
async fn a_reset_on_one_side_resets_the_other() {
    let Tunnel { gateway, origin, mut client, upstream } = Tunnel::open().await;
    upstream.reset();
    assert_eq!(client.ending().await, Ending::Reset);
    eventually("the end", || gateway.state().requests_in_flight == 0).await;
    // Both had what HTTP owed them: no fault of the endpoint's.
    assert_eq!(gateway.totals(origin.address()).failures, 0);

    let Tunnel { gateway, origin: _origin, client, mut upstream } = Tunnel::open().await;
    client.reset();
    assert_eq!(upstream.ending().await, Ending::Reset);
    eventually("the end", || gateway.state().requests_in_flight == 0).await;
}

#[tokio::test]
async fn silence_on_both_sides_ends_a_tunnel() {
    let setup =
        |origin: &Origin| Setup::fronting(&[origin.address()]).route("timeouts = { tunnel = \"600ms\" }");
    let mut tunnel = Tunnel::open_at(setup).await;
    // One that speaks keeps it standing, for longer than the other is silent.
    let mut pieces = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..15 {
        pieces.tick().await;
        tunnel.client.send("piece").await;
        assert_eq!(tunnel.upstream.bytes(5).await, b"piece");
    }
    assert_eq!(tunnel.client.ending().await, Ending::Reset);
    assert_eq!(tunnel.upstream.ending().await, Ending::Reset);
}

#[tokio::test]
async fn a_tunnel_goes_on_while_the_gateway_drains() {
    let mut tunnel = Tunnel::open().await;
    tunnel.gateway.stop_listening().await;
    tunnel.carries().await;
    tunnel.client.send_end().await;
    assert_eq!(tunnel.upstream.ending().await, Ending::Closed);
    tunnel.upstream.send_end().await;
    assert_eq!(tunnel.client.ending().await, Ending::Closed);
    tunnel.gateway.ended().await;
}

#[tokio::test]
async fn a_tunnel_that_stands_at_the_drain_deadline_is_reset_on_both_sides() {
    let setup = |origin: &Origin| Setup::fronting(&[origin.address()]).gateway("drain_deadline = \"200ms\"");
    let mut tunnel = Tunnel::open_at(setup).await;
    tunnel.gateway.gateway.stop();
    tunnel.gateway.ended().await;
    assert_eq!(tunnel.client.ending().await, Ending::Reset);
    assert_eq!(tunnel.upstream.ending().await, Ending::Reset);
    let state = tunnel.gateway.state();
    assert_eq!((state.connections, state.requests_in_flight), (0, 0));
}
