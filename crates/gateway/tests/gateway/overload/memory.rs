//! Memory that runs out: requests are turned away, and those of probers are not (O15).

use std::{fs, path::Path};

use phalanx_gateway::MemoryFiles;

use super::{GET, is_turned_away};
use crate::support::{Recorder, Setup, TestGateway, eventually};

/// Has the kernel tell that so much of 1000 bytes is used.
fn used(directory: &Path, bytes: u64) {
    // Whole or not at all: it may be read at any moment.
    let written = directory.join("written");
    fs::write(&written, bytes.to_string()).unwrap();
    fs::rename(written, directory.join("memory.current")).unwrap();
}

fn overload(gateway: &TestGateway) -> u64 {
    gateway.sample("phalanx_overload{resource=\"memory\"}")
}

#[tokio::test]
async fn requests_are_turned_away_until_some_is_free() {
    let origin = Recorder::start().await;
    let directory = tempfile::tempdir().unwrap();
    let at = |name| directory.path().join(name);
    fs::write(at("own"), "0::/\n").unwrap();
    fs::write(at("memory.max"), "1000\n").unwrap();
    used(directory.path(), 899);
    let files =
        MemoryFiles { own_group: at("own"), groups: directory.path().to_owned(), machine: at("none") };
    let tables = "[[route]]\npath_exact = \"/health\"\nservice = \"api\"\nshed = false\n[[route]]\npath_exact = \"/fixed\"\nrespond = { status = 200, body = \"fixed\" }";
    let gateway = Setup::fronting(&[origin.address()]).tables(tables).memory(files).workers(2).start();
    let mut client = gateway.connect().await;
    assert_eq!(client.exchange(GET).await.status(), 200);
    assert_eq!(overload(&gateway), 0);

    used(directory.path(), 900);
    eventually("a shortage", || overload(&gateway) == 1).await;
    // Both workers come to know it, each by the next table.
    let is_short = || async { is_turned_away(&gateway.exchange(GET).await, "1") };
    let mut in_a_row = 0;
    while in_a_row < 20 {
        in_a_row = if is_short().await { in_a_row + 1 } else { 0 };
    }
    let answer = client.exchange(GET).await;
    assert!(is_turned_away(&answer, "1") && !answer.closes(), "{answer:?}");
    for path in ["/health", "/fixed"] {
        let answer = gateway.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(answer.status(), 200, "{path}");
    }
    assert!(gateway.shed("memory") > 20);

    used(directory.path(), 849);
    eventually("its end", || overload(&gateway) == 0).await;
    while is_short().await {}
    assert_eq!(gateway.exchange(GET).await.status(), 200);
}
