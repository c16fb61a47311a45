use futures_util::{FutureExt as _, future, stream};
use tokio::io::DuplexStream;

use super::*;

const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Holds one end of a stream until the conversation ends, while `client` has the other.
async fn conversation<C: Future>(
    changes: BoxStream<'static, String>,
    session_ended: BoxFuture<'static, ()>,
    stop: &CancellationToken,
    client: impl FnOnce(DuplexStream) -> C,
) -> C::Output {
    let (ours, theirs) = io::duplex(64 << 10);
    let subscription = Subscription { changes, session_ended };
    let (told, ()) = tokio::join!(client(theirs), converse(ours, subscription, PING_INTERVAL, stop));
    told
}

async fn client(stream: DuplexStream) -> WebSocketStream<DuplexStream> {
    WebSocketStream::from_raw_socket(stream, Role::Client, None).await
}

/// The texts that come, and the code of the close that ends them.
async fn told(socket: &mut WebSocketStream<DuplexStream>) -> (Vec<String>, Option<u16>) {
    let mut texts = Vec::new();
    let mut code = None;
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => texts.push(text.to_string()),
            Message::Close(frame) => code = frame.map(|frame| frame.code.into()),
            _ => {}
        }
    }
    (texts, code)
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    // The mask is zero, so the payload stands as it is.
    [&[first, 0x80 | 126, high, low, 0, 0, 0, 0], payload].concat()
}

#[tokio::test(start_paused = true)]
async fn each_fault_of_a_client_has_its_code() {
    let text = 0x81;
    let beginning = frame(0x01, b"x");
    let fragments: Vec<_> =
        std::iter::once(beginning).chain((0..10_000).map(|_| frame(0x00, b"x"))).collect();
    let cases: [(&str, Vec<u8>, u16); 8] = [
        ("over the limit", frame(text, &[b'x'; MESSAGE_BYTES_MAX + 1]), 1009),
        ("over the limit in fragments", fragments.concat(), 1009),
        ("unmasked", vec![text, 1, b'x'], 1002),
        ("reserved bit", frame(0xc1, b"x"), 1002),
        ("reserved opcode", frame(0x83, b"x"), 1002),
        ("continuation of nothing", frame(0x80, b"x"), 1002),
        ("not UTF-8", frame(text, b"\xc3\x28"), 1007),
        ("many", frame(text, b"x").repeat(MESSAGES_MAX + 1), 1008),
    ];
    for (name, bytes, code) in cases {
        let stop = CancellationToken::new();
        let send = async |mut stream: DuplexStream| {
            // The end may come before all is sent.
            let (mut reading, mut writing) = io::split(&mut stream);
            let mut answer = Vec::new();
            let (_, read) = tokio::join!(writing.write_all(&bytes), reading.read_to_end(&mut answer));
            read.unwrap();
            answer
        };
        let answer = conversation(stream::pending().boxed(), future::pending().boxed(), &stop, send).await;
        let [high, low] = code.to_be_bytes();
        assert_eq!((answer[0], answer[2], answer[3]), (0x88, high, low), "{name}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_what_changes_and_why_it_ends() {
    let one = || stream::iter(["{}".to_owned()]);
    let stopped = CancellationToken::new();
    stopped.cancel();
    let running = CancellationToken::new();
    let later = || time::sleep(PING_INTERVAL * 10).boxed();
    let cases = [
        ("changes end", one().boxed(), future::pending().boxed(), &running, 1, 1013),
        ("session ends", one().chain(stream::pending()).boxed(), later(), &running, 1, SESSION_ENDED),
        ("session has ended", one().boxed(), future::ready(()).boxed(), &running, 0, SESSION_ENDED),
        ("stop", one().boxed(), future::pending().boxed(), &stopped, 0, 1001),
    ];
    for (name, changes, session_ended, stop, texts, code) in cases {
        let listen = async |stream| told(&mut client(stream).await).await;
        let expected = (vec!["{}".to_owned(); texts], Some(code));
        assert_eq!(conversation(changes, session_ended, stop, listen).await, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_a_ping_is_let_go() {
    let stop = CancellationToken::new();
    // It reads, but whoever does not write has no pong.
    let silent = async |mut stream: DuplexStream| {
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        received
    };
    let received = conversation(stream::pending().boxed(), future::pending().boxed(), &stop, silent).await;
    let [high, low] = 1008_u16.to_be_bytes();
    assert_eq!(received[..2], [0x89, 0], "a ping");
    assert_eq!((received[2], received[4], received[5]), (0x88, high, low), "{received:?}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_conversation() {
    let stop = CancellationToken::new();
    let leave = async |stream| {
        let mut socket = client(stream).await;
        socket.close(None).await.unwrap();
        told(&mut socket).await
    };
    let changes = || stream::pending().boxed();
    assert_eq!(conversation(changes(), future::pending().boxed(), &stop, leave).await, (Vec::new(), None));
    conversation(changes(), future::pending().boxed(), &stop, async |stream| drop(stream)).await;
}
