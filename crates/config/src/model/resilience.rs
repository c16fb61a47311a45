//! How a service is kept alive when its endpoints, or its clients, misbehave.

use std::{num::NonZeroU32, time::Duration};

/// `retry` of a route: when an attempt fails so that another is safe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// `attempts`: endpoints that get one request at most, the first included; default 3. 1 switches retries off.
    pub attempts: NonZeroU32,
    /// `budget`: retries for every request, over time, that sent something to an endpoint in vain; default 0.2.
    pub budget: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: NonZeroU32::MIN.saturating_add(2), budget: 0.2 }
    }
}

/// `shed` of a route: what happens to its requests when the service has too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shedding {
    /// They wait or are turned away, as limits, queue and breaker say.
    #[default]
    Sheds,
    /// They pass: a prober must get an answer when nobody else does.
    Exempt,
}

/// What a service has against overload and bad endpoints.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resilience {
    /// `limits`
    pub limits: EndpointLimits,
    /// `queue`: where requests wait that no endpoint has room for; without it they are answered 503.
    pub queue: Option<Queue>,
    /// `hold`: where requests wait while no endpoint serves; without it they are answered 503. Always there where an autoscaler may
    /// let the last replica end.
    pub hold: Option<Hold>,
    /// `adaptive_concurrency`; default off.
    pub adaptive_concurrency: Option<AdaptiveConcurrency>,
    /// `circuit_breaker`; default off.
    pub circuit_breaker: Option<CircuitBreaker>,
    /// `outlier_ejection`; default off.
    pub outlier_ejection: Option<OutlierEjection>,
    /// `slow_start`: how long the share of an endpoint grows after it begins to serve; default zero.
    pub slow_start: Duration,
    /// `panic_threshold`: when more than this share of the primaries fail their active checks, checks are disbelieved;
    /// default 0.5. 1 switches it off.
    pub panic_threshold: f64,
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            limits: EndpointLimits::default(),
            queue: None,
            hold: None,
            adaptive_concurrency: None,
            circuit_breaker: None,
            outlier_ejection: None,
            slow_start: Duration::ZERO,
            panic_threshold: 0.5,
        }
    }
}

/// `limits`: of each endpoint, over all workers. `None`: no limit, which is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointLimits {
    /// `connections`: requests that an endpoint works on at a time; over HTTP/1.1 each has a connection.
    pub connections: Option<NonZeroU32>,
    /// `pending`: requests that wait at a time for a connection to an endpoint to stand.
    pub pending: Option<NonZeroU32>,
}

/// `queue`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// `max`: requests that wait, over all workers; default 100.
    pub max: NonZeroU32,
    /// `timeout`: after which one is answered 503; default 1 s.
    pub timeout: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self { max: NonZeroU32::MIN.saturating_add(99), timeout: Duration::from_secs(1) }
    }
}

/// `hold`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// `max`: requests that are held, over all workers; default 1000.
    pub max: NonZeroU32,
    /// `timeout`: after which one is answered 503; default 30 s.
    pub timeout: Duration,
}

impl Default for Hold {
    fn default() -> Self {
        Self { max: NonZeroU32::MIN.saturating_add(999), timeout: Duration::from_secs(30) }
    }
}

/// `adaptive_concurrency`: as many requests at a time as the service answers without getting slower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveConcurrency {
    /// `min`: never fewer at a time, over all workers; default 8.
    pub min: NonZeroU32,
    /// `max`: never more at a time, over all workers; default 1000.
    pub max: NonZeroU32,
    /// `tolerance`: how many times its usual response time a service may take before it gets fewer; default 1.5.
    pub tolerance: f64,
}

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        let one = NonZeroU32::MIN;
        Self { min: one.saturating_add(7), max: one.saturating_add(999), tolerance: 1.5 }
    }
}

/// `circuit_breaker`: a service that fails most requests gets none for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CircuitBreaker {
    /// `error_rate`: the share of failures, failed attempts and answers of 500 and above, that opens it; default 0.5.
    pub error_rate: f64,
    /// `volume`: requests within the window below which it never opens; default 20.
    pub volume: NonZeroU32,
    /// `window`: the time over which is counted; default 10 s.
    pub window: Duration,
    /// `open`: how long requests are answered 503 before some are let through on trial; default 5 s.
    pub open: Duration,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            error_rate: 0.5,
            volume: NonZeroU32::MIN.saturating_add(19),
            window: Duration::from_secs(10),
            open: Duration::from_secs(5),
        }
    }
}

/// `outlier_ejection`: an endpoint that does much worse than the others gets no requests for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutlierEjection {
    /// `error_rate`: the share of failures, failed attempts and answers of 500 and above, from which an endpoint is out if
    /// the others fail less than half as often; default 0.5.
    pub error_rate: f64,
    /// `latency_factor`: times the median response time of the others from which it is out; default 5.
    pub latency_factor: f64,
    /// `volume`: requests within the window below which an endpoint is not judged; default 20.
    pub volume: NonZeroU32,
    /// `window`: the time over which is counted; default 10 s.
    pub window: Duration,
    /// `ejection`: how long it is out; each time in a row longer, up to ten times. Default 30 s.
    pub ejection: Duration,
    /// `max_ejected`: the share of the endpoints that may be out for this; default 0.5.
    pub max_ejected: f64,
}

impl Default for OutlierEjection {
    fn default() -> Self {
        Self {
            error_rate: 0.5,
            latency_factor: 5.0,
            volume: NonZeroU32::MIN.saturating_add(19),
            window: Duration::from_secs(10),
            ejection: Duration::from_secs(30),
            max_ejected: 0.5,
        }
    }
}
