//! The store over both kinds of database.

use std::num::NonZeroU16;

use phalanx_auth::{PasswordHash, Role};
use phalanx_data::{
    AccessError, Consistency, Data, DataDirectory, EmbeddedSettings, Ids, MigrateMode, ServerUrl, Servers,
    Settings, ShardServers, migrate,
};
use phalanx_test_servers::Postgres;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;

mod changes;
mod registrations;

/// An opened database, for the length of a test.
pub(super) struct Store {
    pub(super) accounts: Accounts,
    _tasks: JoinSet<()>,
    _home: Home,
}

/// Where it is, which goes when this is dropped.
#[expect(dead_code, reason = "kept for as long as the database is used")]
enum Home {
    Files(TempDir),
    Server(Postgres),
}

impl Store {
    /// One of each kind.
    pub(super) async fn both() -> [Self; 2] {
        [Self::embedded().await, Self::servers().await]
    }

    async fn embedded() -> Self {
        let files = tempfile::tempdir().unwrap();
        let directory = DataDirectory::create(files.path()).unwrap();
        let bounds = (EmbeddedSettings::default(), Settings::new());
        let opened =
            Data::open_embedded(&directory, NonZeroU16::MIN, Accounts::MIGRATIONS, bounds.0, bounds.1).await;
        Self::of(opened.unwrap(), Home::Files(files)).await
    }

    async fn servers() -> Self {
        let server = Postgres::start(phalanx_test_servers::Settings::default());
        let shard = ShardServers { primary: ServerUrl::parse(&server.url()).unwrap(), replicas: Vec::new() };
        let (servers, settings) = (Servers::new(vec![shard]).unwrap(), Settings::new());
        migrate(&servers, &settings, Accounts::MIGRATIONS, MigrateMode::Apply).await.unwrap();
        Self::of(Data::open(&servers, settings).await.unwrap(), Home::Server(server)).await
    }

    async fn of((data, upkeep): (Data, phalanx_data::Upkeep), home: Home) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(upkeep.run());
        let (ids, ids_upkeep) = Ids::lease(&data).await.unwrap();
        tasks.spawn(ids_upkeep.run(CancellationToken::new()));
        Self { accounts: Accounts::new(data, ids), _tasks: tasks, _home: home }
    }

    /// Creates an account.
    pub(super) async fn registered(&self, email: &str) -> Account {
        let id = self.accounts.reserve().unwrap();
        self.accounts.register(id, new_account(email)).await.unwrap().account
    }

    pub(super) async fn stored(&self, id: AccountId) -> Credentials {
        self.accounts.find(id, &Consistency::primary()).await.unwrap().unwrap()
    }
}

pub(super) fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

pub(super) fn new_account(email: &str) -> NewAccount {
    NewAccount {
        email: Email::parse(email.to_owned()).unwrap(),
        name: Name::parse("Ada".to_owned()).unwrap(),
        password_hash: hash("first"),
    }
}
