//! Which service waits for which: at the start for those it depends on, at the end for those that depend on it.

use phalanx_config::{Replicas, ServiceName};

/// What each service of a fleet depends on, by its number.
#[derive(Debug)]
pub(crate) struct Dependencies {
    on: Vec<Vec<usize>>,
    /// All of them, each behind those that it depends on.
    order: Vec<usize>,
}

impl Dependencies {
    /// What is not run by this fleet is not waited for.
    pub(crate) fn new(services: &[(ServiceName, Replicas)]) -> Self {
        let number = |name: &ServiceName| services.iter().position(|(other, _)| other == name);
        let on = services.iter().map(|(_, replicas)| replicas.depends_on.iter().filter_map(number).collect());
        Self::of(on.collect())
    }

    fn of(on: Vec<Vec<usize>>) -> Self {
        let mut order: Vec<usize> = Vec::with_capacity(on.len());
        let mut rest: Vec<usize> = (0..on.len()).collect();
        while !rest.is_empty() {
            let (ready, waiting): (Vec<_>, Vec<_>) = rest
                .iter()
                .copied()
                .partition(|service| on[*service].iter().all(|other| order.contains(other)));
            if ready.is_empty() {
                // A cycle, which no configuration has. Its services wait for ever, and the fleet still stops.
                order.extend(waiting);
                break;
            }
            order.extend(ready);
            rest = waiting;
        }
        Self { on, order }
    }

    /// Each service behind those that it depends on.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// What this one waits for at the start.
    pub(crate) fn missing(&self, service: usize, has_arrived: impl Fn(usize) -> bool) -> Vec<usize> {
        self.on[service].iter().copied().filter(|other| !has_arrived(*other)).collect()
    }

    /// Whether this one may stop: nobody is left who depends on it.
    pub(crate) fn may_stop(&self, service: usize, is_gone: impl Fn(usize) -> bool) -> bool {
        let dependents = (0..self.on.len()).filter(|other| self.on[*other].contains(&service));
        dependents.into_iter().all(is_gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_behind_those_it_depends_on() {
        for (on, order) in [
            (vec![], vec![]),
            (vec![vec![], vec![], vec![]], vec![0, 1, 2]),
            (vec![vec![1], vec![2], vec![]], vec![2, 1, 0]),
            (vec![vec![1, 2], vec![3], vec![3], vec![]], vec![3, 1, 2, 0]),
            // A cycle beside one that is in none.
            (vec![vec![1], vec![0], vec![]], vec![2, 0, 1]),
        ] {
            assert_eq!(Dependencies::of(on.clone()).order(), order, "{on:?}");
        }
    }

    #[test]
    fn the_start_waits_for_what_is_missing_and_the_end_for_those_above() {
        let dependencies = Dependencies::of(vec![vec![1, 2], vec![2], vec![]]);
        assert_eq!(dependencies.missing(0, |other| other == 1), [2]);
        assert_eq!(dependencies.missing(0, |_| true), [0; 0]);
        assert!(dependencies.may_stop(0, |_| false));
        assert!(!dependencies.may_stop(2, |gone| gone == 0));
        assert!(dependencies.may_stop(2, |gone| gone < 2));
    }
}
