use proptest::prelude::*;

use super::*;

const LAG_MAX: Lag = Lag { time: Duration::from_secs(60), bytes: 8 << 20 };
const WAIT: Fallback = Fallback::Wait(Duration::from_millis(50));

fn moment(timeline: u32, lsn: u64) -> Moment {
    Moment { timeline, lsn: Lsn(lsn) }
}

fn replica(timeline: u32, lsn: u64) -> Candidate {
    let lag = Some(Lag { time: Duration::ZERO, bytes: 0 });
    Candidate { replayed: Some(moment(timeline, lsn)), lag, standing: Standing::Serving }
}

fn behind(seconds: u64, bytes: u64) -> Candidate {
    Candidate { lag: Some(Lag { time: Duration::from_secs(seconds), bytes }), ..replica(1, 50) }
}

fn ejected() -> Candidate {
    Candidate { standing: Standing::Ejected, ..replica(1, 500) }
}

fn unknown() -> Candidate {
    Candidate { replayed: None, lag: None, standing: Standing::Serving }
}

fn read(wanted: Option<Moment>, fallback: Fallback, tried: Tried) -> Read {
    Read { wanted, fallback, lag_max: LAG_MAX, tried }
}

fn text(candidates: &[Candidate], read: &Read) -> String {
    let set = |replicas: Replicas| format!("{:?}", replicas.iter().collect::<Vec<_>>());
    let (decision, reason) = decide(candidates, read);
    let decision = match decision {
        Decision::Known(replicas) => set(replicas),
        Decision::Guarded(replicas) => format!("guarded {}", set(replicas)),
        Decision::Wait(duration) => format!("wait {duration:?}"),
        Decision::Primary => "primary".to_owned(),
        Decision::Stale(replicas) => format!("stale {}", set(replicas)),
        Decision::Refuse => "refuse".to_owned(),
    };
    format!("{decision} {}", reason.label())
}

#[test]
fn any_fit_replica_serves_a_read_without_a_position() {
    let lagging = behind(61, 9 << 20);
    for (candidates, expected) in [
        (vec![], "primary no_replica"),
        (vec![ejected()], "primary no_replica"),
        (vec![ejected(), lagging], "primary lag"),
        // One measure is enough: a primary that writes nothing looks far ahead in time, and one that writes much in bytes.
        (vec![behind(3_600, 8 << 20), behind(60, 1 << 40), lagging], "[0, 1] eventual"),
        (vec![ejected(), replica(1, 0), unknown()], "[1, 2] eventual"),
    ] {
        for fallback in [Fallback::Primary, WAIT, Fallback::Stale, Fallback::Error] {
            assert_eq!(text(&candidates, &read(None, fallback, Tried::Nothing)), expected);
        }
    }
}

/// Every fallback × everything that can have been tried, with a replica that is behind.
#[test]
fn the_fallbacks_in_their_order() {
    let candidates = [behind(1, 1), replica(1, 90), unknown(), replica(2, 500)];
    let table = [
        (Fallback::Primary, ["guarded [1] guarded", "primary behind", "primary behind"]),
        (WAIT, ["guarded [1] guarded", "wait 50ms behind", "primary behind"]),
        (Fallback::Wait(Duration::ZERO), ["guarded [1] guarded", "primary behind", "primary behind"]),
        (Fallback::Stale, ["stale [0, 1, 2, 3] stale"; 3]),
        (Fallback::Error, ["guarded [1] guarded", "refuse behind", "refuse behind"]),
    ];
    for (fallback, expected) in table {
        let tried = [Tried::Nothing, Tried::Guard, Tried::Wait];
        let decided = tried.map(|tried| text(&candidates, &read(Some(moment(1, 100)), fallback, tried)));
        assert_eq!(decided, expected, "{fallback:?}");
    }
}

/// Who was asked last is not who is asked for ever: all that keep up are as good, and one that lags is not.
#[test]
fn replicas_that_keep_up_share_the_questions() {
    let recent =
        Candidate { lag: Some(Lag { time: Duration::from_millis(250), bytes: 900 }), ..replica(1, 20) };
    let late =
        Candidate { lag: Some(Lag { time: Duration::from_millis(251), bytes: 900 }), ..replica(1, 90) };
    for (candidates, expected) in [
        (vec![replica(1, 10), replica(1, 90), behind(2, 40), replica(2, 90)], "guarded [0, 1] guarded"),
        (vec![recent, late, behind(2, 40)], "guarded [0, 1] guarded"),
        (vec![behind(2, 40), Candidate { lag: None, ..replica(1, 10) }], "guarded [0] guarded"),
    ] {
        let decided = text(&candidates, &read(Some(moment(1, 100)), Fallback::Primary, Tried::Nothing));
        assert_eq!(decided, expected);
    }
}

#[test]
fn replicas_that_are_known_to_be_far_enough_come_first() {
    let candidates = [replica(1, 99), replica(1, 100), ejected(), replica(1, 101)];
    for (tried, expected) in
        [(Tried::Nothing, "[1, 3] known"), (Tried::Guard, "[1, 3] known"), (Tried::Wait, "[1, 3] waited")]
    {
        for fallback in [Fallback::Primary, WAIT, Fallback::Stale, Fallback::Error] {
            assert_eq!(text(&candidates, &read(Some(moment(1, 100)), fallback, tried)), expected);
        }
    }
}

#[test]
fn another_timeline_is_never_far_enough() {
    let wanted = Some(moment(2, 100));
    for candidates in [[replica(1, 500), replica(3, 500)], [unknown(), replica(1, 100)]] {
        assert_eq!(text(&candidates, &read(wanted, Fallback::Primary, Tried::Nothing)), "primary timeline");
        assert_eq!(text(&candidates, &read(wanted, WAIT, Tried::Nothing)), "primary timeline");
        assert_eq!(text(&candidates, &read(wanted, Fallback::Error, Tried::Nothing)), "refuse timeline");
        assert_eq!(text(&candidates, &read(wanted, Fallback::Stale, Tried::Nothing)), "stale [0, 1] stale");
    }
}

#[test]
fn replicas_beyond_the_bound_are_not_looked_at() {
    let candidates = vec![replica(1, 100); 80];
    let (decision, _) = decide(&candidates, &read(None, Fallback::Primary, Tried::Nothing));
    let Decision::Known(replicas) = decision else { panic!("{decision:?}") };
    assert!(replicas.iter().eq(0..64) && !replicas.contains(64));
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let replayed = prop::option::of((0_u32..3, 0_u64..6).prop_map(|(timeline, lsn)| moment(timeline, lsn)));
    let lag = prop::option::of((0_u64..120, 0_u64..16 << 20));
    let standing = prop_oneof![3 => Just(Standing::Serving), 1 => Just(Standing::Ejected)];
    (replayed, lag, standing).prop_map(|(replayed, lag, standing)| {
        let lag = lag.map(|(seconds, bytes)| Lag { time: Duration::from_secs(seconds), bytes });
        Candidate { replayed, lag, standing }
    })
}

proptest! {
    #[test]
    fn who_serves_is_fit_and_has_the_write_and_three_turns_are_enough(
        candidates in prop::collection::vec(candidate(), 0..8),
        wanted in prop::option::of((0_u32..3, 0_u64..6)),
        fallback in prop::sample::select(vec![Fallback::Primary, WAIT, Fallback::Stale, Fallback::Error]),
    ) {
        let wanted = wanted.map(|(timeline, lsn)| moment(timeline, lsn));
        let mut tried = Tried::Nothing;
        for turn in 0.. {
            prop_assert!(turn < 3);
            let (decision, _) = decide(&candidates, &read(wanted, fallback, tried));
            match decision {
                Decision::Known(replicas) => {
                    prop_assert!(!replicas.is_empty());
                    for index in replicas.iter() {
                        let Candidate { replayed, standing, .. } = candidates[index];
                        prop_assert_eq!(standing, Standing::Serving);
                        let sees = |wanted: Moment| {
                            replayed.is_some_and(|moment| moment.timeline == wanted.timeline && moment.lsn >= wanted.lsn)
                        };
                        prop_assert!(wanted.is_none_or(sees));
                    }
                    break;
                }
                Decision::Guarded(replicas) => {
                    prop_assert_eq!(tried, Tried::Nothing);
                    prop_assert!(!replicas.is_empty());
                    let serves = |index: usize| candidates[index].standing == Standing::Serving;
                    prop_assert!(replicas.iter().all(serves));
                    tried = Tried::Guard;
                }
                Decision::Wait(duration) => {
                    prop_assert_eq!(Fallback::Wait(duration), fallback);
                    tried = Tried::Wait;
                }
                Decision::Stale(_) => {
                    prop_assert_eq!(fallback, Fallback::Stale);
                    break;
                }
                Decision::Refuse => {
                    prop_assert_eq!(fallback, Fallback::Error);
                    break;
                }
                Decision::Primary => break,
            }
        }
    }
}
