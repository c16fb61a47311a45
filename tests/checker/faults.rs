//! Makes come about what the plan says, one fault after the other. It sleeps between them, for as long as the plan has it: what it
//! waits for is nothing but the time.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

use crate::{
    judge,
    replicas::Replicas,
    schedule::{Failover, Fault, Place, Plan},
    servers::{Servers, await_ready, kill_backend},
};

/// Who makes the faults of one trial, and what came of them.
pub(crate) struct Saboteur<'a> {
    servers: &'a mut Servers,
    replicas: &'a Replicas,
    begun: Instant,
    log: Vec<String>,
    replica_is_held: bool,
    old_is_dead: bool,
    api_is_dead: Vec<bool>,
    failover: Option<judge::Failover>,
}

/// What has happened.
pub(crate) struct Sabotage {
    /// Each fault, with the time that it came at.
    pub(crate) log: Vec<String>,
    pub(crate) failover: Option<judge::Failover>,
}

impl<'a> Saboteur<'a> {
    pub(crate) fn new(servers: &'a mut Servers, replicas: &'a Replicas, begun: Instant) -> Self {
        Self {
            servers,
            replicas,
            begun,
            log: Vec::new(),
            replica_is_held: false,
            old_is_dead: false,
            api_is_dead: vec![false; replicas.count()],
            failover: None,
        }
    }

    /// Goes through the plan, stays until the length is over, and ends what still lasts.
    pub(crate) fn run(mut self, plan: &Plan, length: Duration) -> Sabotage {
        for (at, fault) in plan {
            self.wait_until(*at);
            self.tell(fault);
            self.commit(*fault);
        }
        self.wait_until(length);
        self.heal();
        Sabotage { log: self.log, failover: self.failover }
    }

    /// A fault may take longer than the pause behind it; the next then comes at once.
    fn wait_until(&self, at: Duration) {
        thread::sleep(at.saturating_sub(self.begun.elapsed()));
    }

    fn tell(&mut self, what: impl Debug) {
        self.log.push(format!("{:6.2} s {what:?}", self.begun.elapsed().as_secs_f64()));
    }

    fn commit(&mut self, fault: Fault) {
        match fault {
            // Nothing that is held answers.
            Fault::CutConnections(Place::Lagging)
            | Fault::KillBackend(Place::Lagging)
            | Fault::HoldReplica
                if self.replica_is_held => {}
            Fault::CutConnections(place) => self.servers.at(place).terminate_connections(),
            Fault::KillBackend(place) => kill_backend(self.servers.at(place)),
            Fault::HoldReplica => {
                self.servers.lagging.pause();
                self.replica_is_held = true;
            }
            Fault::ReleaseReplica => self.release_replica(),
            Fault::RestartSecondPrimary => {
                let second = self.servers.at(Place::SecondPrimary);
                second.kill();
                second.restart();
            }
            Fault::KillApi(index) => {
                self.replicas.kill(index);
                self.api_is_dead[index] = true;
            }
            Fault::StartApi(index) => self.start_api(index),
            Fault::Failover(failover) => self.fail_over(failover),
            Fault::ReturnOfTheOld => self.start_the_old(),
        }
    }

    fn fail_over(&mut self, failover: Failover) {
        // It has to be told whom to follow.
        self.release_replica();
        let began = self.begun.elapsed();
        match failover {
            Failover::Killed { leaderless } => {
                self.servers.old.kill();
                self.old_is_dead = true;
                thread::sleep(leaderless);
                self.servers.promote_heir();
            }
            Failover::Hung { leaderless } => {
                self.servers.old.pause();
                thread::sleep(leaderless);
                self.servers.promote_heir();
                self.servers.old.resume();
            }
            Failover::CutOff { apart, leaderless } => {
                self.servers.cut_heir_off();
                thread::sleep(apart);
                self.servers.old.kill();
                self.old_is_dead = true;
                thread::sleep(leaderless);
                self.servers.promote_heir();
            }
        }
        let ended = self.begun.elapsed();
        self.failover = Some(judge::Failover { began, ended });
        self.tell("promoted");
    }

    fn release_replica(&mut self) {
        if self.replica_is_held {
            self.servers.lagging.resume();
            await_ready(&self.servers.lagging);
            self.replica_is_held = false;
        }
    }

    fn start_the_old(&mut self) {
        if self.old_is_dead {
            self.servers.old.restart();
            self.old_is_dead = false;
        }
    }

    fn start_api(&mut self, index: usize) {
        if self.api_is_dead[index] {
            self.replicas.start_again(index);
            self.api_is_dead[index] = false;
        }
    }

    fn heal(&mut self) {
        self.release_replica();
        for index in 0..self.api_is_dead.len() {
            self.start_api(index);
        }
        self.tell("healed");
        if !self.servers.lagging_follows() {
            self.tell("the lagging replica had received more than the new primary, and cannot follow it");
        }
    }
}
