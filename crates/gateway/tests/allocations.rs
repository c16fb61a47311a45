//! A warm gateway allocates nothing for a request, and little for a connection on which nothing flows. In a binary of its own, since the allocator that counts is the process's.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Mutex,
    thread,
    time::Duration,
};

use phalanx_auth::{Issuer, KeyRing, RemoteKeysSettings, Revocations, Subject, Terms, TokenTypes};
use phalanx_config::Config;
use phalanx_gateway::{Gateway, Listeners, Started, Verification};
use phalanx_telemetry::{clock, requests::RequestFamily, upstream::UpstreamFamily};

#[global_allocator]
static COUNTING: dhat::Alloc = dhat::Alloc;

const REQUEST: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\n\
    X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

const OK: &[u8] = b"HTTP/1.1 200 ";

/// The allocator counts for one test at a time.
static COUNTED: Mutex<()> = Mutex::new(());

#[test]
fn a_warm_gateway_allocates_nothing_for_a_request() {
    let _counted = COUNTED.lock();
    let _profiler = dhat::Profiler::builder().testing().build();
    for trusted_proxies in ["[]", "[\"127.0.0.1\", \"10.0.0.0/8\"]"] {
        let gateway = start(origin(), trusted_proxies);
        let mut client = TcpStream::connect(gateway).unwrap();
        let blocks = allocations(&mut client, REQUEST);
        assert!(blocks < BLOCKS_MAX, "{blocks} allocations, trusting {trusted_proxies}");
    }
}

/// The token is known after its first request, and so is whom it belongs to.
#[test]
fn a_warm_gateway_allocates_nothing_for_a_request_with_a_token() {
    let _counted = COUNTED.lock();
    let _profiler = dhat::Profiler::builder().testing().build();
    let auth = format!("auth = {{ roles = [\"admin\"] }}\n[auth]\nsecret = \"{SECRET}\"");
    let gateway = start_with(origin(), "[]", &auth);
    let request =
        format!("GET /a?b HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer {}\r\n\r\n", token());
    let mut client = TcpStream::connect(gateway).unwrap();
    let blocks = allocations(&mut client, request.as_bytes());
    assert!(blocks < BLOCKS_MAX, "{blocks} allocations");
}

const SECRET: &str = "known to the test and the gateway";

fn token() -> String {
    let ring = KeyRing::from_secret(SECRET.as_bytes()).unwrap();
    let (issuer, audience) = (Some("id".to_owned()), Some("api".to_owned()));
    let terms = Terms { issuer, audience, types: TokenTypes::AccessToken };
    let subject = Subject { subject: "7", session: Some("9"), epoch: 0, roles: &["user", "admin"] };
    Issuer::new(ring, terms, Duration::from_hours(1)).issue(&subject, clock::unix_seconds())
}

/// Not per request: a burst that ended because this process was not scheduled for a while.
const BLOCKS_MAX: u64 = 100;

/// What ten thousand requests allocate, after as many as make the gateway warm.
fn allocations(client: &mut TcpStream, request: &[u8]) -> u64 {
    exchange(client, request, 2_000);
    let before = dhat::HeapStats::get().total_blocks;
    exchange(client, request, 10_000);
    dhat::HeapStats::get().total_blocks - before
}

const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
/// Half of one buffer, of which a tunnel would hold two.
const TUNNEL_BYTES_MAX: usize = 16 * 1024;

#[test]
fn a_tunnel_on_which_nothing_flows_holds_no_buffer() {
    const TUNNELS: usize = 300;
    let _counted = COUNTED.lock();
    let _profiler = dhat::Profiler::builder().testing().build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = start(listener.local_addr().unwrap(), "[]");
    let open = || {
        let mut client = TcpStream::connect(gateway).unwrap();
        client.write_all(UPGRADE).unwrap();
        let (mut upstream, _) = listener.accept().unwrap();
        let _request = upstream.read(&mut [0; 4096]).unwrap();
        upstream.write_all(SWITCH).unwrap();
        client.read_exact(&mut [0; SWITCH.len()]).unwrap();
        // Each way has carried something.
        for (from, to) in [(&client, &upstream), (&upstream, &client)] {
            (&*from).write_all(b"piece").unwrap();
            (&*to).read_exact(&mut [0; 5]).unwrap();
        }
        (client, upstream)
    };
    let mut tunnels = vec![open()];
    let before = dhat::HeapStats::get().curr_bytes;
    tunnels.extend((0..TUNNELS).map(|_| open()));
    let bytes = (dhat::HeapStats::get().curr_bytes - before) / TUNNELS;
    assert!(bytes < TUNNEL_BYTES_MAX, "{bytes} bytes for each tunnel");
}

/// A gateway with one worker; it ends with the process.
fn start(origin: SocketAddr, trusted_proxies: &str) -> SocketAddr {
    start_with(origin, trusted_proxies, "")
}

/// Likewise, with more about its route, and further tables.
fn start_with(origin: SocketAddr, trusted_proxies: &str, more: &str) -> SocketAddr {
    let file = format!(
        "[gateway]\ntrusted_proxies = {trusted_proxies}\n[[route]]\npath = \"/\"\nservice = \"api\"\n{more}\n\
         [service.api]\nendpoints = [{{ address = \"{origin}\" }}]"
    );
    let config = Config::parse("phalanx.toml", &file, &|_| None).unwrap();
    let verification = config.auth.as_ref().map(|auth| {
        Verification::new(auth, RemoteKeysSettings::default(), Some(Revocations::none())).unwrap().0
    });
    let listeners = Listeners::bind(&["127.0.0.1:0".parse().unwrap()], 1).unwrap();
    let address = listeners.addresses()[0];
    let (requests, upstreams) = (RequestFamily::new(), UpstreamFamily::new());
    let started: Started =
        Gateway::start(&config, verification.as_ref(), listeners, requests, upstreams).unwrap();
    // Its threads go on without the handles; nobody judges endpoints here.
    std::mem::forget(started);
    address
}

/// Answers every request on every connection, without allocating; it ends with the process.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = [0; 4096];
        // A request is small enough to come in one piece.
        while stream.read(&mut received).is_ok_and(|count| count > 0) {
            stream.write_all(RESPONSE).unwrap();
        }
    });
    address
}

/// Sends so many requests, one after the other, and reads each response to its end.
fn exchange(client: &mut TcpStream, request: &[u8], requests: usize) {
    let mut received = [0; 4096];
    for _ in 0..requests {
        client.write_all(request).unwrap();
        let mut filled = 0;
        while !received[..filled].ends_with(b"hello") {
            let count = client.read(&mut received[filled..]).unwrap();
            assert!(count > 0, "the gateway closed the connection");
            filled += count;
            let begun = &received[..filled.min(OK.len())];
            assert!(OK.starts_with(begun), "{}", received[..filled].escape_ascii());
        }
    }
}
