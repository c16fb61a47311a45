//! From the start of a process to its first request, and in and out of readiness.

use std::{collections::BTreeSet, fs, num::NonZeroUsize};

use phalanx_fleet::{Standing, Withdrawal};
use rustix::process::Signal;

use crate::{
    harness::{Setup, connects, env_of, ready_file, send, shell, within},
    recorder::Asked,
};

#[tokio::test]
async fn a_replica_knows_its_port_and_its_name_and_reads_nothing() {
    let script = r#"cat; echo "$PHALANX_INSTANCE on $PORT says $GREETING in $HOME"; exec "$0""#;
    let mut running =
        Setup::new(format!("{}env = {{ GREETING = 'hello' }}\nreplicas = 3\n", shell(script))).run();
    within(running.handle.all_ready()).await.unwrap();

    let state = running.handle.state().remove(0);
    assert_eq!((state.desired, state.is_complete()), (3, true));
    let mut told = BTreeSet::new();
    for _ in 0..3 {
        let line = running.line("says hello").await;
        told.insert(format!("{}: {}", line.instance.unwrap(), line.text));
    }
    let home = std::env::var("HOME").unwrap();
    let expected = state.replicas.iter().map(|replica| {
        let (instance, port) = (&replica.instance, replica.process.unwrap().address.port());
        format!("{instance}: {instance} on {port} says hello in {home}")
    });
    assert_eq!(told, expected.collect());
    assert_eq!(
        state.replicas.iter().map(|replica| &*replica.instance).collect::<Vec<_>>(),
        ["api-1", "api-2", "api-3"]
    );
    running.stop().await;
}

#[tokio::test]
async fn ports_lie_outside_the_range_of_outgoing_connections() {
    let running = Setup::new(format!("{}replicas = 4\n", shell(r#"exec "$0""#))).run();
    within(running.handle.all_ready()).await.unwrap();
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let bounds: Vec<u16> = range.split_whitespace().map(|bound| bound.parse().unwrap()).collect();
    let state = running.handle.state();
    let addresses: BTreeSet<_> =
        state[0].replicas.iter().map(|replica| replica.process.unwrap().address).collect();
    assert_eq!(addresses.len(), 4);
    assert!(
        addresses.iter().all(|address| !(bounds[0]..=bounds[1]).contains(&address.port())),
        "{addresses:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn requests_come_only_while_the_probe_succeeds() {
    let (_home, file) = ready_file();
    let mut running = Setup::new(shell(r#"exec "$0""#) + &env_of(&file)).run();
    // Its second refusal shows that the first was taken for one.
    running.line("GET /ready HTTP/1.1: 503").await;
    running.line("GET /ready HTTP/1.1: 503").await;
    assert_eq!(running.balancer.asked(), []);

    fs::write(&file, "").unwrap();
    let (_, process) = running.ready().await;
    let (admit, withdraw) = (Asked::Admit(process.address), Asked::Withdraw(process.address));
    assert_eq!(running.balancer.asked(), [admit]);

    fs::remove_file(&file).unwrap();
    running.replica(|replica| replica.standing == Standing::NotReady).await;
    assert_eq!(running.balancer.asked(), [admit, withdraw]);
    assert_eq!(running.balancer.reasons(), [Withdrawal::Unready]);

    fs::write(&file, "").unwrap();
    let (replica, same_process) = running.ready().await;
    assert_eq!(running.balancer.asked(), [admit, withdraw, admit]);
    assert_eq!((same_process, replica.restarts), (process, 0), "what is not ready is not restarted");
    running.log.tells(&["is not ready, and gets no requests", "HTTP status 503"]);
    running.stop().await;
}

#[tokio::test]
async fn without_a_path_a_replica_is_ready_when_it_listens() {
    let running = Setup::new(shell(r#"exec "$0""#).replace("path = '/ready', ", "")).run();
    let (_, process) = running.ready().await;
    assert!(connects(process.address));
    running.stop().await;
}

#[tokio::test]
async fn no_more_replicas_boot_at_once_than_may() {
    let (_home, file) = ready_file();
    let mut setup = Setup::new(shell(r#"exec "$0""#) + &env_of(&file) + "replicas = 3\n");
    setup.settings.starts_max = NonZeroUsize::MIN;
    let mut running = setup.run();
    running.line("503").await;
    let with_process = |running: &crate::harness::Running| {
        running.handle.state()[0].replicas.iter().filter(|replica| replica.process.is_some()).count()
    };
    assert_eq!(with_process(&running), 1);
    assert_eq!(running.api().replicas.len(), 3, "those that wait are shown");
    fs::write(&file, "").unwrap();
    within(running.handle.all_ready()).await.unwrap();
    assert_eq!(with_process(&running), 3);
    running.stop().await;
}

#[tokio::test]
async fn replicas_that_do_not_come_up_keep_no_others_from_starting() {
    let (_home, file) = ready_file();
    let ran_before = file.display();
    // Each ends at once the first time, and hangs the second time; in one place they would take turns for half a minute.
    let hopeless = shell(&format!(
        "[ -e '{ran_before}'-$PHALANX_INSTANCE ] && exec sleep 1000; : >'{ran_before}'-$PHALANX_INSTANCE"
    ));
    let mut setup = Setup::new(shell(r#"exec "$0""#) + &format!("[service.bad]\n{hopeless}replicas = 6\n"));
    setup.settings.starts_max = NonZeroUsize::MIN;
    let mut running = setup.run();
    let (_, process) = running.ready().await;
    within(running.handle.wait_until(|services| {
        let bad = &services[1].replicas;
        bad.len() == 6
            && bad.iter().all(|replica| replica.last_exit.is_some())
            && bad.iter().any(|replica| replica.process.is_some())
    }))
    .await
    .unwrap();
    send(process.pid, Signal::KILL);
    running.replica(|replica| replica.standing == Standing::Ready && replica.restarts == 1).await;
    let bad = &running.handle.state()[1].replicas;
    assert!(bad.iter().any(|replica| replica.restarts == 0), "it was the last in the row: {bad:#?}");
    running.stop.cancel();
    running.outcome().await;
}
