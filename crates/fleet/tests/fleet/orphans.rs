//! No replica outlives Phalanx.

use std::{fs, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::harness::{eventually, example, has_ended, shell, within};

#[tokio::test]
async fn replicas_end_when_phalanx_is_killed() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("phalanx.toml");
    let service = shell(r#"echo "pid $$"; exec "$0""#);
    let rest = "[gateway]\nhttp = ['127.0.0.1:8080']\n[[route]]\npath = '/'\nservice = 'api'\n[service.api]\nreplicas = 2\n";
    fs::write(&file, format!("{rest}{service}")).unwrap();

    let mut phalanx =
        Command::new(example("fleet")).arg(&file).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut printed = BufReader::new(phalanx.stdout.take().unwrap()).lines();
    let mut pids: Vec<u32> = Vec::new();
    while pids.len() < 2 {
        let line = within(printed.next_line()).await.unwrap().unwrap();
        pids.extend(line.split("pid ").nth(1).map(|pid| pid.parse::<u32>().unwrap()));
    }
    assert!(!pids.iter().any(|pid| has_ended(*pid)), "{pids:?}");

    within(phalanx.kill()).await.unwrap();
    eventually(|| pids.iter().all(|pid| has_ended(*pid))).await;
}
