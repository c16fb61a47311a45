mod naive;

use std::fmt::Write as _;

use expect_test::expect;
use phalanx_config::{BackOff, Check, Probe};
use phalanx_telemetry::clock;

use super::{back_off::spread, *};
use crate::state::Standing;

const SECOND: Duration = Duration::from_secs(1);

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

#[test]
fn answers_count_only_in_a_row() {
    let rules = Rules {
        startup: Probe { failure: 4, ..probe() },
        readiness: Probe { success: 2, failure: 3, ..probe() },
        ..rules()
    };
    for (answers, standings) in [
        // The first good answer passes the startup probe, the next two in a row the readiness probe.
        ("bbbg g b g g", "starting starting starting starting ready"),
        ("bbbb", "stopping"),
        ("bbbg bbbbbb gg", "starting starting ready"),
        ("ggg bb gbb b", "ready ready ready not-ready"),
        ("ggg bbb g b gg", "ready not-ready not-ready not-ready ready"),
    ] {
        let (mut life, now) = started(rules.clone());
        let mut seen = Vec::new();
        for group in answers.split(' ') {
            for answer in group.chars() {
                let kind = match life.phase {
                    Phase::Starting { .. } => ProbeKind::Startup,
                    _ => ProbeKind::Readiness,
                };
                life.on(if answer == 'g' { good(kind) } else { bad(kind) }, now);
            }
            seen.push(label(life.standing()));
        }
        assert_eq!(seen.join(" "), standings, "{answers}");
    }
}

#[test]
fn probes_keep_their_period_however_long_an_answer_takes() {
    let startup = Probe { initial_delay: 3 * SECOND, period: 2 * SECOND, failure: 3, ..probe() };
    let readiness = Probe { initial_delay: 10 * SECOND, ..probe() };
    let (mut life, start) = started(Rules { startup, readiness, ..rules() });
    let mut check = |event, at: u32, expected: &[Action], due_at: u32| {
        assert_eq!(life.on(event, start + at * SECOND), expected, "{event:?} at {at}");
        assert_eq!(life.due_at(), Some(start + due_at * SECOND), "after {event:?} at {at}");
    };
    let ask = Action::Probe(ProbeKind::Startup);
    check(Event::Due, 2, &[], 3);
    check(Event::Due, 3, &[ask], 5);
    check(bad(ProbeKind::Startup), 4, &[], 5);
    // The progress message falls due with the probe.
    let told = Action::Tell(Tell::StillStarting { probe: ProbeKind::Startup, elapsed: 5 * SECOND });
    check(Event::Due, 5, &[ask, told], 10);
    // An answer that took longer than the period: the next question follows at once.
    check(bad(ProbeKind::Startup), 8, &[], 8);
    check(Event::Due, 8, &[ask], 10);
    // One that could not be asked is asked again a period later.
    check(Event::Probed(ProbeKind::Startup, None), 8, &[], 10);
    // Readiness waits for its own delay, counted from the start of the process.
    check(good(ProbeKind::Startup), 9, &[], 10);
}

#[test]
fn a_slow_answer_to_one_probe_delays_no_other() {
    let liveness = Some(Probe { initial_delay: 3 * SECOND, ..probe() });
    let (mut life, start) = started(Rules { liveness, ..rules() });
    let mut check = |event, at: u32, expected: &[Action], due_at: Option<u32>| {
        assert_eq!(life.on(event, start + at * SECOND), expected, "{event:?} at {at}");
        assert_eq!(life.due_at(), due_at.map(|due_at| start + due_at * SECOND), "after {event:?} at {at}");
    };
    let (readiness, liveness) = (Action::Probe(ProbeKind::Readiness), Action::Probe(ProbeKind::Liveness));
    check(good(ProbeKind::Startup), 1, &[], Some(1));
    check(Event::Due, 1, &[readiness], Some(3));
    let ready = Action::Tell(Tell::Ready { elapsed: 2 * SECOND });
    check(good(ProbeKind::Readiness), 2, &[Action::Admit, ready], Some(2));
    check(Event::Due, 2, &[readiness], Some(3));
    check(good(ProbeKind::Readiness), 2, &[], Some(3));
    check(Event::Due, 3, &[readiness, liveness], None);
    check(good(ProbeKind::Readiness), 3, &[], Some(4));
    check(Event::Due, 4, &[readiness], None);
    check(
        bad(ProbeKind::Readiness),
        4,
        &[Action::Withdraw, Action::Tell(Tell::NotReady { failures: 1 })],
        Some(5),
    );
}

#[test]
fn a_replica_that_drains_is_asked_on_and_not_let_in_again() {
    let rules = Rules { liveness: Some(probe()), ..rules() };
    let (mut life, now) = started(rules);
    let later = now + SECOND;
    life.on(good(ProbeKind::Startup), now);
    life.on(good(ProbeKind::Readiness), now);
    assert_eq!(life.on(Event::Stop, now), [Action::Withdraw]);
    assert_eq!(life.on(Event::Due, later), [Action::Probe(ProbeKind::Readiness)], "liveness has ended");
    for answer in [bad(ProbeKind::Readiness), good(ProbeKind::Readiness), bad(ProbeKind::Liveness)] {
        assert_eq!(life.on(answer, later), [], "{answer:?}");
        assert_eq!(label(life.standing()), "draining");
    }
}

#[test]
fn a_replica_that_hangs_leaves_the_balancer_before_it_gets_term() {
    let rules = Rules { liveness: Some(Probe { failure: 2, ..probe() }), ..rules() };
    let (mut life, now) = started(rules);
    life.on(good(ProbeKind::Startup), now);
    life.on(good(ProbeKind::Readiness), now);
    assert_eq!(life.on(bad(ProbeKind::Liveness), now), []);
    let told = Action::Tell(Tell::Hangs { failures: 2, pause: Duration::ZERO });
    assert_eq!(life.on(bad(ProbeKind::Liveness), now), [Action::Withdraw, told, Action::Terminate]);
    let killed = Action::Tell(Tell::Killed { grace: 30 * SECOND });
    assert_eq!(life.on(Event::Due, now + 30 * SECOND), [Action::Kill, killed]);
    assert_eq!(life.on(Event::Exited, now + 30 * SECOND), [Action::CleanUp]);
    assert_eq!(label(life.standing()), "backing-off");
}

#[test]
fn progress_is_told_at_doubling_intervals() {
    let (mut life, start) = started(Rules { startup: Probe { failure: 1000, ..probe() }, ..rules() });
    let told = progress(&mut life, start, 90);
    assert_eq!(told, [5, 10, 20, 40, 80].map(|seconds| seconds * SECOND));
}

#[test]
fn a_replica_that_boots_slowly_gives_its_place_to_others() {
    let (mut life, start) = started(Rules { startup: Probe { failure: 1000, ..probe() }, ..rules() });
    assert!(life.holds_place());
    progress(&mut life, start, 5);
    assert!(!life.holds_place());
}

#[test]
fn the_first_restart_is_at_once_and_the_pauses_after_it_double_to_the_longest() {
    let mut rehearsal = Rehearsal::new(rules());
    let pauses: Vec<_> = (0..9).map(|_| rehearsal.ready_for(Duration::ZERO).exit()).collect();
    let expected = [0, 10, 20, 40, 80, 160, 300, 300, 300].map(|seconds| spread(seconds * SECOND, 1));
    assert_eq!(pauses, expected);
}

#[test]
fn replicas_that_fall_together_do_not_come_back_together() {
    let mut pauses: Vec<_> = (1..=50).map(|ordinal| spread(60 * SECOND, ordinal)).collect();
    pauses.sort();
    assert!(pauses.iter().all(|pause| (48 * SECOND..=60 * SECOND).contains(pause)), "{pauses:?}");
    assert!(pauses.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(50)), "{pauses:?}");
}

#[test]
fn a_long_run_forgives_the_failures_before() {
    for (ran_for, pauses) in [(600 * SECOND, [20, 40]), (601 * SECOND, [0, 10])] {
        let mut rehearsal = Rehearsal::new(rules());
        rehearsal.ready_for(Duration::ZERO).exit();
        rehearsal.ready_for(Duration::ZERO).exit();
        let after = [rehearsal.ready_for(ran_for).exit(), rehearsal.ready_for(Duration::ZERO).exit()];
        assert_eq!(after, pauses.map(|seconds| spread(seconds * SECOND, 1)), "after {ran_for:?}");
    }
}

#[test]
fn three_runs_in_a_row_that_end_before_they_are_ready_are_a_crash_loop() {
    let mut rehearsal = Rehearsal::new(rules());
    let mut standings = Vec::new();
    for run in ["unready", "unready", "ready", "unready", "not started", "unready", "unready", "ready"] {
        match run {
            "ready" => {
                rehearsal.ready_for(Duration::ZERO).exit();
            }
            "unready" => {
                rehearsal.started().exit();
            }
            _ => rehearsal.not_started(),
        }
        standings.push(label(rehearsal.life.standing()));
    }
    let (back_off, loops) = ("backing-off", "crash-loop");
    assert_eq!(standings, [back_off, back_off, back_off, back_off, back_off, loops, loops, back_off]);
}

fn label(standing: Standing) -> &'static str {
    match standing {
        Standing::Starting => "starting",
        Standing::Ready => "ready",
        Standing::NotReady => "not-ready",
        Standing::Draining => "draining",
        Standing::Stopping => "stopping",
        Standing::BackingOff { .. } => "backing-off",
        Standing::CrashLoop { .. } => "crash-loop",
        Standing::Stopped => "stopped",
    }
}

/// A life in which runs follow each other.
struct Rehearsal {
    life: Life,
    now: Instant,
}

impl Rehearsal {
    fn new(rules: Rules) -> Self {
        Self { life: Life::new(Arc::new(rules), 1), now: clock::now() }
    }

    fn started(&mut self) -> &mut Self {
        self.start_with(Event::Started)
    }

    fn not_started(&mut self) {
        self.start_with(Event::StartFailed);
    }

    fn ready_for(&mut self, readiness: Duration) -> &mut Self {
        self.started();
        for kind in [ProbeKind::Startup, ProbeKind::Readiness] {
            self.life.on(good(kind), self.now);
        }
        self.now += readiness;
        self
    }

    /// The pause after the exit.
    fn exit(&mut self) -> Duration {
        self.life.on(Event::Exited, self.now);
        self.life.due_at().unwrap() - self.now
    }

    fn start_with(&mut self, event: Event) -> &mut Self {
        if let Some(pause_over) = self.life.due_at() {
            self.now = pause_over;
            self.life.on(Event::Due, self.now);
        }
        self.life.on(Event::Placed, self.now);
        self.life.on(event, self.now);
        self
    }
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

fn started(rules: Rules) -> (Life, Instant) {
    let mut rehearsal = Rehearsal::new(rules);
    rehearsal.started();
    (rehearsal.life, rehearsal.now)
}

/// Lets seconds go by, with a bad answer to each probe, and returns when progress was told.
fn progress(life: &mut Life, start: Instant, seconds: u32) -> Vec<Duration> {
    let mut told = Vec::new();
    for second in 0..=seconds {
        let now = start + second * SECOND;
        for action in life.on(Event::Due, now) {
            match action {
                Action::Tell(Tell::StillStarting { elapsed, .. }) => told.push(elapsed),
                _ => assert_eq!(life.on(bad(ProbeKind::Startup), now), []),
            }
        }
    }
    told
}

/// One answer decides.
fn probe() -> Probe {
    Probe {
        check: Check::Connect { port: None },
        initial_delay: Duration::ZERO,
        period: SECOND,
        timeout: SECOND,
        success: 1,
        failure: 1,
    }
}

fn rules() -> Rules {
    Rules {
        startup: probe(),
        readiness: probe(),
        liveness: None,
        drain_deadline: 20 * SECOND,
        shutdown_grace: 30 * SECOND,
        back_off: BackOff::default(),
    }
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

fn good(kind: ProbeKind) -> Event {
    Event::Probed(kind, Some(Answer::Good))
}

fn bad(kind: ProbeKind) -> Event {
    Event::Probed(kind, Some(Answer::Bad))
}

fn told(event: Event) -> String {
    match event {
        Event::Probed(kind, Some(answer)) => format!("{kind:?}{answer:?}"),
        Event::Probed(kind, None) => format!("{kind:?}Unasked"),
        event => format!("{event:?}"),
    }
}
