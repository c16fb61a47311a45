//! What the README shows works as it stands there.

use std::process::Command;

use phalanx_config::Config;

use crate::support::{
    fenced,
    phalanx::{Phalanx, file, reference_api},
};

const README: &str = include_str!("../../README.md");

#[test]
fn its_curl_lines_work() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    let [script] = fenced(README, "sh")[..] else { panic!("one block of commands") };
    let script = script.replace("http://127.0.0.1:8080", &format!("http://{}", phalanx.gateway));
    let output = Command::new("sh").args(["-euc", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    // A body may end without a line end.
    let statuses: Vec<_> =
        text.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.lines().next()).collect();
    assert_eq!(statuses, ["201 Created", "200 OK"], "{text}");
    assert_eq!(text.matches("x-phalanx-instance: api-").count(), 2, "{text}");
    phalanx.stop();
}

#[test]
fn its_files_are_sound() {
    let files = fenced(README, "toml");
    assert_eq!(files.len(), 2);
    for file in files {
        Config::parse("README.md", file, &|_| None).unwrap();
    }
}
