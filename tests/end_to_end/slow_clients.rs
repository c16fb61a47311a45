//! Clients that leave, stand still, dawdle, or are too many, in front of endpoints that belong to the test.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use phalanx_telemetry::clock;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::support::{
    DEADLINE,
    exposition::Exposition,
    home::{Home, send},
    http::{Connection, get, getting},
    phalanx::{LISTENERS, PROGRAM, Phalanx},
    until,
};

/// A file in which `/` leads to this endpoint, and `/hello` is answered by the gateway.
fn file(endpoint: SocketAddr) -> String {
    format!(
        "{LISTENERS}[log]\nlevel = 'debug'\n[[route]]\npath = '/'\nservice = 'api'\n\
         [[route]]\npath_exact = '/hello'\nrespond = {{ body = 'hello' }}\n\
         [service.api]\nendpoints = [{{ address = '{endpoint}' }}]\n"
    )
}

fn endpoint() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The next connection to an endpoint, of which a request has been read.
fn accept_request(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "the connection ended within a head");
        head.extend(byte);
    }
    stream
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn read_to_end(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn sample(phalanx: &Phalanx, name: &str, labels: &[(&str, &str)]) -> f64 {
    Exposition::parse(&get(phalanx.admin, "/metrics").body).sum(name, labels).unwrap_or_default()
}

#[test]
fn an_endpoint_hears_that_its_client_has_left() {
    let (listener, address) = endpoint();
    let phalanx = Phalanx::up(&file(address));
    let beginning = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for (gone, sent) in [(1.0, ""), (2.0, beginning)] {
        let mut client = connect(phalanx.gateway);
        client.write_all(&getting("/")).unwrap();
        let mut upstream = accept_request(&listener);
        upstream.write_all(sent.as_bytes()).unwrap();
        // All of it: to leave with something unread would be a reset.
        client.read_exact(&mut vec![0; sent.len()]).unwrap();
        drop(client);
        assert_eq!(upstream.read(&mut [0]).unwrap(), 0, "the endpoint's connection ends");
        until("the request is counted as given up", || {
            sample(&phalanx, "http_requests_total", &[("status", "499")]) >= gone
        });
        assert_eq!(sample(&phalanx, "http_requests_in_flight", &[("service", "api")]), 0.0);
    }
    phalanx.stop().complains(&["a client left before its answer ended"]);
}

#[test]
fn a_client_that_ends_its_sending_is_answered() {
    let (listener, address) = endpoint();
    let phalanx = Phalanx::up(&file(address));
    let mut client = connect(phalanx.gateway);
    client.write_all(&getting("/").repeat(2)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut upstream = accept_request(&listener);
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let closing = answer.replace("OK\r\n", "OK\r\nConnection: close\r\n");
    upstream.write_all(closing.as_bytes()).unwrap();
    accept_request(&listener).write_all(closing.as_bytes()).unwrap();
    assert_eq!(read_to_end(client), answer.repeat(2));
    phalanx.stop();
}

/// A process that counts the bytes of a connection, and can be stopped.
struct Reader {
    process: Child,
}

impl Reader {
    fn of(stream: TcpStream) -> Self {
        let mut command = Command::new("wc");
        command.arg("-c").stdin(Stdio::from(OwnedFd::from(stream))).stdout(Stdio::piped());
        Self { process: command.spawn().unwrap() }
    }

    fn signal(&self, signal: Signal) {
        send(self.process.id(), signal);
    }

    /// What it has counted, at the end of the connection.
    fn counted(mut self) -> usize {
        let mut text = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        self.process.wait().unwrap();
        text.trim().parse().unwrap()
    }
}

#[test]
fn a_reader_that_stands_still_costs_no_memory_and_loses_nothing() {
    static PART: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    const PARTS: usize = 1600;
    /// Several times what the buffers of one connection hold, and little beside the response.
    const MEMORY_BYTES_MAX: f64 = 8e6;
    let (listener, address) = endpoint();
    let phalanx = Phalanx::up(&file(address));
    let mut client = connect(phalanx.gateway);
    client.write_all(&getting_once("/")).unwrap();
    let mut upstream = accept_request(&listener);
    let reader = Reader::of(client);
    reader.signal(Signal::STOP);
    let memory = || sample(&phalanx, "process_resident_memory_bytes", &[]);
    let before = memory();

    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PARTS * PART.len());
    let told =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", PARTS * PART.len());
    let parts_taken = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&parts_taken);
    let sending = thread::spawn(move || -> io::Result<()> {
        upstream.write_all(head.as_bytes())?;
        for _ in 0..PARTS {
            upstream.write_all(&PART)?;
            counting.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    let mut taken = 0;
    until("the endpoint is no longer asked for more", || {
        // Another client is served all the while, and its requests are the time that passes.
        let mut other = phalanx.connection();
        for _ in 0..500 {
            assert_eq!(other.exchange(&getting("/hello")).unwrap().body, "hello");
        }
        let before = std::mem::replace(&mut taken, parts_taken.load(Ordering::Relaxed));
        taken > 0 && taken == before
    });
    assert!(taken < PARTS / 2, "{taken} parts of {PARTS} were taken for a reader that stands still");
    assert!(memory() - before < MEMORY_BYTES_MAX, "{} grew to {}", before, memory());

    reader.signal(Signal::CONT);
    sending.join().unwrap().unwrap();
    assert_eq!(reader.counted(), told.len() + PARTS * PART.len());
    phalanx.stop();
}

/// A request after which the connection is closed.
fn getting_once(target: &str) -> Vec<u8> {
    crate::support::http::getting_with(target, "Connection: close\r\n")
}

#[test]
fn clients_that_dawdle_hold_nobody_up() {
    const DAWDLERS: usize = 500;
    let (_listener, address) = endpoint();
    let phalanx = Phalanx::up(&file(address));
    let dawdlers: Vec<_> = (0..DAWDLERS)
        .map(|_| {
            let mut stream = connect(phalanx.gateway);
            stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\nX-Slow: ").unwrap();
            stream
        })
        .collect();
    let ends: Vec<_> = dawdlers.into_iter().map(|stream| thread::spawn(|| dawdle(stream))).collect();
    let mut good = phalanx.connection();
    while !ends.iter().all(thread::JoinHandle::is_finished) {
        assert_eq!(good.exchange(&getting("/hello")).unwrap().body, "hello");
    }
    for end in ends {
        let answer = end.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer:?}");
    }
    until("only the good one is left", || phalanx.state().gateway.connections == 1);
    phalanx.stop();
}

/// Sends a byte now and then, until the connection ends; what was answered.
fn dawdle(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut answer = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return String::from_utf8(answer).unwrap(),
            Ok(count) => answer.extend_from_slice(&bytes[..count]),
            // After the answer nobody takes it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => drop(stream.write_all(b"x")),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn more_clients_than_descriptors_leave_the_admin_api_its_own() {
    /// Of which 256 stay free, and each client may need two.
    const DESCRIPTORS: u32 = 512 + 128;
    const PLACES: usize = 192;
    const CROWD: usize = 500;
    let (listener, address) = endpoint();
    let home = Arc::new(Home::new());
    home.write("phalanx.toml", &file(address));
    let script = format!("ulimit -n {DESCRIPTORS} && exec '{PROGRAM}' up");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(home.path()).stdin(Stdio::null());
    let phalanx = Phalanx::start(&home, shell);
    phalanx.program.stdout.tells("\nReady.\n");

    // Each waits for an endpoint that has a connection of its own for it.
    let mut waiting = Vec::new();
    for _ in 0..PLACES {
        let mut client = connect(phalanx.gateway);
        client.write_all(&getting_once("/")).unwrap();
        waiting.push((client, accept_request(&listener)));
    }
    let crowd: Vec<_> = (PLACES..CROWD).map(|_| connect(phalanx.gateway)).collect();
    let refused = (CROWD - PLACES) as f64;
    until("everybody else has been turned away", || {
        sample(&phalanx, "phalanx_connections_refused_total", &[]) == refused
    });
    assert_eq!(sample(&phalanx, "phalanx_connections", &[]), PLACES as f64);
    assert_eq!(sample(&phalanx, "process_max_fds", &[]), f64::from(DESCRIPTORS));
    assert_eq!(get(phalanx.admin, "/readyz").status, 200);
    let told = crowd.into_iter().map(read_to_end).filter(|text| text.starts_with("HTTP/1.1 503 ")).count();
    assert!(told > 0);

    for (client, mut upstream) in waiting {
        upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap();
        assert!(read_to_end(client).ends_with("hello"));
    }
    assert_eq!(phalanx.get("/hello").status, 200);
    let ended = phalanx.stop();
    assert!(!ended.stderr.contains("cannot accept"), "{}", ended.stderr);
}

#[test]
fn without_descriptors_those_who_are_there_are_served_and_the_others_wait() {
    const WAITING: usize = 20;
    let (_listener, address) = endpoint();
    let phalanx = Phalanx::up(&file(address));
    let mut served: Vec<Connection> = (0..4).map(|_| phalanx.connection()).collect();
    for client in &mut served {
        assert_eq!(client.exchange(&getting("/hello")).unwrap().status, 200);
    }
    let pid = i32::try_from(phalanx.program.id()).unwrap();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
    let began = clock::now();
    // One that has opened them all: the kernel takes the first free number, and refuses it from this one on.
    let limited = Rlimit { current: Some(open), maximum: Some(open) };
    prlimit(Pid::from_raw(pid), Resource::Nofile, limited).unwrap();

    let mut waiting: Vec<_> = (0..WAITING).map(|_| phalanx.connection()).collect();
    for client in &mut waiting {
        client.send(&getting("/hello")).unwrap();
    }
    phalanx.program.stderr.tells("cannot accept connections");
    for _ in 0..100 {
        for client in &mut served {
            assert_eq!(client.exchange(&getting("/hello")).unwrap().status, 200);
        }
    }
    // Whoever leaves makes room for another, in an order that nobody knows.
    drop(served);
    let ends: Vec<_> = waiting
        .into_iter()
        .map(|mut client| thread::spawn(move || client.receive().unwrap().status))
        .collect();
    for end in ends {
        assert_eq!(end.join().unwrap(), 200);
    }
    let faults = phalanx.stop().stderr.matches("cannot accept connections").count() as u64;
    let tens_of_seconds = clock::now().duration_since(began).as_secs() / 10;
    assert!((1..=1 + tens_of_seconds).contains(&faults), "told {faults} times");
}
