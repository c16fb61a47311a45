//! What fails in a trial, and when: a plan that follows from the seed alone.

use std::time::Duration;

use fastrand::Rng;

/// A server of the topology, by what it does there at the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    FirstPrimary,
    /// The asynchronous replica of the first shard, which applies what it receives two seconds later.
    Lagging,
    SecondPrimary,
}

/// How the first shard changes its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failover {
    /// The primary is killed; after a while its standby is promoted.
    Killed { leaderless: Duration },
    /// The primary hangs; when it goes on, its standby has been promoted, and nobody has told it.
    Hung { leaderless: Duration },
    /// The standby, which nobody waits for, is cut off for a while before the primary is killed.
    CutOff { apart: Duration, leaderless: Duration },
}

/// Which failovers there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standby {
    Synchronous,
    Asynchronous,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// All clients' connections end.
    CutConnections(Place),
    /// One backend is killed, upon which the server ends all of them and recovers.
    KillBackend(Place),
    /// The lagging replica neither answers nor receives.
    HoldReplica,
    ReleaseReplica,
    /// The second shard's primary is killed and started again.
    RestartSecondPrimary,
    KillApi(usize),
    StartApi(usize),
    Failover(Failover),
    /// The server that was the first shard's primary is started again, with what it knew.
    ReturnOfTheOld,
}

/// Faults with their times since the beginning, in order.
pub(crate) type Plan = Vec<(Duration, Fault)>;

/// Between two faults, in milliseconds.
const PAUSE: std::ops::Range<u64> = 400..1600;

/// A plan for a trial of this length, with a failover about the middle of it if one of the standbys is to take over.
pub(crate) fn plan(
    random: &mut Rng,
    length: Duration,
    failing_over: Option<Standby>,
    replicas: usize,
) -> Plan {
    let mut plan = Plan::new();
    let mut at = Duration::from_millis(random.u64(PAUSE));
    while at < length {
        let (fault, end) = fault(random, replicas);
        plan.push((at, fault));
        let lasts = Duration::from_millis(random.u64(300..2000));
        plan.extend(end.map(|end| (at + lasts, end)));
        at += Duration::from_millis(random.u64(PAUSE));
    }
    if let Some(standby) = failing_over {
        let middle = length.mul_f64(0.35 + 0.3 * random.f64());
        plan.push((middle, Fault::Failover(failover(random, standby))));
        plan.push((middle + Duration::from_millis(random.u64(2000..4000)), Fault::ReturnOfTheOld));
    }
    // Of equal times the earlier drawn stays first, so a fault's end never comes before it.
    plan.sort_by_key(|(at, _)| *at);
    plan
}

/// A fault, and what ends it.
fn fault(random: &mut Rng, replicas: usize) -> (Fault, Option<Fault>) {
    let places = [Place::FirstPrimary, Place::FirstPrimary, Place::Lagging, Place::SecondPrimary];
    let place = places[random.usize(..places.len())];
    match random.u8(..12) {
        0..=4 => (Fault::CutConnections(place), None),
        5..=6 => (Fault::KillBackend(place), None),
        7..=8 => (Fault::HoldReplica, Some(Fault::ReleaseReplica)),
        9 => (Fault::RestartSecondPrimary, None),
        _ => {
            let index = random.usize(..replicas);
            (Fault::KillApi(index), Some(Fault::StartApi(index)))
        }
    }
}

fn failover(random: &mut Rng, standby: Standby) -> Failover {
    let leaderless = Duration::from_millis(random.u64(100..1500));
    match standby {
        Standby::Asynchronous => {
            Failover::CutOff { apart: Duration::from_millis(random.u64(200..1500)), leaderless }
        }
        Standby::Synchronous if random.bool() => Failover::Killed { leaderless },
        Standby::Synchronous => Failover::Hung { leaderless },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(seed: u64, standby: Standby) -> Plan {
        plan(&mut Rng::with_seed(seed), Duration::from_secs(20), Some(standby), 3)
    }

    #[test]
    fn a_plan_follows_from_its_seed_and_has_one_failover() {
        for seed in 0..200 {
            for standby in [Standby::Synchronous, Standby::Asynchronous] {
                let plan = planned(seed, standby);
                assert_eq!(plan, planned(seed, standby));
                let failovers = plan.iter().filter(|(_, fault)| matches!(fault, Fault::Failover(_)));
                assert_eq!(failovers.count(), 1);
                assert!(plan.is_sorted_by_key(|(at, _)| *at));
                assert!(plan.len() > 10, "{plan:?}");
            }
        }
    }

    #[test]
    fn without_a_failover_the_old_primary_stays() {
        for seed in 0..200 {
            let plan = plan(&mut Rng::with_seed(seed), Duration::from_secs(20), None, 3);
            let changes = |fault: &Fault| matches!(fault, Fault::Failover(_) | Fault::ReturnOfTheOld);
            assert!(!plan.is_empty() && !plan.iter().any(|(_, fault)| changes(fault)), "{plan:?}");
        }
    }

    #[test]
    fn all_kinds_of_faults_come_about() {
        let plans: Vec<_> = (0..50).flat_map(|seed| planned(seed, Standby::Synchronous)).collect();
        let has = |wanted: &dyn Fn(&Fault) -> bool| plans.iter().any(|(_, fault)| wanted(fault));
        assert!(has(&|fault| matches!(fault, Fault::Failover(Failover::Killed { .. }))));
        assert!(has(&|fault| matches!(fault, Fault::Failover(Failover::Hung { .. }))));
        for wanted in [
            Fault::CutConnections(Place::FirstPrimary),
            Fault::KillBackend(Place::Lagging),
            Fault::HoldReplica,
            Fault::ReleaseReplica,
            Fault::RestartSecondPrimary,
            Fault::KillApi(0),
            Fault::StartApi(2),
            Fault::ReturnOfTheOld,
        ] {
            assert!(has(&|fault| *fault == wanted), "{wanted:?}");
        }
    }
}
