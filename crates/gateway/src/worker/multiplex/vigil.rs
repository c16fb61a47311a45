//! Whether a connection still lives, and how long it is kept: a decision over times, without I/O.
//!
//! A peer that vanished without a word says nothing, and so does one that has nothing to say. Only a question tells them
//! apart, and it is asked only where somebody waits for an answer.

use std::time::Duration;

use crate::worker::upstream::IDLE_MAX;

/// A connection with requests on which nothing came for so long is asked.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// For so long it may not answer.
const PONG_MAX: Duration = Duration::from_secs(5);

/// What a connection has seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Requests on it.
    pub(super) streams: usize,
    /// When the first of these began, where there are any.
    pub(super) busy_since: Duration,
    /// When the last request ended.
    pub(super) idle_since: Duration,
    /// When the peer last sent anything.
    pub(super) heard: Duration,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again after this time.
    Wait(Duration),
    /// Send a PING.
    Ping,
    /// The peer is gone.
    Dead,
    /// Nobody has needed it for long.
    Retire,
}

/// One connection's watch.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    pinged_at: Option<Duration>,
}

impl Vigil {
    /// Notes that the peer answered a PING.
    pub(super) fn answered(&mut self) {
        self.pinged_at = None;
    }

    /// What to do at `now`.
    pub(super) fn look(&mut self, seen: Seen, now: Duration) -> Verdict {
        if seen.streams == 0 {
            self.pinged_at = None;
            return match IDLE_MAX.checked_sub(now.saturating_sub(seen.idle_since)) {
                Some(left) if !left.is_zero() => Verdict::Wait(left),
                _ => Verdict::Retire,
            };
        }
        // Before the first request nobody waited for anything.
        let quiet_since = seen.heard.max(seen.busy_since);
        if let Some(pinged_at) = self.pinged_at.filter(|pinged_at| quiet_since <= *pinged_at) {
            return match PONG_MAX.checked_sub(now.saturating_sub(pinged_at)) {
                Some(left) if !left.is_zero() => Verdict::Wait(left),
                _ => Verdict::Dead,
            };
        }
        self.pinged_at = None;
        match QUIET_MAX.checked_sub(now.saturating_sub(quiet_since)) {
            Some(left) if !left.is_zero() => Verdict::Wait(left),
            _ => {
                self.pinged_at = Some(now);
                Verdict::Ping
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn busy(heard: u64) -> Seen {
        Seen { streams: 1, busy_since: at(100), idle_since: at(0), heard: at(heard) }
    }

    #[test]
    fn a_quiet_peer_is_asked_and_a_silent_one_is_dead() {
        let mut vigil = Vigil::default();
        assert_eq!(vigil.look(busy(40), at(100)), Verdict::Wait(at(5)));
        assert_eq!(vigil.look(busy(103), at(105)), Verdict::Wait(at(3)));
        assert_eq!(vigil.look(busy(103), at(108)), Verdict::Ping);
        assert_eq!(vigil.look(busy(103), at(110)), Verdict::Wait(at(3)));
        assert_eq!(vigil.look(busy(103), at(113)), Verdict::Dead);
    }

    #[test]
    fn whatever_a_peer_says_shows_that_it_lives() {
        let mut vigil = Vigil::default();
        assert_eq!(vigil.look(busy(40), at(105)), Verdict::Ping);
        assert_eq!(vigil.look(busy(109), at(112)), Verdict::Wait(at(2)));
        assert_eq!(vigil.look(busy(109), at(114)), Verdict::Ping);
        // Within one tick of the clock the answer looks no later than the question.
        vigil.answered();
        assert_eq!(vigil.look(busy(114), at(114)), Verdict::Wait(at(5)));
    }

    #[test]
    fn a_connection_without_requests_is_kept_for_a_while_and_not_asked() {
        let mut vigil = Vigil::default();
        let idle = Seen { streams: 0, busy_since: at(0), idle_since: at(100), heard: at(90) };
        assert_eq!(vigil.look(idle, at(100)), Verdict::Wait(IDLE_MAX));
        assert_eq!(vigil.look(idle, at(149)), Verdict::Wait(at(1)));
        assert_eq!(vigil.look(idle, at(150)), Verdict::Retire);
    }
}
