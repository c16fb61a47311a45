//! Has requests turned away while memory runs out, before the kernel ends the process for it.
//!
//! Once a second it is read how much of its memory the process's group uses; requests are turned away from 90 % on, until it is less
//! than 85 % (`phalanx_admission::pressure`). Workers learn of it by a table, so it costs a request one comparison. Routes of
//! probers and the admin API go on, or whoever watches would take a process for dead that only has too much to do.
//!
//! Invariant: what cannot be read turns nobody away.
//! Elsewhere: where the numbers stand ([`files`]).

mod files;

use std::{io, time::Duration};

pub use files::MemoryFiles;
use files::Use;
use phalanx_admission::{Pressure, pressure::Turn};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{Gateway, table::Memory};

/// How often it is looked. What a gateway buffers is bounded, so that a tenth of a usual limit is not used up within a second.
const TICK: Duration = Duration::from_secs(1);

/// Watches memory as long as a gateway runs.
pub struct MemoryLoop {
    gateway: Gateway,
    files: MemoryFiles,
    pressure: Pressure,
    /// Whether the last look saw something; told when that changes.
    is_blind: bool,
}

impl MemoryLoop {
    pub(crate) fn new(gateway: Gateway) -> Self {
        Self { gateway, files: MemoryFiles::default(), pressure: Pressure::default(), is_blind: false }
    }

    /// With the numbers in other files than the system's.
    #[must_use]
    pub fn reading(self, files: MemoryFiles) -> Self {
        Self { files, ..self }
    }

    /// Watches until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            // The kernel writes these files as they are read: nobody waits for a disk.
            let read = self.files.read();
            self.judge(read);
        }
    }

    fn judge(&mut self, read: io::Result<Use>) {
        let was_blind = std::mem::replace(&mut self.is_blind, read.is_err());
        let Use { used, all } = read.unwrap_or_else(|error| {
            if !was_blind {
                tracing::warn!(%error, "cannot read how much memory is left; no request is turned away for it");
            }
            Use { used: 0, all: 0 }
        });
        match self.pressure.observe(used, all) {
            None => {}
            Some(Turn::Short) => {
                tracing::warn!(used, all, "memory runs out: requests are turned away until some is free");
                self.gateway.set_memory(Memory::Short);
            }
            Some(Turn::Ample) => {
                tracing::info!(used, all, "there is enough memory again: requests are taken");
                self.gateway.set_memory(Memory::Ample);
            }
        }
    }
}
