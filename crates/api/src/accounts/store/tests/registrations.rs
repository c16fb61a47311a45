//! A registration that is repeated under its id, whatever the first has left or goes on to do.

use super::*;

/// Makes every claim as old as a forgotten one.
const AGE_CLAIMS: Statement =
    Statement::new("test_age_claims", "UPDATE account_emails SET claimed_at = claimed_at - 3600");
const UNCONFIRM: Statement = Statement::new("test_unconfirm", "UPDATE account_emails SET confirmed = 0");
const FORGET_CLAIMS: Statement = Statement::new("test_forget_claims", "DELETE FROM account_emails");

/// What the first has done before it stopped.
#[derive(Clone, Copy, Debug)]
enum Done {
    Claimed,
    Stored,
    Confirmed,
}

impl Store {
    /// A registration that stopped.
    async fn stopped(&self, done: Done) -> AccountId {
        let (id, new) = (self.accounts.reserve().unwrap(), new_account("first"));
        match done {
            Done::Claimed => drop(self.accounts.claim(&new.email, id).await.unwrap()),
            Done::Stored => {
                self.accounts.register(id, new).await.unwrap();
                self.opened.write(&UNCONFIRM, &[]).await;
            }
            Done::Confirmed => drop(self.accounts.register(id, new).await.unwrap()),
        }
        id
    }

    async fn repeated(&self, id: AccountId) -> Result<Registered, RegisterError> {
        self.accounts.register(id, new_account("again")).await
    }

    /// Removes an account and its claim.
    async fn forget(&self, id: AccountId) {
        let hash = self.stored(id).await.password_hash;
        let shard = self.accounts.data.shard_for(id.id());
        shard.write(&DELETE, &[id.value(), hash.as_str().into()]).await.unwrap();
        self.opened.write(&FORGET_CLAIMS, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_where_the_first_stopped() {
    for store in Store::both().await {
        for done in [Done::Claimed, Done::Stored, Done::Confirmed] {
            for is_old in [false, true] {
                let id = store.stopped(done).await;
                if is_old {
                    store.opened.write(&AGE_CLAIMS, &[]).await;
                }
                let registered = store.repeated(id).await.unwrap();
                let stored = store.stored(id).await;
                assert_eq!(registered.account, stored.account, "{done:?}");
                assert_eq!(stored.password_hash, hash("again"), "{done:?}");
                let email = &registered.account.email;
                let found = store.accounts.by_email(email, &Consistency::primary()).await.unwrap().unwrap();
                assert_eq!(found.account.id, id, "{done:?}");
                // Nobody else gets the address.
                let other = store.accounts.reserve().unwrap();
                let taken = store.accounts.register(other, new_account("first")).await;
                assert!(matches!(taken, Err(RegisterError::EmailTaken)), "{done:?}");
                store.forget(id).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_not_bring_back_a_password_that_was_changed() {
    for store in Store::both().await {
        let id = store.registered().await.id;
        store.accounts.set_password(id, &hash("changed"), 0).await.unwrap().unwrap();
        assert!(matches!(store.repeated(id).await, Err(RegisterError::EmailTaken)));
        assert_eq!(store.stored(id).await.password_hash, hash("changed"));
    }
}

/// The first lost its claim, and removes its account: not that of the second, which has the same id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_does_not_remove_what_the_second_has_stored() {
    for store in Store::both().await {
        let id = store.registered().await.id;
        store.repeated(id).await.unwrap();
        let shard = store.accounts.data.shard_for(id.id());
        let removed = shard.write(&DELETE, &[id.value(), "first".into()]).await.unwrap();
        assert_eq!(removed.count, 0);
        assert_eq!(store.stored(id).await.password_hash, hash("again"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_another_has_taken_over_is_not_taken_back() {
    for store in Store::both().await {
        let id = store.stopped(Done::Claimed).await;
        store.opened.write(&AGE_CLAIMS, &[]).await;
        let other = store.registered().await.id;
        assert!(matches!(store.repeated(id).await, Err(RegisterError::EmailTaken)));
        let email = Email::parse(EMAIL.to_owned()).unwrap();
        let found = store.accounts.by_email(&email, &Consistency::primary()).await.unwrap().unwrap();
        assert_eq!(found.account.id, other);
        assert!(store.accounts.by_id(id, &Consistency::primary()).await.unwrap().is_none());
    }
}
