//! What process trees use, from the real `/proc`.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use phalanx_fleet::{Sampler, Usage};
use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::harness::eventually;

const MIB: u64 = 1 << 20;
/// As much as shows above the coarseness of clock ticks.
const TICKS_MIN: u64 = 20;

/// A shell that stands for a replica, and everything it starts.
struct Tree {
    leader: Child,
    instance: Arc<str>,
    /// Processes that have left its group and told their ids.
    others: Vec<u32>,
}

impl Tree {
    /// Starts it, and waits until it has printed `ready` and, each on a line, the ids of so many processes.
    fn start(instance: &str, others: usize, script: &str) -> Self {
        let mut leader = Command::new("sh")
            .args(["-c", script])
            .envs([("PHALANX_INSTANCE", instance), ("PORT", "1")])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(leader.stdout.take().unwrap()).lines();
        let mut tree = Self { leader, instance: instance.into(), others: Vec::new() };
        let mut is_ready = false;
        while !is_ready || tree.others.len() < others {
            match lines.next().unwrap().unwrap().as_str() {
                "ready" => is_ready = true,
                pid => tree.others.push(pid.parse().unwrap()),
            }
        }
        tree
    }

    fn listed(&self) -> [(Arc<str>, u32); 1] {
        [(Arc::clone(&self.instance), self.leader.id())]
    }

    fn sample(&self, sampler: &mut Sampler) -> Option<Usage> {
        sampler.sample(&self.listed()).remove(&self.instance)
    }

    /// What each of its processes has used by its own account, in clock ticks.
    fn ticks(&self) -> Vec<u64> {
        self.others.iter().chain([&self.leader.id()]).map(|pid| ticks(*pid)).collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let pid = |pid: u32| Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        for other in &self.others {
            let _ = kill_process(pid(*other), Signal::KILL);
        }
        let _ = kill_process_group(pid(self.leader.id()), Signal::KILL);
        let _ = self.leader.wait();
    }
}

fn ticks(pid: u32) -> u64 {
    let stat = Process::new(i32::try_from(pid).unwrap()).unwrap().stat().unwrap();
    stat.utime + stat.stime + u64::try_from(stat.cutime + stat.cstime).unwrap()
}

fn duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / procfs::ticks_per_second())
}

#[tokio::test]
async fn processes_that_leave_their_group_and_their_parent_are_counted() {
    // The first has a session of its own; the second is a daemon, whose parent has ended before anybody looks.
    let tree = Tree::start(
        "far-1",
        2,
        "setsid sh -c 'echo $$; while :; do :; done' &
        (setsid sh -c '(echo $(exec sh -c \"echo \\$PPID\"); while :; do :; done) &')
        echo ready; exec sleep 1000",
    );
    eventually(|| tree.others.iter().all(|pid| ticks(*pid) >= TICKS_MIN)).await;
    let mut sampler = Sampler::new();
    let before: u64 = tree.ticks().iter().sum();
    let used = tree.sample(&mut sampler).unwrap();
    let after: u64 = tree.ticks().iter().sum();
    // Beyond what is seen here there are shells that ended long ago.
    let bounds = duration(before)..=duration(after) + Duration::from_secs(1);
    assert!(bounds.contains(&used.cpu), "{used:?} is not in {bounds:?}");

    let later = tree.sample(&mut sampler).unwrap();
    assert!(later.cpu >= used.cpu && later.taken > used.taken);
    assert!(later.cpu_milli_since(&used).is_some());
}

#[tokio::test]
async fn time_of_children_that_come_and_go_adds_up() {
    let work = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
    let tree = Tree::start(
        "busy-1",
        0,
        &format!(
            "echo ready; n=0; while [ $n -lt 20 ]; do sh -c '{work}'; n=$((n+1)); done; exec sleep 1000"
        ),
    );
    let mut sampler = Sampler::new();
    let mut seen = vec![tree.sample(&mut sampler).unwrap().cpu];
    let is_idle = || {
        let process = Process::new(i32::try_from(tree.leader.id()).unwrap()).unwrap();
        process.cmdline().unwrap().first().is_some_and(|program| program == "sleep")
    };
    eventually(|| {
        seen.extend(tree.sample(&mut sampler).map(|used| used.cpu));
        is_idle()
    })
    .await;
    seen.push(tree.sample(&mut sampler).unwrap().cpu);
    assert!(seen.is_sorted(), "{seen:?}");
    let truth = duration(ticks(tree.leader.id()));
    assert!(truth >= duration(TICKS_MIN), "{truth:?} is too little to tell anything");
    // Each child may have been seen with one tick less than its parent got of it: the kernel counts finer than it tells.
    let told = seen.last().copied().unwrap();
    assert!(told <= truth && told + duration(20) >= truth, "{told:?} for {truth:?}");
}

#[tokio::test]
async fn memory_that_is_shared_counts_once() {
    let hold = "x=$(head -c 40000000 /dev/zero | tr '\\0' x)";
    let alone = Tree::start("alone-1", 0, &format!("{hold}; echo ready; read y < /dev/zero"));
    let shared = Tree::start(
        "shared-1",
        0,
        &format!("{hold}; for i in 1 2 3; do (trap : TERM; sleep 1000; :) & done; echo ready; wait"),
    );
    let mut sampler = Sampler::new();
    let replicas = [alone.listed(), shared.listed()].concat();
    let used = sampler.sample(&replicas);
    for tree in [&alone, &shared] {
        let bytes = used[&tree.instance].memory_bytes;
        assert!((38 * MIB..80 * MIB).contains(&bytes), "{} has {} MiB", tree.instance, bytes / MIB);
    }
}

#[test]
fn who_is_gone_or_somebody_else_has_no_sample() {
    let mut tree = Tree::start("short-1", 0, "echo ready; exec sleep 1000");
    let mut sampler = Sampler::new();
    assert!(tree.sample(&mut sampler).is_some());

    tree.leader.kill().unwrap();
    // Ended, and not waited for yet: its file is still there, and says nothing of use.
    let pid = Pid::from_child(&tree.leader);
    let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), ended).unwrap();
    assert_eq!(tree.sample(&mut sampler), None);
    tree.leader.wait().unwrap();
    assert_eq!(tree.sample(&mut sampler), None);

    let strangers: [(Arc<str>, u32); 3] =
        [("a-1".into(), 1), ("a-2".into(), std::process::id()), ("a-3".into(), u32::MAX)];
    assert!(sampler.sample(&strangers).is_empty());
}
