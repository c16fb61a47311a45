//! What is known of a run at the moment: written by the work, read by whoever shows it.

use std::sync::{Arc, Mutex, PoisonError};

use super::Report;

/// A report that is kept up to date; cheap to clone.
#[derive(Clone)]
pub(super) struct Board(Arc<Mutex<Report>>);

impl Board {
    pub(super) fn new(report: Report) -> Self {
        Self(Arc::new(Mutex::new(report)))
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn report(&self) -> Report {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
