//! Waiting for what nothing announces.

use std::{thread, time::Duration};

use phalanx_telemetry::clock;

/// Far longer than anything here takes on a machine that is busy with something else; what is not there by then does not
/// come.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Looks until `look` finds something; `None` when it did not by the deadline.
pub(crate) fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = clock::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if clock::now().duration_since(began) > DEADLINE {
            return None;
        }
        thread::sleep(LOOK_AGAIN);
    }
}
