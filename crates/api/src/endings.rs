//! How logins end: the rows of their refresh tokens, what is revoked, their cookies.
//!
//! Invariants: what has begun to end goes on to its end, also when its client has left ([`Endings`]); what is to be revoked is
//! told before anything else that may fail, since it holds here at once and is told to the others as soon as it can be.
//! Elsewhere: rows (`phalanx_auth::Logins`), the feed (`phalanx_auth::Revocations`); who may end what (the routes).

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use phalanx_auth::{LoginId, Marks, Refusal, Revocation, Session, Standing::Revoked, StateError, UnixMs};
use phalanx_data::{AccessError, Consistency, Position};
use phalanx_telemetry::clock;
use tokio::{sync::oneshot, task::JoinSet};

use crate::{
    accounts::{Account, AccountId, Standing},
    problem::Problem,
    service::Service,
    settings::ACCESS_TOKEN_LIFETIME_MAX,
};

/// At once, those among them whose clients have left.
const ENDINGS_MAX: usize = 1024;

/// The tasks of what is carried to its end.
#[derive(Default)]
pub(crate) struct Endings {
    tasks: Mutex<JoinSet<()>>,
}

/// What has become of the logins of an account.
pub(crate) struct EndedLogins {
    /// Where that they have ended can be seen from.
    pub(crate) position: Option<Position>,
    /// Whether everybody knows by then that their tokens and cookies have ended too.
    pub(crate) told: Result<(), StateError>,
}

impl Endings {
    /// Does `work` to its end, whatever becomes of the request: a client that hangs up half way would leave a password changed
    /// and the tokens of the old one alive.
    pub(crate) async fn carry_out<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let (reply, outcome) = oneshot::channel();
        {
            let mut tasks = self.tasks();
            while tasks.try_join_next().is_some() {}
            if tasks.len() >= ENDINGS_MAX {
                return Err(Problem::Overloaded);
            }
            tasks.spawn(async move {
                let _ = reply.send(work.await);
            });
        }
        // Without a reply it has panicked.
        outcome.await.unwrap_or(Err(Problem::Internal))
    }

    /// Waits for those that have begun.
    pub(crate) async fn ended(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks());
        while tasks.join_next().await.is_some() {}
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        // A panic elsewhere leaves the set whole.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Revokes logins: their tokens, which live no longer than `lifetime`, are refused everywhere, and their cookies are gone.
    pub(crate) async fn revoke_logins(
        &self,
        logins: &[String],
        lifetime: Duration,
    ) -> Result<(), StateError> {
        let entries: Vec<_> =
            logins.iter().map(|login| Revocation::Session { session: login.clone() }).collect();
        let told = self.revocations().revoke(&entries, lifetime).await;
        let ended = self.end_cookies(logins).await;
        if ended.is_err() {
            // What could not be ended is refused for as long as it would live.
            self.revocations().revoke(&entries, self.lifetime_max()).await?;
        }
        told.and(ended)
    }

    /// The same of a login that somebody has ended before, unless it is known.
    pub(crate) async fn revoke_login_again(&self, account: &str, login: &str) -> Result<(), StateError> {
        // Of any epoch: only the login is asked about.
        let marks = Marks { session: Some(login), subject: account, epoch: u64::MAX };
        if self.revocations().check(marks) == Revoked {
            return Ok(());
        }
        self.revoke_logins(&[login.to_owned()], self.issuer.lifetime()).await
    }

    /// Ends all logins of an account whose epoch has just been raised.
    pub(crate) async fn end_logins(&self, account: &Account) -> Result<EndedLogins, AccessError> {
        let told = self.revoke_epochs(account).await;
        let ended = self.logins.end_all(account.id.id(), None, UnixMs::from(clock::wall())).await?;
        let cookies = self.end_cookies_of(&ended.logins).await;
        Ok(EndedLogins { position: ended.position, told: told.and(cookies) })
    }

    /// Ends the tokens and cookies of an account whose epoch has just been raised, and lets its logins go on.
    pub(crate) async fn end_tokens(&self, account: &Account) -> Result<(), Problem> {
        let told = self.revoke_epochs(account).await;
        let now = UnixMs::from(clock::wall());
        let logins = self.logins.list(account.id.id(), &Consistency::primary(), now).await?;
        let logins: Vec<_> = logins.iter().map(|login| login.id).collect();
        let cookies = self.end_cookies_of(&logins).await;
        Ok(told.and(cookies)?)
    }

    /// Revokes what an account had under an epoch before that which it has.
    async fn revoke_epochs(&self, account: &Account) -> Result<(), StateError> {
        let entry = Revocation::Subject { subject: account.id.to_string(), epoch: account.epoch };
        // Cookies have an epoch too. They are ended as well, but should that fail, this outlives them.
        self.revocations().revoke(&[entry], self.lifetime_max()).await
    }

    /// Ends a cookie whose login or epoch is over in the database: whoever ended them may have died before he told.
    pub(crate) async fn see_that_it_stands(&self, session: &Session) -> Result<(), Problem> {
        match self.stands(session).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.end_cookies(std::slice::from_ref(&session.id)).await?;
                Err(Refusal::InvalidToken.into())
            }
            Err(error) => {
                // The next look is in a minute, and what is ended in order needs none.
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "a session could not be compared with its login");
                Ok(())
            }
        }
    }

    async fn stands(&self, session: &Session) -> Result<bool, AccessError> {
        let (id, login) = (AccountId::parse(&session.subject), LoginId::parse(&session.id));
        let Some((id, login)) = id.zip(login) else { return Ok(false) };
        let primary = Consistency::primary();
        let account = self.accounts.by_id(id, &primary).await?;
        let logins = self.logins.list(id.id(), &primary, UnixMs::from(clock::wall())).await?;
        let may = |account: Account| account.epoch == session.epoch && account.standing == Standing::Active;
        Ok(account.is_some_and(may) && logins.iter().any(|found| found.id == login))
    }

    /// The longest that a token or a cookie lives, by whatever settings it was made. Entries that stay so long are for what
    /// happens seldom: each takes memory in every process.
    pub(crate) fn lifetime_max(&self) -> Duration {
        ACCESS_TOKEN_LIFETIME_MAX.max(self.session_lifetimes.absolute_timeout)
    }

    async fn end_cookies_of(&self, logins: &[LoginId]) -> Result<(), StateError> {
        let logins: Vec<_> = logins.iter().map(ToString::to_string).collect();
        self.end_cookies(&logins).await
    }

    async fn end_cookies(&self, logins: &[String]) -> Result<(), StateError> {
        let ids: Vec<_> = logins.iter().map(String::as_str).collect();
        self.sessions.end_many(&ids).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn what_has_begun_is_done_though_nobody_waits_for_it() {
        let (endings, done) = (Endings::default(), Arc::new(AtomicBool::new(false)));
        let (go_on, gate) = oneshot::channel();
        let work = {
            let done = Arc::clone(&done);
            async move {
                let _ = gate.await;
                done.store(true, Ordering::Relaxed);
                Ok(())
            }
        };
        tokio::select! {
            biased;
            _ = endings.carry_out(work) => panic!("the gate is shut"),
            () = tokio::task::yield_now() => {}
        }
        go_on.send(()).unwrap();
        endings.ended().await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let outcome = Endings::default().carry_out::<()>(async { panic!("for the test") }).await;
        assert!(matches!(outcome, Err(Problem::Internal)), "{outcome:?}");
    }
}
