//! More clients than there are places for (S05), slow ones among good ones (S01), and ones that call everything by another name
//! (S12).

use super::GET;
use crate::support::{Ending, Peer, Recorder, Setup, TestGateway, eventually};

impl TestGateway {
    /// A client that has been served once, and stays.
    async fn served(&self) -> Peer {
        let mut client = self.connect().await;
        assert_eq!(client.exchange(GET).await.status(), 200);
        client
    }
}

#[tokio::test]
async fn one_client_too_many_is_told_so_until_another_leaves() {
    let origin = Recorder::start().await;
    // The limit is that of all workers together.
    let gateway = Setup::fronting(&[origin.address()]).gateway("max_connections = 3").workers(2).start();
    let mut clients = [gateway.served().await, gateway.served().await, gateway.served().await];
    for round in 1..=3 {
        for sent in ["", GET, "nonsense\r\n\r\n"] {
            let mut refused = gateway.connect().await;
            // It may have been told before it has sent anything.
            let _ = refused.try_send(sent).await;
            let answer = refused.response().await;
            assert_eq!((answer.status(), answer.closes()), (503, true), "{answer:?}");
            assert_eq!(answer.field("retry-after"), Some("1"));
            assert_eq!(answer.field("content-type"), Some("application/problem+json"));
            assert_eq!(refused.ending().await, Ending::Closed);
        }
        assert_eq!(gateway.sample("phalanx_connections"), 3);
        assert_eq!(gateway.sample("phalanx_connections_refused_total"), round * 3);
        // Those that were there first notice nothing.
        for client in &mut clients {
            assert_eq!(client.exchange(GET).await.status(), 200);
        }
        let [_, _, leaving] = &mut clients;
        leaving.send_end().await;
        assert_eq!(leaving.ending().await, Ending::Closed);
        eventually("a free place", || gateway.state().connections == 2).await;
        *leaving = gateway.served().await;
    }
    assert_eq!(origin.request_count(), 3 + 3 * 4);
}

#[tokio::test]
async fn a_crowd_before_the_door_holds_nobody_up() {
    const CROWD: u64 = 400;
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).gateway("max_connections = 1").start();
    let mut client = gateway.served().await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        // All of them wait to be told more, which keeps those that are told for a while.
        crowd.push(gateway.connect().await);
    }
    eventually("a word to everybody", || gateway.sample("phalanx_connections_refused_total") == CROWD).await;
    assert_eq!(client.exchange(GET).await.status(), 200);
    let mut told = 0;
    for mut refused in crowd {
        match refused.try_response().await {
            Ok(answer) => {
                assert_eq!(answer.status(), 503);
                told += 1;
            }
            // Without a word, so that a crowd cannot use up what the others need.
            Err(ending) => assert_eq!(ending, Ending::Closed),
        }
    }
    assert!((1..CROWD).contains(&told), "{told} of {CROWD} were told");
    // When the crowd has gone, which the worker has seen before this request, it is as before.
    assert_eq!(client.exchange(GET).await.status(), 200);
    let mut refused = gateway.connect().await;
    assert_eq!(refused.response().await.status(), 503);
    assert_eq!(gateway.sample("phalanx_connections"), 1);
}

#[tokio::test]
async fn many_clients_that_do_not_finish_their_heads_hold_nobody_up() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()]).start();
    let mut slow = Vec::new();
    for index in 0..200 {
        let mut client = gateway.connect().await;
        client.send(&GET[..=index % (GET.len() - 1)]).await;
        slow.push(client);
    }
    let mut good = gateway.served().await;
    // A byte now and then does not buy them time.
    for client in &mut slow {
        client.send("G").await;
        assert_eq!(good.exchange(GET).await.status(), 200);
    }
    for mut client in slow {
        let answer = client.response().await;
        // What makes no sense is refused at once, what makes sense so far when its time has passed.
        assert!(matches!(answer.status(), 400 | 408 | 505), "{answer:?}");
        assert!(answer.closes());
        assert_eq!(client.ending().await, Ending::Closed);
    }
    assert_eq!(good.exchange(GET).await.status(), 200);
    assert_eq!(origin.request_count(), 202);
}

#[tokio::test]
async fn names_that_clients_make_up_make_no_series() {
    let origin = Recorder::start().await;
    let gateway = Setup::fronting(&[origin.address()])
        .tables("[[route]]\nhost = \"*.example\"\npath = \"/shop\"\nservice = \"api\"")
        .start();
    let mut client = gateway.connect().await;
    let mut ask = async |name: &str| {
        for (method, path, host) in [
            ("GET", format!("/{name}?{name}"), "a".to_owned()),
            ("GET", format!("/shop/{name}"), format!("{name}.example")),
            (name, format!("/{name}"), name.to_owned()),
        ] {
            let fields =
                format!("Host: {host}\r\nUser-Agent: {name}\r\nX-Request-Id: {name}\r\n{name}: {name}\r\n");
            client.exchange(format!("{method} {path} HTTP/1.1\r\n{fields}\r\n")).await;
        }
    };
    ask("first").await;
    eventually("the first are counted", || gateway.state().requests_in_flight == 0).await;
    let series = || gateway.exposition().lines().filter(|line| line.starts_with("http_")).count();
    let before = series();
    for index in 0..300 {
        ask(&format!("name{index}")).await;
    }
    eventually("all are counted", || gateway.state().requests_in_flight == 0).await;
    assert_eq!(series(), before);
    assert!(!gateway.exposition().contains("name299"));
}
