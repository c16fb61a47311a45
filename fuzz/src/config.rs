//! What holds of the configuration whatever the file is.
//!
//! The tests of `phalanx-config` include this file, so that the corpus runs through it on every `cargo test`.

use miette::{GraphicalReportHandler, GraphicalTheme};
use phalanx_config::{
    Action, Config, Discovery, FAULTS_LISTED_MAX, Faults, ForwardPolicy, Resilience, Role, Service, Source,
};

/// What every variable holds whose name begins with a letter before `N`; the others are not set.
const SECRET: &str = "Jk9sEcReT";

/// A file becomes a configuration that keeps its promises, or a report that does.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let environment = |name: &str| name.starts_with(|first| first < 'N').then(|| SECRET.to_owned());
    match Config::parse("phalanx.toml", &text, &environment) {
        Ok(config) => is_usable(&config),
        Err(faults) => is_readable(&faults, &text),
    }
}

/// Every fault stands in the file and says what to do; what a variable holds is not shown, and no escape sequence either.
fn is_readable(faults: &Faults, text: &str) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for fault in faults.iter() {
        let (start, end) = (fault.span().start, fault.span().end);
        assert!(text.get(start..end).is_some(), "{fault:?}");
        assert!(!fault.message().is_empty() && !fault.help().is_empty(), "{fault:?}");
    }
    assert_eq!(faults.iter().count(), faults.len().min(FAULTS_LISTED_MAX));
    // Without wrapping, as the binary shows it, so that no line break hides a secret.
    let mut report = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_wrap_lines(false)
        .render_report(&mut report, faults)
        .expect("a text takes all that is written");
    assert!(!report.contains('\u{1b}') && !report.contains("Failed to read"), "{report:?}");
    assert!(!report.contains(SECRET) || text.contains(SECRET), "{report}");
}

fn is_usable(config: &Config) {
    assert!(!format!("{config:?}").is_empty());
    assert!(!config.gateway.http.is_empty() && config.admin.listen.ip().is_loopback());
    for network in &config.gateway.trusted_proxies {
        assert_eq!(*network, network.trunc());
    }
    for route in &config.routes {
        if let Action::Forward { service, policy } = &route.action {
            assert!(config.services.contains_key(service), "{service}");
            is_usable_policy(policy);
        }
    }
    for service in config.services.values() {
        is_usable_resilience(&service.resilience);
        is_usable_source(service);
    }
}

fn is_usable_policy(policy: &ForwardPolicy) {
    let ForwardPolicy { timeouts, retry, .. } = policy;
    assert!((1..=10).contains(&retry.attempts.get()) && (0.0..=1.0).contains(&retry.budget), "{retry:?}");
    let each = [timeouts.connect, timeouts.send, timeouts.read, timeouts.tunnel];
    assert!(each.iter().all(|timeout| !timeout.is_zero()), "{timeouts:?}");
}

fn is_usable_resilience(resilience: &Resilience) {
    assert!((0.0..=1.0).contains(&resilience.panic_threshold), "{resilience:?}");
    if let Some(queue) = resilience.queue {
        assert!(!queue.timeout.is_zero(), "{queue:?}");
    }
    if let Some(adaptive) = resilience.adaptive_concurrency {
        assert!(adaptive.min <= adaptive.max && (1.0..=10.0).contains(&adaptive.tolerance), "{adaptive:?}");
    }
    if let Some(breaker) = resilience.circuit_breaker {
        assert!(breaker.error_rate > 0.0 && breaker.error_rate <= 1.0, "{breaker:?}");
        assert!(!breaker.window.is_zero() && !breaker.open.is_zero(), "{breaker:?}");
    }
    if let Some(ejection) = resilience.outlier_ejection {
        assert!(ejection.error_rate > 0.0 && ejection.error_rate <= 1.0, "{ejection:?}");
        assert!(ejection.latency_factor > 1.0 && ejection.latency_factor.is_finite(), "{ejection:?}");
        assert!((0.0..=1.0).contains(&ejection.max_ejected), "{ejection:?}");
        assert!(!ejection.window.is_zero() && !ejection.ejection.is_zero(), "{ejection:?}");
    }
}

fn is_usable_source(service: &Service) {
    match &service.source {
        Source::Endpoints { endpoints, .. } => {
            assert!(endpoints.iter().any(|endpoint| endpoint.role == Role::Primary), "{endpoints:?}");
            assert!(endpoints.iter().all(|endpoint| endpoint.address.port() > 0), "{endpoints:?}");
        }
        Source::Discovered { discovery, .. } => is_the_same_when_written(discovery),
        Source::Replicas(replicas) => {
            assert!(!replicas.command[0].is_empty(), "{replicas:?}");
            assert!(replicas.replicas <= replicas.limit.max(), "{replicas:?}");
        }
    }
}

/// A name that the configuration shows is one that it takes.
fn is_the_same_when_written(discovery: &Discovery) {
    let file = format!(
        "[[route]]\npath = \"/\"\nservice = \"a\"\n[service.a]\ndiscover.dns = \"{}\"",
        discovery.name
    );
    let config = Config::parse("phalanx.toml", &file, &|_| None).expect("the name was taken before");
    let again = config.services.values().next().map(|service| &service.source);
    assert!(
        matches!(again, Some(Source::Discovered { discovery: again, .. }) if again.name == discovery.name),
        "{again:?}"
    );
}
