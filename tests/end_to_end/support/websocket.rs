//! The client's side of a WebSocket (RFC 6455), as far as it hears what it is told.

use std::net::SocketAddr;

use serde_json::Value;

use super::http::{Answer, Connection, getting_with};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
/// Empty answers to a ping and to a close: whole, and masked as a client has to, with zeros.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
const FAREWELL: [u8; 6] = [0x88, 0x80, 0, 0, 0, 0];

/// A socket that is open.
#[derive(Debug)]
pub(crate) struct WebSocket {
    connection: Connection,
}

/// What a socket is told.
#[derive(Debug)]
enum Told {
    /// A document.
    Text(Value),
    /// That it ends, with this code.
    Close(u16),
}

impl WebSocket {
    /// Opens one with further header lines; the answer where it is not a WebSocket's.
    pub(crate) fn open(address: SocketAddr, target: &str, fields: &str) -> Result<Self, Answer> {
        let fields = format!(
            "{fields}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        let mut connection = Connection::open(address).unwrap();
        connection.send(&getting_with(target, &fields)).unwrap();
        let answer = connection.receive_head().unwrap();
        if answer.status == 101 { Ok(Self { connection }) } else { Err(answer) }
    }

    /// Waits until it is told what `wanted` looks for; earlier states of the same are passed over.
    pub(crate) fn hears(&mut self, wanted: impl Fn(&Value) -> bool) {
        loop {
            match self.hear() {
                Told::Text(document) if wanted(&document) => return,
                Told::Text(_) => {}
                Told::Close(code) => panic!("closed with {code}"),
            }
        }
    }

    /// Waits until it is closed, whatever it is told before; the code.
    pub(crate) fn ends(mut self) -> u16 {
        loop {
            if let Told::Close(code) = self.hear() {
                return code;
            }
        }
    }

    /// Waits for the next that is no ping.
    fn hear(&mut self) -> Told {
        loop {
            let (kind, payload) = self.frame();
            match kind {
                TEXT => return Told::Text(serde_json::from_slice(&payload).unwrap()),
                CLOSE => {
                    self.connection.send(&FAREWELL).unwrap();
                    return Told::Close(u16::from_be_bytes([payload[0], payload[1]]));
                }
                PING => self.connection.send(&PONG).unwrap(),
                other => panic!("a frame of kind {other}"),
            }
        }
    }

    /// A whole message: servers mask nothing, and ours sends none in fragments.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.connection.receive_bytes(2).unwrap();
        assert_eq!((head[0] & 0xf0, head[1] & 0x80), (0x80, 0), "whole and unmasked: {head:?}");
        let length = match head[1] {
            126 => {
                let long = self.connection.receive_bytes(2).unwrap();
                usize::from(u16::from_be_bytes([long[0], long[1]]))
            }
            127 => panic!("a frame of more than 64 KiB"),
            short => usize::from(short),
        };
        (head[0] & 0x0f, self.connection.receive_bytes(length).unwrap())
    }
}
