//! What is counted of revocations, as numbers and as series of `/metrics`.
//!
//! A token that passes by what is in memory is not counted: that is nearly every request, and threads would fight for the number.

use std::sync::atomic::{AtomicU64, Ordering};

use phalanx_telemetry::{
    registry::Registry,
    scraped::{self, Family, Kind},
};

use super::Revocations;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What was counted since the feed was followed.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct RevocationTotals {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)+
        }

        impl Counters {
            fn totals(&self) -> RevocationTotals {
                RevocationTotals { $($name: self.$name.0.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Checks that found a token revoked.
    revoked,
    /// Questions to the store about one token.
    asked,
    /// Tokens that passed although neither feed nor store could say anything of them.
    unchecked,
    /// Tokens that were refused for the same reason.
    refused,
    /// Revocations that the store did not take at once.
    unpublished,
    /// Entries that the store was told later, or again after it had lost them.
    republished,
    /// Times that the last entry read was gone from the feed.
    restarts,
    /// Looks at the feed that failed.
    read_failures,
    /// Entries in the feed that this version cannot read.
    unreadable,
    /// Entries that found no room in memory.
    overflowed,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

impl Revocations {
    /// What was counted so far.
    #[must_use]
    pub fn totals(&self) -> RevocationTotals {
        self.shared.counters.totals()
    }

    /// How many entries are in memory.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.shared.set.len()
    }

    /// How many revocations this process knows of that the store has yet to be told.
    #[must_use]
    pub fn unpublished(&self) -> usize {
        self.shared.outstanding.unsent()
    }

    /// Lets each scrape of `registry` ask for these numbers.
    pub fn register(&self, registry: &mut Registry) {
        let revocations = self.clone();
        registry.add(scraped::collector(move || {
            let [checks, events] = of_totals(&revocations.totals());
            vec![
                Family::new(
                    Kind::Gauge,
                    "phalanx_revocation_feed_age_seconds",
                    "Time since the feed of revocations was last known to be complete.",
                )
                .with(&[], revocations.age().map_or(f64::INFINITY, |age| age.as_secs_f64())),
                Family::new(Kind::Gauge, "phalanx_revocation_entries", "Revocations in memory.")
                    .with(&[], revocations.entries() as f64),
                Family::new(
                    Kind::Gauge,
                    "phalanx_revocation_unpublished_entries",
                    "Revocations that the store has yet to be told.",
                )
                .with(&[], revocations.unpublished() as f64),
                checks,
                events,
            ]
        }));
    }
}

fn of_totals(totals: &RevocationTotals) -> [Family; 2] {
    let mut checks = Family::new(
        Kind::Counter,
        "phalanx_revocation_checks",
        "Tokens that did not pass by what is in memory, by what became of them.",
    );
    for (outcome, count) in [
        ("revoked", totals.revoked),
        ("asked", totals.asked),
        ("unchecked", totals.unchecked),
        ("refused", totals.refused),
    ] {
        checks.add(&[("outcome", outcome)], count as f64);
    }
    let mut events =
        Family::new(Kind::Counter, "phalanx_revocation_feed_events", "What happened to the feed, by kind.");
    for (event, count) in [
        ("unpublished", totals.unpublished),
        ("republished", totals.republished),
        ("restart", totals.restarts),
        ("read_failure", totals.read_failures),
        ("unreadable", totals.unreadable),
        ("overflow", totals.overflowed),
    ] {
        events.add(&[("event", event)], count as f64);
    }
    [checks, events]
}
