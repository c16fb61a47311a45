//! The end of a trial, which ends every pause in it.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

/// Told once; whoever pauses until then goes on at once.
#[derive(Default)]
pub(crate) struct Stop {
    is_told: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(crate) fn tell(&self) {
        *self.is_told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Pauses; whether it was told before the pause was over.
    pub(crate) fn told_within(&self, pause: Duration) -> bool {
        let guard = self.is_told.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.changed.wait_timeout_while(guard, pause, |is_told| !*is_told);
        *outcome.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Tells it also where the thread that is to tell it panics: the others would go on for ever.
pub(crate) struct ToldAtLast<'a>(pub(crate) &'a Stop);

impl Drop for ToldAtLast<'_> {
    fn drop(&mut self) {
        self.0.tell();
    }
}
