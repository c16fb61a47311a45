//! The end of a replica: out of the balancer, drained, TERM, KILL; or all at once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use phalanx_fleet::{Outcome, Standing, Withdrawal};
use rustix::process::Signal;

use crate::{
    harness::{Setup, Traces, eventually, has_ended, send, shell, status_field, was_left_alone, within},
    recorder::{Asked, Reaction, Recorder},
};

const ORDERLY: Outcome = Outcome { orderly: 1, forced: 0 };
const FORCED: Outcome = Outcome { orderly: 0, forced: 1 };

/// Prints and goes on when it gets TERM.
const IGNORES_TERM: &str = r#"trap "echo TERM seen" TERM; "$0" & while :; do wait; sleep 0.1; done"#;

#[tokio::test]
async fn term_comes_after_the_balancer_has_let_go_and_the_requests_are_done() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let pid = Arc::new(Mutex::new(None));
    // Once ready, it is not probed again: it could not answer.
    let mut setup =
        Setup::new(shell(r#"exec "$0""#).replace("'/ready', period = '20ms'", "'/ready', period = '1h'"));
    setup.balancer = Recorder::new({
        let (seen, pid) = (Arc::clone(&seen), Arc::clone(&pid));
        move |asked| {
            if let Some(pid) = *pid.lock().unwrap() {
                seen.lock().unwrap().push((asked, was_left_alone(pid)));
            }
            Reaction::Acknowledge
        }
    });
    let mut running = setup.run();
    let (_, process) = running.ready().await;
    // A process that stands still keeps its signals pending: what it has got can be read at any time.
    send(process.pid, Signal::STOP);
    eventually(|| status_field(process.pid, "State").unwrap().starts_with('T')).await;
    *pid.lock().unwrap() = Some(process.pid);

    running.stop.cancel();
    assert_eq!(running.outcome().await, ORDERLY);
    assert_eq!(
        *seen.lock().unwrap(),
        [(Asked::Withdraw(process.address), true), (Asked::Drained(process.address), true)]
    );
    assert_eq!(running.balancer.reasons(), [Withdrawal::Stopping]);
    let replica = running.handle.state()[0].replicas[0].clone();
    assert_eq!(
        (replica.standing, replica.last_exit.as_deref()),
        (Standing::Stopped, Some("signal: 15 (SIGTERM)"))
    );
}

#[tokio::test]
async fn a_replica_that_ignores_term_is_killed_after_its_grace() {
    let mut running = Setup::new(shell(IGNORES_TERM) + "shutdown_grace = '500ms'\n").run();
    running.ready().await;
    running.stop.cancel();
    running.line("TERM seen").await;
    assert_eq!(running.outcome().await, FORCED);
    assert_eq!(running.handle.state()[0].replicas[0].last_exit.as_deref(), Some("signal: 9 (SIGKILL)"));
    running.log.tells(&["replica did not end within its grace, and was killed", "grace=500ms"]);
}

#[tokio::test]
async fn requests_that_do_not_end_are_cut_at_the_drain_deadline() {
    let mut setup = Setup::new(shell(r#"exec "$0""#));
    setup.settings.drain_deadline = Duration::from_millis(50);
    setup.balancer = Recorder::new(hang_when(|asked| matches!(asked, Asked::Drained(_))));
    let mut running = setup.run();
    running.ready().await;
    running.stop.cancel();
    assert_eq!(running.outcome().await, FORCED);
    assert_eq!(running.handle.state()[0].replicas[0].last_exit.as_deref(), Some("signal: 15 (SIGTERM)"));
    running.log.tells(&["replica still has requests in flight at the drain deadline"]);
}

#[tokio::test]
async fn stop_now_waits_for_nothing() {
    for (waits_for, service) in [
        ("the balancer", shell(r#"exec "$0""#)),
        ("requests in flight", shell(r#"exec "$0""#)),
        ("a replica that ignores TERM", shell(IGNORES_TERM) + "shutdown_grace = '1h'\n"),
    ] {
        let mut setup = Setup::new(service + "replicas = 2\n");
        setup.balancer = Recorder::new(hang_when(move |asked| match asked {
            Asked::Admit(_) => false,
            Asked::Withdraw(_) => waits_for == "the balancer",
            Asked::Drained(_) => waits_for == "requests in flight",
        }));
        let mut running = setup.run();
        within(running.handle.all_ready()).await.unwrap();
        let pids: Vec<_> =
            running.handle.state()[0].replicas.iter().map(|replica| replica.process.unwrap().pid).collect();

        running.stop.cancel();
        let asked_by_both = if waits_for == "the balancer" { 4 } else { 6 };
        eventually(|| running.balancer.asked().len() == asked_by_both).await;
        if waits_for.ends_with("TERM") {
            running.line("TERM seen").await;
        }
        running.handle.stop_now();
        assert_eq!(running.outcome().await, Outcome { orderly: 0, forced: 2 }, "{waits_for}");
        assert!(pids.into_iter().all(has_ended), "{waits_for}");
    }
}

#[tokio::test]
async fn a_fleet_stops_while_its_replicas_crash_or_start() {
    for script in ["exit 1", "exec sleep 1000"] {
        let mut setup = Setup::new(shell(script));
        setup.back_off = "{ first = '1h', longest = '1h' }";
        let mut running = setup.run();
        running
            .replica(|replica| {
                replica.process.is_some() || matches!(replica.standing, Standing::BackingOff { .. })
            })
            .await;
        running.stop.cancel();
        assert_eq!(running.outcome().await, ORDERLY, "{script}");
        assert!(running.handle.all_ready().await.is_err(), "{script}");
    }
}

#[tokio::test]
async fn a_fleet_that_is_stopped_at_once_replaces_nobody() {
    let traces = Traces::new();
    let mut running = Setup::new(traces.shell(r#"exec "$0""#) + "replicas = 3\n").run();
    running.complete().await;
    running.handle.stop_now();
    assert_eq!(running.outcome().await, Outcome { orderly: 0, forced: 3 });
    let happened = running.happened();
    assert_eq!(happened.iter().filter(|happened| happened.ends_with("started")).count(), 3, "{happened:?}");
    traces.assert_gone();
}

#[tokio::test]
async fn a_fleet_that_is_dropped_leaves_no_process() {
    let running = Setup::new(shell(r#"exec "$0""#)).run();
    let (_, process) = running.ready().await;
    drop(running);
    eventually(|| has_ended(process.pid)).await;
}

fn hang_when(hangs: impl Fn(Asked) -> bool + Send + Sync) -> impl Fn(Asked) -> Reaction + Send + Sync {
    move |asked| if hangs(asked) { Reaction::Hang } else { Reaction::Acknowledge }
}
