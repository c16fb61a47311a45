use std::{num::NonZeroU32, time::Duration};

use expect_test::expect;

use super::markdown;
use crate::{
    fixed_rate::Fault,
    gateway::Measurements,
    half_rate::{Latency, PacedWindow},
    idle::IdleMemory,
    load::{Schedule, Window},
    machine::Machine,
    proxy::Kind,
    scenario::{Body, Scenario},
    syscalls::SyscallCount,
    usage::{CpuSource, CpuTime},
    wrk::{Errors, Served},
};

const SCENARIO: Scenario = Scenario { body: Body::Json, connections: 64 };

fn window(round: u32, proxy: Kind, requests: u64, cpu_milliseconds: u64, timeouts: u64) -> Window {
    Window {
        round,
        scenario: SCENARIO,
        proxy,
        served: Served {
            requests,
            elapsed: Duration::from_secs(4),
            latency_p99: Duration::from_micros(1_200 + 100 * u64::from(round)),
            errors: Errors { timeouts, ..Errors::default() },
        },
        cpu: CpuTime { used: Duration::from_millis(cpu_milliseconds), source: CpuSource::Schedstat },
        origin_connections: if proxy == Kind::Haproxy { requests } else { 70 },
    }
}

fn paced(round: u32, proxy: Kind, p99_microseconds: u64, faults: &[(Fault, u64)]) -> PacedWindow {
    let p99 = Duration::from_micros(p99_microseconds + 10 * u64::from(round));
    PacedWindow {
        round,
        scenario: SCENARIO,
        proxy,
        requests_per_second: NonZeroU32::new(12_500).unwrap(),
        answered: 50_000,
        latency: Latency { p50: p99 / 4, p99, p999: p99 * 2 },
        lateness_p99: Duration::from_micros(40),
        load_core_share: if proxy == Kind::Nginx { 0.95 } else { 0.6 },
        cpu: CpuTime { used: Duration::from_millis(900), source: CpuSource::Schedstat },
        origin_connections: if proxy == Kind::Haproxy { 50_000 } else { 3 },
        faults: faults.iter().copied().collect(),
    }
}

#[test]
fn everything_measured_is_shown_with_its_flaws() {
    let measurements = Measurements {
        schedule: Schedule { rounds: 3, warmup_seconds: 1, window_seconds: 4 },
        windows: vec![
            window(1, Kind::Nginx, 200_000, 4_000, 0),
            window(1, Kind::Haproxy, 100_000, 3_990, 0),
            window(1, Kind::Phalanx, 250_000, 3_000, 0),
            window(2, Kind::Nginx, 200_000, 3_900, 2),
            window(2, Kind::Haproxy, 100_000, 3_970, 0),
            window(2, Kind::Phalanx, 250_000, 3_100, 0),
            window(3, Kind::Nginx, 200_000, 4_000, 1),
            window(3, Kind::Haproxy, 100_000, 3_980, 0),
            window(3, Kind::Phalanx, 250_000, 3_000, 0),
        ],
        paced: vec![
            paced(1, Kind::Phalanx, 300, &[]),
            paced(1, Kind::Nginx, 400, &[(Fault::Status(502), 2), (Fault::Closed, 1)]),
            paced(1, Kind::Haproxy, 800, &[]),
            paced(2, Kind::Phalanx, 280, &[]),
            paced(2, Kind::Nginx, 600, &[]),
            paced(2, Kind::Haproxy, 200, &[]),
        ],
        syscalls: vec![SyscallCount {
            proxy: Kind::Phalanx,
            scenario: SCENARIO,
            requests: 1_000,
            calls: [("sendto", 2_000), ("recvfrom", 2_010), ("epoll_wait", 40), ("accept4", 1)]
                .map(|(name, calls)| (name.to_owned(), calls))
                .into(),
        }],
        idle: vec![IdleMemory {
            proxy: Kind::Phalanx,
            connections: 8_000,
            bytes_before: 4 << 20,
            bytes_after: 16 << 20,
        }],
    };
    expect![[r###"
        ## Gateways side by side

        * A CPU, 2 cores, Linux 6.1.0
        * proxy on core 0, origin on core 1, load on core 1
        * nginx version: nginx/1.22.1
        * phalanx 0.1.0
        * `phalanx-bench gateway`, Sun, 06 Nov 1994 08:49:37 GMT
        * rounds: 3, interleaved; each window 4 s after 1 s of warm-up; medians, extremes in brackets
        * CPU is user and system time of all threads of the proxy: 9 of 9 windows by `schedstat` (1 ns), 0 by clock ticks (10 ms)
        * p99 beside requests/s is that at saturation; p99 at half of it stands in a table of its own

        | body × connections | proxy | CPU µs/request | requests/s | p99 ms | core busy | errors |
        |---|---|--:|--:|--:|--:|--:|
        | 100 B × 64 | nginx ⚠ | 20.00 (19.50–20.00) | 50000 | 1.40 | 100 % | 3 |
        | 100 B × 64 | HAProxy ‡ | 39.80 (39.70–39.90) | 25000 | 1.40 | 100 % | 0 |
        | 100 B × 64 | Phalanx † | 12.00 (12.00–12.40) | 62500 | 1.40 | 75 % | 0 |

        ⚠ Requests failed: these figures are no comparison.

        ‡ Connections to the origin were not kept: these figures are no comparison.

        † The proxy waited: the origin, wrk or another process was the bottleneck, so requests/s and p99 are not its own.

        | body × connections | Phalanx ÷ | CPU/request | requests/s | p99 |
        |---|---|--:|--:|--:|
        | 100 B × 64 | nginx | 0.60 | 1.25 | 1.00 |
        | 100 B × 64 | HAProxy | 0.30 | 2.50 | 1.00 |

        At a fixed rate, half of what the slowest of the proxies took when saturated and the same for all. Requests are due at
        even intervals, and a latency counts from then, whatever kept the request from being sent. "Late" is how late the
        load generator itself let 99 of 100 requests go, which is part of their latencies; "load busy" is the share of time in
        which its core ran it, or the origin where that is on the same core.

        | body × connections | proxy | requests/s | p50 ms | p99 ms | p99 ÷ nginx | p99.9 ms | late p99 ms | load busy | CPU µs/request | errors |
        |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
        | 100 B × 64 | nginx ⚠ § | 12500 | 0.129 | 0.515 (0.410–0.620) | 1.00 | 1.030 | 0.040 | 95 % | 18.00 | 3 |
        | 100 B × 64 | HAProxy ‡ | 12500 | 0.129 | 0.515 (0.220–0.810) | 1.00 | 1.030 | 0.040 | 60 % | 18.00 | 0 |
        | 100 B × 64 | Phalanx | 12500 | 0.076 | 0.305 (0.300–0.310) | 0.59 | 0.610 | 0.040 | 60 % | 18.00 | 0 |

        ⚠ Requests failed: these figures are no comparison.

        ‡ Connections to the origin were not kept: these figures are no comparison.

        § The core of the load had hardly a pause: the latencies are its own, not the proxy's.

        System calls, counted by strace in a run of their own:

        | body × connections | proxy | calls/request | of which |
        |---|---|--:|---|
        | 100 B × 64 | Phalanx | 4.05 | recvfrom 2.01, sendto 2.00, epoll_wait 0.04 |

        Idle keep-alive connections, each after one request. PSS of the proxy's processes: what the kernel holds for the
        sockets is about the same for all and not in here, tables reserved at the start are in "before".

        | proxy | connections | bytes/connection | before KiB | after KiB |
        |---|--:|--:|--:|--:|
        | Phalanx | 8000 | 1573 | 4096 | 16384 |
    "###]].assert_eq(&markdown(&Machine::of_tests(), &measurements));
}
