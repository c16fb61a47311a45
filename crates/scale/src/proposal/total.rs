//! Proposals of metrics that belong to no pod: of an object beside the pods, or of something outside.
//!
//! A value is spread over the pods that run and are ready; one for each pod over those that exist.

use crate::{
    metric::{Goal, Measured, MetricError},
    number,
    proposal::{Proposal, Situation},
};

impl Situation<'_> {
    pub(super) fn by_object(&self, goal: Goal, value: i64) -> Result<Proposal, MetricError> {
        match goal {
            Goal::Value(target) => self.by_value(target, value),
            Goal::AverageValue(target) => Ok(Proposal {
                measured: Measured::Average { milli: self.share(value) },
                ..self.by_share(target, value)
            }),
        }
    }

    pub(super) fn by_external(&self, goal: Goal, values: &[i64]) -> Result<Proposal, MetricError> {
        if values.is_empty() {
            return Err(MetricError::NoSamples);
        }
        let total = number::narrow(values.iter().map(|value| i128::from(*value)).sum());
        match goal {
            Goal::Value(target) => self.by_value(target, total),
            Goal::AverageValue(target) => Ok(self.by_share(target, total)),
        }
    }

    fn by_value(&self, target: i64, milli: i64) -> Result<Proposal, MetricError> {
        let ratio = number::float(milli) / number::float(target);
        let replicas = if self.replicas == 0 {
            // Without a replica there is nothing to be within a tolerance of, nor anything to multiply.
            number::replicas_up(ratio)
        } else if self.tolerance.covers(ratio) {
            self.replicas
        } else if self.pods.is_empty() {
            return Err(MetricError::NoPods);
        } else {
            number::replicas_up(ratio * number::count(self.pods.iter().filter(|pod| pod.serves()).count()))
        };
        Ok(Proposal { replicas, measured: Measured::Value { milli } })
    }

    fn by_share(&self, target: i64, total: i64) -> Proposal {
        let ratio = number::float(total) / (number::float(target) * f64::from(self.replicas_existing));
        let replicas = if self.tolerance.covers(ratio) {
            self.replicas_existing
        } else {
            number::replicas_up(number::float(total) / number::float(target))
        };
        // A sum at the end of its range has no meaningful share, and Kubernetes reports it whole.
        let milli =
            if number::float(total) >= number::float(i64::MAX) { i64::MAX } else { self.share(total) };
        Proposal { replicas, measured: Measured::Average { milli } }
    }

    /// The share of each replica, rounded up.
    fn share(&self, total: i64) -> i64 {
        number::toward_zero((number::float(total) / f64::from(self.replicas_existing)).ceil())
    }
}
