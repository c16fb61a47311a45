//! What is known of a run at the moment: written by the work, read by whoever shows it.

use std::sync::Arc;

use tokio::sync::watch;

use super::Report;

/// A report that is kept up to date; cheap to clone.
#[derive(Clone)]
pub(super) struct Board(Arc<watch::Sender<Report>>);

impl Board {
    pub(super) fn new(report: Report) -> Self {
        Self(Arc::new(watch::Sender::new(report)))
    }

    /// Whoever watches is woken by what does not come often: another stage or direction, a fault, a trouble. Figures he looks at in
    /// his own time.
    pub(super) fn update(&self, change: impl FnOnce(&mut Report)) {
        self.0.send_if_modified(|report| {
            let before = (report.stage, report.direction, report.fault.clone(), report.trouble.clone());
            change(report);
            before != (report.stage, report.direction, report.fault.clone(), report.trouble.clone())
        });
    }

    pub(super) fn report(&self) -> Report {
        self.0.borrow().clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Report> {
        self.0.subscribe()
    }
}
