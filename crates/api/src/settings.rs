//! What the service reads from its environment.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    process,
    time::Duration,
};

use axum::http::HeaderValue;
use phalanx_auth::{HashingSettings, KeyRing, LoginSettings, RevocationSettings};
use phalanx_data::{EmbeddedSettings, Topology};

use crate::{SocketSettings, TrustedProxies};

mod database;
#[cfg(test)]
mod tests;
mod tokens;

pub(crate) use tokens::ACCESS_TOKEN_LIFETIME_MAX;
pub use tokens::SessionLifetimes;

const PORT: u16 = 3000;
const DATA_DIRECTORY: &str = "./.phalanx";
const INSTANCE_BYTES_MAX: usize = 128;

/// Everything that can be set of one replica.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `PORT`: where the binary listens unless it is told otherwise; default 3000.
    pub port: u16,
    /// `PHALANX_INSTANCE`: the name of this replica.
    pub instance: InstanceName,
    /// `DATA_DIR`: where the embedded storage is; default `./.phalanx`.
    pub data_directory: PathBuf,
    /// `REDIS_URL`: where replicas share what is not in the database; `None`: in a file in the data directory.
    pub redis_url: Option<RedisUrl>,
    /// `JWT_SECRET` or `JWT_KEYS`; `None`: the secret that the replicas of one data directory share.
    pub token_keys: Option<KeyRing>,
    /// `ACCESS_TOKEN_TTL`: how long a token is valid; default `10m`, at most `7d`.
    pub access_token_lifetime: Duration,
    /// `REFRESH_TOKEN_TTL`, `LOGIN_TTL` and `LOGINS_MAX`: how long logins last, and how many one account may have.
    pub logins: LoginSettings,
    /// `SESSION_IDLE_TIMEOUT` and `SESSION_ABSOLUTE_TIMEOUT`.
    pub sessions: SessionLifetimes,
    /// `REVOCATION_STALE`: what happens to tokens while it cannot be told whether they are revoked.
    pub revocation: RevocationSettings,
    /// `TRUSTED_PROXIES`: whose word about the addresses of clients is taken; default those of this machine.
    pub trusted_proxies: TrustedProxies,
    /// The bounds of password hashing.
    pub hashing: HashingSettings,
    /// `DATABASE_URL`, or `DATABASE_SHARD_1_PRIMARY` and so on; without them embedded storage.
    pub topology: Topology,
    /// `DATABASE_MIGRATE`: what is done at the start about servers whose schema is older than this version's.
    pub migrate: MigrateAtStart,
    /// `DATABASE_CONNECTIONS`, `DATABASE_STATEMENT_TIMEOUT` and so on: the bounds of servers.
    pub data: phalanx_data::Settings,
    /// The bounds of embedded storage.
    pub database: EmbeddedSettings,
    /// The bounds of WebSockets.
    pub sockets: SocketSettings,
    /// Connections open at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// How long open requests may go on once the replica was told to stop. Less than the 30 s after which a fleet or
    /// Kubernetes kills it, so that the database is closed in order.
    pub drain_deadline: Duration,
}

/// What is done at the start about servers whose schema is older than this version's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrateAtStart {
    /// The replica refuses to start.
    Refuse,
    /// It migrates them; those that start at once wait for each other.
    Apply,
}

/// The name of a replica: 1 to 128 visible ASCII characters, since it stands in a response header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceName(HeaderValue);

impl InstanceName {
    /// The name, if the text can be one.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let header =
            HeaderValue::from_str(text).ok().filter(|_| visible && text.len() <= INSTANCE_BYTES_MAX)?;
        Some(Self(header))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("only visible ASCII is let in")
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// The URL of a Redis. It may hold a password, so it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// The URL, if the text looks like one; whether it can be used shows at start.
    #[must_use]
    pub fn of(text: String) -> Option<Self> {
        let rest = text.strip_prefix("redis://")?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let named = !host.is_empty() && !host.starts_with(':');
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (named && visible).then_some(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RedisUrl(..)")
    }
}

/// Every fault of the environment, so that one start shows them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// At least one.
    pub faults: Vec<VariableFault>,
}

/// What is wrong with one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableFault {
    /// Its name.
    pub variable: Cow<'static, str>,
    /// What is wrong. Never the value of a secret.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl std::error::Error for SettingsError {}

impl fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, VariableFault { variable, problem, remedy }) in self.faults.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(formatter, "{line_break}{variable} {problem}: {remedy}")?;
        }
        Ok(())
    }
}

impl Settings {
    /// Reads the settings from all variables that are set. Beside what [`Self::from_env`] finds, a `DATABASE_…` that is set and
    /// that nobody reads is a fault where it looks like a slip of the pen.
    ///
    /// # Errors
    /// With all faults at once.
    pub fn from_variables(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let set: BTreeMap<String, String> = variables.into_iter().collect();
        let known = RefCell::new(BTreeSet::new());
        let read = Self::from_env(&|name| {
            known.borrow_mut().insert(name.to_owned());
            set.get(name).cloned()
        });
        let unread = database::unread(&set, &known.into_inner());
        match read {
            Ok(settings) if unread.is_empty() => Ok(settings),
            Ok(_) => Err(SettingsError { faults: unread }),
            Err(SettingsError { mut faults }) => {
                faults.extend(unread);
                Err(SettingsError { faults })
            }
        }
    }

    /// Reads the settings by way of `variable`; an empty one counts as absent, except that an empty secret is a weak one.
    ///
    /// # Errors
    /// With all faults at once.
    pub fn from_env(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut environment = Environment { variable, faults: Vec::new() };
        let settings = Self {
            port: environment.port(),
            instance: environment.instance(),
            data_directory: environment.get("DATA_DIR").unwrap_or_else(|| DATA_DIRECTORY.to_owned()).into(),
            redis_url: environment.redis_url(),
            token_keys: environment.token_keys(),
            access_token_lifetime: environment.access_token_lifetime(),
            logins: environment.logins(),
            sessions: environment.sessions(),
            revocation: environment.revocation(),
            trusted_proxies: environment.trusted_proxies(),
            hashing: HashingSettings::default(),
            topology: environment.topology(),
            migrate: environment.migrate(),
            data: environment.data(),
            database: EmbeddedSettings::default(),
            sockets: SocketSettings::default(),
            connections_max: 10_000,
            drain_deadline: Duration::from_secs(25),
        };
        let faults = environment.faults;
        if faults.is_empty() { Ok(settings) } else { Err(SettingsError { faults }) }
    }
}

struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<VariableFault>,
}

impl Environment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn fault(
        &mut self,
        variable: impl Into<Cow<'static, str>>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.faults.push(VariableFault {
            variable: variable.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    fn port(&mut self) -> u16 {
        let Some(text) = self.get("PORT") else { return PORT };
        text.parse().unwrap_or_else(|_| {
            self.fault("PORT", format!("is `{text}`"), "give a number from 0 to 65535");
            PORT
        })
    }

    fn instance(&mut self) -> InstanceName {
        let text = self.get("PHALANX_INSTANCE").unwrap_or_else(|| format!("api-{}", process::id()));
        InstanceName::of(&text).unwrap_or_else(|| {
            let remedy = format!("give 1 to {INSTANCE_BYTES_MAX} visible ASCII characters");
            self.fault("PHALANX_INSTANCE", format!("is {text:?}"), remedy);
            InstanceName(HeaderValue::from_static("api"))
        })
    }

    fn trusted_proxies(&mut self) -> TrustedProxies {
        let Some(text) = self.get("TRUSTED_PROXIES") else { return TrustedProxies::loopback() };
        TrustedProxies::of(&text).unwrap_or_else(|| {
            let remedy = "give networks or addresses separated by commas, as `10.0.0.0/8, ::1`, or `none`";
            self.fault("TRUSTED_PROXIES", format!("is `{text}`"), remedy);
            TrustedProxies::loopback()
        })
    }
}

/// A whole number with one of the units `ms`, `s`, `m`, `h` and `d`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    database::whole(number)?.checked_mul(milliseconds).map(Duration::from_millis)
}
