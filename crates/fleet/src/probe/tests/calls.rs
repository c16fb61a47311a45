//! Health by gRPC, from a server of HTTP/2 whose messages are written out byte by byte.

use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use tokio::{net::TcpListener, task::JoinSet};

use super::*;

/// The service `api`, asked for: no compression, five bytes, field 1 of three bytes.
const REQUEST: &[u8] = b"\0\0\0\0\x05\x0a\x03api";

/// How a call is answered.
#[derive(Clone, Copy)]
enum Reply {
    /// With this body and, in the trailers, this status.
    Message(&'static [u8], &'static str),
    /// The same without trailers.
    NoTrailers(&'static [u8]),
    /// With this status and nothing else.
    Status(&'static str),
    /// With a status of HTTP.
    Http(u16),
    /// With a body that does not end.
    Endless,
    /// Not at all.
    Never,
}

#[tokio::test]
async fn a_call_tells_what_it_found() {
    let not_plain = "an answer that is not gRPC: not one plain message";
    for (reply, expected) in [
        (Reply::Message(b"\0\0\0\0\x02\x08\x01", "0"), "ok"),
        // A field that another version of the protocol may add.
        (Reply::Message(b"\0\0\0\0\x04\x08\x01\x10\x07", "0"), "ok"),
        (Reply::Message(b"\0\0\0\0\x02\x08\x02", "0"), "health NOT_SERVING"),
        (Reply::Message(b"\0\0\0\0\x02\x08\x03", "0"), "health SERVICE_UNKNOWN"),
        (Reply::Message(b"\0\0\0\0\0", "0"), "health UNKNOWN"),
        (Reply::Message(b"\0\0\0\0\x02\x08\x63", "0"), "health UNKNOWN"),
        (Reply::Message(b"\0\0\0\0\x02\x08\x01", "13"), "gRPC status 13"),
        (Reply::Message(b"\x01\0\0\0\x02\x08\x01", "0"), not_plain),
        (Reply::Message(b"\0\0\0\0\x03\x08\x01", "0"), not_plain),
        (Reply::Message(b"\0\0\0", "0"), "an answer that is not gRPC: no message"),
        (Reply::NoTrailers(b"\0\0\0\0\x02\x08\x01"), "an answer that is not gRPC: no `grpc-status`"),
        (Reply::Status("12"), "gRPC status 12"),
        (Reply::Status("5"), "gRPC status 5"),
        (Reply::Http(404), "HTTP status 404"),
        (Reply::Endless, "an answer that is not gRPC: more than 256 bytes"),
    ] {
        assert_eq!(answered(reply, PATIENCE).await, expected);
    }
    assert_eq!(answered(Reply::Never, Duration::from_millis(10)).await, "no answer within 10ms");
}

#[tokio::test]
async fn a_server_without_http_2_is_told_from_a_bad_answer() {
    let call = Check::Grpc { service: "api".to_owned(), port: None };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut connection, b"HTTP/1.1 400 Bad Request\r\n\r\n").await
    });
    let found = found(&target, &call, PATIENCE).await;
    assert!(found.starts_with("an answer that is not gRPC: "), "{found}");
}

async fn answered(reply: Reply, limit: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(serve(listener, reply));
    let call = Check::Grpc { service: "api".to_owned(), port: None };
    found(&target, &call, limit).await
}

async fn serve(listener: TcpListener, reply: Reply) {
    let (socket, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(socket).await.unwrap();
    let mut calls = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        calls.spawn(answer(request, respond, reply));
    }
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, reply: Reply) {
    // What the test does not expect shows as an answer that it does not expect either.
    let reply = if is_as_it_should_be(request).await { reply } else { Reply::Http(500) };
    let head = || Response::builder().header("content-type", "application/grpc");
    let trailers = |status| {
        HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static(status))])
    };
    match reply {
        Reply::Message(body, status) => {
            let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(body), false).unwrap();
            stream.send_trailers(trailers(status)).unwrap();
        }
        Reply::NoTrailers(body) => {
            let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(body), true).unwrap();
        }
        Reply::Status(status) => {
            respond.send_response(head().header("grpc-status", status).body(()).unwrap(), true).unwrap();
        }
        Reply::Http(status) => {
            respond.send_response(head().status(status).body(()).unwrap(), true).unwrap();
        }
        Reply::Endless => {
            let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(&[0; 300]), false).unwrap();
            std::future::pending::<()>().await;
        }
        Reply::Never => std::future::pending().await,
    }
}

async fn is_as_it_should_be(request: Request<RecvStream>) -> bool {
    let (head, mut body) = request.into_parts();
    let mut message = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        message.extend_from_slice(&data);
    }
    head.method == "POST"
        && head.uri.path() == "/grpc.health.v1.Health/Check"
        && head.headers["content-type"] == "application/grpc"
        && head.headers["te"] == "trailers"
        && message == REQUEST
}
