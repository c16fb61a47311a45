//! A chart as SVG: for each policy a panel with the load, what the replicas could serve, and what they cost.
//!
//! Written here, since it is a few lines and areas: the same trials give the same bytes.

use std::fmt::Write as _;

use phalanx_scale::{
    Thousandths,
    simulation::{Point, Trace},
};

use super::{compare::clock, simulate::Trial};

const WIDTH: f64 = 960.0;
const PANEL_HEIGHT: f64 = 240.0;
const TOP: f64 = 34.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 16.0;
const BOTTOM: f64 = 30.0;
/// More points than these nobody can tell apart.
const POINTS_MAX: usize = 1_920;
const TIME_MARKS: u32 = 6;
const LOAD_MARKS: i64 = 4;

pub(super) fn svg(trials: &[Trial], trace: &Trace, capacity_milli: i64) -> String {
    let height = PANEL_HEIGHT * trials.len() as f64;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{height}" fill="white"/>
"#
    );
    // One scale for all, or the panels could not be compared.
    let highest = trials.iter().flat_map(|trial| &trial.outcome.points);
    let highest = highest.map(|point| point.load_milli.max(capacity(point.replicas, capacity_milli))).max();
    for (index, trial) in trials.iter().enumerate() {
        let panel = Panel {
            top: PANEL_HEIGHT * index as f64 + TOP,
            seconds: trace.length().as_secs_f64(),
            highest_milli: highest.unwrap_or_default().max(1),
        };
        panel.draw(&mut svg, trial, trace, capacity_milli);
    }
    svg.push_str("</svg>\n");
    svg
}

fn capacity(replicas: u32, capacity_milli: i64) -> i64 {
    i64::from(replicas).saturating_mul(capacity_milli)
}

struct Panel {
    top: f64,
    seconds: f64,
    highest_milli: i64,
}

impl Panel {
    fn draw(&self, svg: &mut String, trial: &Trial, trace: &Trace, capacity_milli: i64) {
        let title = escaped(&trial.name);
        let totals = trial.outcome.totals;
        let hours = totals.replica_time.as_secs_f64() / 3600.0;
        let _ = writeln!(
            svg,
            r#"<text x="6" y="{0:.1}">requests/s</text><text x="{LEFT}" y="{0:.1}"><tspan font-weight="bold">{title}</tspan>: {hours:.2} replica-hours, under capacity {1}, {2} requests unserved</text>"#,
            self.top - 14.0,
            clock(totals.under_capacity),
            totals.requests_unserved,
        );
        self.axes(svg, trace);
        let points = thinned(&trial.outcome.points);
        let end = self.seconds;
        let line = |value: &dyn Fn(&Point) -> i64| self.steps(&points, end, value);
        let (first, base) = (self.x(0.0), self.y(0));
        let load = line(&|point| point.load_milli);
        let _ = writeln!(
            svg,
            r##"<path d="M{first:.1} {base:.1} L{load} L{:.1} {base:.1} Z" fill="#c9d8ea"/>"##,
            self.x(end),
        );
        let exists = line(&|point| capacity(point.replicas, capacity_milli));
        let _ = writeln!(
            svg,
            r##"<path d="M{exists}" fill="none" stroke="#b35900" stroke-dasharray="4 3"><title>what all replicas could serve</title></path>"##
        );
        let ready = line(&|point| capacity(point.ready, capacity_milli));
        let _ = writeln!(
            svg,
            r##"<path d="M{ready}" fill="none" stroke="#1b6e3c" stroke-width="1.5"><title>what ready replicas serve</title></path>"##
        );
    }

    fn axes(&self, svg: &mut String, trace: &Trace) {
        let (left, right) = (self.x(0.0), self.x(self.seconds));
        for mark in 0..=LOAD_MARKS {
            let value = self.highest_milli / LOAD_MARKS * mark;
            let y = self.y(value);
            let _ = writeln!(
                svg,
                r##"<path d="M{left:.1} {y:.1} H{right:.1}" stroke="#dddddd"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"##,
                left - 6.0,
                y + 4.0,
                Thousandths(value / 1000 * 1000),
            );
        }
        for mark in 0..=TIME_MARKS {
            let time = trace.length() * mark / TIME_MARKS;
            let anchor = match mark {
                0 => "start",
                TIME_MARKS => "end",
                _ => "middle",
            };
            let _ = writeln!(
                svg,
                r#"<text x="{:.1}" y="{:.1}" text-anchor="{anchor}">{}</text>"#,
                self.x(time.as_secs_f64()),
                self.y(0) + 16.0,
                clock(time),
            );
        }
    }

    /// A line that holds each value until the next.
    fn steps(&self, points: &[&Point], end: f64, value: &dyn Fn(&Point) -> i64) -> String {
        let mut path = String::new();
        for (index, point) in points.iter().enumerate() {
            let (x, y) = (self.x(point.at.as_secs_f64()), self.y(value(point)));
            let _ = if index == 0 { write!(path, "{x:.1} {y:.1}") } else { write!(path, " H{x:.1} V{y:.1}") };
        }
        let _ = write!(path, " H{:.1}", self.x(end));
        path
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.seconds
    }

    fn y(&self, milli: i64) -> f64 {
        let height = PANEL_HEIGHT - TOP - BOTTOM;
        self.top + height * (1.0 - milli as f64 / self.highest_milli as f64)
    }
}

/// Of many points every so many, but those at which the replicas change.
fn thinned(points: &[Point]) -> Vec<&Point> {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    let changes = |index: usize| {
        let before = index.checked_sub(1).and_then(|before| points.get(before));
        before.is_none_or(|before| {
            (before.ready, before.replicas) != (points[index].ready, points[index].replicas)
        })
    };
    let kept = points.iter().enumerate().filter(|(index, _)| index % every == 0 || changes(*index));
    kept.map(|(_, point)| point).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
