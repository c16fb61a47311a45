//! A replica whose task is lost to a fault of Phalanx: nothing of it is left, and another takes its place.

use std::sync::atomic::{AtomicU32, Ordering};

use phalanx_fleet::{OrderOutcome, Standing};

use crate::{
    harness::{Setup, Traces, within},
    recorder::{Asked, Reaction, Recorder},
};

/// A balancer that panics `times` when it is asked what `is_fault` holds of, in the task of whoever asks.
fn panicking(times: u32, is_fault: impl Fn(Asked) -> bool + Send + Sync + 'static) -> Recorder {
    let left = AtomicU32::new(times);
    Recorder::new(move |asked| {
        let panics = is_fault(asked)
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        assert!(!panics, "this fault is made by a test");
        Reaction::Acknowledge
    })
}

#[tokio::test]
async fn a_lost_replica_is_cleared_up_after_and_comes_back_in_its_place() {
    let traces = Traces::new();
    let mut setup = Setup::new(traces.shell(r#"exec "$0""#) + "replicas = 2\n");
    setup.balancer = panicking(3, |asked| matches!(asked, Asked::Admit(_)));
    let mut running = setup.run();
    within(running.handle.all_ready()).await.unwrap();
    let api = running.complete().await;
    assert_eq!(api.replicas.iter().map(|replica| &*replica.instance).collect::<Vec<_>>(), ["api-1", "api-2"]);
    assert_eq!(api.replicas.iter().map(|replica| replica.restarts).sum::<u32>(), 3);
    let lost = running.happened().iter().filter(|happened| happened.ends_with("lost")).count();
    assert_eq!((lost, traces.count()), (3, 5));
    running.log.tells(&["a replica is lost to a fault in phalanx", "this fault is made by a test"]);
    // Wherever one was admitted that is lost it was withdrawn.
    let asked = running.balancer.asked();
    let living: Vec<_> = api.replicas.iter().map(|replica| replica.process.unwrap().address).collect();
    for asked_to_admit in &asked {
        let Asked::Admit(address) = asked_to_admit else { continue };
        assert_ne!(living.contains(address), asked.contains(&Asked::Withdraw(*address)), "{asked:?}");
    }
    // One process is there for each of both, and one port.
    assert_eq!(running.handle.ports_taken(), 2);
    running.stop.cancel();
    assert_eq!(running.outcome().await.forced, 0);
    assert_eq!(running.handle.ports_taken(), 0);
    traces.assert_gone();
}

#[tokio::test]
async fn a_replica_that_is_lost_as_it_stops_is_gone() {
    let traces = Traces::new();
    let mut setup = Setup::new(traces.shell(r#"exec "$0""#) + "replicas = 2\n");
    setup.balancer = panicking(1, |asked| matches!(asked, Asked::Drained(_)));
    let mut running = setup.run();
    running.complete().await;
    running.outcome_of(running.handle.scale("api", 1).await).await;
    let api = running.api_when(|api| api.replicas.len() == 1 && api.rollout.draining == 0).await;
    assert_eq!(api.replicas[0].standing, Standing::Ready);
    assert_eq!(running.handle.ports_taken(), 1);
    assert_eq!(running.outcome_of(running.handle.scale("api", 2).await).await, OrderOutcome::Complete);
    running.stop.cancel();
    assert_eq!(running.outcome().await.forced, 0);
    traces.assert_gone();
}

#[tokio::test]
async fn clearing_up_that_fails_too_loses_no_place() {
    let traces = Traces::new();
    let mut setup = Setup::new(traces.shell(r#"exec "$0""#));
    // The replica is lost as it is withdrawn, and so is what clears up after it.
    setup.balancer = panicking(2, |asked| matches!(asked, Asked::Withdraw(_)));
    let mut running = setup.run();
    let (_, process) = running.ready().await;
    crate::harness::send(process.pid, rustix::process::Signal::KILL);
    let replica =
        running.replica(|replica| replica.standing == Standing::Ready && replica.restarts > 0).await;
    assert_eq!(&*replica.instance, "api-1");
    running.stop.cancel();
    assert_eq!(running.outcome().await.orderly, 1);
}
