//! Replicas that are replaced by others: enough of them serve all the while, and a version that is no good takes nobody's place.

use std::{collections::BTreeSet, fs};

use phalanx_fleet::{OrderError, OrderOutcome, RolloutStatus, Standing};

use crate::{
    harness::{Running, Setup, Traces, env_of, ready_file, replicas, within},
    recorder::Asked,
};

/// Fails unless, from the moment on when `enough` replicas served for the first time, no fewer did.
fn assert_served_by(running: &Running, enough: usize) {
    let serving = running.balancer.serving();
    let first = serving.iter().position(|count| *count == enough).unwrap();
    assert!(serving[first..].iter().all(|count| *count >= enough), "{serving:?}");
}

#[tokio::test]
async fn rolling_restarts_keep_enough_replicas_serving_all_the_while() {
    let traces = Traces::new();
    let running = Setup::new(traces.shell(r#"exec "$0""#) + "replicas = 4\n").run();
    running.complete().await;
    for revision in 2..=4 {
        let accepted = running.handle.restart("api").await.unwrap();
        assert_eq!((accepted.revision, accepted.desired), (revision, 4));
        assert_eq!(running.outcome_of(Ok(accepted)).await, OrderOutcome::Complete);
        let api = running.settled().await;
        assert!(api.replicas.iter().all(|replica| replica.revision == revision), "{api:?}");
        assert_eq!((api.rollout.revision, api.rollout.updated, api.rollout.total), (revision, 4, 4));
    }
    // 4 × 25% may come on top, and none may be missing.
    assert_served_by(&running, 4);
    assert_eq!(running.balancer.serving().into_iter().max(), Some(5));
    assert_eq!(traces.count(), 16, "each was started once");
    let names: BTreeSet<_> = running.api().replicas.into_iter().map(|replica| replica.instance).collect();
    assert_eq!(names.len(), 4);
    let changed: Vec<_> = running.api().rollout.history.into_iter().map(|entry| entry.changed).collect();
    assert_eq!(changed, ["the first", "nothing: a restart", "nothing: a restart", "nothing: a restart"]);
    let handle = running.handle.clone();
    running.stop().await;
    assert_eq!(handle.ports_taken(), 0);
    traces.assert_gone();
}

#[tokio::test]
async fn where_none_may_come_on_top_others_go_first() {
    let traces = Traces::new();
    let pace = "replicas = 3\nrollout = { max_surge = 0, max_unavailable = 1 }\n";
    let running = Setup::new(traces.shell(r#"exec "$0""#) + pace).run();
    running.complete().await;
    assert_eq!(running.outcome_of(running.handle.restart("api").await).await, OrderOutcome::Complete);
    let serving = running.balancer.serving();
    assert_eq!(serving.iter().max(), Some(&3), "{serving:?}");
    assert_served_by_two_of_three(&serving);
    running.stop().await;
    traces.assert_gone();
}

fn assert_served_by_two_of_three(serving: &[usize]) {
    let first = serving.iter().position(|count| *count == 3).unwrap();
    assert!(serving[first..].iter().all(|count| *count >= 2), "{serving:?}");
}

#[tokio::test]
async fn a_version_that_crashes_stalls_and_takes_nobodys_place() {
    let traces = Traces::new();
    let good = traces.shell(r#"exec "$0""#) + "replicas = 2\n";
    let bad = traces.shell("exit 1") + "replicas = 2\nrollout.deadline = '300ms'\n";
    let mut running = Setup::new(&good).run();
    let first = running.complete().await;

    let accepted = running.handle.roll_to("api", replicas(&bad)).await;
    let OrderOutcome::Stalled { why } = running.outcome_of(accepted).await else {
        panic!("it did not stall")
    };
    assert_eq!(
        why,
        "revision 2: held: 1 new not available, at least 2 must be; 0/2 new available, 2 old; stalled"
    );
    // It goes on crashing, and that changes nothing.
    let api = running
        .api_when(|api| {
            api.replicas.iter().any(|replica| matches!(replica.standing, Standing::CrashLoop { .. }))
        })
        .await;
    assert_eq!((api.rollout.available, api.rollout.total), (2, 3));
    assert!(
        api.rollout.history.iter().any(|entry| entry.changed == "command" && entry.is_current),
        "{api:?}"
    );
    running.log.tells(&["ERROR phalanx_fleet::events::tell: rollout has stalled"]);

    // Back to what the file said before: those that are left of it stay.
    let accepted = running.handle.roll_to("api", replicas(&good)).await;
    assert_eq!(running.outcome_of(accepted).await, OrderOutcome::Complete);
    let api = running.api();
    let revisions: Vec<_> = api.rollout.history.iter().map(|entry| entry.revision).collect();
    assert_eq!((api.rollout.revision, revisions), (3, vec![2, 3]));
    let processes = |api: &phalanx_fleet::ServiceState| -> Vec<_> {
        api.replicas.iter().map(|replica| (replica.ordinal, replica.process)).collect()
    };
    assert_eq!(processes(&api), processes(&first));
    assert!(api.replicas.iter().all(|replica| replica.revision == 3), "{api:?}");
    assert!(!running.balancer.asked().iter().any(|asked| matches!(asked, Asked::Withdraw(_))));
    running.stop.cancel();
    assert_eq!(running.outcome().await.forced, 0);
    traces.assert_gone();
}

#[tokio::test]
async fn a_stall_is_rolled_back_where_that_is_wanted() {
    let traces = Traces::new();
    let good = traces.shell(r#"exec "$0""#) + "replicas = 2\n";
    let bad =
        traces.shell("exit 1") + "replicas = 2\nrollout = { deadline = '300ms', on_stall = 'roll_back' }\n";
    let mut running = Setup::new(&good).run();
    running.complete().await;
    let accepted = running.handle.roll_to("api", replicas(&bad)).await;
    let OrderOutcome::RolledBack { from, why } = running.outcome_of(accepted).await else {
        panic!("it was not rolled back")
    };
    assert_eq!(from, 2);
    assert!(why.contains("revision 2: held: 1 new not available"), "{why}");
    let api = running.complete().await;
    assert_eq!((api.rollout.revision, api.rollout.rolled_back.map(|back| back.from)), (3, Some(2)));
    assert_served_by(&running, 2);
    assert!(running.happened().contains(&"api rolled-back".to_owned()), "{:?}", running.happened());
    running.stop.cancel();
    assert_eq!(running.outcome().await.forced, 0);
    traces.assert_gone();
}

#[tokio::test]
async fn an_earlier_revision_comes_back() {
    let traces = Traces::new();
    let version = |number| traces.shell(&format!(r#": version {number}; exec "$0""#)) + "replicas = 2\n";
    let running = Setup::new(version(1)).run();
    running.complete().await;
    assert_eq!(running.handle.undo("api", None).await, Err(OrderError::NoEarlierRevision));
    for number in [2, 3] {
        let accepted = running.handle.roll_to("api", replicas(&version(number))).await;
        assert_eq!(running.outcome_of(accepted).await, OrderOutcome::Complete);
    }
    let accepted = running.handle.undo("api", None).await;
    assert_eq!(running.outcome_of(accepted).await, OrderOutcome::Complete);
    let command = |running: &Running| running.api().rollout.history.last().unwrap().command.to_string();
    assert!(command(&running).contains("version 2"), "{}", command(&running));

    let accepted = running.handle.undo("api", Some(1)).await.unwrap();
    assert_eq!(accepted.revision, 5);
    assert_eq!(running.outcome_of(Ok(accepted)).await, OrderOutcome::Complete);
    assert!(command(&running).contains("version 1"), "{}", command(&running));
    for (revision, error) in [
        (5, OrderError::CurrentRevision { revision: 5 }),
        (1, OrderError::UnknownRevision { revision: 1, known: vec![3, 4, 5] }),
        (0, OrderError::UnknownRevision { revision: 0, known: vec![3, 4, 5] }),
    ] {
        assert_eq!(running.handle.undo("api", Some(revision)).await, Err(error));
    }
    assert_served_by(&running, 2);
    running.stop().await;
    traces.assert_gone();
}

#[tokio::test]
async fn a_number_is_reached_beside_what_a_paused_rollout_has_begun() {
    let traces = Traces::new();
    let (_home, file) = ready_file();
    let keys = "replicas = 3\nrollout = { max_surge = 1, max_unavailable = 0 }\n";
    let running = Setup::new(traces.shell(r#"exec "$0""#) + keys).run();
    running.complete().await;
    let gated = traces.shell(r#"exec "$0""#) + &env_of(&file) + keys;
    running.handle.roll_to("api", replicas(&gated)).await.unwrap();
    running
        .api_when(|api| api.replicas.iter().any(|replica| replica.revision == 2 && replica.process.is_some()))
        .await;
    running.handle.pause("api").await.unwrap();

    for desired in [5, 2] {
        let scaled = running.handle.scale("api", desired).await;
        assert_eq!(running.outcome_of(scaled).await, OrderOutcome::Complete, "{desired}");
        let api = running.api();
        assert_eq!((api.rollout.status, api.desired), (RolloutStatus::Paused, desired));
        assert!(api.rollout.available >= desired, "{api:?}");
    }
    running.stop().await;
    traces.assert_gone();
}

#[tokio::test]
async fn a_rollout_that_is_paused_waits_and_the_number_is_followed_all_the_same() {
    let traces = Traces::new();
    let keys = "replicas = 2\n";
    let running = Setup::new(traces.shell(r#"exec "$0""#) + keys).run();
    running.complete().await;
    assert_eq!(running.outcome_of(running.handle.pause("api").await).await, OrderOutcome::Complete);
    assert_eq!(running.handle.restart("api").await, Err(OrderError::Paused));
    assert_eq!(running.handle.undo("api", None).await, Err(OrderError::Paused));
    let rolled = running.handle.roll_to("api", replicas(&(traces.shell(r#": 2; exec "$0""#) + keys))).await;
    let api = running.api();
    assert_eq!(
        (api.rollout.status, api.rollout.revision, api.rollout.updated),
        (RolloutStatus::Paused, 2, 0)
    );

    assert_eq!(running.outcome_of(running.handle.scale("api", 3).await).await, OrderOutcome::Complete);
    let api = running.api();
    assert!(api.replicas.iter().all(|replica| replica.revision == 1), "{api:?}");
    assert_eq!((api.replicas.len(), traces.count()), (3, 3));

    let resumed = running.handle.resume("api").await;
    assert_eq!(running.outcome_of(resumed).await, OrderOutcome::Complete);
    assert_eq!(running.outcome_of(rolled).await, OrderOutcome::Complete);
    assert!(running.settled().await.replicas.iter().all(|replica| replica.revision == 2));
    assert_served_by(&running, 3);
    running.stop().await;
    traces.assert_gone();
}

#[tokio::test]
async fn a_fleet_stops_in_the_middle_of_a_rollout() {
    let traces = Traces::new();
    let (_home, file) = ready_file();
    let running = Setup::new(traces.shell(r#"exec "$0""#) + "replicas = 3\n").run();
    running.complete().await;
    let never_ready = traces.shell(r#"exec "$0""#) + &env_of(&file) + "replicas = 3\n";
    running.handle.roll_to("api", replicas(&never_ready)).await.unwrap();
    running
        .api_when(|api| api.replicas.iter().any(|replica| replica.revision == 2 && replica.process.is_some()))
        .await;
    let handle = running.handle.clone();
    running.stop().await;
    assert_eq!(handle.ports_taken(), 0);
    traces.assert_gone();
}

#[tokio::test]
async fn an_order_takes_the_place_of_the_one_before() {
    let traces = Traces::new();
    let (_home, file) = ready_file();
    let keys = "replicas = 2\n";
    let running = Setup::new(traces.shell(r#"exec "$0""#) + keys).run();
    running.complete().await;
    let gated = traces.shell(r#"exec "$0""#) + &env_of(&file) + keys;
    let rolled = running.handle.roll_to("api", replicas(&gated)).await;
    let restarted = running.handle.restart("api").await;
    assert_eq!(running.outcome_of(rolled).await, OrderOutcome::Superseded);
    fs::write(&file, "").unwrap();
    assert_eq!(running.outcome_of(restarted).await, OrderOutcome::Complete);
    // The same again is nothing to do.
    let again = within(running.handle.roll_to("api", replicas(&gated))).await.unwrap();
    assert_eq!(again.revision, 3);
    assert_eq!(running.outcome_of(Ok(again)).await, OrderOutcome::Complete);
    running.stop().await;
    traces.assert_gone();
}
