//! A replica that does what a test tells it, by the path of a request:
//!
//! * `/` tells who answers, `/head` gives the request back as it came, `/env?NAME` a variable of the environment;
//! * `/ready` is 200, or 503 from one `/toggle` to the next; with `UNREADY` in the environment it begins with 503;
//! * `/slow` is answered when another connection asks for `/release`, or after a minute;
//! * `/half` is answered by half of what is announced, and broken off when another connection asks for `/release`;
//! * `/reset?NAME` is answered by a reset if that is its name, else as `/`;
//! * `/work` is answered after as many milliseconds as `PACE` in the environment says;
//! * `/print?TEXT` prints; `/exit?CODE` ends the process.
//!
//! It listens on 127.0.0.1 and `PORT`, says so in its first line, and handles each connection in a thread of its own.

use std::{
    env, io,
    io::{BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// A test that failed must not leave a thread behind for ever.
const SLOW_MAX: Duration = Duration::from_mins(1);

#[derive(Default)]
struct Puppet {
    instance: String,
    is_unready: AtomicBool,
    /// How often `/release` was asked for.
    releases: Mutex<u64>,
    released: Condvar,
}

fn main() -> io::Result<()> {
    let port: u16 = variable("PORT").parse().expect("PORT is a port");
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {}", listener.local_addr()?);
    let puppet = Arc::new(Puppet {
        instance: variable("PHALANX_INSTANCE"),
        is_unready: AtomicBool::new(env::var_os("UNREADY").is_some()),
        ..Puppet::default()
    });
    for connection in listener.incoming() {
        let (puppet, connection) = (Arc::clone(&puppet), connection?);
        // A client that goes away is its own affair.
        thread::spawn(move || puppet.serve(connection));
    }
    Ok(())
}

impl Puppet {
    fn serve(&self, mut connection: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(connection.try_clone()?);
        while let Some(head) = read_head(&mut reader)? {
            let target = head.split(' ').nth(1).unwrap_or("/");
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            match path {
                "/half" => return self.break_off(connection),
                "/reset" if query == self.instance => return reset(&connection),
                _ => {}
            }
            let (status, body) = self.answer(path, query, &head);
            let length = body.len();
            // In one write, so that a process that is killed has sent all of an answer or nothing.
            let answer = format!(
                "HTTP/1.1 {status} Answer\r\nContent-Length: {length}\r\nX-Puppet: {}\r\n\r\n{body}",
                self.instance
            );
            connection.write_all(answer.as_bytes())?;
        }
        Ok(())
    }

    fn answer(&self, path: &str, query: &str, head: &str) -> (u16, String) {
        match path {
            "/" | "/reset" => (200, format!("{} {}", self.instance, process::id())),
            "/head" => (200, head.to_owned()),
            "/env" => (200, variable(query)),
            "/ready" if self.is_unready.load(Ordering::SeqCst) => (503, String::new()),
            "/ready" => (200, String::new()),
            "/toggle" => (200, self.is_unready.fetch_xor(true, Ordering::SeqCst).to_string()),
            "/slow" => (200, self.wait_for_release("slow request")),
            "/work" => {
                thread::sleep(Duration::from_millis(variable("PACE").parse().expect("PACE is a number")));
                (200, String::new())
            }
            "/release" => {
                *self.releases.lock().expect("no thread panics with it") += 1;
                self.released.notify_all();
                (200, String::new())
            }
            "/print" => {
                println!("{query}");
                (200, String::new())
            }
            "/exit" => process::exit(query.parse().expect("a code")),
            _ => (404, String::new()),
        }
    }

    fn break_off(&self, mut connection: TcpStream) -> io::Result<()> {
        connection.write_all(b"HTTP/1.1 200 Answer\r\nContent-Length: 10\r\n\r\nhello")?;
        self.wait_for_release("half an answer");
        Ok(())
    }

    /// Says what waits, when it does.
    fn wait_for_release(&self, waiting: &str) -> String {
        let releases = self.releases.lock().expect("no thread panics with it");
        println!("{waiting}");
        let before = *releases;
        let waited = self.released.wait_timeout_while(releases, SLOW_MAX, |releases| *releases == before);
        if waited.expect("no thread panics with it").1.timed_out() {
            "not released".to_owned()
        } else {
            "released".to_owned()
        }
    }
}

fn reset(connection: &TcpStream) -> io::Result<()> {
    println!("reset");
    rustix::net::sockopt::set_socket_linger(connection, Some(Duration::ZERO))?;
    Ok(())
}

/// A request without its body; `None` at the end of the connection.
fn read_head(reader: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
