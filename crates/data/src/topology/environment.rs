//! A topology from environment variables: `DATABASE_URL`, or `DATABASE_SHARD_1_PRIMARY`, `DATABASE_SHARD_1_REPLICAS`,
//! `DATABASE_SHARD_2_PRIMARY` and so on.

use std::{collections::BTreeMap, fmt};

use super::{ServerUrl, ServerUrlError, Servers, ServersError, ShardServers, Topology};

const SINGLE: &str = "DATABASE_URL";
const SHARD_PREFIX: &str = "DATABASE_SHARD_";

/// Everything that is wrong with the variables, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyError {
    /// In the order of the variables.
    pub faults: Vec<Fault>,
}

impl fmt::Display for TopologyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for TopologyError {}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Both ways of naming servers are used.
    #[error("`{SINGLE}` and `{variable}` are both set: use one database or shards, and unset the other")]
    BothForms {
        /// The first of the shards' variables.
        variable: String,
    },
    /// It looks like a shard's variable and is none.
    #[error(
        "`{variable}` is not known: shards are named by `{SHARD_PREFIX}1_PRIMARY`, `{SHARD_PREFIX}1_REPLICAS`, `{SHARD_PREFIX}2_PRIMARY` and so on"
    )]
    Unknown {
        /// The variable.
        variable: String,
    },
    /// A shard has replicas and no primary, or its number is skipped.
    #[error(
        "`{variable}` is not set, but shard {highest} is: set it, or number the shards from 1 without a gap"
    )]
    Missing {
        /// The variable that should be set.
        variable: String,
        /// The highest number of a shard.
        highest: u16,
    },
    /// An address cannot be used.
    #[error("`{variable}` {source}")]
    Address {
        /// The variable.
        variable: String,
        /// What is wrong with it.
        source: ServerUrlError,
    },
    /// An address among the replicas cannot be used.
    #[error("entry {number} of `{variable}` {source}")]
    Entry {
        /// The variable.
        variable: String,
        /// Its place in the list, from 1.
        number: usize,
        /// What is wrong with it.
        source: ServerUrlError,
    },
    /// A server is named twice.
    #[error("`{server}` is in `{first}` and again in `{second}`: name each server once")]
    Twice {
        /// `host:port/database`.
        server: String,
        /// Where it stands.
        first: String,
        /// Where it stands again.
        second: String,
    },
    /// The shards cannot be a topology.
    #[error(transparent)]
    Servers(#[from] ServersError),
}

impl Topology {
    /// The topology that these variables name: [`Topology::Embedded`] when they name none. A variable that is set to nothing
    /// counts as not set, since that is how compositions leave one out.
    ///
    /// # Errors
    /// With everything that is wrong with them.
    pub fn from_environment(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, TopologyError> {
        let mut reading = Reading::default();
        for (variable, value) in variables {
            if !value.trim().is_empty() {
                reading.take(variable, value);
            }
        }
        reading.finish()
    }
}

#[derive(Default)]
struct Reading {
    single: Option<String>,
    /// By the shard's number: the values of its variables.
    shards: BTreeMap<u16, ShardVariables>,
    faults: Vec<Fault>,
    /// The server, and the variable that named it first.
    named: BTreeMap<String, String>,
}

#[derive(Default)]
struct ShardVariables {
    primary: Option<String>,
    replicas: Option<String>,
}

impl Reading {
    fn take(&mut self, variable: String, value: String) {
        if variable == SINGLE {
            self.single = Some(value);
            return;
        }
        let Some(rest) = variable.strip_prefix(SHARD_PREFIX) else { return };
        match rest.split_once('_').and_then(|(number, role)| Some((shard_number(number)?, role))) {
            Some((number, "PRIMARY")) => self.shards.entry(number).or_default().primary = Some(value),
            Some((number, "REPLICAS")) => self.shards.entry(number).or_default().replicas = Some(value),
            _ => self.faults.push(Fault::Unknown { variable }),
        }
    }

    fn finish(mut self) -> Result<Topology, TopologyError> {
        let shards = std::mem::take(&mut self.shards);
        let servers = match (self.single.take(), shards.first_key_value()) {
            (None, None) => Vec::new(),
            (Some(url), None) => self.address(SINGLE, &url).map(ShardServers::alone).into_iter().collect(),
            (Some(_), Some((number, set))) => {
                let variable = variable(*number, if set.primary.is_some() { "PRIMARY" } else { "REPLICAS" });
                self.faults.push(Fault::BothForms { variable });
                Vec::new()
            }
            (None, Some(_)) => self.numbered(&shards),
        };
        if !self.faults.is_empty() {
            return Err(TopologyError { faults: self.faults });
        }
        if servers.is_empty() {
            return Ok(Topology::Embedded);
        }
        let servers = Servers::new(servers).map_err(|fault| TopologyError { faults: vec![fault.into()] })?;
        Ok(Topology::Servers(servers))
    }

    fn numbered(&mut self, shards: &BTreeMap<u16, ShardVariables>) -> Vec<ShardServers> {
        let highest = shards.last_key_value().map_or(0, |(number, _)| *number);
        let mut servers = Vec::new();
        let mut expected = 1;
        for (&number, set) in shards {
            if number != expected {
                // One fault for the gap: a shard 60000 by mistake would otherwise name 60000 variables.
                self.faults.push(Fault::Missing { variable: variable(expected, "PRIMARY"), highest });
            }
            expected = number.saturating_add(1);
            let primary = match &set.primary {
                Some(url) => self.address(&variable(number, "PRIMARY"), url),
                None => {
                    self.faults.push(Fault::Missing { variable: variable(number, "PRIMARY"), highest });
                    None
                }
            };
            let replicas = set.replicas.as_deref().unwrap_or_default();
            let replicas = self.entries(&variable(number, "REPLICAS"), replicas);
            servers.extend(primary.map(|primary| ShardServers { primary, replicas }));
        }
        servers
    }

    fn entries(&mut self, variable: &str, list: &str) -> Vec<ServerUrl> {
        let mut servers = Vec::new();
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (number, entry) in (1..).zip(entries) {
            match ServerUrl::parse(entry) {
                Ok(server) => servers.extend(self.once(variable, server)),
                Err(source) => {
                    self.faults.push(Fault::Entry { variable: variable.to_owned(), number, source });
                }
            }
        }
        servers
    }

    fn address(&mut self, variable: &str, url: &str) -> Option<ServerUrl> {
        match ServerUrl::parse(url.trim()) {
            Ok(server) => self.once(variable, server),
            Err(source) => {
                self.faults.push(Fault::Address { variable: variable.to_owned(), source });
                None
            }
        }
    }

    fn once(&mut self, variable: &str, server: ServerUrl) -> Option<ServerUrl> {
        match self.named.insert(server.name().to_owned(), variable.to_owned()) {
            None => Some(server),
            Some(first) => {
                let (server, second) = (server.name().to_owned(), variable.to_owned());
                self.faults.push(Fault::Twice { server, first, second });
                None
            }
        }
    }
}

impl ShardServers {
    fn alone(primary: ServerUrl) -> Self {
        Self { primary, replicas: Vec::new() }
    }
}

/// `1`, not `01` and not `+1`: two spellings of one shard would be two values for it.
fn shard_number(text: &str) -> Option<u16> {
    let number: u16 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

fn variable(number: u16, role: &str) -> String {
    format!("{SHARD_PREFIX}{number}_{role}")
}
