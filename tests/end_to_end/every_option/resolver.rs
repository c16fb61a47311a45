//! A DNS server of one answer: every name has the address 127.0.0.1, and no other record (RFC 1035).

use std::{
    net::{SocketAddr, UdpSocket},
    thread::{self, JoinHandle},
};

/// Header, and in front of what is asked for the name, by which a question ends: type and class.
const HEADER_BYTES: usize = 12;
const KIND_AND_CLASS_BYTES: usize = 4;
/// A pointer to the name of the question, type A, class IN, a minute, four bytes.
const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1];

/// Runs until it is dropped.
pub(crate) struct Resolver {
    pub(crate) address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Resolver {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let mut query = [0; 512];
            loop {
                match socket.recv_from(&mut query) {
                    // What `drop` sends.
                    Ok((0, _)) => break,
                    Ok((count, peer)) => {
                        let answered = answer(&query[..count]).map(|answer| socket.send_to(&answer, peer));
                        assert!(answered.is_none_or(|sent| sent.is_ok()), "an answer can be sent");
                    }
                    // The error of an earlier answer, whose receiver has gone.
                    Err(_) => {}
                }
            }
        });
        Self { address, thread: Some(thread) }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let farewell = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(&[], self.address));
        if let (Ok(_), Some(thread)) = (farewell, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let name = query.get(HEADER_BYTES..)?.iter().position(|byte| *byte == 0)? + 1;
    let question = query.get(HEADER_BYTES..HEADER_BYTES + name + KIND_AND_CLASS_BYTES)?;
    let asks_for_an_address = question[name..] == [0, 1, 0, 1];
    let answers = u8::from(asks_for_an_address);
    // The id; a response, recursion desired and available; one question and its answers.
    let head = [query[0], query[1], 0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0];
    let record = if asks_for_an_address { &RECORD[..] } else { &[] };
    Some([&head, question, record].concat())
}
