//! Proves, before anything is measured, that a proxy does the same work as the others: whole bodies from the origin, the
//! same headers to it, a request id of its own for each request, and a connection to the origin that is used again.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context, ensure};
use clap::ValueEnum;

use crate::{
    http::{self, Connection},
    scenario::Body,
};

/// Checks the proxy at `address`.
pub(crate) async fn forwards(address: SocketAddr) -> anyhow::Result<()> {
    for &body in Body::value_variants() {
        let response = http::get(address, body.path()).await?;
        ensure!(response.status == 200 && response.body == body.text(), "{} came changed", body.path());
    }
    let mut client = Connection::open(address).await?;
    let first = Seen::through(&mut client).await?;
    let second = Seen::through(&mut client).await?;
    for seen in [&first, &second] {
        for (name, expected) in [
            ("x-real-ip", "127.0.0.1"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", &address.to_string()),
            ("host", &address.to_string()),
        ] {
            let value = seen.value(name)?;
            ensure!(value == expected, "the origin saw `{name}: {value}` instead of `{expected}`");
        }
    }
    let ids = [first.value("x-request-id")?, second.value("x-request-id")?];
    ensure!(!ids[0].is_empty() && ids[0] != ids[1], "the request ids are `{}` and `{}`", ids[0], ids[1]);
    let requests: u64 = second.value("connection-requests")?.parse().context("parse connection-requests")?;
    ensure!(requests > 1, "the connection to the origin was not used again");
    Ok(())
}

/// What the origin saw of a request.
struct Seen(BTreeMap<String, String>);

impl Seen {
    async fn through(client: &mut Connection) -> anyhow::Result<Self> {
        let response = client.get("/seen").await?;
        ensure!(response.header("x-bench-origin") == Some("seen"), "the origin's own header did not come");
        let lines = response.body.lines().filter_map(|line| line.split_once(": "));
        Ok(Self(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }

    fn value(&self, name: &str) -> anyhow::Result<&str> {
        self.0.get(name).map(String::as_str).with_context(|| format!("the origin did not tell `{name}`"))
    }
}
