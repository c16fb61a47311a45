//! Orders that are refused, and what is told of those that are not.

use phalanx_fleet::{OrderError, OrderOutcome};

use crate::{
    harness::{Setup, Traces, eventually, replicas, shell, within},
    recorder::{Asked, Reaction, Recorder},
};

#[tokio::test]
async fn an_order_that_cannot_be_carried_out_is_refused_with_the_reason() {
    let keys = "replicas = 0\ndatabase = { connections = 30 }\n";
    let mut running = Setup::new(shell(r#"exec "$0""#) + keys).run();
    running.complete().await;
    let error = running.handle.scale("apo", 1).await.unwrap_err();
    assert_eq!(error.to_string(), "no service `apo` is run here, only `api`");
    let error = running.handle.scale("api", 4).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "4 replicas are too many: at most 2 replicas with 30 connections each find room in the 90 that `database` leaves them, those included that come on top during a rollout"
    );
    // Another file, another limit.
    running.handle.roll_to("api", replicas("command = ['a']\nreplicas = 0\n")).await.unwrap();
    let error = running.handle.scale("api", 1001).await.unwrap_err();
    assert_eq!(error.to_string(), "1001 replicas are too many: at most 1000 replicas of a service are run");
    running.handle.stop_now();
    running.outcome().await;
    assert_eq!(running.handle.restart("api").await, Err(OrderError::Ended));
}

#[tokio::test]
async fn a_fleet_that_stops_takes_no_orders() {
    let traces = Traces::new();
    let mut setup = Setup::new(traces.shell(r#"exec "$0""#));
    setup.balancer = Recorder::new(|asked| match asked {
        Asked::Drained(_) => Reaction::Hang,
        _ => Reaction::Acknowledge,
    });
    let mut running = setup.run();
    let (_, process) = running.ready().await;
    running.stop.cancel();
    eventually(|| running.balancer.asked().contains(&Asked::Drained(process.address))).await;
    assert_eq!(running.handle.scale("api", 2).await, Err(OrderError::Stopping));
    running.handle.stop_now();
    running.outcome().await;
    traces.assert_gone();
}

#[tokio::test]
async fn what_happens_is_told_in_order_with_reasons() {
    let traces = Traces::new();
    let mut running = Setup::new(traces.shell(r#"exec "$0""#)).run();
    running.complete().await;
    let (past, mut stream) = running.handle.events(0);
    assert_eq!(running.happened(), ["api-1 started", "api-1 ready", "api rollout-complete"]);
    assert_eq!(&*past[0].reason, "revision 1: start 1, at most 2; 0/1 new available; progressing");
    assert!(past[1].reason.contains("on 127.0.0.1:"), "{}", past[1].reason);
    assert_eq!(past.iter().map(|event| event.id).collect::<Vec<_>>(), [1, 2, 3]);

    running.outcome_of(running.handle.restart("api").await).await;
    running.settled().await;
    running.stop.cancel();
    running.outcome().await;
    let mut told = Vec::new();
    while let Some(event) = within(stream.next()).await {
        let event = event.unwrap();
        assert_eq!(event.id, 4 + told.len() as u64);
        told.push(format!("{} {}", event.instance.as_deref().unwrap_or("api"), event.kind.as_str()));
    }
    assert_eq!(
        told,
        [
            "api rollout-begun",
            "api-2 started",
            "api-2 ready",
            "api-1 stopping",
            "api rollout-complete",
            "api-1 stopped",
            "api-2 stopped",
        ]
    );
    traces.assert_gone();
}

#[tokio::test]
async fn an_order_that_changes_nothing_is_accepted_and_tells_nothing() {
    let keys = shell(r#"exec "$0""#);
    let running = Setup::new(&keys).run();
    running.complete().await;
    let before = running.happened();
    let handle = &running.handle;
    for order in [
        handle.resume("api").await,
        handle.scale("api", 1).await,
        handle.roll_to("api", replicas(&keys)).await,
    ] {
        assert_eq!(order.as_ref().unwrap().revision, 1);
        assert_eq!(running.outcome_of(order).await, OrderOutcome::Complete);
    }
    assert_eq!(running.happened(), before);
    for _ in 0..2 {
        handle.pause("api").await.unwrap();
    }
    assert_eq!(running.happened()[before.len()..], ["api paused"]);
    running.stop().await;
}
