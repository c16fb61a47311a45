//! The measurements as Markdown: medians over the rounds, with the extremes beside them.

use super::{Measurements, idle, start, step};
use crate::{
    machine::Machine,
    markdown::{self, hundredths, table},
    spread::Spread,
};

/// The whole report.
pub(super) fn markdown(machine: &Machine, measurements: &Measurements) -> String {
    let load = format!("{} replicas where it says all, and no request but the probes", measurements.replicas);
    let placed = "Phalanx and its replicas on all cores, one worker";
    let mut lines = markdown::heading("The fleet", machine, placed, measurements.schedule, &load);
    lines.extend(idle_table(&measurements.idle));
    lines.extend(start_table(&measurements.start, measurements.replicas, machine.cores));
    lines.extend(step_table(&measurements.step));
    lines.push(String::new());
    lines.join("\n")
}

fn idle_table(windows: &[idle::Window]) -> Vec<String> {
    if windows.is_empty() {
        return Vec::new();
    }
    let mut lines = table(
        "Phalanx itself, without its replicas, while they do nothing; each is probed once a second:",
        "| replicas | % of a core | memory, MB |",
        "|---|--:|--:|",
    );
    for row in idle::ROWS {
        let of = || windows.iter().filter(|window| window.row == row);
        let cpu = Spread::of(of().map(idle::Window::percent_of_core));
        let memory = Spread::of(of().map(|window| window.memory_bytes as f64 / 1e6));
        lines.push(format!("| {row} | {} | {} |", hundredths(cpu), hundredths(memory)));
    }
    lines
}

fn start_table(starts: &[start::Start], replicas: u32, cores: usize) -> Vec<String> {
    if starts.is_empty() {
        return Vec::new();
    }
    let mut lines = table(
        "The reference API over embedded storage, from the start of Phalanx until all of its replicas get requests:",
        "| replicas | s | s of CPU time, all processes | share of the machine |",
        "|--:|--:|--:|--:|",
    );
    for replicas in start::rows(replicas) {
        let of = || starts.iter().filter(|start| start.replicas == replicas);
        let elapsed = Spread::of(of().map(|start| start.elapsed.as_secs_f64()));
        let cpu = Spread::of(of().map(|start| start.cpu.as_secs_f64()));
        let share = 100.0 * cpu.median / (elapsed.median * cores as f64);
        lines.push(format!("| {replicas} | {} | {} | {share:.0} % |", hundredths(elapsed), hundredths(cpu)));
    }
    lines
}

fn step_table(steps: &[step::Step]) -> Vec<String> {
    if steps.is_empty() {
        return Vec::new();
    }
    let title = format!(
        "From a step in load, 0 to {} requests/s, a fifth of which is nearly what a replica can do, until five replicas serve:",
        step::RATE
    );
    let mut lines = table(
        &title,
        "| autoscaler | interval, s | start-up, s | five are wanted after s | five serve after s | start-up and one interval, s | requests that failed |",
        "|---|--:|--:|--:|--:|--:|--:|",
    );
    for mode in step::MODES {
        let of = || steps.iter().filter(|step| step.mode == mode);
        let decided = Spread::of(of().map(|step| step.decided.as_secs_f64()));
        let served = Spread::of(of().map(|step| step.served.as_secs_f64()));
        let errors: u64 = of().map(|step| step.errors).sum();
        let interval = mode.interval().as_secs_f64();
        let start_up = Spread::of(of().map(|step| step.start_up.as_secs_f64()));
        let bound = start_up.median + interval;
        lines.push(format!(
            "| {mode} | {interval:.0} | {:.2} | {} | {} | {bound:.2} | {errors} |",
            start_up.median,
            hundredths(decided),
            hundredths(served)
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;

    use super::{idle_table, start_table};
    use crate::fleet::{
        idle::{ROWS, Window},
        start::Start,
    };

    #[test]
    fn an_idle_fleet_is_a_share_of_a_core() {
        let windows = ROWS.map(|row| Window {
            row,
            cpu: Duration::from_millis(50),
            elapsed: Duration::from_secs(10),
            memory_bytes: 12_345_678,
        });
        let last = idle_table(&windows).pop().unwrap();
        expect!["| all replicas, probed by `GET` | 0.50 (0.50–0.50) | 12.35 (12.35–12.35) |"]
            .assert_eq(&last);
        assert!(idle_table(&[]).is_empty());
    }

    #[test]
    fn a_start_is_held_against_what_the_machine_can_do() {
        let start = |replicas, seconds| Start {
            replicas,
            elapsed: Duration::from_secs(seconds),
            cpu: Duration::from_secs(seconds),
        };
        let lines = start_table(&[start(1, 1), start(10, 2), start(50, 4)], 50, 2);
        expect!["| 50 | 4.00 (4.00–4.00) | 4.00 (4.00–4.00) | 50 % |"].assert_eq(lines.last().unwrap());
    }
}
