//! What is asked for, and over how many connections.

use std::fmt;

use clap::ValueEnum;

/// What the origin answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Body {
    /// 100 bytes of JSON: the cost of a request itself.
    Json,
    /// 16 KiB: the cost of moving bytes.
    #[value(name = "16kib")]
    SixteenKib,
}

/// As an API would answer; without what the configuration files of nginx would read as syntax.
const JSON: &str =
    r#"{"id":"7041","name":"Ada Lovelace","role":"customer","cart":[{"sku":"A-113","count":2}],"open":true}"#;

impl Body {
    /// The path at the origin.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Json => "/json",
            Self::SixteenKib => "/16kib",
        }
    }

    /// What the origin answers there.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Json => JSON.to_owned(),
            Self::SixteenKib => kib().repeat(16),
        }
    }
}

/// 1 KiB of text: the origin's configuration repeats it, since nginx refuses a parameter of 16 KiB.
pub(crate) fn kib() -> String {
    "0123456789abcdef".repeat(64)
}

impl fmt::Display for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Json => "100 B",
            Self::SixteenKib => "16 KiB",
        })
    }
}

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    /// What is asked for.
    pub(crate) body: Body,
    /// Keep-alive connections, each with one request at a time.
    pub(crate) connections: u32,
}

impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{} × {}", self.body, self.connections))
    }
}

/// Every body over every number of connections.
pub(crate) fn product(bodies: &[Body], connections: &[u32]) -> Vec<Scenario> {
    let over = |&body| connections.iter().map(move |&connections| Scenario { body, connections });
    bodies.iter().flat_map(over).collect()
}

#[cfg(test)]
mod tests {
    use super::Body;

    #[test]
    fn bodies_are_as_long_as_they_are_called() {
        assert_eq!(Body::Json.text().len(), 100);
        assert_eq!(Body::SixteenKib.text().len(), 16 * 1024);
    }
}
