//! Services that depend on others start after them and stop before them.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use phalanx_fleet::{ProcessState, RolloutStatus, Standing};

use crate::{
    harness::{Setup, Traces, env_of, has_ended, ready_file, within},
    recorder::{Asked, Reaction, Recorder},
};

#[tokio::test]
async fn a_service_starts_after_those_it_depends_on_and_stops_before_them() {
    let traces = Traces::new();
    let (_home, file) = ready_file();
    let plain = traces.shell(r#"exec "$0""#);
    let gated = traces.shell(r#"exec "$0""#) + &env_of(&file);
    let chain: Arc<Mutex<Vec<ProcessState>>> = Arc::default();
    let mut setup = Setup::new(format!(
        "{plain}replicas = 2\ndepends_on = ['cache', 'database']\n[service.cache]\n{plain}depends_on = ['database']\n[service.database]\n{gated}"
    ));
    setup.balancer = Recorder::new({
        let chain = Arc::clone(&chain);
        move |asked| {
            if let Asked::Withdraw(address) = asked {
                // Whoever is withdrawn at the end, those that depend on it have ended.
                let chain = chain.lock().unwrap();
                let mut above = chain.iter().take_while(|process| process.address != address);
                assert!(above.all(|process| has_ended(process.pid)), "{asked:?} too early");
            }
            Reaction::Acknowledge
        }
    });
    let mut running = setup.run();
    within(running.handle.wait_until(|services| {
        services[2].replicas.first().is_some_and(|database| database.process.is_some())
    }))
    .await
    .unwrap();
    let state = running.handle.state();
    for (service, reason) in [
        (&state[0], "waits for `cache`, `database` to be complete"),
        (&state[1], "waits for `database` to be complete"),
    ] {
        assert_eq!((service.rollout.status, &*service.rollout.reason), (RolloutStatus::Waiting, reason));
        assert_eq!(service.replicas, []);
    }
    // Whoever waits takes orders all the same.
    assert_eq!(running.handle.scale("api", 1).await.unwrap().desired, 1);

    fs::write(&file, "").unwrap();
    within(running.handle.all_ready()).await.unwrap();
    let state = running.handle.state();
    let addresses: Vec<_> =
        state.iter().map(|service| service.replicas[0].process.unwrap().address).collect();
    let (api, cache, database) = (addresses[0], addresses[1], addresses[2]);
    assert_eq!(running.balancer.asked(), [Asked::Admit(database), Asked::Admit(cache), Asked::Admit(api)]);
    // It was complete once: that it is not any more stops nobody.
    fs::remove_file(&file).unwrap();
    within(running.handle.wait_until(|services| services[2].replicas[0].standing == Standing::NotReady))
        .await
        .unwrap();
    assert_eq!(running.api().rollout.status, RolloutStatus::Complete);
    fs::write(&file, "").unwrap();
    within(running.handle.all_ready()).await.unwrap();

    *chain.lock().unwrap() = state.iter().map(|service| service.replicas[0].process.unwrap()).collect();
    running.stop.cancel();
    assert_eq!(running.outcome().await.orderly, 3, "{}", running.log.text());
    let stopped: Vec<_> =
        running.happened().into_iter().filter(|happened| happened.ends_with("stopped")).collect();
    assert_eq!(stopped, ["api-1 stopped", "cache-1 stopped", "database-1 stopped"]);
    let asked = running.balancer.asked();
    let end: Vec<_> = [api, cache, database]
        .into_iter()
        .flat_map(|address| [Asked::Withdraw(address), Asked::Drained(address)])
        .collect();
    assert_eq!(asked[asked.len() - 6..], end);
    traces.assert_gone();
}

#[tokio::test]
async fn a_fleet_stops_while_its_services_wait_for_each_other() {
    let traces = Traces::new();
    let never = traces.shell("exit 1");
    let setup = Setup::new(format!("{never}depends_on = ['database']\n[service.database]\n{never}"));
    let mut running = setup.run();
    within(
        running.handle.wait_until(|services| {
            services[1].replicas.first().is_some_and(|database| database.restarts > 1)
        }),
    )
    .await
    .unwrap();
    assert_eq!(running.api().replicas, []);
    running.stop.cancel();
    let outcome = running.outcome().await;
    assert_eq!((outcome.orderly, outcome.forced), (1, 0));
    traces.assert_gone();
}
