//! The profile as Markdown: the costliest system calls and the costliest functions, each as a share of all samples and in CPU
//! time a request.

use super::{Cost, samples::Samples};
use crate::machine::Machine;

/// The whole report.
pub(super) fn markdown(machine: &Machine, cost: Cost, samples: &Samples, items: usize) -> String {
    let share = |count: u64| count as f64 / samples.total as f64;
    let line = |name: &str, count: u64| {
        let share = share(count);
        format!("| {name} | {:.1} % | {:.2} |", share * 100.0, share * cost.cpu_microseconds_per_request)
    };
    let mut lines = vec!["## Where the CPU time of Phalanx goes".to_owned(), String::new()];
    lines.extend(machine.lines());
    lines.push(format!(
        "* {}, saturated: {:.0} requests/s at {:.2} CPU µs/request while perf took {} samples",
        cost.scenario, cost.requests_per_second, cost.cpu_microseconds_per_request, samples.total
    ));

    lines.extend(head("| all samples | share | CPU µs/request |", "|---|--:|--:|"));
    lines.push(line("system calls", samples.in_calls()));
    lines.push(line("other kernel code: interrupts, faults, entry and exit", samples.other_kernel));
    lines.push(line("Phalanx's functions, with what they call of libraries", samples.in_functions()));
    lines.push(line("the runtime on its own", samples.runtime));
    if samples.in_calls() == 0 {
        lines.extend([
            String::new(),
            "perf may not look into the kernel: run as root, or set kernel.perf_event_paranoid.".to_owned(),
        ]);
    }

    lines.extend(head("| system call | share | CPU µs/request |", "|---|--:|--:|"));
    let calls = samples.calls.iter().map(|(name, count)| (name, *count)).collect();
    lines.extend(costliest(calls, items).into_iter().map(|(name, count)| line(&format!("`{name}`"), count)));

    lines.extend(head(
        "| function | share | CPU µs/request | with system calls and Phalanx's functions below |",
        "|---|--:|--:|--:|",
    ));
    let functions = samples.functions.iter().map(|(name, function)| (name, function.own)).collect();
    for (name, own) in costliest(functions, items) {
        let inclusive = share(samples.functions[name].inclusive) * 100.0;
        lines.push(format!("{} {inclusive:.1} % |", line(&format!("`{name}`"), own)));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn head(names: &str, rule: &str) -> [String; 3] {
    [String::new(), names.to_owned(), rule.to_owned()]
}

/// The first `items` of them, by count.
fn costliest(mut counts: Vec<(&String, u64)>, items: usize) -> Vec<(&String, u64)> {
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.truncate(items);
    counts
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::markdown;
    use crate::{
        machine::Machine,
        profile::{
            Cost,
            samples::{Function, Samples},
        },
        scenario::{Body, Scenario},
    };

    fn named<T>(
        counts: impl IntoIterator<Item = (&'static str, T)>,
    ) -> std::collections::BTreeMap<String, T> {
        counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
    }

    #[test]
    fn the_costliest_come_first_and_the_sum_is_all() {
        let cost = Cost {
            scenario: Scenario { body: Body::Json, connections: 256 },
            requests_per_second: 100_000.4,
            cpu_microseconds_per_request: 10.0,
        };
        let samples = Samples {
            total: 1_000,
            calls: named([("accept4", 1), ("recvfrom", 199), ("sendto", 500)]),
            other_kernel: 20,
            functions: named([
                ("phalanx_gateway::a", Function { own: 40, inclusive: 950 }),
                ("phalanx_gateway::b", Function { own: 160, inclusive: 200 }),
                ("phalanx_gateway::c", Function { own: 1, inclusive: 1 }),
            ]),
            runtime: 79,
        };
        expect![[r#"
            ## Where the CPU time of Phalanx goes

            * A CPU, 2 cores, Linux 6.1.0
            * proxy on core 0, origin on core 1, load on core 1
            * nginx version: nginx/1.22.1
            * phalanx 0.1.0
            * `phalanx-bench gateway`, Sun, 06 Nov 1994 08:49:37 GMT
            * 100 B × 256, saturated: 100000 requests/s at 10.00 CPU µs/request while perf took 1000 samples

            | all samples | share | CPU µs/request |
            |---|--:|--:|
            | system calls | 70.0 % | 7.00 |
            | other kernel code: interrupts, faults, entry and exit | 2.0 % | 0.20 |
            | Phalanx's functions, with what they call of libraries | 20.1 % | 2.01 |
            | the runtime on its own | 7.9 % | 0.79 |

            | system call | share | CPU µs/request |
            |---|--:|--:|
            | `sendto` | 50.0 % | 5.00 |
            | `recvfrom` | 19.9 % | 1.99 |

            | function | share | CPU µs/request | with system calls and Phalanx's functions below |
            |---|--:|--:|--:|
            | `phalanx_gateway::b` | 16.0 % | 1.60 | 20.0 % |
            | `phalanx_gateway::a` | 4.0 % | 0.40 | 95.0 % |
        "#]]
        .assert_eq(&markdown(&Machine::of_tests(), cost, &samples, 2));
    }
}
