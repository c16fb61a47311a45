//! The state of a Phalanx as text for a person: what `phalanx status` prints.
//!
//! Invariant: a table is as wide as the terminal or narrower, down to its two columns that say which endpoint is in which
//! state. Columns without a value in any row do not appear; where the width does not do, the least telling go first.

use std::fmt::Write as _;

use phalanx_telemetry::escape::escaped;

use crate::state::{Endpoint, Rollout, Service, State};

mod rollouts;
#[cfg(test)]
mod tests;

pub use self::rollouts::rollout;

const GAP: &str = "  ";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

#[derive(Clone, Copy)]
struct Column {
    title: &'static str,
    align: Align,
    /// The lowest goes first where the width does not do.
    worth: u8,
    cell: fn(&Service, &Endpoint) -> Option<String>,
}

/// Worth of the columns that always stay.
const INDISPENSABLE: u8 = u8::MAX;

const COLUMNS: [Column; 13] = {
    use Align::{Left, Right};
    const fn column(
        title: &'static str,
        align: Align,
        worth: u8,
        cell: fn(&Service, &Endpoint) -> Option<String>,
    ) -> Column {
        Column { title, align, worth, cell }
    }
    [
        column("SERVICE", Left, 10, |service, _| Some(service.name.clone())),
        column("INSTANCE", Left, 11, |_, endpoint| endpoint.instance.clone()),
        column("ADDRESS", Left, INDISPENSABLE, |_, endpoint| Some(endpoint.address.clone())),
        column("STATE", Left, INDISPENSABLE, |_, endpoint| Some(endpoint.state.to_string())),
        column("CPU", Right, 6, |_, endpoint| endpoint.cpu_millicores.map(|millis| format!("{millis}m"))),
        column("MEMORY", Right, 5, |_, endpoint| endpoint.memory_bytes.map(memory)),
        column("REQ/S", Right, 7, |_, endpoint| endpoint.requests_per_second.map(rate)),
        column("IN-FLIGHT", Right, 3, |_, endpoint| Some(endpoint.in_flight.to_string())),
        column("REQUESTS", Right, 9, |_, endpoint| Some(endpoint.requests.to_string())),
        column("FAILURES", Right, 4, |_, endpoint| Some(endpoint.failures.to_string())),
        // Nothing restarts a fixed endpoint.
        column("RESTARTS", Right, 8, |_, endpoint| {
            endpoint.instance.as_ref().map(|_| endpoint.restarts.to_string())
        }),
        column("PID", Right, 1, |_, endpoint| endpoint.pid.map(|pid| pid.to_string())),
        column("AGE", Right, 2, |_, endpoint| endpoint.since_seconds.map(age)),
    ]
};

/// The state as text for a terminal of this many columns.
#[must_use]
pub fn table(state: &State, width: usize) -> String {
    let mut text = String::new();
    let gateway = &state.gateway;
    let summary = format!(
        "Phalanx {} up {}, {} workers, {} connections, {} requests in flight",
        state.version,
        age(state.uptime_seconds),
        gateway.workers,
        gateway.connections,
        gateway.requests_in_flight,
    );
    push_wrapped(&mut text, &summary, width);
    push_wrapped(&mut text, &format!("listening on {}", gateway.listeners.join(", ")), width);
    if state.stopping {
        push_wrapped(&mut text, "it is stopping: it takes no orders any more", width);
    }
    for service in &state.services {
        push_wrapped(&mut text, &service_summary(service), width);
        for more in [rollout_line(service), autoscale(service), limits(service)].into_iter().flatten() {
            push_indented(&mut text, &more, width);
        }
    }

    let rows: Vec<(&Service, &Endpoint)> = state
        .services
        .iter()
        .flat_map(|service| service.endpoints.iter().map(move |endpoint| (service, endpoint)))
        .collect();
    push_rows(&mut text, &rows, width);

    let mut separator = "\n";
    for (_, endpoint) in rows {
        if let Some(reason) = &endpoint.reason {
            text.push_str(separator);
            separator = "";
            let name = endpoint.instance.as_ref().unwrap_or(&endpoint.address);
            push_wrapped(&mut text, &format!("{name} {}: {reason}", endpoint.state), width);
            for line in &endpoint.last_output {
                push_indented(&mut text, line, width);
            }
        }
    }
    text
}

fn service_summary(service: &Service) -> String {
    match service.desired {
        Some(desired) => format!("{}: {} of {desired} replicas serving", service.name, service.serving),
        None => {
            format!("{}: {} of {} endpoints serving", service.name, service.serving, service.endpoints.len())
        }
    }
}

/// A change of the replicas, unless it is the first one and done: that is what the line before says.
fn rollout_line(service: &Service) -> Option<String> {
    let Rollout { revision, status, reason, .. } = service.rollout.as_ref()?;
    (*revision > 1 || status != "complete").then(|| format!("rollout {status}: {reason}"))
}

fn autoscale(service: &Service) -> Option<String> {
    let autoscale = service.autoscale.as_ref()?;
    Some(format!("autoscaler, {} ago: {}", age(autoscale.age_seconds), autoscale.reason))
}

fn limits(service: &Service) -> Option<String> {
    (service.limits_enforced == Some(false)).then(|| "limits are not enforced: see the log".to_owned())
}

/// An amount of memory; three digits say enough.
#[must_use]
pub fn memory(bytes: u64) -> String {
    const MEBI: u64 = 1 << 20;
    match bytes / MEBI {
        0 => format!("{}KiB", bytes >> 10),
        mebi @ 1..10_000 => format!("{mebi}MiB"),
        mebi => format!("{}GiB", mebi >> 10),
    }
}

/// A rate; small ones have a decimal, since one request in ten seconds is not none.
#[must_use]
pub fn rate(per_second: f64) -> String {
    if per_second >= 10.0 { format!("{per_second:.0}") } else { format!("{per_second:.1}") }
}

/// One unit is enough to see what is young and what is old.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A column with its cells, and how wide the widest of them is.
struct Laid {
    column: Column,
    cells: Vec<String>,
    width: usize,
}

fn push_rows(text: &mut String, rows: &[(&Service, &Endpoint)], width: usize) {
    if rows.is_empty() {
        return;
    }
    let mut laid: Vec<Laid> = COLUMNS.into_iter().filter_map(|column| lay(column, rows)).collect();
    while total_width(&laid) > width {
        let Some(least) = (0..laid.len()).min_by_key(|at| laid[*at].column.worth) else { break };
        if laid[least].column.worth == INDISPENSABLE {
            break;
        }
        laid.remove(least);
    }
    text.push('\n');
    push_row(text, &laid, |column| column.column.title);
    for row in 0..rows.len() {
        push_row(text, &laid, |column| &column.cells[row]);
    }
}

/// `None` if no row has a value.
fn lay(column: Column, rows: &[(&Service, &Endpoint)]) -> Option<Laid> {
    let values: Vec<Option<String>> =
        rows.iter().map(|(service, endpoint)| (column.cell)(service, endpoint)).collect();
    if values.iter().all(Option::is_none) {
        return None;
    }
    let cells: Vec<String> = values
        .into_iter()
        .map(|value| value.map_or_else(|| "-".to_owned(), |value| escaped(&value).to_string()))
        .collect();
    let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0).max(column.title.len());
    Some(Laid { column, cells, width })
}

fn total_width(laid: &[Laid]) -> usize {
    laid.iter().map(|column| column.width).sum::<usize>() + GAP.len() * laid.len().saturating_sub(1)
}

fn push_row<'a>(text: &mut String, laid: &'a [Laid], cell: impl Fn(&'a Laid) -> &'a str) {
    let start = text.len();
    for column in laid {
        let gap = if text.len() == start { "" } else { GAP };
        let (cell, width) = (cell(column), column.width);
        let written = match column.column.align {
            Align::Left => write!(text, "{gap}{cell:<width$}"),
            Align::Right => write!(text, "{gap}{cell:>width$}"),
        };
        written.expect("writing to a string cannot fail");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
}

/// Breaks at spaces; what follows the first line is indented. A word that is wider than the terminal stays whole.
fn push_wrapped(text: &mut String, sentence: &str, width: usize) {
    push_words(text, sentence, 0, width);
}

/// The same, and the first line is indented too.
fn push_indented(text: &mut String, sentence: &str, width: usize) {
    text.push_str(GAP);
    push_words(text, sentence, GAP.len(), width);
}

fn push_words(text: &mut String, sentence: &str, indent: usize, width: usize) {
    let mut column = 0;
    let width = width.saturating_sub(indent);
    for word in escaped(sentence).to_string().split_whitespace() {
        let word_width = word.chars().count();
        if column > 0 && column + 1 + word_width > width {
            text.push('\n');
            text.push_str(&" ".repeat(indent + GAP.len()));
            column = GAP.len();
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word_width;
    }
    text.push('\n');
}
