//! `[gateway]`, `[admin]` and `[log]`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    time::Duration,
};

use ipnet::IpNet;

use crate::{
    located::{AddressText, At, NetworkText},
    model::{Admin, Gateway, Log, LogFormat, LogLevel, Span},
    raw,
    report::Report,
    text::{address, network},
};

/// Each is a socket in every worker.
const LISTENERS_MAX: usize = 64;
/// Each may be compared with every address in `X-Forwarded-For`.
const TRUSTED_PROXIES_MAX: usize = 256;
const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);
const HTTP_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);
const DRAIN_DEADLINE_DEFAULT: Duration = Duration::from_secs(30);

/// An address that is listened on, and where the file says so.
#[derive(Clone, Copy)]
struct Listener {
    address: SocketAddr,
    span: Option<Span>,
}

/// Checks both tables together: their listeners must not collide.
pub(super) fn listeners(gateway: raw::Gateway, admin: raw::Admin, report: &mut Report) -> (Gateway, Admin) {
    let http = http(gateway.http, report);
    let admin = self::admin(admin, report);
    refuse_collisions(&http, admin, report);
    let gateway = Gateway {
        workers: gateway.workers.and_then(|workers| NonZeroUsize::new(workers.into())),
        http: http.iter().map(|listener| listener.address).collect(),
        drain_deadline: report.duration(gateway.drain_deadline.as_ref(), DRAIN_DEADLINE_DEFAULT),
        trusted_proxies: gateway
            .trusted_proxies
            .as_ref()
            .map(|given| networks(given, report))
            .unwrap_or_default(),
        max_connections: gateway.max_connections,
    };
    (gateway, Admin { listen: admin.address })
}

/// Takes over `[log]`, in which there is nothing left to check.
pub(super) fn log(raw: &raw::Log) -> Log {
    let format = match raw.format {
        Some(raw::LogFormat::Json) => LogFormat::Json,
        Some(raw::LogFormat::Text) | None => LogFormat::Text,
    };
    let level = match raw.level {
        Some(raw::LogLevel::Error) => LogLevel::Error,
        Some(raw::LogLevel::Warn) => LogLevel::Warn,
        Some(raw::LogLevel::Info) | None => LogLevel::Info,
        Some(raw::LogLevel::Debug) => LogLevel::Debug,
        Some(raw::LogLevel::Trace) => LogLevel::Trace,
    };
    Log { format, level }
}

fn http(given: Option<At<Vec<At<AddressText>>>>, report: &mut Report) -> Vec<Listener> {
    let Some(given) = given else { return vec![Listener { address: HTTP_DEFAULT, span: None }] };
    if given.value.is_empty() {
        report.missing(
            given.span,
            "the gateway listens nowhere",
            "add an address, as `http = [\"0.0.0.0:8080\"]`",
        );
    }
    if given.value.len() > LISTENERS_MAX {
        let message = format!("{} listeners are too many", given.value.len());
        report.fault(given.span, message, format!("write at most {LISTENERS_MAX}"));
        return Vec::new();
    }
    given.value.iter().filter_map(|text| listener(text, report)).collect()
}

fn networks(given: &At<Vec<At<NetworkText>>>, report: &mut Report) -> Vec<IpNet> {
    if given.value.len() > TRUSTED_PROXIES_MAX {
        let message = format!("{} networks are too many", given.value.len());
        report.fault(given.span, message, format!("write at most {TRUSTED_PROXIES_MAX}"));
        return Vec::new();
    }
    given.value.iter().filter_map(|text| network(text, report)).collect()
}

fn network(text: &At<NetworkText>, report: &mut Report) -> Option<IpNet> {
    let NetworkText(value) = &text.value;
    let network = match network::parse(value) {
        Ok(network) => network,
        Err(refusal) => {
            report.refused(text.span, &refusal);
            return None;
        }
    };
    if network != network.trunc() {
        let written = report.source().quote(text.span);
        // The remedy tells the address, which may not be shown when it came from the environment.
        let help = if written.contains(value.as_str()) {
            format!(
                "write the network, \"{}\", or the address alone, \"{}\"",
                network.trunc(),
                network.addr()
            )
        } else {
            "write the network, as \"10.0.0.0/8\", or the address alone".to_owned()
        };
        report.fault(text.span, format!("{written} has address bits behind its prefix"), help);
        return None;
    }
    Some(network)
}

fn admin(raw: raw::Admin, report: &mut Report) -> Listener {
    let default = Listener { address: ADMIN_DEFAULT, span: None };
    let Some(listener) = raw.listen.and_then(|text| listener(&text, report)) else { return default };
    if let (Some(span), false) = (listener.span, listener.address.ip().is_loopback()) {
        let message = format!("{} can be reached from other machines", report.source().quote(span));
        report.fault(
            span,
            message,
            "the admin API asks for no password in this version: listen on \"127.0.0.1:9900\"",
        );
    }
    listener
}

fn listener(text: &At<AddressText>, report: &mut Report) -> Option<Listener> {
    match address::listener(&text.value.0) {
        Ok(address) => Some(Listener { address, span: Some(text.span) }),
        Err(refusal) => {
            report.refused(text.span, &refusal);
            None
        }
    }
}

fn refuse_collisions(http: &[Listener], admin: Listener, report: &mut Report) {
    const HELP: &str = "give one of the two another port";
    for (index, one) in http.iter().enumerate() {
        let earlier = http[..index].iter().find(|other| address::overlap(one.address, other.address));
        if let (Some(span), Some(Listener { span: Some(first), .. })) = (one.span, earlier) {
            let message = format!("{} collides with another listener", report.source().quote(span));
            report.duplicate(*first, span, message, HELP);
        }
    }
    let Some(other) = http.iter().find(|other| address::overlap(admin.address, other.address)) else {
        return;
    };
    match (other.span, admin.span) {
        (Some(first), Some(span)) => {
            let message = format!("{} collides with a listener of the gateway", report.source().quote(span));
            report.duplicate(first, span, message, HELP);
        }
        (Some(span), None) | (None, Some(span)) => {
            let message = format!("{} collides with a default", report.source().quote(span));
            let help = format!("the gateway listens on {HTTP_DEFAULT}, admin on {ADMIN_DEFAULT}: {HELP}");
            report.fault(span, message, help);
        }
        (None, None) => {}
    }
}
