//! Whether the shared state answers.

use phalanx_auth::SharedState;
use phalanx_telemetry::{
    registry::Registry,
    scraped::{self, Family, Kind},
};

/// Lets each scrape look.
pub(crate) fn register(registry: &mut Registry, state: &SharedState) {
    let state = state.clone();
    registry.add(scraped::collector(move || {
        let up = Family::new(Kind::Gauge, "phalanx_shared_state_up", "Whether the shared state answers.");
        let help = "Times that the shared state went out of use.";
        let outages = Family::new(Kind::Counter, "phalanx_shared_state_outages", help);
        vec![up.with(&[], f64::from(u8::from(state.is_up()))), outages.with(&[], state.outages() as f64)]
    }));
}
