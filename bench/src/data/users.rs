//! `GET /api/users/{id}`: the reference API, and the same on Express and Sequelize, over one database.
//!
//! Counted is the CPU time of the service and of the database together: a service that is cheap because it makes the
//! database work harder is not cheap.

use std::{fmt, time::Duration};

use anyhow::{Context, ensure};

use crate::{
    database::{Database, ROWS},
    load::{SETTLE, Schedule, rotated},
    programs::Program,
    service::{Express, Rows, Service, Site},
    template,
    usage::CpuReading,
    wrk::{Served, Wrk},
};

const REQUESTS: &str = include_str!("../../configs/users.lua");
/// Before the first round, so that what a runtime compiles under load is compiled.
const FIRST_WARMUP_SECONDS: u32 = 5;

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stack {
    Express,
    /// With `raw: true`: rows instead of instances of the model.
    ExpressRaw,
    Phalanx,
}

/// All of them.
pub(super) const STACKS: [Stack; 3] = [Stack::Express, Stack::ExpressRaw, Stack::Phalanx];

impl fmt::Display for Stack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Express => "Express + Sequelize",
            Self::ExpressRaw => "Express + Sequelize, `raw: true`",
            Self::Phalanx => "reference API",
        })
    }
}

/// One of them in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) round: u32,
    pub(super) stack: Stack,
    pub(super) served: Served,
    pub(super) service_cpu: Duration,
    pub(super) database_cpu: Duration,
}

impl Window {
    pub(super) fn requests_per_cpu_second(&self) -> f64 {
        self.served.requests as f64 / (self.service_cpu + self.database_cpu).as_secs_f64()
    }
}

/// Load that asks for another account each time.
pub(super) fn wrk(site: Site<'_>, accounts: u32) -> anyhow::Result<Wrk> {
    let requests = template::fill(REQUESTS, &[("ACCOUNTS", &accounts.to_string())]);
    let program = site.programs.path(Program::Wrk);
    let directory = site.subdirectory("wrk")?;
    Wrk::prepare_with(program, &directory, site.placement.load, &requests).context("prepare wrk")
}

/// Measures all rounds.
pub(super) async fn measure(
    site: Site<'_>,
    schedule: Schedule,
    connections: u32,
    express_connections: u32,
) -> anyhow::Result<Vec<Window>> {
    let database = Database::start().await?;
    let mut api = site.start_api("api-users", &database.url(), &[], site.placement.proxy)?;
    api.until_answers().await.context("start the reference API")?;
    database.fill_accounts().await?;
    database.checkpoint().await?;
    let pool = express_connections;
    let url = database.url();
    let app = Express { url: &url, connections: pool, answers: Rows::Instances, tokens: &[] };
    let express = site.start_express(&app).await?;
    let express_raw = site.start_express(&Express { answers: Rows::Raw, ..app }).await?;
    let wrk = wrk(site, ROWS)?;
    let stacks = [(Stack::Express, express), (Stack::ExpressRaw, express_raw), (Stack::Phalanx, api)];
    for (stack, service) in &stacks {
        let warmed = wrk.run(service.address, "/", connections, FIRST_WARMUP_SECONDS).await;
        warmed.with_context(|| format!("warm {stack} up"))?;
    }
    let mut windows = Vec::new();
    for round in 1..=schedule.rounds {
        for (stack, service) in rotated(&stacks, round) {
            let cost = Cost { service, databases: std::slice::from_ref(&database) };
            let (served, service_cpu, database_cpu) = cost
                .of(&wrk, connections, schedule)
                .await
                .with_context(|| format!("measure {stack} in round {round}"))?;
            let window = Window { round, stack: *stack, served, service_cpu, database_cpu };
            eprintln!(
                "round {round} of {}: users {stack:<32} {:8.0} requests/s {:8.0} requests per CPU second {} errors",
                schedule.rounds,
                served.requests as f64 / served.elapsed.as_secs_f64(),
                window.requests_per_cpu_second(),
                served.errors.total(),
            );
            windows.push(window);
        }
    }
    Ok(windows)
}

/// Whose CPU time is looked at.
pub(super) struct Cost<'a> {
    pub(super) service: &'a Service,
    pub(super) databases: &'a [Database],
}

impl Cost<'_> {
    /// Warms up, and measures one window: what was served, and what that cost service and databases.
    pub(super) async fn of(
        &self,
        wrk: &Wrk,
        connections: u32,
        schedule: Schedule,
    ) -> anyhow::Result<(Served, Duration, Duration)> {
        let load = |seconds| wrk.run(self.service.address, "/", connections, seconds);
        load(schedule.warmup_seconds).await.context("warm up")?;
        self.of_window(wrk, connections, schedule).await
    }

    /// Measures one window.
    pub(super) async fn of_window(
        &self,
        wrk: &Wrk,
        connections: u32,
        schedule: Schedule,
    ) -> anyhow::Result<(Served, Duration, Duration)> {
        tokio::time::sleep(SETTLE).await;
        let service_before = CpuReading::of(self.service.daemon.pid())?;
        let databases_before = self.databases_cpu()?;
        let served = wrk.run(self.service.address, "/", connections, schedule.window_seconds).await?;
        tokio::time::sleep(SETTLE).await;
        let service = CpuReading::of(self.service.daemon.pid())?.since(&service_before).used;
        let databases = self.databases_cpu()?.saturating_sub(databases_before);
        ensure!(served.requests > 0, "no request was answered: {:?}", served.errors);
        Ok((served, service, databases))
    }

    fn databases_cpu(&self) -> anyhow::Result<Duration> {
        self.databases.iter().map(Database::cpu).sum()
    }
}
