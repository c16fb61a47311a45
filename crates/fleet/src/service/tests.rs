use std::net::SocketAddr;

use phalanx_config::{Config, Source};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    Fleet, ReplicaState, Withdrawal, output_queue,
    state::{Board, LimitsState, Standing},
};

struct Nobody;

impl Balancer for Nobody {
    async fn admit(&self, _: &ServiceName, _: &str, _: SocketAddr) {}
    async fn withdraw(&self, _: &ServiceName, _: SocketAddr, _: Withdrawal) {}
    async fn drained(&self, _: &ServiceName, _: SocketAddr) {}
}

fn api() -> (ServiceName, Replicas) {
    let file = "[[route]]\npath = '/'\nservice = 'api'\n[service.api]\ncommand = ['a']\nreplicas = 2";
    let config = Config::parse("phalanx.toml", file, &|_| None).unwrap();
    let (name, service) = config.services.into_iter().next().unwrap();
    let Source::Replicas(replicas) = service.source else { panic!("no command") };
    (name, replicas)
}

/// Nothing of it is polled, so nothing is started.
#[tokio::test]
async fn time_spent_waiting_for_others_is_not_counted_against_the_deadline() {
    let (name, replicas) = api();
    let settings = Settings::new(Duration::from_secs(1));
    let (output, _lines) = output_queue();
    let fleet = Fleet::new([(name.clone(), replicas.clone())], settings, Arc::new(Nobody), output);
    let handle = fleet.handle();
    let mut crew = Crew::new(fleet.surroundings(), CancellationToken::new());
    let began = clock::now();
    let mut service = Service::new(0, name.clone(), replicas, settings, began);
    let status = || handle.state()[0].rollout.status;

    service.wait_for(&[name], &crew);
    assert_eq!((status(), service.members.is_empty()), (RolloutStatus::Waiting, true));
    let later = began + Duration::from_hours(1);
    let wakes_at = service.tend(&mut crew, later);
    assert_eq!(status(), RolloutStatus::Progressing);
    let kinds: Vec<_> = handle.events(0).0.into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Waiting, EventKind::Started, EventKind::Started]);
    let deadline = later + Duration::from_secs(600);
    assert_eq!(wakes_at, Some(deadline));
    service.tend(&mut crew, deadline - Duration::from_secs(1));
    assert_eq!(status(), RolloutStatus::Progressing);
    service.tend(&mut crew, deadline);
    assert_eq!(status(), RolloutStatus::Stalled);
}

#[test]
fn what_a_replica_runs_is_for_the_loop_to_say() {
    let (name, replicas) = api();
    let board = Board::new(vec![crate::ServiceState::before(&name, &replicas, LimitsState::None)]);
    let seen = board.subscribe();
    let put = |standing| {
        let (instance, since) = ("api-1".into(), clock::now());
        let state = ReplicaState {
            instance,
            ordinal: 1,
            revision: 1,
            standing,
            since,
            process: None,
            restarts: 0,
            last_exit: None,
            last_output: Arc::default(),
        };
        board.put(&name, state);
    };
    put(Standing::Starting);
    let rollout = seen.borrow()[0].rollout.clone();
    let shown = Shown { desired: 2, limit: ReplicasLimit::Machine, rollout, autoscale: None };
    board.show(&name, shown, |_| Some(3));
    put(Standing::Ready);
    assert_eq!(seen.borrow()[0].replicas[0].revision, 3);
    assert_eq!(board.take_down(&name, 1).map(|state| state.standing), Some(Standing::Ready));
    assert_eq!(board.take_down(&name, 1), None);
}
