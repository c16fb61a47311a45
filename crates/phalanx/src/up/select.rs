//! `phalanx up SERVICE…`: which services run, when only some are wanted.

use std::collections::BTreeSet;

use phalanx_config::{Config, ServiceName, Source, nearest};

use crate::exit::Failure;

/// The services that are left out: those with replicas that were not named, and that none of the named ones depends on.
///
/// # Errors
/// [`Failure::Usage`] with every name that no service has.
pub(super) fn left_out(config: &Config, named: &[String]) -> Result<BTreeSet<ServiceName>, Failure> {
    if named.is_empty() {
        return Ok(BTreeSet::new());
    }
    let unknown: Vec<_> = named.iter().filter_map(|name| complaint(config, name)).collect();
    if !unknown.is_empty() {
        return Err(Failure::Usage(anyhow::anyhow!("{}", unknown.join("\n  "))));
    }
    let mut wanted = BTreeSet::new();
    let mut to_visit: Vec<&str> = named.iter().map(String::as_str).collect();
    while let Some(name) = to_visit.pop() {
        let found = config.services.iter().find(|(service, _)| service.as_str() == name);
        let Some((service, Source::Replicas(replicas))) =
            found.map(|(name, service)| (name, &service.source))
        else {
            continue;
        };
        if wanted.insert(service.clone()) {
            to_visit.extend(replicas.depends_on.iter().map(ServiceName::as_str));
        }
    }
    let runs = |name: &&ServiceName| matches!(config.services[*name].source, Source::Replicas(_));
    Ok(config.services.keys().filter(runs).filter(|name| !wanted.contains(*name)).cloned().collect())
}

/// What to say of a name that cannot be run; `None` for one that can.
fn complaint(config: &Config, name: &str) -> Option<String> {
    let source = config.services.iter().find(|(service, _)| service.as_str() == name);
    match source.map(|(_, service)| &service.source) {
        Some(Source::Replicas(_)) => None,
        Some(Source::Endpoints { .. } | Source::Discovered { .. }) => Some(format!(
            "service `{name}` has no `command`: Phalanx does not run it, and its endpoints are always there"
        )),
        None => {
            let known = || config.services.keys().map(ServiceName::as_str);
            let help = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the services are: {}", known().collect::<Vec<_>>().join(", ")),
            };
            Some(format!("there is no service `{name}`: {help}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
[service.web]
command = ['server']
depends_on = ['api']
[service.api]
command = ['server']
depends_on = ['database']
[service.database]
command = ['server']
[service.worker]
command = ['server']
[service.legacy]
endpoints = [{ address = '127.0.0.1:3000' }]
[[route]]
path = '/'
service = 'web'
";

    fn left(named: &[&str]) -> String {
        let config = Config::parse("phalanx.toml", FILE, &|_| None).unwrap();
        let named: Vec<_> = named.iter().map(|name| (*name).to_owned()).collect();
        match left_out(&config, &named) {
            Ok(names) => names.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(" "),
            Err(failure) => format!("{failure:?}"),
        }
    }

    #[test]
    fn named_services_bring_what_they_depend_on() {
        assert_eq!(left(&[]), "");
        assert_eq!(left(&["web"]), "worker");
        assert_eq!(left(&["api"]), "web worker");
        assert_eq!(left(&["database", "worker"]), "api web");
    }

    #[test]
    fn a_name_that_cannot_be_run_is_refused_with_all_others() {
        let refused = left(&["wbe", "legacy", "web"]);
        assert!(refused.contains("no service `wbe`: did you mean `web`?"), "{refused}");
        assert!(refused.contains("`legacy` has no `command`"), "{refused}");
    }
}
