//! Judgements by table, and by properties over races of readers and writers.

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

const BEGUN: UnixMs = UnixMs::new(1_800_000_000_000);
const SECOND: u64 = 1000;
const DAY: u64 = 24 * 3600 * SECOND;

fn settings() -> LoginSettings {
    LoginSettings::default()
}

fn window() -> ReplayWindow {
    settings().replay_window
}

fn at(milliseconds: u64) -> UnixMs {
    BEGUN.after(Duration::from_millis(milliseconds))
}

fn begin() -> (Family, RefreshToken) {
    let login = LoginId::of_stored(4096 * 9 + 5).unwrap();
    Family::begin(login, Id::try_from(4096 * 7 + 5).unwrap(), BEGUN, &settings())
}

fn presented(token: &RefreshToken) -> Presented {
    Presented::parse(token.as_str()).unwrap()
}

/// What is judged, as a word.
fn word(judgement: &Judgement) -> &'static str {
    match judgement {
        Judgement::Rotate(_) => "rotate",
        Judgement::Replay(_) => "replay",
        Judgement::Reuse => "reuse",
        Judgement::Expired => "expired",
        Judgement::Ended => "ended",
        Judgement::Ahead => "ahead",
        Judgement::Unknown => "unknown",
    }
}

fn judged(family: &Family, token: &RefreshToken, milliseconds: u64) -> &'static str {
    word(&judge(family, &presented(token), at(milliseconds), window()))
}

/// A family whose newest token was rotated at each of these times, with all its tokens in their order.
fn rotated_at(times: &[u64]) -> (Family, Vec<RefreshToken>) {
    let (mut family, first) = begin();
    let mut tokens = vec![first];
    for time in times {
        let newest = presented(tokens.last().unwrap());
        let Judgement::Rotate(successor) = judge(&family, &newest, at(*time), window()) else {
            panic!("the newest token rotates");
        };
        family = family.rotated(&successor, at(*time), &settings()).unwrap();
        tokens.push(family.token(&successor));
    }
    (family, tokens)
}

#[test]
fn an_old_token_is_replayed_as_long_as_its_own_rotation_is_in_the_window() {
    for (times, generation, now, expected) in [
        // The newest one rotates, whenever it comes.
        (&[][..], 1, 0, "rotate"),
        (&[100], 2, 100, "rotate"),
        (&[100], 2, 7 * DAY, "rotate"),
        // Its predecessor: to the millisecond.
        (&[100], 1, 100, "replay"),
        (&[100], 1, 100 + 20 * SECOND - 1, "replay"),
        (&[100], 1, 100 + 20 * SECOND, "reuse"),
        // A clock that is behind the one by which it was rotated.
        (&[100], 1, 0, "replay"),
        // Rotated by a clock that is behind the one of the rotation before: it counts as if by that.
        (&[10_000, 0], 2, 29_999, "replay"),
        (&[10_000, 0], 2, 30_000, "reuse"),
        (&[10_000, 0], 1, 29_999, "replay"),
        // Further back: the rotation that replaced it counts, not the last one.
        (&[100, 5100], 1, 20_099, "replay"),
        (&[100, 5100], 1, 20_100, "reuse"),
        (&[100, 5100], 2, 20_100, "replay"),
        (&[100, 5100, 9000], 1, 9000, "replay"),
        (&[0, 60_000, 60_001], 1, 60_002, "reuse"),
        (&[0, 60_000, 60_001], 2, 60_002, "replay"),
        (&[0, 60_000, 60_001], 3, 60_002, "replay"),
    ] {
        let (family, tokens) = rotated_at(times);
        assert_eq!(judged(&family, &tokens[generation - 1], now), expected, "{times:?} {generation} {now}");
    }
}

#[test]
fn a_login_is_over_when_it_was_idle_when_it_is_old_and_when_it_was_ended() {
    for (times, now, expected) in [
        (&[][..], 7 * DAY - 1, "rotate"),
        (&[], 7 * DAY, "expired"),
        (&[6 * DAY], 13 * DAY - 1, "rotate"),
        (&[6 * DAY], 13 * DAY, "expired"),
        // 30 days are the end, however often it was used.
        (&[6 * DAY, 12 * DAY, 18 * DAY, 24 * DAY, 29 * DAY], 30 * DAY - 1, "rotate"),
        (&[6 * DAY, 12 * DAY, 18 * DAY, 24 * DAY, 29 * DAY], 30 * DAY, "expired"),
    ] {
        let (family, tokens) = rotated_at(times);
        assert_eq!(judged(&family, tokens.last().unwrap(), now), expected, "{times:?} {now}");
    }
    let (family, tokens) = rotated_at(&[100]);
    let ended = Family { ended_at: Some(at(200)), ..family };
    // In the window too, and instead of a reuse.
    for (token, now) in [(&tokens[1], 200), (&tokens[0], 200), (&tokens[0], DAY), (&tokens[1], 8 * DAY)] {
        assert_eq!(judged(&ended, token, now), "ended");
    }
}

#[test]
fn only_a_token_that_was_made_here_says_anything() {
    let (family, tokens) = rotated_at(&[100, 200]);
    let (stranger, others) = rotated_at(&[100, 200]);
    for token in &others {
        // Of the same id and generation, with the keys of another family.
        assert_eq!(judged(&family, token, DAY), "unknown");
    }
    let another = Family { login: LoginId::of_stored(4096 * 10 + 5).unwrap(), ..family.clone() };
    assert_eq!(judged(&another, &tokens[0], DAY), "unknown");
    let lost = rotated_at(&[100]).0;
    let lost =
        Family { keys: family.keys.clone(), secret_hash: lost.secret_hash, generation: 2, ..family.clone() };
    assert_eq!(judged(&lost, &tokens[2], DAY), "ahead");

    // Who has read the row can make tags, and yet no token that ends anything.
    let forged = |generation| family.keys.token(family.login, generation, &Secret::random());
    for generation in [0, 1, 2, 3] {
        assert_eq!(judged(&family, &forged(generation), DAY), "unknown", "{generation}");
    }
    assert_eq!(judged(&family, &forged(u32::MAX), DAY), "ahead");
    // Who has not costs neither a look for what is newer nor a hash for each rotation.
    let invented = FamilyKeys::random().token(family.login, u32::MAX, &Secret::random());
    assert_eq!(judged(&family, &invented, DAY), "unknown");
    assert_eq!(judged(&stranger, &others[2], 300), "rotate");
}

#[test]
fn of_every_rotation_in_a_window_the_time_is_kept() {
    let many: Vec<u64> = (1..=u64::try_from(ROTATIONS_MAX).unwrap()).collect();
    let (family, tokens) = rotated_at(&many);
    assert_eq!(family.rotations.to_bytes().len(), ROTATIONS_MAX * 8);
    let newest = tokens.last().unwrap();
    for (token, now, expected) in [
        // One more would be one too many, until the first of them is out of the longest window.
        (newest, 100, "replay"),
        (newest, 30 * SECOND, "replay"),
        (newest, 30 * SECOND + 1, "rotate"),
        // By a clock that is behind.
        (newest, 0, "replay"),
        (&tokens[0], 100, "replay"),
        (&tokens[0], 20 * SECOND, "replay"),
        (&tokens[0], 20 * SECOND + 1, "reuse"),
    ] {
        assert_eq!(judged(&family, token, now), expected, "{now}");
    }
    let Judgement::Replay(secret) = judge(&family, &presented(newest), at(100), window()) else {
        panic!("it is the newest, and too many were before it");
    };
    assert!(family.token(&secret) == *newest, "whoever comes too often keeps what he has");
    // Those out of every window are forgotten.
    let (family, _) = rotated_at(&[0, 100, 30_050, 30_099]);
    let kept = Rotations(vec![at(30_099), at(30_050), at(100)]);
    assert_eq!(family.rotations, kept);
}

#[test]
fn who_is_long_behind_is_not_followed_step_by_step() {
    let (family, tokens) = rotated_at(&[0]);
    for (generation, expected) in [(SUCCESSORS_MAX + 1, "unknown"), (SUCCESSORS_MAX + 2, "reuse")] {
        // Its hash is of another secret than the first token leads to.
        let family = Family { generation, ..family.clone() };
        assert_eq!(judged(&family, &tokens[0], DAY), expected);
        let invented = FamilyKeys::random().token(family.login, 1, &Secret::random());
        assert_eq!(judged(&family, &invented, DAY), "unknown");
    }
}

#[test]
fn generations_end_without_an_overflow() {
    let (family, _) = begin();
    let last = Family { generation: u32::MAX, ..family };
    assert!(last.rotated(&Secret::random(), BEGUN, &settings()).is_none());
}

#[test]
fn a_column_that_is_no_list_of_times_is_refused() {
    for (length, fits) in
        [(0, true), (7, false), (8, true), (8 * ROTATIONS_MAX, true), (8 * ROTATIONS_MAX + 8, false)]
    {
        let read = Rotations::of_stored(&vec![1; length]);
        assert_eq!(read.is_some(), fits, "{length}");
        assert!(read.is_none_or(|times| times.to_bytes() == vec![1; length]));
    }
}

/// One thing that happens to a login.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes.
    Pass(u64),
    /// A replica reads the row for a token that was handed out.
    Read { replica: usize, token: Index },
    /// It acts on what it read.
    Act { replica: usize },
    /// It dies, and what it read with it.
    Die { replica: usize },
    /// The owner ends the login.
    End,
}

const REPLICAS: usize = 3;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let replica = 0..REPLICAS;
    let pass = prop_oneof![4 => 0..2 * SECOND, 2 => 9 * SECOND..31 * SECOND, 1 => 0..8 * DAY];
    let step = prop_oneof![
        4 => pass.prop_map(Step::Pass),
        8 => (replica.clone(), any::<Index>()).prop_map(|(replica, token)| Step::Read { replica, token }),
        8 => replica.clone().prop_map(|replica| Step::Act { replica }),
        1 => replica.prop_map(|replica| Step::Die { replica }),
        1 => Just(Step::End),
    ];
    vec(step, 1..120)
}

/// What holds, told without hashes: every token that was ever handed out, and when its successor replaced it.
struct Model {
    tokens: Vec<(RefreshToken, Option<UnixMs>)>,
    used_at: UnixMs,
    ended: bool,
}

impl Model {
    fn expected(&self, number: usize, now: UnixMs) -> &'static str {
        let idle = now.since(self.used_at) >= settings().idle_timeout;
        let old = now.since(BEGUN) >= settings().absolute_timeout;
        match self.tokens[number].1 {
            _ if self.ended => "ended",
            _ if idle || old => "expired",
            None if self.rotated_within(Duration::from_secs(30), now) >= ROTATIONS_MAX => "replay",
            None => "rotate",
            Some(replaced) if now.since(replaced) < window().get() => "replay",
            Some(_) => "reuse",
        }
    }

    fn rotated_within(&self, time: Duration, now: UnixMs) -> usize {
        let replaced = self.tokens.iter().filter_map(|(_, replaced)| *replaced);
        replaced.filter(|replaced| now.since(*replaced) < time).count()
    }
}

/// How many tokens before the newest the one is that is presented, and how long after the one before; or mostly the newest, too often.
fn presents() -> impl Strategy<Value = Vec<(usize, u64)>> {
    let pass = prop_oneof![4 => 0..SECOND, 2 => SECOND..30 * SECOND, 1 => 0..4 * DAY];
    let in_a_hurry = (prop_oneof![9 => Just(0), 1 => 0..100_usize], 0..SECOND);
    prop_oneof![vec((0..100_usize, pass), 1..100), vec(in_a_hurry, 100..200)]
}

proptest! {
    /// One replica after the other: each judgement is the model's, and who is answered has the newest token.
    #[test]
    fn a_sequence_of_presents_is_judged_as_the_model_says(
        presents in presents(),
    ) {
        let (mut family, first) = begin();
        let mut model = Model { tokens: vec![(first, None)], used_at: BEGUN, ended: false };
        let mut now = BEGUN;
        for (back, passed) in presents {
            now = now.after(Duration::from_millis(passed));
            let count = model.tokens.len();
            let number = count - 1 - back % count;
            let judgement = judge(&family, &presented(&model.tokens[number].0), now, window());
            prop_assert_eq!(word(&judgement), model.expected(number, now));
            match judgement {
                Judgement::Rotate(successor) => {
                    family = family.rotated(&successor, now, &settings()).unwrap();
                    model.tokens.last_mut().unwrap().1 = Some(now);
                    model.tokens.push((family.token(&successor), None));
                    model.used_at = now;
                }
                Judgement::Replay(newest) => {
                    prop_assert!(family.token(&newest) == model.tokens.last().unwrap().0);
                }
                Judgement::Reuse => {
                    family.ended_at = Some(now);
                    model.ended = true;
                }
                _ => {}
            }
        }
    }

    /// Several at once, each of which may have read the row long before it acts, or die in between. A write goes through only against
    /// the row as it was read.
    #[test]
    fn no_token_has_two_successors_whoever_is_in_between(steps in steps()) {
        let (mut row, first) = begin();
        // By generation, from 1.
        let mut handed_out = vec![first];
        let mut replicas: [Option<(Family, Presented)>; REPLICAS] = [const { None }; REPLICAS];
        let mut now = BEGUN;
        for step in steps {
            match step {
                Step::Pass(milliseconds) => now = now.after(Duration::from_millis(milliseconds)),
                Step::Read { replica, token } => {
                    let token = &handed_out[token.index(handed_out.len())];
                    replicas[replica] = Some((row.clone(), presented(token)));
                }
                Step::Die { replica } => replicas[replica] = None,
                Step::End => row.ended_at = row.ended_at.or(Some(now)),
                Step::Act { replica } => {
                    let Some((read, token)) = replicas[replica].take() else { continue };
                    let is_as_read = row.generation == read.generation && row.ended_at.is_none();
                    match judge(&read, &token, now, window()) {
                        Judgement::Rotate(successor) if is_as_read => {
                            row = read.rotated(&successor, now, &settings()).unwrap();
                            handed_out.push(row.token(&successor));
                        }
                        Judgement::Replay(newest) => {
                            let generation = usize::try_from(read.generation).unwrap();
                            prop_assert!(read.token(&newest) == handed_out[generation - 1]);
                        }
                        Judgement::Reuse => row.ended_at = row.ended_at.or(Some(now)),
                        _ => {}
                    }
                }
            }
            prop_assert_eq!(usize::try_from(row.generation).unwrap(), handed_out.len());
        }
        let newest = presented(handed_out.last().unwrap());
        let expected = if row.ended_at.is_some() { "ended" } else if row.valid_until <= now { "expired" } else { "rotate" };
        prop_assert_eq!(word(&judge(&row, &newest, now, window())), expected);
    }
}
