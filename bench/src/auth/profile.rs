//! `GET /api/profile` with a token, against the same read without one, and against the same route on Express.

use std::{fmt, fs, time::Duration};

use anyhow::{Context, ensure};
use phalanx_auth::Algorithm;

use super::signing::Signing;
use crate::{
    database::{Database, ROWS},
    h2load::H2load,
    load::{SETTLE, Schedule, rotated},
    programs::Program,
    service::{Express, Rows, Service, Site},
    template,
    usage::CpuReading,
    wrk::{Served, Wrk},
};

const USERS: &str = include_str!("../../configs/users.lua");
const PROFILES: &str = include_str!("../../configs/profiles.lua");
/// Accounts whose tokens take turns.
const TOKENS: u32 = 1_000;
/// Before the first round, so that what a runtime compiles under load is compiled.
const FIRST_WARMUP_SECONDS: u32 = 5;
/// What the gateway keeps to one replica that speaks HTTP/2, and what it sends over each at a time.
const H2_CONNECTIONS: u32 = 4;
const H2_STREAMS: u32 = 16;

/// What is asked, and of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// The reference API, `GET /api/users/{id}`: the same read without a token.
    Open(Wire),
    /// The reference API, `GET /api/profile`.
    Profile(Algorithm, Wire),
    /// Express with jsonwebtoken and Sequelize, `GET /api/profile`.
    Express(Algorithm),
}

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// One at a time over each connection.
    Http1,
    /// Many at a time over few, as from the gateway; with one and the same token.
    H2c,
}

pub(super) const ALGORITHMS: [Algorithm; 3] = [Algorithm::HS256, Algorithm::ES256, Algorithm::EdDSA];
/// Those that jsonwebtoken for Node can.
pub(super) const OF_EXPRESS: [Algorithm; 2] = [Algorithm::HS256, Algorithm::ES256];

impl fmt::Display for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Http1 => "HTTP/1.1",
            Self::H2c => "h2c",
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&match self {
            Self::Open(wire) => format!("reference API, no token, {wire}"),
            Self::Profile(algorithm, wire) => format!("reference API, {}, {wire}", algorithm.as_str()),
            Self::Express(algorithm) => format!("Express, {}, HTTP/1.1", algorithm.as_str()),
        })
    }
}

/// Every row, in the order of the report.
pub(super) fn rows() -> Vec<Row> {
    let of = |wire| {
        let profiles = ALGORITHMS.map(|algorithm| Row::Profile(algorithm, wire));
        std::iter::once(Row::Open(wire)).chain(profiles)
    };
    of(Wire::Http1).chain(of(Wire::H2c)).chain(OF_EXPRESS.map(Row::Express)).collect()
}

/// One row in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) round: u32,
    pub(super) row: Row,
    pub(super) served: Served,
    pub(super) service_cpu: Duration,
    pub(super) database_cpu: Duration,
}

/// A row with the service that answers it.
struct Case<'a> {
    row: Row,
    service: &'a Service,
    load: Load,
}

enum Load {
    Wrk(Wrk),
    H2load(H2load, String),
}

/// Measures all rounds.
pub(super) async fn measure(
    site: Site<'_>,
    schedule: Schedule,
    connections: u32,
    express_connections: u32,
) -> anyhow::Result<Vec<Window>> {
    let database = Database::start().await?;
    let url = database.url();
    let mut keys = Vec::new();
    let mut services = Vec::new();
    for algorithm in ALGORITHMS {
        let signing = Signing::new(algorithm)?;
        let (variable, value) = signing.of_api();
        let environment = [("DATABASE_SHARD_1_PRIMARY", url.as_str()), (variable, &value)];
        let name = format!("api-{}", algorithm.as_str());
        let mut api = site.start_api_with(&name, &environment, site.placement.proxy)?;
        api.until_answers().await.with_context(|| format!("start {name}"))?;
        services.push(api);
        keys.push(signing);
    }
    database.fill_accounts().await?;
    database.checkpoint().await?;
    let mut apps = Vec::new();
    for signing in keys.iter().filter(|signing| OF_EXPRESS.contains(&signing.algorithm)) {
        let tokens = signing.of_express()?;
        let app = Express {
            url: &url,
            connections: express_connections,
            answers: Rows::Instances,
            tokens: &tokens,
        };
        apps.push(site.start_express(&app).await?);
    }
    let mut cases = Vec::new();
    for row in rows() {
        cases.push(case(site, row, &keys, &services, &apps)?);
    }
    for case in &cases {
        let warmed = case.load(connections, FIRST_WARMUP_SECONDS).await;
        warmed.with_context(|| format!("warm {} up", case.row))?;
    }
    let mut windows = Vec::new();
    for round in 1..=schedule.rounds {
        for case in rotated(&cases, round) {
            let window = case.window(round, &database, schedule, connections).await;
            let window = window.with_context(|| format!("measure {} in round {round}", case.row))?;
            eprintln!(
                "round {round} of {}: {:<36} {:7.2} µs/request {:8.0} requests/s {} errors",
                schedule.rounds,
                case.row,
                window.service_cpu.as_secs_f64() * 1e6 / window.served.requests as f64,
                window.served.requests as f64 / window.served.elapsed.as_secs_f64(),
                window.served.errors.total(),
            );
            windows.push(window);
        }
    }
    Ok(windows)
}

fn case<'a>(
    site: Site<'_>,
    row: Row,
    keys: &[Signing],
    services: &'a [Service],
    apps: &'a [Service],
) -> anyhow::Result<Case<'a>> {
    let of = |algorithm: Algorithm| {
        keys.iter().position(|signing| signing.algorithm == algorithm).context("a key of every algorithm")
    };
    let load = match row {
        Row::Open(Wire::Http1) => {
            let script = template::fill(USERS, &[("ACCOUNTS", &ROWS.to_string())]);
            Load::Wrk(wrk(site, "open", &script)?)
        }
        Row::Profile(algorithm, Wire::Http1) | Row::Express(algorithm) => {
            let signing = &keys[of(algorithm)?];
            let tokens: Vec<_> = (1..=TOKENS).map(|id| format!("'{}'", signing.token(id))).collect();
            let script = template::fill(PROFILES, &[("TOKENS", &tokens.join(",\n"))]);
            Load::Wrk(wrk(site, &format!("profile-{}", algorithm.as_str()), &script)?)
        }
        Row::Open(Wire::H2c) => Load::H2load(h2load(site), "/api/users/1".to_owned()),
        Row::Profile(algorithm, Wire::H2c) => {
            let token = keys[of(algorithm)?].token(1);
            let load = h2load(site).with_header("authorization", &format!("Bearer {token}"));
            Load::H2load(load, "/api/profile".to_owned())
        }
    };
    let service = match row {
        Row::Open(_) => &services[0],
        Row::Profile(algorithm, _) => &services[of(algorithm)?],
        Row::Express(algorithm) => {
            &apps[OF_EXPRESS.iter().position(|of| *of == algorithm).context("an app of every algorithm")?]
        }
    };
    Ok(Case { row, service, load })
}

fn wrk(site: Site<'_>, name: &str, script: &str) -> anyhow::Result<Wrk> {
    let directory = site.subdirectory(&format!("wrk-{name}"))?;
    fs::create_dir_all(&directory)?;
    let program = site.programs.path(Program::Wrk);
    Wrk::prepare_with(program, &directory, site.placement.load, script).context("prepare wrk")
}

fn h2load(site: Site<'_>) -> H2load {
    H2load::new(site.programs.path(Program::H2load), site.placement.load, H2_CONNECTIONS, H2_STREAMS)
}

impl Case<'_> {
    async fn load(&self, connections: u32, seconds: u32) -> anyhow::Result<Served> {
        match &self.load {
            Load::Wrk(wrk) => wrk.run(self.service.address, "/", connections, seconds).await,
            Load::H2load(h2load, path) => h2load.run(self.service.address, path, seconds).await,
        }
    }

    async fn window(
        &self,
        round: u32,
        database: &Database,
        schedule: Schedule,
        connections: u32,
    ) -> anyhow::Result<Window> {
        self.load(connections, schedule.warmup_seconds).await.context("warm up")?;
        tokio::time::sleep(SETTLE).await;
        let service_before = CpuReading::of(self.service.daemon.pid())?;
        let database_before = database.cpu()?;
        let served = self.load(connections, schedule.window_seconds).await?;
        tokio::time::sleep(SETTLE).await;
        let service_cpu = CpuReading::of(self.service.daemon.pid())?.since(&service_before).used;
        let database_cpu = database.cpu()?.saturating_sub(database_before);
        ensure!(served.requests > 0, "no request was answered: {:?}", served.errors);
        Ok(Window { round, row: self.row, served, service_cpu, database_cpu })
    }
}
