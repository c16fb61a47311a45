//! A service whose replicas are run by a supervisor, one second after the other; every plan is judged before it is carried out.

use std::{collections::BTreeSet, time::Duration};

use phalanx_scale::rollout::{
    Actions, Ceiling, Counts, Fenceposts, Observed, Plan, Policy, Reasons, Replica, ReplicaId, Rollout,
    Standing, Status, Version,
};

const SECOND: Duration = Duration::from_secs(1);
const START_SECONDS: u64 = 20;
const DRAIN_SECONDS: u64 = 20;
/// Longer than a replica must be ready for: one that flaps can get past that.
const FLAP_SECONDS: u64 = 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Build {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
    /// Is never ready.
    Broken,
    /// Is ready for a while, and crashes.
    Flapping,
}

struct Instance {
    seen: Replica,
    /// When what it does is over.
    until: Duration,
}

pub(crate) struct World {
    pub(crate) random: fastrand::Rng,
    pub(crate) rollout: Rollout<Build>,
    pub(crate) now: Duration,
    pub(crate) status: Option<Status>,
    pub(crate) said: Vec<String>,
    policy: Policy,
    instances: Vec<Instance>,
    started: u32,
    /// A plan that got lost on its way, and may yet arrive.
    lost: Option<Plan>,
}

impl World {
    pub(crate) fn new(random: fastrand::Rng, policy: Policy, desired: u32) -> Self {
        let now = Duration::ZERO;
        let rollout = Rollout::new(policy, desired, Build { number: 0, kind: Kind::Good }, now);
        let (instances, said) = (Vec::new(), Vec::new());
        Self { random, rollout, now, status: None, said, policy, instances, started: 0, lost: None }
    }

    pub(crate) fn posts(&self) -> Fenceposts {
        self.policy.pace.fenceposts(self.rollout.desired())
    }

    pub(crate) fn ids(&self) -> BTreeSet<ReplicaId> {
        self.instances.iter().map(|instance| instance.seen.id).collect()
    }

    pub(crate) fn of(&self, version: Version) -> impl Iterator<Item = &Replica> {
        self.live().filter(move |replica| replica.version == version)
    }

    pub(crate) fn available(&self) -> u32 {
        count(self.live().filter(|replica| self.is_available(replica)))
    }

    /// Ends the process of one replica.
    pub(crate) fn crash_one(&mut self) {
        if self.instances.is_empty() {
            return;
        }
        let at = self.random.usize(0..self.instances.len());
        if self.instances[at].seen.standing == Standing::Draining {
            self.instances.remove(at);
        } else {
            self.crash(at);
        }
    }

    /// Runs until the rollout is complete and nothing drains.
    pub(crate) fn settle(&mut self, seconds_max: u32) {
        for _ in 0..seconds_max {
            self.second();
            let all = u32::try_from(self.instances.len()).unwrap();
            if self.status == Some(Status::Complete) && all == self.rollout.desired() {
                let current = self.rollout.current().version;
                assert_eq!(self.of(current).count(), self.instances.len());
                return;
            }
        }
        panic!("not complete after {seconds_max} s: {:#?}", self.said.last());
    }

    /// Lets a second pass, then plans and acts until there is nothing to do.
    pub(crate) fn second(&mut self) {
        self.now += SECOND;
        self.supervise();
        for _ in 0..10 {
            if !self.plan_and_act() {
                return;
            }
        }
        panic!("plans without an end: {:#?}", self.said);
    }

    fn plan_and_act(&mut self) -> bool {
        let replicas = self.instances.iter().map(|instance| instance.seen).collect();
        let observed = Observed { generation: self.rollout.generation(), replicas };
        let (plan, reasons) = self.rollout.plan(&observed, self.now);
        self.status = Some(reasons.status);
        self.said.push(reasons.to_string());
        if self.random.u32(0..10) == 0 {
            self.lost = Some(plan.clone());
        }
        let actions = self.rollout.admit(plan).unwrap();
        self.judge(&actions, &reasons);
        let has_acted = !actions.is_empty();
        self.carry_out(&actions);
        if has_acted {
            // It was made before this one was carried out.
            let late = self.lost.take();
            assert!(late.is_none_or(|late| self.rollout.admit(late).is_err()));
        }
        has_acted
    }

    fn judge(&self, actions: &Actions, reasons: &Reasons) {
        let Counts { draining, .. } = reasons.counts;
        let (posts, live) = (self.posts(), count(self.live()));
        assert!(actions.start.is_empty() || actions.stop.is_empty(), "{reasons}");

        let starts: u32 = actions.start.iter().map(|start| start.count.get()).sum();
        let counted = match self.policy.ceiling {
            Ceiling::Live => live,
            Ceiling::LiveAndDraining => live + draining,
        };
        assert!(
            starts == 0 || counted + starts <= posts.max_total,
            "{counted} + {starts}, {posts:?}, {reasons}"
        );
        assert!(actions.start.iter().all(|start| self.rollout.template(start.version).is_some()));

        let stops: BTreeSet<_> = actions.stop.iter().collect();
        assert_eq!(stops.len(), actions.stop.len(), "nobody is stopped twice");
        let stopped: Vec<_> = self.live().filter(|replica| stops.contains(&replica.id)).collect();
        assert_eq!(stopped.len(), stops.len(), "whoever is stopped was live");
        let lost = count(stopped.into_iter().filter(|replica| self.is_available(replica)));
        assert!(lost == 0 || self.available() - lost >= posts.min_available, "{posts:?}, {reasons}");
        assert!(live + starts - count(stops.into_iter()) <= posts.max_total, "{posts:?}, {reasons}");
    }

    fn carry_out(&mut self, actions: &Actions) {
        for instance in self.instances.iter_mut().filter(|instance| actions.stop.contains(&instance.seen.id))
        {
            instance.seen.standing = Standing::Draining;
            instance.until = self.now + Duration::from_secs(self.random.u64(0..=DRAIN_SECONDS));
        }
        for start in &actions.start {
            for _ in 0..start.count.get() {
                self.started += 1;
                let id = ReplicaId(self.started);
                let seen = Replica { id, version: start.version, standing: Standing::Waiting, restarts: 0 };
                self.instances.push(Instance { seen, until: self.now });
            }
        }
    }

    /// What the fleet does by itself.
    fn supervise(&mut self) {
        let now = self.now;
        self.instances
            .retain(|instance| instance.seen.standing != Standing::Draining || instance.until > now);
        for at in 0..self.instances.len() {
            if self.instances[at].until > now {
                continue;
            }
            let kind = self.rollout.template(self.instances[at].seen.version).unwrap().kind;
            match (self.instances[at].seen.standing, kind) {
                (Standing::Waiting, _) => self.enter(at, Standing::Starting, START_SECONDS),
                (Standing::Starting, Kind::Broken) | (Standing::Ready { .. }, Kind::Flapping) => {
                    self.crash(at);
                }
                (Standing::Starting | Standing::NotReady, _) => {
                    self.enter(at, Standing::Ready { since: now }, FLAP_SECONDS);
                }
                (Standing::Ready { .. } | Standing::Draining, _) => {}
            }
        }
    }

    fn crash(&mut self, at: usize) {
        self.instances[at].seen.restarts += 1;
        let pause = (1 << self.instances[at].seen.restarts.min(5)).min(30);
        self.enter(at, Standing::Waiting, pause);
    }

    fn enter(&mut self, at: usize, standing: Standing, seconds_max: u64) {
        self.instances[at].seen.standing = standing;
        self.instances[at].until = self.now + Duration::from_secs(self.random.u64(1..=seconds_max));
    }

    fn live(&self) -> impl Iterator<Item = &Replica> {
        let replicas = self.instances.iter().map(|instance| &instance.seen);
        replicas.filter(|replica| replica.standing != Standing::Draining)
    }

    fn is_available(&self, replica: &Replica) -> bool {
        let min_ready = self.policy.patience.min_ready();
        matches!(replica.standing, Standing::Ready { since } if since + min_ready <= self.now)
    }
}

fn count(things: impl Iterator) -> u32 {
    u32::try_from(things.count()).unwrap()
}
