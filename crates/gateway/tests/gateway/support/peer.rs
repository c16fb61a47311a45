//! One end of a connection, a client's or an origin's: it sends what it is told, and reads message by message.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Message, message::Framing, within};

pub(crate) struct Peer {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// How the other side ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Closed,
    Reset,
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // What a test sends in pieces is to arrive in pieces.
        stream.set_nodelay(true).expect("the socket is open");
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::new(within("a connection", TcpStream::connect(address)).await.expect("somebody listens"))
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the other side reads");
    }

    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within("room to send", self.stream.write_all(bytes.as_ref())).await
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn send_end(&mut self) {
        self.try_send_end().await.expect("the socket is open");
    }

    pub(crate) async fn try_send_end(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("the socket is open");
    }

    /// The next head alone, as a message without a body.
    pub(crate) async fn head(&mut self) -> Message {
        self.try_head()
            .await
            .unwrap_or_else(|ending| panic!("{ending:?} instead of a head: {}", self.shown()))
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> Message {
        let request = self.try_request().await;
        request.unwrap_or_else(|ending| panic!("{ending:?} instead of a request: {}", self.shown()))
    }

    /// The next response, to any method but `HEAD`.
    pub(crate) async fn response(&mut self) -> Message {
        let response = self.try_response().await;
        response.unwrap_or_else(|ending| panic!("{ending:?} instead of a response: {}", self.shown()))
    }

    /// Sends a request and reads the response.
    pub(crate) async fn exchange(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(request).await;
        self.response().await
    }

    /// A request, unless the connection ends within it.
    pub(crate) async fn try_request(&mut self) -> Result<Message, Ending> {
        let request = self.try_head().await?;
        let framing = request.framing(Framing::Length(0));
        self.body(request, framing).await
    }

    /// A response, unless the connection ends within it.
    pub(crate) async fn try_response(&mut self) -> Result<Message, Ending> {
        let response = self.try_head().await?;
        let framing = match response.status() {
            100..200 | 204 | 304 => Framing::Length(0),
            _ => response.framing(Framing::UntilClose),
        };
        self.body(response, framing).await
    }

    /// As many bytes as that.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let taken = self.take(count).await;
        taken.unwrap_or_else(|ending| panic!("{ending:?} instead of {count} bytes: {}", self.shown()))
    }

    /// How the connection ends; panics when the other side says something before.
    pub(crate) async fn ending(&mut self) -> Ending {
        let ending = self.ending_after_all().await;
        assert!(self.unread.is_empty(), "{ending:?} after {}", self.shown());
        ending
    }

    /// How the connection ends, whatever the other side says before.
    pub(crate) async fn ending_after_all(&mut self) -> Ending {
        loop {
            if let Err(ending) = self.fill().await {
                return ending;
            }
        }
    }

    /// Waits until the other side says more; how it ended if it does not.
    pub(crate) async fn more(&mut self) -> Result<(), Ending> {
        if self.unread.is_empty() { self.read().await } else { Ok(()) }
    }

    /// Waits until the other side has gone, whatever it says before.
    pub(crate) async fn gone(&mut self) {
        while self.read().await.is_ok() {}
    }

    async fn try_head(&mut self) -> Result<Message, Ending> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.unread.drain(..end + 4).collect();
                return Ok(Message::new(String::from_utf8(head).expect("the head is text"), []));
            }
            self.fill().await?;
        }
    }

    async fn body(&mut self, mut message: Message, framing: Framing) -> Result<Message, Ending> {
        match framing {
            Framing::Length(length) => message.body = self.take(length).await?,
            Framing::UntilClose => match self.ending_after_all().await {
                Ending::Closed => message.body = std::mem::take(&mut self.unread),
                Ending::Reset => return Err(Ending::Reset),
            },
            Framing::Chunked => loop {
                let size = self.line().await?;
                match usize::from_str_radix(&size, 16).expect("the size of a chunk") {
                    0 => break message.trailers = self.trailers().await?,
                    size => {
                        message.body.extend(self.take(size).await?);
                        assert_eq!(self.line().await?, "", "a chunk ends where it says");
                    }
                }
            },
        }
        Ok(message)
    }

    async fn trailers(&mut self) -> Result<String, Ending> {
        let mut trailers = String::new();
        loop {
            match self.line().await?.as_str() {
                "" => return Ok(trailers),
                line => trailers += &format!("{line}\r\n"),
            }
        }
    }

    async fn line(&mut self) -> Result<String, Ending> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|window| window == b"\r\n") {
                let line = self.unread.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8(line).expect("the line is text"));
            }
            self.fill().await?;
        }
    }

    async fn take(&mut self, count: usize) -> Result<Vec<u8>, Ending> {
        while self.unread.len() < count {
            self.fill().await?;
        }
        Ok(self.unread.drain(..count).collect())
    }

    async fn fill(&mut self) -> Result<(), Ending> {
        within("bytes, or an end", self.read()).await
    }

    async fn read(&mut self) -> Result<(), Ending> {
        match self.stream.read_buf(&mut self.unread).await {
            Ok(0) => Err(Ending::Closed),
            Ok(_) => Ok(()),
            Err(_) => Err(Ending::Reset),
        }
    }

    fn shown(&self) -> String {
        self.unread.escape_ascii().to_string()
    }
}
