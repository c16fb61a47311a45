use proptest::prelude::*;

use super::*;

const START: u64 = 1_800_000_000_000;
const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;

fn counter(attempts: u32, last: u64) -> Counter {
    Counter { attempts, last }
}

/// The wait of one ladder in milliseconds, `ago` after the last of so many attempts.
fn wait_ms(ladder: Ladder, attempts: u32, ago: u64) -> u128 {
    ladder.wait(counter(attempts, START), START + ago).as_millis()
}

#[test]
fn a_ladder_doubles_up_to_its_end_and_forgets() {
    let ladder = AttemptPolicy::default().pair;
    for (attempts, ago, expected) in [
        (0, 0, 0),
        (4, 0, 0),
        (5, 0, 1000),
        (5, 1, 999),
        (5, 999, 1),
        (5, 1000, 0),
        (6, 0, 2000),
        (7, 0, 4000),
        (14, 0, 512_000),
        (15, 0, 900_000),
        (36, 0, 900_000),
        (37, 0, 900_000),
        (u32::MAX, 0, 900_000),
        (u32::MAX, 899_999, 1),
        (u32::MAX, HOUR, 0),
    ] {
        assert_eq!(wait_ms(ladder, attempts, ago), expected, "{attempts} attempts, the last {ago} ms ago");
    }
    assert_eq!(ladder.count(counter(9, START), START + HOUR - 1).attempts, 10);
    assert_eq!(ladder.count(counter(9, START), START + HOUR).attempts, 1);
}

/// O14: an hour is what a clock may jump by.
#[test]
fn a_clock_that_was_set_back_makes_nobody_wait_longer() {
    let policy = AttemptPolicy::default();
    let guessed_at = Counters { account: counter(1000, START + HOUR), ..Counters::default() };
    let judged = judge(&policy, &guessed_at, Acquaintance::Unknown, START);
    let Verdict::Refused { retry_after, counters } = judged else { panic!("{judged:?}") };
    assert_eq!((retry_after, counters.account.last), (policy.account.delay_max, START));
    let then = START + u64::try_from(retry_after.as_millis()).unwrap();
    let Verdict::Admitted(counters) = judge(&policy, &counters, Acquaintance::Unknown, then) else {
        panic!("whoever waits as long as was told is let in")
    };
    assert_eq!(counters.account, counter(1001, then));
}

/// O14: the other way it ends a wait, and no more.
#[test]
fn a_clock_that_was_set_forward_lets_one_in() {
    let policy = AttemptPolicy::default();
    let guessed_at = Counters { account: counter(1000, START), ..Counters::default() };
    let Verdict::Admitted(counters) = judge(&policy, &guessed_at, Acquaintance::Unknown, START + HOUR - 1)
    else {
        panic!("an hour is longer than any wait")
    };
    let judged = judge(&policy, &counters, Acquaintance::Unknown, START + HOUR);
    assert!(matches!(judged, Verdict::Refused { .. }), "{judged:?}");
}

#[test]
fn the_longest_wait_of_an_unknown_pair_counts_and_of_a_known_pair_its_own() {
    use Acquaintance::{Known, Unknown};
    let (free, many) = (counter(0, 0), counter(40, START));
    for (pair, account, address, acquaintance, wait_seconds) in [
        (free, free, free, Unknown, 0),
        (many, free, free, Unknown, 900),
        (free, many, free, Unknown, 30),
        (free, free, counter(60, START), Unknown, 60),
        (many, many, many, Unknown, 900),
        (free, many, counter(60, START), Known, 0),
        (counter(5, START), many, many, Known, 1),
    ] {
        let counters = Counters { pair, account, address };
        let verdict = judge(&AttemptPolicy::default(), &counters, acquaintance, START);
        let waited = match verdict {
            Verdict::Admitted(_) => 0,
            Verdict::Refused { retry_after, .. } => retry_after.as_secs(),
        };
        assert_eq!(waited, wait_seconds, "{counters:?} {acquaintance:?}");
    }
}

#[test]
fn a_known_pair_counts_nowhere_else() {
    let policy = AttemptPolicy::default();
    let before = Counters { account: counter(3, START), address: counter(4, START), ..Counters::default() };
    let Verdict::Admitted(after) = judge(&policy, &before, Acquaintance::Known, START) else {
        panic!("refused")
    };
    assert_eq!(after, Counters { pair: counter(1, START), ..before });
    let Verdict::Admitted(after) = judge(&policy, &before, Acquaintance::Unknown, START) else {
        panic!("refused")
    };
    assert_eq!(
        after,
        Counters { pair: counter(1, START), account: counter(4, START), address: counter(5, START) }
    );
}

/// Counters of one account and some addresses.
struct World {
    policy: AttemptPolicy,
    account: Counter,
    pairs: Vec<Counter>,
    addresses: Vec<Counter>,
}

impl World {
    fn new(addresses: usize) -> Self {
        Self {
            policy: AttemptPolicy::default(),
            account: Counter::default(),
            pairs: vec![Counter::default(); addresses],
            addresses: vec![Counter::default(); addresses],
        }
    }

    /// Whether a guess from an address was let in.
    fn guesses(&mut self, address: usize, acquaintance: Acquaintance, now: u64) -> bool {
        let counters =
            Counters { pair: self.pairs[address], account: self.account, address: self.addresses[address] };
        let Verdict::Admitted(after) = judge(&self.policy, &counters, acquaintance, now) else {
            return false;
        };
        (self.pairs[address], self.account, self.addresses[address]) =
            (after.pair, after.account, after.address);
        true
    }
}

#[test]
fn many_addresses_get_three_thousand_guesses_a_day() {
    let mut world = World::new(1000);
    let mut let_in = 0;
    for guess in 0..10 * DAY / SECOND {
        let address = usize::try_from(guess % 1000).unwrap();
        let_in += u32::from(world.guesses(address, Acquaintance::Unknown, START + guess * SECOND / 10));
    }
    assert!((2800..2910).contains(&let_in), "{let_in}");
}

#[test]
fn the_owner_at_a_known_address_is_let_in_while_others_guess() {
    let mut world = World::new(1001);
    let owner = 1000;
    for guess in 0..100 * HOUR / SECOND {
        let now = START + guess * SECOND / 100;
        world.guesses(usize::try_from(guess % 1000).unwrap(), Acquaintance::Unknown, now);
        if guess % 30_000 == 0 {
            assert!(world.guesses(owner, Acquaintance::Known, now), "after {guess} guesses of others");
            // He had the right password.
            world.pairs[owner] = Counter::default();
        }
    }
}

#[test]
fn the_owner_at_another_address_waits_at_most_half_a_minute_once_they_stop() {
    let mut world = World::new(101);
    for guess in 0..10_000 {
        world.guesses(guess % 100, Acquaintance::Unknown, START + guess as u64);
    }
    assert!(!world.guesses(100, Acquaintance::Unknown, START + 10_000));
    assert!(world.guesses(100, Acquaintance::Unknown, START + 10_000 + 30 * SECOND));
}

#[test]
fn one_address_gets_a_guess_a_minute_at_any_number_of_accounts() {
    let policy = AttemptPolicy::default();
    let mut address = Counter::default();
    let let_in = (0..DAY / SECOND)
        .filter(|second| {
            // Every guess is at another account.
            let counters = Counters { address, ..Counters::default() };
            match judge(&policy, &counters, Acquaintance::Unknown, START + second * SECOND) {
                Verdict::Admitted(after) => {
                    address = after.address;
                    true
                }
                Verdict::Refused { .. } => false,
            }
        })
        .count();
    assert!((1440..1500).contains(&let_in), "{let_in}");
}

fn any_counter() -> impl Strategy<Value = Counter> {
    (0..200_u32, START - 2 * HOUR..START + 2 * HOUR).prop_map(|(attempts, last)| Counter { attempts, last })
}

fn any_counters() -> impl Strategy<Value = Counters> {
    (any_counter(), any_counter(), any_counter()).prop_map(|(pair, account, address)| Counters {
        pair,
        account,
        address,
    })
}

proptest! {
    #[test]
    fn who_waits_as_told_is_let_in(counters in any_counters(), known: bool) {
        let acquaintance = if known { Acquaintance::Known } else { Acquaintance::Unknown };
        let policy = AttemptPolicy::default();
        if let Verdict::Refused { retry_after, counters } = judge(&policy, &counters, acquaintance, START) {
            prop_assert!(!retry_after.is_zero() && retry_after <= policy.pair.delay_max);
            let then = START + u64::try_from(retry_after.as_millis()).unwrap();
            prop_assert!(matches!(judge(&policy, &counters, acquaintance, then), Verdict::Admitted(_)));
        }
    }

    #[test]
    fn more_attempts_never_wait_less(counters in any_counters(), more in 0..50_u32) {
        let policy = AttemptPolicy::default();
        for ladder in [policy.pair, policy.account, policy.address] {
            let counter = counters.pair;
            let further = Counter { attempts: counter.attempts + more, ..counter };
            prop_assert!(ladder.wait(further, START) >= ladder.wait(counter, START));
        }
    }

    #[test]
    fn who_was_let_in_is_counted_and_taken_back_whole(counters in any_counters()) {
        if let Verdict::Admitted(after) =
            judge(&AttemptPolicy::default(), &counters, Acquaintance::Unknown, START)
        {
            prop_assert_eq!(after.pair.last, START);
            prop_assert!(after.account.attempts > 0);
            prop_assert!(after.account.taken_back().map_or(0, |counter| counter.attempts) <= counters.account.attempts);
        }
    }
}
