//! Processes that are killed: replicas under load, and Phalanx itself.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use phalanx_admin::state::{Endpoint, EndpointState};
use rustix::process::Signal;

use crate::{
    accounts::all_instances,
    support::{
        home::send,
        http::{Connection, getting},
        phalanx::{Phalanx, file, puppets, reference_api, shell},
        until,
    },
};

const CLIENTS: usize = 32;

#[test]
fn a_killed_replica_costs_no_request_and_comes_back() {
    let phalanx = Phalanx::up(&file(&reference_api()));
    let load = Load::start(&phalanx);
    load.reaches_again(&all_instances().into_iter().collect::<Vec<_>>());
    for instance in all_instances() {
        let killed = phalanx.replica(&instance, serves);
        send(killed.pid.unwrap(), Signal::KILL);
        let back = phalanx.replica(&instance, |endpoint| serves(endpoint) && endpoint.pid != killed.pid);
        assert_eq!(back.restarts, killed.restarts + 1);
        load.reaches_again(&[instance]);
    }
    load.ends_without_failure();
    phalanx.stop();
}

#[test]
fn replicas_do_not_outlive_a_killed_phalanx() {
    for service in [reference_api(), puppets(2)] {
        let phalanx = Phalanx::up(&file(&service));
        assert!(phalanx.home.processes().len() > 1);
        phalanx.program.signal(Signal::KILL);
        phalanx.home.becomes_empty();
    }
}

#[test]
fn what_a_replica_has_started_ends_with_the_replica() {
    let phalanx = Phalanx::up(&file(&shell("sleep 3600 & exec \"$0\"")));
    let before = phalanx.home.processes();
    assert_eq!(before.len(), 3, "phalanx, the replica, and its child");
    let killed = phalanx.replica("api-1", serves);
    send(killed.pid.unwrap(), Signal::KILL);
    phalanx.replica("api-1", |endpoint| serves(endpoint) && endpoint.pid != killed.pid);
    let after = phalanx.home.processes();
    assert_eq!(after.len(), 3);
    assert_eq!(after.iter().filter(|pid| before.contains(pid)).count(), 1, "only phalanx is the same");
    phalanx.stop();
}

#[test]
fn a_replica_that_ends_by_itself_is_started_again() {
    let phalanx = Phalanx::up(&file(&puppets(2)));
    let mut direct = Connection::open(phalanx.address_of("api-1")).unwrap();
    assert!(direct.exchange(&getting("/exit?3")).is_err(), "the process has ended");
    phalanx.replica("api-1", |endpoint| serves(endpoint) && endpoint.restarts == 1);
    let ended = phalanx.stop();
    ended.complains(&["replica exited", "instance=api-1", "exit status: 3"]);
}

fn serves(endpoint: &Endpoint) -> bool {
    endpoint.state == EndpointState::Serving
}

/// Clients with a connection each, which ask and ask again.
struct Load {
    stop: Arc<AtomicBool>,
    /// How many answers each replica gave.
    answers: Arc<Mutex<BTreeMap<String, u64>>>,
    clients: Vec<JoinHandle<io::Result<()>>>,
}

impl Load {
    fn start(phalanx: &Phalanx) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<BTreeMap<_, _>>>::default());
        let client = |_| {
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            let mut connection = phalanx.connection();
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = connection.exchange(&getting("/api/catalog"))?;
                    if answer.status != 200 || answer.json()["products"].is_null() {
                        return Err(io::Error::other(format!("{answer:?}")));
                    }
                    *answers.lock().unwrap().entry(answer.instance()).or_default() += 1;
                }
                Ok(())
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, answers, clients }
    }

    /// Waits until each of these replicas has answered from here on.
    fn reaches_again(&self, instances: &[String]) {
        let count = |instance: &String| self.answers.lock().unwrap().get(instance).copied().unwrap_or(0);
        let before: Vec<_> = instances.iter().map(count).collect();
        until("every replica answers", || {
            instances.iter().zip(&before).all(|(instance, before)| count(instance) > *before)
        });
    }

    fn ends_without_failure(self) {
        self.stop.store(true, Ordering::Relaxed);
        let ends: Vec<_> = self.clients.into_iter().map(|client| client.join().unwrap()).collect();
        let failed: Vec<_> = ends.into_iter().filter_map(Result::err).collect();
        assert!(failed.is_empty(), "of {CLIENTS} clients {} failed: {failed:?}", failed.len());
    }
}
