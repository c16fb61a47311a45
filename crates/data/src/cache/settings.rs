//! What an operator and a caller can say about a cache.

use std::time::Duration;

/// How a cache is bounded and where its second level is.
#[derive(Clone, Debug)]
pub struct CacheSettings {
    /// Begins every key in Redis; processes with the same namespace share entries.
    pub namespace: String,
    /// `redis://…`; without it the process level works alone.
    pub redis_url: Option<String>,
    /// Bytes of the process level, keys and bookkeeping included.
    pub process_bytes_max: u64,
    /// Greater values are handed on and not kept.
    pub entry_bytes_max: usize,
    /// How long the process level answers by itself: the bound on what a lost message can do.
    pub process_ttl: Duration,
    /// The same while no messages come: how stale other processes' writes can look when Redis is down.
    pub process_ttl_unsubscribed: Duration,
    /// How long a process may take to load what others wait for. Shorter than `tombstone`.
    pub lease: Duration,
    /// How long a read waits for another process' load before it loads by itself.
    pub lease_wait: Duration,
    /// How long an invalidation is remembered: longer than the longest load and the lag of replicas together.
    pub tombstone: Duration,
    /// Past this a command to Redis has failed.
    pub response_timeout: Duration,
    /// The longest wait between two attempts to reach Redis.
    pub reconnect_delay_max: Duration,
    /// Keys whose invalidation Redis has yet to hear of; past it all entries in Redis are given up at once.
    pub undelivered_max: usize,
    /// Invalidations remembered in the process, per stripe of keys.
    pub marks_max: usize,
    /// Early loads at a time.
    pub refreshes_max: usize,
}

impl CacheSettings {
    /// Settings that suit a service with some thousand requests a second; without Redis.
    #[must_use]
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            redis_url: None,
            process_bytes_max: 64 << 20,
            entry_bytes_max: 1 << 20,
            process_ttl: Duration::from_secs(10),
            process_ttl_unsubscribed: Duration::from_secs(1),
            lease: Duration::from_secs(5),
            lease_wait: Duration::from_secs(2),
            tombstone: Duration::from_secs(60),
            response_timeout: Duration::from_millis(200),
            reconnect_delay_max: Duration::from_secs(1),
            undelivered_max: 10_000,
            marks_max: 4096,
            refreshes_max: 32,
        }
    }
}

/// How long values of one kind are kept.
#[derive(Clone, Copy, Debug)]
pub struct CachePolicy {
    /// Life of a value.
    pub ttl: Duration,
    /// Life of the knowledge that there is none.
    pub absent_ttl: Duration,
    /// The share by which chance shortens a life, 0 to 1.
    pub jitter: f64,
    /// β of XFetch: above 1 refreshes begin earlier, at 0 never.
    pub refresh_beta: f64,
}

impl CachePolicy {
    /// Lives with a jitter of a tenth, and refreshes as XFetch's authors recommend.
    #[must_use]
    pub const fn new(ttl: Duration, absent_ttl: Duration) -> Self {
        Self { ttl, absent_ttl, jitter: 0.1, refresh_beta: 1.0 }
    }
}
