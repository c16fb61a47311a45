//! `GET /ws`: who may open a socket, how many, and how it ends.

use futures_util::StreamExt as _;
use phalanx_api::{Drained, Settings, SocketSettings};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        http::{HeaderName, HeaderValue, Response, header},
    },
};

use crate::{
    accounts::{bearer, signed},
    client::{PATIENCE, get_as, register},
    replica::{Replica, SECRET, settings},
};

pub(crate) type Socket = WebSocketStream<TcpStream>;
pub(crate) type Refusal = Response<Option<Vec<u8>>>;

#[tokio::test]
async fn a_token_opens_a_socket_from_either_place() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let authorization = registered(&replica).await;
    let token = authorization.strip_prefix("Bearer ").unwrap();

    let (_, answer) = open(&replica, &[(header::AUTHORIZATION, &authorization)]).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("sec-websocket-protocol")), (101, None));
    assert!(answer.headers().contains_key("x-phalanx-instance"));
    let offered = format!("bearer, {token}");
    let (_, answer) = open(&replica, &[(header::SEC_WEBSOCKET_PROTOCOL, &offered)]).await.unwrap();
    assert_eq!(
        answer.headers()["sec-websocket-protocol"],
        "bearer",
        "browsers insist on one that they offered"
    );

    for protocols in ["bearer, a.b.c", "cart"] {
        let refused = open(&replica, &[(header::SEC_WEBSOCKET_PROTOCOL, protocols)]).await.unwrap_err();
        assert_eq!(refused.status(), 401, "{protocols}");
    }
}

#[tokio::test]
async fn what_asks_for_no_websocket_gets_none() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let authorization = registered(&replica).await;
    let plain = replica.exchange(get_as("/ws", &authorization)).await;
    assert_eq!(plain.problem(), (426, "Upgrade required".to_owned()));
    assert_eq!(
        (plain.header("upgrade"), plain.header("sec-websocket-version")),
        (Some("websocket"), Some("13"))
    );
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    for (connection, upgrade, version, key) in [
        ("keep-alive", "websocket", "13", key),
        ("upgrade", "h2c", "13", key),
        ("upgrade", "websocket", "12", key),
        ("upgrade", "websocket", "13", "dG9vIHNob3J0"),
        ("upgrade", "websocket", "13", "no base64, but long"),
    ] {
        let request = format!(
            "GET /ws HTTP/1.1\r\nhost: api\r\nauthorization: {authorization}\r\nconnection: {connection}\r\n\
             upgrade: {upgrade}\r\nsec-websocket-version: {version}\r\nsec-websocket-key: {key}\r\n\r\n"
        );
        let answer = replica.exchange(request).await;
        assert_eq!(answer.problem().0, 426, "{connection} {upgrade} {version} {key}");
    }
}

#[tokio::test]
async fn one_account_has_so_many_sockets_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let sockets = SocketSettings { sockets_per_account_max: 2, ..SocketSettings::default() };
    let replica = Replica::start(Settings { sockets, ..settings(directory.path(), "api-1") }).await;
    let authorization = registered(&replica).await;
    let fields = [(header::AUTHORIZATION, &*authorization)];
    let (mut first, _) = open(&replica, &fields).await.unwrap();
    let (_second, _) = open(&replica, &fields).await.unwrap();
    let refused = open(&replica, &fields).await.unwrap_err();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &HeaderValue::from(1)));
    first.close(None).await.unwrap();
    assert_eq!(ended(&mut first).await, None);
    let again = async { while open(&replica, &fields).await.is_err() {} };
    timeout(PATIENCE, again).await.expect("the seat was not given back");
}

#[tokio::test]
async fn a_stop_tells_every_socket() {
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::over(directory.path()).await;
    let authorization = registered(&replica).await;
    let fields = [(header::AUTHORIZATION, &*authorization)];
    let (mut first, _) = open(&replica, &fields).await.unwrap();
    let (mut second, _) = open(&replica, &fields).await.unwrap();
    replica.stop.cancel();
    assert_eq!((ended(&mut first).await, ended(&mut second).await), (Some(1001), Some(1001)));
    assert_eq!(replica.ended().await.unwrap(), Drained { connections_cut: 0 });
}

#[tokio::test]
async fn a_socket_does_not_outlive_its_token() {
    let directory = tempfile::tempdir().unwrap();
    let key = phalanx_auth::KeyRing::from_secret(SECRET.as_bytes()).unwrap();
    let replica =
        Replica::start(Settings { token_keys: Some(key), ..settings(directory.path(), "api-1") }).await;
    // On a slow machine a token may be over before it has opened anything; a longer one is not.
    let mut socket = None;
    for seconds in 1..60 {
        let authorization = signed("1", "api", seconds);
        socket = open(&replica, &[(header::AUTHORIZATION, &authorization)]).await.ok();
        if socket.is_some() {
            break;
        }
    }
    let (mut socket, _) = socket.unwrap();
    assert_eq!(ended(&mut socket).await, Some(4401));
}

async fn registered(replica: &Replica) -> String {
    bearer(&replica.exchange(register("ada@example.com")).await.json())
}

pub(crate) async fn open(
    replica: &Replica,
    fields: &[(HeaderName, &str)],
) -> Result<(Socket, Response<Option<Vec<u8>>>), Box<Refusal>> {
    let mut request = format!("ws://{}/ws", replica.address).into_client_request().unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(replica.address).await.unwrap();
    match timeout(PATIENCE, client_async(request, stream)).await.expect("no answer") {
        Ok(opened) => Ok(opened),
        Err(Error::Http(refusal)) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

/// Reads to the end; the code with which the replica closes.
pub(crate) async fn ended(socket: &mut Socket) -> Option<u16> {
    let mut code = None;
    let reading = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(Some(frame)) = message {
                code = Some(frame.code.into());
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("the socket does not end");
    code
}
