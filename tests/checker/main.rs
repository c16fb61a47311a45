//! What the data layer promises, put to the proof: clients of three replicas of the reference API, over servers that lag, are
//! cut off, are killed and fail over, and a judge who compares what the clients were told with what the databases hold.
//!
//! A trial is told by its seed: the faults, their times and what each client does follow from it. The interleaving of processes
//! does not, so a seed that has failed is worth several runs. `PHALANX_CHECKER_SEED` chooses the first seed (otherwise the
//! clock does), `PHALANX_CHECKER_SEEDS` how many trials follow each other, `PHALANX_CHECKER_SECONDS` how long each lasts.
//!
//! Elsewhere: servers that can be made to fail (`phalanx-test-servers`); the same promises without HTTP, one by one
//! (`crates/data/tests`).

#![expect(clippy::unwrap_used, reason = "this crate is a test, its helpers included")]

mod client;
mod faults;
mod history;
mod http;
mod judge;
mod promises;
mod replicas;
mod resharder;
mod schedule;
mod servers;
mod stop;
mod trial;
