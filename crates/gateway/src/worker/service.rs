//! A service as one worker sees it: its endpoints, and how one is chosen.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use phalanx_balance::{
    Algorithm, RetryBudget, Share, Weight, Withdrawal,
    algorithm::{self, Candidates},
};
use phalanx_config::{Balance, HashKey, Protocol, ServiceName};
use phalanx_http1::request::RequestHead;
use phalanx_telemetry::upstream::ServiceCounters;

use super::{Slot, Timing, Upstream};
use crate::table::{Bound, Gate, Hold, Service};

/// A service.
pub(crate) struct LocalService {
    pub(crate) name: ServiceName,
    pub(crate) protocol: Protocol,
    pub(crate) upstreams: Vec<Rc<Upstream>>,
    pub(crate) counters: Arc<ServiceCounters>,
    /// Limits of the service as a whole, if it has any.
    pub(crate) gate: Option<Arc<Gate>>,
    /// Where requests wait while no endpoint serves, if they may.
    pub(crate) hold: Option<Arc<Hold>>,
    /// Retries that its requests have earned and not used; it outlives the endpoints.
    budget: Rc<RefCell<RetryBudget>>,
    algorithm: RefCell<Algorithm>,
    key: KeySource,
}

/// What of a request decides, where a key does.
enum KeySource {
    None,
    ClientIp,
    Request(HashKey),
}

/// Whether `balance` asks how fast endpoints answer.
pub(super) fn timing(balance: &Balance) -> Timing {
    match balance {
        Balance::LeastResponseTime => Timing::Followed,
        _ => Timing::Ignored,
    }
}

impl LocalService {
    /// A service of which `turns` choices count as made: workers do not all begin with the same endpoint, although a table is published
    /// to all of them at once.
    pub(super) fn new(
        service: &Service,
        upstreams: Vec<Rc<Upstream>>,
        budget: Rc<RefCell<RetryBudget>>,
        turns: usize,
    ) -> Self {
        let weights = || upstreams.iter().map(|upstream| upstream.endpoint.weight);
        let algorithm = match &service.balance {
            Balance::RoundRobin => Algorithm::round_robin(weights(), turns),
            Balance::LeastConnections => Algorithm::least_connections(weights(), turns),
            Balance::LeastResponseTime => Algorithm::least_response_time(weights(), turns),
            Balance::PowerOfTwo => Algorithm::power_of_two(fastrand::u64(..)),
            Balance::IpHash => Algorithm::Hash,
            Balance::ConsistentHash(_) => Algorithm::BoundedHash,
            Balance::Random => Algorithm::random(fastrand::u64(..)),
        };
        let key = match &service.balance {
            Balance::IpHash => KeySource::ClientIp,
            Balance::ConsistentHash(key) => KeySource::Request(key.clone()),
            _ => KeySource::None,
        };
        Self {
            name: service.name.clone(),
            protocol: service.protocol,
            counters: service.counters.clone(),
            gate: service.gate.clone(),
            hold: service.hold.clone(),
            budget,
            algorithm: RefCell::new(algorithm),
            key,
            upstreams,
        }
    }

    /// Whether it is this service over these very endpoints.
    pub(super) fn is_over(&self, service: &Service) -> bool {
        let endpoints = self.upstreams.iter().map(|upstream| Arc::as_ptr(&upstream.endpoint));
        self.name == service.name && endpoints.eq(service.endpoints.iter().map(Arc::as_ptr))
    }

    /// The key of a request, for [`LocalService::slot`].
    pub(crate) fn key(&self, client_ip: &[u8], head: &RequestHead<'_, '_>, path: &[u8]) -> u64 {
        let value = match &self.key {
            KeySource::None => return 0,
            KeySource::ClientIp => None,
            KeySource::Request(HashKey::Path) => Some(path),
            KeySource::Request(HashKey::Header(name)) => head.field(name),
            KeySource::Request(HashKey::Cookie(name)) => {
                head.field("cookie").and_then(|cookies| cookie(cookies, name.as_bytes()))
            }
        };
        algorithm::hash(value.unwrap_or(client_ip))
    }

    /// Room at an endpoint for the next attempt, never at one that was tried before.
    pub(crate) fn slot(
        &self,
        key: u64,
        bound: Bound,
        tried: &[Rc<Upstream>],
        now: Duration,
    ) -> Result<Slot, NoSlot> {
        let choices = Choices { upstreams: &self.upstreams, bound, tried, now };
        loop {
            let Some(index) = self.algorithm.borrow_mut().pick(&choices, key) else {
                let is_full = (0..choices.count()).any(|index| choices.is_untried(index));
                return Err(if is_full { NoSlot::Full } else { NoSlot::NoEndpoint });
            };
            // Other workers may have taken the last room since it was looked at; then it is not eligible any more.
            if let Some(slot) = Slot::take(&self.upstreams[index], bound, self.gate.as_ref()) {
                return Ok(slot);
            }
        }
    }

    /// Notes a request, which earns this many retries.
    pub(crate) fn earn_retries(&self, ratio: f64, now: Duration) {
        self.budget.borrow_mut().deposit(ratio, now);
    }

    /// The budget, for the service over other endpoints.
    pub(super) fn budget(&self) -> Rc<RefCell<RetryBudget>> {
        self.budget.clone()
    }

    /// Whether the budget holds a retry.
    pub(crate) fn affords_retry(&self, now: Duration) -> bool {
        self.budget.borrow_mut().affords(now)
    }

    /// Takes one retry out of the budget.
    pub(crate) fn spend_retry(&self, now: Duration) -> Withdrawal {
        self.budget.borrow_mut().withdraw(now)
    }
}

/// The value of a cookie (RFC 6265, section 4.2.1).
fn cookie<'a>(cookies: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    cookies
        .split(|byte| *byte == b';')
        .find_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}

/// Why there is no room for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// No endpoint serves that was not tried.
    NoEndpoint,
    /// Those that serve have as many requests as they may have.
    Full,
}

/// The endpoints of a service at one choice.
struct Choices<'a> {
    upstreams: &'a [Rc<Upstream>],
    bound: Bound,
    tried: &'a [Rc<Upstream>],
    now: Duration,
}

impl Choices<'_> {
    fn is_untried(&self, index: usize) -> bool {
        let upstream = &self.upstreams[index];
        // The table of a request that is tried again may be one that has been replaced meanwhile.
        !upstream.is_withdrawn()
            && !self.tried.iter().any(|tried| Arc::ptr_eq(&tried.endpoint, &upstream.endpoint))
    }
}

impl Candidates for Choices<'_> {
    fn count(&self) -> usize {
        self.upstreams.len()
    }

    fn is_eligible(&self, index: usize) -> bool {
        self.is_untried(index) && self.upstreams[index].has_room(self.bound)
    }

    fn base_weight(&self, index: usize) -> Weight {
        self.upstreams[index].endpoint.weight
    }

    fn weight(&self, index: usize) -> Share {
        self.upstreams[index].endpoint.share()
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.upstreams[index].endpoint.in_flight()
    }

    fn response_nanos(&self, index: usize) -> u64 {
        self.upstreams[index].response_nanos(self.now)
    }

    fn identity(&self, index: usize) -> u64 {
        self.upstreams[index].endpoint.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        for (cookies, expected) in [
            ("sid=1", Some("1")),
            ("a=b; sid=1; sid=2", Some("1")),
            ("xsid=1; sid2=3", None),
            ("sid", None),
            ("sid=", Some("")),
            ("", None),
        ] {
            assert_eq!(cookie(cookies.as_bytes(), b"sid"), expected.map(str::as_bytes), "{cookies:?}");
        }
    }
}
