//! Every phase and every event: what comes of it, and what is to be done.

use std::fmt::Write as _;

use expect_test::expect;

use super::*;

#[test]
fn every_phase_takes_every_event() {
    let mut events = vec![
        Event::Placed,
        Event::Started,
        Event::StartFailed,
        Event::Exited,
        Event::Drained,
        Event::Due,
        Event::Stop,
        Event::StopNow,
    ];
    for kind in [ProbeKind::Startup, ProbeKind::Readiness, ProbeKind::Liveness] {
        events.extend([good(kind), bad(kind), Event::Probed(kind, None)]);
    }
    let starting = [Event::Placed, Event::Started];
    let running = [&starting[..], &[good(ProbeKind::Startup)]].concat();
    let serving = [&running[..], &[good(ProbeKind::Readiness)]].concat();
    let unready = [&serving[..], &[bad(ProbeKind::Readiness)]].concat();
    let draining = [&serving[..], &[Event::Stop]].concat();
    let terminating = [&draining[..], &[Event::Drained]].concat();
    let killing = [&terminating[..], &[Event::Due]].concat();
    let restarting = [&starting[..], &[bad(ProbeKind::Startup)]].concat();
    let restarting_killed = [&restarting[..], &[Event::Due]].concat();
    let pausing = [&serving[..], &[Event::Exited]].concat();
    let mut table = String::new();
    for path in [
        &[][..],
        &[Event::Placed],
        &starting,
        &running,
        &serving,
        &unready,
        &draining,
        &terminating,
        &killing,
        &restarting,
        &restarting_killed,
        &pausing,
        &[Event::Stop],
    ] {
        writeln!(table, "{}", name(&life_after(path).0)).unwrap();
        let mut ignored = Vec::new();
        for event in events.iter().copied() {
            let (mut life, now) = life_after(path);
            let before = name(&life);
            let actions = life.on(event, now);
            if actions.is_empty() && name(&life) == before {
                ignored.push(told(event));
            } else {
                let actions: Vec<_> = actions.iter().map(short).collect();
                let reaction =
                    if actions.is_empty() { String::new() } else { format!(": {}", actions.join(", ")) };
                writeln!(table, "  {} -> {}{reaction}", told(event), name(&life)).unwrap();
            }
        }
        writeln!(table, "  unchanged: {}", ignored.join(", ")).unwrap();
    }
    expect![[r#"
        queued
          Placed -> spawning: Start
          Stop -> stopped: tell Stopped
          StopNow -> stopped: tell Stopped
          unchanged: Started, StartFailed, Exited, Drained, Due, StartupGood, StartupBad, StartupUnasked, ReadinessGood, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessBad, LivenessUnasked
        spawning
          Started -> starting
          StartFailed -> pausing: tell StartFailed
          Stop -> terminating, then stop: Terminate
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Exited, Drained, Due, StartupGood, StartupBad, StartupUnasked, ReadinessGood, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessBad, LivenessUnasked
        starting
          Exited -> pausing: CleanUp, tell Exited
          Due -> starting: Probe(Startup), tell StillStarting
          Stop -> terminating, then stop: Terminate
          StopNow -> killing, then stop: Kill
          StartupGood -> running, not yet ready
          StartupBad -> terminating, then restart: tell StartupFailed, Terminate
          unchanged: Placed, Started, StartFailed, Drained, StartupUnasked, ReadinessGood, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessBad, LivenessUnasked
        running, not yet ready
          Exited -> pausing: CleanUp, tell Exited
          Due -> running, not yet ready: Probe(Readiness), Probe(Liveness), tell StillStarting
          Stop -> terminating, then stop: Terminate
          StopNow -> killing, then stop: Kill
          ReadinessGood -> running, admitted: Admit, tell Ready
          LivenessBad -> terminating, then restart: tell Hangs, Terminate
          unchanged: Placed, Started, StartFailed, Drained, StartupGood, StartupBad, StartupUnasked, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessUnasked
        running, admitted
          Exited -> pausing: Withdraw, CleanUp, tell Exited
          Due -> running, admitted: Probe(Readiness), Probe(Liveness)
          Stop -> draining: Withdraw
          StopNow -> killing, then stop: Kill
          ReadinessBad -> running, withdrawn: Withdraw, tell NotReady
          LivenessBad -> terminating, then restart: Withdraw, tell Hangs, Terminate
          unchanged: Placed, Started, StartFailed, Drained, StartupGood, StartupBad, StartupUnasked, ReadinessGood, ReadinessUnasked, LivenessGood, LivenessUnasked
        running, withdrawn
          Exited -> pausing: CleanUp, tell Exited
          Due -> running, withdrawn: Probe(Readiness), Probe(Liveness)
          Stop -> draining
          StopNow -> killing, then stop: Kill
          ReadinessGood -> running, admitted: Admit, tell Ready
          LivenessBad -> terminating, then restart: tell Hangs, Terminate
          unchanged: Placed, Started, StartFailed, Drained, StartupGood, StartupBad, StartupUnasked, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessUnasked
        draining
          Exited -> stopped: CleanUp, tell Stopped
          Drained -> terminating, then stop: Terminate
          Due -> terminating, then stop: tell DrainCut, Terminate
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Stop, StartupGood, StartupBad, StartupUnasked, ReadinessGood, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessBad, LivenessUnasked
        terminating, then stop
          Exited -> stopped: CleanUp, tell Stopped
          Due -> killing, then stop: Kill, tell Killed
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Drained, Stop, StartupGood, StartupBad, StartupUnasked, ReadinessGood, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessBad, LivenessUnasked
        killing, then stop
          Exited -> stopped: CleanUp, tell Stopped
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Drained, Due, Stop, StartupGood, StartupBad, StartupUnasked, ReadinessGood, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessBad, LivenessUnasked
        terminating, then restart
          Exited -> pausing: CleanUp
          Due -> killing, then restart: Kill, tell Killed
          Stop -> terminating, then stop
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Drained, StartupGood, StartupBad, StartupUnasked, ReadinessGood, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessBad, LivenessUnasked
        killing, then restart
          Exited -> pausing: CleanUp
          Stop -> killing, then stop
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Drained, Due, StartupGood, StartupBad, StartupUnasked, ReadinessGood, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessBad, LivenessUnasked
        pausing
          Due -> queued
          Stop -> stopped: tell Stopped
          StopNow -> stopped: tell Stopped
          unchanged: Placed, Started, StartFailed, Exited, Drained, StartupGood, StartupBad, StartupUnasked, ReadinessGood, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessBad, LivenessUnasked
        stopped
          unchanged: Placed, Started, StartFailed, Exited, Drained, Due, Stop, StopNow, StartupGood, StartupBad, StartupUnasked, ReadinessGood, ReadinessBad, ReadinessUnasked, LivenessGood, LivenessBad, LivenessUnasked
    "#]].assert_eq(&table);
}

/// A life after these events, and a time at which all that can be due is.
fn life_after(path: &[Event]) -> (Life, Instant) {
    let rules = Rules { liveness: Some(probe()), ..rules() };
    let mut life = Life::new(Arc::new(rules), 1);
    let mut now = clock::now();
    for event in path {
        now += 1000 * SECOND;
        life.on(*event, now);
    }
    (life, now + 1000 * SECOND)
}

fn name(life: &Life) -> String {
    match life.phase {
        Phase::Queued => "queued".to_owned(),
        Phase::Spawning => "spawning".to_owned(),
        Phase::Starting { .. } => "starting".to_owned(),
        Phase::Running { traffic: Traffic::NotYet { .. }, .. } => "running, not yet ready".to_owned(),
        Phase::Running { traffic: Traffic::Admitted, .. } => "running, admitted".to_owned(),
        Phase::Running { traffic: Traffic::Withdrawn, .. } => "running, withdrawn".to_owned(),
        Phase::Draining { .. } => "draining".to_owned(),
        Phase::Terminating { then: Then::Stop, .. } => "terminating, then stop".to_owned(),
        Phase::Terminating { then: Then::Restart { .. }, .. } => "terminating, then restart".to_owned(),
        Phase::Killing { then: Then::Stop } => "killing, then stop".to_owned(),
        Phase::Killing { then: Then::Restart { .. } } => "killing, then restart".to_owned(),
        Phase::Pausing { .. } => "pausing".to_owned(),
        Phase::Stopped => "stopped".to_owned(),
    }
}

fn short(action: &Action) -> String {
    match action {
        Action::Tell(tell) => format!("tell {tell:?}").split(" {").take(1).collect(),
        action => format!("{action:?}"),
    }
}

fn told(event: Event) -> String {
    match event {
        Event::Probed(kind, Some(answer)) => format!("{kind:?}{answer:?}"),
        Event::Probed(kind, None) => format!("{kind:?}Unasked"),
        event => format!("{event:?}"),
    }
}
