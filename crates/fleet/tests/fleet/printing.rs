//! What replicas print: remembered, bounded, and never in the way of anybody.

use phalanx_fleet::OutputStream;
use rustix::process::Signal;

use crate::harness::{Setup, eventually, send, shell};

#[tokio::test]
async fn the_last_lines_outlive_a_restart_and_tell_their_stream() {
    let running = Setup::new(shell(r#"echo "to stdout"; echo "to stderr" >&2; exec "$0""#)).run();
    let (_, process) = running.ready().await;
    let records = |stream: OutputStream, text: &str| {
        let output = running.handle.output("api-1");
        output.iter().filter(|record| record.stream == stream && record.text == text).count()
    };
    send(process.pid, Signal::KILL);
    running.replica(|replica| replica.restarts == 1 && replica.process.is_some()).await;
    eventually(|| {
        records(OutputStream::Stdout, "to stdout") == 2 && records(OutputStream::Stderr, "to stderr") == 2
    })
    .await;
    assert!(running.handle.output("api-1").is_sorted_by_key(|record| record.at));
    assert_eq!(running.handle.output("api-2"), []);
    assert_eq!(running.handle.dropped_lines("api-1"), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_replica_that_prints_without_end_disturbs_nobody() {
    // Nobody takes its lines either: the queue is full most of the time.
    let script = r#"(while :; do printf '%s\n%s\n%s\n%s\n' flood flood flood flood; done) & exec "$0""#;
    let mut running = Setup::new(shell(script)).run();
    // It becomes ready, so its probes are sent and answered beside the flood.
    running.ready().await;
    eventually(|| running.handle.dropped_lines("api-1") > 5000).await;
    let output = running.handle.output("api-1");
    assert!(output.len() <= 500, "{} lines are remembered", output.len());
    // Once its lines are taken, it is told how many were not.
    running.line("lines were dropped: it printed more").await;

    let used = running.handle.measure().await;
    assert_eq!(used.len(), 1);
    assert_eq!(running.handle.measured("api-1").unwrap().usage, used["api-1"]);
    running.stop().await;
}
