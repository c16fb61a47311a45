//! What active checks say of an endpoint: so many in a row until they say something else.

use std::num::NonZeroU32;

/// The checks of one endpoint, which is believed until they speak against it.
#[derive(Clone, Debug)]
pub(super) struct Checks {
    opinion: Opinion,
    /// Results in a row that contradict the opinion.
    against: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opinion {
    Healthy,
    Failing,
}

impl Checks {
    pub(super) fn new() -> Self {
        Self { opinion: Opinion::Healthy, against: 0 }
    }

    pub(super) fn opinion(&self) -> Opinion {
        self.opinion
    }

    /// Takes in a check that speaks for `result`, of which `needed` in a row change the opinion.
    pub(super) fn count(&mut self, result: Opinion, needed: NonZeroU32) {
        if result == self.opinion {
            self.against = 0;
            return;
        }
        self.against += 1;
        if self.against >= needed.get() {
            *self = Self { opinion: result, against: 0 };
        }
    }
}
