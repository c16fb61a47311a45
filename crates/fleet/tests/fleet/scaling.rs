//! Another number of replicas, by hand or from the autoscaler.

use std::fs;

use phalanx_fleet::{AutoscaleState, MetricState, OrderOutcome, RolloutStatus};
use phalanx_telemetry::clock;

use crate::harness::{Setup, Traces, env_of, ready_file, replicas};

#[tokio::test]
async fn replicas_come_and_go_as_they_are_wanted() {
    let traces = Traces::new();
    let running = Setup::new(traces.shell(r#"exec "$0""#) + "replicas = 0\n").run();
    assert_eq!(running.complete().await.replicas, []);
    for (wanted, names) in [
        (2, vec!["api-1", "api-2"]),
        (5, vec!["api-1", "api-2", "api-3", "api-4", "api-5"]),
        (1, vec![]),
        (0, vec![]),
        (3, vec!["api-1", "api-2", "api-3"]),
    ] {
        assert_eq!(
            running.outcome_of(running.handle.scale("api", wanted).await).await,
            OrderOutcome::Complete
        );
        // Those that were told to stop are no part of it any more, and end in their own time.
        let api = running.api_when(|api| api.replicas.len() == wanted as usize).await;
        if !names.is_empty() {
            assert_eq!(api.replicas.iter().map(|replica| &*replica.instance).collect::<Vec<_>>(), names);
        }
        assert_eq!((api.desired, api.rollout.total, api.rollout.available), (wanted, wanted, wanted));
    }
    // Whoever served longest stays: of five the first ones were stopped last.
    let happened = running.happened();
    assert!(happened.contains(&"api scaled".to_owned()), "{happened:?}");
    assert!(happened.contains(&"api-5 stopping".to_owned()), "{happened:?}");
    let handle = running.handle.clone();
    running.stop().await;
    assert_eq!(handle.ports_taken(), 0);
    traces.assert_gone();
}

#[tokio::test]
async fn the_number_changes_while_a_version_is_rolled_out() {
    let traces = Traces::new();
    let (_home, file) = ready_file();
    let keys = "replicas = 3\n";
    let running = Setup::new(traces.shell(r#"exec "$0""#) + keys).run();
    running.complete().await;
    let gated = traces.shell(r#"exec "$0""#) + &env_of(&file) + keys;
    let rolled = running.handle.roll_to("api", replicas(&gated)).await;
    running
        .api_when(|api| api.replicas.iter().any(|replica| replica.revision == 2 && replica.process.is_some()))
        .await;

    let up = running.handle.scale("api", 6).await;
    // Most of those that are added are of the version that serves.
    let api = running.api_when(|api| api.rollout.available == 6).await;
    assert_eq!(api.rollout.status, RolloutStatus::Progressing);
    let down = running.handle.scale("api", 2).await;
    let api = running.api_when(|api| api.replicas.len() <= 3 && api.rollout.draining == 0).await;
    assert_eq!((api.desired, api.rollout.available), (2, 2));
    assert_eq!(running.outcome_of(up).await, OrderOutcome::Superseded);

    fs::write(&file, "").unwrap();
    assert_eq!(running.outcome_of(down).await, OrderOutcome::Complete);
    assert_eq!(running.outcome_of(rolled).await, OrderOutcome::Complete);
    let api = running.settled().await;
    assert!(api.replicas.iter().all(|replica| replica.revision == 2), "{api:?}");
    let serving = running.balancer.serving();
    let first = serving.iter().position(|count| *count == 3).unwrap();
    assert!(serving[first..].iter().all(|count| *count >= 2), "{serving:?}");
    running.stop().await;
    traces.assert_gone();
}

#[tokio::test]
async fn what_the_autoscaler_decides_is_done_and_shown() {
    let traces = Traces::new();
    let running = Setup::new(traces.shell(r#"exec "$0""#)).run();
    running.complete().await;
    let metric = MetricState { name: "cpu_percent".into(), value: Some(91.5), target: 70.0 };
    let line = "1→2 cpu_percent 91 > 70".to_owned();
    let decided = AutoscaleState { desired: 2, line, at: clock::now(), metrics: vec![metric] };
    let accepted = running.handle.autoscale("api", decided.clone()).await;
    assert_eq!(running.api().autoscale, Some(decided));
    assert_eq!(running.outcome_of(accepted).await, OrderOutcome::Complete);
    let (events, _) = running.handle.events(0);
    let scaled = events.iter().find(|event| event.kind.as_str() == "autoscaled").unwrap();
    assert_eq!(&*scaled.reason, "1→2 cpu_percent 91 > 70");
    running.stop().await;
    traces.assert_gone();
}

#[tokio::test]
async fn a_file_that_says_another_number_is_followed_and_one_that_does_not_leaves_it() {
    let traces = Traces::new();
    let keys = |rest: &str| traces.shell(r#"exec "$0""#) + rest;
    let running = Setup::new(keys("replicas = 1\n")).run();
    running.complete().await;
    running.outcome_of(running.handle.scale("api", 2).await).await;
    for (file, desired) in [
        ("replicas = 1\nshutdown_grace = '5s'\n", 2),
        ("replicas = 3\nshutdown_grace = '5s'\n", 3),
        ("replicas = 3\n", 3),
    ] {
        let accepted = running.handle.roll_to("api", replicas(&keys(file))).await.unwrap();
        assert_eq!(accepted.desired, desired, "{file}");
        assert_eq!(running.outcome_of(Ok(accepted)).await, OrderOutcome::Complete);
    }
    let changed: Vec<_> = running.api().rollout.history.into_iter().map(|entry| entry.changed).collect();
    assert_eq!(changed, ["the first", "shutdown_grace"]);
    running.stop().await;
    traces.assert_gone();
}
