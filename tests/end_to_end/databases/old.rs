//! A server that is too old. There is none to be had, so a listener speaks as one does until its version is told.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::run;

/// The request for TLS, after its length.
const TLS_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();

/// A message of the protocol: its kind, its length and what is in it.
fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, content].concat()
}

/// Lets one client in without a password; says the version and that it is ready.
fn let_in(mut client: TcpStream) -> std::io::Result<()> {
    loop {
        let mut length = [0; 4];
        client.read_exact(&mut length)?;
        let mut request = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap() - 4];
        client.read_exact(&mut request)?;
        if request != TLS_REQUEST {
            break;
        }
        client.write_all(b"N")?;
    }
    client.write_all(&message(b'R', &[0; 4]))?;
    client.write_all(&message(b'S', b"server_version\x0013.22\x00"))?;
    client.write_all(&message(b'K', &[0; 8]))?;
    client.write_all(&message(b'Z', b"I"))?;
    // The client hangs up.
    client.read(&mut [0; 64]).map(drop)
}

/// Faked: see the module.
#[test]
fn a_version_that_is_too_old_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let has_ended = Arc::clone(&ended);
    let server = thread::spawn(move || {
        for client in listener.incoming() {
            if has_ended.load(Ordering::Relaxed) {
                return;
            }
            // A client that goes away in between has seen enough.
            let _ = let_in(client.unwrap());
        }
    });
    let url = format!("postgres://web:secret@{address}/shop");
    for arguments in [&["api"][..], &["data", "status"]] {
        let ended = run(arguments, &[("DATABASE_URL", &url)]).with_code(5);
        let told = format!("{}{}", ended.stdout, ended.stderr);
        for wanted in [&*address.to_string(), "runs PostgreSQL 13.22", "at least version 14", "upgrade it"] {
            assert!(told.contains(wanted), "{wanted} in {told}");
        }
    }
    ended.store(true, Ordering::Relaxed);
    TcpStream::connect(address).unwrap();
    server.join().unwrap();
}
