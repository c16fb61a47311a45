//! The life of a replica: open what it needs, serve, end in order.

use std::{io, panic, sync::Arc};

use phalanx_auth::{Hasher, Issuer, TokenKey, TokenTerms, Verifier};
use phalanx_data::{DataDirectory, Database, DirectoryError, OpenError};
use phalanx_telemetry::{registry::Registry, requests::RequestFamily};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Drained, SecretError, Settings,
    accounts::Accounts,
    connections,
    router::{Service, router},
    secret,
};

const TOKEN_ISSUER: &str = "phalanx";
const TOKEN_AUDIENCE: &str = "api";

/// Why a replica cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// `DATA_DIR` cannot hold the storage.
    #[error("cannot use DATA_DIR")]
    Directory(#[from] DirectoryError),
    /// The shared signing secret cannot be read or made.
    #[error("cannot sign tokens")]
    Secret(#[from] SecretError),
    /// The database cannot be opened.
    #[error("cannot use the database")]
    Database(#[from] OpenError),
    /// The hashing threads cannot be started.
    #[error("cannot start the hashing threads")]
    Hashing(#[source] io::Error),
}

/// Serves on `listener` until `stop` is cancelled, then drains: readiness fails, the listener closes, open requests finish or
/// are cut at `settings.drain_deadline`, and what was written is flushed.
///
/// # Errors
/// When the replica cannot start; no connection has been accepted then.
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<Drained, ServeError> {
    let Settings { data_directory, token_key, .. } = settings.clone();
    let preparing = tokio::task::spawn_blocking(move || {
        let directory = DataDirectory::create(data_directory)?;
        let key = token_key.map_or_else(|| secret::load_or_create(&directory), Ok)?;
        Ok::<_, ServeError>((directory, key))
    });
    let (directory, key) =
        preparing.await.unwrap_or_else(|ended| panic::resume_unwind(ended.into_panic()))?;
    let hasher = Hasher::start(settings.hashing).map_err(ServeError::Hashing)?;
    let database = Database::open(&directory, Accounts::MIGRATIONS, settings.database).await?;

    let requests = RequestFamily::new();
    let service = service(&settings, key, hasher, database.clone(), &requests, stop.clone());
    let router = router(Arc::new(service), &requests);
    let address = listener.local_addr().ok().map(tracing::field::display);
    tracing::info!(instance = settings.instance.as_str(), address, "the reference API serves");
    let drained =
        connections::serve(listener, router, settings.connections_max, settings.drain_deadline, stop).await;
    database.close().await;
    tracing::info!(instance = settings.instance.as_str(), "the reference API has stopped");
    Ok(drained)
}

fn service(
    settings: &Settings,
    key: TokenKey,
    hasher: Hasher,
    database: Database,
    requests: &RequestFamily,
    stop: CancellationToken,
) -> Service {
    let terms = TokenTerms { issuer: TOKEN_ISSUER.to_owned(), audience: TOKEN_AUDIENCE.to_owned() };
    let mut registry = Registry::new();
    registry.add(requests.collector());
    Service {
        accounts: Accounts::new(database),
        hasher,
        issuer: Issuer::new(key.clone(), terms.clone(), settings.access_token_lifetime),
        verifier: Verifier::new(key, terms),
        instance: settings.instance.clone(),
        registry,
        stop,
    }
}
