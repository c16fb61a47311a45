//! Replicas that end, do not start, or do not become ready.

use std::sync::{Arc, Mutex, OnceLock};

use phalanx_fleet::{FleetHandle, Standing, Withdrawal};
use rustix::process::Signal;

use crate::{
    harness::{Setup, eventually, has_ended, send, shell},
    recorder::{Asked, Reaction, Recorder},
};

#[tokio::test]
async fn a_killed_replica_leaves_the_balancer_and_comes_back_on_another_port() {
    let running = Setup::new(shell(r#"exec "$0""#)).run();
    let (_, first) = running.ready().await;
    send(first.pid, Signal::KILL);
    let replica =
        running.replica(|replica| replica.standing == Standing::Ready && replica.restarts == 1).await;
    let second = replica.process.unwrap();
    assert_eq!((&*replica.instance, replica.last_exit.as_deref()), ("api-1", Some("signal: 9 (SIGKILL)")));
    assert_ne!(second.address, first.address);
    assert_eq!(
        running.balancer.asked(),
        [Asked::Admit(first.address), Asked::Withdraw(first.address), Asked::Admit(second.address)]
    );
    assert_eq!(running.balancer.reasons(), [Withdrawal::Ended]);
    running.log.tells(&[
        "replica exited",
        "api-1",
        "signal: 9 (SIGKILL)",
        "next_start_in",
        "somebody killed it",
    ]);
    running.stop().await;
}

/// A rollout goes by the board: it would end another replica while it counts on this one.
#[tokio::test]
async fn a_replica_that_died_is_not_shown_as_ready_while_the_balancer_is_waited_for() {
    let (handle, shown) = (Arc::new(OnceLock::<FleetHandle>::new()), Arc::new(Mutex::new(Vec::new())));
    let mut setup = Setup::new(shell(r#"exec "$0""#));
    setup.balancer = Recorder::new({
        let (handle, shown) = (Arc::clone(&handle), Arc::clone(&shown));
        move |asked| {
            if let Asked::Withdraw(_) = asked {
                let standing = handle.get().unwrap().state()[0].replicas[0].standing;
                shown.lock().unwrap().push(standing);
            }
            Reaction::Acknowledge
        }
    });
    let running = setup.run();
    handle.set(running.handle.clone()).unwrap();
    let (_, process) = running.ready().await;
    send(process.pid, Signal::KILL);
    running.replica(|replica| replica.standing == Standing::Ready && replica.restarts == 1).await;
    assert_eq!(*shown.lock().unwrap(), [Standing::NotReady]);
    running.stop().await;
}

#[tokio::test]
async fn what_a_replica_has_started_ends_with_it() {
    let mut running = Setup::new(shell(r#"sleep 1000 & echo "child $!"; exec "$0""#)).run();
    let child: u32 = running.line("child").await.text.trim_start_matches("child ").parse().unwrap();
    let (_, process) = running.ready().await;
    assert!(!has_ended(child));
    send(process.pid, Signal::KILL);
    eventually(|| has_ended(child)).await;
    running.stop().await;
}

#[tokio::test]
async fn a_replica_that_exits_at_once_is_a_crash_loop_with_its_last_words() {
    let mut running = Setup::new(shell("echo starting; echo no database >&2; exit 3")).run();
    let replica = running.replica(|replica| matches!(replica.standing, Standing::CrashLoop { .. })).await;
    assert_eq!((replica.last_exit.as_deref(), replica.process), (Some("exit status: 3"), None));
    assert!(replica.restarts >= 2, "{replica:?}");
    let mut last_output = replica.last_output.to_vec();
    last_output.sort();
    assert_eq!(last_output, ["no database", "starting"]);
    assert_eq!(running.balancer.asked(), []);
    running.log.tells(&[
        "WARN phalanx_fleet::notice: replica exited",
        "ERROR phalanx_fleet::notice: replica exits again and again before it is ready",
        "instance=api-1 exit=exit status: 3 ran_for=",
        "next_start_in=",
        "run the command by hand with PORT set",
        // Two streams, so in either order.
        "last_output=",
        " | ",
        "no database",
    ]);
    running.stop.cancel();
    assert_eq!(running.outcome().await.forced, 0);
}

#[tokio::test]
async fn a_replica_that_never_listens_is_told_about_and_started_again() {
    let service = shell("echo waiting for nobody; exec sleep 1000").replace("failure = 1000", "failure = 3");
    let mut running = Setup::new(service).run();
    let first = running.replica(|replica| replica.process.is_some()).await.process.unwrap();
    running.replica(|replica| replica.restarts == 1 && replica.process.is_some()).await;
    assert!(has_ended(first.pid));
    assert_eq!(running.balancer.asked(), []);
    running.log.tells(&[
        "ERROR phalanx_fleet::notice: replica did not become ready, and is started again",
        "instance=api-1 probe=GET /ready",
        &format!("address={}", first.address),
        "failures=3 last_answer=connection refused",
        "it has to listen on 127.0.0.1 or 0.0.0.0, on the port in the environment variable PORT",
        "last_output=waiting for nobody",
    ]);
    running.stop.cancel();
    running.outcome().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_and_tried_again() {
    let mut running = Setup::new("command = ['no-such-program']\nenv = { PATH = '/nowhere' }\n").run();
    let replica = running.replica(|replica| matches!(replica.standing, Standing::CrashLoop { .. })).await;
    assert_eq!(replica.last_exit.as_deref(), Some("no program `no-such-program`, looked for in /nowhere"));
    running.log.tells(&[
        "replica could not be started",
        "next_start_in",
        "or set PATH in the service's `env`",
    ]);
    running.stop.cancel();
    assert_eq!(running.outcome().await.orderly, 1);
}
