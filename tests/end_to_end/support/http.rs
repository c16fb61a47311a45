//! An HTTP/1.1 client that sends what it is told and hides nothing: an early end, a reset or a delay past the deadline is an
//! error, and nothing is sent twice.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use super::DEADLINE;

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A response, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)
    }

    pub(crate) fn receive(&mut self) -> io::Result<Answer> {
        let mut answer = self.receive_head()?;
        // RFC 9112, section 6.3: a 204 has no body, and needs not say so.
        let length = match (answer.status, answer.header("content-length")) {
            (204, None) => 0,
            (_, length) => length.expect("a length").parse().unwrap(),
        };
        answer.body = String::from_utf8(self.receive_bytes(length)?).unwrap();
        Ok(answer)
    }

    /// A response without its body, which is left unread.
    pub(crate) fn receive_head(&mut self) -> io::Result<Answer> {
        let head_end = loop {
            if let Some(position) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break position + 4;
            }
            self.fill()?;
        };
        let head = String::from_utf8(self.unread.drain(..head_end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Answer { status, head, body: String::new() })
    }

    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request)?;
        self.receive()
    }

    /// So many bytes of what follows, for which a head has changed the protocol.
    pub(crate) fn receive_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < count {
            self.fill()?;
        }
        Ok(self.unread.drain(..count).collect())
    }

    /// Waits until the peer ends it, whatever comes before; what came.
    pub(crate) fn receive_until_the_end(mut self) -> Vec<u8> {
        while self.fill().is_ok() {}
        self.unread
    }

    /// Waits until the peer closes it in order, without another byte.
    pub(crate) fn assert_closed_by_peer(mut self) {
        assert_eq!(self.stream.read(&mut [0]).unwrap(), 0);
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.unread.extend_from_slice(&bytes[..count]);
                Ok(())
            }
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// The values of a field that may come several times.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The replica of the reference API that answered.
    pub(crate) fn instance(&self) -> String {
        self.header("x-phalanx-instance").unwrap_or_else(|| panic!("no instance in {self:?}")).to_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The `error` of a problem document, after checking that it is a whole one.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let document = self.json();
        assert_eq!(document["status"], self.status, "{self:?}");
        for member in ["type", "title", "detail", "error"] {
            assert!(document[member].is_string(), "{member} in {self:?}");
        }
        document["error"].as_str().unwrap().to_owned()
    }
}

/// `GET` on a connection of its own.
pub(crate) fn get(address: SocketAddr, target: &str) -> Answer {
    exchange(address, &getting(target))
}

/// One request on a connection of its own.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    Connection::open(address).and_then(|mut connection| connection.exchange(request)).unwrap()
}

pub(crate) fn getting(target: &str) -> Vec<u8> {
    getting_with(target, "")
}

/// A `GET` with further header lines, each with its end.
pub(crate) fn getting_with(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").into_bytes()
}

pub(crate) fn posting(target: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    sending("POST", target, "", body)
}

/// A request with a body in JSON and further header lines, each with its end.
pub(crate) fn sending(method: &str, target: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
