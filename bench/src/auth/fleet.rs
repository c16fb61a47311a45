//! Three replicas of the reference API over one PostgreSQL and one Redis, behind a gateway that verifies tokens by itself.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, ensure};
use phalanx_auth::Algorithm;
use phalanx_test_servers::Redis;
use serde_json::{Value, json};

use super::signing::Signing;
use crate::{
    database::Database,
    http::Connection,
    service::{Service, Site},
};

const TEMPLATE: &str = include_str!("../../configs/auth.phalanx.toml");
const REPLICAS: usize = 3;
const PASSWORD: &str = "a horse of another colour";
/// What the gateway answers by itself, to those with a token.
pub(super) const EDGE: &str = "/edge";
pub(super) const PROFILE: &str = "/api/profile";

/// All of it; dropped from the front to the back.
pub(super) struct Fleet {
    pub(super) gateway: SocketAddr,
    pub(super) replicas: Vec<SocketAddr>,
    _gateway: Service,
    _services: Vec<Service>,
    _redis: Arc<Redis>,
    _database: Database,
}

impl Fleet {
    /// Starts everything and waits until it answers.
    pub(super) async fn start(site: Site<'_>) -> anyhow::Result<Self> {
        let database = Database::start().await?;
        let redis = tokio::task::spawn_blocking(Redis::start).await.context("start Redis")?;
        let (url, redis_url) = (database.url(), redis.url());
        let signing = Signing::new(Algorithm::ES256)?;
        let (variable, keys) = signing.of_api();
        let environment =
            [("DATABASE_SHARD_1_PRIMARY", url.as_str()), ("REDIS_URL", &redis_url), (variable, &keys)];
        let mut services = Vec::new();
        for number in 1..=REPLICAS {
            let name = format!("api-{number}");
            let mut service = site.start_api_with(&name, &environment, site.placement.proxy)?;
            // The first migrates the database.
            service.until_answers().await.with_context(|| format!("start {name}"))?;
            services.push(service);
        }
        let replicas: Vec<_> = services.iter().map(|service| service.address).collect();
        let jwks = format!("http://{}/.well-known/jwks.json", replicas[0]);
        let values: [(&str, &str); 2] = [("JWKS", &jwks), ("REDIS", &redis_url)];
        let gateway = site.start_gateway("gateway-auth", TEMPLATE, &services, &values).await?;
        Ok(Self {
            gateway: gateway.address,
            replicas,
            _gateway: gateway,
            _services: services,
            _redis: Arc::new(redis),
            _database: database,
        })
    }
}

/// The credentials of a login.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Login {
    /// Of what register, login or refresh answered.
    pub(super) fn of(body: &str) -> anyhow::Result<Self> {
        let body: Value = serde_json::from_str(body).context("read the answer")?;
        let text = |name: &str| body[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"));
        Ok(Self { access: text("token")?, refresh: text("refresh_token")? })
    }

    /// As a header line.
    pub(super) fn authorization(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.access)
    }
}

/// Creates an account.
pub(super) async fn register(connection: &mut Connection, email: &str) -> anyhow::Result<Login> {
    let body = json!({ "email": email, "password": PASSWORD, "name": "A name" }).to_string();
    let answer = connection.post("/api/auth/register", &body).await?;
    ensure!(answer.status == 201, "register: status {}: {}", answer.status, answer.body);
    Login::of(&answer.body)
}

/// Logs it in.
pub(super) async fn log_in(connection: &mut Connection, email: &str) -> anyhow::Result<Login> {
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    let answer = connection.post("/api/auth/login", &body).await?;
    ensure!(answer.status == 200, "log in: status {}: {}", answer.status, answer.body);
    Login::of(&answer.body)
}
