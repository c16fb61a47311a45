//! `[service.NAME]`

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use toml::Spanned;

use crate::{
    located::At,
    model::{
        ActiveHealth, Balance, Endpoint, HashKey, PassiveHealth, Probe, Protocol, Replicas, Resilience, Role,
        Service, ServiceName, Source, Span,
    },
    raw,
    report::Report,
    source::clipped,
    text::{Refusal, address, hash_key},
};

/// A label of DNS and of metrics is no longer.
const NAME_BYTES_MAX: usize = 63;
const KEEPALIVE_DEFAULT: u16 = 64;
const SHUTDOWN_GRACE_DEFAULT: Duration = Duration::from_secs(30);

/// What Phalanx puts into the environment of each replica.
const RESERVED_VARIABLES: [&str; 2] = ["PORT", "PHALANX_INSTANCE"];

type Services = BTreeMap<ServiceName, Service>;

/// Checks all services.
pub(super) fn services(
    raw: BTreeMap<Spanned<String>, At<raw::Service>>,
    report: &mut Report,
) -> Option<Services> {
    // All are checked before the first missing one counts, so that each can report its faults.
    let services: Vec<_> =
        raw.into_iter().map(|(name, raw)| (self::name(&name, report), service(raw, report))).collect();
    services.into_iter().map(|(name, service)| name.zip(service)).collect()
}

fn name(given: &Spanned<String>, report: &mut Report) -> Option<ServiceName> {
    let name = given.get_ref();
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    if !is_name {
        let message = format!("`{}` cannot be the name of a service", clipped(name));
        let help = "write at most 63 of a-z, 0-9, `-` and `_`, beginning with a letter";
        report.fault(given.span().into(), message, help);
        return None;
    }
    Some(ServiceName(Arc::from(name.as_str())))
}

fn service(raw: At<raw::Service>, report: &mut Report) -> Option<Service> {
    let At { value: raw, span } = raw;
    let balance = balance(&raw, report);
    let keepalive = raw.keepalive.unwrap_or(KEEPALIVE_DEFAULT).into();
    let source = source(raw, span, report);
    Some(Service {
        balance: balance?,
        protocol: Protocol::default(),
        keepalive,
        resilience: Resilience::default(),
        source: source?,
    })
}

fn balance(raw: &raw::Service, report: &mut Report) -> Option<Balance> {
    if let Some(raw::Balance::ConsistentHash) = raw.balance {
        let Some(given) = &raw.hash_key else { return Some(Balance::ConsistentHash(HashKey::default())) };
        let key = hash_key::parse(&given.value).map_err(|refusal| report.refused(given.span, &refusal)).ok();
        return key.map(Balance::ConsistentHash);
    }
    let message = "`hash_key` has no effect without `balance = \"consistent_hash\"`";
    report.without_effect(raw.hash_key.as_ref().map(|key| key.span), message, "remove it, or set `balance`");
    Some(match raw.balance {
        Some(raw::Balance::RoundRobin | raw::Balance::ConsistentHash) | None => Balance::RoundRobin,
        Some(raw::Balance::LeastConnections) => Balance::LeastConnections,
        Some(raw::Balance::LeastResponseTime) => Balance::LeastResponseTime,
        Some(raw::Balance::PowerOfTwo) => Balance::PowerOfTwo,
        Some(raw::Balance::IpHash) => Balance::IpHash,
        Some(raw::Balance::Random) => Balance::Random,
    })
}

fn source(raw: raw::Service, service: Span, report: &mut Report) -> Option<Source> {
    match (&raw.endpoints, &raw.command) {
        (Some(_), None) => endpoints(raw, report),
        (None, Some(_)) => replicas(raw, report).map(Source::Replicas),
        (Some(endpoints), Some(command)) => {
            let help = "remove one: `endpoints` are servers that run already, `command` is run by Phalanx";
            report.duplicate(
                endpoints.span,
                command.span,
                "a service has either `endpoints` or a `command`",
                help,
            );
            None
        }
        (None, None) => {
            let help = "add `endpoints = [{ address = \"127.0.0.1:3000\" }]`, or `command = [\"node\", \"server.js\"]`";
            report.missing(service, "this service has neither `endpoints` nor a `command`", help);
            None
        }
    }
}

fn endpoints(raw: raw::Service, report: &mut Report) -> Option<Source> {
    for (key, message) in [
        (raw.replicas.map(|key| key.span), "`replicas` has no effect without `command`"),
        (raw.env.map(|key| key.span), "`env` has no effect without `command`"),
        (raw.probes.map(|key| key.span), "`probes` has no effect without `command`"),
        (raw.shutdown_grace.map(|key| key.span), "`shutdown_grace` has no effect without `command`"),
    ] {
        report.without_effect(key, message, "remove it: Phalanx does not run these endpoints");
    }
    let given = raw.endpoints?;
    if given.value.is_empty() {
        let help = "add one, as `endpoints = [{ address = \"127.0.0.1:3000\" }]`";
        report.missing(given.span, "this service has no endpoint", help);
    }
    let mut first_spans = HashMap::new();
    let endpoints: Vec<_> =
        given.value.into_iter().map(|given| endpoint(given, &mut first_spans, report)).collect();
    let passive_health = passive_health(raw.passive_health, report);
    let active_health = match raw.active_health {
        Some(given) => Some(active_health(given, report)?),
        None => None,
    };
    Some(Source::Endpoints {
        endpoints: endpoints.into_iter().collect::<Option<_>>()?,
        passive_health,
        active_health,
    })
}

fn endpoint(
    given: At<raw::Endpoint>,
    first_spans: &mut HashMap<SocketAddr, Span>,
    report: &mut Report,
) -> Option<Endpoint> {
    let Some(text) = given.value.address else {
        report.missing(given.span, "this endpoint has no address", "add `address = \"127.0.0.1:3000\"`");
        return None;
    };
    let address = match address::endpoint(&text.value.0) {
        Ok(address) => address,
        Err(refusal) => {
            report.refused(text.span, &refusal);
            return None;
        }
    };
    if let Some(first) = first_spans.insert(address, text.span) {
        let message = format!("{} is an endpoint twice", report.source().quote(text.span));
        report.duplicate(first, text.span, message, "remove one of the two, and give the other a `weight`");
    }
    Some(Endpoint { address, weight: given.value.weight.unwrap_or(1), role: Role::default() })
}

fn passive_health(given: Option<At<raw::PassiveHealth>>, report: &mut Report) -> PassiveHealth {
    let default = PassiveHealth::default();
    let Some(At { value: raw, .. }) = given else { return default };
    PassiveHealth {
        max_fails: raw.max_fails.unwrap_or(default.max_fails),
        fail_timeout: report.duration_above_zero(raw.fail_timeout.as_ref(), default.fail_timeout),
    }
}

fn active_health(given: At<raw::ActiveHealth>, report: &mut Report) -> Option<ActiveHealth> {
    let At { value: raw, span } = given;
    let interval = report.duration_above_zero(raw.interval.as_ref(), Duration::from_secs(5));
    let timeout = report.duration_above_zero(raw.timeout.as_ref(), Duration::from_secs(3).min(interval));
    if let Some(given) = raw.timeout.filter(|_| timeout > interval) {
        let message = format!("{} is longer than the interval", report.source().quote(given.span));
        report.fault(given.span, message, "a check must end before the next one begins: lower `timeout`");
    }
    let Some(path) = raw.path else {
        report.missing(span, "`active_health` has no path", "add `path = \"/ready\"`");
        return None;
    };
    Some(ActiveHealth {
        path: Some(report.path(&path)?),
        interval,
        timeout,
        healthy: raw.healthy.unwrap_or(1),
        unhealthy: raw.unhealthy.unwrap_or(3),
    })
}

fn replicas(raw: raw::Service, report: &mut Report) -> Option<Replicas> {
    for (key, message) in [
        (raw.passive_health.map(|key| key.span), "`passive_health` has no effect without `endpoints`"),
        (raw.active_health.map(|key| key.span), "`active_health` has no effect without `endpoints`"),
    ] {
        report.without_effect(key, message, "remove it: replicas have `probes`");
    }
    let (startup, readiness) = probes(raw.probes.map(|probes| probes.value).unwrap_or_default(), report);
    let env = raw.env.map(|given| env(given.value, report)).unwrap_or_default();
    let shutdown_grace = report.duration(raw.shutdown_grace.as_ref(), SHUTDOWN_GRACE_DEFAULT);
    let command = raw.command?;
    Some(Replicas {
        command_span: command.span,
        command: program(command, report)?,
        replicas: raw.replicas.map_or(1, |replicas| replicas.value).into(),
        env,
        startup,
        readiness,
        shutdown_grace,
    })
}

fn program(given: At<Vec<At<String>>>, report: &mut Report) -> Option<Vec<String>> {
    let Some(program) = given.value.first() else {
        report.missing(
            given.span,
            "the command is empty",
            "write the program and its arguments: [\"node\", \"server.js\"]",
        );
        return None;
    };
    if program.value.is_empty() {
        report.fault(program.span, "the program has no name", "write its name or its path first");
        return None;
    }
    for part in given.value.iter().filter(|part| part.value.contains('\0')) {
        report.refused(part.span, &NUL);
    }
    Some(given.value.into_iter().map(|part| part.value).collect())
}

/// The system ends a text there, so the rest of it would be lost.
const NUL: Refusal = Refusal { problem: "contains a NUL byte", help: "remove it" };

fn env(given: BTreeMap<Spanned<String>, At<String>>, report: &mut Report) -> BTreeMap<String, String> {
    for (name, value) in &given {
        let shown = clipped(name.get_ref());
        if RESERVED_VARIABLES.contains(&name.get_ref().as_str()) {
            let message = format!("`{shown}` is set by Phalanx, to another value for each replica");
            report.fault(name.span().into(), message, "remove it, and read it in the program");
        } else if name.get_ref().is_empty() || name.get_ref().contains(['=', '\0']) {
            let message = format!("`{shown}` cannot be the name of an environment variable");
            report.fault(name.span().into(), message, "write a name without `=`");
        }
        if value.value.contains('\0') {
            report.refused(value.span, &NUL);
        }
    }
    given.into_iter().map(|(name, value)| (name.into_inner(), value.value)).collect()
}

/// Startup and readiness.
fn probes(raw: raw::Probes, report: &mut Report) -> (Probe, Probe) {
    let second = Duration::from_secs(1);
    let default = Probe {
        path: None,
        initial_delay: Duration::ZERO,
        period: second,
        timeout: second,
        success: 1,
        failure: 3,
    };
    let readiness = probe(raw.readiness, default, report);
    let startup_default = Probe { period: second, success: 1, failure: 60, ..readiness.clone() };
    (probe(raw.startup, startup_default, report), readiness)
}

fn probe(given: Option<raw::Probe>, default: Probe, report: &mut Report) -> Probe {
    let Some(raw) = given else { return default };
    Probe {
        path: raw.path.map_or(default.path, |path| report.path(&path)),
        initial_delay: report.duration(raw.initial_delay.as_ref(), default.initial_delay),
        period: report.duration_above_zero(raw.period.as_ref(), default.period),
        timeout: report.duration_above_zero(raw.timeout.as_ref(), default.timeout),
        success: raw.success.unwrap_or(default.success),
        failure: raw.failure.unwrap_or(default.failure),
    }
}
