//! Compares Phalanx with nginx and HAProxy, its data layer with sqlx and Sequelize, and its tokens with Express, on one machine, in one run, and looks
//! into Phalanx alone: into the gateway, and into the fleet.
//!
//! Invariant: every process that a comparison starts is a child of this one and is gone when it returns, whatever ended
//! it. A signal drops the running comparison, and with it the guards that own the children.
//! Elsewhere: what is compared, exactly as configured, stands in `configs/`.
//! Fails with exit code 1 and the chain of causes; what could be measured with errors is reported with its errors.

mod auth;
mod check;
mod cores;
mod daemon;
mod data;
mod database;
mod files;
mod fixed_rate;
mod fleet;
mod gateway;
mod h2load;
mod half_rate;
mod http;
mod idle;
mod load;
mod load_program;
mod machine;
mod markdown;
mod origin;
mod profile;
mod programs;
mod proxy;
mod raw;
mod report;
mod scenario;
mod service;
mod spread;
mod syscalls;
mod template;
mod upstreams;
mod usage;
mod wrk;

use std::{io, process::ExitCode};

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    comparison: Comparison,
}

#[derive(Debug, Subcommand)]
enum Comparison {
    /// CPU per request, requests a second, p99 and memory of Phalanx, nginx and HAProxy before the same origin
    Gateway(gateway::Options),
    /// CPU per request of gateway and replica together, over HTTP/1.1 and over HTTP/2 between them
    Upstreams(upstreams::Options),
    /// System calls and functions in which a saturated Phalanx spends its CPU time
    Profile(profile::Options),
    /// The data layer: queries, services, connections and interruptions, with real PostgreSQL servers
    Data(data::Options),
    /// Accounts and tokens: what a token costs, logins in great number, refreshes at once, and how fast a logout is everywhere
    Auth(auth::Options),
    /// The fleet: what 50 replicas that do nothing cost, how fast so many start, and how fast a step in load is followed
    Fleet(fleet::Options),
    /// A service that does as much as it is told, which `fleet` has started
    #[command(hide = true)]
    Service(fleet::service::Options),
    /// A client under load, which `data` starts
    #[command(hide = true)]
    DataClient(data::client::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { comparison } = Arguments::parse();
    let outcome = tokio::select! {
        // A signal comes first: the children may report the same Ctrl-C as a failure.
        biased;
        interrupted = interrupt() => interrupted.map(ExitCode::from).map_err(anyhow::Error::from),
        ran = run(comparison) => ran.map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("phalanx-bench: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(comparison: Comparison) -> anyhow::Result<()> {
    match comparison {
        Comparison::Gateway(options) => gateway::compare(options).await,
        Comparison::Upstreams(options) => upstreams::compare(options).await,
        Comparison::Profile(options) => profile::record(options).await,
        Comparison::Data(options) => data::measure(options).await,
        Comparison::Auth(options) => auth::measure(options).await,
        Comparison::Fleet(options) => fleet::measure(options).await,
        Comparison::Service(options) => fleet::service::run(&options),
        Comparison::DataClient(options) => data::client::run(options).await,
    }
}

/// Waits for the signal that ends the program, and returns the exit code of a program ended by it.
async fn interrupt() -> io::Result<u8> {
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = int.recv() => 130,
        _ = term.recv() => 143,
        _ = hangup.recv() => 129,
    })
}
