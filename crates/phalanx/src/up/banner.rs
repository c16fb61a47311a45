//! What `phalanx up` tells the person who started it.

use std::{
    collections::BTreeSet,
    env,
    net::{IpAddr, SocketAddr},
};

use phalanx_config::{Action, Config, PathPattern, ServiceName};

use super::{overview::Addresses, replicated};
use crate::{cli::ADMIN_DEFAULT, config_file::Origin, signals::StopSignal};

/// Before the first replica is ready. It may take long, or never come to that, so where to look is told at once.
pub(super) fn starting(config: &Config, left_out: &BTreeSet<ServiceName>, addresses: &Addresses) -> String {
    let wanted = replicated(config).filter(|(name, _)| !left_out.contains(*name));
    let services: Vec<_> =
        wanted.map(|(name, replicas)| format!(" {} × {name}", replicas.replicas)).collect();
    let left_out = match left_out.iter().map(ServiceName::as_str).collect::<Vec<_>>() {
        names if names.is_empty() => String::new(),
        names => format!("\nleft out: {}; requests for them are answered 503", names.join(", ")),
    };
    format!(
        "phalanx {} starts{}: gateway {}, admin {}{left_out}",
        env!("CARGO_PKG_VERSION"),
        services.join(","),
        urls(&addresses.http).join(" "),
        url(addresses.admin),
    )
}

/// When everything serves.
pub(super) fn ready(config: &Config, origin: &Origin, addresses: &Addresses) -> String {
    let urls = urls(&addresses.http);
    let gateway = urls.join("  ");
    let admin = url(addresses.admin);
    let status_options = if admin == ADMIN_DEFAULT { String::new() } else { format!(" --admin {admin}") };
    // As it was called, so that the line also works where it is not in the PATH.
    let program = env::args_os()
        .next()
        .map_or_else(|| "phalanx".to_owned(), |name| name.to_string_lossy().into_owned());
    let (routes, tries) = match (origin, urls.first()) {
        (_, None) => (String::new(), String::new()),
        (Origin::BuiltIn, Some(url)) => (format!("  routes   {url}/docs\n"), reference_api(url)),
        (Origin::File(_), Some(url)) => (String::new(), format!("  curl -i {url}{}", example_path(config))),
    };
    format!(
        "
Ready.
  gateway  {gateway}
  admin    {admin}   /metrics  /v1/state  /v1/events  /livez  /readyz
{routes}
Try it in another terminal:
{tries}
  {program} status{status_options}

Ctrl-C drains and stops; a second Ctrl-C stops at once.
"
    )
}

/// After the first signal.
pub(super) fn stopping(signal: StopSignal) -> String {
    let name = match signal {
        StopSignal::Interrupt => "Ctrl-C",
        StopSignal::Terminate => "SIGTERM",
    };
    format!("\n{name}: open requests finish, then the replicas stop. A second one stops at once.")
}

fn reference_api(url: &str) -> String {
    format!(
        r#"  curl -i {url}/api/auth/register -H 'Content-Type: application/json' \
    -d '{{"email":"ada@example.com","name":"Ada","password":"correct horse battery"}}'
  curl -i {url}/api/catalog"#
    )
}

/// A path that the first route takes.
fn example_path(config: &Config) -> String {
    let forwards = |action: &Action| matches!(action, Action::Forward { .. });
    let route = config.routes.iter().find(|route| forwards(&route.action)).or(config.routes.first());
    match route.map(|route| &route.path) {
        Some(PathPattern::Prefix(path) | PathPattern::Exact(path)) => path.clone(),
        None => "/".to_owned(),
    }
}

fn urls(addresses: &[SocketAddr]) -> Vec<String> {
    addresses.iter().copied().map(url).collect()
}

/// A URL that works on this machine: nobody can connect to the unspecified address everywhere.
fn url(address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!("http://{host}:{}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_shows_the_same_first_requests() {
        let readme = include_str!("../../../../README.md");
        for command in reference_api("http://127.0.0.1:8080").lines() {
            assert!(readme.contains(command.trim()), "no {command:?}");
        }
    }

    #[test]
    fn a_url_can_be_connected_to() {
        for (address, expected) in [
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:80", "http://[::1]:80"),
            ("[::1]:80", "http://[::1]:80"),
            ("10.0.0.1:80", "http://10.0.0.1:80"),
        ] {
            assert_eq!(url(address.parse().unwrap()), expected);
        }
    }
}
