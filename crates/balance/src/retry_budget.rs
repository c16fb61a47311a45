//! How many retries a service may cost: a share of its requests, and a floor for when there are few.
//!
//! A service that fails everything would otherwise get each request several times over, at the very moment when it can bear the
//! least (Google's SRE book calls it a retry storm). Every request deposits what its route allows, every retry that puts work on
//! an endpoint withdraws one, and only the last ten seconds count.
//!
//! A ring of one-second buckets and not a balance that decays: "no window of ten seconds holds more retries than its requests and
//! the floor allow" can be counted in a log, and needs no exponential.
//!
//! Invariant: over any seconds, retries ≤ deposits of these seconds and of the window before them + floor × (these seconds + the
//! window); and none is refused while the window holds fewer than the floor allows.

use std::time::Duration;

/// Deposits and withdrawals count for this many seconds, each of which has a bucket.
const WINDOW_SECONDS: usize = 10;
/// Balances are counted in millionths of a retry, so that ten deposits of 0.1 are one.
const RETRY: i64 = 1_000_000;
/// Beyond this, a floor is as good as no budget.
const FLOOR_PER_SECOND_MAX: f64 = 1e9;

/// Whether a retry is within the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Withdrawal {
    /// It is, and has been paid for.
    Granted,
    /// It is not: what the first attempt came to is the answer.
    Refused,
}

/// The budget of one service on one worker. Time is the time since the owner began, and does not run backwards.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    /// Deposits less withdrawals of each second, at its number modulo the length.
    buckets: [i64; WINDOW_SECONDS],
    /// The sum of the buckets and the floor.
    balance: i64,
    /// The second that the newest bucket stands for.
    second: u64,
}

impl RetryBudget {
    /// A budget in which `retries_per_second_min` are free, whatever the number of requests. From 0.1 on, the first request of all
    /// can be retried.
    #[must_use]
    pub fn new(retries_per_second_min: f64) -> Self {
        let floor = retries_per_second_min.clamp(0.0, FLOOR_PER_SECOND_MAX) * WINDOW_SECONDS as f64;
        Self { buckets: [0; WINDOW_SECONDS], balance: millionths(floor), second: 0 }
    }

    /// A request has come, for which its route allows `ratio` retries, 0 to 1.
    pub fn deposit(&mut self, ratio: f64, now: Duration) {
        self.book(millionths(ratio.clamp(0.0, 1.0)), now);
    }

    /// Asks for one retry.
    pub fn withdraw(&mut self, now: Duration) -> Withdrawal {
        if !self.affords(now) {
            return Withdrawal::Refused;
        }
        self.book(-RETRY, now);
        Withdrawal::Granted
    }

    /// Whether one retry would be granted.
    pub fn affords(&mut self, now: Duration) -> bool {
        self.turn_to(now);
        self.balance >= RETRY
    }

    fn book(&mut self, amount: i64, now: Duration) {
        self.turn_to(now);
        self.buckets[bucket(self.second)] += amount;
        self.balance += amount;
    }

    /// Forgets the seconds that have left the window at `now`.
    fn turn_to(&mut self, now: Duration) {
        let second = now.as_secs();
        let passed = second.saturating_sub(self.second).min(WINDOW_SECONDS as u64);
        if passed == 0 {
            return;
        }
        for forgotten in second + 1 - passed..=second {
            self.balance -= std::mem::take(&mut self.buckets[bucket(forgotten)]);
        }
        self.second = second;
    }
}

fn bucket(second: u64) -> usize {
    usize::try_from(second % WINDOW_SECONDS as u64).expect("a remainder of ten fits")
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and amounts are far below what an i64 holds"
)]
fn millionths(retries: f64) -> i64 {
    // Never negative, so that this rounds; `round` would be a call, once a request.
    (retries * RETRY as f64 + 0.5) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn granted(budget: &mut RetryBudget, asked: usize, now: Duration) -> usize {
        (0..asked).filter(|_| budget.withdraw(now) == Withdrawal::Granted).count()
    }

    #[test]
    fn the_first_request_after_the_start_can_be_retried() {
        for floor in [0.1, 1.0, 3.0] {
            let mut budget = RetryBudget::new(floor);
            budget.deposit(0.2, at(1));
            assert_eq!(budget.withdraw(at(2)), Withdrawal::Granted, "{floor}");
        }
    }

    #[test]
    fn an_outage_gets_a_share_of_its_requests_and_the_floor() {
        let mut budget = RetryBudget::new(3.0);
        let mut retries = 0;
        for request in 0..100_000 {
            let now = at(request);
            budget.deposit(0.2, now);
            retries += granted(&mut budget, 3, now);
        }
        // A hundred seconds at a thousand a second.
        assert_eq!(retries, 20_000 + 10 * 3 * 10);
    }

    #[test]
    fn ten_deposits_of_a_tenth_are_one_retry() {
        let mut budget = RetryBudget::new(0.0);
        for _ in 0..10 {
            assert_eq!(budget.withdraw(at(5)), Withdrawal::Refused);
            budget.deposit(0.1, at(5));
        }
        assert_eq!(granted(&mut budget, 2, at(5)), 1);
    }

    #[test]
    fn a_deposit_is_good_for_ten_seconds() {
        let mut budget = RetryBudget::new(0.0);
        for (asked_at, expected) in [(9_999, Withdrawal::Granted), (10_000, Withdrawal::Refused)] {
            budget.deposit(1.0, at(999));
            assert_eq!(budget.clone().withdraw(at(asked_at)), expected, "{asked_at}");
        }
    }

    #[test]
    fn quiet_hours_earn_nothing() {
        let mut budget = RetryBudget::new(2.0);
        assert_eq!(granted(&mut budget, 100, at(0)), 20);
        assert_eq!(granted(&mut budget, 100, at(3_600_000)), 20);
    }

    #[test]
    fn a_clock_that_lags_behind_changes_nothing() {
        let mut budget = RetryBudget::new(0.0);
        budget.deposit(1.0, at(20_000));
        assert_eq!(granted(&mut budget, 2, at(1_000)), 1);
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Request { millionths: u32 },
        Retry,
        Pause { millis: u64 },
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0_u32..=1_000_000).prop_map(|millionths| Event::Request { millionths }),
            4 => Just(Event::Retry),
            2 => (1_u64..900).prop_map(|millis| Event::Pause { millis }),
            1 => (900_u64..15_000).prop_map(|millis| Event::Pause { millis }),
        ]
    }

    /// What one second has seen, in millionths of a retry.
    #[derive(Clone, Copy, Default)]
    struct Second {
        deposits: i64,
        retries: i64,
    }

    fn sum(seconds: &[Second], of: impl Fn(&Second) -> i64) -> i64 {
        seconds.iter().map(of).sum()
    }

    proptest! {
        #[test]
        fn retries_stay_within_requests_and_floor_and_are_free_below_the_floor(
            events in prop::collection::vec(event(), 1..300),
            floor in 0_u32..4,
        ) {
            let mut budget = RetryBudget::new(f64::from(floor));
            let floor = i64::from(floor) * RETRY;
            let mut seconds = vec![Second::default()];
            let mut now = Duration::ZERO;
            for event in events {
                match event {
                    Event::Pause { millis } => now += at(millis),
                    Event::Request { millionths } => {
                        budget.deposit(f64::from(millionths) / 1e6, now);
                        seconds.last_mut().unwrap().deposits += i64::from(millionths);
                    }
                    Event::Retry => {
                        let window = &seconds[seconds.len().saturating_sub(WINDOW_SECONDS)..];
                        let left = sum(window, |second| second.deposits - second.retries) + 10 * floor;
                        let is_below_floor = sum(window, |second| second.retries) + RETRY <= 10 * floor;
                        let withdrawal = budget.withdraw(now);
                        // The model counts the whole window anew; and the promise to quiet services is a promise of its own.
                        prop_assert_eq!(withdrawal == Withdrawal::Granted, left >= RETRY);
                        prop_assert!(withdrawal == Withdrawal::Granted || !is_below_floor);
                        if withdrawal == Withdrawal::Granted {
                            seconds.last_mut().unwrap().retries += RETRY;
                        }
                    }
                }
                seconds.resize(usize::try_from(now.as_secs()).unwrap() + 1, Second::default());
            }
            for from in 0..seconds.len() {
                for to in from + 1..=seconds.len().min(from + 40) {
                    let earned = sum(&seconds[from.saturating_sub(WINDOW_SECONDS)..to], |second| second.deposits);
                    let free = floor * i64::try_from(to - from + WINDOW_SECONDS).unwrap();
                    prop_assert!(sum(&seconds[from..to], |second| second.retries) <= earned + free, "{} to {}", from, to);
                }
            }
        }
    }
}
