//! Bodies of many times what windows and buffers hold: they arrive as they were sent, and nobody holds them meanwhile.

use bytes::Bytes;
use h2::SendStream;

use super::{Exchange, GET};
use crate::support::{LARGE_BYTES, eventually, large_body, within};

/// What the gateway and the sockets around it can hold of a body: windows, and the buffers of the kernel.
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Sends `body` as fast as the other side takes it; `sent` counts.
async fn send_all(stream: &mut SendStream<Bytes>, body: &[u8], sent: &std::cell::Cell<usize>) {
    while sent.get() < body.len() {
        stream.reserve_capacity(body.len() - sent.get());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let room = room.expect("the stream is open").expect("the stream is open");
        let piece = &body[sent.get()..][..room.min(body.len() - sent.get())];
        sent.set(sent.get() + piece.len());
        stream.send_data(Bytes::copy_from_slice(piece), sent.get() == body.len()).unwrap();
    }
}

#[tokio::test]
async fn a_slow_client_holds_up_its_own_response_and_no_other() {
    let body = large_body();
    for fields in [&[][..], &[("content-length", LARGE_BYTES.to_string().leak() as &str)]] {
        let Exchange { gateway, mut client, mut request, mut connection, .. } = Exchange::begin(GET).await;
        let mut stream = request.begin(200, fields);
        let sent = std::cell::Cell::new(0);
        let sending = send_all(&mut stream, &body, &sent);
        let others = async {
            eventually("a part of the body", || sent.get() > 512 * 1024).await;
            let mut other = gateway.connect().await;
            for _ in 0..200 {
                other.send(GET).await;
                connection.request().await.answer("hello");
                assert_eq!(other.response().await.text(), "hello");
            }
            assert!(sent.get() < HELD_BYTES_MAX, "{} bytes went nowhere", sent.get());
            client.response().await
        };
        let ((), response) = within("the body", async { tokio::join!(sending, others) }).await;
        assert!(response.body == body, "{} bytes arrived, not the same", response.body.len());
    }
}

#[tokio::test]
async fn a_slow_endpoint_holds_its_client_up() {
    let body = large_body();
    let sent = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE_BYTES}\r\n\r\n");
    let Exchange { gateway, mut client, mut request, mut connection, .. } = Exchange::begin(&sent).await;
    let written = std::cell::Cell::new(0);
    let sending = async {
        for piece in body.chunks(64 * 1024) {
            client.send(piece).await;
            written.set(written.get() + piece.len());
        }
    };
    let receiving = async {
        // While nothing is read of it, others get through.
        let mut other = gateway.connect().await;
        for _ in 0..200 {
            other.send(GET).await;
            connection.request().await.answer("hello");
            assert_eq!(other.response().await.text(), "hello");
        }
        assert!(written.get() < HELD_BYTES_MAX, "{} bytes went nowhere", written.get());
        request.body().await.0
    };
    let ((), received) = within("the body", async { tokio::join!(sending, receiving) }).await;
    assert!(received == body, "{} bytes arrived, not the same", received.len());
    request.answer("done");
    assert_eq!(client.response().await.text(), "done");
}

#[tokio::test]
async fn a_large_chunked_body_arrives_as_it_was_sent() {
    let body = large_body();
    let sent = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(sent).await;
    let sending = async {
        for chunk in body.chunks(100_000) {
            client.send([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).await;
        }
        client.send("0\r\n\r\n").await;
    };
    let ((), (received, _)) = within("the body", async { tokio::join!(sending, request.body()) }).await;
    assert!(received == body, "{} bytes arrived, not the same", received.len());
    request.answer("done");
    assert_eq!(client.response().await.text(), "done");
}

#[tokio::test]
async fn an_answer_before_the_end_of_a_body_is_relayed_and_ends_the_connection() {
    let sent = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE_BYTES}\r\n\r\nbegin");
    let Exchange { gateway: _gateway, mut client, mut request, connection: _connection, .. } =
        Exchange::begin(&sent).await;
    request.answer("no");
    let answer = client.response().await;
    assert_eq!((answer.text(), answer.closes()), ("no", true));
    assert_eq!(request.cancelled().await, h2::Reason::CANCEL);
}
