//! One trial from its seed to its judgement.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use phalanx_telemetry::clock;
use serde_json::json;

use crate::{
    client::{Carrier, Client, Common, id_of, password, text},
    faults::{Sabotage, Saboteur},
    history::{History, How, Login, Outcome, Registration, Sight, Span, Stored},
    http::{Answer, Fields, Http},
    judge::{Judgement, Promise, judge},
    replicas::Replicas,
    resharder::killed_in_every_stage,
    schedule::{Standby, plan},
    servers::Servers,
    stop::ToldAtLast,
};

const REPLICAS: usize = 3;
const CLIENTS: usize = 8;
/// Logins at a time in the end.
const LOGINS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(30);
const TRY_AGAIN: Duration = Duration::from_millis(50);
const ADMIN: &str = "admin";
const ADMIN_EMAIL: &str = "admin@example.com";

/// What a trial has come to.
pub(crate) struct Outcomes {
    pub(crate) judgement: Judgement,
    pub(crate) history: History,
    sabotage: Sabotage,
    stored: Stored,
    /// The stages in which the program that reshards was killed.
    pub(crate) killed_in: BTreeSet<String>,
    /// What the replicas have logged of the servers, where the judge has found something.
    logged: Vec<String>,
}

/// What is put to the proof.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) seed: u64,
    /// How long faults go on.
    pub(crate) length: Duration,
    pub(crate) standby: Standby,
    pub(crate) course: Course,
}

/// What becomes of the shards in a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Two shards, the first of which fails over.
    Failover,
    /// The same, and two others have joined that own nothing.
    FailoverBesideEmptyShards,
    /// Two shards become four, by a program that is killed in every stage.
    Resharding,
}

/// The two that are to be moved to.
const EMPTY_SHARDS: usize = 2;
/// How long a program that reshards goes on in a stage before it is killed.
const LINGER_MILLIS: std::ops::Range<u64> = 0..200;
/// There and back: by then every stage was met.
const ROUNDS_MAX: usize = 8;
/// In which it is killed: those that have something to do.
pub(crate) const STAGES: [&str; 13] = [
    "provision",
    "stream",
    "copy",
    "catch_up",
    "verify",
    "switch_reads",
    "pause",
    "drain",
    "bump_epoch",
    "reverse_stream",
    "open",
    "soak",
    "clean_up",
];

/// Runs a trial.
pub(crate) fn run(trial: Trial) -> Outcomes {
    let Trial { seed, length, standby, course } = trial;
    let mut random = Rng::with_seed(seed);
    let empty_shards = if course == Course::Failover { 0 } else { EMPTY_SHARDS };
    let mut servers = Servers::start(standby, empty_shards);
    if empty_shards > 0 {
        // The first to start spreads the buckets over the shards that it knows.
        drop(Replicas::start(1, servers.environment_of_two()));
    }
    let replicas = Replicas::start(REPLICAS, servers.environment());
    let (admin, token) = admin(&servers, &replicas);
    servers.lag();
    // A failover loses the streams of a resharding, which then goes back: that is a test of its own.
    let failing_over = (course != Course::Resharding).then_some(standby);
    let plan = plan(&mut random, length, failing_over, REPLICAS);
    let mut resharding_random = random.fork();

    let (common, begun) = (Common::default(), clock::now());
    let (mut history, sabotage, killed_in) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = client(number, random.fork(), &token, &replicas, begun, &common);
                scope.spawn(move || client.run())
            })
            .collect();
        let stop_at_last = ToldAtLast(&common.stop);
        let resharding = (course == Course::Resharding).then(|| {
            let (replicas, random) = (&replicas, &mut resharding_random);
            scope.spawn(move || resharded(replicas, random))
        });
        let sabotage = Saboteur::new(&mut servers, &replicas, begun).run(&plan, length);
        let killed_in = resharding.map(|resharding| resharding.join().unwrap()).unwrap_or_default();
        common.await_one_of_each();
        drop(stop_at_last);
        let mut history = History::default();
        clients.into_iter().for_each(|client| history.merge(client.join().unwrap()));
        (history, sabotage, killed_in)
    });
    history.registrations.push(admin);
    history.unexpected.extend(replicas.log_lines("panicked"));

    let mut stored = servers.stored();
    stored.logins = log_in(&history, &replicas);
    let promise = match (standby, sabotage.failover) {
        (Standby::Asynchronous, Some(failover)) => Promise::AllBut(failover),
        _ => Promise::Everything,
    };
    let judgement = judge(&history, &stored, promise);
    let logged = if judgement.violations.is_empty() { Vec::new() } else { replicas.log_lines("shard=") };
    Outcomes { judgement, history, sabotage, stored, killed_in, logged }
}

/// Moves the buckets of two shards to four, and to and fro as long as there are stages in which it was not killed, since some are over
/// in a moment; four it are in the end. Answers in which it was.
fn resharded(replicas: &Replicas, random: &mut Rng) -> BTreeSet<String> {
    let mut killed_in = BTreeSet::new();
    let mut reshard = |shards: &str| {
        let arguments = ["data", "reshard", "--to", shards, "--soak", "10s", "--json"];
        let linger = || Duration::from_millis(random.u64(LINGER_MILLIS));
        killed_in_every_stage(|| replicas.command(&arguments), linger, &mut killed_in);
        STAGES.iter().all(|stage| killed_in.contains(*stage))
    };
    let mut rounds = 0;
    while !reshard("4") && rounds < ROUNDS_MAX {
        reshard("2");
        rounds += 1;
    }
    killed_in
}

fn client<'a>(
    number: usize,
    random: Rng,
    admin: &str,
    replicas: &'a Replicas,
    begun: Instant,
    common: &'a Common,
) -> Client<'a> {
    Client {
        number,
        random,
        carrier: if number.is_multiple_of(2) { Carrier::Header } else { Carrier::Cookie },
        admin: (number == 0).then(|| admin.to_owned()),
        replicas,
        begun,
        common,
        http: Http::new(),
        position: None,
        history: History::default(),
    }
}

/// An account with the role of an admin, and a token that says so.
fn admin(servers: &Servers, replicas: &Replicas) -> (Registration, String) {
    let (http, address) = (Http::new(), replicas.address(0));
    let body = json!({ "email": ADMIN_EMAIL, "name": ADMIN, "password": password(ADMIN) });
    let answer = http.post(address, "/api/auth/register", &Fields::default(), &body).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    let id = id_of(&answer.body["user"]).unwrap();
    servers.make_admin(id);
    let begun = clock::now();
    let token = loop {
        // A replica may be behind the change of the role.
        let answer = logged_in(&http, replicas, 0, ADMIN_EMAIL, ADMIN).unwrap();
        if answer.body["user"]["role"] == "admin" {
            break text(&answer.body["token"]);
        }
        assert!(begun.elapsed() < PATIENCE, "{}", answer.body);
        thread::sleep(TRY_AGAIN);
    };
    let span = Span { began: Duration::ZERO, ended: Duration::ZERO };
    let outcome = Outcome::Acknowledged { id };
    let (name, email, instance) = (ADMIN.to_owned(), ADMIN_EMAIL.to_owned(), answer.instance);
    (Registration { name, email, instance, span, outcome }, token)
}

fn logged_in(
    http: &Http,
    replicas: &Replicas,
    replica: usize,
    email: &str,
    name: &str,
) -> Result<Answer, ureq::Error> {
    let body = json!({ "email": email, "password": password(name) });
    http.post(replicas.address(replica), "/api/auth/login", &Fields::default(), &body)
}

/// Logs in to every account that was acknowledged.
fn log_in(history: &History, replicas: &Replicas) -> Vec<Login> {
    let waiting = Mutex::new(history.acknowledged());
    let next = || waiting.lock().unwrap().next();
    let work = |worker: usize| {
        let (http, mut logins) = (Http::new(), Vec::new());
        while let Some((attempt, id)) = next() {
            let begun = clock::now();
            let found = loop {
                match logged_in(&http, replicas, worker % replicas.count(), &attempt.email, &attempt.name) {
                    Ok(answer) if answer.status == 200 => break id_of(&answer.body["user"]),
                    Ok(answer) if answer.status == 401 => break None,
                    _ => thread::sleep(TRY_AGAIN),
                }
                assert!(begun.elapsed() < PATIENCE, "no replica answers when all has healed");
            };
            logins.push(Login { id, found });
        }
        logins
    };
    thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..LOGINS).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

impl Outcomes {
    pub(crate) fn count(&self, is_one: impl Fn(Outcome) -> bool) -> usize {
        self.history.registrations.iter().filter(|attempt| is_one(attempt.outcome)).count()
    }

    pub(crate) fn seen(&self, how: How) -> usize {
        let reads = self.history.reads.iter();
        reads.filter(|read| read.how == how && read.sight == Sight::Account).count()
    }

    /// In a line.
    pub(crate) fn summary(&self) -> String {
        let unanswered = self.history.reads.iter().filter(|read| read.sight == Sight::NoAnswer).count();
        format!(
            "{} acknowledged, {} refused, {} unknown; seen {} by id, {} by profile, {} by login, {} in pages, {unanswered} \
             unanswered; by shard {:?}; lost {:?}",
            self.history.acknowledged().count(),
            self.count(|outcome| outcome == Outcome::Refused),
            self.count(|outcome| outcome == Outcome::Unknown),
            self.seen(How::Id),
            self.seen(How::Profile),
            self.seen(How::Login),
            self.seen(How::Pages),
            Servers::spread(&self.stored),
            self.judgement.losses,
        )
    }

    /// The faults that came about, and what was violated.
    pub(crate) fn story(&self) -> String {
        let mut story = String::new();
        for line in &self.sabotage.log {
            writeln!(story, "  {line}").unwrap();
        }
        for violation in &self.judgement.violations {
            writeln!(story, "  VIOLATED: {violation}").unwrap();
        }
        for line in &self.logged {
            writeln!(story, "  {line}").unwrap();
        }
        story
    }
}
