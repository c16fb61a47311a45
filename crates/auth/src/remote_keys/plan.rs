//! When keys are fetched: a decision about times, which are counted from the start of the program.

use std::time::Duration;

/// A set that is fetched more often than this costs its server more than it tells.
const LIFETIME_MIN: Duration = Duration::from_secs(60);
/// A set that is fetched less often keeps a withdrawn key for too long.
const LIFETIME_MAX: Duration = Duration::from_secs(60 * 60);
/// Of a set that does not say how long it may be kept.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(5 * 60);
/// The wait after a first failure, which doubles with each further one.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// What is known of the fetches so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Fetches that brought keys.
    pub(super) fetched: u64,
    /// Fetches that did not.
    pub(super) failed: u64,
    /// Those of them since the last that did.
    pub(super) failed_in_a_row: u32,
    /// When the last fetch began.
    pub(super) began: Option<Duration>,
    /// When keys were last brought.
    pub(super) succeeded: Option<Duration>,
    /// For how long those may be kept.
    pub(super) lifetime: Duration,
    /// A fetch has begun and not ended.
    pub(super) under_way: bool,
    /// Somebody has a token of a key that is not there.
    pub(super) wanted: bool,
    /// Nothing is fetched any more.
    pub(super) stopped: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Fetch.
    Fetch,
    /// Nothing, for so long; or until a key is wanted.
    Wait(Duration),
}

/// What is to be done at `now`, if unknown keys may cause a fetch once in `cooldown`.
pub(super) fn plan(state: &State, cooldown: Duration, now: Duration) -> Plan {
    let Some(began) = state.began else { return Plan::Fetch };
    let regular = match (state.failed_in_a_row, state.succeeded) {
        // A fifth before they are too old, so that a failure has time to be mended.
        (0, Some(succeeded)) => succeeded + state.lifetime * 4 / 5,
        (failures, _) => began + retry_wait(failures),
    };
    let due = if state.wanted { regular.min(began + cooldown) } else { regular };
    if due <= now { Plan::Fetch } else { Plan::Wait(due - now) }
}

/// For how long a set may be kept, from what its server says.
pub(super) fn lifetime(max_age: Option<Duration>) -> Duration {
    max_age.map_or(LIFETIME_DEFAULT, |max_age| max_age.clamp(LIFETIME_MIN, LIFETIME_MAX))
}

impl State {
    /// A fetch has begun.
    pub(super) fn begin(&mut self, now: Duration) {
        (self.began, self.under_way, self.wanted) = (Some(now), true, false);
    }

    /// It has brought keys.
    pub(super) fn succeed(&mut self, lifetime: Duration, now: Duration) {
        (self.succeeded, self.lifetime, self.under_way) = (Some(now), lifetime, false);
        (self.fetched, self.failed_in_a_row) = (self.fetched + 1, 0);
    }

    /// It has not.
    pub(super) fn fail(&mut self) {
        self.under_way = false;
        (self.failed, self.failed_in_a_row) = (self.failed + 1, self.failed_in_a_row.saturating_add(1));
    }
}

fn retry_wait(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(5);
    (RETRY_MIN * 2_u32.pow(doublings)).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(15);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_fetch_is_due_by_age_by_failures_and_by_wish() {
        let fresh = State {
            began: Some(seconds(100)),
            succeeded: Some(seconds(101)),
            lifetime: seconds(300),
            ..State::default()
        };
        let failed = |failures| State { failed_in_a_row: failures, ..fresh };
        let never = |failures| State { succeeded: None, failed_in_a_row: failures, ..fresh };
        let wanted = |state| State { wanted: true, ..state };
        let wait = |time| Plan::Wait(seconds(time));
        for (state, now, expected) in [
            (State::default(), 0, Plan::Fetch),
            (wanted(State::default()), 0, Plan::Fetch),
            (fresh, 101, wait(240)),
            (fresh, 340, wait(1)),
            (fresh, 341, Plan::Fetch),
            (fresh, 10_000, Plan::Fetch),
            (wanted(fresh), 101, wait(14)),
            (wanted(fresh), 114, wait(1)),
            (wanted(fresh), 115, Plan::Fetch),
            (wanted(State { lifetime: seconds(10), ..fresh }), 101, wait(8)),
            (failed(1), 100, wait(1)),
            (failed(1), 101, Plan::Fetch),
            (failed(2), 100, wait(2)),
            (failed(5), 100, wait(16)),
            (failed(6), 100, wait(30)),
            (failed(u32::MAX), 100, wait(30)),
            (never(1), 100, wait(1)),
            (never(9), 100, wait(30)),
            // A key that is wanted does not wait longer than others do after a cooldown, nor is it in a hurry.
            (wanted(never(9)), 100, wait(15)),
            (wanted(failed(1)), 100, wait(1)),
        ] {
            assert_eq!(plan(&state, COOLDOWN, seconds(now)), expected, "{state:?} at {now}");
        }
    }

    #[test]
    fn a_lifetime_is_bounded_whatever_the_server_says() {
        for (max_age, expected) in [(None, 300), (Some(0), 60), (Some(600), 600), (Some(u64::MAX), 3600)] {
            assert_eq!(lifetime(max_age.map(seconds)), seconds(expected), "{max_age:?}");
        }
    }
}
