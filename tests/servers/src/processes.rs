//! The processes of a server, by who has started whom. PostgreSQL gives each of its processes a session of its own, so a
//! signal to the group of the first would reach only that.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// The children of a process that live.
pub(crate) fn children(parent: Pid) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("/proc can be read");
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let processes = numbers.filter_map(Pid::from_raw);
    processes
        .filter(|process| state(*process).is_some_and(|(state, of)| of == parent && state != 'Z'))
        .collect()
}

/// Stops a process and its children. The first goes first, so that it starts none in between.
pub(crate) fn stop(first: Pid) {
    signal(first, Signal::STOP);
    crate::wait::eventually(|| is_stopped(first).then_some(())).expect("a process that is told to stop does");
    let children = children(first);
    for child in &children {
        signal(*child, Signal::STOP);
    }
    let all_stopped = || children.iter().all(|child| is_stopped(*child)).then_some(());
    crate::wait::eventually(all_stopped).expect("processes that are told to stop do");
}

/// Lets them go on.
pub(crate) fn resume(first: Pid) {
    for child in children(first) {
        signal(child, Signal::CONT);
    }
    signal(first, Signal::CONT);
}

/// Kills a process and its children; the first is still to be reaped.
pub(crate) fn kill(first: Pid) {
    stop(first);
    let children = children(first);
    for child in &children {
        signal(*child, Signal::KILL);
    }
    signal(first, Signal::KILL);
    let all_gone = || children.iter().all(|child| is_gone(*child)).then_some(());
    crate::wait::eventually(all_gone).expect("killed processes end");
}

/// One that has just ended needs no signal any more.
pub(crate) fn signal(process: Pid, signal: Signal) {
    let _ = kill_process(process, signal);
}

pub(crate) fn is_gone(process: Pid) -> bool {
    state(process).is_none_or(|(state, _)| state == 'Z')
}

fn is_stopped(process: Pid) -> bool {
    state(process).is_none_or(|(state, _)| matches!(state, 'T' | 'Z'))
}

/// The state of a process and its parent.
fn state(process: Pid) -> Option<(char, Pid)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    // The name in parentheses may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((state, Pid::from_raw(parent)?))
}
