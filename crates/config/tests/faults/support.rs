//! Reads a file and shows its faults.

use expect_test::Expect;
use miette::{GraphicalReportHandler, GraphicalTheme};
use phalanx_config::{Config, Fault, Faults};

pub(crate) const SERVICE: &str = "[service.api]\nendpoints = [{ address = \"127.0.0.1:3000\" }]\n";
pub(crate) const ROUTE: &str = "[[route]]\npath = \"/\"\nservice = \"api\"\n";

fn environment(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("hunter2".to_owned()),
        "SECRET_NETWORK" => Some("172.18.19.20/12".to_owned()),
        _ => None,
    }
}

pub(crate) fn parse(source: &str) -> Result<Config, Faults> {
    Config::parse("phalanx.toml", source, &environment)
}

pub(crate) fn render(faults: &Faults) -> String {
    let mut report = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut report, faults)
        .unwrap();
    report.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The whole report.
pub(crate) fn check(source: &str, report: &Expect) {
    report.assert_eq(&render(&parse(source).unwrap_err()));
}

/// Place, message and hint of each fault of a file made of `lines`, with a route and a service where it has none.
pub(crate) fn brief(lines: &str) -> String {
    let route = if lines.contains("route") { "" } else { ROUTE };
    let service = if lines.contains("[service") { "" } else { SERVICE };
    let source = format!("{lines}\n{route}{service}");
    match parse(&source) {
        Ok(_) => "no fault\n".to_owned(),
        Err(found) => found.iter().map(|fault| told(&source, fault)).collect(),
    }
}

fn told(source: &str, fault: &Fault) -> String {
    let before = &source[..fault.span().start];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
    format!("{line}:{column} {}\n  {}\n", fault.message(), fault.help())
}

pub(crate) fn check_brief(lines: &str, faults: &Expect) {
    faults.assert_eq(&brief(lines));
}

/// Those of a file whose route has this key besides.
pub(crate) fn check_route(key: &str, faults: &Expect) {
    check_brief(&format!("{ROUTE}{key}"), faults);
}

/// Those of a file whose service, of one endpoint, has these keys besides.
pub(crate) fn check_service(keys: &str, faults: &Expect) {
    check_brief(&format!("{SERVICE}{keys}"), faults);
}
