//! What an endpoint speaks, where that is found out: learned by one worker for all.
//!
//! Invariant: at most one worker looks at a time, and nobody waits for it. Until it is known, requests go over HTTP/1.1.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::Endpoint;

/// How long it is believed that an endpoint speaks HTTP/1.1 alone: it may have been replaced.
const BELIEVED_MAX: Duration = Duration::from_secs(30);
/// How long an endpoint is left alone that did not take the connection it was to be asked over.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Unknown,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 too.
    H2c,
}

/// What has been learned of an endpoint: in one word, since what is known and when it was found out belong together.
pub(crate) struct Learned {
    began: Instant,
    /// Two bits of [`Spoken`], one that says whether somebody looks, and the milliseconds from `began` to the last look, plus one.
    word: AtomicU64,
}

const SPOKEN_BITS: u64 = 0b11;
const LOOKING: u64 = 0b100;
const TIME_SHIFT: u32 = 3;

impl Learned {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, word: AtomicU64::new(0) }
    }

    pub(crate) fn spoken(&self) -> Spoken {
        spoken(self.word.load(Ordering::Relaxed))
    }

    /// Notes what was found.
    pub(crate) fn learn(&self, spoken: Spoken, now: Instant) {
        let bits = match spoken {
            Spoken::Unknown => 0,
            Spoken::Http1 => 1,
            Spoken::H2c => 2,
        };
        self.word.store(bits | self.time(now) << TIME_SHIFT, Ordering::Relaxed);
    }

    /// Whether the caller is the one to look now.
    fn claim(&self, now: Instant) -> bool {
        let time = self.time(now);
        let claimed = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let age_max = match spoken(word) {
                Spoken::Unknown => ASKED_AGAIN_AFTER,
                Spoken::Http1 => BELIEVED_MAX,
                Spoken::H2c => return None,
            };
            let looked_at = word >> TIME_SHIFT;
            let age = Duration::from_millis(time.saturating_sub(looked_at));
            let is_due = word & LOOKING == 0 && (looked_at == 0 || age >= age_max);
            is_due.then_some(word & SPOKEN_BITS | LOOKING | time << TIME_SHIFT)
        });
        claimed.is_ok()
    }

    fn release(&self) {
        self.word.fetch_and(!LOOKING, Ordering::Relaxed);
    }

    fn time(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.began).as_millis();
        u64::try_from(elapsed).map_or(u64::MAX >> TIME_SHIFT, |millis| millis + 1)
    }
}

fn spoken(word: u64) -> Spoken {
    match word & SPOKEN_BITS {
        0 => Spoken::Unknown,
        1 => Spoken::Http1,
        _ => Spoken::H2c,
    }
}

/// The right to find out what an endpoint speaks. Dropped, it leaves that to others.
pub(crate) struct Look {
    endpoint: Arc<Endpoint>,
}

impl Look {
    /// The right for the caller, if what is known is not enough and nobody has it.
    pub(crate) fn claim(endpoint: &Arc<Endpoint>, now: Instant) -> Option<Self> {
        endpoint.learned.claim(now).then(|| Self { endpoint: endpoint.clone() })
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.endpoint.learned.release();
    }
}

#[cfg(test)]
mod tests {
    use phalanx_telemetry::clock;

    use super::*;

    #[test]
    fn one_looks_and_the_others_take_over_what_it_finds() {
        let now = clock::now();
        let learned = Learned::new(now);
        assert_eq!(learned.spoken(), Spoken::Unknown);
        assert!(learned.claim(now));
        assert!(!learned.claim(now + Duration::from_secs(60)), "somebody looks");
        learned.learn(Spoken::H2c, now);
        learned.release();
        assert_eq!(learned.spoken(), Spoken::H2c);
        assert!(!learned.claim(now + Duration::from_secs(3600)), "what stands is enough");
    }

    #[test]
    fn that_an_endpoint_speaks_no_http2_is_believed_for_a_while() {
        let now = clock::now();
        let learned = Learned::new(now);
        assert!(learned.claim(now));
        learned.learn(Spoken::Http1, now);
        learned.release();
        assert!(!learned.claim(now + BELIEVED_MAX - Duration::from_millis(1)));
        assert!(learned.claim(now + BELIEVED_MAX));
        assert_eq!(learned.spoken(), Spoken::Http1, "until it is known better");
        learned.learn(Spoken::H2c, now + BELIEVED_MAX);
        assert_eq!(learned.spoken(), Spoken::H2c);
    }

    #[test]
    fn a_look_that_found_nothing_is_repeated_but_not_at_once() {
        let now = clock::now();
        let learned = Learned::new(now);
        assert!(learned.claim(now));
        learned.release();
        assert!(!learned.claim(now + ASKED_AGAIN_AFTER - Duration::from_millis(1)));
        assert!(learned.claim(now + ASKED_AGAIN_AFTER));
    }
}
