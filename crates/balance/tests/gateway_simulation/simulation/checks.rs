//! What must be true of all of it together.

use phalanx_balance::{breaker, health::Standing, selection::Role};

use super::Simulation;
use crate::request::{Ending, Stage};

impl Simulation {
    pub(super) fn assert_counts_are_true(&self) {
        let mut with_endpoints = vec![0; self.endpoints.len()];
        let mut passed = 0;
        for id in &self.open {
            match self.requests[*id].stage {
                Stage::Attempting { endpoint, .. } => {
                    with_endpoints[endpoint] += 1;
                    passed += u32::from(self.requests[*id].has_passed());
                }
                Stage::Waiting { .. } => {}
                stage => panic!("request {id} was left {stage:?}"),
            }
        }
        let counted: Vec<u32> = self.endpoints.iter().map(|endpoint| endpoint.in_flight).collect();
        assert_eq!(counted, with_endpoints, "in flight at endpoints");
        assert_eq!(self.gate.in_flight, passed, "that have passed the gate");
    }

    pub(super) fn assert_all_is_well(&self) {
        assert!(self.open.is_empty(), "requests that never ended: {:?}", self.open);
        assert_eq!(self.seen.endings.values().sum::<u32>() as usize, self.requests.len());
        self.assert_counts_are_true();
        for worker in &self.workers {
            worker.ledger.assert_within_budget();
        }
        assert!(!self.gate.has_waiting());
        for (endpoint, standing) in self.endpoints.iter().zip(&self.control.table.standings) {
            // A backup stays on trial until it is needed.
            let is_well = *standing == Standing::Serving
                || (endpoint.role, *standing) == (Role::Backup, Standing::Trial);
            assert!(is_well, "when all have healed: {:?}", self.control.table.standings);
        }
        assert_eq!(self.control.breaker(), breaker::State::Closed, "when all have healed");
        let endings = |ending| self.seen.healed_endings.get(&ending).copied().unwrap_or_default();
        let all: u32 = self.seen.healed_endings.values().sum();
        let well = endings(Ending::Answered) + endings(Ending::ClientLeft);
        let turned_away = endings(Ending::Shed) + endings(Ending::Late);
        assert_eq!(well + turned_away, all, "when all have healed: {:?}", self.seen.healed_endings);
        assert!(turned_away * 20 <= all, "when all have healed: {:?}", self.seen.healed_endings);
    }
}
