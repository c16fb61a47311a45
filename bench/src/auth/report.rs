//! The measurements as Markdown: medians over the rounds, with the extremes beside them, and ratios of the medians.

use std::time::Duration;

use super::{
    Measurements,
    flood::{self, Flood},
    profile::{self, ALGORITHMS, OF_EXPRESS, Row, Wire},
    refresh, revocation,
};
use crate::{
    machine::Machine,
    markdown::{self, hundredths, micros_each, table},
    spread::Spread,
};

/// The whole report.
pub(super) fn markdown(machine: &Machine, measurements: &Measurements) -> String {
    let mut lines = heading(machine, measurements);
    lines.extend(profile_table(&measurements.profile));
    lines.extend(flood_table(&measurements.flood));
    lines.extend(measurements.refresh.iter().flat_map(refresh_table));
    lines.extend(measurements.revocation.iter().flat_map(revocation_table));
    lines.push(String::new());
    lines.join("\n")
}

fn heading(machine: &Machine, measurements: &Measurements) -> Vec<String> {
    let placement = machine.placement;
    let placed = format!(
        "services on {}, load on {}; PostgreSQL and Redis on all cores",
        placement.proxy, placement.load
    );
    let load = format!("{} connections over HTTP/1.1", measurements.connections);
    markdown::heading("Accounts and tokens", machine, &placed, measurements.schedule, &load)
}

fn profile_table(windows: &[profile::Window]) -> Vec<String> {
    if windows.is_empty() {
        return Vec::new();
    }
    let spread = |row: Row, measure: fn(&profile::Window) -> f64| {
        Spread::of(windows.iter().filter(|window| window.row == row).map(measure))
    };
    let service = |row| spread(row, |window| micros_each(window.service_cpu, window.served.requests));
    let mut lines = table(
        "`GET /api/profile` over one PostgreSQL, and the same read without a token (`GET /api/users/{id}`):",
        "| service | service CPU µs/request | PostgreSQL CPU µs/request | requests/s | errors |",
        "|---|--:|--:|--:|--:|",
    );
    for row in profile::rows() {
        let database = spread(row, |window| micros_each(window.database_cpu, window.served.requests));
        let rate = spread(row, |window| window.served.requests as f64 / window.served.elapsed.as_secs_f64());
        let errors: u64 = windows
            .iter()
            .filter(|window| window.row == row)
            .map(|window| window.served.errors.total())
            .sum();
        let database = database.median;
        lines.push(format!(
            "| {row} | {} | {database:.1} | {:.0} | {errors} |",
            hundredths(service(row)),
            rate.median
        ));
    }
    for wire in [Wire::Http1, Wire::H2c] {
        for algorithm in ALGORITHMS {
            let ratio = service(Row::Profile(algorithm, wire)).median / service(Row::Open(wire)).median;
            lines.push(format!("| {} ÷ no token, {wire} | {ratio:.2} | | | |", algorithm.as_str()));
        }
    }
    for algorithm in OF_EXPRESS {
        for wire in [Wire::Http1, Wire::H2c] {
            let ratio =
                service(Row::Express(algorithm)).median / service(Row::Profile(algorithm, wire)).median;
            lines.push(format!(
                "| Express ÷ reference API over {wire}, {} | {ratio:.1} | | | |",
                algorithm.as_str()
            ));
        }
    }
    lines
}

fn flood_table(windows: &[flood::Window]) -> Vec<String> {
    if windows.is_empty() {
        return Vec::new();
    }
    let spread = |flood: Flood, measure: fn(&flood::Window) -> Duration| {
        let of = windows.iter().filter(|window| window.flood == flood);
        Spread::of(of.map(|window| measure(window).as_secs_f64() * 1e3))
    };
    let p99 = |flood| spread(flood, |window| window.latency.p99);
    let mut lines = table(
        "`GET /api/profile` at 500 requests/s, one replica with embedded storage, with and without a flood of logins over 64 connections:",
        "| load | p50 ms | p99 ms | the load generator's own lateness, p99 ms | errors | logins answered/s | logins refused |",
        "|---|--:|--:|--:|--:|--:|--:|",
    );
    for flood in [Flood::None, Flood::Logins] {
        let of = windows.iter().filter(|window| window.flood == flood);
        let errors: u64 = of.clone().map(|window| window.errors).sum();
        let logins: Vec<_> = of.filter_map(|window| window.logins).collect();
        let (rate, refused) = if logins.is_empty() {
            (String::new(), String::new())
        } else {
            let rate =
                Spread::of(logins.iter().map(|logins| logins.requests as f64 / logins.elapsed.as_secs_f64()));
            let refused: u64 = logins.iter().map(|logins| logins.errors.statuses).sum();
            (format!("{:.0}", rate.median), refused.to_string())
        };
        lines.push(format!(
            "| {flood} | {:.2} | {} | {:.2} | {errors} | {rate} | {refused} |",
            spread(flood, |window| window.latency.p50).median,
            hundredths(p99(flood)),
            spread(flood, |window| window.lateness_p99).median,
        ));
    }
    let ratio = p99(Flood::Logins).median / p99(Flood::None).median;
    lines.push(format!("| with ÷ without | | {ratio:.2} | | | | |"));
    lines
}

fn refresh_table(run: &refresh::Run) -> Vec<String> {
    let mut lines = table(
        "Refreshes of one token at once, through the gateway to three replicas over one PostgreSQL:",
        "| rounds | at once | answers by status | rounds with one and the same successor | false logouts | seconds |",
        "|--:|--:|---|--:|--:|--:|",
    );
    let answers: Vec<_> = run.answers.iter().map(|(status, count)| format!("{count} × {status}")).collect();
    lines.push(format!(
        "| {} | {} | {} | {} | {} | {:.0} |",
        run.rounds,
        run.at_once,
        answers.join(", "),
        run.rounds_of_one_successor,
        run.logouts,
        run.elapsed.as_secs_f64(),
    ));
    lines
}

fn revocation_table(run: &revocation::Run) -> Vec<String> {
    let mut lines = table(
        "From the answer to a logout until its access token is refused, three replicas and a gateway that verifies, one Redis:",
        "| verifiers | logouts | p50 ms | p99 ms | longest ms |",
        "|---|--:|--:|--:|--:|",
    );
    for (verifiers, times) in [("all four", &run.everywhere), ("the gateway", &run.at_gateway)] {
        let mut sorted = times.clone();
        sorted.sort();
        let at = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).clamp(1, sorted.len()) - 1;
            sorted[index].as_secs_f64() * 1e3
        };
        lines.push(format!(
            "| {verifiers} | {} | {:.1} | {:.1} | {:.1} |",
            sorted.len(),
            at(50),
            at(99),
            at(100)
        ));
    }
    lines
}

#[cfg(test)]
mod tests;
