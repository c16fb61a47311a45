//! What it costs to measure a fleet: CPU time of one sample of so many idle replicas, each a shell and a child of its own.
//!
//! `cargo run --release -p phalanx-fleet --example sampling -- 50`

use std::{
    env,
    error::Error,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use phalanx_fleet::Sampler;
use phalanx_telemetry::clock;
use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process_group};

const SAMPLES: u32 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let count = env::args().nth(1).map_or(Ok(50), |count| count.parse())?;
    let mut children = Vec::new();
    for _ in 0..count {
        let child = Command::new("sh")
            .args(["-c", "sleep 1000; :"])
            .process_group(0)
            .stdout(Stdio::null())
            .spawn()?;
        children.push(child);
    }
    let replicas: Vec<_> = children
        .iter()
        .enumerate()
        .map(|(ordinal, child)| (Arc::from(format!("idle-{ordinal}")), child.id()))
        .collect();
    let mut sampler = Sampler::new();
    sampler.sample(&replicas);
    let (began, cpu_before) = (clock::now(), cpu_time()?);
    let mut measured = 0;
    for _ in 0..SAMPLES {
        measured += sampler.sample(&replicas).len();
    }
    let (elapsed, cpu) = (clock::now() - began, cpu_time()?.saturating_sub(cpu_before));
    end(children);
    println!(
        "{count} replicas, {measured} of {} samples: {:?} CPU and {:?} for one sample of all",
        SAMPLES as usize * count,
        cpu / SAMPLES,
        elapsed / SAMPLES
    );
    Ok(())
}

/// Of this process, in whole clock ticks, of which so many samples take enough.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let stat = Process::myself()?.stat()?;
    Ok(Duration::from_millis((stat.utime + stat.stime) * 1000 / procfs::ticks_per_second()))
}

fn end(children: Vec<Child>) {
    for mut child in children {
        // A group of zombies only cannot be signalled, and need not be.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let _ = child.wait();
    }
}
