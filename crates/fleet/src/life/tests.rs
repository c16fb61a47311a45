use std::fmt::Write as _;

use expect_test::expect;
use phalanx_config::Probe;
use phalanx_telemetry::clock;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_phase_takes_every_event() {
    let events = [
        Event::Placed,
        Event::Started,
        Event::StartFailed,
        Event::Probed(Answer::Good),
        Event::Probed(Answer::Bad),
        Event::Exited,
        Event::Drained,
        Event::Due,
        Event::Stop,
        Event::StopNow,
    ];
    let starting = [Event::Placed, Event::Started];
    let gated = [&starting[..], &[Event::Probed(Answer::Good)]].concat();
    let serving = [&gated[..], &[Event::Probed(Answer::Good)]].concat();
    let unready = [&serving[..], &[Event::Probed(Answer::Bad)]].concat();
    let draining = [&serving[..], &[Event::Stop]].concat();
    let terminating = [&draining[..], &[Event::Drained]].concat();
    let killing = [&terminating[..], &[Event::Due]].concat();
    let restarting = [&starting[..], &[Event::Probed(Answer::Bad)]].concat();
    let restarting_killed = [&restarting[..], &[Event::Due]].concat();
    let pausing = [&serving[..], &[Event::Exited]].concat();
    let mut table = String::new();
    for path in [
        &[][..],
        &[Event::Placed],
        &starting,
        &gated,
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
        for event in events {
            let (mut life, now) = life_after(path);
            let before = name(&life);
            let actions = life.on(event, now);
            if actions.is_empty() && name(&life) == before {
                ignored.push(format!("{event:?}"));
            } else {
                let actions: Vec<_> = actions.iter().map(short).collect();
                let reaction =
                    if actions.is_empty() { String::new() } else { format!(": {}", actions.join(", ")) };
                writeln!(table, "  {event:?} -> {}{reaction}", name(&life)).unwrap();
            }
        }
        writeln!(table, "  unchanged: {}", ignored.join(", ")).unwrap();
    }
    expect![[r#"
        queued
          Placed -> spawning: Start
          Stop -> stopped: tell Stopped
          StopNow -> stopped: tell Stopped
          unchanged: Started, StartFailed, Probed(Good), Probed(Bad), Exited, Drained, Due
        spawning
          Started -> starting, Startup
          StartFailed -> pausing: tell StartFailed
          Stop -> terminating, then stop: Terminate
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Probed(Good), Probed(Bad), Exited, Drained, Due
        starting, Startup
          Probed(Good) -> starting, Readiness
          Probed(Bad) -> terminating, then restart: tell StartupFailed, Terminate
          Exited -> pausing: CleanUp, tell Exited
          Due -> starting, Startup: Probe(Startup), tell StillStarting
          Stop -> terminating, then stop: Terminate
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Drained
        starting, Readiness
          Probed(Good) -> serving: Admit, tell Ready
          Exited -> pausing: CleanUp, tell Exited
          Due -> starting, Readiness: Probe(Readiness), tell StillStarting
          Stop -> terminating, then stop: Terminate
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Probed(Bad), Drained
        serving
          Probed(Bad) -> unready: Withdraw, tell NotReady
          Exited -> pausing: Withdraw, CleanUp, tell Exited
          Due -> serving: Probe(Readiness)
          Stop -> draining: Withdraw
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Probed(Good), Drained
        unready
          Probed(Good) -> serving: Admit, tell Ready
          Exited -> pausing: CleanUp, tell Exited
          Due -> unready: Probe(Readiness)
          Stop -> draining
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Probed(Bad), Drained
        draining
          Exited -> stopped: CleanUp, tell Stopped
          Drained -> terminating, then stop: Terminate
          Due -> terminating, then stop: tell DrainCut, Terminate
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Probed(Good), Probed(Bad), Stop
        terminating, then stop
          Exited -> stopped: CleanUp, tell Stopped
          Due -> killing, then stop: Kill, tell Killed
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Probed(Good), Probed(Bad), Drained, Stop
        killing, then stop
          Exited -> stopped: CleanUp, tell Stopped
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Probed(Good), Probed(Bad), Drained, Due, Stop
        terminating, then restart
          Exited -> pausing: CleanUp
          Due -> killing, then restart: Kill, tell Killed
          Stop -> terminating, then stop
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Probed(Good), Probed(Bad), Drained
        killing, then restart
          Exited -> pausing: CleanUp
          Stop -> killing, then stop
          StopNow -> killing, then stop: Kill
          unchanged: Placed, Started, StartFailed, Probed(Good), Probed(Bad), Drained, Due
        pausing
          Due -> queued
          Stop -> stopped: tell Stopped
          StopNow -> stopped: tell Stopped
          unchanged: Placed, Started, StartFailed, Probed(Good), Probed(Bad), Exited, Drained
        stopped
          unchanged: Placed, Started, StartFailed, Probed(Good), Probed(Bad), Exited, Drained, Due, Stop, StopNow
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
                life.on(Event::Probed(if answer == 'g' { Answer::Good } else { Answer::Bad }), now);
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
    check(Event::Due, 2, &[], 3);
    check(Event::Due, 3, &[Action::Probe(Gate::Startup)], 5);
    check(Event::Probed(Answer::Bad), 4, &[], 5);
    // The progress message falls due with the probe.
    let told = Action::Tell(Tell::StillStarting { elapsed: 5 * SECOND });
    check(Event::Due, 5, &[Action::Probe(Gate::Startup), told], 10);
    // An answer that took longer than the period: the next question follows at once.
    check(Event::Probed(Answer::Bad), 8, &[], 8);
    check(Event::Due, 8, &[Action::Probe(Gate::Startup)], 10);
    // Readiness waits for its own delay, counted from the start of the process.
    check(Event::Probed(Answer::Good), 9, &[], 10);
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
fn pauses_double_to_the_longest() {
    let mut rehearsal = Rehearsal::new(rules());
    let pauses: Vec<_> = (0..9).map(|_| rehearsal.ready_for(Duration::ZERO).exit()).collect();
    let shortened = BackOff::STANDARD.pause(1, 1).as_secs_f64();
    let seconds: Vec<_> = pauses.iter().map(|pause| (pause.as_secs_f64() / shortened).round()).collect();
    assert_eq!(seconds, [1., 2., 4., 8., 16., 32., 60., 60., 60.]);
}

#[test]
fn replicas_that_fall_together_do_not_come_back_together() {
    let mut pauses: Vec<_> = (1..=50).map(|ordinal| BackOff::STANDARD.pause(7, ordinal)).collect();
    pauses.sort();
    assert!(pauses.iter().all(|pause| (48 * SECOND..=60 * SECOND).contains(pause)), "{pauses:?}");
    assert!(pauses.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(50)), "{pauses:?}");
}

#[test]
fn a_long_readiness_forgives_the_failures_before() {
    for (readiness, grows) in [(59 * SECOND, true), (60 * SECOND, false)] {
        let mut rehearsal = Rehearsal::new(rules());
        let first = rehearsal.ready_for(Duration::ZERO).exit();
        rehearsal.ready_for(Duration::ZERO).exit();
        let last = rehearsal.ready_for(readiness).exit();
        assert_eq!(last > first, grows, "{first:?}, and {last:?} after {readiness:?}");
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
        for _ in [Gate::Startup, Gate::Readiness] {
            self.life.on(Event::Probed(Answer::Good), self.now);
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
    let mut life = Life::new(Arc::new(rules()), 1);
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
                Action::Tell(Tell::StillStarting { elapsed }) => told.push(elapsed),
                _ => assert_eq!(life.on(Event::Probed(Answer::Bad), now), []),
            }
        }
    }
    told
}

/// One answer decides.
fn probe() -> Probe {
    Probe {
        path: None,
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
        drain_deadline: 20 * SECOND,
        shutdown_grace: 30 * SECOND,
        back_off: BackOff::STANDARD,
    }
}

fn name(life: &Life) -> String {
    match life.phase {
        Phase::Queued => "queued".to_owned(),
        Phase::Spawning => "spawning".to_owned(),
        Phase::Starting { gate, .. } => format!("starting, {gate:?}"),
        Phase::Serving { .. } => "serving".to_owned(),
        Phase::Unready { .. } => "unready".to_owned(),
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
