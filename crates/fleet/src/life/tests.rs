mod naive;
mod table;

use phalanx_config::{BackOff, Check, Probe};
use phalanx_telemetry::clock;

use super::{back_off::spread, *};
use crate::state::Standing;

const SECOND: Duration = Duration::from_secs(1);

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
    assert_eq!(life.on(Event::Due, later + 2 * SECOND), [Action::Probe(ProbeKind::Readiness)], "asked on");
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

fn good(kind: ProbeKind) -> Event {
    Event::Probed(kind, Some(Answer::Good))
}

fn bad(kind: ProbeKind) -> Event {
    Event::Probed(kind, Some(Answer::Bad))
}
