//! A running replica, for the length of a test.

use std::{net::SocketAddr, path::Path};

use phalanx_api::{Drained, ServeError, Settings, serve};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::client::{Answer, PATIENCE, exchange, get};

pub(crate) const SECRET: &str = "a secret for tests that is long enough";

pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    serving: JoinHandle<Result<Drained, ServeError>>,
    /// That of a replica that was given none.
    _directory: Option<TempDir>,
}

pub(crate) fn settings(directory: &Path, instance: &str) -> Settings {
    let directory = directory.to_str().unwrap().to_owned();
    Settings::from_env(&|name| match name {
        "DATA_DIR" => Some(directory.clone()),
        "PHALANX_INSTANCE" => Some(instance.to_owned()),
        _ => None,
    })
    .unwrap()
}

impl Replica {
    /// Starts a replica; requests wait in the kernel's queue until it serves.
    pub(crate) async fn start(mut settings: Settings) -> Self {
        let directory = settings.data_directory.is_relative().then(|| tempfile::tempdir().unwrap());
        if let Some(directory) = &directory {
            settings.data_directory = directory.path().to_owned();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "the replica owns the handle, and `stop` awaits it")]
        let serving = tokio::spawn(serve(settings, listener, stop.clone()));
        Self { address, stop, serving, _directory: directory }
    }

    pub(crate) async fn over(directory: &Path) -> Self {
        Self::start(settings(directory, "api-1")).await
    }

    pub(crate) async fn exchange(&self, request: impl AsRef<[u8]>) -> Answer {
        exchange(self.address, request.as_ref()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.exchange(get(path)).await
    }

    /// How `serve` ends by itself or after `stop` was cancelled.
    pub(crate) async fn ended(self) -> Result<Drained, ServeError> {
        timeout(PATIENCE, self.serving).await.expect("the replica does not end").unwrap()
    }

    pub(crate) async fn stop(self) -> Drained {
        self.stop.cancel();
        self.ended().await.unwrap()
    }
}
