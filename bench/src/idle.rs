//! Memory that an idle keep-alive connection holds in the proxy.
//!
//! Each proxy is started anew: the heap that an earlier load left behind would hide what the connections take.

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::{
    http::Connection,
    proxy::{Kind, Proxy, Site},
    scenario::Body,
    usage,
};

/// After the last answer, until the proxy has put its connections to rest.
const SETTLE: Duration = Duration::from_secs(1);

/// What the connections took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdleMemory {
    pub(crate) proxy: Kind,
    pub(crate) connections: u32,
    /// Before the first connection; tables that a proxy reserves at its start are in here.
    pub(crate) bytes_before: u64,
    /// With all of them open.
    pub(crate) bytes_after: u64,
}

impl IdleMemory {
    pub(crate) fn bytes_per_connection(&self) -> f64 {
        (self.bytes_after as f64 - self.bytes_before as f64) / f64::from(self.connections)
    }
}

/// Opens the connections, one request on each, and holds them.
pub(crate) async fn measure(kind: Kind, site: Site<'_>, connections: u32) -> anyhow::Result<IdleMemory> {
    eprintln!("memory: {connections} idle connections {kind}");
    let proxy = Proxy::start(kind, site).await?;
    tokio::time::sleep(SETTLE).await;
    let bytes_before = usage::memory_bytes(proxy.pid())?;
    let mut held = Vec::new();
    for opened in 0..connections {
        let answered = open(&proxy).await;
        held.push(answered.with_context(|| format!("open connection {opened} to {kind}"))?);
    }
    tokio::time::sleep(SETTLE).await;
    let bytes_after = usage::memory_bytes(proxy.pid())?;
    let idle = held.iter().filter(|connection| connection.is_idle()).count();
    ensure!(idle == held.len(), "{kind} kept only {idle} of {} idle connections open", held.len());
    Ok(IdleMemory { proxy: kind, connections, bytes_before, bytes_after })
}

async fn open(proxy: &Proxy) -> anyhow::Result<Connection> {
    let mut connection = Connection::open(proxy.address).await?;
    let response = connection.get(Body::Json.path()).await?;
    ensure!(response.status == 200, "status {}", response.status);
    Ok(connection)
}
