//! Replicas that hang, and replicas that are asked in other ways than by `GET`.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use phalanx_fleet::Standing;
use rustix::process::Signal;

use crate::{
    harness::{
        Setup, env_of, eventually, example, has_ended, ready_file, send, shell, status_field, was_left_alone,
    },
    recorder::{Asked, Reaction, Recorder},
};

#[tokio::test]
async fn a_replica_that_hangs_leaves_the_balancer_and_is_started_again() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let pid = Arc::new(Mutex::new(None));
    // Readiness asks no more, so that it is liveness which takes the replica out. A replica that is only slow has a minute.
    let service = shell(r#"exec "$0""#).replace("'/ready', period = '20ms'", "'/ready', period = '1h'")
        + "probes.liveness = { path = '/live', period = '20ms', timeout = '6s', failure = 2 }\n";
    let mut setup = Setup::new(service);
    setup.balancer = Recorder::new({
        let (seen, pid) = (Arc::clone(&seen), Arc::clone(&pid));
        move |asked| {
            if let Some(pid) = *pid.lock().unwrap() {
                let is_left_alone = matches!(asked, Asked::Withdraw(_)) && was_left_alone(pid);
                seen.lock().unwrap().push((asked, is_left_alone));
            }
            Reaction::Acknowledge
        }
    });
    let mut running = setup.run();
    let (_, first) = running.ready().await;
    running.line("GET /live HTTP/1.1: 200").await;
    send(first.pid, Signal::STOP);
    eventually(|| status_field(first.pid, "State").unwrap().starts_with('T')).await;
    *pid.lock().unwrap() = Some(first.pid);

    let replica =
        running.replica(|replica| replica.standing == Standing::Ready && replica.restarts == 1).await;
    let second = replica.process.unwrap();
    *pid.lock().unwrap() = None;
    assert_eq!(
        *seen.lock().unwrap(),
        [(Asked::Withdraw(first.address), true), (Asked::Admit(second.address), false)],
        "it is withdrawn while it stands still, and gets TERM only then"
    );
    assert_eq!(replica.last_exit.as_deref(), Some("signal: 15 (SIGTERM)"));
    assert!(has_ended(first.pid) && first.address != second.address);
    running.log.tells(&[
        "WARN phalanx_fleet::notice: replica hangs, and is started again",
        "instance=api-1 probe=GET /live",
        "failures=2 last_answer=no answer within 6s next_start_in=0ns",
    ]);
    running.stop().await;
}

#[tokio::test]
async fn a_program_decides_over_readiness_and_over_life() {
    let (_home, file) = ready_file();
    let asks = |probe: &str, file: &str| {
        format!(
            "probes.{probe} = {{ exec = ['sh', '-c', 'test -e \"$${file}\" -a -n \"$$PORT\"'], period = '20ms', timeout = '30s', failure = 1 }}\n"
        )
    };
    let alive = file.with_file_name("alive");
    fs::write(&alive, "").unwrap();
    let service = format!(
        "command = ['{}']\nprobes.startup = {{ tcp = true, period = '20ms', timeout = '30s', failure = 1000 }}\n{}{}env = {{ READY = '{}', ALIVE = '{}' }}\n",
        example("replica").display(),
        asks("readiness", "READY"),
        asks("liveness", "ALIVE"),
        file.display(),
        alive.display(),
    );
    let running = Setup::new(service).run();
    running.replica(|replica| replica.process.is_some()).await;
    assert_eq!(running.balancer.asked(), []);
    fs::write(&file, "").unwrap();
    let (_, first) = running.ready().await;

    fs::remove_file(&file).unwrap();
    let unready = running.replica(|replica| replica.standing == Standing::NotReady).await;
    assert_eq!((unready.process, unready.restarts), (Some(first), 0));

    fs::remove_file(&alive).unwrap();
    running.replica(|replica| replica.restarts >= 1).await;
    fs::write(&alive, "").unwrap();
    fs::write(&file, "").unwrap();
    let (_, second) = running.ready().await;
    assert!(has_ended(first.pid) && second.pid != first.pid);
    assert_eq!(running.balancer.asked()[..2], [Asked::Admit(first.address), Asked::Withdraw(first.address)]);
    running.log.tells(&["last_answer=exit status: 1, without a word", "run it by hand"]);
    running.stop().await;
}

#[tokio::test]
async fn requests_come_only_while_the_health_service_says_serving() {
    let (_home, file) = ready_file();
    let probes = "
probes.startup = { tcp = true, period = '20ms', timeout = '30s', failure = 1000 }
probes.readiness = { grpc = 'shop.Cart', period = '20ms', timeout = '30s', failure = 1 }
";
    let service = format!("command = ['{}']\n{probes}{}", example("health").display(), env_of(&file));
    let mut running = Setup::new(service).run();
    // Its second answer shows that the first was taken for what it is.
    running.line("/grpc.health.v1.Health/Check").await;
    running.line("/grpc.health.v1.Health/Check").await;
    assert_eq!(running.balancer.asked(), []);
    fs::write(&file, "").unwrap();
    let (_, process) = running.ready().await;
    fs::remove_file(&file).unwrap();
    running.replica(|replica| replica.standing == Standing::NotReady).await;
    assert_eq!(running.balancer.asked(), [Asked::Admit(process.address), Asked::Withdraw(process.address)]);
    running.log.tells(&["probe=health of \"shop.Cart\"", "last_answer=health NOT_SERVING"]);
    running.stop().await;
}

#[tokio::test]
async fn a_probe_that_cannot_be_made_changes_nothing() {
    let (_home, file) = ready_file();
    fs::write(&file, "").unwrap();
    let broken = "probes.liveness = { exec = ['no-such-check'], period = '20ms', failure = 1 }\n";
    let mut running = Setup::new(shell(r#"exec "$0""#) + &env_of(&file) + broken).run();
    let (_, process) = running.ready().await;
    eventually(|| running.log.text().contains("a probe could not be made")).await;
    // Many periods later.
    for _ in 0..20 {
        running.line("GET /ready HTTP/1.1: 200").await;
    }
    let (replica, same_process) = running.ready().await;
    assert_eq!((same_process, replica.restarts), (process, 0));
    assert_eq!(running.log.text().matches("a probe could not be made").count(), 1, "it is told once");
    running.log.tells(&["no program `no-such-check`", "its replica is left as it is"]);
    running.stop().await;
}

#[tokio::test]
async fn a_program_that_probes_ends_with_its_replica() {
    let (home, file) = ready_file();
    let hangs = "probes.liveness = { exec = ['sh', '-c', 'echo $$$$ >> \"$$PIDS\"; exec sleep 1000'], period = '20ms', timeout = '1h' }\n";
    let pids = home.path().join("pids");
    let service = shell(r#"exec "$0""#) + hangs + &format!("env = {{ PIDS = '{}' }}\n", pids.display());
    let running = Setup::new(service).run();
    running.ready().await;
    let written = || fs::read_to_string(&pids).unwrap_or_default();
    eventually(|| written().ends_with('\n')).await;
    running.stop().await;
    let pids: Vec<u32> = written().lines().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 1, "one at a time");
    assert!(has_ended(pids[0]));
    drop((home, file));
}
