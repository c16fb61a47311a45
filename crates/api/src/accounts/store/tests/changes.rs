//! Each change alters what it says, and raises the epoch where tokens end.

use super::*;
use crate::accounts::store::changes::Changed;

/// What an account consists of that changes: name, role, standing, epoch and hash.
type State = (&'static str, Role, Standing, u64, &'static str);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_tokens_raises_the_epoch_once() {
    use Standing::{Active, Disabled};
    for store in Store::both().await {
        let accounts = &store.accounts;
        let registered = store.registered().await;
        let id = registered.id;
        let name = Name::parse("Grace".to_owned()).unwrap();
        let check = async |outcome: Result<Option<Changed>, AccessError>, expected: State| {
            let changed = outcome.unwrap().expect("the account is there");
            let Credentials { account, password_hash } = store.stored(id).await;
            let found = (
                account.name.as_str().to_owned(),
                account.role,
                account.standing,
                account.epoch,
                password_hash.as_str().to_owned(),
            );
            let (name, role, standing, epoch, hash) = expected;
            assert_eq!(found, (name.to_owned(), role, standing, epoch, hash.to_owned()));
            assert_eq!(account, changed.account, "what is answered is what is stored");
            assert_eq!(changed.wrote.positions.len(), 1);
        };
        check(accounts.rename(id, &name).await, ("Grace", Role::User, Active, 0, "first")).await;
        check(accounts.set_role(id, Role::User).await, ("Grace", Role::User, Active, 0, "first")).await;
        check(accounts.set_role(id, Role::Admin).await, ("Grace", Role::Admin, Active, 1, "first")).await;
        check(accounts.set_role(id, Role::Admin).await, ("Grace", Role::Admin, Active, 1, "first")).await;
        check(accounts.set_standing(id, Active).await, ("Grace", Role::Admin, Active, 1, "first")).await;
        check(accounts.set_standing(id, Disabled).await, ("Grace", Role::Admin, Disabled, 2, "first")).await;
        check(accounts.set_standing(id, Disabled).await, ("Grace", Role::Admin, Disabled, 2, "first")).await;
        check(accounts.set_standing(id, Active).await, ("Grace", Role::Admin, Active, 3, "first")).await;
        check(accounts.bump_epoch(id).await, ("Grace", Role::Admin, Active, 4, "first")).await;
        let set_password = accounts.set_password(id, &hash("second"), 4).await;
        check(set_password, ("Grace", Role::Admin, Active, 5, "second")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_change_a_password_at_once_one_does() {
    for store in Store::both().await {
        let accounts = &store.accounts;
        let id = store.registered().await.id;
        let (second, third) = (hash("second"), hash("third"));
        let (one, other) =
            tokio::join!(accounts.set_password(id, &second, 0), accounts.set_password(id, &third, 0));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_ne!(one.is_some(), other.is_some());
        let stored = store.stored(id).await;
        assert_eq!(stored.account.epoch, 1);
        assert_eq!(stored.password_hash, if one.is_some() { second } else { third });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehash_replaces_the_hash_that_was_verified_alone() {
    for store in Store::both().await {
        let accounts = &store.accounts;
        let id = store.registered().await.id;
        for (from, to, stored) in
            [("first", "stronger", "stronger"), ("first", "other", "stronger"), ("", "x", "stronger")]
        {
            accounts.rehash(id, &hash(from), &hash(to)).await.unwrap();
            let found = store.stored(id).await;
            assert_eq!((found.password_hash, found.account.epoch), (hash(stored), 0), "{from} to {to}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_there_is_not_changed() {
    for store in Store::both().await {
        let accounts = &store.accounts;
        let id = AccountId::parse("42").unwrap();
        let name = Name::parse("Grace".to_owned()).unwrap();
        assert!(accounts.rename(id, &name).await.unwrap().is_none());
        assert!(accounts.set_password(id, &hash("second"), 0).await.unwrap().is_none());
        assert!(accounts.set_role(id, Role::Admin).await.unwrap().is_none());
        assert!(accounts.set_standing(id, Standing::Disabled).await.unwrap().is_none());
        assert!(accounts.bump_epoch(id).await.unwrap().is_none());
        accounts.rehash(id, &hash("first"), &hash("second")).await.unwrap();
    }
}
