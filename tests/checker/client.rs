//! A client: registers accounts at one replica, and looks at the others whether it sees them.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use fastrand::Rng;
use phalanx_telemetry::clock;
use serde_json::{Value, json};

use crate::{
    history::{History, How, Outcome, OwnRead, Registration, Sight, Span},
    http::{Answer, Fields, Http},
    replicas::Replicas,
    stop::Stop,
};

/// Between two registrations of a client, in milliseconds: what a few clients do leaves the machine time for the faults.
const PAUSE: Range<u64> = 20..220;
/// So many attempts race for one address, whoever makes them.
const RIVALS: usize = 3;
/// A read that nobody answers is sent again for so long.
const PATIENCE: Duration = Duration::from_secs(15);
const AWAITED: Duration = Duration::from_mins(1);
const TRY_AGAIN: Duration = Duration::from_millis(50);
const PAGE: usize = 200;

/// What the clients of a trial share.
#[derive(Default)]
pub(crate) struct Common {
    pub(crate) stop: Stop,
    /// Attempts to get an address that others want too.
    races: AtomicUsize,
    refusals: AtomicUsize,
    /// Accounts that were seen by a login, and in the pages of all.
    logins: AtomicUsize,
    pages: AtomicUsize,
}

impl Common {
    /// Waits until each of what happens seldom has come about once, or until nobody can expect it any more: the machine may be
    /// slow, and a trial without it would prove little.
    pub(crate) fn await_one_of_each(&self) {
        let begun = clock::now();
        let counts = [&self.refusals, &self.logins, &self.pages];
        while begun.elapsed() < AWAITED && counts.iter().any(|count| count.load(Ordering::Relaxed) == 0) {
            self.stop.told_within(TRY_AGAIN);
        }
    }
}

/// How a client brings back what the answer to its write said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Header,
    Cookie,
}

pub(crate) struct Client<'a> {
    pub(crate) number: usize,
    pub(crate) random: Rng,
    pub(crate) carrier: Carrier,
    /// The token of an admin, of a client who looks through the pages of all accounts.
    pub(crate) admin: Option<String>,
    pub(crate) replicas: &'a Replicas,
    pub(crate) begun: Instant,
    pub(crate) common: &'a Common,
    pub(crate) http: Http,
    /// Of the last write.
    pub(crate) position: Option<String>,
    pub(crate) history: History,
}

/// An account that this client has.
struct Own {
    id: i64,
    email: String,
    name: String,
    token: String,
    /// Of the replica that acknowledged it.
    writer: usize,
}

impl Client<'_> {
    /// Goes on until it is stopped.
    pub(crate) fn run(mut self) -> History {
        let mut attempt = 0;
        while !self.common.stop.told_within(Duration::from_millis(self.random.u64(PAUSE))) {
            attempt += 1;
            let Some(own) = self.register(attempt) else { continue };
            self.look(&own, How::Id);
            self.look(&own, How::Profile);
            if self.random.bool() {
                self.look(&own, How::Login);
            }
            if self.admin.is_some() {
                self.look(&own, How::Pages);
            }
        }
        self.history
    }

    /// An address of its own mostly, and one that others want at the same time otherwise.
    fn address(&mut self, attempt: u32) -> String {
        if self.random.u8(..10) < 7 {
            return format!("client{}.{attempt}@example.com", self.number);
        }
        format!("race{}@example.com", self.common.races.fetch_add(1, Ordering::Relaxed) / RIVALS)
    }

    fn register(&mut self, attempt: u32) -> Option<Own> {
        let (email, name) = (self.address(attempt), format!("{}.{attempt}", self.number));
        let writer = self.random.usize(..self.replicas.count());
        let body = json!({
            "email": spelt(&email, &mut self.random),
            "name": name,
            "password": password(&name),
        });
        let began = self.begun.elapsed();
        let address = self.replicas.address(writer);
        let answer = self.http.post(address, "/api/auth/register", &self.carried(Fields::default()), &body);
        let span = Span { began, ended: self.begun.elapsed() };
        let instance = answer.as_ref().map(|answer| answer.instance.clone()).unwrap_or_default();
        let own = match answer {
            Ok(answer) if answer.status == 201 => {
                let (id, token) = (id_of(&answer.body["user"]), text(&answer.body["token"]));
                self.position = match self.carrier {
                    Carrier::Header => answer.position,
                    Carrier::Cookie => answer.cookie,
                };
                if self.position.is_none() {
                    self.history.unexpected.push(format!("{}: {name} without a position", answer.instance));
                }
                id.map(|id| Ok(Own { id, email: email.clone(), name: name.clone(), token, writer }))
            }
            Ok(answer) if answer.status == 409 => {
                self.common.refusals.fetch_add(1, Ordering::Relaxed);
                Some(Err(Outcome::Refused))
            }
            Ok(answer) => {
                self.expect_unavailable(&answer, &name);
                None
            }
            // It was cut off, or nobody listened.
            Err(_) => None,
        };
        let own = own.unwrap_or(Err(Outcome::Unknown));
        let outcome = match &own {
            Ok(own) => Outcome::Acknowledged { id: own.id },
            Err(outcome) => *outcome,
        };
        self.history.registrations.push(Registration { name, email, instance, span, outcome });
        own.ok()
    }

    /// Looks at an account by way of a replica that has not written it, and of others where that does not answer.
    fn look(&mut self, own: &Own, how: How) {
        let began = self.begun.elapsed();
        let tries = clock::now();
        let (instance, sight) = loop {
            let others = self.replicas.count() - 1;
            let replica = (own.writer + 1 + self.random.usize(..others)) % self.replicas.count();
            if let Some(seen) = self.ask(replica, own, how) {
                break seen;
            }
            if tries.elapsed() > PATIENCE || self.common.stop.told_within(TRY_AGAIN) {
                break (String::new(), Sight::NoAnswer);
            }
        };
        match (how, &sight) {
            (How::Login, Sight::Account) => drop(self.common.logins.fetch_add(1, Ordering::Relaxed)),
            (How::Pages, Sight::Account) => drop(self.common.pages.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
        let span = Span { began, ended: self.begun.elapsed() };
        self.history.reads.push(OwnRead { id: own.id, how, instance, span, sight });
    }

    /// What one replica shows, and its name; `None` if it does not answer.
    fn ask(&mut self, replica: usize, own: &Own, how: How) -> Option<(String, Sight)> {
        let address = self.replicas.address(replica);
        let fields = self.carried(Fields::default());
        let bearer = |token: &str| fields.clone().with("Authorization", format!("Bearer {token}"));
        let answer = match how {
            How::Id => self.http.get(address, &format!("/api/users/{}", own.id), &fields),
            How::Profile => self.http.get(address, "/api/profile", &bearer(&own.token)),
            How::Login => {
                let credentials = json!({ "email": own.email, "password": password(&own.name) });
                self.http.post(address, "/api/auth/login", &fields, &credentials)
            }
            How::Pages => {
                let token = self.admin.clone().expect("only an admin is asked to look at pages");
                return self.look_through(replica, own, &bearer(&token));
            }
        };
        let answer = answer.ok()?;
        let sight = match (answer.status, how) {
            (200, How::Login) => sight(&answer.body["user"], own),
            (200, _) => sight(&answer.body, own),
            (404, How::Id) | (401, How::Profile | How::Login) => Sight::Nothing,
            _ => {
                self.expect_unavailable(&answer, &own.name);
                return None;
            }
        };
        Some((answer.instance, sight))
    }

    /// Reads the pages of all accounts to the end: they are in order, and this one is in them once.
    fn look_through(&mut self, replica: usize, own: &Own, fields: &Fields) -> Option<(String, Sight)> {
        let address = self.replicas.address(replica);
        let (mut ids, mut seen) = (Vec::new(), Sight::Nothing);
        let mut target = format!("/api/users?limit={PAGE}");
        loop {
            let answer = self.http.get(address, &target, fields).ok()?;
            if answer.status != 200 {
                self.expect_unavailable(&answer, &own.name);
                return None;
            }
            for user in answer.body["users"].as_array().into_iter().flatten() {
                let id = id_of(user).unwrap_or_default();
                if ids.last().is_some_and(|last| *last >= id) {
                    return Some((answer.instance, Sight::Another(format!("{id} behind {:?}", ids.last()))));
                }
                ids.push(id);
                if id == own.id {
                    seen = sight(user, own);
                }
            }
            match answer.body["next"].as_str() {
                Some(next) => target = format!("/api/users?limit={PAGE}&cursor={next}"),
                None => return Some((answer.instance, seen)),
            }
        }
    }

    fn carried(&self, fields: Fields) -> Fields {
        match (&self.position, self.carrier) {
            (None, _) => fields,
            (Some(token), Carrier::Header) => fields.with("Phalanx-Position", token),
            (Some(cookie), Carrier::Cookie) => fields.with("Cookie", cookie),
        }
    }

    /// Faults excuse that there is no answer for the moment, and nothing else.
    fn expect_unavailable(&mut self, answer: &Answer, name: &str) {
        if !matches!(answer.status, 503 | 504) {
            let Answer { status, instance, body, .. } = answer;
            self.history.unexpected.push(format!("{instance}: {status} {body} for {name}"));
        }
    }
}

fn sight(user: &Value, own: &Own) -> Sight {
    let is_own = id_of(user) == Some(own.id) && user["name"] == own.name.as_str();
    if is_own { Sight::Account } else { Sight::Another(user.to_string()) }
}

/// Ids are strings, for the sake of those who have numbers of 53 bits.
pub(crate) fn id_of(user: &Value) -> Option<i64> {
    user["id"].as_str()?.parse().ok()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Each attempt has its own, so that a login shows whose account it led to.
pub(crate) fn password(name: &str) -> String {
    format!("the password of {name}")
}

/// The same address as people type it.
fn spelt(email: &str, random: &mut Rng) -> String {
    match random.u8(..4) {
        0 => email.to_uppercase(),
        1 => format!("  {email}"),
        2 => email.replace("ra", "Ra").replace("example", "Example"),
        _ => email.to_owned(),
    }
}
