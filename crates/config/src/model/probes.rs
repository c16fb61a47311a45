//! `probes` and `back_off` of a service.

use std::time::Duration;

/// A probe, with the rules of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub check: Check,
    /// Before the first probe; default 0 s.
    pub initial_delay: Duration,
    /// Between two probes; default 1 s, of a liveness probe 10 s.
    pub period: Duration,
    /// For one probe; default 1 s.
    pub timeout: Duration,
    /// Good probes in a row until it counts as good; 1 but for a readiness probe.
    pub success: u32,
    /// Bad probes in a row until it counts as bad; default 3, of a startup probe 60.
    pub failure: u32,
}

/// What a probe asks, and of which port; `None`: of that in `PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// `tcp`: a TCP connection that is accepted.
    Connect {
        /// `port`
        port: Option<u16>,
    },
    /// `path`: a `GET` that is answered 200 to 399.
    Http {
        /// `path`
        path: String,
        /// `port`
        port: Option<u16>,
    },
    /// `exec`: a program that exits with 0.
    Exec {
        /// Program and arguments; the program is not empty.
        command: Vec<String>,
    },
    /// `grpc`: `grpc.health.v1.Health/Check` that is answered `SERVING`.
    Grpc {
        /// `grpc`; empty: the program as a whole.
        service: String,
        /// `port`
        port: Option<u16>,
    },
}

/// `back_off`: how long a replica that failed waits for its next start. The first start follows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// The pause after the second failed run in a row, above zero; default 10 s. It doubles with each further one.
    pub first: Duration,
    /// The longest pause, not below `first`; default 300 s.
    pub longest: Duration,
    /// A run that lasts longer forgives the failures before it; above zero, default 10 min.
    pub forgiven_after: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { first: Duration::from_secs(10), longest: 5 * minute, forgiven_after: 10 * minute }
    }
}
