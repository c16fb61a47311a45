//! `phalanx api`: one replica of the reference API.

use std::{env, ffi::OsString, net::SocketAddr};

use anyhow::Context as _;
use phalanx_api::{Blame, ServeError, Settings};
use phalanx_telemetry::logs::{self, LogFormat, LogLevel};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{cli::ApiArguments, exit::Failure, runtime, signals::Signals};

/// Serves until TERM or INT, then drains.
pub(crate) fn run(arguments: &ApiArguments) -> Result<(), Failure> {
    let settings = settings()?;
    let address = arguments.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], settings.port)));
    let _log =
        logs::init(LogFormat::Text, LogLevel::Info).context("start the log").map_err(Failure::Runtime)?;
    // One replica is one core's worth of work; more of it is more replicas. Hashing and storage have threads of their own.
    runtime::on_this_thread()?.block_on(serve(settings, address))
}

/// What the environment says; `phalanx data` reads the same.
pub(crate) fn settings() -> Result<Settings, Failure> {
    // A value that is no text is kept as far as it goes: it is wrong for every variable, and each says so itself.
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    };
    let variables = env::vars_os().filter_map(text);
    Settings::from_variables(variables).map_err(|error| Failure::Setting(error.into()))
}

async fn serve(settings: Settings, address: SocketAddr) -> Result<(), Failure> {
    let mut signals = Signals::listen().context("listen to signals").map_err(Failure::Runtime)?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address} (--listen or PORT chooses another)"))
        .map_err(Failure::Bind)?;
    let stop = CancellationToken::new();
    let mut serving = std::pin::pin!(phalanx_api::serve(settings, listener, stop.clone()));
    let mut stopping = false;
    loop {
        tokio::select! {
            served = &mut serving => return served.map(|_| ()).map_err(failure),
            signal = signals.stop() => {
                if stopping {
                    return Err(Failure::Signal(signal));
                }
                stopping = true;
                stop.cancel();
            }
        }
    }
}

fn failure(error: ServeError) -> Failure {
    match error.blame() {
        Blame::Setting => Failure::Setting(error.into()),
        Blame::Dependency => Failure::Unreachable(error.into()),
        Blame::Machine => Failure::Runtime(error.into()),
    }
}
