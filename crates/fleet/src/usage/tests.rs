use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use phalanx_telemetry::clock;
use proptest::prelude::*;

use super::{
    Measured, Usage,
    family::Seeker,
    ledger::Ledger,
    meter::Readings,
    table::{Entry, ProcessId, Table},
};

fn id(pid: i32) -> ProcessId {
    ProcessId { pid, started: 1 }
}

/// A process in a group of its own.
fn process(pid: i32, parent: i32, own_ticks: u64, reaped_ticks: u64) -> Entry {
    Entry { id: id(pid), parent, group: pid, has_ended: false, own_ticks, reaped_ticks, resident_pages: 1 }
}

/// The totals after each entry of these processes: id, parent, own time, time of reaped children.
fn totals(entries: &[&[(i32, i32, u64, u64)]]) -> Vec<u64> {
    let mut ledger = Ledger::default();
    let enter = |members: &&[(i32, i32, u64, u64)]| {
        let members: Vec<_> =
            members.iter().map(|&(pid, parent, own, reaped)| process(pid, parent, own, reaped)).collect();
        ledger.enter(members.iter())
    };
    entries.iter().map(enter).collect()
}

#[test]
fn time_of_children_is_counted_once_however_they_end() {
    for (entries, expected, why) in [
        (&[&[(1, 0, 5, 0)][..], &[(1, 0, 9, 0)]][..], &[5, 9][..], "one process"),
        (&[&[(1, 0, 5, 7)], &[(1, 0, 5, 8)]], &[12, 13], "children that were never seen"),
        (&[&[(1, 0, 1, 0), (2, 1, 10, 0)], &[(1, 0, 1, 12)]], &[11, 13], "reaped, and used more before"),
        (&[&[(1, 0, 1, 0), (2, 1, 10, 0)], &[(1, 0, 2, 0)]], &[11, 12], "taken along, since nobody waited"),
        (
            &[&[(1, 0, 1, 0), (2, 1, 10, 0)], &[(1, 0, 1, 0)], &[(1, 0, 1, 12)]],
            &[11, 11, 13],
            "ended after its parent was read",
        ),
        (
            &[&[(1, 0, 1, 0), (2, 1, 4, 0), (3, 2, 6, 0)], &[(1, 0, 1, 10)]],
            &[11, 11],
            "a grandchild that was reaped before its parent",
        ),
        (
            &[&[(1, 0, 1, 0), (2, 1, 4, 0), (3, 2, 6, 0)], &[(1, 0, 1, 4), (3, 99, 8, 0)], &[(1, 0, 1, 4)]],
            &[11, 13, 13],
            "an orphan that somebody else waits for",
        ),
        (
            &[&[(1, 0, 1, 0), (2, 1, 10, 0), (3, 1, 10, 0)], &[(1, 0, 1, 10)], &[(1, 0, 1, 10)]],
            &[21, 21, 21],
            "one of two was waited for",
        ),
        (
            &[&[(1, 0, 1, 0), (2, 1, 10, 0)], &[(1, 0, 1, 0)], &[(1, 0, 1, 0)], &[(1, 0, 1, 3)]],
            &[11, 11, 11, 14],
            "what was not taken over soon is not expected for ever",
        ),
        (&[&[(1, 0, 9, 0)], &[(1, 0, 4, 0)], &[(1, 0, 5, 0)]], &[9, 9, 10], "a kernel that counts back"),
    ] {
        assert_eq!(totals(entries), expected, "{why}");
    }
}

/// A step in the life of a tree of processes.
#[derive(Clone, Debug)]
enum Step {
    /// One that is there starts another.
    Fork(prop::sample::Index),
    Use(prop::sample::Index, u64),
    /// One without children ends and is waited for.
    Reap(prop::sample::Index),
    /// As before, but its parent ignores `SIGCHLD`.
    Vanish(prop::sample::Index),
    /// The table is read.
    Look,
}

fn steps(vanish: u32) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => any::<prop::sample::Index>().prop_map(Step::Fork),
        6 => (any::<prop::sample::Index>(), 0..50_u64).prop_map(|(which, ticks)| Step::Use(which, ticks)),
        3 => any::<prop::sample::Index>().prop_map(Step::Reap),
        vanish => any::<prop::sample::Index>().prop_map(Step::Vanish),
        3 => Just(Step::Look),
    ];
    prop::collection::vec(step, 0..120)
}

/// A tree of processes whose use is known.
struct Model {
    processes: BTreeMap<i32, Entry>,
    next: i32,
    used: u64,
}

impl Model {
    fn new() -> Self {
        Self { processes: BTreeMap::from([(1, process(1, 0, 0, 0))]), next: 2, used: 0 }
    }

    fn step(&mut self, step: &Step) {
        let pids: Vec<_> = self.processes.keys().copied().collect();
        let childless = || {
            let parents: HashSet<_> = self.processes.values().map(|entry| entry.parent).collect();
            pids.iter().copied().filter(|pid| *pid != 1 && !parents.contains(pid)).collect::<Vec<_>>()
        };
        match step {
            Step::Fork(which) => {
                self.processes.insert(self.next, process(self.next, *which.get(&pids), 0, 0));
                self.next += 1;
            }
            Step::Use(which, ticks) => {
                self.processes.get_mut(which.get(&pids)).unwrap().own_ticks += ticks;
                self.used += ticks;
            }
            Step::Reap(which) | Step::Vanish(which) => {
                let childless = childless();
                if childless.is_empty() {
                    return;
                }
                let gone = self.processes.remove(which.get(&childless)).unwrap();
                if let Step::Reap(_) = step {
                    self.processes.get_mut(&gone.parent).unwrap().reaped_ticks +=
                        gone.own_ticks + gone.reaped_ticks;
                }
            }
            Step::Look => {}
        }
    }
}

proptest! {
    #[test]
    fn all_time_is_counted_once_where_every_child_is_waited_for(steps in steps(0)) {
        let (mut model, mut ledger) = (Model::new(), Ledger::default());
        for step in &steps {
            model.step(step);
            if let Step::Look = step {
                prop_assert_eq!(ledger.enter(model.processes.values()), model.used);
            }
        }
        prop_assert_eq!(ledger.enter(model.processes.values()), model.used);
    }

    #[test]
    fn the_total_never_goes_back_and_is_never_too_much(steps in steps(3)) {
        let (mut model, mut ledger) = (Model::new(), Ledger::default());
        let mut before = 0;
        for step in &steps {
            model.step(step);
            if let Step::Look = step {
                let total = ledger.enter(model.processes.values());
                prop_assert!((before..=model.used).contains(&total), "{before} {total} {}", model.used);
                before = total;
            }
        }
    }
}

/// The family of process 10 among `entries`, when it was known to have `known`.
fn family(entries: Vec<Entry>, known: &[ProcessId]) -> Option<Vec<i32>> {
    let table = Table::of(entries);
    let mut seeker = Seeker::new(&table);
    seeker.look_for(id(10), None, known.iter().copied());
    let found = seeker.find(&mut HashSet::new()).remove(&id(10))?;
    let mut pids: Vec<_> = found.members().map(|entry| entry.id.pid).collect();
    pids.sort_unstable();
    Some(pids)
}

#[test]
fn a_family_is_a_group_and_all_descendants_and_those_that_were() {
    let in_group = |pid, parent, group| Entry { group, ..process(pid, parent, 0, 0) };
    let everybody = || {
        vec![
            process(1, 0, 0, 0),
            process(2, 1, 0, 0),
            process(10, 2, 0, 0),
            in_group(11, 10, 10),
            // Has left the group, and has a child.
            process(12, 11, 0, 0),
            process(13, 12, 0, 0),
            // Its parent has ended.
            in_group(14, 1, 10),
            // So has this one's, and it has left the group.
            process(15, 1, 0, 0),
            // The leader of another replica.
            process(20, 2, 0, 0),
        ]
    };
    assert_eq!(family(everybody(), &[]), Some(vec![10, 11, 12, 13, 14]));
    assert_eq!(family(everybody(), &[id(15)]), Some(vec![10, 11, 12, 13, 14, 15]));
    let another = ProcessId { pid: 15, started: 0 };
    assert_eq!(family(everybody(), &[another]), Some(vec![10, 11, 12, 13, 14]), "its id was given again");
    let circle = vec![process(10, 2, 0, 0), process(30, 31, 0, 0), process(31, 30, 0, 0)];
    assert_eq!(family(circle, &[]), Some(vec![10]));
    assert_eq!(family(vec![process(1, 0, 0, 0)], &[]), None);
}

fn usage(taken: Instant, cpu_millis: u64, run: ProcessId) -> Usage {
    Usage { cpu: Duration::from_millis(cpu_millis), memory_bytes: 1, taken, run }
}

#[test]
fn a_rate_is_of_one_run_and_of_some_time() {
    let began = clock::now();
    let at = |seconds| began + Duration::from_secs(seconds);
    let earlier = usage(at(10), 1_000, id(1));
    for (later, milli) in [
        (usage(at(20), 6_000, id(1)), Some(500)),
        (usage(at(20), 1_000, id(1)), Some(0)),
        (usage(at(11), 3_500, id(1)), Some(2_500)),
        (usage(at(20), 6_000, id(2)), None),
        (usage(at(10), 6_000, id(1)), None),
        (usage(at(9), 6_000, id(1)), None),
        (usage(at(20), 900, id(1)), None),
        (Usage { cpu: Duration::MAX, ..usage(at(11), 0, id(1)) }, None),
    ] {
        assert_eq!(later.cpu_milli_since(&earlier), milli, "{later:?}");
    }
}

#[test]
fn the_rate_that_is_kept_is_of_a_second_or_more_of_one_run() {
    let began = clock::now();
    let at = |millis| began + Duration::from_millis(millis);
    let mut readings = Readings::default();
    for (sample, rate, why) in [
        (Some(usage(at(0), 100, id(1))), None, "the first"),
        (Some(usage(at(500), 600, id(1))), None, "too soon"),
        (Some(usage(at(2_000), 1_100, id(1))), Some(500), "since the first"),
        (Some(usage(at(2_010), 1_110, id(1))), Some(500), "too soon: the last is kept"),
        (Some(usage(at(4_000), 1_100 + 3_000, id(1))), Some(1_500), "since the last that was not"),
        (Some(usage(at(6_000), 10, id(2))), None, "another run"),
        (None, None, "no sample"),
        (Some(usage(at(9_000), 20, id(2))), None, "nothing to reckon from"),
    ] {
        let samples = sample.map(|sample| (Arc::from("api-1"), sample)).into_iter().collect();
        readings.take(&samples);
        let expected = sample.map(|usage| Measured { usage, cpu_milli: rate });
        assert_eq!(readings.measured("api-1"), expected, "{why}");
    }
}
