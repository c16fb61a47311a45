//! Rollouts of good and bad versions while replicas crash, the desired number changes and orders come at any time, over many
//! seeds. A failure names its seed.

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod world;

use std::time::Duration;

use phalanx_scale::rollout::{Ceiling, IntOrPercent, OnStall, Pace, Patience, Policy, Status, Target};

use self::world::{Build, Kind, World};

const SEEDS: u64 = 150;
/// As long as faults and orders come.
const TROUBLE_SECONDS: u32 = 900;
/// In which a rollout of a good version ends, however it stands.
const CALM_SECONDS: u32 = 3_000;
/// Longer than a good replica takes to start after a pause, and another to drain.
const DEADLINE: Duration = Duration::from_secs(240);

/// Says which seed it was when a test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

fn policy(random: &mut fastrand::Rng) -> Policy {
    let amount = |random: &mut fastrand::Rng| match random.bool() {
        true => IntOrPercent::Int(random.u32(0..4)),
        false => IntOrPercent::Percent(random.u32(0..=100)),
    };
    let pace = Pace::new(amount(random), amount(random)).unwrap_or_default();
    let min_ready = Duration::from_secs(random.u64(0..10));
    Policy {
        pace,
        patience: Patience::new(min_ready, Some(DEADLINE)).unwrap(),
        ceiling: if random.bool() { Ceiling::Live } else { Ceiling::LiveAndDraining },
        on_stall: if random.bool() { OnStall::Hold } else { OnStall::RollBack },
    }
}

/// A world whose first version is complete.
fn settled(seed: u64) -> World {
    let mut random = fastrand::Rng::with_seed(seed);
    let (policy, desired) = (policy(&mut random), random.u32(1..12));
    let mut world = World::new(random, policy, desired);
    world.settle(CALM_SECONDS);
    world
}

#[test]
fn bounds_hold_through_any_trouble_and_a_good_version_gets_through_after_it() {
    for seed in 0..SEEDS {
        let _seed = Seed(seed);
        let mut world = settled(seed);
        for _ in 0..TROUBLE_SECONDS {
            if world.random.u32(0..20) == 0 {
                world.crash_one();
            }
            if world.random.u32(0..40) == 0 {
                order_anything(&mut world);
            }
            world.second();
        }
        let now = world.now;
        world.rollout.resume(now);
        let last = Build { number: u32::MAX, kind: Kind::Good };
        world.rollout.roll_to(last, now);
        world.rollout.scale(world.random.u32(0..12));
        world.settle(CALM_SECONDS);
        assert_eq!(world.rollout.current().template, last, "nobody turned back from a good version");
    }
}

fn order_anything(world: &mut World) {
    let now = world.now;
    match world.random.u32(0..8) {
        0 | 1 => {
            let kind = [Kind::Good, Kind::Broken, Kind::Flapping][world.random.usize(0..3)];
            let number = world.random.u32(0..6);
            world.rollout.roll_to(Build { number, kind }, now);
        }
        2 => _ = world.rollout.restart(now),
        3 => _ = world.rollout.undo(Target::Previous, now),
        4 => world.rollout.pause(),
        5 => world.rollout.resume(now),
        _ => world.rollout.scale(world.random.u32(0..12)),
    }
}

#[test]
fn without_crashes_enough_are_available_at_every_moment_whatever_is_rolled_out() {
    for seed in 0..SEEDS {
        let _seed = Seed(seed);
        let mut world = settled(seed);
        for _ in 0..TROUBLE_SECONDS {
            let now = world.now;
            match world.random.u32(0..200) {
                0 => _ = world.rollout.restart(now),
                1 => _ = world.rollout.undo(Target::Previous, now),
                2 => world.rollout.pause(),
                3 | 4 => world.rollout.resume(now),
                // Of what is there, fewer are always enough.
                5 => world.rollout.scale(world.random.u32(0..=world.rollout.desired())),
                6..9 => {
                    let kind = if world.random.bool() { Kind::Good } else { Kind::Broken };
                    let number = world.random.u32(0..6);
                    world.rollout.roll_to(Build { number, kind }, now);
                }
                _ => {}
            }
            world.second();
            let (available, min) = (world.available(), world.posts().min_available);
            assert!(available >= min, "{available} available of at least {min}");
        }
    }
}

#[test]
fn a_version_that_crashes_stays_beside_the_old_one_until_undo_restores_it() {
    for seed in 0..SEEDS {
        let _seed = Seed(seed);
        let mut world = settled(seed);
        let (before, old, desired) = (world.ids(), world.rollout.current().version, world.rollout.desired());
        let now = world.now;
        world.rollout.roll_to(Build { number: 1, kind: Kind::Broken }, now);
        for _ in 0..TROUBLE_SECONDS {
            world.second();
            assert!(world.of(old).count() >= usize::try_from(world.posts().min_available).unwrap());
        }
        if world.rollout.current().version != old {
            let bad = world.rollout.current().version;
            assert!(matches!(world.status, Some(Status::Stalled { .. })), "{:?}", world.status);
            let left = world.of(old).count();
            // In the middle of it more are needed: of both, as far as they are to be had.
            world.rollout.scale(desired * 2);
            world.second();
            assert!(world.of(old).count() >= left);
            world.rollout.scale(desired);
            world.second();
            let now = world.now;
            world.rollout.undo(Target::Previous, now).unwrap();
            world.settle(CALM_SECONDS);
            assert_eq!(world.of(bad).count(), 0);
        }
        assert_eq!(world.rollout.current().version, old);
        let kept = world.ids().into_iter().filter(|id| before.contains(id)).count();
        assert!(
            kept >= usize::try_from(world.posts().min_available).unwrap(),
            "those that were left were not restarted"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_rollout() {
    let run = |seed| {
        let mut world = settled(seed);
        for _ in 0..TROUBLE_SECONDS {
            if world.random.u32(0..40) == 0 {
                order_anything(&mut world);
            }
            world.second();
        }
        (world.ids(), world.said)
    };
    assert_eq!(run(7), run(7));
}
