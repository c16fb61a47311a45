//! Whole rollouts, step by step.

use std::fmt::Write as _;

use expect_test::expect;

use super::*;

/// Carries plans out until nothing changes. Between two plans a second passes, in which every replica that starts becomes ready,
/// unless it is of a version in `broken`, and every one that drains ends.
struct World {
    rollout: Rollout<char>,
    replicas: Vec<Replica>,
    broken: &'static str,
    started: u32,
    now: Duration,
}

impl World {
    fn new(policy: Policy, desired: u32) -> Self {
        let rollout = Rollout::new(policy, desired, 'A', Duration::ZERO);
        let mut world = Self { rollout, replicas: Vec::new(), broken: "", started: 0, now: Duration::ZERO };
        world.run();
        world
    }

    fn letters(&self) -> String {
        let mut letters: Vec<_> = self
            .replicas
            .iter()
            .map(|replica| {
                let template = *self.rollout.template(replica.version).unwrap();
                match replica.standing {
                    Standing::Ready { .. } => template,
                    _ => template.to_ascii_lowercase(),
                }
            })
            .collect();
        letters.sort_by_key(|letter| (letter.to_ascii_uppercase(), *letter));
        letters.into_iter().collect()
    }

    fn run(&mut self) -> String {
        let mut walk = String::new();
        for _ in 0..100 {
            let observed =
                Observed { generation: self.rollout.generation(), replicas: self.replicas.clone() };
            let (plan, reasons) = self.rollout.plan(&observed, self.now);
            let letters = self.letters();
            let actions = self.rollout.admit(plan).unwrap();
            let done = shown(&self.rollout, &actions);
            writeln!(walk, "{letters}: {done} ({}; {})", reasons.reason, reasons.status).unwrap();
            let is_over = actions.is_empty();
            self.carry_out(&actions);
            if !self.pass() && is_over {
                return walk;
            }
        }
        panic!("there is no end to it:\n{walk}");
    }

    fn carry_out(&mut self, actions: &Actions) {
        for replica in self.replicas.iter_mut().filter(|replica| actions.stop.contains(&replica.id)) {
            replica.standing = Standing::Draining;
        }
        for start in &actions.start {
            for _ in 0..start.count.get() {
                self.started += 1;
                let (id, standing) = (ReplicaId(self.started), Standing::Starting);
                self.replicas.push(Replica { id, version: start.version, standing, restarts: 0 });
            }
        }
    }

    /// Whether anything has changed.
    fn pass(&mut self) -> bool {
        self.now += SECOND;
        let (before, now) = (self.replicas.clone(), self.now);
        self.replicas.retain(|replica| replica.standing != Standing::Draining);
        for replica in &mut self.replicas {
            let template = *self.rollout.template(replica.version).unwrap();
            if replica.standing == Standing::Starting && !self.broken.contains(template) {
                replica.standing = Standing::Ready { since: now };
            }
        }
        self.replicas != before
    }
}

#[test]
fn four_by_default() {
    let mut world = World::new(Policy::default(), 4);
    world.rollout.roll_to('B', world.now);
    expect![[r#"
        AAAA: +1B (start 1, at most 5; progressing)
        AAAAB: -4 -3 (stop 2 old; progressing)
        AAB: +2B (start 2, at most 5; progressing)
        AABBB: -2 -1 (stop 2 old; progressing)
        BBB: +1B (start 1, at most 5; progressing)
        BBBB: hold (settled; complete)
    "#]]
    .assert_eq(&world.run());
}

#[test]
fn three_that_must_all_be_available() {
    let mut world = World::new(pace("1", "0"), 3);
    world.rollout.roll_to('B', world.now);
    expect![[r#"
        AAA: +1B (start 1, at most 4; progressing)
        AAAB: -3 (stop 1 old; progressing)
        AAB: +1B (start 1, at most 4; progressing)
        AABB: -2 (stop 1 old; progressing)
        ABB: +1B (start 1, at most 4; progressing)
        ABBB: -1 (stop 1 old; progressing)
        BBB: hold (settled; complete)
    "#]]
    .assert_eq(&world.run());
}

#[test]
fn three_without_room_for_a_fourth() {
    let mut world = World::new(pace("0", "1"), 3);
    world.rollout.roll_to('B', world.now);
    expect![[r#"
        AAA: -3 (stop 1 old; progressing)
        AA: +1B (start 1, at most 3; progressing)
        AAB: -2 (stop 1 old; progressing)
        AB: +1B (start 1, at most 3; progressing)
        ABB: -1 (stop 1 old; progressing)
        BB: +1B (start 1, at most 3; progressing)
        BBB: hold (settled; complete)
    "#]]
    .assert_eq(&world.run());
}

#[test]
fn one_by_default() {
    let mut world = World::new(Policy::default(), 1);
    world.rollout.roll_to('B', world.now);
    expect![[r#"
        A: +1B (start 1, at most 2; progressing)
        AB: -1 (stop 1 old; progressing)
        B: hold (settled; complete)
    "#]]
    .assert_eq(&world.run());
}

#[test]
fn a_restart_replaces_every_replica_by_one_of_the_same_template() {
    let mut world = World::new(Policy::default(), 2);
    let before: Vec<_> = world.replicas.iter().map(|replica| replica.id).collect();
    world.rollout.restart(world.now).unwrap();
    world.run();
    assert_eq!(world.letters(), "AA");
    assert!(world.replicas.iter().all(|replica| !before.contains(&replica.id)));
}

#[test]
fn a_broken_version_stays_beside_the_old_one_and_undo_removes_it() {
    let mut world = World::new(Policy::default(), 4);
    world.broken = "B";
    world.rollout.roll_to('B', world.now);
    expect![[r#"
        AAAA: +1B (start 1, at most 5; progressing)
        AAAAb: -4 (stop 1 old; progressing)
        AAAb: +1B (start 1, at most 5; progressing)
        AAAbb: hold (held: 2 new not available, at least 3 must be; progressing)
    "#]]
    .assert_eq(&world.run());
    let kept: Vec<_> =
        world.replicas.iter().filter(|kept| kept.standing != Standing::Starting).copied().collect();
    world.rollout.undo(Target::Previous, world.now).unwrap();
    expect![[r#"
        AAAbb: -6 -5 (stop 2 old unhealthy; progressing)
        AAA: +1A (start 1, at most 5; progressing)
        AAAA: hold (settled; complete)
    "#]]
    .assert_eq(&world.run());
    assert!(kept.iter().all(|kept| world.replicas.contains(kept)), "they were not restarted");
}

#[test]
fn from_two_to_eight_and_back_the_youngest_go() {
    let mut world = World::new(Policy::default(), 2);
    world.rollout.scale(8);
    expect![[r#"
        AA: +6A (start 6, at most 10; adjusting)
        AAAAAAAA: hold (settled; complete)
    "#]]
    .assert_eq(&world.run());
    world.rollout.scale(2);
    expect![[r#"
        AAAAAAAA: -8 -7 -6 -5 -4 -3 (stop 6 too many; adjusting)
        AA: hold (settled; complete)
    "#]]
    .assert_eq(&world.run());
    world.rollout.scale(0);
    world.rollout.roll_to('B', world.now);
    world.run();
    assert_eq!(world.rollout.current().record, Record::Unproven, "nothing ran of it");
}

#[test]
fn a_version_that_stalls_is_rolled_back_to_the_last_that_was_complete() {
    let patience = Patience::new(Duration::ZERO, Some(60 * SECOND)).unwrap();
    let mut world = World::new(Policy { patience, on_stall: OnStall::RollBack, ..pace("1", "0") }, 2);
    world.broken = "BC";
    world.rollout.roll_to('B', world.now);
    world.run();
    world.rollout.roll_to('C', world.now);
    let mut walk = world.run();
    world.now += 60 * SECOND;
    walk.push_str(&world.run());
    expect![[r#"
        AAb: -3 (stop 1 old unhealthy; progressing)
        AA: +1C (start 1, at most 3; progressing)
        AAc: hold (held: 1 new not available, at least 2 must be; progressing)
        AAc: -4 (stop 1 old unhealthy; progressing)
        AA: hold (settled; complete)
    "#]]
    .assert_eq(&walk);
    assert_eq!(world.rollout.current().template, 'A');
}
