//! `autoscale` of a service.

use std::time::Duration;

use phalanx_scale::Mode;

/// `[service.NAME.autoscale]`: how often it is decided how many replicas there are, and by which rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Autoscale {
    /// `interval`: between two decisions; default 15 s, in fast mode 2 s.
    pub interval: Duration,
    /// `mode` and all that goes with it: bounds, metrics, windows and rates.
    pub mode: Mode,
}
