//! The comparison as Markdown: medians over the rounds, and ratios of the medians.

use std::time::Duration;

use super::{PATH, Protocol, Window};
use crate::{load::Schedule, machine::Machine, spread::Spread};

/// One window, for whoever waits for the rest.
pub(super) fn line(window: &Window) -> String {
    format!(
        "{:<5} gateway {:5.2} + replica {:5.2} µs/request {:8.0} requests/s {} errors",
        window.protocol,
        microseconds(window.gateway, window),
        microseconds(window.replica, window),
        window.served.requests as f64 / window.served.elapsed.as_secs_f64(),
        window.served.errors.total(),
    )
}

fn microseconds(used: Duration, window: &Window) -> f64 {
    used.as_secs_f64() * 1e6 / window.served.requests as f64
}

/// Medians of one protocol.
struct Costs {
    gateway: f64,
    replica: f64,
    both: f64,
    requests_per_second: f64,
    p99_milliseconds: f64,
    errors: u64,
}

impl Costs {
    fn of(windows: &[Window], protocol: Protocol) -> Self {
        let rounds: Vec<&Window> = windows.iter().filter(|window| window.protocol == protocol).collect();
        let median =
            |measure: fn(&Window) -> f64| Spread::of(rounds.iter().map(|window| measure(window))).median;
        Self {
            gateway: median(|window| microseconds(window.gateway, window)),
            replica: median(|window| microseconds(window.replica, window)),
            both: median(|window| microseconds(window.gateway + window.replica, window)),
            requests_per_second: median(|window| {
                window.served.requests as f64 / window.served.elapsed.as_secs_f64()
            }),
            p99_milliseconds: median(|window| window.served.latency_p99.as_secs_f64() * 1e3),
            errors: rounds.iter().map(|window| window.served.errors.total()).sum(),
        }
    }
}

/// The whole report.
pub(super) fn markdown(
    machine: &Machine,
    connections: u32,
    schedule: Schedule,
    windows: &[Window],
) -> String {
    let mut lines = vec![
        "## Between gateway and replica".to_owned(),
        String::new(),
        format!("* {}, {} cores, Linux {}", machine.cpu, machine.cores, machine.kernel),
        format!("* gateway on {}, replica on {}", machine.placement.proxy, machine.placement.origin),
    ];
    lines.extend(machine.versions.iter().map(|version| format!("* {version}")));
    lines.extend([
        format!("* `{}`, {}", machine.command, machine.date),
        format!("* `GET {PATH}` of the reference API over {connections} client connections"),
        format!(
            "* rounds: {}, interleaved; each window {} s after {} s of warm-up; medians",
            schedule.rounds, schedule.window_seconds, schedule.warmup_seconds
        ),
        String::new(),
        "| protocol | gateway CPU µs/request | replica CPU µs/request | both | requests/s | p99 ms | errors |"
            .to_owned(),
        "|---|--:|--:|--:|--:|--:|--:|".to_owned(),
    ]);
    let [http1, h2c] = [Protocol::Http1, Protocol::H2c].map(|protocol| Costs::of(windows, protocol));
    for (protocol, costs) in [(Protocol::Http1, &http1), (Protocol::H2c, &h2c)] {
        lines.push(format!(
            "| {protocol} | {:.2} | {:.2} | {:.2} | {:.0} | {:.2} | {} |",
            costs.gateway,
            costs.replica,
            costs.both,
            costs.requests_per_second,
            costs.p99_milliseconds,
            costs.errors,
        ));
    }
    lines.push(format!(
        "| h2c ÷ http1 | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | |",
        h2c.gateway / http1.gateway,
        h2c.replica / http1.replica,
        h2c.both / http1.both,
        h2c.requests_per_second / http1.requests_per_second,
        h2c.p99_milliseconds / http1.p99_milliseconds,
    ));
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::{
        cores::Placement,
        wrk::{Errors, Served},
    };

    fn window(protocol: Protocol, gateway_milliseconds: u64, replica_milliseconds: u64) -> Window {
        Window {
            protocol,
            served: Served {
                requests: 200_000,
                elapsed: Duration::from_secs(4),
                latency_p99: Duration::from_millis(2),
                errors: Errors::default(),
            },
            gateway: Duration::from_millis(gateway_milliseconds),
            replica: Duration::from_millis(replica_milliseconds),
        }
    }

    #[test]
    fn both_processes_are_counted_and_compared() {
        let machine = Machine {
            cpu: "A CPU".to_owned(),
            cores: 2,
            kernel: "6.1.0".to_owned(),
            placement: Placement::over_two_cores(),
            versions: vec!["phalanx 0.1.0".to_owned()],
            command: "phalanx-bench upstreams".to_owned(),
            date: "Sun, 06 Nov 1994 08:49:37 GMT".to_owned(),
        };
        let schedule = Schedule { rounds: 1, warmup_seconds: 1, window_seconds: 4 };
        let windows = [window(Protocol::Http1, 3_000, 2_000), window(Protocol::H2c, 2_400, 600)];
        expect![[r#"
            ## Between gateway and replica

            * A CPU, 2 cores, Linux 6.1.0
            * gateway on core 0, replica on core 1
            * phalanx 0.1.0
            * `phalanx-bench upstreams`, Sun, 06 Nov 1994 08:49:37 GMT
            * `GET /health` of the reference API over 256 client connections
            * rounds: 1, interleaved; each window 4 s after 1 s of warm-up; medians

            | protocol | gateway CPU µs/request | replica CPU µs/request | both | requests/s | p99 ms | errors |
            |---|--:|--:|--:|--:|--:|--:|
            | http1 | 15.00 | 10.00 | 25.00 | 50000 | 2.00 | 0 |
            | h2c | 12.00 | 3.00 | 15.00 | 50000 | 2.00 | 0 |
            | h2c ÷ http1 | 0.80 | 0.30 | 0.60 | 1.00 | 1.00 | |
        "#]]
        .assert_eq(&markdown(&machine, 256, schedule, &windows));
    }
}
