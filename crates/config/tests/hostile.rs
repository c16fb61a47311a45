//! Files that nobody wrote in earnest: every one ends in a configuration or a report of bounded size, never in a panic.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, also in its helpers")]

use miette::{GraphicalReportHandler, GraphicalTheme, NarratableReportHandler};
use phalanx_config::{BUILTIN, Config, FAULTS_LISTED_MAX, FILE_BYTES_MAX, Faults};
use proptest::prelude::*;

/// A file with every kind of table, as a start for mutations.
const EXAMPLE: &str = r#"
[gateway]
http = ["0.0.0.0:8080"]
drain_deadline = "30s"
trusted_proxies = ["10.0.0.0/8", "::1"]
max_connections = 10_000
[[route]]
host = "*.example.com"
path = "/api/"
methods = ["GET"]
service = "api"
timeouts = { connect = "5s" }
retry = { attempts = 3, budget = 0.2 }
max_body = "1GiB"
min_body_rate = "16B/s"
shed = false
[[route]]
path_exact = "/é"
respond = { status = 200, body = "healthy\n" }
[service.api]
protocol = "auto"
endpoints = [{ address = "10.0.1.10:3000", weight = 3 }, { address = "10.0.1.11:3000", backup = true }]
active_health = { path = "/ready" }
panic_threshold = 0.5
limits = { connections = 100, pending = 10 }
queue = { max = 100, timeout = "1s" }
hold = { max = 1000, timeout = "30s" }
adaptive_concurrency = { min = 8, max = 1000, tolerance = 1.5 }
[service.found]
discover = { dns = "api.internal:3000", resolver = "127.0.0.1:53" }
circuit_breaker = { error_rate = 0.5, volume = 20, window = "10s", open = "5s" }
outlier_ejection = { latency_factor = 5, max_ejected = 0.5 }
slow_start = "30s"
[service.web]
command = ["node", "${SCRIPT:-server.js}"]
probes.readiness = { path = "/ready", period = "5s" }
[admin]
listen = "127.0.0.1:9900"
[log]
format = "json"
"#;

/// What turns a valid file into an interesting one.
const FRAGMENTS: [&str; 34] = [
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\n",
    "\r\n",
    "\r",
    "\0",
    "${",
    "}",
    "$$",
    "é",
    "\u{feff}",
    "\u{1b}[31m",
    "-1",
    "99999999999999999999",
    "nan",
    "-inf",
    "1e400",
    "0x1",
    "false",
    "GiB/s",
    "/129",
    "_",
];

fn parse(source: &str) -> Result<Config, Faults> {
    Config::parse("phalanx.toml", source, &|name| (name == "SCRIPT").then(|| "x".repeat(1000)))
}

/// The report as both of miette's handlers show it.
fn render(faults: &Faults) -> String {
    let mut report = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .render_report(&mut report, faults)
        .unwrap();
    NarratableReportHandler::new().render_report(&mut report, faults).unwrap();
    report
}

/// Reads a file and holds the report, if there is one, to its promises.
fn survive(source: &str) {
    let Err(faults) = parse(source) else { return };
    let text = source.strip_prefix('\u{feff}').unwrap_or(source);
    for fault in faults.iter() {
        let (start, end) = (fault.span().start, fault.span().end);
        assert!(start <= end && text.is_char_boundary(start) && text.is_char_boundary(end), "{fault:?}");
        assert!(!fault.message().is_empty() && !fault.help().is_empty(), "{fault:?}");
    }
    assert_eq!(faults.iter().count(), faults.len().min(FAULTS_LISTED_MAX));
    let report = render(&faults);
    assert!(!report.contains('\u{1b}') && !report.contains("Failed to read"), "{report:?}");
    assert!(report.len() < FAULTS_LISTED_MAX * 20_000, "{}", report.len());
}

proptest! {
    #[test]
    fn any_text_is_survived(source in any::<String>()) {
        survive(&source);
    }

    #[test]
    fn any_text_of_toml_characters_is_survived(source in "[a-z0-9\\[\\]{}=.,\"'#$\n -]{0,200}") {
        survive(&source);
    }

    #[test]
    fn damaged_files_are_survived(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..20_usize, 0..FRAGMENTS.len()), 1..8),
    ) {
        for start in [EXAMPLE, BUILTIN] {
            let mut source = start.to_owned();
            for (place, deleted, fragment) in &edits {
                let from = source.floor_char_boundary(place.index(source.len() + 1));
                let to = source.ceil_char_boundary(from + deleted);
                source.replace_range(from..to, FRAGMENTS[*fragment]);
            }
            survive(&source);
        }
    }
}

#[test]
fn of_many_faults_the_first_are_listed_and_all_are_counted() {
    let source: String = (0..10_000).map(|index| format!("key{index} = 1\n")).collect();
    let faults = parse(&source).unwrap_err();
    assert_eq!(faults.len(), 10_000);
    let lines: Vec<_> =
        faults.iter().map(|fault| source[..fault.span().start].matches('\n').count()).collect();
    assert_eq!(lines, (0..FAULTS_LISTED_MAX).collect::<Vec<_>>());
    assert_eq!(faults.to_string(), "phalanx.toml has 10000 faults, of which the first 100 follow");
}

#[test]
fn a_file_beyond_the_bound_is_refused_unread() {
    let faults = parse(&"#".repeat(FILE_BYTES_MAX + 1)).unwrap_err();
    let messages: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(messages, ["the file has more than 1048576 bytes"]);
    assert!(render(&faults).len() < 10_000);
}

#[test]
fn extremes_are_survived() {
    let many = FILE_BYTES_MAX / 16;
    for source in [
        "[".repeat(many),
        format!("a = {}", "[".repeat(many)),
        format!("a = {}", "{a=".repeat(many / 4)),
        format!("{} = 1", vec!["a"; many].join(".")),
        format!("[{}]", vec!["a"; many].join(".")),
        format!("[service.api]\nendpoints = {}1{}", "[".repeat(60), "]".repeat(60)),
        format!("[log]\nlevel = \"{}\"", "x".repeat(many)),
        format!("[log]\n{} = 1", "x".repeat(many)),
        format!("[log]\nlevel = \"${{{}}}\"", "x".repeat(many)),
        format!("[gateway]\nhttp = [{}]", "5, ".repeat(many / 4)),
        format!("[gateway]\nhttp = [{}]", "\"a:1\", ".repeat(many / 8)),
        format!("[service.api]\nendpoints = [{}]", "{ address = \"1.1.1.1:1\" }, ".repeat(1000)),
        "[[route]]\npath = \"/\"\nservice = \"nowhere\"\n".repeat(1000),
        format!("[gateway]\ntrusted_proxies = [{}]", "\"10.0.0.1/8\", ".repeat(many / 16)),
        format!("[service.api]\ndiscover.dns = \"{}:80\"", "a.".repeat(many / 2)),
        format!("[service.api]\nslow_start = \"{}\"", "9".repeat(many)),
        format!("[service.api]\npanic_threshold = 0.{}", "9".repeat(many)),
        format!("[[route]]\nmax_body = \"{}GiB\"", "9".repeat(many)),
        format!("[[route]]\nretry.budget = 1e{}", "9".repeat(many)),
        "é".repeat(many),
        "\n".repeat(many),
        "a\n".repeat(1000),
        "a = \u{1b}[31m\n".repeat(1000),
    ] {
        survive(&source);
    }
}

#[test]
fn texts_from_the_environment_are_bounded_together() {
    let source = format!(
        "[[route]]\npath = \"/\"\nservice = \"api\"\n[service.api]\ncommand = [\"x\", {}]",
        "\"${SCRIPT}\", ".repeat(5000)
    );
    let faults = parse(&source).unwrap_err();
    assert_eq!(faults.len(), 5000 - (4 << 20) / 1000);
}
