//! What happens while an order is waited for, as lines on standard error; only where that is a terminal.
//!
//! Cannot fail: where no events come, the outcome does all the same.

use std::{
    io::{self, IsTerminal as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use phalanx_admin::{
    client::{Client, EventReader},
    control::Told,
    state::Event,
};
use phalanx_telemetry::escape::escaped;

use crate::terminal;

/// A thread that tells what happens to one service. It waits for the next event, so it ends with the program.
pub(super) struct Progress {
    has_ended: Arc<AtomicBool>,
}

impl Progress {
    /// Begins to tell, if anybody sees it.
    pub(super) fn begin(client: &Client, service: &str) -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let events = client.events().ok()?;
        let has_ended = Arc::new(AtomicBool::new(false));
        let (service, ended) = (service.to_owned(), has_ended.clone());
        let telling = move || tell(events, &service, &ended);
        thread::Builder::new().name("events".to_owned()).spawn(telling).ok()?;
        Some(Self { has_ended })
    }

    /// Nothing is told any more: the outcome follows.
    pub(super) fn end(self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }
}

fn tell(events: EventReader, service: &str, has_ended: &AtomicBool) {
    for told in events {
        if has_ended.load(Ordering::Relaxed) {
            return;
        }
        match told {
            Told::Event(event) if event.service == service => terminal::progress(&line(&event)),
            Told::Event(_) => {}
            Told::Missed(count) => terminal::progress(&format!("({count} events were missed)")),
        }
    }
}

/// "shop-4 ready: after 1.2s".
fn line(event: &Event) -> String {
    let Event { service, instance, kind, reason, .. } = event;
    let who = instance.as_ref().unwrap_or(service);
    let line = if reason.is_empty() { format!("{who} {kind}") } else { format!("{who} {kind}: {reason}") };
    escaped(&line).to_string()
}
