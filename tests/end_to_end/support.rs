//! What the tests are made of: a Phalanx, clients, and ways to wait.

pub(crate) mod edge;
pub(crate) mod exposition;
pub(crate) mod home;
pub(crate) mod http;
pub(crate) mod phalanx;
pub(crate) mod terminal;
pub(crate) mod transcript;
pub(crate) mod websocket;

use std::{thread, time::Duration};

use phalanx_telemetry::clock;

/// Far longer than anything here takes on a machine that is busy with something else; what is not there by then does not
/// come.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The fenced blocks of a document in this language.
pub(crate) fn fenced(document: &'static str, language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    document.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Waits until `look` finds what nothing announces, and returns it.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = clock::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::now().duration_since(began) < DEADLINE, "it does not come: {what}");
        thread::sleep(LOOK_AGAIN);
    }
}

/// Waits until `condition` holds, which nothing announces.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()));
}
