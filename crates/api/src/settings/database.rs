//! `DATABASE_*`: the topology, and the bounds of its connections.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    ops::RangeInclusive,
    time::Duration,
};

use phalanx_data::{Detector, Fault, Pooler, SHARDS_MAX, Topology};

use super::{Environment, MigrateAtStart, VariableFault, duration};

/// What one replica may hold to one server; a fleet's file has the same bounds.
const CONNECTIONS: RangeInclusive<usize> = 2..=10_000;
const LONGEST: Duration = Duration::from_hours(24);
/// Letters in which a name may differ from one that is meant.
const SLIP_MAX: usize = 2;
const LAG_BYTES_MAX: u64 = 1 << 50;

impl Environment<'_> {
    pub(super) fn topology(&mut self) -> Topology {
        let shards = (1..=SHARDS_MAX)
            .flat_map(|number| ["PRIMARY", "REPLICAS"].map(|role| format!("DATABASE_SHARD_{number}_{role}")));
        let names = std::iter::once("DATABASE_URL".to_owned()).chain(shards);
        let set: Vec<_> = names.filter_map(|name| self.get(&name).map(|value| (name, value))).collect();
        Topology::from_environment(set).unwrap_or_else(|error| {
            for fault in &error.faults {
                let variable = variable_of(fault).to_owned();
                let text = fault.to_string();
                let text = text.strip_prefix(&format!("`{variable}` ")).unwrap_or(&text);
                let (problem, remedy) = text.split_once(": ").unwrap_or((text, "correct it"));
                self.fault(variable, problem, remedy);
            }
            Topology::Embedded
        })
    }

    pub(super) fn migrate(&mut self) -> MigrateAtStart {
        let choices = [("false", MigrateAtStart::Refuse), ("true", MigrateAtStart::Apply)];
        self.choice("DATABASE_MIGRATE", &choices)
    }

    /// The bounds of servers. Whatever is not set stays as the data layer has it.
    pub(super) fn data(&mut self) -> phalanx_data::Settings {
        let mut data = phalanx_data::Settings::new();
        self.connections(&mut data);
        let choices = [("none", Pooler::None), ("transaction", Pooler::Transaction)];
        data.connections.pooler = self.choice("DATABASE_POOLER", &choices);
        self.durations(&mut data);
        data.lag_bytes_max = self.bytes("DATABASE_REPLICA_LAG_BYTES_MAX", data.lag_bytes_max);
        data.detector = self.detector();
        data
    }

    /// A quarter is for transactions, unless it is said how many: they take a connection each, and statements share theirs.
    fn connections(&mut self, data: &mut phalanx_data::Settings) {
        let connections = &mut data.connections;
        let default = connections.shared_connections.get() + connections.exclusive_max.get();
        let all = self.number("DATABASE_CONNECTIONS", default, CONNECTIONS);
        let (fewest, most) = (1, all - 1);
        let exclusive = self.number("DATABASE_EXCLUSIVE_CONNECTIONS", (all / 4).max(fewest), fewest..=most);
        let nonzero = |number| NonZeroUsize::new(number).expect("both have at least one of at least two");
        connections.exclusive_max = nonzero(exclusive);
        connections.shared_connections = nonzero(all - exclusive);
    }

    fn durations(&mut self, data: &mut phalanx_data::Settings) {
        let connections = &mut data.connections;
        let soon = Duration::from_millis(1);
        let second = Duration::from_secs(1);
        let settings: [(&'static str, &mut Duration, Duration); 12] = [
            ("DATABASE_STATEMENT_TIMEOUT", &mut connections.shared_statement_timeout, soon),
            ("DATABASE_EXCLUSIVE_STATEMENT_TIMEOUT", &mut connections.statement_timeout, soon),
            ("DATABASE_LOCK_TIMEOUT", &mut connections.lock_timeout, soon),
            ("DATABASE_ACQUIRE_TIMEOUT", &mut connections.acquire_timeout, soon),
            ("DATABASE_CONNECT_TIMEOUT", &mut connections.connect_timeout, soon),
            ("DATABASE_MAX_LIFETIME", &mut connections.max_lifetime, second),
            ("DATABASE_IDLE_TIMEOUT", &mut connections.idle_timeout, second),
            ("DATABASE_PRIMARY_WAIT", &mut data.primary_wait_max, soon),
            ("DATABASE_PROBE_PERIOD", &mut data.probe_period, soon * 10),
            ("DATABASE_PROBE_TIMEOUT", &mut data.probe_timeout, soon * 10),
            ("DATABASE_REPLICA_LAG_MAX", &mut data.lag_age_max, Duration::ZERO),
            ("DATABASE_SLOW_STATEMENT", &mut data.slow_statement_min, Duration::ZERO),
        ];
        for (name, value, shortest) in settings {
            *value = self.duration(name, *value, shortest..=LONGEST);
        }
    }

    fn detector(&mut self) -> Detector {
        let name = "DATABASE_STALE_READ_DETECTOR";
        let text = self.get(name).filter(|text| text != "off");
        let Some(text) = text else { return Detector::Off };
        match duration(&text).filter(|window| !window.is_zero() && *window <= LONGEST) {
            Some(window) => Detector::On { window },
            None => {
                let remedy = "give `off`, or how long after a write reads are looked at, as `5s`";
                self.fault(name, format!("is `{text}`"), remedy);
                Detector::Off
            }
        }
    }

    /// The first choice is the default.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T); 2]) -> T {
        let [(default_name, default), (other_name, _)] = *choices;
        let Some(text) = self.get(name) else { return default };
        let found = choices.iter().find(|(choice, _)| *choice == text);
        found.map(|(_, choice)| *choice).unwrap_or_else(|| {
            self.fault(name, format!("is `{text}`"), format!("give `{default_name}` or `{other_name}`"));
            default
        })
    }

    pub(super) fn number(
        &mut self,
        name: &'static str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> usize {
        let Some(text) = self.get(name) else { return default };
        let accepted = whole(&text).and_then(|number| usize::try_from(number).ok());
        accepted.filter(|number| range.contains(number)).unwrap_or_else(|| {
            let remedy = format!("give a number from {} to {}", range.start(), range.end());
            self.fault(name, format!("is `{text}`"), remedy);
            default
        })
    }

    pub(super) fn duration(
        &mut self,
        name: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(text) = self.get(name) else { return default };
        duration(&text).filter(|found| range.contains(found)).unwrap_or_else(|| {
            let (shortest, longest, usual) = (shown(*range.start()), shown(*range.end()), shown(default));
            let remedy = format!("give a duration with its unit, from {shortest} to {longest}, as `{usual}`");
            self.fault(name, format!("is `{text}`"), remedy);
            default
        })
    }

    fn bytes(&mut self, name: &'static str, default: u64) -> u64 {
        let Some(text) = self.get(name) else { return default };
        bytes(&text).filter(|bytes| *bytes <= LAG_BYTES_MAX).unwrap_or_else(|| {
            self.fault(name, format!("is `{text}`"), "give a size with its unit, as `8MiB`");
            default
        })
    }
}

/// The variables that are set, that nobody has asked for, and that are close to one that somebody has. Others are other programs'.
pub(super) fn unread(set: &BTreeMap<String, String>, known: &BTreeSet<String>) -> Vec<VariableFault> {
    let strangers = set.iter().filter(|(name, value)| !value.trim().is_empty() && !known.contains(*name));
    strangers
        .filter(|(name, _)| name.starts_with("DATABASE_"))
        .filter_map(|(name, _)| {
            let remedy = if name.starts_with("DATABASE_SHARD_") {
                "name shards by `DATABASE_SHARD_1_PRIMARY`, `DATABASE_SHARD_1_REPLICAS`, `DATABASE_SHARD_2_PRIMARY` and so on"
                    .to_owned()
            } else {
                let near = known.iter().filter(|known| strsim::damerau_levenshtein(known, name) <= SLIP_MAX);
                let meant = near.min_by_key(|known| strsim::damerau_levenshtein(known, name))?;
                format!("did you mean `{meant}`?")
            };
            let (variable, problem) = (Cow::Owned(name.clone()), "is not known".to_owned());
            Some(VariableFault { variable, problem, remedy })
        })
        .collect()
}

/// The variable that a fault is shown with.
fn variable_of(fault: &Fault) -> &str {
    match fault {
        Fault::BothForms { variable }
        | Fault::Unknown { variable }
        | Fault::Missing { variable, .. }
        | Fault::Address { variable, .. }
        | Fault::Entry { variable, .. }
        | Fault::Twice { second: variable, .. } => variable,
        _ => "DATABASE_URL",
    }
}

/// A duration as it may be written, in the longest unit that it is a whole number of.
fn shown(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let unit =
        units.into_iter().find(|(_, unit)| milliseconds >= *unit && milliseconds.is_multiple_of(*unit));
    let (name, unit) = unit.unwrap_or(("ms", 1));
    format!("{}{name}", milliseconds / unit)
}

/// Digits and nothing else: `u64::from_str` takes a sign.
pub(super) fn whole(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A whole number with one of the units `B`, `KiB`, `MiB` and `GiB`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    whole(number)?.checked_mul(unit)
}
