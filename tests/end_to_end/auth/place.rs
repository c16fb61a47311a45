//! Three replicas of the reference API behind a gateway that verifies tokens, and the stores that they share.

use std::{net::SocketAddr, sync::Arc};

use phalanx_admin::state::{Endpoint, EndpointState};
use phalanx_test_servers::{Postgres, Redis, Settings as Server};
use rustix::process::Signal;

use super::visitor::Visitor;
use crate::support::{
    edge,
    home::{Home, send},
    http::{Answer, exchange, get, getting_with},
    phalanx::{self, LISTENERS, PROBES, Phalanx, Program},
    until,
};

const INSTANCES: [&str; 3] = ["api-1", "api-2", "api-3"];
pub(super) const SECRET: &str = "a secret of the tests, which is long enough";

/// What the gateway answers by itself, to whoever it lets in.
const ROUTES: &str = "
[[route]]
path = '/'
service = 'api'
[[route]]
path_exact = '/edge'
respond = { status = 200, body = 'come in' }
auth = { required = true }
[[route]]
path_exact = '/edge/admins'
respond = { status = 200, body = 'come in' }
auth = { roles = ['admin'] }
";

/// A running Phalanx; its stores outlive it.
pub(super) struct Place {
    /// A gateway of its own before that of the replicas.
    edge: Option<Phalanx>,
    phalanx: Phalanx,
    pub(super) replicas: [SocketAddr; 3],
    postgres: Option<Postgres>,
    redis: Option<Redis>,
}

impl Place {
    /// Accounts in PostgreSQL, and the rest in Redis.
    pub(super) fn with_servers() -> Self {
        let (postgres, redis) = (Postgres::start(Server::default()), Redis::start());
        let variables = format!(
            "JWT_SECRET = '{SECRET}', DATABASE_URL = '{}', REDIS_URL = '{}'",
            postgres.url(),
            redis.url()
        );
        let home = Arc::new(Home::new());
        home.write("phalanx.toml", &file(&variables, &redis.url()));
        // As an operator does it: the replicas find a database that nobody changes any more.
        let mut migrate = phalanx::command(&home, &["data", "migrate"]);
        migrate.env("DATABASE_URL", postgres.url());
        Program::start(&home, migrate).ended().with_code(0);
        let phalanx = Phalanx::up_in(&home);
        Self::of(phalanx, None, Some(postgres), Some(redis))
    }

    /// Everything in files.
    pub(super) fn embedded() -> Self {
        let variables = format!("JWT_SECRET = '{SECRET}', DATA_DIR = './data'");
        Self::of(Phalanx::up(&file(&variables, "sqlite:./data/state")), None, None, None)
    }

    /// The same with private keys in a file; the gateway is another process, and fetches the public ones.
    pub(super) fn with_keys(home: &Arc<Home>, keys: &str) -> Self {
        let variables = format!("JWT_KEYS = '{keys}', DATA_DIR = './data'");
        let service =
            format!("command = ['phalanx', 'api']\nreplicas = 3\nenv = {{ {variables} }}\n{PROBES}");
        home.write("phalanx.toml", &phalanx::file(&service));
        let phalanx = Phalanx::up_in(home);
        let edge = edge_of(&phalanx);
        Self::of(phalanx, Some(edge), None, None)
    }

    fn of(phalanx: Phalanx, edge: Option<Phalanx>, postgres: Option<Postgres>, redis: Option<Redis>) -> Self {
        let replicas = INSTANCES.map(|instance| phalanx.address_of(instance));
        Self { edge, phalanx, replicas, postgres, redis }
    }

    pub(super) fn redis(&self) -> &Redis {
        self.redis.as_ref().unwrap()
    }

    /// The gateway that verifies tokens.
    pub(super) fn gateway(&self) -> SocketAddr {
        self.edge.as_ref().unwrap_or(&self.phalanx).gateway
    }

    /// Another gateway, which lets nobody in while it does not hear of revocations.
    pub(super) fn strict_gateway(&self) -> Phalanx {
        let auth = auth(&format!("secret = '{SECRET}'"), &self.redis().url());
        let service = format!("[service.api]\nendpoints = [{{ address = '{}' }}]\n", self.replicas[0]);
        let strict = "revocation_lag = '1s'\nstale = 'refuse'\n";
        edge::gateway_of(&self.phalanx.home, &format!("{LISTENERS}{auth}{strict}{ROUTES}{service}"))
    }

    /// What a replica and the gateway expose.
    pub(super) fn metrics(&self) -> String {
        let admin = self.edge.as_ref().unwrap_or(&self.phalanx).admin;
        [self.replicas[0], admin].map(|address| get(address, "/metrics").body).concat()
    }

    /// Makes an account at the first replica.
    pub(super) fn registers(&self, name: &str) -> Visitor {
        Visitor::registers(self.replicas[0], name)
    }

    /// Makes an account an admin's, as an operator does, and logs him in.
    pub(super) fn registers_admin(&self, name: &str) -> Visitor {
        let visitor = self.registers(name);
        let role = format!("UPDATE accounts SET role = 'admin' WHERE email = '{}'", visitor.email);
        self.postgres.as_ref().unwrap().execute(&role);
        visitor.logs_in(self.replicas[0])
    }

    /// Waits until every replica and the gateway let the token in.
    pub(super) fn is_welcome_everywhere(&self, token: &str) {
        until("a token that everybody takes", || {
            self.judgements(token).iter().all(|answer| answer.status == 200)
        });
    }

    /// Waits until every replica and the gateway refuse the token.
    pub(super) fn is_refused_everywhere(&self, token: &str) {
        until("a token that nobody takes", || {
            self.judgements(token).iter().all(|answer| answer.status == 401)
        });
        self.stays_refused(token);
    }

    /// Every replica and the gateway refuse the token, for no other reason than that it is none any more.
    pub(super) fn stays_refused(&self, token: &str) {
        for answer in self.judgements(token) {
            assert_eq!((answer.status, answer.problem()), (401, "Invalid token".to_owned()));
            assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
        }
    }

    /// What each replica says to a token, and then the gateway by itself.
    fn judgements(&self, token: &str) -> Vec<Answer> {
        let fields = format!("Authorization: Bearer {token}\r\n");
        let replicas = self.replicas.iter().map(|replica| (*replica, "/api/profile"));
        let places = replicas.chain([(self.gateway(), "/edge")]);
        places.map(|(address, target)| exchange(address, &getting_with(target, &fields))).collect()
    }

    /// Whom the gateway lets in where it asks for an admin's role.
    pub(super) fn status_for_admins(&self, token: &str) -> u16 {
        let fields = format!("Authorization: Bearer {token}\r\n");
        exchange(self.gateway(), &getting_with("/edge/admins", &fields)).status
    }

    /// Ends a replica by this signal, and waits until another process serves in its place.
    pub(super) fn replaces(&mut self, replica: usize, signal: Signal) {
        let serves = |endpoint: &Endpoint| endpoint.state == EndpointState::Serving;
        let ended = self.phalanx.replica(INSTANCES[replica], serves);
        send(ended.pid.unwrap(), signal);
        let back = self.phalanx.replica(INSTANCES[replica], |now| serves(now) && now.pid != ended.pid);
        self.replicas[replica] = back.address.parse().unwrap();
    }

    /// Ends the gateway that is a process of its own, and starts another one.
    pub(super) fn replaces_edge(&mut self) {
        edge::stop(self.edge.take().unwrap());
        self.edge = Some(edge_of(&self.phalanx));
    }

    /// Ends everything but the stores, and starts it again.
    pub(super) fn restarts(self) -> Self {
        let Self { phalanx, postgres, redis, .. } = self;
        let home = phalanx.home.clone();
        phalanx.stop();
        Self::of(Phalanx::up_in(&home), None, postgres, redis)
    }

    /// Ends it in order; nothing may have happened that needs a person.
    pub(super) fn closes(self) {
        if let Some(edge) = self.edge {
            edge::stop(edge);
        }
        self.phalanx.stop();
    }
}

/// A gateway in front of that of the replicas, which publish their keys behind it.
fn edge_of(phalanx: &Phalanx) -> Phalanx {
    let address = phalanx.gateway;
    let auth = auth(&format!("jwks = 'http://{address}/.well-known/jwks.json'"), "sqlite:./data/state");
    let service = format!("[service.api]\nendpoints = [{{ address = '{address}' }}]\n");
    edge::gateway_of(&phalanx.home, &format!("{LISTENERS}{auth}{ROUTES}{service}"))
}

/// The file of a Phalanx whose replicas have these variables, and whose gateway hears of revocations there.
fn file(variables: &str, revocation: &str) -> String {
    let auth = auth(&format!("secret = '{SECRET}'"), revocation);
    format!(
        "{LISTENERS}{auth}{ROUTES}[service.api]\ncommand = ['phalanx', 'api']\nreplicas = 3\n\
         env = {{ {variables} }}\n{PROBES}"
    )
}

fn auth(keys: &str, revocation: &str) -> String {
    format!("[auth]\nissuer = 'phalanx'\naudience = 'api'\n{keys}\nrevocation = '{revocation}'\n")
}
