//! What a few answers say together.

/// The answers of a while.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    answers: u32,
    drops: u32,
    answers_seconds: f64,
    drops_seconds: f64,
    in_flight_max: u32,
}

impl Window {
    pub(super) fn answered(&mut self, seconds: f64, in_flight: u32) {
        self.answers += 1;
        self.answers_seconds += seconds;
        self.in_flight_max = self.in_flight_max.max(in_flight);
    }

    /// A request that counts for `seconds` has got no answer.
    pub(super) fn dropped(&mut self, seconds: f64, in_flight: u32) {
        self.drops += 1;
        self.drops_seconds += seconds;
        self.in_flight_max = self.in_flight_max.max(in_flight);
    }

    pub(super) fn count(&self) -> u32 {
        self.answers + self.drops
    }

    /// The most that were in flight with one of them.
    pub(super) fn in_flight_max(&self) -> u32 {
        self.in_flight_max
    }

    /// The mean response time of all; of none it is not asked.
    pub(super) fn mean(&self) -> f64 {
        (self.answers_seconds + self.drops_seconds) / f64::from(self.count())
    }

    /// A long average over about `answers` answers after those of this window, each of which counts alike. What got no answer tells
    /// nothing about how long one takes.
    pub(super) fn blended_into(&self, average_seconds: f64, answers: f64) -> f64 {
        (average_seconds * answers + self.answers_seconds) / (answers + f64::from(self.answers))
    }
}
