//! Files that a program has written ten times too large (O06): what is wrong with them is told, in bounded memory; and one that is
//! just small enough is served.

use std::{fmt::Write as _, fs::File, sync::Arc};

use crate::support::{
    edge::{self, Endpoint},
    home::Home,
    http,
    phalanx::{Ended, LISTENERS, Program, script},
};

/// Runs `phalanx check` on this file with no more than so much memory that it writes to.
fn check(home: &Arc<Home>, name: &str, kib: u32) -> Ended {
    let limited = script(home, &format!("ulimit -d {kib}; exec phalanx check -c {name}"));
    Program::start(home, limited).ended().with_code(3)
}

/// A file with so many services of one endpoint, and as many routes to each as make `routes` together.
fn file(services: usize, routes: usize, endpoints: impl Fn(usize) -> String) -> String {
    let mut file = LISTENERS.to_owned();
    for index in 0..routes {
        write!(file, "[[route]]\npath='/{index}'\nservice='s{}'\n", index % services).unwrap();
    }
    for index in 0..services {
        write!(file, "[service.s{index}]\nendpoints=[{}]\n", endpoints(index)).unwrap();
    }
    file
}

#[test]
fn ten_times_too_much_is_told_in_bounded_memory() {
    let home = Arc::new(Home::new());
    home.write("many.toml", &file(10_000, 10_000, |index| format!("{{address='127.0.0.1:{}'}}", index + 1)));
    check(&home, "many.toml", 256 << 10).complains(&[
        "10000 routes are too many",
        "10000 services are too many",
        "10000 endpoints are too many",
    ]);
    home.write("deep.toml", &format!("a = {}", "[".repeat(500_000)));
    check(&home, "deep.toml", 256 << 10).complains(&["deep.toml"]);
    File::create(home.path().join("long.toml")).unwrap().set_len(100 << 20).unwrap();
    for name in ["long.toml", "/dev/zero"] {
        check(&home, name, 32 << 10).complains(&["has more than 1048576 bytes"]);
    }
}

#[test]
fn as_much_as_a_file_may_have_is_served() {
    let home = Arc::new(Home::new());
    let endpoint = Endpoint::start(&home, "one");
    // The first service has the rest of the endpoints, as backups.
    let endpoints = |index: usize| {
        let mut endpoints = format!("{{address='{}'}}", endpoint.address);
        for number in 0..if index == 0 { 4000 } else { 0 } {
            let (high, low) = (number / 250, number % 250 + 1);
            write!(endpoints, ",{{address='127.1.{high}.{low}:9',backup=true}}").unwrap();
        }
        endpoints
    };
    let phalanx = edge::gateway_of(&home, &file(1000, 5000, endpoints));
    for index in [0, 1, 999, 1000, 2500, 4999] {
        // The endpoint knows no such path, and says so by 404.
        let answer = phalanx.get(&format!("/{index}"));
        assert_eq!((answer.status, answer.header("x-puppet")), (404, Some("one")), "{answer:?}");
    }
    assert_eq!(http::get(phalanx.admin, "/readyz").status, 200);
    assert!(http::get(phalanx.admin, "/metrics").body.ends_with("# EOF\n"));
    edge::stop(phalanx);
}
