//! A trace in a file: a line for each point, seconds and requests per second.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, anyhow};
use phalanx_scale::simulation::{Trace, TraceError};

use super::{file, milli};

pub(super) fn read(path: &Path) -> anyhow::Result<Trace> {
    let text = file::read(path)?;
    parse(&text).map_err(|(line, error)| match line {
        Some(line) => error.context(format!("{}:{line}", path.display())),
        None => error.context(path.display().to_string()),
    })
}

/// A trace, or what is wrong and in which line.
fn parse(text: &str) -> Result<Trace, (Option<usize>, anyhow::Error)> {
    let mut lines = Vec::new();
    let mut points = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        // A first line that has no digit first names the columns.
        let names =
            points.is_empty() && line.starts_with(|first: char| first.is_alphabetic() || first == '"');
        if line.is_empty() || line.starts_with('#') || names {
            continue;
        }
        points.push(point(line).map_err(|error| (Some(number), error))?);
        lines.push(number);
    }
    Trace::new(points).map_err(|error| match error {
        TraceError::NotLater { index } => {
            (lines.get(index).copied(), anyhow!("the time is not later than that of the point before"))
        }
        error => (None, error.into()),
    })
}

fn point(line: &str) -> anyhow::Result<(Duration, i64)> {
    let mut fields = line.split(',').map(str::trim);
    let (Some(seconds), Some(load), None) = (fields.next(), fields.next(), fields.next()) else {
        return Err(anyhow!("expected two fields, seconds and requests per second"));
    };
    let number = |text: &str, what: &str| {
        milli(text).with_context(|| format!("{what} `{text}` is not a number such as 0, 90 or 12.5"))
    };
    let at = Duration::from_millis(number(seconds, "the time")?.unsigned_abs());
    Ok((at, number(load, "the load")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let (line, error) = parse(text).map(|_| ()).unwrap_err();
        format!("{line:?} {error:#}")
    }

    #[test]
    fn names_comments_and_empty_lines_are_passed_over() {
        let trace = parse("seconds,requests_per_second\r\n# a day\n0,1\n\n 60 , 2.5 \n").unwrap();
        assert_eq!((trace.points(), trace.range_milli()), (2, (1_000, 2_500)));
        assert_eq!(trace.length(), Duration::from_secs(120));
    }

    #[test]
    fn faults_tell_their_line() {
        assert_eq!(
            fault("seconds,load\n0,1\n0,2"),
            "Some(3) the time is not later than that of the point before"
        );
        assert_eq!(fault("0,1\n60"), "Some(2) expected two fields, seconds and requests per second");
        assert_eq!(fault("0,1\n60,1,1"), "Some(2) expected two fields, seconds and requests per second");
        assert_eq!(fault("0,-1"), "Some(1) the load `-1` is not a number such as 0, 90 or 12.5");
        assert_eq!(fault("0,1\nx,1"), "Some(2) the time `x` is not a number such as 0, 90 or 12.5");
        assert_eq!(fault("seconds,load\n"), "None a trace needs at least one point");
        assert_eq!(fault("0,1\n99999999,1"), "None a trace may be 2678400s long");
    }
}
