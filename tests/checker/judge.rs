//! Compares what clients were told with what is stored: no sockets, no clock, so that its own tests can show what it catches.

use std::{collections::HashMap, time::Duration};

use crate::history::{
    History, How, Login, Outcome, OwnRead, Registration, Sight, Span, Stored, StoredAccount, StoredClaim,
};

#[cfg(test)]
mod tests;

/// What a topology promises.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Promise {
    /// Whatever was acknowledged is there.
    Everything,
    /// The same, but for what one shard took before its asynchronous standby took over.
    AllBut(Failover),
}

/// From the moment at which the standby received nothing more until it took writes itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failover {
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
}

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("account {id} ({email}) was acknowledged by {instance}, {span:?}, and is not there")]
    LostWrite { id: i64, email: String, instance: String, span: Span },
    #[error("account {id} ({email}) was acknowledged and is stored as {stored}")]
    Altered { id: i64, email: String, stored: String },
    #[error("account {id} was acknowledged, and its address {email} leads to {leads_to:?}")]
    AddressAstray { id: i64, email: String, leads_to: Vec<i64> },
    #[error("account {id} was acknowledged, and a login with its address and password leads to {found:?}")]
    LoginAstray { id: i64, found: Option<i64> },
    #[error("the id {id} was given to {names:?}")]
    DuplicateId { id: i64, names: Vec<String> },
    #[error("the address {email} has the accounts {ids:?}")]
    EmailTwice { email: String, ids: Vec<i64> },
    #[error("the attempt {name} is stored {times} times, as {ids:?}")]
    StoredTwice { name: String, times: usize, ids: Vec<i64> },
    #[error("the attempt {name} was refused, and is stored")]
    RefusedAndStored { name: String },
    #[error("an account {name} is stored that nobody has asked for")]
    Invented { name: String },
    #[error("{name} was refused {email}, which nobody else may have")]
    RefusedForNobody { name: String, email: String },
    #[error("the address {email} is confirmed for account {id}, which is not there")]
    ConfirmedForNobody { email: String, id: i64 },
    #[error("{instance} did not show account {id} to its owner by {how:?}, {span:?}")]
    StaleRead { id: i64, how: How, instance: String, span: Span },
    #[error("{instance} showed the owner of account {id} by {how:?} something else: {seen}")]
    WrongRead { id: i64, how: How, instance: String, seen: String },
    #[error("unexpected answer: {0}")]
    Unexpected(String),
}

/// What an asynchronous failover has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Accounts that were acknowledged and are gone.
    pub(crate) accounts: usize,
    /// Accounts that are there, and whose address is not theirs any more.
    pub(crate) addresses: usize,
    /// Addresses with two accounts, since somebody has registered one anew that was lost.
    pub(crate) emails_twice: usize,
    /// Registrations that lost their address on the way, and were told that it is taken.
    pub(crate) refusals: usize,
    /// Reads and logins of what was lost.
    pub(crate) unseen: usize,
}

/// What the judge has found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) violations: Vec<Violation>,
    pub(crate) losses: Losses,
}

/// Judges a trial.
pub(crate) fn judge(history: &History, stored: &Stored, promise: Promise) -> Judgement {
    let mut bench = Bench::new(history, stored, promise);
    bench.ids();
    bench.acknowledged();
    bench.stored_accounts();
    bench.addresses();
    bench.refusals();
    bench.reads();
    bench.logins();
    let unexpected = history.unexpected.iter().cloned().map(Violation::Unexpected);
    bench.judgement.violations.extend(unexpected);
    bench.judgement
}

struct Bench<'a> {
    history: &'a History,
    stored: &'a Stored,
    promise: Promise,
    attempts: HashMap<&'a str, &'a Registration>,
    /// By address.
    attempts_for: HashMap<&'a str, Vec<&'a Registration>>,
    accounts: HashMap<i64, Vec<&'a StoredAccount>>,
    /// By address.
    claims: HashMap<&'a str, Vec<&'a StoredClaim>>,
    /// Of the acknowledged ones, by id.
    acknowledged: HashMap<i64, &'a Registration>,
    judgement: Judgement,
}

impl<'a> Bench<'a> {
    fn new(history: &'a History, stored: &'a Stored, promise: Promise) -> Self {
        let registrations = &history.registrations;
        Self {
            history,
            stored,
            promise,
            attempts: registrations.iter().map(|attempt| (attempt.name.as_str(), attempt)).collect(),
            attempts_for: grouped(registrations, |attempt| attempt.email.as_str()),
            accounts: grouped(&stored.accounts, |account| account.id),
            claims: grouped(&stored.claims, |claim| claim.email.as_str()),
            acknowledged: history.acknowledged().map(|(attempt, id)| (id, attempt)).collect(),
            judgement: Judgement::default(),
        }
    }

    fn violated(&mut self, violation: Violation) {
        self.judgement.violations.push(violation);
    }

    /// Whether what was done in this span may be undone.
    fn may_be_lost(&self, span: Span) -> bool {
        match self.promise {
            Promise::Everything => false,
            Promise::AllBut(failover) => span.began <= failover.ended,
        }
    }

    /// An id is given once, and a row is in one place.
    fn ids(&mut self) {
        let mut given: HashMap<i64, Vec<String>> = HashMap::new();
        for (attempt, id) in self.history.acknowledged() {
            given.entry(id).or_default().push(attempt.name.clone());
        }
        let stored = self.accounts.iter().map(|(id, accounts)| {
            let places =
                accounts.iter().map(|account| format!("{} on shard {}", account.name, account.shard));
            (*id, places.collect())
        });
        let twice = given.into_iter().chain(stored).filter(|(_, names)| names.len() > 1);
        let twice = twice.map(|(id, names)| Violation::DuplicateId { id, names });
        self.judgement.violations.extend(twice);
    }

    fn acknowledged(&mut self) {
        for (attempt, id) in self.history.acknowledged() {
            let email = attempt.email.clone();
            match self.accounts.get(&id).map(|accounts| accounts[0]) {
                None if self.may_be_lost(attempt.span) => self.judgement.losses.accounts += 1,
                None => {
                    let (instance, span) = (attempt.instance.clone(), attempt.span);
                    self.violated(Violation::LostWrite { id, email, instance, span });
                }
                Some(stored) if stored.email != email || stored.name != attempt.name => {
                    let stored = format!("{} of {}", stored.name, stored.email);
                    self.violated(Violation::Altered { id, email, stored });
                }
                Some(_) if self.has_address(attempt, id) => {}
                Some(_) if self.may_be_lost(attempt.span) => self.judgement.losses.addresses += 1,
                Some(_) => {
                    let claims = self.claims.get(attempt.email.as_str());
                    let leads_to = claims.into_iter().flatten().map(|claim| claim.id).collect();
                    self.violated(Violation::AddressAstray { id, email, leads_to });
                }
            }
        }
    }

    /// Whether the address leads to this account, and to no other.
    fn has_address(&self, attempt: &Registration, id: i64) -> bool {
        match self.claims.get(attempt.email.as_str()).map(Vec::as_slice) {
            // Without the confirmation it leads there all the same, until a reaper looks and confirms it.
            Some([claim]) => claim.id == id && (claim.confirmed || self.may_be_lost(attempt.span)),
            _ => false,
        }
    }

    /// Each row is one attempt's.
    fn stored_accounts(&mut self) {
        for (name, accounts) in grouped(&self.stored.accounts, |account| account.name.as_str()) {
            let ids: Vec<i64> = accounts.iter().map(|account| account.id).collect();
            if ids.len() > 1 {
                self.violated(Violation::StoredTwice { name: name.to_owned(), times: ids.len(), ids });
            }
            match self.attempts.get(name).map(|attempt| attempt.outcome) {
                None => self.violated(Violation::Invented { name: name.to_owned() }),
                Some(Outcome::Refused) => {
                    self.violated(Violation::RefusedAndStored { name: name.to_owned() });
                }
                Some(Outcome::Acknowledged { .. } | Outcome::Unknown) => {}
            }
        }
    }

    /// Each address is one account's.
    fn addresses(&mut self) {
        for (email, accounts) in grouped(&self.stored.accounts, |account| account.email.as_str()) {
            let ids: Vec<i64> = accounts.iter().map(|account| account.id).collect();
            let safe = accounts.iter().filter(|account| !self.is_of_attempt_that_may_be_lost(account));
            let safe = safe.count();
            match ids.len() {
                0 | 1 => {}
                // Those before the failover may have lost the address, of those after it one has it.
                _ if safe <= 1 => self.judgement.losses.emails_twice += 1,
                _ => self.violated(Violation::EmailTwice { email: email.to_owned(), ids }),
            }
        }
        for claim in &self.stored.claims {
            if claim.confirmed && !self.accounts.contains_key(&claim.id) && !self.is_of_lost_attempt(claim) {
                let email = claim.email.clone();
                self.violated(Violation::ConfirmedForNobody { email, id: claim.id });
            }
        }
        for (email, claims) in &self.claims {
            if claims.len() > 1 {
                let ids = claims.iter().map(|claim| claim.id).collect();
                self.judgement.violations.push(Violation::EmailTwice { email: (*email).to_owned(), ids });
            }
        }
    }

    /// The account may have been lost with the old primary before the new one took the confirmation, also where nobody was answered.
    fn is_of_lost_attempt(&self, claim: &StoredClaim) -> bool {
        if let Some(attempt) = self.acknowledged.get(&claim.id) {
            return self.may_be_lost(attempt.span);
        }
        let mut attempts = self.attempts_for.get(claim.email.as_str()).into_iter().flatten();
        attempts.any(|attempt| attempt.outcome == Outcome::Unknown && self.may_be_lost(attempt.span))
    }

    fn is_of_attempt_that_may_be_lost(&self, account: &StoredAccount) -> bool {
        self.attempts.get(account.name.as_str()).is_some_and(|attempt| self.may_be_lost(attempt.span))
    }

    /// Whoever is refused an address has a rival for it.
    fn refusals(&mut self) {
        let refused = self.history.registrations.iter().filter(|attempt| attempt.outcome == Outcome::Refused);
        for attempt in refused {
            let mut others = self.attempts_for[attempt.email.as_str()].iter();
            let has_rival = others
                .any(|other| other.outcome != Outcome::Refused && other.span.began < attempt.span.ended);
            if has_rival {
                continue;
            }
            if self.may_be_lost(attempt.span) {
                self.judgement.losses.refusals += 1;
            } else {
                let (name, email) = (attempt.name.clone(), attempt.email.clone());
                self.violated(Violation::RefusedForNobody { name, email });
            }
        }
    }

    fn reads(&mut self) {
        for read in &self.history.reads {
            let OwnRead { id, how, span, .. } = *read;
            let instance = read.instance.clone();
            match &read.sight {
                Sight::Account | Sight::NoAnswer => {}
                Sight::Nothing if self.was_lost_by(id, span.ended) => self.judgement.losses.unseen += 1,
                Sight::Nothing => self.violated(Violation::StaleRead { id, how, instance, span }),
                Sight::Another(seen) => {
                    let seen = seen.clone();
                    self.violated(Violation::WrongRead { id, how, instance, seen });
                }
            }
        }
    }

    fn logins(&mut self) {
        for Login { id, found } in &self.stored.logins {
            match found {
                Some(found) if found == id => {}
                _ if self.was_lost_by(*id, Duration::MAX) => self.judgement.losses.unseen += 1,
                _ => self.violated(Violation::LoginAstray { id: *id, found: *found }),
            }
        }
    }

    /// Whether an account, or the way to it, was among the losses at that time.
    fn was_lost_by(&self, id: i64, time: Duration) -> bool {
        let Promise::AllBut(failover) = self.promise else { return false };
        let Some(attempt) = self.acknowledged.get(&id) else { return false };
        let is_lost = !self.accounts.contains_key(&id) || !self.has_address(attempt, id);
        is_lost && self.may_be_lost(attempt.span) && time >= failover.began
    }
}

fn grouped<'a, T, K: std::hash::Hash + Eq>(all: &'a [T], key: impl Fn(&'a T) -> K) -> HashMap<K, Vec<&'a T>> {
    let mut groups: HashMap<K, Vec<&T>> = HashMap::new();
    for one in all {
        groups.entry(key(one)).or_default().push(one);
    }
    groups
}
