//! The store over both kinds of database.

use phalanx_auth::{PasswordHash, Role};
use phalanx_data::{AccessError, Consistency};

use super::*;
use crate::stores::Opened;

mod changes;
mod registrations;

const EMAIL: &str = "ada@example.com";

/// Accounts in a database of their own.
struct Store {
    accounts: Accounts,
    opened: Opened,
}

impl Store {
    /// One of each kind.
    async fn both() -> [Self; 2] {
        Opened::both().await.map(|opened| {
            let accounts = Accounts::new(opened.data.clone(), opened.ids.clone());
            Self { accounts, opened }
        })
    }

    /// Creates an account.
    async fn registered(&self) -> Account {
        let id = self.accounts.reserve().unwrap();
        self.accounts.register(id, new_account("first")).await.unwrap().account
    }

    async fn stored(&self, id: AccountId) -> Credentials {
        self.accounts.credentials(id, &Consistency::primary()).await.unwrap().unwrap()
    }
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

fn new_account(password_hash: &str) -> NewAccount {
    NewAccount {
        email: Email::parse(EMAIL.to_owned()).unwrap(),
        name: Name::parse("Ada".to_owned()).unwrap(),
        password_hash: hash(password_hash),
    }
}
