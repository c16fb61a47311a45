use std::time::Duration;

use expect_test::expect;

use super::{Spread, markdown};
use crate::{
    cores::Placement,
    gateway::Measurements,
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

fn machine() -> Machine {
    Machine {
        cpu: "A CPU".to_owned(),
        cores: 2,
        kernel: "6.1.0".to_owned(),
        placement: Placement::over_two_cores(),
        versions: vec!["nginx version: nginx/1.22.1".to_owned(), "phalanx 0.1.0".to_owned()],
        command: "phalanx-bench gateway".to_owned(),
        date: "Sun, 06 Nov 1994 08:49:37 GMT".to_owned(),
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
        * proxy on core 0, origin on core 1, wrk on core 1
        * nginx version: nginx/1.22.1
        * phalanx 0.1.0
        * `phalanx-bench gateway`, Sun, 06 Nov 1994 08:49:37 GMT
        * rounds: 3, interleaved; each window 4 s after 1 s of warm-up; medians, extremes in brackets
        * CPU is user and system time of all threads of the proxy: 9 of 9 windows by `schedstat` (1 ns), 0 by clock ticks (10 ms)
        * p99 is that at saturation: wrk has no fixed rate, so p99 at half of it is not measured here

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

        System calls, counted by strace in a run of their own:

        | body × connections | proxy | calls/request | of which |
        |---|---|--:|---|
        | 100 B × 64 | Phalanx | 4.05 | recvfrom 2.01, sendto 2.00, epoll_wait 0.04 |

        Idle keep-alive connections, each after one request. PSS of the proxy's processes: what the kernel holds for the
        sockets is about the same for all and not in here, tables reserved at the start are in "before".

        | proxy | connections | bytes/connection | before KiB | after KiB |
        |---|--:|--:|--:|--:|
        | Phalanx | 8000 | 1573 | 4096 | 16384 |
    "###]].assert_eq(&markdown(&machine(), &measurements));
}

#[test]
fn a_spread_has_its_median_in_the_middle() {
    let of = |values: &[f64]| Spread::of(values.iter().copied());
    assert_eq!(of(&[3.0]), Spread { least: 3.0, median: 3.0, most: 3.0 });
    assert_eq!(of(&[9.0, 1.0, 2.0]), Spread { least: 1.0, median: 2.0, most: 9.0 });
    assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), Spread { least: 1.0, median: 3.0, most: 9.0 });
}
