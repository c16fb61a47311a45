//! The measurements as Markdown: medians over the rounds, with the extremes beside them, and ratios of the medians.

mod around;

use super::{
    Measurements,
    client::Kind,
    positions::{self, Reads},
    queries, replicas, restart,
    users::{self, STACKS, Stack},
};
use crate::{
    database::ROWS,
    machine::Machine,
    markdown::{self, hundredths, micros_each, table, whole},
    spread::Spread,
    wrk::Served,
};

/// The whole report.
pub(super) fn markdown(machine: &Machine, measurements: &Measurements) -> String {
    let mut lines = heading(machine, measurements);
    let parts = [
        queries_table(&measurements.queries),
        users_table(&measurements.users),
        replicas_table(&measurements.replicas),
        positions_table(&measurements.positions),
        restarts_table(&measurements.restarts),
    ];
    lines.extend(parts.into_iter().flatten());
    lines.push(String::new());
    lines.join("\n")
}

fn heading(machine: &Machine, measurements: &Measurements) -> Vec<String> {
    let placement = machine.placement;
    let placed = format!(
        "services on {}, wrk on {}; PostgreSQL, its direct clients and replicas in great number on all cores",
        placement.proxy, placement.load
    );
    let load =
        format!("{ROWS} rows in memory, another one each time; {} tasks or connections", measurements.tasks);
    markdown::heading("The data layer", machine, &placed, measurements.schedule, &load)
}

fn queries_table(windows: &[queries::Window]) -> Vec<String> {
    if windows.is_empty() {
        return Vec::new();
    }
    let spread = |kind: Kind, measure: fn(&queries::Window) -> f64| {
        Spread::of(windows.iter().filter(|window| window.kind == kind).map(measure))
    };
    let mut lines = table(
        "`SELECT` by primary key, client and PostgreSQL on the same machine:",
        "| client | queries/s | client CPU µs/query | PostgreSQL CPU µs/query | errors |",
        "|---|--:|--:|--:|--:|",
    );
    let rate = |kind| spread(kind, |window| window.span.rate());
    let cpu = |kind| spread(kind, |window| window.span.cpu_microseconds_per_query());
    for kind in queries::KINDS {
        let database =
            spread(kind, |window| window.database_cpu.as_secs_f64() * 1e6 / window.database_queries as f64);
        let errors: u64 =
            windows.iter().filter(|window| window.kind == kind).map(|window| window.span.failed).sum();
        lines.push(format!(
            "| {kind} | {} | {} | {:.1} | {errors} |",
            whole(rate(kind)),
            hundredths(cpu(kind)),
            database.median,
        ));
    }
    for rival in [Kind::Sqlx, Kind::SqlxUntested] {
        lines.push(format!(
            "| phalanx-data ÷ {rival} | {:.2} | {:.2} | | |",
            rate(Kind::Phalanx).median / rate(rival).median,
            cpu(Kind::Phalanx).median / cpu(rival).median,
        ));
    }
    lines
}

fn users_table(windows: &[users::Window]) -> Vec<String> {
    if windows.is_empty() {
        return Vec::new();
    }
    let spread = |stack: Stack, measure: fn(&users::Window) -> f64| {
        Spread::of(windows.iter().filter(|window| window.stack == stack).map(measure))
    };
    let mut lines = table(
        "`GET /api/users/{id}` over one PostgreSQL; CPU time of the service and of the database together:",
        "| service | requests per CPU second | service CPU µs/request | PostgreSQL CPU µs/request | requests/s | p99 ms | errors |",
        "|---|--:|--:|--:|--:|--:|--:|",
    );
    let per_cpu = |stack| spread(stack, users::Window::requests_per_cpu_second);
    let rate = |stack| spread(stack, |window| rate(window.served));
    for stack in STACKS {
        let service = spread(stack, |window| micros_each(window.service_cpu, window.served.requests));
        let database = spread(stack, |window| micros_each(window.database_cpu, window.served.requests));
        let p99 = spread(stack, |window| window.served.latency_p99.as_secs_f64() * 1e3);
        lines.push(format!(
            "| {stack} | {} | {:.1} | {:.1} | {:.0} | {:.2} | {} |",
            whole(per_cpu(stack)),
            service.median,
            database.median,
            rate(stack).median,
            p99.median,
            errors(windows.iter().filter(|window| window.stack == stack).map(|window| window.served)),
        ));
    }
    for rival in [Stack::Express, Stack::ExpressRaw] {
        lines.push(format!(
            "| reference API ÷ {rival} | {:.2} | | | {:.2} | | |",
            per_cpu(Stack::Phalanx).median / per_cpu(rival).median,
            rate(Stack::Phalanx).median / rate(rival).median,
        ));
    }
    lines
}

fn replicas_table(windows: &[replicas::Window]) -> Vec<String> {
    let Some(last) = windows.last() else { return Vec::new() };
    let mut lines = table(
        "Replicas of the reference API behind one gateway, all over one primary:",
        "| replicas | requests/s | connections under load, at most | connections since the start, at most | errors |",
        "|--:|--:|--:|--:|--:|",
    );
    let connections = windows.iter().map(|window| window.connections).max().unwrap_or(0);
    lines.push(format!(
        "| {} | {} | {connections} | {} | {} |",
        last.replicas,
        whole(Spread::of(windows.iter().map(|window| rate(window.served)))),
        last.connections_since_start,
        errors(windows.iter().map(|window| window.served)),
    ));
    lines
}

fn positions_table(windows: &[positions::Window]) -> Vec<String> {
    if windows.is_empty() {
        return Vec::new();
    }
    let spread = |reads: Reads, measure: fn(&positions::Window) -> f64| {
        Spread::of(windows.iter().filter(|window| window.reads == reads).map(measure))
    };
    let mut lines = table(
        "Reads over a primary and two replicas, with and without the position of a write just before the window:",
        "| reads with | requests/s | API CPU µs/request | PostgreSQL CPU µs/request | errors |",
        "|---|--:|--:|--:|--:|",
    );
    let rates = |reads| spread(reads, |window| rate(window.served));
    let service = |reads| spread(reads, |window| micros_each(window.service_cpu, window.served.requests));
    let databases = |reads| spread(reads, |window| micros_each(window.databases_cpu, window.served.requests));
    for reads in [Reads::Eventual, Reads::OwnWrites] {
        lines.push(format!(
            "| {reads} | {} | {:.2} | {:.2} | {} |",
            whole(rates(reads)),
            service(reads).median,
            databases(reads).median,
            errors(windows.iter().filter(|window| window.reads == reads).map(|window| window.served)),
        ));
    }
    let ratio = |of: &dyn Fn(Reads) -> Spread| of(Reads::OwnWrites).median / of(Reads::Eventual).median;
    lines.push(format!(
        "| with ÷ without | {:.3} | {:.3} | {:.3} | |",
        ratio(&rates),
        ratio(&service),
        ratio(&databases)
    ));
    lines
}

fn restarts_table(runs: &[restart::Run]) -> Vec<String> {
    if runs.is_empty() {
        return Vec::new();
    }
    let mut lines = table(
        "The database taken away under load. \"Away\" is until it took connections again; all times count from the beginning.",
        "| load | database | away s | queries that failed | last failure after s | nine tenths of the rate after s | rate before | rate at the end |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    );
    let seconds = |duration: Option<std::time::Duration>, otherwise: &str| {
        duration.map_or_else(|| otherwise.to_owned(), |duration| format!("{:.1}", duration.as_secs_f64()))
    };
    for run in runs {
        lines.push(format!(
            "| {} | {} | {:.2} | {} | {} | {} | {:.0} | {:.0} |",
            run.load,
            run.interruption,
            run.away.as_secs_f64(),
            run.timeline.failed(),
            seconds(run.timeline.last_failure(), "none"),
            seconds(run.timeline.recovered_after(), "not"),
            run.timeline.rate_before(),
            run.timeline.rate_at_end(),
        ));
    }
    lines.extend(around::table(runs));
    lines
}

fn rate(served: Served) -> f64 {
    served.requests as f64 / served.elapsed.as_secs_f64()
}

fn errors(served: impl Iterator<Item = Served>) -> u64 {
    served.map(|served| served.errors.total()).sum()
}

#[cfg(test)]
mod tests;
